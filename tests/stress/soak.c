/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * soak SECONDS [DIRECTORY [THREADS [SEED]]]
 *
 * Everything at once, for as long as one likes: threads that allocate, resize,
 * move and free objects of many sizes, by the right kind, none or a wrong one;
 * threads that live for a moment; kinds that are made, purged and destroyed
 * meanwhile, limited and unlimited, of every policy; children that are forked
 * in the middle of it and do the same; and system calls that fail. Every
 * object's contents are checked. Prints what was done, and fails if a byte
 * was wrong, a child has failed, or anything was lost.
 */
#include <errno.h>
#include <memkind.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "layer_test.h"
#include "sys_calls.h"

#define KINDS 6
#define PLACES 512 /* of each kind */
#define THREADS_MAX 64
#define CHILD_SECONDS 300
#define PATIENCE 10 /* of a slow machine: so many times the seconds */

struct object {
    size_t size; /* with this header */
    unsigned seed;
};

/* A kind, with the objects that are in it. Who uses it holds the lock for
 * reading, who replaces it for writing. */
static struct slot {
    pthread_rwlock_t lock;
    memkind_t kind;
    _Atomic(struct object *) places[PLACES];
} slots[KINDS];

static const char *directory;
static atomic_bool running;
static atomic_bool failing; /* system calls */

/* What was done. */
static atomic_size_t allocations, resizes, moves, refusals, kinds_made,
    kinds_refused, purges, threads_run, forks, injected, mistakes;

static void mistake(const char *what)
{
    if (atomic_fetch_add(&mistakes, 1) < 10)
        fprintf(stderr, "soak: %s\n", what);
}

/* ---- system calls that fail -------------------------------------------- */

static struct sys_calls real;

/* One in thirty, while they do. */
static bool fails(void)
{
    static const int errors[] = {ENOMEM, ENOSPC, EIO, EINTR, EAGAIN};
    static _Atomic unsigned long long state = 88172645463325252ull;
    if (!atomic_load_explicit(&failing, memory_order_relaxed))
        return false;
    unsigned long long random = atomic_load(&state);
    (void)test_random(&random);
    atomic_store(&state, random);
    if (random % 30 != 0)
        return false;
    atomic_fetch_add(&injected, 1);
    errno = errors[random / 30 % 5];
    return true;
}

static int failing_open(const char *path, int flags, mode_t mode)
{
    return fails() ? -1 : real.open(path, flags, mode);
}

static int failing_ftruncate(int fd, off_t length)
{
    return fails() ? -1 : real.ftruncate(fd, length);
}

static int failing_fallocate(int fd, int mode, off_t offset, off_t length)
{
    return fails() ? -1 : real.fallocate(fd, mode, offset, length);
}

static void *failing_mmap(void *addr, size_t length, int prot, int flags,
                          int fd, off_t offset)
{
    return fails() ? MAP_FAILED
                   : real.mmap(addr, length, prot, flags, fd, offset);
}

static int failing_madvise(void *addr, size_t length, int advice)
{
    return fails() ? -1 : real.madvise(addr, length, advice);
}

static void *failing_map_file(const char *path, size_t length, int flags,
                              mode_t mode, size_t *mapped, int *is_pmem)
{
    return fails()
               ? NULL
               : real.pmem_map_file(path, length, flags, mode, mapped, is_pmem);
}

static void install_faults(void)
{
    real = sys;
    sys.open = failing_open;
    sys.ftruncate = failing_ftruncate;
    sys.fallocate = failing_fallocate;
    sys.mmap = failing_mmap;
    sys.madvise = failing_madvise;
    sys.pmem_map_file = failing_map_file;
}

/* ---- objects ----------------------------------------------------------- */

static void fill(struct object *object)
{
    test_fill(object + 1, object->size - sizeof *object, object->seed);
}

static void check(const struct object *object, size_t size, const char *what)
{
    if (!test_check(object + 1, size - sizeof *object, object->seed))
        mistake(what);
}

static struct object *make(memkind_t kind, unsigned long long *random)
{
    size_t most = (size_t)64 << test_random(random) % 15;
    size_t size = sizeof(struct object) + test_random(random) % most;
    struct object *object = NULL;
    switch (test_random(random) % 8) {
    case 0:
        object = memkind_calloc(kind, 1, size);
        for (size_t i = 0; object != NULL && i < size; i += 61)
            if (((char *)object)[i] != 0)
                mistake("cleared memory is not clear");
        break;
    case 1:
        if (memkind_posix_memalign(kind, (void **)&object,
                                   (size_t)16 << test_random(random) % 9,
                                   size) != 0)
            object = NULL;
        break;
    default:
        object = memkind_malloc(kind, size);
    }
    if (object == NULL) {
        atomic_fetch_add(&refusals, 1);
        return NULL;
    }
    atomic_fetch_add(&allocations, 1);
    *object = (struct object){size, (unsigned)test_random(random)};
    fill(object);
    return object;
}

/* Checks an object, changes it perhaps, and frees it or returns it. */
static struct object *use(memkind_t kind, struct object *object,
                          unsigned long long *random)
{
    check(object, object->size, "an object's contents have changed");
    if (memkind_detect_kind(object) != kind)
        mistake("an object belongs to another kind");
    if (memkind_malloc_usable_size(NULL, object) < object->size)
        mistake("an object is too small");
    size_t size = sizeof *object + test_random(random) % 70000;
    size_t kept = object->size < size ? object->size : size;
    struct object *moved;
    switch (test_random(random) % 8) {
    case 0:
        moved = memkind_realloc(size % 2 ? kind : NULL, object, size);
        if (moved == NULL)
            return object;
        atomic_fetch_add(&resizes, 1);
        check(moved, kept, "realloc has lost contents");
        moved->size = size;
        fill(moved);
        return moved;
    case 1:
        moved = memkind_defrag_reallocate(kind, object);
        if (moved == NULL)
            return object;
        atomic_fetch_add(&moves, 1);
        check(moved, moved->size, "moving has lost contents");
        return moved;
    case 2:
        memkind_free(MEMKIND_DEFAULT, object);
        return NULL;
    case 3:
        memkind_free(NULL, object);
        return NULL;
    default:
        memkind_free(kind, object);
        return NULL;
    }
}

static void step(unsigned long long *random)
{
    struct slot *slot = &slots[test_random(random) % KINDS];
    if (pthread_rwlock_tryrdlock(&slot->lock) != 0)
        return;
    if (slot->kind != NULL) {
        _Atomic(struct object *) *place =
            &slot->places[test_random(random) % PLACES];
        struct object *object = atomic_exchange(place, NULL);
        object = object != NULL ? use(slot->kind, object, random)
                                : make(slot->kind, random);
        if (object != NULL)
            object = atomic_exchange(place, object);
        if (object != NULL) /* another thread has put one there meanwhile */
            memkind_free(slot->kind, object);
    }
    pthread_rwlock_unlock(&slot->lock);
}

/* ---- threads ----------------------------------------------------------- */

static void *work(void *seed)
{
    unsigned long long random = (uintptr_t)seed;
    while (atomic_load_explicit(&running, memory_order_relaxed))
        step(&random);
    return NULL;
}

static void *live_for_a_moment(void *seed)
{
    unsigned long long random = (uintptr_t)seed;
    for (int i = 0; i < 200; i++)
        step(&random);
    return NULL;
}

static void *churn_threads(void *seed)
{
    unsigned long long random = (uintptr_t)seed;
    while (atomic_load(&running)) {
        pthread_t thread;
        void *argument = (void *)(uintptr_t)(test_random(&random) | 1);
        if (pthread_create(&thread, NULL, live_for_a_moment, argument) != 0)
            continue;
        pthread_join(thread, NULL);
        atomic_fetch_add(&threads_run, 1);
    }
    return NULL;
}

/* ---- kinds ------------------------------------------------------------- */

static memkind_t make_kind(memkind_fork_policy policy,
                           unsigned long long *random)
{
    static const size_t sizes[] = {0, 16 * MIB, 20 * MIB, 64 * MIB};
    memkind_t kind = NULL;
    struct memkind_config *config = memkind_config_new();
    if (config == NULL)
        return NULL;
    memkind_config_set_path(config, directory);
    memkind_config_set_size(config, sizes[test_random(random) % 4]);
    memkind_config_set_memory_usage_policy(
        config, (memkind_mem_usage_policy)(test_random(random) % 2));
    memkind_config_set_fork_policy(config, policy);
    int err = memkind_create_pmem_with_config(config, &kind);
    memkind_config_delete(config);
    if (err == MEMKIND_SUCCESS) {
        atomic_fetch_add(&kinds_made, 1);
        return kind;
    }
    atomic_fetch_add(&kinds_refused, 1);
    if (err != MEMKIND_ERROR_MMAP && err != MEMKIND_ERROR_INVALID &&
        err != MEMKIND_ERROR_MALLOC && err != MEMKIND_ERROR_ARENAS_CREATE)
        mistake("a kind cannot be made, and the error makes no sense");
    return NULL;
}

static memkind_fork_policy any_policy(unsigned long long *random)
{
    static const memkind_fork_policy policies[] = {
        MEMKIND_FORK_PRIVATE, MEMKIND_FORK_PRIVATE, MEMKIND_FORK_UNAVAILABLE,
        MEMKIND_FORK_COPY, MEMKIND_FORK_SNAPSHOT};
    return policies[test_random(random) % 5];
}

/* Frees some of a kind's objects, checks them all, and drops the kind. */
static void drop_kind(struct slot *slot, unsigned long long *random)
{
    size_t live = 0;
    for (size_t i = 0; i < PLACES; i++) {
        struct object *object = atomic_exchange(&slot->places[i], NULL);
        if (object == NULL)
            continue;
        check(object, object->size, "an object's contents have changed");
        if (test_random(random) % 2)
            memkind_free(slot->kind, object);
        else
            live++;
    }
    size_t allocated = SIZE_MAX;
    memkind_update_cached_stats();
    memkind_get_stat(slot->kind, MEMKIND_STAT_TYPE_ALLOCATED, &allocated);
    if ((allocated == 0) != (live == 0))
        mistake("what is allocated does not add up");
    if (memkind_destroy_kind(slot->kind) != MEMKIND_SUCCESS)
        mistake("a kind cannot be destroyed");
    slot->kind = NULL;
}

static void pause_ms(long milliseconds)
{
    struct timespec rest = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&rest, NULL);
}

static void *churn_kinds(void *seed)
{
    unsigned long long random = (uintptr_t)seed;
    while (atomic_load(&running)) {
        struct slot *slot = &slots[test_random(&random) % KINDS];
        if (test_random(&random) % 4 == 0) {
            pthread_rwlock_rdlock(&slot->lock);
            if (slot->kind != NULL) {
                if (memkind_purge_kind(slot->kind) != MEMKIND_SUCCESS)
                    mistake("a kind cannot be purged");
                atomic_fetch_add(&purges, 1);
            }
            pthread_rwlock_unlock(&slot->lock);
        } else {
            pthread_rwlock_wrlock(&slot->lock);
            if (slot->kind != NULL)
                drop_kind(slot, &random);
            slot->kind = make_kind(any_policy(&random), &random);
            pthread_rwlock_unlock(&slot->lock);
        }
        pause_ms(20);
    }
    return NULL;
}

/* ---- children ---------------------------------------------------------- */

/* In the child: the parent's objects cannot be checked, as its threads change
 * them; objects of its own can. */
static int live_in_child(unsigned long long random)
{
    enum { OBJECTS = 100 };
    atomic_store(&failing, false);
    atomic_store(&mistakes, 0);
    alarm(CHILD_SECONDS);
    for (int i = 0; i < KINDS; i++) {
        struct object *objects[OBJECTS] = {NULL};
        memkind_t kind = slots[i].kind;
        if (kind == NULL)
            continue;
        for (int round = 0; round < 4 * OBJECTS; round++) {
            size_t at = test_random(&random) % OBJECTS;
            objects[at] = objects[at] != NULL ? use(kind, objects[at], &random)
                                              : make(kind, &random);
        }
        for (int j = 0; j < OBJECTS; j++)
            if (objects[j] != NULL) {
                check(objects[j], objects[j]->size, "in a child: contents");
                memkind_free(kind, objects[j]);
            }
        if (random % 2 && memkind_destroy_kind(kind) != MEMKIND_SUCCESS)
            mistake("in a child: a kind cannot be destroyed");
    }
    return atomic_load(&mistakes) == 0 ? 0 : 1;
}

static void *fork_children(void *seed)
{
    unsigned long long random = (uintptr_t)seed;
    while (atomic_load(&running)) {
        int status = 0;
        /* No kind is half-way in a slot: the locks' state is copied. */
        for (int i = 0; i < KINDS; i++)
            pthread_rwlock_rdlock(&slots[i].lock);
        pid_t child = fork();
        if (child == 0)
            _exit(live_in_child(test_random(&random)));
        for (int i = 0; i < KINDS; i++)
            pthread_rwlock_unlock(&slots[i].lock);
        if (child < 0)
            continue;
        atomic_fetch_add(&forks, 1);
        if (waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "soak: a child ends with status %#x\n", status);
            mistake("a child has failed");
        }
        pause_ms(50);
    }
    return NULL;
}

static void *toggle_faults(void *unused)
{
    (void)unused;
    while (atomic_load(&running)) {
        atomic_store(&failing, true);
        pause_ms(200);
        atomic_store(&failing, false);
        pause_ms(300);
    }
    return NULL;
}

/* ---- all of it --------------------------------------------------------- */

/* A run in which nothing happened proves nothing. */
static bool enough_has_happened(void)
{
    return atomic_load(&allocations) > 1000 && atomic_load(&kinds_made) > 10 &&
           atomic_load(&threads_run) > 0 && atomic_load(&forks) > 0 &&
           atomic_load(&injected) > 0;
}

static unsigned long long soak(int seconds, int count,
                               unsigned long long random)
{
    void *(*const others[])(void *) = {churn_kinds, churn_threads,
                                       fork_children, toggle_faults};
    pthread_t threads[THREADS_MAX + 4];
    atomic_store(&running, true);
    for (int i = 0; i < count + 4; i++) {
        void *seed = (void *)(uintptr_t)(test_random(&random) | 1);
        if (pthread_create(&threads[i], NULL,
                           i < count ? work : others[i - count], seed) != 0)
            exit(1);
    }
    for (int i = 0; atomic_load(&mistakes) == 0 && i < seconds * PATIENCE &&
                    (i < seconds || !enough_has_happened());
         i++)
        pause_ms(1000);
    atomic_store(&running, false);
    for (int i = 0; i < count + 4; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&failing, false);
    for (int i = 0; i < KINDS; i++)
        if (slots[i].kind != NULL)
            drop_kind(&slots[i], &random);
    return random;
}

/* A kind with snapshots makes a file that stays. By chance none was made yet,
 * or a system call has failed when the file was to be replaced. */
static void make_what_stays(unsigned long long *random)
{
    slots[0].kind = make_kind(MEMKIND_FORK_SNAPSHOT, random);
    if (slots[0].kind != NULL)
        drop_kind(&slots[0], random);
}

int main(int argc, char **argv)
{
    struct test_resources before;
    int seconds = argc > 1 ? atoi(argv[1]) : 10;
    directory = argc > 2 ? argv[2] : "/dev/shm";
    int count = argc > 3 ? atoi(argv[3]) : 3;
    unsigned long long seed =
        argc > 4 ? strtoull(argv[4], NULL, 0) : (unsigned long long)time(NULL);
    if (seconds < 1 || count < 1 || count > THREADS_MAX || seed == 0) {
        fprintf(stderr, "usage: %s SECONDS [DIRECTORY [THREADS [SEED]]]\n",
                argv[0]);
        return 2;
    }
    test_use_dir(directory);
    printf("soak: seed %llu\n", seed);
    fflush(stdout);
    install_faults();
    for (int i = 0; i < KINDS; i++)
        slots[i].lock =
            (pthread_rwlock_t)PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
    /* What stays once it is there: tables, and data of threads. */
    unsigned long long random = soak(1, count, seed);
    make_what_stays(&random);
    test_resources_take(&before);
    random = soak(seconds, count, random);
    make_what_stays(&random);
    if (!nothing_leaked_but_metadata(&before))
        mistake("something is left");

    printf("soak: %d threads, %d s: %zu allocations, %zu resized, %zu moved, "
           "%zu refused; %zu kinds made, %zu refused, %zu purges; %zu threads "
           "ended; %zu children; %zu failed system calls; %zu mistakes\n",
           count, seconds, atomic_load(&allocations), atomic_load(&resizes),
           atomic_load(&moves), atomic_load(&refusals),
           atomic_load(&kinds_made), atomic_load(&kinds_refused),
           atomic_load(&purges), atomic_load(&threads_run), atomic_load(&forks),
           atomic_load(&injected), atomic_load(&mistakes));
    return atomic_load(&mistakes) == 0 && enough_has_happened() ? 0 : 1;
}
