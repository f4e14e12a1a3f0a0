/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads of a heap that is full: how much each of them holds, and which of
 * them gives way to which. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "allocator_gate.h"
#include "cpu_count.h"
#include "exhaustion.h"
#include "fair_share.h"
#include "heap.h"
#include "heap_create.h"
#include "heap_resize.h"
#include "heap_struct.h"
#include "layer_test.h"
#include "region_pool.h"
#include "thread_cache.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define LIMIT (32 * MIB)
#define MOST_OBJECTS (LIMIT / 4096 + 1)
#define FREES_OF_LOOK 16
#define VAIN_MOST 64
#define FREES_OF_STOP 256
#define STOPS_LOG_MOST 6

static int owner;
static struct memkind_region_pool pool;
static struct memkind_heap *heap;
static void *objects[MOST_OBJECTS];
static size_t count;

static void begin_with(unsigned arenas)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), LIMIT, &owner), 0);
    const struct heap_config config = {.arenas = {.pool = &pool,
                                                  .address_owner = &owner,
                                                  .limit = arenas,
                                                  .dirty_decay_ms = 10000}};
    REQUIRE_EQ(heap_create(&config, &heap), 0);
    count = 0;
}

static void end(void)
{
    heap_destroy(heap);
    region_pool_close(&pool);
}

static void *allocate(size_t size)
{
    return heap_malloc(heap, size, 0);
}

static void release(void *object)
{
    CHECK_EQ(heap_free(heap, object), HEAP_OK);
}

static void fill(size_t size)
{
    while (count < MOST_OBJECTS && (objects[count] = allocate(size)) != NULL)
        count++;
    REQUIRE(count > 0 && count < MOST_OBJECTS);
}

static struct thread_cache *own_cache(void)
{
    struct thread_cache *cache = heap_cache(heap);
    cache->ticks = INT32_MAX;
    return cache;
}

static int64_t holds(void)
{
    return atomic_load(&own_cache()->magazines.holds);
}

/* What the thread's magazines have is held, too. */
static int64_t cached(void)
{
    return (int64_t)magazine_bytes(&own_cache()->magazines);
}

/* ---- what a thread holds ------------------------------------------------ */

static const size_t sizes[] = {8,        64,        1000,      4 * KIB,
                               30 * KIB, 100 * KIB, 1000 * KIB};
#define SIZES (sizeof sizes / sizeof sizes[0])

static int64_t live;

static void allocate_some(size_t number)
{
    for (size_t i = 0; i < number; i++) {
        void *ptr = allocate(sizes[i % SIZES]);
        REQUIRE_NOT_NULL(ptr);
        objects[count++] = ptr;
        live += (int64_t)heap_usable_size(heap, ptr);
    }
}

static void release_some(size_t number)
{
    while (number-- > 0) {
        void *ptr = objects[--count];
        live -= (int64_t)heap_usable_size(heap, ptr);
        release(ptr);
    }
}

static void test_what_a_thread_holds_is_counted(void)
{
    enum { SOME = 10 * SIZES };
    begin_with(1);
    live = 0;
    for (int round = 0; round < 3; round++) {
        allocate_some(SOME);
        CHECK_EQ(holds(), live + cached());
        release_some(SOME / 2);
        CHECK_EQ(holds(), live + cached());
        allocate_some(SOME / 3);
        CHECK_EQ(holds(), live + cached());
        release_some(count);
        CHECK_EQ(holds(), live + cached());
        heap_purge(heap);
        CHECK_EQ(cached(), 0);
        CHECK_EQ(holds(), 0);
    }
    end();
}

static void test_it_is_counted_in_a_full_heap(void)
{
    enum { FREED = 3 * SIZES };
    begin_with(1);
    live = 0;
    allocate_some(5 * SIZES);
    const size_t first = count;
    fill(4 * KIB);
    for (size_t i = first; i < count; i++)
        live += (int64_t)(4 * KIB);
    REQUIRE(exhaustion_holds(heap));
    CHECK_EQ(holds(), live);
    for (int round = 0; round < 3; round++) {
        release_some(FREED);
        CHECK_EQ(holds(), live);
        for (size_t i = 0; i < FREED; i++) {
            objects[count++] = allocate(4 * KIB);
            REQUIRE_NOT_NULL(objects[count - 1]);
            live += (int64_t)(4 * KIB);
        }
        CHECK_EQ(holds(), live);
    }
    release_some(count);
    CHECK_EQ(holds(), cached());
    end();
}

/* They have no magazines. */
static void test_huge_objects_are_counted(void)
{
    begin_with(1);
    void *ptr = allocate(9 * MIB);
    REQUIRE_NOT_NULL(ptr);
    CHECK_EQ(holds(), heap_usable_size(heap, ptr));
    ptr = heap_realloc(heap, ptr, 17 * MIB);
    REQUIRE_NOT_NULL(ptr);
    CHECK_EQ(holds(), heap_usable_size(heap, ptr));
    ptr = heap_realloc(heap, ptr, 11 * MIB);
    REQUIRE_NOT_NULL(ptr);
    CHECK_EQ(holds(), heap_usable_size(heap, ptr));
    release(ptr);
    CHECK_EQ(holds(), 0);
    end();
}

static void *release_all(void *unused)
{
    while (count > 0)
        release(objects[--count]);
    CHECK_EQ(holds(), 0);
    return unused;
}

/* From an arena that is not the thread's own. */
static void *take_elsewhere(void *unused)
{
    CHECK_EQ(holds(), 0);
    void *ptr = allocate(4 * KIB);
    REQUIRE_NOT_NULL(ptr);
    CHECK_EQ(holds(), (int64_t)(4 * KIB));
    release(ptr);
    CHECK_EQ(holds(), 0);
    return unused;
}

static void test_objects_of_other_arenas_are_counted(void)
{
    begin_with(2);
    fill(4 * KIB);
    release(objects[--count]);
    run_in_thread(take_elsewhere, NULL);
    end();
}

static void test_who_frees_for_others_holds_nothing(void)
{
    begin_with(2);
    fill(4 * KIB);
    run_in_thread(release_all, NULL);
    end();
}

static void *hold_some(void *unused)
{
    live = 0;
    allocate_some(10 * SIZES);
    release_some(count / 2);
    CHECK_EQ(holds(), live + cached());
    own_cache()->share.stops = 1;
    return unused;
}

static void *hold_what_is_cached(void *unused)
{
    CHECK_EQ(own_cache()->share.stops, 0);
    CHECK(cached() > 0);
    CHECK_EQ(holds(), cached());
    return unused;
}

/* The cache is another thread's then, with what lies in it. */
static void test_next_thread_begins_with_the_cache(void)
{
    begin_with(2);
    void *own = allocate(64);
    run_in_thread(hold_some, NULL);
    run_in_thread(hold_what_is_cached, NULL);
    release(own);
    end();
}

/* ---- giving way --------------------------------------------------------- */

/* A heap that this thread has filled, with caches for other threads. */
static void begin_full(unsigned others)
{
    begin_with(others + 1);
    objects[count++] = allocate(4 * KIB);
    for (unsigned i = 0; i < others; i++) {
        struct arena_returns *returns = &heap->arenas.returns;
        ranked_lock_take(&heap->arenas.lock);
        arena_returns_open_tally(returns, i + 1);
        ranked_lock_release(&heap->arenas.lock);
    }
    fill(4 * KIB);
    REQUIRE_EQ(atomic_load(&heap->arenas.returns.tally_count), others + 1);
    CHECK_EQ(own_cache()->magazines.tally, 0);
    own_cache()->share =
        (struct fair_share){.frees_left = FREES_OF_LOOK - 1, .other = 1};
}

static struct return_tally *tally_of(unsigned number)
{
    return arena_returns_tally(&heap->arenas.returns, number);
}

/* What another thread would do. */
static void refuse(unsigned number, int64_t held)
{
    arena_returns_note_failure(&heap->arenas.returns, number, 1);
    arena_returns_note_refused(&heap->arenas.returns, number, held);
}

/* Frees objects, and takes them again. If no allocation failed, the heap would
 * not be exhausted for long. */
static void exchange(unsigned number)
{
    for (unsigned i = 0; i < number; i++) {
        void **object = &objects[i % count];
        release(*object);
        *object = allocate(4 * KIB);
        REQUIRE_NOT_NULL(*object);
        if (i % FREES_OF_LOOK == 0)
            arena_returns_note_failure(&heap->arenas.returns, 0, 1);
    }
}

/* What another thread would do when it gets an object. */
static void serve(unsigned number)
{
    arena_returns_note_served(&heap->arenas.returns, number);
}

static struct fair_share *share(void)
{
    return &own_cache()->share;
}

/* Whether the thread looks at each free. */
static bool gives_way(void)
{
    return share()->frees_left == 0;
}

static void test_way_is_given_to_who_holds_little(void)
{
    begin_full(1);
    exchange(FREES_OF_LOOK);
    CHECK(!gives_way());
    refuse(1, 0);
    exchange(FREES_OF_LOOK - 1);
    CHECK(gives_way()); /* with the next free */
    exchange(1);
    CHECK(gives_way()); /* and the one after it */
    CHECK_EQ(share()->vain, 1);
    refuse(1, 0);
    exchange(1);
    CHECK(gives_way());
    CHECK_EQ(share()->vain, 2);
    exchange(1); /* no failure since */
    CHECK_EQ(share()->frees_left, FREES_OF_LOOK - 1);
    end();
}

/* A thread that serves who is refused, a moment later. */
static atomic_bool is_over;

static void *serve_soon(void *unused)
{
    struct return_tally *tally = tally_of(1);
    while (!atomic_load(&is_over)) {
        if (!atomic_load(&tally->is_refused))
            continue;
        /* After tens of nanoseconds, or as many microseconds: how long a free
         * takes before it looks depends on how the library was built. */
        const unsigned most = 1U << (unsigned)rand() % 18;
        for (unsigned i = (unsigned)rand() % most; i > 0; i--)
            atomic_signal_fence(memory_order_seq_cst);
        serve(1);
    }
    return unused;
}

/* Whether a wait for an object of a class ever helps, in so many attempts. The
 * two threads may have to share a CPU for a while. */
static bool helps(unsigned wanted, long attempts)
{
    bool has_helped = false;
    pthread_t thread;
    atomic_store(&is_over, false);
    REQUIRE_EQ(pthread_create(&thread, NULL, serve_soon, NULL), 0);
    for (long i = 1; i <= attempts && !has_helped; i++) {
        if (i % 1024 == 0)
            sched_yield();
        *share() = (struct fair_share){.other = 1, .vain = 1, .stops = 1};
        arena_returns_note_failure(&heap->arenas.returns, 1, wanted);
        arena_returns_note_refused(&heap->arenas.returns, 1, 0);
        exchange(1);
        has_helped = share()->vain == 0;
        CHECK_EQ(share()->stops, has_helped ? 0 : 1);
    }
    atomic_store(&is_over, true);
    REQUIRE_EQ(pthread_join(thread, NULL), 0);
    return has_helped;
}

static void test_a_wait_may_help(void)
{
    enum { MANY = 20000000 };
    if (cpu_count() == 1) {
        puts("skipped: one CPU has one thread at a time");
        return;
    }
    begin_full(1);
    CHECK(helps(size_class_of(4 * KIB), MANY));
    CHECK(helps(size_class_of(16 * KIB), MANY));
    CHECK(!helps(size_class_of(16 * KIB) + 1, 20000));
    CHECK(!helps(SIZE_CLASS_HUGE, 20000));
    end();
}

/* It may be refused something the next moment. */
static void test_who_has_been_served_is_looked_at_again(void)
{
    begin_full(1);
    exchange(FREES_OF_LOOK - 1);
    refuse(1, 0);
    serve(1);
    exchange(1);
    CHECK(gives_way());
    CHECK_EQ(share()->vain, 1);
    end();
}

static void test_way_is_not_given_to_who_holds_much(void)
{
    begin_full(1);
    /* An object is free during the look. */
    const int64_t own = holds() - (int64_t)(4 * KIB);
    const int64_t held[] = {own / 2, own, own * 2};
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
        exchange(FREES_OF_LOOK - 1);
        refuse(1, held[i]);
        exchange(1);
        CHECK_EQ(share()->frees_left, FREES_OF_LOOK - 1);
        CHECK_EQ(share()->vain, 0);
    }
    refuse(1, own / 2 - 1);
    exchange(FREES_OF_LOOK);
    CHECK(gives_way());
    CHECK_EQ(share()->vain, 1);
    end();
}

/* Threads that hold next to nothing do not wait for each other. */
static void test_way_is_not_given_for_little(void)
{
    begin_full(1);
    atomic_store(&own_cache()->magazines.holds, 68 * KIB);
    exchange(FREES_OF_LOOK - 1);
    refuse(1, 0); /* an object is free during the look */
    exchange(1);
    CHECK(!gives_way());
    atomic_store(&own_cache()->magazines.holds, 68 * KIB + 1);
    exchange(FREES_OF_LOOK - 1);
    refuse(1, 0);
    exchange(1);
    CHECK(gives_way());
    end();
}

static void test_all_others_are_looked_at(void)
{
    enum { OTHERS = 4 };
    begin_full(OTHERS);
    for (unsigned number = OTHERS; number > 0; number--) {
        unsigned looks = 0;
        while (!gives_way() && looks++ <= OTHERS) {
            exchange(FREES_OF_LOOK - 1);
            refuse(number, 0);
            exchange(1);
        }
        CHECK(gives_way());
        CHECK_EQ(share()->other, number);
        exchange(1); /* no failure since */
        CHECK(!gives_way());
    }
    end();
}

/* The one that is found stays the one that is looked at. */
static void test_one_of_several_is_given_way_again_and_again(void)
{
    begin_full(3);
    share()->other = 2;
    for (unsigned i = 0; i < VAIN_MOST - 1; i++) {
        exchange(i == 0 ? FREES_OF_LOOK - 1 : 0);
        refuse(2, 0);
        exchange(1);
        CHECK(gives_way());
        CHECK_EQ(share()->other, 2);
    }
    CHECK_EQ(share()->vain, VAIN_MOST - 1);
    end();
}

/* Returns for how many frees a thread stops, after it has waited in vain. */
static unsigned wait_in_vain(void)
{
    do {
        exchange(share()->frees_left);
        refuse(1, 0);
        exchange(1);
    } while (gives_way());
    return share()->frees_left;
}

static void test_who_waits_in_vain_stops(void)
{
    begin_full(1);
    unsigned stop = FREES_OF_STOP;
    for (int i = 0; i <= STOPS_LOG_MOST + 1; i++) {
        CHECK_EQ(wait_in_vain(), stop);
        if (i < STOPS_LOG_MOST)
            stop *= 2;
    }
    CHECK_EQ(share()->stops, STOPS_LOG_MOST);
    end();
}

/* Then the others have their turn. */
static void test_who_stops_looks_at_the_next(void)
{
    begin_full(2);
    (void)wait_in_vain();
    CHECK_EQ(share()->other, 2);
    end();
}

/* Its tally may have been another one. */
static void test_a_thread_does_not_look_at_itself(void)
{
    begin_full(2);
    *share() = (struct fair_share){.other = 0};
    arena_returns_note_refused(&heap->arenas.returns, 0, 0);
    exchange(1);
    CHECK_EQ(share()->frees_left, FREES_OF_LOOK - 1);
    CHECK_EQ(share()->other, 1);
    end();
}

/* Only what was freed in a full heap, and may serve another, is followed by a
 * look. */
static void test_not_all_frees_count(void)
{
    begin_with(2);
    share()->frees_left = FREES_OF_LOOK;
    for (int i = 0; i < FREES_OF_LOOK; i++)
        release(allocate(4 * KIB));
    CHECK_EQ(share()->frees_left, FREES_OF_LOOK);
    void *huge = allocate(9 * MIB);
    fill(4 * KIB);
    release(huge);
    CHECK_EQ(share()->frees_left, FREES_OF_LOOK);
    release(objects[--count]);
    CHECK_EQ(share()->frees_left, FREES_OF_LOOK - 1);
    CHECK_EQ(heap_free(heap, objects[count]), HEAP_DOUBLE_FREE);
    CHECK_EQ(share()->frees_left, FREES_OF_LOOK - 1);
    end();
}

static void *get_nothing_and_one(void *unused)
{
    struct return_tally *tally = tally_of(own_cache()->magazines.tally);
    CHECK_NULL(allocate(4 * KIB));
    CHECK(atomic_load(&tally->is_refused));
    CHECK_EQ(atomic_load(&tally->refused_holds), 0);
    CHECK_NULL(allocate(4 * KIB)); /* without a look at the arenas */
    CHECK(atomic_load(&tally->is_refused));
    void *ptr = objects[--count];
    release(ptr);
    CHECK(atomic_load(&tally->is_refused));
    objects[count] = allocate(4 * KIB);
    CHECK_NOT_NULL(objects[count++]);
    CHECK(!atomic_load(&tally->is_refused));
    return unused;
}

static void test_refusals_are_noted(void)
{
    begin_full(1);
    run_in_thread(get_nothing_and_one, NULL);
    end();
}

static void *get_nothing(void *unused)
{
    CHECK_NULL(allocate(4 * KIB));
    return unused;
}

/* It is refused at once, and has no cache then. */
static void test_a_first_call_is_not_noted(void)
{
    begin_full(1);
    CHECK_NULL(allocate(4 * KIB));
    serve(0);
    run_in_thread(get_nothing, NULL);
    CHECK(!atomic_load(&tally_of(0)->is_refused));
    CHECK(!thread_cache_none.share.is_refused);
    end();
}

/* They are refused whatever others free. */
static void test_what_no_heap_can_hold_is_not_noted(void)
{
    begin_full(1);
    struct return_tally *tally = tally_of(own_cache()->magazines.tally);
    serve(own_cache()->magazines.tally);
    CHECK_NULL(allocate(LIMIT + 1));
    CHECK_NULL(allocate(9 * MIB));
    CHECK(!atomic_load(&tally->is_refused));
    CHECK_NULL(allocate(4 * KIB));
    CHECK(atomic_load(&tally->is_refused));
    end();
}

static const struct test_case tests[] = {
    {"what a thread holds is counted", test_what_a_thread_holds_is_counted},
    {"it is counted in a full heap", test_it_is_counted_in_a_full_heap},
    {"huge objects are counted", test_huge_objects_are_counted},
    {"objects of other arenas are counted",
     test_objects_of_other_arenas_are_counted},
    {"who frees for others holds nothing",
     test_who_frees_for_others_holds_nothing},
    {"the next thread begins with the cache",
     test_next_thread_begins_with_the_cache},
    {"way is given to who holds little", test_way_is_given_to_who_holds_little},
    {"a wait may help", test_a_wait_may_help},
    {"who has been served is looked at again",
     test_who_has_been_served_is_looked_at_again},
    {"way is not given to who holds much",
     test_way_is_not_given_to_who_holds_much},
    {"way is not given for little", test_way_is_not_given_for_little},
    {"all others are looked at", test_all_others_are_looked_at},
    {"one of several is given way again and again",
     test_one_of_several_is_given_way_again_and_again},
    {"who waits in vain stops", test_who_waits_in_vain_stops},
    {"who stops looks at the next", test_who_stops_looks_at_the_next},
    {"a thread does not look at itself", test_a_thread_does_not_look_at_itself},
    {"not all frees count", test_not_all_frees_count},
    {"refusals are noted", test_refusals_are_noted},
    {"a first call is not noted", test_a_first_call_is_not_noted},
    {"what no heap can hold is not noted",
     test_what_no_heap_can_hold_is_not_noted},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("fair_share", tests, argc, argv);
}
