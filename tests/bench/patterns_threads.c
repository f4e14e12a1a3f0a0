/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Patterns in which threads work together. Those named after known programs
 * follow the descriptions of these, not their sources.
 */
#include "bench.h"

#include <sched.h>
#include <time.h>

/* ---- xthread: objects are freed by the next thread, through a ring ------- */

enum { RING = 1024, RING_BATCH = 32, RING_LOW = 16, RING_HIGH = 512 };

/* One writer and one reader, which publish their positions batch by batch. */
struct ring {
    _Alignas(BENCH_LINE) atomic_size_t written;
    _Alignas(BENCH_LINE) atomic_size_t read;
    _Alignas(BENCH_LINE) void *objects[RING];
};

static int xthread_setup(struct bench *bench)
{
    bench->shared = bench_pages(bench->threads * sizeof(struct ring));
    return 0;
}

static void xthread_teardown(struct bench *bench)
{
    bench_release(bench->shared, bench->threads * sizeof(struct ring));
}

/* Frees one batch of the lane's own ring; returns how many objects. */
static size_t ring_read(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct ring *ring = (struct ring *)lane->bench->shared + lane->index;
    size_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
    size_t count =
        atomic_load_explicit(&ring->written, memory_order_acquire) - read;
    if (count > RING_BATCH)
        count = RING_BATCH;
    for (size_t i = 0; i < count; i++) {
        void *object = ring->objects[(read + i) % RING];
        object_check(object);
        heap_free(heap, object);
    }
    atomic_store_explicit(&ring->read, read + count, memory_order_release);
    return count;
}

static bool ring_write(struct lane *lane)
{
    struct bench *bench = lane->bench;
    struct heap heap = bench->heap;
    struct ring *ring =
        (struct ring *)bench->shared + (lane->index + 1) % bench->threads;
    size_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    if (written - atomic_load_explicit(&ring->read, memory_order_acquire) >
        RING - RING_BATCH)
        return false;
    uint64_t random = lane->random;
    for (size_t i = 0; i < RING_BATCH; i++) {
        uint64_t bits = random_next(&random);
        size_t size =
            RING_LOW + random_scale(bits >> 32, RING_HIGH - RING_LOW + 1);
        void *object = heap_malloc(heap, size);
        object_touch(object, size);
        ring->objects[(written + i) % RING] = object;
    }
    lane->random = random;
    atomic_store_explicit(&ring->written, written + RING_BATCH,
                          memory_order_release);
    return true;
}

/* Waits until the other lane has worked. A ring is used up in less time than
 * the shortest sleep takes: lanes that sleep soon would wait for each other in
 * turn, and the pattern would measure sleeping. A lane that has waited for long
 * sleeps, so that other programs get the CPU. */
static void wait_for_other(unsigned *waited)
{
    enum { YIELDS = 10000 }; /* some milliseconds */
    const struct timespec moment = {.tv_nsec = 20000};
    if (++*waited <= YIELDS)
        sched_yield();
    else
        nanosleep(&moment, NULL);
}

static size_t xthread_unit(struct lane *lane)
{
    enum { BATCHES = 256 };
    size_t freed = 0;
    unsigned waited = 0;
    for (size_t i = 0; i < BATCHES && !bench_others_ended(lane); i++) {
        bool wrote = ring_write(lane);
        size_t count = ring_read(lane);
        freed += count;
        if (wrote || count != 0)
            waited = 0;
        else
            wait_for_other(&waited);
    }
    return freed;
}

static void xthread_stop(struct lane *lane)
{
    while (ring_read(lane) != 0)
        ;
}

/* ---- pass: some threads make objects, others free them ------------------- */

/*
 * Batches go through a ring that all lanes share: each second lane makes
 * objects and frees none, the others free them. A place of the ring is worked
 * on in place; its turn says whose it is: 2 * n of the lane that makes batch n,
 * 2 * n + 1 of the one that frees it, for each n that leads to that place.
 */
enum { PASS_BATCH = 256, PASS_PLACES = 4, PASS_LOW = 64, PASS_HIGH = 1024 };

struct pass_place {
    _Alignas(BENCH_LINE) atomic_size_t turn;
    _Alignas(BENCH_LINE) void *objects[PASS_BATCH];
};

struct pass {
    _Alignas(BENCH_LINE) atomic_size_t made;
    _Alignas(BENCH_LINE) atomic_size_t freed;
    size_t places; /* in proportion to the threads */
    struct pass_place ring[];
};

static size_t pass_places(const struct bench *bench)
{
    return PASS_PLACES * (bench->threads + 1) / 2;
}

static size_t pass_bytes(const struct bench *bench)
{
    return sizeof(struct pass) + pass_places(bench) * sizeof(struct pass_place);
}

/* The turn with which a lane may work on the place of batch n. */
static size_t pass_turn(const struct pass *pass, size_t n, bool frees)
{
    return 2 * (n / pass->places) + frees;
}

static int pass_setup(struct bench *bench)
{
    struct pass *pass = bench->shared = bench_pages(pass_bytes(bench));
    pass->places = pass_places(bench);
    return 0;
}

/* The next place for a lane that makes or frees, and its batch's number; NULL
 * if it has to wait. */
static struct pass_place *pass_next(struct pass *pass, bool frees, size_t *n)
{
    atomic_size_t *next = frees ? &pass->freed : &pass->made;
    *n = atomic_load_explicit(next, memory_order_relaxed);
    for (;;) {
        struct pass_place *place = &pass->ring[*n % pass->places];
        if (atomic_load_explicit(&place->turn, memory_order_acquire) !=
            pass_turn(pass, *n, frees)) {
            size_t now = atomic_load_explicit(next, memory_order_relaxed);
            if (now == *n)
                return NULL;
            *n = now;
        } else if (atomic_compare_exchange_weak_explicit(
                       next, n, *n + 1, memory_order_relaxed,
                       memory_order_relaxed)) {
            return place;
        }
    }
}

static void pass_on(struct pass *pass, struct pass_place *place, size_t n,
                    bool frees)
{
    atomic_store_explicit(&place->turn, pass_turn(pass, n, frees) + 1,
                          memory_order_release);
}

static bool pass_make(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct pass *pass = lane->bench->shared;
    size_t n;
    struct pass_place *place = pass_next(pass, false, &n);
    if (place == NULL)
        return false;
    uint64_t random = lane->random;
    for (size_t i = 0; i < PASS_BATCH; i++) {
        uint64_t bits = random_next(&random);
        size_t size =
            PASS_LOW + random_scale(bits >> 32, PASS_HIGH - PASS_LOW + 1);
        void *object = heap_malloc(heap, size);
        object_touch(object, size);
        place->objects[i] = object;
    }
    lane->random = random;
    pass_on(pass, place, n, false);
    return true;
}

static bool pass_free(struct bench *bench)
{
    struct heap heap = bench->heap;
    struct pass *pass = bench->shared;
    size_t n;
    struct pass_place *place = pass_next(pass, true, &n);
    if (place == NULL)
        return false;
    for (size_t i = 0; i < PASS_BATCH; i++) {
        object_check(place->objects[i]);
        heap_free(heap, place->objects[i]);
    }
    pass_on(pass, place, n, true);
    return true;
}

/* An odd lane frees. The last of an odd number of lanes does both. */
static size_t pass_unit(struct lane *lane)
{
    enum { BATCHES = 16 };
    struct bench *bench = lane->bench;
    const bool frees = lane->index % 2 != 0;
    const bool is_alone = !frees && lane->index + 1 == bench->threads;
    size_t freed = 0;
    unsigned waited = 0;
    for (size_t i = 0; i < BATCHES && !bench_others_ended(lane); i++) {
        bool made = !frees && pass_make(lane);
        bool done = (frees || is_alone) && pass_free(bench);
        freed += done ? PASS_BATCH : 0;
        if (made || done)
            waited = 0;
        else
            wait_for_other(&waited);
    }
    return freed;
}

static void pass_teardown(struct bench *bench)
{
    while (pass_free(bench))
        ;
    bench_release(bench->shared, pass_bytes(bench));
}

/* ---- larson: threads that leave their objects to their successors -------- */

enum { LARSON_OBJECTS = 5000, LARSON_LIFE = 25000 };

struct larson {
    void *objects[LARSON_OBJECTS];
};

static void larson_start(struct lane *lane)
{
    struct larson *larson = lane->state = bench_pages(sizeof *larson);
    for (size_t i = 0; i < LARSON_OBJECTS; i++) {
        size_t size = random_between(&lane->random, 16, 1000);
        larson->objects[i] = heap_malloc(lane->bench->heap, size);
        object_touch(larson->objects[i], size);
    }
}

static void larson_life(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct larson *larson = lane->state;
    uint64_t random = lane->random;
    for (size_t i = 0; i < LARSON_LIFE; i++) {
        uint64_t bits = random_next(&random);
        void **slot = &larson->objects[random_scale(bits, LARSON_OBJECTS)];
        size_t size = 16 + random_scale(bits >> 32, 1000 - 16 + 1);
        object_check(*slot);
        heap_free(heap, *slot);
        *slot = heap_malloc(heap, size);
        object_touch(*slot, size);
    }
    lane->random = random;
}

static size_t larson_unit(struct lane *lane)
{
    lane_in_thread(lane, larson_life);
    return LARSON_LIFE;
}

static void larson_stop(struct lane *lane)
{
    struct larson *larson = lane->state;
    for (size_t i = 0; i < LARSON_OBJECTS; i++) {
        object_check(larson->objects[i]);
        heap_free(lane->bench->heap, larson->objects[i]);
    }
    bench_release(larson, sizeof *larson);
}

/* ---- sh6bench, sh8bench -------------------------------------------------- */

/*
 * Groups of objects of one size, small sizes more often than larger ones. Half
 * of each group is freed at once, the last first; the other half is kept and
 * freed some groups later, the first first. In sh8 it is the next thread that
 * frees it.
 */
enum { SH_GROUP = 64, SH_KEPT = 32, SH_SIZES = 24 };

struct sh {
    size_t kept_count;
    void *kept[SH_KEPT][SH_GROUP / 2];
};

/* Objects that other threads have left for this one, linked. */
struct mailbox {
    _Alignas(BENCH_LINE) _Atomic(void *) first;
    atomic_size_t count;
};

static void mail(struct mailbox *box, void *first, void *last, size_t count)
{
    void *head = atomic_load_explicit(&box->first, memory_order_relaxed);
    atomic_fetch_add_explicit(&box->count, count, memory_order_relaxed);
    do
        *object_link(last) = head;
    while (!atomic_compare_exchange_weak_explicit(
        &box->first, &head, first, memory_order_release, memory_order_relaxed));
}

static size_t mail_free(struct heap heap, struct mailbox *box)
{
    size_t count = 0;
    if (atomic_load_explicit(&box->first, memory_order_relaxed) == NULL)
        return 0;
    void *object =
        atomic_exchange_explicit(&box->first, NULL, memory_order_acquire);
    while (object != NULL) {
        void *next = *object_link(object);
        object_check(object);
        heap_free(heap, object);
        object = next;
        count++;
    }
    atomic_fetch_sub_explicit(&box->count, count, memory_order_relaxed);
    return count;
}

static bool mail_is_full(struct mailbox *box)
{
    enum { MAIL_MAX = 4096 };
    return atomic_load_explicit(&box->count, memory_order_relaxed) > MAIL_MAX;
}

static struct mailbox *own_mailbox(struct lane *lane)
{
    return (struct mailbox *)lane->bench->shared + lane->index;
}

static struct mailbox *next_mailbox(struct lane *lane)
{
    struct bench *bench = lane->bench;
    return (struct mailbox *)bench->shared + (lane->index + 1) % bench->threads;
}

static int mailboxes_setup(struct bench *bench)
{
    bench->shared = bench_pages(bench->threads * sizeof(struct mailbox));
    return 0;
}

static void mailboxes_teardown(struct bench *bench)
{
    for (unsigned i = 0; i < bench->threads; i++)
        mail_free(bench->heap, (struct mailbox *)bench->shared + i);
    bench_release(bench->shared, bench->threads * sizeof(struct mailbox));
}

static void sh_start(struct lane *lane)
{
    lane->state = bench_pages(sizeof(struct sh));
}

static void sh_free_kept(struct heap heap, void **kept)
{
    for (size_t i = 0; i < SH_GROUP / 2; i++) {
        object_check(kept[i]);
        heap_free(heap, kept[i]);
    }
}

static size_t sh_groups(struct lane *lane, struct mailbox *to)
{
    enum { GROUPS = 96 };
    struct heap heap = lane->bench->heap;
    struct sh *sh = lane->state;
    for (size_t group = 0; group < GROUPS; group++) {
        void *objects[SH_GROUP];
        /* the smaller of two random numbers: small ones are more frequent */
        size_t a = random_between(&lane->random, 1, SH_SIZES);
        size_t b = random_between(&lane->random, 1, SH_SIZES);
        size_t size = (a < b ? a : b) * 40 - 24; /* 16 to 936 */
        for (size_t i = 0; i < SH_GROUP; i++) {
            objects[i] = heap_malloc(heap, size);
            object_touch(objects[i], size);
        }
        for (size_t i = SH_GROUP; i-- > SH_GROUP / 2;) {
            object_check(objects[i]);
            heap_free(heap, objects[i]);
        }
        if (to != NULL && !mail_is_full(to)) {
            for (size_t i = 0; i + 1 < SH_GROUP / 2; i++)
                *object_link(objects[i]) = objects[i + 1];
            mail(to, objects[0], objects[SH_GROUP / 2 - 1], SH_GROUP / 2);
            continue;
        }
        void **kept = sh->kept[sh->kept_count++ % SH_KEPT];
        if (sh->kept_count > SH_KEPT)
            sh_free_kept(heap, kept);
        memcpy(kept, objects, sizeof sh->kept[0]);
    }
    return GROUPS * SH_GROUP;
}

static size_t sh6_unit(struct lane *lane)
{
    return sh_groups(lane, NULL);
}

static size_t sh8_unit(struct lane *lane)
{
    mail_free(lane->bench->heap, own_mailbox(lane));
    return sh_groups(lane, next_mailbox(lane));
}

static void sh_stop(struct lane *lane)
{
    struct sh *sh = lane->state;
    for (size_t i = 0; i < SH_KEPT && i < sh->kept_count; i++)
        sh_free_kept(lane->bench->heap, sh->kept[i]);
    bench_release(sh, sizeof *sh);
}

/* ---- cache-scratch ------------------------------------------------------- */

/*
 * Each thread is handed an object that lies beside those of the others, frees
 * it, and from then on allocates one of the same size, writes to it many times
 * and frees it: what a thread gets back must not share a cache line.
 */
enum { SCRATCH_SIZE = 16, SCRATCH_WRITES = 100 };

static int scratch_setup(struct bench *bench)
{
    for (unsigned i = 0; i < bench->threads; i++) {
        void *object = heap_malloc(bench->heap, SCRATCH_SIZE);
        object_touch(object, SCRATCH_SIZE);
        bench->lanes[i].state = object;
    }
    return 0;
}

static void scratch_start(struct lane *lane)
{
    object_check(lane->state);
    heap_free(lane->bench->heap, lane->state);
}

/* A function of its own, so that its machine code is the same for all heaps. */
__attribute__((noinline, aligned(64))) static void
write_often(volatile size_t *word)
{
    *word = 0;
    for (size_t i = 0; i < SCRATCH_WRITES; i++)
        *word = *word + 1;
}

static size_t scratch_unit(struct lane *lane)
{
    enum { OBJECTS = 2048 };
    struct heap heap = lane->bench->heap;
    for (size_t i = 0; i < OBJECTS; i++) {
        void *object = heap_malloc(heap, SCRATCH_SIZE);
        object_touch(object, SCRATCH_SIZE);
        write_often((volatile size_t *)object_link(object));
        object_check(object);
        heap_free(heap, object);
    }
    return OBJECTS;
}

/* ---- rptest -------------------------------------------------------------- */

/*
 * In rounds: a table is filled anew with objects of sizes up to 16 KiB, even
 * over the logarithms, some slots are freed early, and of what they held a part
 * is left for another thread, which frees it in its own next round.
 */
enum { RP_OBJECTS = 1024, RP_SIZES = 4096 };

struct rp {
    void *objects[RP_OBJECTS];
    uint16_t sizes[RP_SIZES];
    size_t next_size;
};

static void rp_start(struct lane *lane)
{
    struct rp *rp = lane->state = bench_pages(sizeof *rp);
    for (size_t i = 0; i < RP_SIZES; i++)
        rp->sizes[i] = (uint16_t)random_log(&lane->random, 16, 16 * KIB);
}

static size_t rp_unit(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct rp *rp = lane->state;
    struct mailbox *next = next_mailbox(lane);
    uint64_t random = lane->random;

    mail_free(heap, own_mailbox(lane));
    for (size_t i = 0; i < RP_OBJECTS; i++) {
        uint64_t bits = random_next(&random);
        void **slot = &rp->objects[random_scale(bits, RP_OBJECTS)];
        size_t size = rp->sizes[rp->next_size++ % RP_SIZES];
        if (*slot != NULL) {
            object_check(*slot);
            if ((bits >> 32) % 4 == 0 && !mail_is_full(next))
                mail(next, *slot, *slot, 1);
            else
                heap_free(heap, *slot);
        }
        *slot = heap_malloc(heap, size);
        object_touch(*slot, size);
        if ((bits >> 34) % 8 == 0) {
            /* a second one, which does not live longer than this round */
            void *object = heap_malloc(heap, 2 * size);
            object_touch(object, 2 * size);
            object_check(object);
            heap_free(heap, object);
        }
    }
    lane->random = random;
    return RP_OBJECTS + RP_OBJECTS / 8;
}

static void rp_stop(struct lane *lane)
{
    struct rp *rp = lane->state;
    for (size_t i = 0; i < RP_OBJECTS; i++)
        if (rp->objects[i] != NULL)
            heap_free(lane->bench->heap, rp->objects[i]);
    bench_release(rp, sizeof *rp);
}

/* ---- mstress ------------------------------------------------------------- */

/*
 * A server: threads live for a phase; they allocate objects whose sizes are
 * powers of two, a few of them large, keep some for long, and put some into
 * slots that all threads share, each taking out what was there before. One
 * thread in two has half the work. What survives a phase goes to the thread
 * that comes next.
 */
enum { STRESS_KEPT = 2048, STRESS_SHARED = 1024, STRESS_LIFE = 8192 };

struct stress {
    void *kept[STRESS_KEPT];
};

static int stress_setup(struct bench *bench)
{
    bench->shared = bench_pages(STRESS_SHARED * sizeof(_Atomic(void *)));
    return 0;
}

static void stress_start(struct lane *lane)
{
    lane->state = bench_pages(sizeof(struct stress));
}

static size_t stress_size(uint64_t bits)
{
    /* each size twice as often as the one above it: 16 bytes to 64 KiB */
    size_t doublings =
        (size_t)__builtin_ctzll((bits & 0xfff) | (uint64_t)1 << 12);
    return (size_t)16 << doublings;
}

static size_t stress_count(const struct lane *lane)
{
    return lane->index % 2 == 0 ? STRESS_LIFE : STRESS_LIFE / 2;
}

static void stress_life(struct lane *lane)
{
    struct heap heap = lane->bench->heap;
    struct stress *stress = lane->state;
    _Atomic(void *) *shared = lane->bench->shared;
    uint64_t random = lane->random;
    for (size_t i = 0; i < stress_count(lane); i++) {
        uint64_t bits = random_next(&random);
        size_t size = stress_size(bits);
        void *object = heap_malloc(heap, size);
        object_touch(object, size);
        if ((bits >> 12) % 4 == 0) {
            size_t slot = random_scale(bits >> 32, STRESS_SHARED);
            object = atomic_exchange_explicit(&shared[slot], object,
                                              memory_order_acq_rel);
        } else {
            void **slot = &stress->kept[random_scale(bits >> 32, STRESS_KEPT)];
            void *before = *slot;
            *slot = object;
            object = before;
        }
        if (object != NULL) {
            object_check(object);
            heap_free(heap, object);
        }
    }
    lane->random = random;
}

static size_t stress_unit(struct lane *lane)
{
    lane_in_thread(lane, stress_life);
    return stress_count(lane);
}

static void stress_stop(struct lane *lane)
{
    struct stress *stress = lane->state;
    for (size_t i = 0; i < STRESS_KEPT; i++)
        if (stress->kept[i] != NULL)
            heap_free(lane->bench->heap, stress->kept[i]);
    bench_release(stress, sizeof *stress);
}

static void stress_teardown(struct bench *bench)
{
    _Atomic(void *) *shared = bench->shared;
    for (size_t i = 0; i < STRESS_SHARED; i++) {
        void *object = atomic_load(&shared[i]);
        if (object != NULL)
            heap_free(bench->heap, object);
    }
    bench_release(bench->shared, STRESS_SHARED * sizeof(_Atomic(void *)));
}

const struct pattern thread_patterns[] = {
    {
        .name = "xthread",
        .about = "16-512 bytes, freed by the next thread, through a ring",
        .setup = xthread_setup,
        .unit = xthread_unit,
        .stop = xthread_stop,
        .teardown = xthread_teardown,
    },
    {
        .name = "pass",
        .about = "64-1,024 bytes in batches, made by half of the threads and "
                 "freed by the others",
        .setup = pass_setup,
        .unit = pass_unit,
        .teardown = pass_teardown,
    },
    {
        .name = "larson",
        .about = "random replacement of 5,000 objects; threads end and leave "
                 "theirs to new ones",
        .start = larson_start,
        .unit = larson_unit,
        .stop = larson_stop,
    },
    {
        .name = "sh6",
        .about = "groups of a size, half freed last first, half later and "
                 "first first",
        .start = sh_start,
        .unit = sh6_unit,
        .stop = sh_stop,
    },
    {
        .name = "sh8",
        .about = "the same, but the second half is freed by the next thread",
        .setup = mailboxes_setup,
        .start = sh_start,
        .unit = sh8_unit,
        .stop = sh_stop,
        .teardown = mailboxes_teardown,
    },
    {
        .name = "scratch",
        .about = "an object from beside the others' freed, then one allocated, "
                 "written 100 times and freed",
        .setup = scratch_setup,
        .start = scratch_start,
        .unit = scratch_unit,
    },
    {
        .name = "rptest",
        .about = "objects of 16 bytes-32 KiB, a quarter freed by the next "
                 "thread",
        .setup = mailboxes_setup,
        .start = rp_start,
        .unit = rp_unit,
        .stop = rp_stop,
        .teardown = mailboxes_teardown,
    },
    {
        .name = "mstress",
        .about = "powers of two up to 64 KiB, objects exchanged between "
                 "threads that live for a phase",
        .setup = stress_setup,
        .start = stress_start,
        .unit = stress_unit,
        .stop = stress_stop,
        .teardown = stress_teardown,
    },
    {.name = NULL},
};
