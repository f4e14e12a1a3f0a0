/* SPDX-License-Identifier: BSD-2-Clause */
/* Which heaps there are, and how the registry waits for those that use one.
 * The heaps are made up: the registry does not look at them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "heap_registry.h"
#include "test_support.h"

/* ---- the registry's calls ---------------------------------------------- */

#define SLOTS HEAP_SLOTS

struct entry {
    struct memkind_heap *heap;
    uint64_t id;
    unsigned slot;
};

static bool enter(struct entry *entry)
{
    struct heap_place place;
    entry->heap = calloc(1, 1);
    REQUIRE_NOT_NULL(entry->heap);
    if (!heap_registry_add(entry->heap, &place)) {
        free(entry->heap);
        entry->heap = NULL;
        return false;
    }
    entry->id = place.id;
    entry->slot = place.slot;
    return true;
}

static void take_out(struct entry *entry)
{
    heap_registry_remove(entry->slot);
}

static void discard(struct entry *entry)
{
    take_out(entry);
    heap_registry_free_slot(entry->slot);
    free(entry->heap);
}

static struct memkind_heap *use(const struct entry *entry)
{
    const struct heap_place place = {.id = entry->id, .slot = entry->slot};
    return heap_registry_use(&place);
}

/* The first heap at or behind *slot, which becomes its slot. */
static struct memkind_heap *use_next(unsigned *slot)
{
    return heap_registry_use_next(slot);
}

static void done(struct memkind_heap *heap, unsigned slot)
{
    (void)heap;
    heap_registry_done(slot);
}

/* ---- slots ------------------------------------------------------------- */

enum { HEAPS = 8 };
static struct entry entries[HEAPS];

static void enter_all(void)
{
    for (int i = 0; i < HEAPS; i++)
        REQUIRE(enter(&entries[i]));
}

static int index_of(const struct memkind_heap *heap)
{
    for (int i = 0; i < HEAPS; i++)
        if (entries[i].heap == heap)
            return i;
    return -1;
}

static void test_each_has_a_slot(void)
{
    enter_all();
    for (int i = 0; i < HEAPS; i++) {
        CHECK_LT(entries[i].slot, SLOTS);
        for (int j = 0; j < i; j++)
            CHECK_NE(entries[i].slot, entries[j].slot);
    }
    for (int i = 0; i < HEAPS; i++)
        discard(&entries[i]);
}

/* A slot is given again only after it was freed, some time after its heap. */
static void test_a_slot_outlives_its_heap(void)
{
    struct entry first = {0}, second = {0}, third = {0};
    REQUIRE(enter(&first));
    take_out(&first);
    REQUIRE(enter(&second));
    CHECK_NE(second.slot, first.slot);
    heap_registry_free_slot(first.slot);
    REQUIRE(enter(&third));
    CHECK_EQ(third.slot, first.slot);
    /* The heap that was there is not found in its place. */
    CHECK_NULL(use(&first));
    free(first.heap);
    discard(&second);
    discard(&third);
}

static void test_all_slots_are_taken(void)
{
    static struct entry many[SLOTS + 1];
    size_t count = 0;
    while (count <= SLOTS && enter(&many[count]))
        count++;
    CHECK_GT(count, SLOTS / 2);
    REQUIRE_LE(count, SLOTS);
    CHECK(!enter(&many[count]));
    discard(&many[0]);
    REQUIRE(enter(&many[0]));
    for (size_t i = 0; i < count; i++)
        discard(&many[i]);
}

/* ---- heaps in use ------------------------------------------------------ */

static void test_found_by_its_place(void)
{
    struct entry entry = {0};
    REQUIRE(enter(&entry));
    struct entry wrong = entry;
    wrong.id--;
    CHECK_NULL(use(&wrong));
    CHECK_EQ(use(&entry), entry.heap);
    CHECK_EQ(use(&entry), entry.heap);
    done(entry.heap, entry.slot);
    done(entry.heap, entry.slot);
    take_out(&entry); /* does not wait */
    CHECK_NULL(use(&entry));
    heap_registry_free_slot(entry.slot);
    CHECK_NULL(use(&entry));
    free(entry.heap);
}

static void test_one_after_another(void)
{
    int seen[HEAPS] = {0};
    unsigned least = 0, slot = 0;
    struct memkind_heap *heap;
    enter_all();
    while ((heap = use_next(&slot)) != NULL) {
        const int i = index_of(heap);
        CHECK_GE(slot, least);
        if (i >= 0) {
            seen[i]++;
            CHECK_EQ(slot, entries[i].slot);
        }
        done(heap, slot);
        least = ++slot;
    }
    slot = SLOTS;
    CHECK_NULL(use_next(&slot));
    for (int i = 0; i < HEAPS; i++) {
        CHECK_EQ(seen[i], 1);
        discard(&entries[i]);
    }
}

static atomic_bool is_out;

static void *take_it_out(void *entry)
{
    take_out(entry);
    atomic_store(&is_out, true);
    return NULL;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {0, ms * 1000000};
    nanosleep(&time, NULL);
}

static void test_a_heap_waits_for_its_users(void)
{
    pthread_t thread;
    struct entry entry = {0};
    struct memkind_heap *found;
    REQUIRE(enter(&entry));
    unsigned slot = entry.slot;
    CHECK_EQ(use(&entry), entry.heap);
    CHECK_EQ(use_next(&slot), entry.heap);
    atomic_store(&is_out, false);
    REQUIRE_EQ(pthread_create(&thread, NULL, take_it_out, &entry), 0);
    /* The registry finds the heap no longer; but it has not gone yet. */
    while ((found = use(&entry)) != NULL) {
        done(found, entry.slot);
        sleep_ms(1);
    }
    sleep_ms(20);
    CHECK(!atomic_load(&is_out));
    done(entry.heap, entry.slot);
    sleep_ms(20);
    CHECK(!atomic_load(&is_out));
    done(entry.heap, entry.slot);
    pthread_join(thread, NULL);
    CHECK(atomic_load(&is_out));
    heap_registry_free_slot(entry.slot);
    free(entry.heap);
}

/* ---- looks ------------------------------------------------------------- */

static bool is_odd_one(struct memkind_heap *heap, const void *context)
{
    CHECK_EQ(context, entries);
    return index_of(heap) % 2 == 1;
}

static void test_only_those_that_suit(void)
{
    int seen[HEAPS] = {0};
    unsigned slot = 0;
    struct memkind_heap *heap;
    enter_all();
    take_out(&entries[3]);
    while ((heap = heap_registry_use_next_that(&slot, is_odd_one, entries)) !=
           NULL) {
        const int i = index_of(heap);
        REQUIRE_GE(i, 0);
        seen[i]++;
        CHECK_EQ(slot, entries[i].slot);
        done(heap, slot++);
    }
    for (int i = 0; i < HEAPS; i++)
        CHECK_EQ(seen[i], i % 2 == 1 && i != 3);
    heap_registry_free_slot(entries[3].slot);
    free(entries[3].heap);
    for (int i = 0; i < HEAPS; i++)
        if (i != 3)
            discard(&entries[i]);
}

static atomic_bool is_looking, may_end;

static bool look_long(struct memkind_heap *heap, const void *context)
{
    const struct entry *entry = context;
    if (heap == entry->heap) {
        atomic_store(&is_looking, true);
        while (!atomic_load(&may_end))
            sleep_ms(1);
    }
    return heap == entry->heap;
}

static void *look(void *entry)
{
    unsigned slot = 0;
    return heap_registry_use_next_that(&slot, look_long, entry);
}

/* A heap does not go while it is looked at, and is not found if it goes then.
 */
static void test_a_heap_waits_for_looks(void)
{
    enum { ROUNDS = 3 };
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t looker, remover;
        void *found;
        struct entry entry = {0};
        REQUIRE(enter(&entry));
        atomic_store(&is_looking, false);
        atomic_store(&may_end, false);
        atomic_store(&is_out, false);
        REQUIRE_EQ(pthread_create(&looker, NULL, look, &entry), 0);
        while (!atomic_load(&is_looking))
            sleep_ms(1);
        REQUIRE_EQ(pthread_create(&remover, NULL, take_it_out, &entry), 0);
        sleep_ms(20);
        CHECK(!atomic_load(&is_out));
        /* It does not wait for those that begin later. */
        unsigned slot = 0;
        CHECK_NULL(heap_registry_use_next_that(&slot, look_long, &entry));
        atomic_store(&may_end, true);
        pthread_join(looker, &found);
        pthread_join(remover, NULL);
        CHECK_NULL(found);
        CHECK(atomic_load(&is_out));
        heap_registry_free_slot(entry.slot);
        free(entry.heap);
    }
}

static atomic_uint looking;

static bool look_with_others(struct memkind_heap *heap, const void *context)
{
    const struct entry *entry = context;
    if (heap == entry->heap) {
        atomic_fetch_add(&looking, 1);
        while (!atomic_load(&may_end))
            sleep_ms(1);
    }
    return false;
}

static void *look_with_all(void *entry)
{
    unsigned slot = 0;
    return heap_registry_use_next_that(&slot, look_with_others, entry);
}

static bool is_this(struct memkind_heap *heap, const void *this)
{
    return heap == this;
}

/* So many threads look without a lock; who comes after them takes it. */
static void test_many_look(void)
{
    enum { MANY = 64 };
    pthread_t threads[MANY], remover;
    struct entry entry = {0}, other = {0};
    REQUIRE(enter(&entry));
    REQUIRE(enter(&other));
    atomic_store(&looking, 0);
    atomic_store(&may_end, false);
    atomic_store(&is_out, false);
    for (int i = 0; i < MANY; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, look_with_all, &entry), 0);
    while (atomic_load(&looking) < MANY)
        sleep_ms(1);
    unsigned slot = 0;
    CHECK_EQ(heap_registry_use_next_that(&slot, is_this, other.heap),
             other.heap);
    done(other.heap, slot);
    discard(&other); /* does not wait: no thread looks at that one */
    REQUIRE_EQ(pthread_create(&remover, NULL, take_it_out, &entry), 0);
    sleep_ms(20);
    CHECK(!atomic_load(&is_out));
    atomic_store(&may_end, true);
    for (int i = 0; i < MANY; i++)
        pthread_join(threads[i], NULL);
    pthread_join(remover, NULL);
    heap_registry_free_slot(entry.slot);
    free(entry.heap);
}

static bool is_alive(struct memkind_heap *heap, const void *unused)
{
    (void)unused;
    return *(volatile char *)heap == 1;
}

static atomic_bool is_over;

static void *look_on(void *unused)
{
    while (!atomic_load(&is_over)) {
        unsigned slot = 0;
        struct memkind_heap *heap;
        while ((heap = heap_registry_use_next_that(&slot, is_alive, NULL)) !=
               NULL)
            done(heap, slot++);
    }
    return unused;
}

static void *come_and_go(void *unused)
{
    for (int i = 0; i < 2000; i++) {
        struct entry entry = {0};
        if (!enter(&entry))
            continue;
        take_out(&entry);
        *(volatile char *)entry.heap = 1; /* no one looks any more */
        heap_registry_free_slot(entry.slot);
        free(entry.heap);
    }
    return unused;
}

/* No heap is looked at when it is gone, however many come and go. */
static void test_none_is_seen_that_is_gone(void)
{
    enum { EACH = 2 };
    pthread_t lookers[EACH], others[EACH];
    atomic_store(&is_over, false);
    for (int i = 0; i < EACH; i++) {
        REQUIRE_EQ(pthread_create(&lookers[i], NULL, look_on, NULL), 0);
        REQUIRE_EQ(pthread_create(&others[i], NULL, come_and_go, NULL), 0);
    }
    for (int i = 0; i < EACH; i++)
        pthread_join(others[i], NULL);
    atomic_store(&is_over, true);
    for (int i = 0; i < EACH; i++)
        pthread_join(lookers[i], NULL);
}

/* ---- fork -------------------------------------------------------------- */

static unsigned visits[HEAPS];

static void count_visit(struct memkind_heap *heap)
{
    const int i = index_of(heap);
    if (i >= 0)
        visits[i]++;
}

static void test_visits_with_the_lock(void)
{
    memset(visits, 0, sizeof visits);
    enter_all();
    take_out(&entries[3]);
    heap_registry_lock();
    heap_registry_visit_locked(count_visit);
    heap_registry_unlock();
    for (int i = 0; i < HEAPS; i++)
        CHECK_EQ(visits[i], i != 3);
    heap_registry_free_slot(entries[3].slot);
    free(entries[3].heap);
    for (int i = 0; i < HEAPS; i++)
        if (i != 3)
            discard(&entries[i]);
}

/* Threads that have used a heap do not exist in a child. */
static void test_users_are_forgotten(void)
{
    struct entry entry = {0};
    REQUIRE(enter(&entry));
    CHECK_EQ(use(&entry), entry.heap);
    CHECK_EQ(use(&entry), entry.heap);
    heap_registry_lock();
    heap_registry_forget_users();
    heap_registry_unlock();
    discard(&entry); /* does not wait */
}

static const struct test_case tests[] = {
    {"each has a slot", test_each_has_a_slot},
    {"a slot outlives its heap", test_a_slot_outlives_its_heap},
    {"all slots are taken", test_all_slots_are_taken},
    {"found by its place", test_found_by_its_place},
    {"one after another", test_one_after_another},
    {"a heap waits for its users", test_a_heap_waits_for_its_users},
    {"only those that suit", test_only_those_that_suit},
    {"a heap waits for looks", test_a_heap_waits_for_looks},
    {"many look", test_many_look},
    {"none is seen that is gone", test_none_is_seen_that_is_gone},
    {"visits with the lock", test_visits_with_the_lock},
    {"users are forgotten", test_users_are_forgotten},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("heap registry", tests, argc, argv);
}
