/* SPDX-License-Identifier: BSD-2-Clause */
#include "jemalloc_batch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "jemalloc_private.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

#ifdef MEMKIND_TLS_INITIAL_EXEC
#define BATCH_TLS __attribute__((tls_model("initial-exec")))
#else
#define BATCH_TLS
#endif

/* What follows, as far as it is used, is that of jemalloc's cache_bin.h and
 * tcache_structs.h, and does not depend on how jemalloc is configured. */
#define KNOWN_RELEASE "5.3.0-"

/* A cache: a stack that grows down. The positions are the low bits of addresses
 * in its array. */
struct cache_bin {
    void **head;
    uint64_t requests;
    uint16_t low_water, full, empty;
};

struct cache_bin_info {
    uint16_t most;
};

struct tcache_slow {
    void *link[2], *descriptor[3];
    void *arena;
};

struct tcache {
    struct tcache_slow *slow;
};

/* They are there, unless it is another release. */
#define BATCH_WEAK __attribute__((weak, visibility("hidden")))

void JE_NAME(arena_cache_bin_fill_small)(void *tsdn, void *arena,
                                         struct cache_bin *cache,
                                         struct cache_bin_info *info,
                                         unsigned bin,
                                         unsigned count) BATCH_WEAK;
void JE_NAME(tcache_bin_flush_small)(void *tsd, struct tcache *tcache,
                                     struct cache_bin *cache, unsigned bin,
                                     unsigned left) BATCH_WEAK;
extern struct cache_bin_info *JE_NAME(tcache_bin_info) BATCH_WEAK;

extern __thread char JE_NAME(tsd_tls)[] BATCH_TLS
    __attribute__((visibility("hidden")));
extern void *JE_NAME(arenas)[] __attribute__((visibility("hidden")));

/* For how many objects a lock is held. */
#define BATCH_MOST 64U

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_known;

static void find_release(void)
{
    const char *version = NULL;
    size_t size = sizeof version;
    is_known = JE_NAME(mallctl)("version", &version, &size, NULL, 0) == 0 &&
               strncmp(version, KNOWN_RELEASE, sizeof KNOWN_RELEASE - 1) == 0 &&
               JE_NAME(arena_cache_bin_fill_small) != NULL &&
               JE_NAME(tcache_bin_flush_small) != NULL &&
               &JE_NAME(tcache_bin_info) != NULL &&
               JE_NAME(tcache_bin_info) != NULL;
}

static bool can_batch(void)
{
    pthread_once(&once, find_release);
    return is_known;
}

static void *arena_of(int flags)
{
    return JE_NAME(arenas)[((unsigned)flags >> 20) - 1];
}

/* A cache of `count` objects that end at `end`, of at most `most`. */
static struct cache_bin cache_with(void **end, uint32_t count, uint32_t most)
{
    struct cache_bin cache = {.head = end - count};
    cache.low_water = (uint16_t)(uintptr_t)cache.head;
    cache.full = (uint16_t)(uintptr_t)(end - most);
    cache.empty = (uint16_t)(uintptr_t)end;
    return cache;
}

uint32_t je_batch_take(int flags, unsigned bin, void **objects, uint32_t count)
{
    if (!can_batch())
        return 0;
    uint32_t taken = 0;
    while (taken < count) {
        void **end = objects + (count - taken);
        struct cache_bin_info info = {BATCH_MOST};
        const uint32_t step =
            count - taken < BATCH_MOST ? count - taken : BATCH_MOST;
        struct cache_bin cache = cache_with(end, 0, step);
        cache.requests = step;
        JE_NAME(arena_cache_bin_fill_small)
        (JE_NAME(tsd_tls), arena_of(flags), &cache, &info, bin, step);
        const uint32_t got = (uint32_t)(end - cache.head);
        taken += got;
        if (got < step)
            break;
    }
    return taken;
}

/* The largest cache that jemalloc makes of small objects has fewer. */
#define PLACES 256U

static void give_step(int flags, unsigned bin, void *const *objects,
                      uint32_t count)
{
    /* With its assertions, jemalloc reads the place below a cache. */
    void *places[1 + PLACES] = {NULL};
    void **end = places + 1 + PLACES;
    struct tcache_slow slow = {.arena = arena_of(flags)};
    struct tcache tcache = {&slow};
    struct cache_bin cache =
        cache_with(end, count, JE_NAME(tcache_bin_info)[bin].most);
    memcpy(cache.head, objects, count * sizeof objects[0]);
    JE_NAME(tcache_bin_flush_small)
    (JE_NAME(tsd_tls), &tcache, &cache, bin, 0);
}

void je_batch_give(int flags, unsigned bin, void *const *objects,
                   uint32_t count)
{
    uint32_t given = 0, step = 1;
    if (can_batch() && count > 1 &&
        JE_NAME(tcache_bin_info)[bin].most <= PLACES) {
        const uint32_t most = JE_NAME(tcache_bin_info)[bin].most;
        /* The thread may have used jemalloc for nothing so far. */
        JE_NAME(dallocx)(objects[given++], JE_TCACHE_NONE);
        for (; given < count; given += step) {
            step = count - given < most ? count - given : most;
            if (step > BATCH_MOST)
                step = BATCH_MOST;
            give_step(flags, bin, objects + given, step);
        }
    }
    for (; given < count; given++)
        JE_NAME(dallocx)(objects[given], JE_TCACHE_NONE);
}

#else

/* The shared library does not show these. */
uint32_t je_batch_take(int flags, unsigned bin, void **objects, uint32_t count)
{
    (void)flags, (void)bin, (void)objects, (void)count;
    return 0;
}

void je_batch_give(int flags, unsigned bin, void *const *objects,
                   uint32_t count)
{
    (void)flags, (void)bin;
    for (uint32_t i = 0; i < count; i++)
        JE_NAME(dallocx)(objects[i], JE_TCACHE_NONE);
}

#endif
