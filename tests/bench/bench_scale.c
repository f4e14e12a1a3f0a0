/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_scale [--quick] [--dir DIR] [GROUP...]
 *
 * Says how the library's steps grow, and what they cost for kinds of terabytes,
 * thousands of threads and hundreds of kinds. File space is only counted
 * (fake_space.h), so a machine with a few GiB of memory will do. Times are CPU
 * time of the library, without the system calls on files, whose number is given
 * instead. (The longest of many calls, and the end of a thread, are given with
 * them.) --quick is for tests: small, with the results checked, and
 * with times that say nothing.
 *
 * Exit status: 0; 1 if a result was wrong; 2 for bad usage; 4 if there was no
 * memory.
 */
#include "scale_steps.h"

#include <memkind/internal/memkind_private.h>

#include <getopt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "region_pool.h"

unsigned scale_failures;

static const struct scale_effort whole = {
    .points = 5,
    .least_size = 24 * GIB,
    .large_object = 64 * MIB,
    .least_objects = 25000,
    .objects_limit = 6 * TIB,
    .least_threads = 10,
    .most_threads = 10000,
    .least_arenas = 3,
    .least_kinds = 2,
    .kind_limit = 12 * GIB,
    .threads_in_kind = 8,
    .turns = 11,
    .calls = 1000,
};

/* A sanitizer has shadows of all that is committed. */
static const struct scale_effort quick = {
    .points = 2,
    .least_size = 64 * MIB,
    .large_object = MIB,
    .least_objects = 2000,
    .objects_limit = 256 * MIB,
    .least_threads = 3,
    .most_threads = 30,
    .least_arenas = 2,
    .least_kinds = 2,
    .kind_limit = 64 * MIB,
    .threads_in_kind = 3,
    .turns = 1,
    .calls = 20,
};

/* ---- what the groups share ---------------------------------------------- */

memkind_t scale_make_kind(const struct scale_effort *effort, size_t limit)
{
    memkind_t kind;
    if (memkind_create_pmem(effort->dir, limit, &kind) != MEMKIND_SUCCESS) {
        fprintf(stderr, "bench_scale: no kind: %s\n", memkind_last_error());
        exit(4);
    }
    return kind;
}

size_t scale_charged(memkind_t kind)
{
    return region_pool_charged(kind->regions);
}

/* Handlers of fork() around all others: registered before the library's, and
 * behind them. */
static struct {
    uint64_t prepare, prepared, forked, tidied;
} * fork_times;

static void note_prepare(void)
{
    if (fork_times != NULL)
        fork_times->prepare = fake_cpu_ns();
}

static void note_prepared(void)
{
    if (fork_times != NULL)
        fork_times->prepared = fake_cpu_ns();
}

static void note_forked(void)
{
    if (fork_times != NULL)
        fork_times->forked = fake_cpu_ns();
}

static void note_tidied(void)
{
    if (fork_times != NULL)
        fork_times->tidied = fake_cpu_ns();
}

static void note_fork_inside(void)
{
    (void)pthread_atfork(note_prepared, note_forked, note_forked);
}

/* Before all constructors. */
__attribute__((section(".preinit_array"),
               used)) static void (*const at_start)(void) = note_fork_inside;

static void note_fork_outside(void)
{
    (void)pthread_atfork(note_prepare, note_tidied, note_tidied);
}

struct fork_cost {
    double parent_ns, child_ns, child_dram;
    bool is_right;
};

static double time_of_handlers(void)
{
    return (double)(fork_times->prepared - fork_times->prepare) +
           (double)(fork_times->tidied - fork_times->forked);
}

/* The child notes what it finds. */
static void fork_once(memkind_t kind, void *object, struct fork_cost *cost)
{
    fake_space_freeze(true);
    const pid_t child = fork();
    if (child == 0) {
        cost->child_ns = time_of_handlers();
        cost->child_dram = (double)scale_dram();
        cost->is_right = memkind_detect_kind(object) == kind;
        _exit(0);
    }
    fake_space_freeze(false);
    EXPECT(child > 0);
    cost->parent_ns = time_of_handlers();
    EXPECT(child < 0 || waitpid(child, NULL, 0) == child);
}

void scale_fork(const struct scale_fork_steps *steps, double n, memkind_t kind,
                void *object)
{
    enum { ROUNDS = 3 };
    static struct fork_cost *cost;
    if (cost == NULL) {
        cost = fake_memory(sizeof *cost);
        fork_times = malloc(sizeof *fork_times);
        note_fork_outside();
    }
    const double before = (double)scale_dram();
    for (int i = 0; i < ROUNDS && fork_times != NULL; i++) {
        fork_once(kind, object, cost);
        EXPECT(cost->is_right);
        scale_note(&steps->parent, n, cost->parent_ns, 0, 0);
        scale_note(&steps->child, n, cost->child_ns, cost->child_dram - before,
                   0);
    }
}

void scale_upkeep(const struct scale_step *step, double n, unsigned turns,
                  memkind_t kind)
{
    enum { CALLS = 200, TURN_US = 101000 };
    uint64_t longest = 0;
    for (unsigned turn = 0; turn < turns; turn++) {
        usleep(TURN_US);
        for (int i = 0; i < CALLS; i++) {
            const uint64_t start = fake_cpu_ns();
            void *object = memkind_malloc(kind, 64);
            const uint64_t ns = fake_cpu_ns() - start;
            memkind_free(kind, object);
            if (ns > longest)
                longest = ns;
        }
    }
    scale_note(step, n, (double)longest, 0, 0);
}

/* ---- the program -------------------------------------------------------- */

static void sizes(const struct scale_effort *effort)
{
    scale_sizes(effort, false);
    scale_sizes(effort, true);
}

static void pools(const struct scale_effort *effort)
{
    scale_pools(effort, false);
    scale_pools(effort, true);
}

static void threads(const struct scale_effort *effort)
{
    const unsigned few = 8, many = (unsigned)TARGET_ARENAS;
    scale_threads(effort, few);
    if (effort->most_threads > many)
        scale_threads(effort, many);
}

static const struct {
    const char *name;
    void (*run)(const struct scale_effort *effort);
} groups[] = {
    {"sizes", sizes},
    {"pools", pools},
    {"grains", scale_grains},
    {"objects", scale_objects},
    {"threads", threads},
    {"arenas", scale_arenas},
    {"kinds", scale_kinds},
    {"caches", scale_caches},
    {"addresses", scale_addresses},
};
enum { GROUPS = sizeof groups / sizeof groups[0] };

static bool is_wanted(const char *name, char **names)
{
    if (*names == NULL)
        return true;
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_scale [--quick] [--dir DIR] [GROUP...]\n"
                    "groups:");
    for (int i = 0; i < GROUPS; i++)
        fprintf(stderr, " %s", groups[i].name);
    fprintf(stderr, "\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'},
        {"dir", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    struct scale_effort effort = whole;
    const char *dir = "/dev/shm";
    for (int option;
         (option = getopt_long(argc, argv, "", options, NULL)) >= 0;)
        if (option == 'q')
            effort = quick;
        else if (option == 'd')
            dir = optarg;
        else
            return usage();
    effort.dir = dir;
    /* With large pages a byte that is touched would count as 2 MiB. */
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < GROUPS; i++) {
        if (!is_wanted(groups[i].name, argv + optind))
            continue;
        const uint64_t start = fake_now_ns();
        groups[i].run(&effort);
        EXPECT(fake_space_held() == 0 && fake_space_files() == 0);
        fprintf(stderr, "%s: %.1f s, %zu MiB\n", groups[i].name,
                (double)(fake_now_ns() - start) / 1e9, scale_dram() >> 20);
    }
    scale_print();
    if (scale_failures != 0)
        fprintf(stderr, "%u results were wrong\n", scale_failures);
    return scale_failures != 0;
}
