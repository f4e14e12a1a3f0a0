/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call fails, at every point of a kind's life: a workload that
 * makes a kind, fills it, frees, takes space back and destroys it is run with
 * the Nth call failing, for N from 1 until it comes through without meeting the
 * fault; once and for good, with each errno, for each call alone and for all of
 * them together.
 *
 * A function that meets the fault answers as memkind.h says, objects keep their
 * contents, the kind works again once the fault is lifted, and when it is gone
 * nothing is left of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fault_calls.h"
#include "file_system.h"
#include "huge_pages.h"
#include "jemalloc_private.h"
#include "late_space.h"
#include "layer_test.h"
#include "sys_calls.h"

#define LIMIT (16 * MIB)

enum backing {
    DIRECTORY,
    CALLERS_FILE,
    BUFFER,
    DRAM,
    BLOCKS,
    NODES,
    HUGE_PAGES
};

struct place {
    const char *name;
    enum backing backing;
    struct fault_world world;
    size_t limit;      /* 0: none */
    bool conservative; /* and a thread gives the memory back in the end */
    unsigned threads;
};

/* How a run ends that has met the fault. */
enum ending {
    LIFTED,    /* the fault goes, the kind has to work, and is destroyed */
    DESTROYED, /* the kind is destroyed while calls fail */
};

static const struct place *place;
static enum ending ending;
static void *buffer;

static unsigned long points, injections, runs;
static unsigned long all_points, all_injections;
static uint64_t calls_met;

/* The first thing that went wrong and that the fault does not explain. */
static _Atomic(const char *) complaint;

static void expect(bool right, const char *what)
{
    const char *none = NULL;
    if (!right)
        atomic_compare_exchange_strong(&complaint, &none, what);
}

/* Whether it did what it should; otherwise there has to be a reason. */
static bool worked(bool success, const char *what)
{
    if (!success)
        expect(fault_hit(), what);
    return success;
}

/* ---- making kinds ------------------------------------------------------ */

static bool is_documented(int err)
{
    switch (err) {
    case MEMKIND_ERROR_MMAP:
    case MEMKIND_ERROR_INVALID:
    case MEMKIND_ERROR_MALLOC:
    case MEMKIND_ERROR_ARENAS_CREATE:
        return true;
    case MEMKIND_ERROR_HUGETLB:
        return place->backing == HUGE_PAGES;
    default:
        return false;
    }
}

static struct memkind own_kind; /* of CALLERS_FILE and BLOCKS */
static struct memkind_ops own_ops;
static int callers_fd = -1;

static int create_on_callers_file(memkind_t *kind)
{
    struct memkind_pmem_source source = {.fd = callers_fd,
                                         .max_size = place->limit};
    own_kind = (struct memkind){0};
    own_ops = MEMKIND_PMEM_OPS;
    int err = memkind_pmem_set_source(&own_kind, &source);
    if (err == MEMKIND_SUCCESS)
        err = own_ops.create(&own_kind, &own_ops, "caller's");
    if (err == MEMKIND_SUCCESS)
        *kind = &own_kind;
    return err;
}

/* A kind whose blocks are mapped one by one. */
static int create_on_blocks(memkind_t *kind)
{
    own_kind = (struct memkind){0};
    own_ops = MEMKIND_DEFAULT_OPS;
    own_ops.create = memkind_arena_create;
    own_ops.destroy = memkind_arena_destroy;
    own_ops.malloc = memkind_arena_malloc;
    own_ops.calloc = memkind_arena_calloc;
    own_ops.posix_memalign = memkind_arena_posix_memalign;
    own_ops.realloc = memkind_arena_realloc;
    own_ops.free = memkind_arena_free;
    own_ops.mmap = memkind_default_mmap;
    own_ops.madvise = memkind_nohugepage_madvise;
    int err = own_ops.create(&own_kind, &own_ops, "blocks");
    if (err == MEMKIND_SUCCESS)
        *kind = &own_kind;
    return err;
}

static int create_in_directory(memkind_t *kind)
{
    if (!place->conservative)
        return memkind_create_pmem(test_dir(), place->limit, kind);
    struct memkind_config *config = memkind_config_new();
    memkind_config_set_path(config, test_dir());
    memkind_config_set_size(config, place->limit);
    memkind_config_set_memory_usage_policy(
        config, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    memkind_config_set_background_destroy(config, true);
    int err = memkind_create_pmem_with_config(config, kind);
    memkind_config_delete(config);
    return err;
}

static int create_kind_of_dram(memkind_t *kind)
{
    return memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                               MEMKIND_POLICY_PREFERRED_LOCAL,
                               (memkind_bits_t)0, kind);
}

/* ---- huge pages that are none ------------------------------------------ */

/* A number that says how many are set aside. */
static int open_number(const char *path, int flags, mode_t mode)
{
    return open(strstr(path, "hugepages") != NULL ? "/proc/sys/kernel/pid_max"
                                                  : path,
                flags, mode);
}

static void *map_other_pages(void *addr, size_t size, int prot, int flags,
                             int fd, off_t offset)
{
    if ((flags & MAP_HUGETLB) == 0)
        return mmap(addr, size, prot, flags, fd, offset);
    char *room = mmap(NULL, size + HUGE_PAGE_SIZE, prot,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return room;
    char *start = room + (-(uintptr_t)room & (HUGE_PAGE_SIZE - 1));
    if (start != room)
        munmap(room, (size_t)(start - room));
    munmap(start + size, (size_t)(room + HUGE_PAGE_SIZE - start));
    return start;
}

static struct sys_calls before_pretence;

static void pretend_huge_pages(void)
{
    before_pretence = sys;
    sys.open = open_number;
    sys.mmap = map_other_pages;
}

/* ---- any of them ------------------------------------------------------- */

static memkind_t create(void)
{
    memkind_t kind = NULL;
    int err = MEMKIND_SUCCESS;
    switch (place->backing) {
    case DIRECTORY:
        err = create_in_directory(&kind);
        break;
    case CALLERS_FILE:
        err = create_on_callers_file(&kind);
        break;
    case BUFFER:
        err = memkind_create_fixed(buffer, place->limit, &kind);
        break;
    case DRAM:
        err = create_kind_of_dram(&kind);
        break;
    case BLOCKS:
        err = create_on_blocks(&kind);
        break;
    case NODES:
        err = memkind_create_kind(
            MEMKIND_MEMTYPE_DEFAULT | MEMKIND_MEMTYPE_HIGH_BANDWIDTH,
            MEMKIND_POLICY_INTERLEAVE_ALL, (memkind_bits_t)0, &kind);
        break;
    case HUGE_PAGES:
        err = memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                                  MEMKIND_POLICY_PREFERRED_LOCAL,
                                  MEMKIND_MASK_PAGE_SIZE_2MB, &kind);
        break;
    }
    if (worked(err == MEMKIND_SUCCESS, "a kind cannot be made"))
        return kind;
    expect(is_documented(err), "creation gives another error");
    expect(kind == NULL, "creation fails and gives a kind");
    return NULL;
}

/* ---- the workload ------------------------------------------------------ */

#define OBJECTS 28

struct object {
    char *at;
    size_t size;
    unsigned seed;
};

struct table {
    memkind_t kind;
    struct object objects[OBJECTS];
    unsigned long long random;
};

/* Large ones by a sample of each page, or of some. */
static size_t step(size_t size)
{
    return size <= MIB ? 4096 : 256 * KIB;
}

static void fill(const struct object *object)
{
    if (object->size <= 16 * KIB) {
        test_fill(object->at, object->size, object->seed);
        return;
    }
    for (size_t at = 0; at + 16 <= object->size; at += step(object->size))
        test_fill(object->at + at, 16, object->seed + (unsigned)(at / 4096));
}

static bool holds(const struct object *object, size_t size)
{
    if (object->size <= 16 * KIB)
        return test_check(object->at, size, object->seed);
    for (size_t at = 0; at + 16 <= size; at += step(object->size))
        if (!test_check(object->at + at, 16,
                        object->seed + (unsigned)(at / 4096)))
            return false;
    return true;
}

static bool is_clear(const char *at, size_t size)
{
    if (size <= 16 * KIB)
        return is_zero(at, size);
    for (size_t i = 0; i + 16 <= size; i += 4096)
        if (!is_zero(at + i, 16))
            return false;
    return true;
}

static size_t some_size(struct table *table, size_t most)
{
    unsigned bits = 4;
    while (((size_t)1 << bits) < most)
        bits++;
    size_t limit = (size_t)1
                   << (4 + test_random(&table->random) % (bits - 4 + 1));
    return 1 + test_random(&table->random) % limit;
}

static void allocate(struct table *table, struct object *object, size_t most)
{
    size_t size = some_size(table, most);
    size_t alignment = 1;
    void *at = NULL;
    errno = 0;
    switch (test_random(&table->random) % 3) {
    case 0:
        at = memkind_malloc(table->kind, size);
        break;
    case 1:
        at = memkind_calloc(table->kind, 1, size);
        if (at != NULL)
            expect(is_clear(at, size), "calloc is not clear");
        break;
    default:
        alignment = (size_t)1 << (3 + test_random(&table->random) % 14);
        errno = memkind_posix_memalign(table->kind, &at, alignment, size);
        break;
    }
    *object = (struct object){at, at != NULL ? size : 0,
                              (unsigned)test_random(&table->random)};
    if (!worked(at != NULL, "no memory")) {
        expect(errno == ENOMEM, "errno of no memory");
        return;
    }
    expect((uintptr_t)at % alignment == 0, "alignment");
    expect(memkind_detect_kind(at) == table->kind, "an object's kind");
    expect(memkind_malloc_usable_size(table->kind, at) >= size, "usable size");
    fill(object);
}

static void reallocate(struct table *table, struct object *object)
{
    size_t size = some_size(table, MIB);
    size_t kept = size < object->size ? size : object->size;
    errno = 0;
    char *at = memkind_realloc(table->kind, object->at, size);
    if (worked(at != NULL, "realloc fails")) {
        object->at = at;
        expect(holds(object, kept), "realloc loses contents");
        object->size = size;
        fill(object);
    } else {
        expect(errno == ENOMEM, "errno of realloc");
        expect(object->at == NULL || holds(object, object->size),
               "realloc fails and loses contents");
    }
}

static void release(struct table *table, struct object *object)
{
    if (object->at == NULL)
        return;
    expect(holds(object, object->size), "contents");
    memkind_free(test_random(&table->random) % 2 ? table->kind : NULL,
                 object->at);
    object->at = NULL;
    object->size = 0;
}

/* Takes most of what there is, for which free pages have to be reclaimed. */
static void allocate_most(struct table *table, const char *what)
{
    size_t size = (place->limit != 0 ? place->limit : 32 * MIB) / 2;
    errno = 0;
    struct object object = {memkind_malloc(table->kind, size), size, 77};
    if (!worked(object.at != NULL, what)) {
        expect(errno == ENOMEM, "errno of most of the memory");
        return;
    }
    fill(&object);
    expect(holds(&object, size), "contents of most of the memory");
    memkind_free(table->kind, object.at);
}

static void work(struct table *table)
{
    struct object *objects = table->objects;
    for (size_t i = 0; i < OBJECTS; i++)
        allocate(table, &objects[i], i % 8 == 0 ? 512 * KIB : 32 * KIB);
    for (size_t i = 0; i < OBJECTS; i += 3)
        reallocate(table, &objects[i]);
    for (size_t i = 0; i < OBJECTS; i += 2)
        release(table, &objects[i]);
    for (size_t i = 0; i < OBJECTS; i += 4)
        allocate(table, &objects[i], 64 * KIB);
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects[i].at != NULL) {
            char *moved = memkind_defrag_reallocate(table->kind, objects[i].at);
            if (moved != NULL)
                objects[i].at = moved;
            expect(holds(&objects[i], objects[i].size), "contents");
        }
}

static void release_all(struct table *table)
{
    for (size_t i = 0; i < OBJECTS; i++)
        release(table, &table->objects[i]);
}

static void take_statistics(memkind_t kind)
{
    size_t allocated = 0, active = 0, resident = 0;
    if (!worked(memkind_update_cached_stats() == MEMKIND_SUCCESS, "statistics"))
        return;
    expect(memkind_get_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED, &allocated) ==
                   MEMKIND_SUCCESS &&
               memkind_get_stat(kind, MEMKIND_STAT_TYPE_ACTIVE, &active) ==
                   MEMKIND_SUCCESS &&
               memkind_get_stat(kind, MEMKIND_STAT_TYPE_RESIDENT, &resident) ==
                   MEMKIND_SUCCESS,
           "one statistic");
    expect(allocated <= active, "more allocated than active");
    if (place->limit != 0)
        expect(resident <= place->limit, "more than the limit");
}

static void *work_in_thread(void *argument)
{
    struct table *table = argument;
    work(table);
    release_all(table);
    return NULL;
}

static void work_in_threads(memkind_t kind)
{
    static struct table tables[8];
    pthread_t threads[8];
    for (unsigned i = 0; i < place->threads; i++) {
        tables[i] = (struct table){.kind = kind, .random = 1000 + i};
        REQUIRE_EQ(
            pthread_create(&threads[i], NULL, work_in_thread, &tables[i]), 0);
    }
    for (unsigned i = 0; i < place->threads; i++)
        pthread_join(threads[i], NULL);
}

/* Whether freed space may no longer be given back, for a reason that stays. */
static bool keeps_space(void)
{
    return place->world.no_punch || place->backing == BUFFER ||
           place->world.no_holes ||
           (fault_hit() &&
            (fault_last_error() == EOPNOTSUPP || fault_last_error() == ENOSYS));
}

static void works_again(struct table *table)
{
    fault_lift();
    for (size_t i = 0; i < OBJECTS; i++)
        expect(table->objects[i].at == NULL ||
                   holds(&table->objects[i], table->objects[i].size),
               "contents after the fault");
    release_all(table);
    for (size_t i = 0; i < OBJECTS; i++) {
        allocate(table, &table->objects[i], 32 * KIB);
        expect(table->objects[i].at != NULL, "no memory after the fault");
    }
    release_all(table);
    char *at = memkind_malloc(table->kind, MIB);
    expect(at != NULL, "no MiB after the fault");
    memkind_free(NULL, at);
    if (!keeps_space()) {
        size_t size = (place->limit != 0 ? place->limit : 32 * MIB) / 2;
        at = memkind_malloc(table->kind, size);
        expect(at != NULL, "not half of the limit after the fault");
        if (at != NULL)
            fill(&(struct object){at, size, 5});
        memkind_free(NULL, at);
    }
    expect(memkind_update_cached_stats() == MEMKIND_SUCCESS,
           "statistics after the fault");
}

static void run_workload(void)
{
    memkind_t kind = create();
    if (kind == NULL)
        return;
    struct table table = {.kind = kind, .random = 9};
    char *kept = memkind_malloc(kind, 100);
    if (place->threads != 0)
        work_in_threads(kind);
    work(&table);
    take_statistics(kind);
    if (place->backing == DIRECTORY && kept != NULL) {
        int err = memkind_pmem_persist(kind, kept, 100);
        if (!worked(err == MEMKIND_SUCCESS, "persist"))
            expect(err == MEMKIND_ERROR_OPERATION_FAILED, "error of persist");
    }
    if (!keeps_space())
        allocate_most(&table, "no half of the limit");
    expect(memkind_get_capacity(kind) != 0, "capacity");
    for (size_t i = 1; i < OBJECTS; i += 2)
        release(&table, &table.objects[i]);
    take_statistics(kind);
    if (fault_hit() && ending == LIFTED)
        works_again(&table);
    else if (ending == LIFTED)
        release_all(&table);
    expect(memkind_destroy_kind(kind) == MEMKIND_SUCCESS, "destroying");
    expect(memkind_detect_kind(kept) == NULL, "address table");
    (void)late_space_wait();
}

/* ---- one run ----------------------------------------------------------- */

static unsigned arena_count(void)
{
    unsigned count = 0;
    size_t length = sizeof count;
    JE_NAME(mallctl)("arenas.narenas", &count, &length, NULL, 0);
    return count;
}

/* A file that could not be unlinked keeps its name. */
static unsigned remove_named_files(void)
{
    unsigned removed = 0;
    DIR *dir = opendir(test_dir());
    REQUIRE_NOT_NULL(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            removed += unlink(test_path(entry->d_name)) == 0;
    closedir(dir);
    return removed;
}

static bool failed_to_unmap(void)
{
    enum fault_call call = fault_hit_call();
    return call == FAULT_MUNMAP || call == FAULT_PMEM_UNMAP;
}

static bool file_space_is_kept(uint64_t calls, bool for_good)
{
    /* If neither munmap() nor ftruncate() ever works, nothing helps. */
    return for_good && calls == FAULT_ALL;
}

/* If fstat() never works, the library cannot see whether a descriptor is still
 * its own, and does not close it. Returns whether there were any. */
static bool close_what_was_not_told(uint64_t calls, bool for_good)
{
    char link[64], target[4200];
    bool any = false;
    if (!for_good || (calls & FAULT_BIT(FAULT_FSTAT)) == 0)
        return false;
    for (int fd = 3; fd < 256; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length < 0 || fd == callers_fd)
            continue;
        target[length] = '\0';
        if (strncmp(target, test_dir(), strlen(test_dir())) == 0)
            any = close(fd) == 0 || any;
    }
    return any;
}

/* Runs the workload once. Returns whether the process has as many mappings, of
 * the same size, as before. */
static bool attempt(uint64_t calls, unsigned at, bool for_good, int error)
{
    struct test_resources before, now;
    atomic_store(&complaint, NULL);
    size_t space_before = test_file_space();
    if (place->backing == CALLERS_FILE)
        callers_fd = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    layer_resources_take(&before);
    file_system_forget();
    fault_set(calls, at, for_good, error);
    run_workload();
    fault_lift();
    /* A kind that could not be made may go by a thread as well. */
    (void)late_space_wait();
    layer_resources_take(&now);
    fault_unmap_refused();
    runs++;
    points += fault_hit();
    injections += fault_injected();
    unsigned named = remove_named_files();
    expect(named == 0 || fault_hit_call() == FAULT_UNLINK ||
               (for_good && place->world.no_tmpfile),
           "a file has a name");
    expect(close_what_was_not_told(calls, for_good) || now.fds == before.fds,
           "a descriptor has leaked");
    if (place->backing == CALLERS_FILE) {
        bool resized = fault_hit_call() != FAULT_FTRUNCATE && !for_good;
        expect(!resized || file_bytes(callers_fd) <= 64 * KIB,
               "space left in the caller's file");
        close(callers_fd);
        callers_fd = -1;
    }
    expect(test_file_space() == space_before ||
               file_space_is_kept(calls, for_good),
           "file space has leaked");
    return !COUNT_MAPPINGS || failed_to_unmap() || for_good ||
           (now.maps == before.maps && now.mapped_kib == before.mapped_kib);
}

static bool run_once(uint64_t calls, unsigned at, bool for_good, int error)
{
    /* jemalloc's tables grow once if a region lies at an address at which none
     * was before. */
    bool same = false;
    for (int i = 0; i < 4 && !same; i++)
        same = attempt(calls, at, for_good, error);
    expect(same, "a mapping has leaked");
    const char *what = atomic_load(&complaint);
    if (what != NULL)
        fprintf(stderr, "\n%s: %s %u fails %s with %s: %s\n", place->name,
                fault_call_name(fault_hit_call()), at,
                for_good ? "for good" : "once", strerror(fault_last_error()),
                what);
    CHECK_NULL(what);
    return fault_hit();
}

/* ---- walks ------------------------------------------------------------- */

#define POINTS_MAX 5000
#define FAILURES_MAX 20

/* A call that is made oftener is made in loops, of which a part will do. */
#define POINTS_ALL 600
#define LOOP_STEP 5

static unsigned walk(uint64_t calls, bool for_good, int error)
{
    unsigned at = 1;
    while (run_once(calls, at, for_good, error) && at < POINTS_MAX &&
           CU_get_number_of_failures() < FAILURES_MAX)
        at += at < POINTS_ALL ? 1 : LOOP_STEP;
    CHECK_LT(at, POINTS_MAX);
    return at - 1;
}

static void warm_up(void)
{
    ending = LIFTED;
    for (int i = 0; i < 4; i++) {
        fault_set(0, 0, false, 0);
        run_workload();
    }
}

/* With one error: once, and for good, with and without an end. */
static unsigned walk_error(uint64_t calls, int error)
{
    ending = LIFTED;
    unsigned count = walk(calls, false, error);
    if (count == 0 || error == EINTR)
        return count;
    (void)walk(calls, true, error);
    ending = DESTROYED;
    (void)walk(calls, true, error);
    return count;
}

/* All errors at every point take minutes: FAULT_ALL_ERRORS=1. Otherwise each
 * point meets the likeliest one, and another by turns. */
static void walk_call(enum fault_call call)
{
    const int *errors = fault_errors(call);
    /* Under a sanitizer every run takes ten times as long. */
    if (!COUNT_MAPPINGS) {
        ending = LIFTED;
        if (walk(FAULT_BIT(call), false, 0) != 0)
            calls_met |= FAULT_BIT(call);
        return;
    }
    if (walk_error(FAULT_BIT(call), errors[0]) == 0)
        return;
    calls_met |= FAULT_BIT(call);
    if (getenv("FAULT_ALL_ERRORS") == NULL) {
        ending = LIFTED;
        if (errors[1] != 0)
            (void)walk(FAULT_BIT(call), false, 0);
        return;
    }
    for (errors++; *errors != 0; errors++)
        (void)walk_error(FAULT_BIT(call), *errors);
}

/* Each call alone, and all calls together. */
static void walk_all(const struct place *where)
{
    place = where;
    points = injections = runs = 0;
    if (where->backing == BUFFER)
        buffer = mmap(NULL, LIMIT, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fault_install(where->world);
    warm_up();
    unsigned arenas = arena_count();
    CHECK(!run_once(FAULT_ALL, UINT32_MAX, false, 0));
    /* Threads meet in the same calls as one does: all of them together. */
    for (int call = 0; call < FAULT_CALLS && where->threads == 0; call++)
        walk_call((enum fault_call)call);
    (void)walk_error(FAULT_ALL, 0);
    ending = LIFTED;
    CHECK(!run_once(FAULT_ALL, UINT32_MAX, false, 0));
    /* What one run could not clear away, the next one could. */
    CHECK_LE(arena_count(), arenas + 8);
    fault_remove();
    if (where->backing == BUFFER)
        munmap(buffer, LIMIT);
    printf("%lu fault points, %lu failures in %lu runs ", points, injections,
           runs);
    all_points += points;
    all_injections += injections;
}

/* What the walks went through. No device is at hand, nor a btrfs, nor a file
 * system that is almost full, on which units are split; threads are below;
 * blocks lie where they should, and there is one directory, unlike in
 * test_region_faults. What a snapshot takes is in test_fork_faults. */
static void everything(void)
{
    const uint64_t elsewhere =
        FAULT_BIT(FAULT_FLOCK) | FAULT_BIT(FAULT_REALPATH) |
        FAULT_BIT(FAULT_FSYNC) | FAULT_BIT(FAULT_IOCTL) |
        FAULT_BIT(FAULT_CAPGET) | FAULT_BIT(FAULT_PTHREAD_CREATE) |
        FAULT_BIT(FAULT_SYNC_RANGE) | FAULT_BIT(FAULT_MINCORE) |
        FAULT_BIT(FAULT_GETCPU) | FAULT_BIT(FAULT_MEMFD) |
        FAULT_BIT(FAULT_SEAL) |
        (memkind_check_available(MEMKIND_HBW) == MEMKIND_SUCCESS
             ? 0
             : FAULT_BIT(FAULT_MBIND));
    printf("%lu fault points, %lu failures ", all_points, all_injections);
    for (int call = 0; call < FAULT_CALLS; call++)
        if ((calls_met & FAULT_BIT(call)) == 0 &&
            (elsewhere & FAULT_BIT(call)) == 0) {
            fprintf(stderr, "%s was never called\n",
                    fault_call_name((enum fault_call)call));
            CU_FAIL("a call is not in the workload");
        }
}

/* Which of the mappings that make a kind is its arena's: the third, or a later
 * one if guard pages and records are mapped first. 0: none. */
static unsigned arenas_mapping(void)
{
    enum { MAPPINGS_MOST = 20 };
    for (unsigned at = 3; at < MAPPINGS_MOST; at++) {
        memkind_t kind = NULL;
        fault_set(FAULT_BIT(FAULT_MMAP), at, false, ENOMEM);
        int err = create_kind_of_dram(&kind);
        fault_lift();
        if (err == MEMKIND_ERROR_ARENAS_CREATE)
            return at;
        if (err == MEMKIND_SUCCESS)
            CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    }
    return 0;
}

/* jemalloc forgets the index of an arena that cannot be made; see
 * lost_arenas.h. A thousand failures cost no more than one. */
static void arenas_that_cannot_be_made(void)
{
    static const struct place where = {.name = "arenas", .backing = DRAM};
    place = &where;
    fault_install(where.world);
    warm_up();
    const unsigned mapping = arenas_mapping();
    REQUIRE_NE(mapping, 0);
    unsigned before = arena_count();
    for (int i = 0; i < 1000; i++) {
        memkind_t kind = NULL;
        fault_set(FAULT_BIT(FAULT_MMAP), mapping, false, ENOMEM);
        int err = create_kind_of_dram(&kind);
        CHECK(fault_hit());
        CHECK_EQ(err, MEMKIND_ERROR_ARENAS_CREATE);
        fault_lift();
        REQUIRE_EQ(create_kind_of_dram(&kind), MEMKIND_SUCCESS);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    }
    run_workload();
    CHECK_LE(arena_count(), before + 1);
    fault_remove();
}

static bool has_background_threads(void)
{
    bool on = false;
    size_t length = sizeof on;
    CHECK_EQ(JE_NAME(mallctl)("background_thread", &on, &length, NULL, 0), 0);
    return on;
}

/* jemalloc's threads; a failure leaves the heap without them. */
static void background_threads(void)
{
    static const struct place where = {.name = "background threads",
                                       .limit = LIMIT};
    place = &where;
    points = injections = runs = 0;
    fault_install(where.world);
    warm_up();
    for (unsigned at = 1;; at++) {
        fault_set(FAULT_BIT(FAULT_PTHREAD_CREATE), at, false, EAGAIN);
        int err = memkind_set_bg_threads(true);
        CHECK_EQ(err, fault_hit() && at == 1 ? MEMKIND_ERROR_OPERATION_FAILED
                                             : MEMKIND_SUCCESS);
        CHECK_EQ(has_background_threads(), err == MEMKIND_SUCCESS);
        run_workload();
        fault_lift();
        points += fault_hit();
        CHECK_EQ(memkind_set_bg_threads(true), MEMKIND_SUCCESS);
        run_workload();
        CHECK_EQ(memkind_set_bg_threads(false), MEMKIND_SUCCESS);
        if (!fault_hit() || at > 100)
            break;
    }
    CHECK_GE(points, 1);
    fault_remove();
    printf("%lu fault points ", points);
}

/* With another limit, jemalloc ends its threads and starts others. */
static void limit_of_background_threads(void)
{
    static const struct place where = {.name = "limit of background threads",
                                       .limit = LIMIT};
    place = &where;
    fault_install(where.world);
    warm_up();
    CHECK_EQ(memkind_arena_set_max_bg_threads(1), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_set_bg_threads(true), MEMKIND_SUCCESS);
    fault_set(FAULT_BIT(FAULT_PTHREAD_CREATE), 1, false, EAGAIN);
    int err = memkind_arena_set_max_bg_threads(2);
    if (fault_hit()) { /* there is more than one CPU */
        CHECK_EQ(err, MEMKIND_ERROR_INVALID);
        CHECK(!has_background_threads());
    }
    fault_lift();
    run_workload();
    CHECK_EQ(memkind_set_bg_threads(true), MEMKIND_SUCCESS);
    CHECK(has_background_threads());
    CHECK_EQ(memkind_set_bg_threads(false), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_arena_set_max_bg_threads(0), MEMKIND_SUCCESS);
    fault_remove();
}

#define WALK(function, ...)                                                    \
    static void function(void)                                                 \
    {                                                                          \
        static const struct place where = {__VA_ARGS__};                       \
        walk_all(&where);                                                      \
    }

WALK(limited, .name = "limited", .limit = LIMIT)
WALK(unlimited, .name = "unlimited", .limit = 0)
WALK(conservative, .name = "conservative", .limit = LIMIT, .conservative = true)
WALK(named_files, .name = "named files", .world.no_tmpfile = true,
     .limit = LIMIT)
WALK(writing, .name = "no fallocate", .world.no_fallocate = true,
     .limit = LIMIT)
WALK(no_punch, .name = "no punch", .world.no_punch = true, .limit = LIMIT)
WALK(no_holes, .name = "no holes", .world.no_holes = true, .limit = LIMIT)
WALK(reads_ahead, .name = "readahead", .world.reads_ahead = true, .limit = 0)
WALK(huge_pages, .name = "huge pages", .world.has_huge_pages = true, .limit = 0)
WALK(no_libpmem, .name = "no libpmem", .world.no_libpmem = true, .limit = LIMIT)
WALK(pmem, .name = "persistent memory", .world.pmem = true, .limit = 0)
WALK(callers_file, .name = "caller's file", .backing = CALLERS_FILE,
     .limit = LIMIT)
WALK(fixed, .name = "fixed", .backing = BUFFER, .limit = LIMIT)
WALK(dram, .name = "DRAM", .backing = DRAM)
WALK(many_nodes, .name = "nodes", .backing = NODES)
WALK(set_aside, .name = "huge pages set aside", .backing = HUGE_PAGES)
WALK(blocks, .name = "blocks", .backing = BLOCKS)
WALK(threads, .name = "threads", .limit = 32 * MIB, .threads = 4)

/* The environment names all nodes there are. */
static void nodes(void)
{
    if (memkind_check_available(MEMKIND_HBW) == MEMKIND_SUCCESS)
        many_nodes();
    else
        printf("skipped: no NUMA nodes ");
}

static void huge_pages_set_aside_for_kinds(void)
{
    pretend_huge_pages();
    set_aside();
    sys = before_pretence;
}

static const struct test_case tests[] = {
    {"limited", limited},
    {"unlimited", unlimited},
    {"conservative, and destroyed by a thread", conservative},
    {"files with names", named_files},
    {"files allocated by writing", writing},
    {"no hole punching", no_punch},
    {"no holes", no_holes},
    {"readahead", reads_ahead},
    {"huge pages", huge_pages},
    {"files mapped directly", no_libpmem},
    {"persistent memory", pmem},
    {"caller's file", callers_file},
    {"fixed", fixed},
    {"DRAM", dram},
    {"NUMA nodes", nodes},
    {"huge pages that are set aside", huge_pages_set_aside_for_kinds},
    {"blocks of an own mmap operation", blocks},
    {"threads", threads},
    {"arenas that cannot be made", arenas_that_cannot_be_made},
    {"background threads", background_threads},
    {"limit of background threads", limit_of_background_threads},
    {"everything", everything},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("kinds whose system calls fail", tests, argc, argv);
}
