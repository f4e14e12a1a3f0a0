/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A cache at its limit: each thread stores objects, and when malloc() returns
 * NULL it frees one or more of its own and tries again. An operation is an
 * object stored, with all calls that this takes.
 *
 * The clock is read once between two calls: the time of each includes a
 * reading, and the choice of what is freed. Stores to a new object are not in
 * it.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

/* ---- objects and victims ------------------------------------------------- */

static const struct cache_load {
    size_t low, high;
    bool oldest; /* frees the oldest object, not a random one */
} loads[] = {
    {4096, 4096, false},
    {16, 4096, false},
    {64, 4096, true},
};

enum { LOAD_4K, LOAD_MIXED, LOAD_OLDEST };

/* full_fs needs more space: libmemkind takes some MiB for each kind. */
enum { OTHER_KINDS = 50, FS_TIMES = 4 };

struct entry {
    void *object;
    size_t size;
};

/* What a lane has stored: a ring, which begins at `first`. */
struct store {
    struct entry *entries;
    size_t most, first, count;
    size_t live; /* bytes that were asked for */
    uint64_t starved;
};

/* What all lanes share. */
struct full {
    size_t limit;
    struct idlers *idlers;
    size_t idle;
    uint64_t longest_ns, stall_ns, ran_ns; /* of any call */
    uint64_t failed, operations;
    struct heap others[OTHER_KINDS];
    size_t other_count;
    atomic_size_t live, poorest; /* bytes; of the lane that has least */
    atomic_size_t starved;
};

static const struct cache_load *load_of(const struct lane *lane)
{
    return &loads[lane->bench->pattern->argument];
}

static void store_put(struct store *store, void *object, size_t size)
{
    size_t at = (store->first + store->count++) % store->most;
    store->entries[at] = (struct entry){.object = object, .size = size};
    store->live += size;
}

static void *store_take(struct lane *lane)
{
    struct store *store = lane->state;
    size_t victim = store->first;
    if (!load_of(lane)->oldest) {
        size_t last = (store->first + store->count - 1) % store->most;
        victim = store->first +
                 random_scale(random_next(&lane->random) >> 32, store->count);
        victim %= store->most;
        struct entry taken = store->entries[victim];
        store->entries[victim] = store->entries[last];
        store->entries[last] = taken;
        victim = last;
    } else {
        store->first = (store->first + 1) % store->most;
    }
    store->count--;
    store->live -= store->entries[victim].size;
    return store->entries[victim].object;
}

/* ---- full ---------------------------------------------------------------- */

static int full_setup(struct bench *bench)
{
    struct full *full = bench->shared;
    full->idlers = idlers_start(bench, 0);
    return 0;
}

/* A share each, or less if the kind is full before. */
static void full_start(struct lane *lane)
{
    struct full *full = lane->bench->shared;
    const struct cache_load *load = load_of(lane);
    size_t share = full->limit / lane->bench->threads;
    struct store *store = lane->state = bench_pages(sizeof *store);
    store->most = full->limit * 4 / (load->low + load->high) + 1024;
    store->entries = bench_pages(store->most * sizeof *store->entries);
    while (store->live < share && store->count < store->most) {
        size_t size = random_between(&lane->random, load->low, load->high);
        void *object = heap_try_malloc(lane->bench->heap, size);
        if (object == NULL)
            break;
        object_touch(object, size);
        store_put(store, object, size);
    }
}

/* Frees an object of the lane's, and returns the time after that. */
static uint64_t full_evict(struct lane *lane, uint64_t before)
{
    void *object = store_take(lane);
    object_check(object);
    heap_free(lane->bench->heap, object);
    uint64_t now = now_ns();
    times_add(&lane->times[TIME_FREE], now - before);
    return now;
}

/* The object; NULL if the lane has nothing left that it could free. */
static void *full_malloc(struct lane *lane, size_t size, uint64_t *now)
{
    struct bench *bench = lane->bench;
    struct store *store = lane->state;
    for (;;) {
        uint64_t before = *now;
        void *object = heap_try_malloc(bench->heap, size);
        *now = now_ns();
        times_add(&lane->times[object != NULL ? TIME_MALLOC : TIME_FAILED],
                  *now - before);
        if (object != NULL || store->count == 0)
            return object;
        for (size_t i = 0; i < bench->evict && store->count > 0; i++)
            *now = full_evict(lane, *now);
    }
}

static size_t full_unit(struct lane *lane)
{
    enum { STORED = 16 };
    const struct cache_load *load = load_of(lane);
    struct store *store = lane->state;
    times_between();
    for (size_t i = 0; i < STORED; i++) {
        size_t size = random_between(&lane->random, load->low, load->high);
        uint64_t now = now_ns();
        void *object = full_malloc(lane, size, &now);
        if (object == NULL) {
            /* the other lanes have all the space, and free some */
            store->starved++;
            sched_yield();
            return i;
        }
        object_touch(object, size);
        if (store->count == store->most)
            full_evict(lane, now_ns());
        store_put(store, object, size);
    }
    return STORED;
}

static void full_stop(struct lane *lane)
{
    struct full *full = lane->bench->shared;
    struct store *store = lane->state;
    atomic_fetch_add(&full->live, store->live);
    size_t poorest = atomic_load(&full->poorest);
    while (store->live < poorest &&
           !atomic_compare_exchange_weak(&full->poorest, &poorest, store->live))
        continue;
    atomic_fetch_add(&full->starved, store->starved);
    while (store->count > 0) {
        void *object = store_take(lane);
        object_check(object);
        heap_free(lane->bench->heap, object);
    }
    bench_release(store->entries, store->most * sizeof *store->entries);
    bench_release(store, sizeof *store);
}

static void full_teardown(struct bench *bench)
{
    struct full *full = bench->shared;
    full->idle = idlers_count(full->idlers);
    for (unsigned i = 0; i < bench->threads; i++) {
        const struct lane *lane = &bench->lanes[i];
        full->operations += lane->operations;
        full->failed += lane->times[TIME_FAILED].count;
        for (size_t sort = 0; sort < TIME_SORTS; sort++) {
            const struct times *times = &lane->times[sort];
            if (full->longest_ns < times->longest_ns)
                full->longest_ns = times->longest_ns;
            if (full->stall_ns < times->stall_ns)
                full->stall_ns = times->stall_ns;
            if (full->ran_ns < times->ran_ns)
                full->ran_ns = times->ran_ns;
        }
    }
    idlers_end(full->idlers);
    while (full->other_count > 0)
        heap_destroy(&full->others[--full->other_count]);
}

static int full_run(struct bench *bench, size_t size, size_t limit)
{
    struct full *full = bench->shared = bench_pages(sizeof *full);
    full->limit = size;
    atomic_store(&full->poorest, SIZE_MAX);
    int err = bench_run_lanes(bench, limit);
    if (err == 0) {
        bench_metric(bench, "fails",
                     (double)full->failed / (double)full->operations);
        bench_metric(bench, "longest_ns", (double)full->longest_ns);
        bench_metric(bench, "stall_ns", (double)full->stall_ns);
        bench_metric(bench, "ran_ns", (double)full->ran_ns);
        bench_metric(bench, "payload",
                     (double)atomic_load(&full->live) / (double)size);
        /* 1: all lanes have as much */
        bench_metric(bench, "poorest",
                     (double)atomic_load(&full->poorest) * bench->threads /
                         (double)atomic_load(&full->live));
        bench_metric(bench, "idle", (double)full->idle);
        bench_metric(bench, "starved", (double)atomic_load(&full->starved));
    }
    bench_release(full, sizeof *full);
    return err;
}

static int full_measure(struct bench *bench)
{
    size_t limit = bench_limit(bench);
    return full_run(bench, limit, limit);
}

/* ---- full_fs: no limit but that of the file system ----------------------- */

/* Other kinds, each with an object. */
static int full_fs_setup(struct bench *bench)
{
    enum { OBJECT = 10000 };
    struct full *full = bench->shared;
    size_t kinds =
        OTHER_KINDS < bench->kinds_max ? OTHER_KINDS : bench->kinds_max;
    while (full->other_count < kinds) {
        struct heap *other = &full->others[full->other_count];
        int err = heap_create(other, bench->dir, bench->free_null);
        if (err != 0) {
            fprintf(stderr, "other kind %zu cannot be made: status %d\n",
                    full->other_count + 1, err);
            while (full->other_count > 0)
                heap_destroy(&full->others[--full->other_count]);
            return err;
        }
        full->other_count++;
        void *object = heap_try_malloc(*other, OBJECT);
        if (object != NULL)
            object_touch(object, OBJECT);
    }
    return full_setup(bench);
}

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return good;
}

/* A mount namespace of the process's own: with a user namespace, in which it
 * keeps its numbers, unless it may without. */
static bool own_mounts(void)
{
    static bool done;
    char users[64], groups[64];
    if (done)
        return true;
    snprintf(users, sizeof users, "%u %u 1", (unsigned)geteuid(),
             (unsigned)geteuid());
    snprintf(groups, sizeof groups, "%u %u 1", (unsigned)getegid(),
             (unsigned)getegid());
    if (unshare(CLONE_NEWNS) != 0 &&
        (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
         !write_file("/proc/self/setgroups", "deny") ||
         !write_file("/proc/self/uid_map", users) ||
         !write_file("/proc/self/gid_map", groups)))
        return false;
    done = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return done;
}

/* A small tmpfs covers the directory, for this process only. */
static int full_fs_measure(struct bench *bench)
{
    char options[64];
    size_t size = FS_TIMES * bench_limit(bench);
    const char *dir = bench->dir;
    char *path = realpath(dir, NULL);
    if (path == NULL) {
        perror(dir);
        return -1;
    }
    snprintf(options, sizeof options, "size=%zu,mode=0700", size);
    if (!own_mounts() ||
        mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) {
        fprintf(stderr, "full_fs: no file system of its own: %s\n",
                strerror(errno));
        free(path);
        return BENCH_SKIPPED;
    }
    bench->dir = path;
    int err = full_run(bench, size, 0);
    bench->dir = dir;
    umount2(path, MNT_DETACH);
    free(path);
    return err;
}

const struct pattern full_patterns[] = {
    {
        .name = "full",
        .about = "4 KiB objects in a kind at its limit: at NULL a random one "
                 "is freed",
        .argument = LOAD_4K,
        .setup = full_setup,
        .start = full_start,
        .unit = full_unit,
        .stop = full_stop,
        .teardown = full_teardown,
        .measure = full_measure,
        .kind_only = true,
        .timed = true,
    },
    {
        .name = "full_mixed",
        .about = "the same with objects of 16 bytes-4 KiB",
        .argument = LOAD_MIXED,
        .setup = full_setup,
        .start = full_start,
        .unit = full_unit,
        .stop = full_stop,
        .teardown = full_teardown,
        .measure = full_measure,
        .kind_only = true,
        .timed = true,
    },
    {
        .name = "full_lru",
        .about = "the same with objects of 64 bytes-4 KiB, of which the "
                 "oldest is freed",
        .argument = LOAD_OLDEST,
        .setup = full_setup,
        .start = full_start,
        .unit = full_unit,
        .stop = full_stop,
        .teardown = full_teardown,
        .measure = full_measure,
        .kind_only = true,
        .timed = true,
    },
    {
        .name = "full_fs",
        .about = "like full_mixed, in a tmpfs of four times the size that 50 "
                 "other kinds are in",
        .argument = LOAD_MIXED,
        .setup = full_fs_setup,
        .start = full_start,
        .unit = full_unit,
        .stop = full_stop,
        .teardown = full_teardown,
        .measure = full_fs_measure,
        .kind_only = true,
        .timed = true,
    },
    {.name = NULL},
};
