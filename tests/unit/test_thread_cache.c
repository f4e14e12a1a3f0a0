/* SPDX-License-Identifier: BSD-2-Clause */
/* How a thread and other threads get at its magazines if membarrier(2) is
 * there, is missing, or is forbidden later. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator_gate.h"
#include "cache_visit.h"
#include "heap.h"
#include "heap_create.h"
#include "jemalloc_private.h"
#include "layer_test.h"
#include "memory_barrier.h"
#include "sys_calls.h"
#include "test_membarrier.h"
#include "thread_cache.h"

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;

/* Visits are made inside the allocator. */
static void visit_all(magazine_visit_fn *function)
{
    REQUIRE(allocator_enter());
    cache_visit_all(&heap->caches, function);
    allocator_leave();
}

static int (*real_membarrier)(int command);
static unsigned barriers;

static int count_membarrier(int command)
{
    barriers++;
    return real_membarrier(command);
}

static struct memkind_heap *make_heap(void)
{
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = 2,
                                                  .dirty_decay_ms = 10000}};
    struct memkind_heap *made = NULL;
    REQUIRE_EQ(heap_create(&config, &made), 0);
    return made;
}

static void begin(void)
{
    real_membarrier = sys.membarrier;
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    heap = make_heap();
}

static void end(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
    sys.membarrier = real_membarrier;
    memory_barrier_register();
}

static void use(void)
{
    void *ptr = heap_malloc(heap, 64, 0);
    CHECK_NOT_NULL(ptr);
    CHECK_EQ(heap_free(heap, ptr), HEAP_OK);
}

/* ---- another thread, which has a cache and sleeps ----------------------- */

static pthread_barrier_t step;
static struct thread_cache *other_cache;

static void *use_and_sleep(void *unused)
{
    use();
    other_cache = heap_cache(heap);
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return unused;
}

static pthread_t start_other(void)
{
    pthread_t thread;
    pthread_barrier_init(&step, NULL, 2);
    REQUIRE_EQ(pthread_create(&thread, NULL, use_and_sleep, NULL), 0);
    pthread_barrier_wait(&step);
    return thread;
}

static void end_other(pthread_t thread)
{
    pthread_barrier_wait(&step);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&step);
}

static unsigned visits;

static void count_visit(struct magazines *cache)
{
    (void)cache;
    visits++;
}

/* ---- tests -------------------------------------------------------------- */

static void test_with_membarrier(void)
{
    begin();
    if (!memory_barrier_is_asymmetric()) {
        end();
        return;
    }
    pthread_t thread = start_other();
    struct thread_cache *cache = heap_cache(heap);
    sys.membarrier = count_membarrier;
    barriers = visits = 0;
    CHECK_EQ(other_cache->gate, 0);
    visit_all(count_visit);
    CHECK_EQ(visits, 2);
    CHECK_EQ(barriers, 1);
    CHECK_EQ(other_cache->gate, 0);
    CHECK(thread_cache_enter(cache));
    thread_cache_leave(cache);
    CHECK(!thread_cache_enter_fenced(cache));
    end_other(thread);
    end();
}

static void test_forbidden_while_threads_sleep(void)
{
    begin();
    pthread_t thread = start_other();
    struct thread_cache *cache = heap_cache(heap);
    sys.membarrier = no_membarrier;
    visits = 0;
    visit_all(count_visit);
    /* The visit reached both caches; from now on both threads use fences. */
    CHECK_EQ(visits, 2);
    CHECK(!memory_barrier_is_asymmetric());
    CHECK_EQ(other_cache->gate, GATE_FENCE);
    CHECK(other_cache->is_fenced);
    CHECK_EQ(cache->gate, GATE_FENCE);
    CHECK(!thread_cache_enter(cache));
    CHECK(thread_cache_enter_fenced(cache));
    /* As in a signal handler now. */
    CHECK(!thread_cache_enter_fenced(cache));
    thread_cache_leave(cache);
    use();
    end_other(thread);
    end();
}

static void test_missing_from_the_start(void)
{
    begin();
    sys.membarrier = no_membarrier;
    memory_barrier_register();
    pthread_t thread = start_other();
    CHECK_EQ(other_cache->gate, GATE_FENCE);
    visits = 0;
    visit_all(count_visit);
    CHECK_EQ(visits, 1);
    end_other(thread);
    end();
}

/* A thread that stays inside is not visited; one that comes later stays out. */
static void test_a_thread_inside_is_respected(void)
{
    begin();
    sys.membarrier = no_membarrier;
    pthread_t thread = start_other();
    visits = 0;
    other_cache->busy = 1;
    visit_all(count_visit);
    CHECK_EQ(visits, 0);
    other_cache->busy = 0;
    visit_all(count_visit);
    CHECK_EQ(visits, 1);
    end_other(thread);
    end();
}

/* A child may find the call forbidden that its parent had. */
static void test_forbidden_in_a_child(void)
{
    int status = -1;
    begin();
    use();
    struct thread_cache *cache = heap_cache(heap);
    CHECK_EQ(cache->gate, memory_barrier_is_asymmetric() ? 0 : GATE_FENCE);
    sys.membarrier = no_membarrier;
    pid_t child = fork();
    if (child == 0)
        _exit(cache->gate == GATE_FENCE && cache->is_fenced &&
                      heap_malloc(heap, 64, 0) != NULL
                  ? 0
                  : 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    end();
}

/* In the slow ways, a signal handler stays out, and so do visitors. */
static void test_slow_ways(void)
{
    begin();
    use();
    struct thread_cache *cache = heap_cache(heap);
    thread_cache_enter_slowly(cache);
    CHECK(!thread_cache_enter(cache));
    CHECK(!thread_cache_enter_fenced(cache));
    CHECK_NE(pthread_mutex_trylock(&cache->lock.mutex), 0);
    thread_cache_leave_slowly(cache);
    CHECK_EQ(pthread_mutex_trylock(&cache->lock.mutex), 0);
    pthread_mutex_unlock(&cache->lock.mutex);
    CHECK_EQ(cache->busy, 0);
    end();
}

#ifdef MEMKIND_JEMALLOC_EMBEDDED

/* Nothing comes from caches of jemalloc's, which would take more DRAM of each
 * thread than all else that it has here. */
static void *check_no_tcache(void *unused)
{
    bool is_on = true;
    size_t length = sizeof is_on;
    use();
    REQUIRE(allocator_enter());
    CHECK_EQ(
        JE_NAME(mallctl)("thread.tcache.enabled", &is_on, &length, NULL, 0), 0);
    allocator_leave();
    CHECK(!is_on);
    return unused;
}

static void test_no_cache_of_jemallocs(void)
{
    pthread_t thread;
    begin();
    check_no_tcache(NULL);
    REQUIRE_EQ(pthread_create(&thread, NULL, check_no_tcache, NULL), 0);
    pthread_join(thread, NULL);
    end();
}

#endif

static const struct test_case tests[] = {
    {"with membarrier", test_with_membarrier},
    {"forbidden while threads sleep", test_forbidden_while_threads_sleep},
    {"missing from the start", test_missing_from_the_start},
    {"a thread inside is respected", test_a_thread_inside_is_respected},
    {"forbidden in a child", test_forbidden_in_a_child},
    {"slow ways", test_slow_ways},
#ifdef MEMKIND_JEMALLOC_EMBEDDED
    {"no cache of jemalloc's", test_no_cache_of_jemallocs},
#endif
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("thread cache", tests, argc, argv);
}
