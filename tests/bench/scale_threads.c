/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads, arenas, and many kinds. */
#include "scale_steps.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include <memkind/internal/memkind_private.h>

#include "address_table.h"
#include "exhaustion.h"
#include "heap_struct.h"

#define FILE_SYSTEM (64 * TIB)

/* ---- threads that work one at a time ------------------------------------ */

struct worker;
typedef void job_fn(struct worker *worker, void *context);

struct worker {
    pthread_t thread;
    unsigned index;
    sem_t turn;
    uint64_t ns; /* that its last job has taken */
};

static struct {
    struct worker *workers;
    unsigned count;
    sem_t done;
    job_fn *job; /* NULL: the end */
    void *context;
} crew;

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (;;) {
        while (sem_wait(&worker->turn) != 0)
            ;
        if (crew.job == NULL)
            return NULL;
        crew.job(worker, crew.context);
        sem_post(&crew.done);
    }
}

/* Their stacks are small, and not counted as the library's. */
static void crew_hire(unsigned count)
{
    const size_t stack = (size_t)PTHREAD_STACK_MIN + 64 * KIB;
    static char *stacks;
    static size_t stacks_size;
    pthread_attr_t attributes;
    if (count * stack > stacks_size) {
        stacks_size = count * stack;
        stacks = fake_memory(stacks_size);
    }
    sem_init(&crew.done, 0, 0);
    crew.workers = fake_memory(count * sizeof *crew.workers);
    pthread_attr_init(&attributes);
    for (crew.count = 0; crew.count < count; crew.count++) {
        struct worker *worker = &crew.workers[crew.count];
        worker->index = crew.count;
        sem_init(&worker->turn, 0, 0);
        pthread_attr_setstack(&attributes, stacks + crew.count * stack, stack);
        if (pthread_create(&worker->thread, &attributes, work, worker) != 0) {
            fprintf(stderr, "bench_scale: the machine allows %u threads\n",
                    crew.count);
            break;
        }
    }
    pthread_attr_destroy(&attributes);
}

/* Each thread does the job, one after another. Returns the time that the jobs
 * themselves have taken. */
static uint64_t crew_each(job_fn *job, void *context)
{
    uint64_t ns = 0;
    crew.job = job;
    crew.context = context;
    for (unsigned i = 0; i < crew.count; i++) {
        sem_post(&crew.workers[i].turn);
        while (sem_wait(&crew.done) != 0)
            ;
        ns += crew.workers[i].ns;
    }
    return ns;
}

static void crew_dismiss(void)
{
    crew.job = NULL;
    for (unsigned i = 0; i < crew.count; i++) {
        sem_post(&crew.workers[i].turn);
        pthread_join(crew.workers[i].thread, NULL);
    }
    crew.count = 0;
}

/* Limits how many arenas the kinds have that are made from now on. */
static void limit_arenas(unsigned arenas)
{
    char text[16];
    snprintf(text, sizeof text, "%u", arenas);
    setenv("MEMKIND_ARENA_NUM_PER_KIND", text, 1);
}

/* ---- jobs --------------------------------------------------------------- */

enum { OBJECT_SIZE = 600 };

/* What fills a kind. */
#define FULL_OBJECT (16 * KIB)

struct kinds {
    memkind_t *kinds;
    unsigned count;
};

/* The first object of the thread in each kind; some stay in its magazines. */
static void use_kinds(struct worker *worker, void *context)
{
    const struct kinds *kinds = context;
    const uint64_t start = fake_cpu_ns();
    for (unsigned i = 0; i < kinds->count; i++)
        memkind_free(kinds->kinds[i],
                     memkind_malloc(kinds->kinds[i], OBJECT_SIZE));
    worker->ns = fake_cpu_ns() - start;
}

static void do_nothing(struct worker *worker, void *context)
{
    (void)context;
    worker->ns = 0;
}

/* What a malloc costs for which there is no room. */
static void fail_often(const struct scale_effort *effort,
                       const struct scale_step *step, double n, memkind_t kind)
{
    for (int batch = 0; batch < SCALE_BATCHES; batch++) {
        const struct scale_mark mark = scale_begin();
        for (unsigned i = 0; i < effort->calls; i++) {
            void *object = memkind_malloc(kind, FULL_OBJECT);
            /* A quarantine may give something back at any time. */
            EXPECT(object == NULL || heap_is_checked(kind->heap));
            memkind_free(kind, object);
        }
        scale_end(step, n, &mark, effort->calls);
    }
}

/* A heap that has been full bypasses its magazines until some calls have
 * succeeded. It would be full again if one arena kept what all others need. */
static void calm_down(memkind_t kind)
{
    enum { ENOUGH = 1000 };
    EXPECT(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    for (int i = 0; i < ENOUGH; i++)
        memkind_free(kind, memkind_malloc(kind, OBJECT_SIZE));
}

/* ---- one kind, many threads --------------------------------------------- */

#define OF_THREADS(name)                                                       \
    {                                                                          \
        (name), "threads", TARGET_THREADS                                      \
    }

struct thread_steps {
    struct scale_step first, full, full_next, freed, purge, purge_again, stats,
        upkeep, end;
    struct scale_fork_steps fork;
};

#define THREAD_STEPS(arenas)                                                   \
    {                                                                          \
        OF_THREADS(arenas " arenas: a thread's first malloc"),                 \
            OF_THREADS(arenas " arenas: longest malloc of one that fills"),    \
            OF_THREADS(arenas " arenas: malloc that fails, nothing freed"),    \
            OF_THREADS(arenas " arenas: malloc that fails, all have freed"),   \
            OF_THREADS(arenas " arenas: purge, all have freed"),               \
            OF_THREADS(arenas " arenas: purge again"),                         \
            OF_THREADS(arenas " arenas: statistics"),                          \
            OF_THREADS(arenas " arenas: upkeep, longest call"),                \
            OF_THREADS(arenas " arenas: a thread's end, beyond the kernel's"), \
        {                                                                      \
            OF_THREADS(arenas " arenas: fork, parent"),                        \
                OF_THREADS(arenas " arenas: fork, child")                      \
        }                                                                      \
    }

static const struct thread_steps few_arenas = THREAD_STEPS("8"),
                                 many_arenas = THREAD_STEPS("768");

/* Takes all that there is. Returns how many objects, and notes the longest
 * call. */
static size_t fill_up(memkind_t kind, void **objects, size_t most,
                      uint64_t *longest)
{
    size_t count = 0;
    *longest = 0;
    for (;;) {
        const uint64_t start = fake_cpu_ns();
        void *object = memkind_malloc(kind, FULL_OBJECT);
        const uint64_t ns = fake_cpu_ns() - start;
        if (ns > *longest)
            *longest = ns;
        if (object == NULL)
            return count;
        EXPECT(count < most);
        if (count == most)
            exit(1);
        objects[count++] = object;
    }
}

static void measure_full(const struct scale_effort *effort,
                         const struct thread_steps *steps, memkind_t kind,
                         size_t limit, struct kinds *kinds)
{
    const double n = crew.count;
    const size_t most = limit / FULL_OBJECT;
    void **objects = fake_memory(most * sizeof *objects);
    uint64_t longest;
    size_t count = fill_up(kind, objects, most, &longest);
    scale_note(&steps->full, n, (double)longest, 0, 0);
    EXPECT(scale_charged(kind) <= limit);
    EXPECT(scale_charged(kind) == fake_space_held());
    fail_often(effort, &steps->full_next, n, kind);
    /* Each thread gives something back. */
    memkind_free(kind, objects[--count]);
    memkind_free(kind, objects[--count]);
    (void)crew_each(use_kinds, kinds);
    const struct scale_mark mark = scale_begin();
    void *object = memkind_malloc(kind, FULL_OBJECT * 4);
    scale_end(&steps->freed, n, &mark, 1);
    memkind_free(kind, object);
    while (count > 0)
        memkind_free(kind, objects[--count]);
    calm_down(kind);
}

/* What the end of a thread takes that has used no kind. */
static double end_of_others(unsigned threads)
{
    crew_hire(threads);
    (void)crew_each(do_nothing, NULL);
    const double count = crew.count;
    const uint64_t start = fake_cpu_of_all_ns();
    crew_dismiss();
    return (double)(fake_cpu_of_all_ns() - start) / count;
}

static void measure_threads(const struct scale_effort *effort,
                            const struct thread_steps *steps, unsigned arenas,
                            unsigned threads)
{
    const double n = threads;
    const size_t limit = threads * 256 * KIB + (arenas + 16) * 2 * MIB;
    const double others_ns = end_of_others(threads);
    memkind_t kind = scale_make_kind(effort, limit);
    struct kinds kinds = {&kind, 1};
    crew_hire(threads);
    (void)crew_each(do_nothing, NULL);
    void *kept = memkind_malloc(kind, OBJECT_SIZE);
    struct scale_mark mark = scale_begin();
    const uint64_t first_ns = crew_each(use_kinds, &kinds);
    scale_note(&steps->first, n, (double)first_ns / n,
               ((double)scale_dram() - (double)mark.dram) / n, 0);
    scale_upkeep(&steps->upkeep, n, effort->turns, kind);
    measure_full(effort, steps, kind, limit, &kinds);
    (void)crew_each(use_kinds, &kinds);
    EXPECT(!exhaustion_holds(kind->heap) || heap_is_checked(kind->heap));
    mark = scale_begin();
    EXPECT(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    scale_end(&steps->purge, n, &mark, 1);
    EXPECT(scale_charged(kind) == fake_space_held());
    EXPECT(scale_charged(kind) < 2 * MIB);
    mark = scale_begin();
    EXPECT(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    scale_end(&steps->purge_again, n, &mark, 1);
    mark = scale_begin();
    EXPECT(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    scale_end(&steps->stats, n, &mark, 1);
    scale_fork(&steps->fork, n, kind, kept);
    (void)crew_each(use_kinds, &kinds);
    const uint64_t start = fake_cpu_of_all_ns();
    crew_dismiss();
    const double ns = (double)(fake_cpu_of_all_ns() - start) / n;
    scale_note(&steps->end, n, ns - others_ns, 0, 0);
    EXPECT(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
}

void scale_threads(const struct scale_effort *effort, unsigned arenas)
{
    const struct thread_steps *steps =
        arenas < TARGET_ARENAS ? &few_arenas : &many_arenas;
    fake_space_install(false, FILE_SYSTEM);
    limit_arenas(arenas);
    for (unsigned threads = effort->least_threads;
         threads <= effort->most_threads; threads *= 10)
        if (threads >= arenas || arenas < TARGET_ARENAS)
            measure_threads(effort, steps, arenas, threads);
    unsetenv("MEMKIND_ARENA_NUM_PER_KIND");
    fake_space_remove();
}

/* ---- one kind, many arenas ---------------------------------------------- */

#define OF_ARENAS(name)                                                        \
    {                                                                          \
        (name), "arenas", TARGET_ARENAS                                        \
    }

static const struct scale_step
    arenas_first = OF_ARENAS("arenas: first malloc of a thread that gets one"),
    arenas_purge = OF_ARENAS("arenas: purge"),
    arenas_stats = OF_ARENAS("arenas: statistics"),
    arenas_null = OF_ARENAS("arenas: malloc that fails, nothing freed"),
    arenas_destroy = OF_ARENAS("arenas: destroy");

static void measure_arenas(const struct scale_effort *effort, unsigned arenas)
{
    const double n = arenas;
    const size_t limit = (arenas + 16) * 2 * MIB;
    limit_arenas(arenas);
    memkind_t kind = scale_make_kind(effort, limit);
    struct kinds kinds = {&kind, 1};
    const size_t most = limit / FULL_OBJECT;
    void **objects = fake_memory(most * sizeof *objects);
    crew_hire(arenas);
    struct scale_mark mark = scale_begin();
    const uint64_t ns = crew_each(use_kinds, &kinds);
    scale_note(&arenas_first, n, (double)ns / n,
               ((double)scale_dram() - (double)mark.dram) / n, 0);
    mark = scale_begin();
    EXPECT(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    scale_end(&arenas_purge, n, &mark, 1);
    mark = scale_begin();
    EXPECT(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    scale_end(&arenas_stats, n, &mark, 1);
    uint64_t longest;
    (void)fill_up(kind, objects, most, &longest);
    fail_often(effort, &arenas_null, n, kind);
    crew_dismiss();
    mark = scale_begin();
    EXPECT(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    scale_end(&arenas_destroy, n, &mark, 1);
}

void scale_arenas(const struct scale_effort *effort)
{
    unsigned arenas = effort->least_arenas;
    fake_space_install(false, FILE_SYSTEM);
    for (unsigned i = 0; i < effort->points; i++, arenas *= SCALE_FACTOR)
        measure_arenas(effort, arenas);
    unsetenv("MEMKIND_ARENA_NUM_PER_KIND");
    fake_space_remove();
}

/* ---- many kinds --------------------------------------------------------- */

#define OF_KINDS(name)                                                         \
    {                                                                          \
        (name), "kinds", TARGET_KINDS                                          \
    }

static const struct scale_step
    kinds_create = OF_KINDS("kinds: create one more"),
    kinds_first = OF_KINDS("kinds: a thread's first malloc in one more"),
    kinds_find = OF_KINDS("kinds: which kind an address is of"),
    kinds_upkeep = OF_KINDS("kinds: upkeep, longest call"),
    kinds_stats = OF_KINDS("kinds: statistics of all"),
    kinds_full = OF_KINDS("kinds: first malloc that fails, file system full"),
    kinds_null = OF_KINDS("kinds: next malloc that fails, file system full"),
    kinds_destroy = OF_KINDS("kinds: destroy one");

static void fill_file_system(const struct scale_effort *effort,
                             const struct kinds *kinds)
{
    const double n = kinds->count;
    struct scale_mark mark;
    void *object;
    fake_space_resize(0); /* no more than is held */
    do {
        mark = scale_begin();
        object = memkind_malloc(kinds->kinds[0], FULL_OBJECT);
    } while (object != NULL);
    EXPECT(errno == ENOMEM);
    scale_end(&kinds_full, n, &mark, 1);
    fail_often(effort, &kinds_null, n, kinds->kinds[0]);
    fake_space_resize(FILE_SYSTEM);
}

static void find_kinds(const struct scale_effort *effort,
                       const struct kinds *kinds)
{
    void **objects = fake_memory(kinds->count * sizeof *objects);
    for (unsigned i = 0; i < kinds->count; i++)
        objects[i] = memkind_malloc(kinds->kinds[i], OBJECT_SIZE);
    const unsigned times = effort->calls * 100;
    struct scale_mark mark = scale_begin();
    for (unsigned i = 0; i < times; i++) {
        const unsigned which = i * 61 % kinds->count;
        EXPECT(memkind_detect_kind(objects[which]) == kinds->kinds[which]);
    }
    scale_end(&kinds_find, kinds->count, &mark, times);
    for (unsigned i = 0; i < kinds->count; i++)
        memkind_free(kinds->kinds[i], objects[i]);
}

static void make_kinds(const struct scale_effort *effort, struct kinds *kinds,
                       unsigned count)
{
    kinds->kinds = fake_memory(count * sizeof *kinds->kinds);
    for (kinds->count = 0; kinds->count < count; kinds->count++)
        kinds->kinds[kinds->count] =
            scale_make_kind(effort, effort->kind_limit);
}

static void destroy_kinds(const struct kinds *kinds)
{
    for (unsigned i = 0; i < kinds->count; i++)
        EXPECT(memkind_destroy_kind(kinds->kinds[i]) == MEMKIND_SUCCESS);
}

static void measure_kinds(const struct scale_effort *effort, unsigned count)
{
    const double n = count, threads = effort->threads_in_kind;
    struct kinds kinds;
    crew_hire(effort->threads_in_kind);
    struct scale_mark mark = scale_begin();
    make_kinds(effort, &kinds, count);
    scale_end(&kinds_create, n, &mark, n);
    mark = scale_begin();
    const uint64_t ns = crew_each(use_kinds, &kinds);
    scale_note(&kinds_first, n, (double)ns / n / threads,
               ((double)scale_dram() - (double)mark.dram) / n / threads, 0);
    find_kinds(effort, &kinds);
    scale_upkeep(&kinds_upkeep, n, effort->turns, kinds.kinds[0]);
    mark = scale_begin();
    EXPECT(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    scale_end(&kinds_stats, n, &mark, 1);
    (void)crew_each(use_kinds, &kinds);
    fill_file_system(effort, &kinds);
    mark = scale_begin();
    destroy_kinds(&kinds);
    scale_end(&kinds_destroy, n, &mark, n);
    crew_dismiss();
}

void scale_kinds(const struct scale_effort *effort)
{
    unsigned count = effort->least_kinds;
    fake_space_install(false, FILE_SYSTEM);
    limit_arenas(2);
    for (unsigned i = 0; i < effort->points; i++, count *= SCALE_FACTOR)
        measure_kinds(effort, count);
    unsetenv("MEMKIND_ARENA_NUM_PER_KIND");
    fake_space_remove();
}

/* ---- caches of many threads in many kinds ------------------------------- */

#define TARGET_CACHES (TARGET_KINDS * TARGET_THREADS)

static const struct scale_step caches_first = {
    "caches of all kinds: a thread's first malloc in one", "caches",
    TARGET_CACHES};
static const struct scale_fork_steps caches_fork = {
    {"caches of all kinds: fork, parent", "caches", TARGET_CACHES},
    {"caches of all kinds: fork, child", "caches", TARGET_CACHES},
};

static void measure_caches(const struct scale_effort *effort, unsigned count,
                           unsigned threads)
{
    const double n = (double)count * threads;
    struct kinds kinds;
    crew_hire(threads);
    make_kinds(effort, &kinds, count);
    void *kept = memkind_malloc(kinds.kinds[0], OBJECT_SIZE);
    const struct scale_mark mark = scale_begin();
    const uint64_t ns = crew_each(use_kinds, &kinds);
    scale_note(&caches_first, n, (double)ns / n,
               ((double)scale_dram() - (double)mark.dram) / n, 0);
    scale_fork(&caches_fork, n, kinds.kinds[0], kept);
    destroy_kinds(&kinds);
    crew_dismiss();
}

void scale_caches(const struct scale_effort *effort)
{
    const unsigned count = effort->least_kinds << 2 * (effort->points - 1);
    unsigned threads = effort->least_kinds;
    fake_space_install(false, FILE_SYSTEM);
    limit_arenas(2);
    for (unsigned i = 1; i < effort->points; i++, threads *= SCALE_FACTOR)
        measure_caches(effort, count, threads);
    unsetenv("MEMKIND_ARENA_NUM_PER_KIND");
    fake_space_remove();
}

/* ---- the table of addresses --------------------------------------------- */

static const struct scale_step
    addresses_whole = {"addresses: find, ranges of whole GiB", "ranges",
                       TARGET_KINDS * 24},
    addresses_parts = {"addresses: find, ranges of 32 MiB side by side",
                       "ranges", TARGET_KINDS * 24},
    addresses_add = {"addresses: add and remove a range of 6 TiB", "ranges",
                     TARGET_KINDS * 24};

static void measure_addresses(const struct scale_effort *effort, size_t count,
                              size_t size, const struct scale_step *step)
{
    static int owner;
    const uintptr_t foreign = (uintptr_t)1 << 44; /* nothing lies there */
    const unsigned times = effort->calls * 100;
    for (size_t i = 0; i < count; i++)
        EXPECT(address_table_add((void *)(foreign + i * size), size,
                                 (char *)&owner + i) == 0);
    struct scale_mark mark = scale_begin();
    for (unsigned i = 0; i < times; i++) {
        const size_t which = i * (size_t)1000003 % count;
        EXPECT(
            address_table_find((void *)(foreign + which * size + size / 2)) ==
            (char *)&owner + which);
    }
    scale_end(step, (double)count, &mark, times);
    mark = scale_begin();
    void *far = (void *)(foreign + count * size + TIB);
    EXPECT(address_table_add(far, 6 * TIB, &owner) == 0);
    address_table_remove(far, 6 * TIB);
    scale_end(&addresses_add, (double)count, &mark, 1);
    for (size_t i = 0; i < count; i++)
        address_table_remove((void *)(foreign + i * size), size);
}

void scale_addresses(const struct scale_effort *effort)
{
    size_t count = 3 * effort->least_kinds;
    for (unsigned i = 0; i <= effort->points; i++, count *= SCALE_FACTOR) {
        measure_addresses(effort, count, GIB, &addresses_whole);
        measure_addresses(effort, count, 32 * MIB, &addresses_parts);
    }
}
