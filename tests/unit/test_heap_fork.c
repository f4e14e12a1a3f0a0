/* SPDX-License-Identifier: BSD-2-Clause */
/* fork() with many heaps and many threads: what is closed and written to for
 * it, what the parent's threads find afterwards, and what a child has of their
 * caches. */
#include <pthread.h>
#include <stdatomic.h>

#include "allocator_gate.h"
#include "cache_visit.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_stat.h"
#include "layer_test.h"
#include "memory_barrier.h"
#include "region_pool.h"
#include "sys_calls.h"
#include "test_child.h"
#include "thread_cache.h"
#include "upkeep.h"

#define HEAPS 3
#define THREADS 8
#define OBJECTS 4
#define SIZE ((size_t)1000)

static int owners[HEAPS];
static struct memkind_region_pool pools[HEAPS];
static struct memkind_heap *heaps[HEAPS];

static struct sys_calls real;
static unsigned barriers;

static int count_membarrier(int command)
{
    barriers++;
    return real.membarrier(command);
}

static void begin(void)
{
    real = sys;
    for (int i = 0; i < HEAPS; i++) {
        REQUIRE_EQ(region_pool_open_memory(&pools[i], &owners[i]), 0);
        const struct heap_config config = {
            .arenas = {.pool = &pools[i],
                       .address_owner = &owners[i],
                       .limit = 2,
                       .dirty_decay_ms = 10000}};
        REQUIRE_EQ(heap_create(&config, &heaps[i]), 0);
    }
}

static void end(void)
{
    sys = real;
    for (int i = 0; i < HEAPS; i++) {
        heap_destroy(heaps[i]);
        region_pool_close(&pools[i]);
    }
}

static int return_zero(void)
{
    return 0;
}

static void fork_and_wait(void)
{
    CHECK_EQ(child_run(return_zero), 0);
}

/* ---- threads with caches ------------------------------------------------ */

static pthread_t threads[THREADS];
static pthread_barrier_t meeting;
static struct thread_cache *caches[THREADS][HEAPS];

static void use(struct memkind_heap *heap)
{
    void *objects[OBJECTS];
    for (int i = 0; i < OBJECTS; i++)
        CHECK_NOT_NULL(objects[i] = heap_malloc(heap, SIZE, 0));
    for (int i = 0; i < OBJECTS; i++)
        CHECK_EQ(heap_free(heap, objects[i]), HEAP_OK);
}

/* Uses all heaps, and uses them once more after two meetings. */
static void *use_and_wait(void *own_caches)
{
    struct thread_cache **own = own_caches;
    for (int i = 0; i < HEAPS; i++) {
        use(heaps[i]);
        own[i] = heap_cache(heaps[i]);
    }
    pthread_barrier_wait(&meeting);
    pthread_barrier_wait(&meeting);
    for (int i = 0; i < HEAPS; i++)
        use(heaps[i]);
    pthread_barrier_wait(&meeting);
    pthread_barrier_wait(&meeting);
    return NULL;
}

static void start_threads(void)
{
    pthread_barrier_init(&meeting, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, use_and_wait, caches[i]),
                   0);
    pthread_barrier_wait(&meeting);
}

static void let_threads_use_heaps(void)
{
    pthread_barrier_wait(&meeting);
    pthread_barrier_wait(&meeting);
}

static void end_threads(void)
{
    pthread_barrier_wait(&meeting);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&meeting);
}

/* ---- the parent --------------------------------------------------------- */

/* After the one for the allocator's gate. */
static void test_one_barrier_for_all_heaps(void)
{
    begin();
    start_threads();
    sys.membarrier = count_membarrier;
    barriers = 0;
    fork_and_wait();
    if (memory_barrier_is_asymmetric())
        CHECK_EQ(barriers, 2);
    sys = real;
    let_threads_use_heaps();
    end_threads();
    end();
}

/* A gate that fork() has closed is opened by the cache's thread, and by no
 * other: a cache of a thread that sleeps is not written to once more. */
static void test_threads_open_their_gates(void)
{
    begin();
    start_threads();
    for (int forks = 0; forks < 2; forks++) {
        fork_and_wait();
        for (int i = 0; i < THREADS; i++)
            for (int j = 0; j < HEAPS; j++)
                CHECK((caches[i][j]->gate & GATE_FORKED) != 0);
    }
    let_threads_use_heaps();
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < HEAPS; j++)
            CHECK_EQ(caches[i][j]->gate & ~(GATE_FENCE | GATE_LOCKS), 0);
    fork_and_wait();
    end_threads();
    end();
}

/* What holds nothing is left alone. */
static void test_sealed_caches_stay_open(void)
{
    begin();
    start_threads();
    for (int j = 0; j < HEAPS; j++)
        heap_purge(heaps[j]);
    fork_and_wait();
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < HEAPS; j++)
            CHECK_EQ(caches[i][j]->gate & ~(GATE_FENCE | GATE_LOCKS), 0);
    let_threads_use_heaps();
    end_threads();
    end();
}

/* The thread that forks finds its own cache with what was in it. */
static void test_the_thread_that_forks_goes_on(void)
{
    begin();
    void *ptr = heap_malloc(heaps[0], SIZE, 0);
    CHECK_EQ(heap_free(heaps[0], ptr), HEAP_OK);
    fork_and_wait();
    CHECK_EQ(heap_malloc(heaps[0], SIZE, 0), ptr);
    CHECK_EQ(heap_cache(heaps[0])->gate & GATE_FORKED, 0);
    CHECK_EQ(heap_free(heaps[0], ptr), HEAP_OK);
    end();
}

/* ---- the child ---------------------------------------------------------- */

static int check_nothing_is_used(void)
{
    NEED(heap_stat_snapshot() == 0);
    for (int i = 0; i < HEAPS; i++)
        NEED(heap_stat(heaps[i], HEAP_ALLOCATED) == 0);
    for (int i = 0; i < HEAPS; i++)
        heap_purge(heaps[i]);
    NEED(heap_stat_snapshot() == 0);
    for (int i = 0; i < HEAPS; i++)
        NEED(heap_stat(heaps[i], HEAP_ACTIVE) == 0);
    return 0;
}

static int have_orphans(void)
{
    for (int i = 0; i < HEAPS; i++) {
        unsigned count = 0;
        for (struct thread_cache *cache =
                 atomic_load(&heaps[i]->caches.orphans);
             cache != NULL; cache = cache->next)
            count++;
        NEED(count == THREADS);
        NEED(heaps[i]->caches.caches == NULL);
        NEED(atomic_load(&heaps[i]->caches.active) == NULL);
        NEED(cache_visit_may_find(&heaps[i]->caches));
    }
    return 0;
}

static int count_what_orphans_hold(void)
{
    NEED(have_orphans() == 0);
    NEED(check_nothing_is_used() == 0);
    for (int i = 0; i < HEAPS; i++)
        NEED(!cache_visit_may_find(&heaps[i]->caches));
    return 0;
}

static int count_in_grandchild(void)
{
    NEED(have_orphans() == 0);
    use(heaps[0]); /* this thread has a cache, too */
    return child_run(check_nothing_is_used);
}

static int destroy_with_orphans(void)
{
    NEED(have_orphans() == 0);
    end();
    return 0;
}

static void *use_in_thread(void *unused)
{
    for (int i = 0; i < HEAPS; i++)
        use(heaps[i]);
    return unused;
}

#ifndef __SANITIZE_THREAD__
/* New threads get caches, and orphans are none of them. */
static int start_threads_in_child(void)
{
    pthread_t thread;
    for (int i = 0; i < 20; i++) {
        NEED(pthread_create(&thread, NULL, use_in_thread, NULL) == 0);
        pthread_join(thread, NULL);
    }
    return check_nothing_is_used();
}
#endif

static void test_children_have_orphans(void)
{
    begin();
    start_threads();
    CHECK_EQ(child_run(count_what_orphans_hold), 0);
    CHECK_EQ(child_run(count_in_grandchild), 0);
    CHECK_EQ(child_run(destroy_with_orphans), 0);
#ifndef __SANITIZE_THREAD__ /* does not allow it */
    CHECK_EQ(child_run(start_threads_in_child), 0);
#endif
    let_threads_use_heaps();
    CHECK_EQ(child_run(count_what_orphans_hold), 0);
    end_threads();
    end();
}

static int use_own_cache(void)
{
    use(heaps[0]);
    NEED(heaps[0]->caches.caches == heap_cache(heaps[0]));
    NEED(heaps[0]->caches.caches->next == NULL);
    NEED(atomic_load(&heaps[0]->caches.active) == heap_cache(heaps[0]));
    NEED(heap_cache(heaps[0])->next_active == NULL);
    return check_nothing_is_used();
}

static void test_a_child_keeps_its_own_cache(void)
{
    begin();
    use(heaps[0]);
    start_threads();
    CHECK_EQ(child_run(use_own_cache), 0);
    let_threads_use_heaps();
    CHECK_EQ(child_run(use_own_cache), 0);
    end_threads();
    end();
}

/* What has not aged yet in the parent may be an orphan. */
static int age_in_child(void)
{
    NEED(allocator_enter());
    NEED(heaps[0]->caches.to_age == NULL);
    NEED(!cache_visit_age_some(&heaps[0]->caches));
    allocator_leave();
    return use_own_cache();
}

static void test_a_fork_while_caches_age(void)
{
    begin();
    use(heaps[0]);
    start_threads();
    let_threads_use_heaps();
    REQUIRE(allocator_enter());
    cache_visit_begin_ageing(&heaps[0]->caches);
    allocator_leave();
    CHECK_NOT_NULL(heaps[0]->caches.to_age);
    CHECK_EQ(child_run(age_in_child), 0);
    end_threads();
    end();
}

/* ---- many at a time ----------------------------------------------------- */

static atomic_bool stop;

static void *use_until_stopped(void *unused)
{
    while (!atomic_load(&stop))
        for (int i = 0; i < HEAPS; i++)
            use(heaps[i]);
    return unused;
}

/* Threads of the parent had at most OBJECTS of each heap in their hands. */
static int check_little_is_used(void)
{
    NEED(heap_stat_snapshot() == 0);
    for (int i = 0; i < HEAPS; i++)
        NEED(heap_stat(heaps[i], HEAP_ALLOCATED) <= THREADS * OBJECTS * 1024);
    use_in_thread(NULL);
    return 0;
}

static void test_forks_while_threads_work(void)
{
    pthread_t workers[THREADS];
    begin();
    atomic_store(&stop, false);
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&workers[i], NULL, use_until_stopped, NULL),
                   0);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(child_run(check_little_is_used), 0);
        heap_purge(heaps[i % HEAPS]);
        upkeep_tick(heap_cache(heaps[i % HEAPS]));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i], NULL);
    CHECK_EQ(check_nothing_is_used(), 0);
    end();
}

static const struct test_case tests[] = {
    {"one barrier for all heaps", test_one_barrier_for_all_heaps},
    {"threads open their gates", test_threads_open_their_gates},
    {"sealed caches stay open", test_sealed_caches_stay_open},
    {"the thread that forks goes on", test_the_thread_that_forks_goes_on},
    {"children have orphans", test_children_have_orphans},
    {"a child keeps its own cache", test_a_child_keeps_its_own_cache},
    {"a fork while caches age", test_a_fork_while_caches_age},
    {"forks while threads work", test_forks_while_threads_work},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("fork of heaps", tests, argc, argv);
}
