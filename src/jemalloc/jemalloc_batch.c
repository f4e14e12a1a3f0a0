/* SPDX-License-Identifier: BSD-2-Clause */
#include "jemalloc_batch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "jemalloc_ctl.h"
#include "jemalloc_private.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

#ifdef MEMKIND_TLS_INITIAL_EXEC
#define BATCH_TLS __attribute__((tls_model("initial-exec")))
#else
#define BATCH_TLS
#endif

/* What follows, as far as it is used, is that of jemalloc's cache_bin.h and
 * tcache_structs.h, and does not depend on how jemalloc is configured. */
#define KNOWN_RELEASE "5.3.0-0-"

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

/* A thread's caches: a pointer to what is seldom used, of which these words
 * come first: links, a description, and the arena. */
enum { SLOW_ARENA = 5, SLOW_WORDS };

/* They are there, unless it is another release. */
#define BATCH_WEAK __attribute__((weak, visibility("hidden")))

void JE_NAME(arena_cache_bin_fill_small)(void *tsdn, void *arena,
                                         struct cache_bin *cache,
                                         struct cache_bin_info *info,
                                         unsigned bin,
                                         unsigned count) BATCH_WEAK;
void JE_NAME(tcache_bin_flush_small)(void *tsd, void *tcache,
                                     struct cache_bin *cache, unsigned bin,
                                     unsigned left) BATCH_WEAK;
extern struct cache_bin_info *JE_NAME(tcache_bin_info) BATCH_WEAK;

extern __thread char JE_NAME(tsd_tls)[] BATCH_TLS
    __attribute__((visibility("hidden")));
extern void *JE_NAME(arenas)[] __attribute__((visibility("hidden")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_known;
static size_t page_mask; /* the bits of a size that are below a page */

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
    page_mask = je_page_size() - 1;
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

/* A cache of `count` objects that end at `end`, of at most `most`. (With its
 * assertions, jemalloc reads the word below the place of the last of these,
 * wherever that is on the stack.) */
static struct cache_bin cache_with(void **end, uint32_t count, uint32_t most)
{
    const uintptr_t empty = (uintptr_t)end;
    struct cache_bin cache = {.head = end - count};
    cache.low_water = (uint16_t)(uintptr_t)cache.head;
    cache.full = (uint16_t)(empty - most * sizeof *end);
    cache.empty = (uint16_t)empty;
    return cache;
}

uint32_t je_batch_take(int flags, unsigned bin, void **objects, uint32_t count)
{
    if (count == 0 || !can_batch())
        return 0;
    if (count > JE_BATCH_MOST) {
        objects += count - JE_BATCH_MOST;
        count = JE_BATCH_MOST;
    }
    struct cache_bin_info info = {JE_BATCH_MOST};
    struct cache_bin cache = cache_with(objects + count, 0, count);
    cache.requests = count;
    JE_NAME(arena_cache_bin_fill_small)
    (JE_NAME(tsd_tls), arena_of(flags), &cache, &info, bin, count);
    return (uint32_t)(objects + count - cache.head);
}

static void give_step(int flags, unsigned bin, void **end, uint32_t count)
{
    void *slow[SLOW_WORDS] = {[SLOW_ARENA] = arena_of(flags)};
    void *tcache[] = {slow};
    struct cache_bin cache =
        cache_with(end, count, JE_NAME(tcache_bin_info)[bin].most);
    JE_NAME(tcache_bin_flush_small)
    (JE_NAME(tsd_tls), tcache, &cache, bin, 0);
}

void je_batch_give(int flags, unsigned bin, void **objects, uint32_t count)
{
    uint32_t given = 0, step;
    const uint32_t most =
        count > 1 && can_batch() ? JE_NAME(tcache_bin_info)[bin].most : 0;
    if (most != 0) {
        /* The thread may have used jemalloc for nothing so far. */
        JE_NAME(dallocx)(objects[given++], JE_TCACHE_NONE);
        for (; given < count; given += step) {
            step = count - given < most ? count - given : most;
            give_step(flags, bin, objects + given + step, step);
        }
    }
    for (; given < count; given++)
        JE_NAME(dallocx)(objects[given], JE_TCACHE_NONE);
}

/* ---- slabs that go ------------------------------------------------------ */

/* How jemalloc's description of an extent begins. The low bits of the size are
 * of another kind. */
struct extent {
    /* cppcheck-suppress unusedStructMember; it has its place */
    uint64_t bits;
    void *start;
    size_t size;
};

static je_release_function *_Atomic released;

bool je_batch_watch_releases(je_release_function *function)
{
    if (!can_batch())
        return false;
    atomic_store(&released, function);
    return true;
}

/* May be called under all of jemalloc's locks. */
void je_batch_note_release(const void *extent)
{
    const struct extent *known = extent;
    je_release_function *function =
        atomic_load_explicit(&released, memory_order_acquire);
    if (function != NULL)
        function(known->start, known->size & ~page_mask);
}

#else

/* The shared library does not show these. */
uint32_t je_batch_take(int flags, unsigned bin, void **objects, uint32_t count)
{
    (void)flags, (void)bin, (void)objects, (void)count;
    return 0;
}

void je_batch_give(int flags, unsigned bin, void **objects, uint32_t count)
{
    (void)flags, (void)bin;
    for (uint32_t i = 0; i < count; i++)
        JE_NAME(dallocx)(objects[i], JE_TCACHE_NONE);
}

bool je_batch_watch_releases(je_release_function *function)
{
    (void)function;
    return false;
}

#endif
