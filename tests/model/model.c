/* SPDX-License-Identifier: BSD-2-Clause */
#include "model.h"

#include <errno.h>
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_support.h"

#define SLOTS 6
#define ACTORS_MAX 16
#define OBJECTS 256
#define EXCHANGE 16
#define SIZE_LARGEST (4 * MIB)
#define BUFFER_SIZE (32 * MIB)

enum sort { LIMITED, UNLIMITED, CONSERVATIVE, FIXED, DRAM, STATIC, SORTS };

/* A place for a kind. Steps that use the kind hold the lock for reading,
 * the ones that make and destroy it for writing. */
struct slot {
    pthread_rwlock_t lock;
    memkind_t kind; /* NULL: none */
    unsigned generation;
    enum sort sort;
    size_t limit; /* SIZE_MAX: none */
    void *buffer; /* of FIXED */
    bool zero_allocs;
    _Atomic size_t live; /* usable bytes of its objects */
};

struct object {
    unsigned char *at; /* NULL: none */
    size_t size, usable;
    unsigned seed;
    unsigned slot, generation;
};

struct actor {
    struct object objects[OBJECTS];
    unsigned next_seed;
};

struct model {
    char dir[4096];
    struct slot slots[SLOTS];
    unsigned actor_count;
    struct actor *actors;
    pthread_mutex_t exchange_lock;
    struct object exchange[EXCHANGE];
    _Atomic unsigned long long steps, refusals;
};

void model_fail(const char *file, int line, const char *what)
{
    fflush(stdout);
    fprintf(stderr, "\n%s:%d: not so: %s (errno %d)\n", file, line, what,
            errno);
    abort();
}

/* ---- choices ----------------------------------------------------------- */

bool choices_are_left(const struct choices *choices)
{
    return choices->bytes == NULL || choices->left > 0;
}

size_t choose(struct choices *choices, size_t bound)
{
    if (bound <= 1)
        return 0;
    if (choices->bytes == NULL)
        return (size_t)(test_random(&choices->random) % bound);
    size_t value = 0;
    for (size_t range = 1; range < bound && choices->left > 0; range <<= 8) {
        value = value << 8 | *choices->bytes++;
        choices->left--;
        if (range > SIZE_MAX >> 16)
            break;
    }
    return value % bound;
}

/* Small sizes are as likely as large ones, but for a few that fill a kind. */
static size_t choose_size(struct choices *choices, size_t most)
{
    if (choose(choices, 16) == 0)
        return most / 8 + choose(choices, most / 8 * 7);
    size_t bits = 1;
    while (((size_t)1 << bits) < most)
        bits++;
    size_t limit = (size_t)1 << choose(choices, bits + 1);
    size_t size = 1 + choose(choices, limit);
    return size < most ? size : most;
}

/* ---- contents ---------------------------------------------------------- */

/* Large objects are filled at their ends, and in a part of each page. */
#define WHOLE_MOST (8 * KIB)
#define PART 32

static void write_contents(const struct object *object)
{
    if (object->size <= WHOLE_MOST) {
        test_fill(object->at, object->size, object->seed);
        return;
    }
    for (size_t at = 0; at + PART <= object->size; at += 4096)
        test_fill(object->at + at, PART, object->seed + (unsigned)(at / 4096));
    test_fill(object->at + object->size - PART, PART, object->seed ^ 0x55);
}

/* Whether the first `size` bytes are as they were written. */
static bool has_contents(const struct object *object, size_t size)
{
    if (object->size <= WHOLE_MOST)
        return test_check(object->at, size, object->seed);
    /* The last piece overwrote what was there. */
    size_t end = object->size - PART;
    for (size_t at = 0; at + PART <= size; at += 4096)
        if (at + PART <= end &&
            !test_check(object->at + at, PART,
                        object->seed + (unsigned)(at / 4096)))
            return false;
    return size < object->size ||
           test_check(object->at + end, PART, object->seed ^ 0x55);
}

static bool is_clear(const unsigned char *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* ---- kinds ------------------------------------------------------------- */

static int make_kind(struct model *model, struct slot *slot)
{
    struct memkind_config *config;
    int err = MEMKIND_ERROR_INVALID;
    slot->limit = SIZE_MAX;
    switch (slot->sort) {
    case LIMITED:
        slot->limit = 16 * MIB + slot->generation % 7 * 5000000;
        return memkind_create_pmem(model->dir, slot->limit, &slot->kind);
    case UNLIMITED:
        return memkind_create_pmem(model->dir, 0, &slot->kind);
    case CONSERVATIVE:
        slot->limit = 24 * MIB;
        config = memkind_config_new();
        MODEL_NEED(config != NULL);
        memkind_config_set_path(config, model->dir);
        memkind_config_set_size(config, slot->limit);
        memkind_config_set_memory_usage_policy(
            config, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
        err = memkind_create_pmem_with_config(config, &slot->kind);
        memkind_config_delete(config);
        return err;
    case FIXED:
        slot->limit = BUFFER_SIZE;
        slot->buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MODEL_NEED(slot->buffer != MAP_FAILED);
        return memkind_create_fixed(slot->buffer, BUFFER_SIZE, &slot->kind);
    case DRAM:
        return memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                                   MEMKIND_POLICY_PREFERRED_LOCAL,
                                   (memkind_bits_t)0, &slot->kind);
    default:
        slot->kind = MEMKIND_REGULAR;
        return MEMKIND_SUCCESS;
    }
}

static void create_kind(struct model *model, struct slot *slot,
                        struct choices *choices)
{
    slot->sort = (enum sort)choose(choices, STATIC);
    slot->generation++;
    slot->buffer = NULL;
    MODEL_NEED(make_kind(model, slot) == MEMKIND_SUCCESS);
    MODEL_NEED(slot->kind != NULL);
    MODEL_NEED(memkind_check_available(slot->kind) == MEMKIND_SUCCESS);
    slot->zero_allocs = choose(choices, 4) == 0;
    memkind_set_allow_zero_allocs(slot->kind, slot->zero_allocs);
    atomic_store(&slot->live, 0);
}

static void destroy_kind(struct slot *slot)
{
    memkind_t kind = slot->kind;
    MODEL_NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    MODEL_NEED(slot->buffer == NULL ||
               memkind_detect_kind(slot->buffer) == NULL);
    if (slot->buffer != NULL)
        munmap(slot->buffer, BUFFER_SIZE);
    slot->kind = NULL;
    slot->generation++;
}

/* A slot that can be used, locked for reading; NULL if it has no kind. */
static struct slot *enter(struct model *model, size_t index)
{
    struct slot *slot = &model->slots[index];
    pthread_rwlock_rdlock(&slot->lock);
    if (slot->kind != NULL)
        return slot;
    pthread_rwlock_unlock(&slot->lock);
    return NULL;
}

static void leave(struct slot *slot)
{
    pthread_rwlock_unlock(&slot->lock);
}

/* An object's slot, locked for reading; the object is forgotten if it went
 * with its kind. */
static struct slot *enter_of(struct model *model, struct object *object)
{
    if (object->at == NULL)
        return NULL;
    struct slot *slot = enter(model, object->slot);
    if (slot != NULL && slot->generation == object->generation)
        return slot;
    if (slot != NULL)
        leave(slot);
    object->at = NULL;
    return NULL;
}

/* ---- objects ----------------------------------------------------------- */

static void note_new(struct slot *slot, struct object *object)
{
    memkind_t kind = slot->kind;
    object->usable = memkind_malloc_usable_size(kind, object->at);
    MODEL_NEED(object->usable >= object->size);
    MODEL_NEED(memkind_malloc_usable_size(NULL, object->at) == object->usable);
    MODEL_NEED(memkind_detect_kind(object->at) == kind);
    MODEL_NEED(memkind_detect_kind(object->at + object->size - 1) == kind);
    MODEL_NEED(slot->buffer == NULL ||
               (size_t)(object->at - (unsigned char *)slot->buffer) +
                       object->usable <=
                   BUFFER_SIZE);
    size_t live = atomic_fetch_add(&slot->live, object->usable);
    MODEL_NEED(live + object->usable <= slot->limit);
    write_contents(object);
}

/* A kind that is far from full has no reason to give NULL. */
static void note_refusal(struct model *model, struct slot *slot, size_t size,
                         size_t alignment)
{
    atomic_fetch_add(&model->refusals, 1);
    MODEL_NEED(slot->limit != SIZE_MAX);
    size_t used = atomic_load(&slot->live) + size + alignment;
    MODEL_NEED(used >= slot->limit / (slot->sort == FIXED ? 8 : 4));
}

static void note_gone(struct slot *slot, struct object *object)
{
    atomic_fetch_sub(&slot->live, object->usable);
    object->at = NULL;
}

static void forget(struct model *model, struct object *object,
                   struct choices *choices)
{
    struct slot *slot = enter_of(model, object);
    if (slot == NULL)
        return;
    MODEL_NEED(has_contents(object, object->size));
    void *at = object->at;
    /* Before it is given back: another thread may have its place then. */
    note_gone(slot, object);
    errno = 4711;
    switch (choose(choices, 4)) {
    case 0:
        memkind_free(NULL, at);
        break;
    case 1: /* another kind's, which has to find out */
        memkind_free(MEMKIND_DEFAULT, at);
        break;
    case 2:
        MODEL_NEED(memkind_realloc(slot->kind, at, 0) == NULL);
        break;
    default:
        memkind_free(slot->kind, at);
        break;
    }
    MODEL_NEED(errno == 4711);
    leave(slot);
}

static void allocate(struct model *model, struct actor *actor,
                     struct object *object, struct choices *choices)
{
    forget(model, object, choices);
    size_t index = choose(choices, SLOTS);
    struct slot *slot = enter(model, index);
    if (slot == NULL)
        return;
    size_t size = choose_size(choices, SIZE_LARGEST);
    size_t alignment = 8;
    void *at = NULL;
    errno = 0;
    switch (choose(choices, 3)) {
    case 0:
        at = memkind_malloc(slot->kind, size);
        break;
    case 1: {
        size_t parts = 1 + choose(choices, 9);
        at = memkind_calloc(slot->kind, parts, (size + parts - 1) / parts);
        MODEL_NEED(at == NULL || is_clear(at, size));
        break;
    }
    default:
        alignment = (size_t)8 << choose(choices, 19);
        /* A buffer has little room for gaps. */
        if (slot->sort == FIXED && alignment > 64 * KIB)
            alignment = 64 * KIB;
        int result = memkind_posix_memalign(slot->kind, &at, alignment, size);
        MODEL_NEED(result == (at != NULL ? 0 : ENOMEM) && errno == 0);
        errno = result;
        break;
    }
    if (at != NULL) {
        MODEL_NEED((uintptr_t)at % alignment == 0);
        *object = (struct object){.at = at,
                                  .size = size,
                                  .seed = actor->next_seed++,
                                  .slot = (unsigned)index,
                                  .generation = slot->generation};
        note_new(slot, object);
    } else {
        MODEL_NEED(errno == ENOMEM);
        note_refusal(model, slot, size, alignment);
    }
    leave(slot);
}

static void reallocate(struct model *model, struct object *object,
                       struct choices *choices)
{
    struct slot *slot = enter_of(model, object);
    if (slot == NULL)
        return;
    static memkind_t *const others[] = {&MEMKIND_DEFAULT, &MEMKIND_REGULAR,
                                        &MEMKIND_HBW};
    size_t size = choose_size(choices, SIZE_LARGEST);
    size_t kept = size < object->size ? size : object->size;
    size_t which = choose(choices, 6);
    memkind_t kind = slot->kind;
    if (which == 0)
        kind = NULL;
    else if (which <= 3)
        kind = *others[which - 1];
    /* Another thread may have the old place before the new one is known. */
    atomic_fetch_sub(&slot->live, object->usable);
    errno = 0;
    void *at = memkind_realloc(kind, object->at, size);
    if (at != NULL) {
        object->at = at;
        MODEL_NEED(has_contents(object, kept));
        object->size = size;
        note_new(slot, object);
    } else {
        MODEL_NEED(errno == ENOMEM);
        MODEL_NEED(has_contents(object, object->size));
        atomic_fetch_add(&slot->live, object->usable);
        note_refusal(model, slot, size, 0);
    }
    leave(slot);
}

static void inspect(struct model *model, struct object *object,
                    struct choices *choices)
{
    struct slot *slot = enter_of(model, object);
    if (slot == NULL)
        return;
    MODEL_NEED(has_contents(object, object->size));
    MODEL_NEED(memkind_malloc_usable_size(slot->kind, object->at) ==
               object->usable);
    MODEL_NEED(memkind_detect_kind(object->at) == slot->kind);
    if (choose(choices, 2) == 0) {
        memkind_t kind = choose(choices, 2) != 0 ? slot->kind : NULL;
        void *moved = memkind_defrag_reallocate(kind, object->at);
        if (moved != NULL) {
            object->at = moved;
            MODEL_NEED(has_contents(object, object->size));
            size_t usable = memkind_malloc_usable_size(NULL, moved);
            MODEL_NEED(usable >= object->size);
            atomic_fetch_add(&slot->live, usable - object->usable);
            object->usable = usable;
        }
    }
    leave(slot);
}

/* ---- steps ------------------------------------------------------------- */

static void come_or_go(struct model *model, struct choices *choices)
{
    /* The last slot's kind is always there. */
    struct slot *slot = &model->slots[choose(choices, SLOTS - 1)];
    pthread_rwlock_wrlock(&slot->lock);
    if (slot->kind == NULL)
        create_kind(model, slot, choices);
    else if (choose(choices, 4) == 0)
        destroy_kind(slot);
    pthread_rwlock_unlock(&slot->lock);
}

static void take_statistics(struct model *model, struct choices *choices)
{
    MODEL_NEED(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    struct slot *slot = enter(model, choose(choices, SLOTS));
    if (slot == NULL)
        return;
    size_t value = 0;
    for (int stat = 0; stat < MEMKIND_STAT_TYPE_MAX_VALUE; stat++) {
        MODEL_NEED(memkind_get_stat(slot->kind, (memkind_stat_type)stat,
                                    &value) == MEMKIND_SUCCESS);
        MODEL_NEED(value <= slot->limit);
    }
    leave(slot);
}

static void make_no_sense(struct model *model, struct choices *choices)
{
    struct slot *slot = enter(model, choose(choices, SLOTS));
    if (slot == NULL)
        return;
    memkind_t kind = slot->kind;
    void *at = &slot;
    static char foreign[64];
    size_t value;
    errno = 0;
    switch (choose(choices, 14)) {
    case 0:
        MODEL_NEED(memkind_malloc(NULL, 1) == NULL && errno == EINVAL);
        break;
    case 1:
        MODEL_NEED(memkind_malloc(kind, SIZE_MAX - choose(choices, 9000)) ==
                       NULL &&
                   errno == ENOMEM);
        break;
    case 2:
        MODEL_NEED(memkind_calloc(kind, SIZE_MAX / 2, 3) == NULL &&
                   errno == ENOMEM);
        break;
    case 3:
        MODEL_NEED(memkind_posix_memalign(kind, &at, choose(choices, 8), 8) ==
                       EINVAL &&
                   at == NULL);
        break;
    case 4:
        MODEL_NEED(memkind_posix_memalign(kind, &at, 24, 8) == EINVAL &&
                   at == NULL);
        break;
    case 5:
        MODEL_NEED(memkind_posix_memalign(
                       kind, &at, (size_t)1 << (48 + choose(choices, 16)), 8) ==
                       ENOMEM &&
                   at == NULL);
        break;
    case 6:
        memkind_free(kind, foreign);
        memkind_free(NULL, foreign + 1);
        memkind_free(kind, NULL);
        MODEL_NEED(errno == 0);
        break;
    case 7:
        MODEL_NEED(memkind_detect_kind(foreign) == NULL);
        MODEL_NEED(memkind_detect_kind(NULL) == NULL);
        MODEL_NEED(memkind_detect_kind((void *)~(uintptr_t)0) == NULL);
        break;
    case 8:
        MODEL_NEED(memkind_malloc_usable_size(kind, foreign) == 0);
        MODEL_NEED(memkind_malloc_usable_size(kind, NULL) == 0);
        break;
    case 9:
        MODEL_NEED(memkind_realloc(kind, foreign, 8) == NULL &&
                   errno == EINVAL);
        break;
    case 10:
        MODEL_NEED(memkind_defrag_reallocate(kind, NULL) == NULL);
        MODEL_NEED(memkind_defrag_reallocate(kind, foreign) == NULL);
        break;
    case 11:
        MODEL_NEED(memkind_get_stat(kind, (memkind_stat_type)77, &value) ==
                   MEMKIND_ERROR_INVALID);
        MODEL_NEED(memkind_get_stat(kind, MEMKIND_STAT_TYPE_ACTIVE, NULL) ==
                   MEMKIND_ERROR_INVALID);
        break;
    case 12:
        MODEL_NEED(memkind_destroy_kind(NULL) == MEMKIND_ERROR_INVALID);
        MODEL_NEED(memkind_destroy_kind(MEMKIND_DEFAULT) == MEMKIND_SUCCESS);
        break;
    default:
        at = memkind_malloc(kind, 0);
        MODEL_NEED((at != NULL) == slot->zero_allocs ||
                   slot->limit != SIZE_MAX);
        MODEL_NEED(at == NULL || slot->zero_allocs);
        memkind_free(kind, at);
        at = memkind_calloc(kind, choose(choices, 2), 0);
        MODEL_NEED(at == NULL || slot->zero_allocs);
        memkind_free(NULL, at);
        break;
    }
    leave(slot);
}

static void hand_over(struct model *model, struct object *object,
                      struct choices *choices)
{
    struct object *other = &model->exchange[choose(choices, EXCHANGE)];
    pthread_mutex_lock(&model->exchange_lock);
    struct object mine = *object;
    *object = *other;
    *other = mine;
    pthread_mutex_unlock(&model->exchange_lock);
}

void model_step(struct model *model, unsigned index, struct choices *choices)
{
    struct actor *actor = &model->actors[index];
    size_t what = choose(choices, 256);
    struct object *object = &actor->objects[choose(choices, OBJECTS)];
    atomic_fetch_add(&model->steps, 1);
    if (what < 100)
        allocate(model, actor, object, choices);
    else if (what < 160)
        forget(model, object, choices);
    else if (what < 190)
        reallocate(model, object, choices);
    else if (what < 215)
        inspect(model, object, choices);
    else if (what < 235)
        hand_over(model, object, choices);
    else if (what < 250)
        make_no_sense(model, choices);
    else if (what < 253)
        take_statistics(model, choices);
    else
        come_or_go(model, choices);
}

/* ---- everything -------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
    const struct object *left = *(struct object *const *)a;
    const struct object *right = *(struct object *const *)b;
    return left->at < right->at ? -1 : left->at > right->at;
}

/* All objects of kinds that there are. */
static size_t collect(struct model *model, struct object **all)
{
    size_t count = 0;
    for (unsigned i = 0; i < model->actor_count; i++)
        for (size_t j = 0; j < OBJECTS; j++)
            all[count++] = &model->actors[i].objects[j];
    for (size_t j = 0; j < EXCHANGE; j++)
        all[count++] = &model->exchange[j];
    size_t live = 0;
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = enter_of(model, all[i]);
        if (slot == NULL)
            continue;
        leave(slot);
        all[live++] = all[i];
    }
    return live;
}

/* Bytes of file space of this process's files in the model's directory. */
static size_t file_space(const struct model *model)
{
    size_t space = 0;
    for (int fd = 0; fd < 256; fd++) {
        char link[64], target[4200];
        struct stat st;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        if (strncmp(target, model->dir, strlen(model->dir)) == 0 &&
            fstat(fd, &st) == 0)
            space += (size_t)st.st_blocks * 512;
    }
    return space;
}

void model_check(struct model *model)
{
    struct object *all[ACTORS_MAX * OBJECTS + EXCHANGE];
    size_t count = collect(model, all);
    size_t live[SLOTS] = {0};
    qsort(all, count, sizeof all[0], by_address);
    for (size_t i = 0; i < count; i++) {
        MODEL_NEED(has_contents(all[i], all[i]->size));
        MODEL_NEED(i + 1 == count ||
                   all[i]->at + all[i]->usable <= all[i + 1]->at);
        live[all[i]->slot] += all[i]->usable;
    }
    MODEL_NEED(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    size_t held = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot *slot = &model->slots[i];
        size_t allocated, active, resident;
        if (slot->kind == NULL)
            continue;
        MODEL_NEED(memkind_get_stat(slot->kind, MEMKIND_STAT_TYPE_ALLOCATED,
                                    &allocated) == MEMKIND_SUCCESS);
        MODEL_NEED(memkind_get_stat(slot->kind, MEMKIND_STAT_TYPE_ACTIVE,
                                    &active) == MEMKIND_SUCCESS);
        MODEL_NEED(memkind_get_stat(slot->kind, MEMKIND_STAT_TYPE_RESIDENT,
                                    &resident) == MEMKIND_SUCCESS);
        MODEL_NEED(live[i] == atomic_load(&slot->live));
        if (allocated != live[i])
            fprintf(stderr, "slot %zu, sort %d: %zu allocated, %zu live\n", i,
                    (int)slot->sort, allocated, live[i]);
        MODEL_NEED(allocated == live[i]);
        MODEL_NEED(allocated <= active && active <= resident);
        MODEL_NEED(resident <= slot->limit);
        if (slot->sort <= CONSERVATIVE)
            held += resident;
    }
    /* Files take some blocks for themselves. */
    size_t space = file_space(model);
    MODEL_NEED(space + 64 * KIB >= held && space <= held + MIB);
}

/* ---- models ------------------------------------------------------------ */

struct model *model_new(const char *dir, unsigned actors)
{
    MODEL_NEED(actors >= 1 && actors <= ACTORS_MAX);
    struct model *model = calloc(1, sizeof *model);
    MODEL_NEED(model != NULL);
    model->actors = calloc(actors, sizeof *model->actors);
    MODEL_NEED(model->actors != NULL);
    model->actor_count = actors;
    for (unsigned i = 0; i < actors; i++)
        model->actors[i].next_seed = i * 1000003;
    MODEL_NEED(realpath(dir, model->dir) != NULL);
    pthread_mutex_init(&model->exchange_lock, NULL);
    for (size_t i = 0; i < SLOTS; i++)
        pthread_rwlock_init(&model->slots[i].lock, NULL);
    struct slot *last = &model->slots[SLOTS - 1];
    last->sort = STATIC;
    MODEL_NEED(make_kind(model, last) == MEMKIND_SUCCESS);
    return model;
}

void model_delete(struct model *model, bool by_hand)
{
    struct choices none = {.bytes = (const uint8_t *)"", .left = 0};
    struct object *all[ACTORS_MAX * OBJECTS + EXCHANGE];
    size_t count = collect(model, all);
    /* Those of the static kind in any case: it stays. */
    for (size_t i = 0; i < count; i++)
        if (by_hand || all[i]->slot == SLOTS - 1)
            forget(model, all[i], &none);
    if (by_hand)
        model_check(model);
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &model->slots[i];
        if (slot->kind != NULL && slot->sort != STATIC)
            destroy_kind(slot);
        pthread_rwlock_destroy(&slot->lock);
    }
    MODEL_NEED(file_space(model) == 0);
    pthread_mutex_destroy(&model->exchange_lock);
    free(model->actors);
    free(model);
}

unsigned long long model_steps(const struct model *model)
{
    return atomic_load(&model->steps);
}

unsigned long long model_refusals(const struct model *model)
{
    return atomic_load(&model->refusals);
}
