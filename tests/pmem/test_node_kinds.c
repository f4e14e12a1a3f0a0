/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kinds of NUMA nodes, in the guest `hmat` of run.sh: node 0 has the CPUs, node
 * 1 a high bandwidth, as the firmware's table says, and node 2 neither. The
 * last two have 256 MiB each. Skipped elsewhere.
 */
#include <errno.h>
#include <hbwmalloc.h>
#include <memkind.h>
#include <memkind/internal/memkind_default.h>
#include <memkind/internal/memkind_hbw.h>
#include <memkind/internal/memkind_hugetlb.h>
#include <memkind_memtier.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

#define NODES 3
#define NODE_SIZE (256 * MIB)

static bool nodes_are_there(void)
{
    const char *memory = getenv("MEMKIND_TEST_MEMORY");
    if (memory != NULL && strcmp(memory, "hmat") == 0)
        return true;
    printf("skipped: not in the guest with three nodes\n");
    test_is_skipped();
    return false;
}

/* Stores to all pages of an object, and counts them by their nodes. */
static void count_pages(char *object, size_t size, size_t counts[NODES])
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    memset(counts, 0, NODES * sizeof counts[0]);
    memset(object, 1, size);
    char *first = object - (uintptr_t)object % page;
    for (char *at = first; at < object + size; at += page) {
        void *pages[1] = {at};
        int node = -1;
        REQUIRE_EQ(syscall(SYS_move_pages, 0, 1UL, pages, NULL, &node, 0), 0);
        REQUIRE(node >= 0 && node < NODES);
        counts[node]++;
    }
}

/* All objects of a kind are on one node. */
static void check_node(memkind_t kind, int node)
{
    static const size_t sizes[] = {100, 5000, 300 << 10, 5 << 20, 40 << 20};
    size_t counts[NODES];
    CHECK_EQ(memkind_check_available(kind), MEMKIND_SUCCESS);
    CHECK_LE(memkind_get_capacity(kind), (ssize_t)NODE_SIZE);
    CHECK_GE(memkind_get_capacity(kind), (ssize_t)(NODE_SIZE / 4 * 3));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *object = memkind_malloc(kind, sizes[i]);
        REQUIRE_NOT_NULL(object);
        count_pages(object, sizes[i], counts);
        for (int other = 0; other < NODES; other++)
            CHECK(other == node || counts[other] == 0);
        CHECK_EQ(hbw_verify_memory_region(object, sizes[i], 0),
                 node == 1 ? 0 : -1);
        memkind_free(kind, object);
    }
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
}

static void test_high_bandwidth(void)
{
    if (!nodes_are_there())
        return;
    CHECK_EQ(hbw_check_available(), 0);
    check_node(MEMKIND_HBW, 1);
    check_node(MEMKIND_HBW_ALL, 1);
    check_node(MEMKIND_HBW_PREFERRED, 1);
    check_node(MEMKIND_HBW_INTERLEAVE, 1);
}

static void test_memory_only(void)
{
    if (!nodes_are_there())
        return;
    check_node(MEMKIND_DAX_KMEM, 2);
    check_node(MEMKIND_DAX_KMEM_ALL, 2);
    check_node(MEMKIND_DAX_KMEM_PREFERRED, 2);
    check_node(MEMKIND_DAX_KMEM_INTERLEAVE, 2);
}

static void test_interleaved(void)
{
    size_t counts[NODES];
    if (!nodes_are_there())
        return;
    char *object = memkind_malloc(MEMKIND_INTERLEAVE, 30 * MIB);
    REQUIRE_NOT_NULL(object);
    count_pages(object, 30 * MIB, counts);
    const size_t third = 30 * MIB / 3 / (size_t)sysconf(_SC_PAGESIZE);
    for (int node = 0; node < NODES; node++) {
        CHECK_GE(counts[node], third - third / 10);
        CHECK_LE(counts[node], third + third / 10);
    }
    memkind_free(MEMKIND_INTERLEAVE, object);
    CHECK_EQ(memkind_purge_kind(MEMKIND_INTERLEAVE), MEMKIND_SUCCESS);
}

/* What a full node has no room for is on others. */
static void test_preferred_and_full(void)
{
    size_t counts[NODES];
    if (!nodes_are_there())
        return;
    char *object = memkind_malloc(MEMKIND_DAX_KMEM_PREFERRED, NODE_SIZE);
    REQUIRE_NOT_NULL(object);
    count_pages(object, NODE_SIZE, counts);
    CHECK_GT(counts[2], NODE_SIZE / 2 / (size_t)sysconf(_SC_PAGESIZE));
    CHECK_GT(counts[0] + counts[1], 0);
    memkind_free(MEMKIND_DAX_KMEM_PREFERRED, object);
    CHECK_EQ(memkind_purge_kind(MEMKIND_DAX_KMEM_PREFERRED), MEMKIND_SUCCESS);
}

/* A kind that a program makes, and a child of a process that has it. */
static memkind_t made;

static int use_in_child(void)
{
    size_t counts[NODES];
    char *object = memkind_malloc(made, 8 * MIB);
    NEED(object != NULL);
    count_pages(object, 8 * MIB, counts);
    NEED(counts[0] == 0 && counts[2] == 0);
    memkind_free(made, object);
    return 0;
}

static void test_created_kind(void)
{
    if (!nodes_are_there())
        return;
    REQUIRE_EQ(memkind_create_kind(MEMKIND_MEMTYPE_HIGH_BANDWIDTH,
                                   MEMKIND_POLICY_BIND_ALL, (memkind_bits_t)0,
                                   &made),
               MEMKIND_SUCCESS);
    check_node(made, 1);
    CHECK_EQ(child_run(use_in_child), 0);
    kind_destroy(made);
}

static void test_policies(void)
{
    size_t counts[NODES];
    if (!nodes_are_there())
        return;
    CHECK_EQ(hbw_set_policy(HBW_POLICY_BIND), 0);
    char *object = hbw_malloc(10 * MIB);
    REQUIRE_NOT_NULL(object);
    CHECK_EQ(memkind_detect_kind(object), MEMKIND_HBW);
    count_pages(object, 10 * MIB, counts);
    CHECK_EQ(counts[0] + counts[2], 0);
    hbw_free(object);
}

static void test_tiers(void)
{
    size_t counts[NODES];
    if (!nodes_are_there())
        return;
    struct memtier_builder *builder =
        memtier_builder_new(MEMTIER_POLICY_STATIC_RATIO);
    CHECK_EQ(memtier_builder_add_tier(builder, MEMKIND_DEFAULT, 1), 0);
    CHECK_EQ(memtier_builder_add_tier(builder, MEMKIND_DAX_KMEM, 4), 0);
    struct memtier_memory *memory =
        memtier_builder_construct_memtier_memory(builder);
    REQUIRE_NOT_NULL(memory);
    memtier_builder_delete(builder);
    void *objects[1000];
    for (int i = 0; i < 1000; i++) {
        objects[i] = memtier_malloc(memory, 32768);
        REQUIRE_NOT_NULL(objects[i]);
        if (memkind_detect_kind(objects[i]) != MEMKIND_DAX_KMEM)
            continue;
        count_pages(objects[i], 32768, counts);
        CHECK_EQ(counts[0] + counts[1], 0);
    }
    CHECK_EQ(memtier_kind_allocated_size(MEMKIND_DAX_KMEM),
             4 * memtier_kind_allocated_size(MEMKIND_DEFAULT));
    for (int i = 0; i < 1000; i++)
        memtier_free(objects[i]);
    memtier_delete_memtier_memory(memory);
}

/* ---- the largest, the fastest ------------------------------------------- */

/* Whether all of an object of a kind is on one node. */
static void check_object_node(memkind_t kind, int node)
{
    size_t counts[NODES];
    CHECK_EQ(memkind_check_available(kind), MEMKIND_SUCCESS);
    char *object = memkind_malloc(kind, 10 * MIB);
    REQUIRE_NOT_NULL(object);
    count_pages(object, 10 * MIB, counts);
    for (int other = 0; other < NODES; other++)
        CHECK(other == node || counts[other] == 0);
    memkind_free(kind, object);
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
}

static void test_best_nodes(void)
{
    if (!nodes_are_there())
        return;
    check_object_node(MEMKIND_HIGHEST_CAPACITY, 0);
    check_object_node(MEMKIND_HIGHEST_CAPACITY_PREFERRED, 0);
    check_object_node(MEMKIND_HIGHEST_CAPACITY_LOCAL, 0);
    check_object_node(MEMKIND_HIGHEST_CAPACITY_LOCAL_PREFERRED, 0);
    check_node(MEMKIND_LOWEST_LATENCY_LOCAL, 1);
    check_node(MEMKIND_LOWEST_LATENCY_LOCAL_PREFERRED, 1);
    check_node(MEMKIND_HIGHEST_BANDWIDTH_LOCAL, 1);
    check_node(MEMKIND_HIGHEST_BANDWIDTH_LOCAL_PREFERRED, 1);
    check_object_node(MEMKIND_REGULAR, 0);
    CHECK_GT(memkind_get_capacity(MEMKIND_HIGHEST_CAPACITY),
             (ssize_t)(2 * NODE_SIZE));
}

/* ---- huge pages --------------------------------------------------------- */

#define HUGE_PAGE (2 * MIB)

static bool set_huge_pages(int node, int count)
{
    char path[128];
    int got = -1;
    snprintf(path, sizeof path,
             "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/"
             "nr_hugepages",
             node);
    FILE *file = fopen(path, "r+");
    if (file == NULL || fprintf(file, "%d\n", count) < 0 || fclose(file) != 0)
        return false;
    file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%d", &got) != 1 || fclose(file) != 0)
        return false;
    return got == count;
}

/* A number of /proc/meminfo. */
static long huge_pages(const char *name)
{
    char line[128];
    long count = -1;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            count = strtol(line + strlen(name), NULL, 10);
    if (file != NULL)
        fclose(file);
    return count;
}

/* Bytes of a page at an address, in KiB. */
static long page_size_at(const char *object)
{
    char line[256];
    bool is_there = false;
    long size = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        uintptr_t from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            is_there = (uintptr_t)object >= from && (uintptr_t)object < to;
        else if (is_there)
            (void)sscanf(line, "KernelPageSize: %ld kB", &size);
    }
    if (file != NULL)
        fclose(file);
    return size;
}

/* What a kind has reserved is reserved until its process ends: each of these
 * runs in one of its own. */

static bool is_huge(memkind_t kind)
{
    static const size_t sizes[] = {100, 5000, 300 << 10, 5 << 20, 20 << 20};
    if (memkind_check_available(kind) != MEMKIND_SUCCESS)
        return false;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *object = memkind_malloc(kind, sizes[i]);
        if (object == NULL)
            return false;
        memset(object, 1, sizes[i]);
        if (page_size_at(object) != 2048 ||
            page_size_at(object + sizes[i] - 1) != 2048)
            return false;
        memkind_free(kind, object);
    }
    return true;
}

static int use_huge_pages(void)
{
    NEED(memkind_get_capacity(MEMKIND_HUGETLB) == 40 * HUGE_PAGE);
    NEED(memkind_check_available(MEMKIND_HBW_HUGETLB) == MEMKIND_ERROR_HUGETLB);
    NEED(memkind_malloc(MEMKIND_HBW_HUGETLB, 1) == NULL);
    NEED(is_huge(MEMKIND_HUGETLB));
    const long before = huge_pages("HugePages_Free:");
    NEED(memkind_purge_kind(MEMKIND_HUGETLB) == MEMKIND_SUCCESS);
    NEED(huge_pages("HugePages_Free:") > before);
    NEED(huge_pages("HugePages_Free:") >= 38);
    return 0;
}

static int use_huge_pages_of_node(void)
{
    NEED(is_huge(MEMKIND_HBW_HUGETLB));
    NEED(is_huge(MEMKIND_HBW_PREFERRED_HUGETLB));
    (void)hbw_set_policy(HBW_POLICY_BIND);
    NEED(hbw_get_policy() == HBW_POLICY_BIND);
    void *object = NULL;
    NEED(hbw_posix_memalign_psize(&object, 64, 100, HBW_PAGESIZE_2MB) == 0);
    NEED(memkind_detect_kind(object) == MEMKIND_HBW_HUGETLB);
    NEED(hbw_verify_memory_region(object, 100, 0) == 0);
    hbw_free(object);
    return 0;
}

/* Operations that map such pages, and bind them, leave none behind. */
static int use_operations(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = kind_arena_operations();
    ops.get_mmap_flags = memkind_hugetlb_get_mmap_flags;
    ops.get_mbind_nodemask = memkind_hbw_get_mbind_nodemask;
    ops.mbind = memkind_default_mbind;
    const long before = huge_pages("HugePages_Free:");
    NEED(ops.create(&kind, &ops, "own") == MEMKIND_SUCCESS);
    for (size_t size = 100; size < 8 * MIB; size = size * 5 / 2) {
        char *object = memkind_malloc(&kind, size);
        NEED(object != NULL);
        memset(object, 1, size);
        NEED(hbw_verify_memory_region(object, size, 0) == 0);
    }
    NEED(huge_pages("HugePages_Free:") < before);
    NEED(memkind_destroy_kind(&kind) == MEMKIND_SUCCESS);
    NEED(huge_pages("HugePages_Free:") == before);
    return 0;
}

/* A process that locks its memory has pages as soon as they can be touched. */
static int use_pages_locked(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = kind_arena_operations();
    ops.get_mbind_nodemask = memkind_hbw_get_mbind_nodemask;
    ops.mbind = memkind_default_mbind;
    NEED(mlockall(MCL_FUTURE) == 0);
    void *object = memkind_malloc(MEMKIND_HBW_HUGETLB, 3 * MIB);
    NEED(object != NULL);
    NEED(hbw_verify_memory_region(object, 3 * MIB, HBW_TOUCH_PAGES) == 0);
    NEED(ops.create(&kind, &ops, "own") == MEMKIND_SUCCESS);
    object = memkind_malloc(&kind, 3 * MIB);
    NEED(object != NULL);
    NEED(hbw_verify_memory_region(object, 3 * MIB, HBW_TOUCH_PAGES) == 0);
    NEED(memkind_destroy_kind(&kind) == MEMKIND_SUCCESS);
    return 0;
}

static void test_huge_pages(void)
{
    if (!nodes_are_there())
        return;
    CHECK_EQ(memkind_check_available(MEMKIND_HUGETLB), MEMKIND_ERROR_HUGETLB);
    CHECK_NULL(memkind_malloc(MEMKIND_HUGETLB, 1));
    REQUIRE(set_huge_pages(0, 40));
    CHECK_EQ(child_run(use_huge_pages), 0);
    REQUIRE(set_huge_pages(1, 40));
    CHECK_EQ(child_run(use_huge_pages_of_node), 0);
    CHECK_EQ(child_run(use_pages_locked), 0);
    CHECK_EQ(child_run(use_operations), 0);
    REQUIRE(set_huge_pages(0, 0));
    CHECK(set_huge_pages(1, 0));
}

/* Stores never fail for want of pages: allocations do. */
static memkind_t used_up;
static unsigned objects_least, objects_most;

static int use_up(void)
{
    char *objects[256];
    unsigned count = 0;
    while (count < 256 &&
           (objects[count] = memkind_malloc(used_up, MIB)) != NULL)
        memset(objects[count++], 1, MIB);
    NEED(errno == ENOMEM);
    NEED(count >= objects_least && count <= objects_most);
    for (unsigned i = 0; i < count; i++)
        memkind_free(used_up, objects[i]);
    NEED(memkind_purge_kind(used_up) == MEMKIND_SUCCESS);
    return 0;
}

static void test_huge_pages_used_up(void)
{
    if (!nodes_are_there())
        return;
    REQUIRE(set_huge_pages(0, 60));
    REQUIRE(set_huge_pages(1, 20));
    used_up = MEMKIND_HUGETLB;
    objects_least = 120;
    objects_most = 160;
    CHECK_EQ(child_run(use_up), 0);
    /* Those of node 0 are free all the time. */
    used_up = MEMKIND_HBW_ALL_HUGETLB;
    objects_least = 30;
    objects_most = 40;
    CHECK_EQ(child_run(use_up), 0);
    REQUIRE(set_huge_pages(0, 0));
    CHECK(set_huge_pages(1, 0));
}

/* A parent keeps what it has, although there are no pages for a child. */
static int fork_with_pages(void)
{
    const size_t size = 10 * HUGE_PAGE;
    int ends[2], status = -1;
    char *object = memkind_malloc(MEMKIND_HUGETLB, size);
    NEED(object != NULL);
    memset(object, 1, size);
    (void)set_huge_pages(0, 1);
    NEED(huge_pages("HugePages_Free:") <= 1);
    NEED(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        char byte;
        (void)close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    NEED(child > 0);
    memset(object, 2, size);
    for (size_t at = 0; at < size; at += 4096)
        NEED(object[at] == 2);
    (void)close(ends[0]);
    (void)close(ends[1]);
    NEED(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}

/* If there are, a child has a copy as of other memory. */
static int fork_with_spare_pages(void)
{
    const size_t size = 5 * HUGE_PAGE;
    int status = -1;
    char *object = memkind_malloc(MEMKIND_HUGETLB, size);
    NEED(object != NULL);
    memset(object, 1, size);
    const pid_t child = fork();
    if (child == 0) {
        char *own = memkind_malloc(MEMKIND_HUGETLB, MIB);
        memset(object, 3, size);
        _exit(own != NULL && object[size - 1] == 3 ? 0 : 1);
    }
    NEED(waitpid(child, &status, 0) == child && status == 0);
    for (size_t at = 0; at < size; at += 4096)
        NEED(object[at] == 1);
    return 0;
}

static void test_huge_pages_and_fork(void)
{
    if (!nodes_are_there())
        return;
    REQUIRE(set_huge_pages(0, 40));
    CHECK_EQ(child_run(fork_with_spare_pages), 0);
    CHECK_EQ(child_run(fork_with_pages), 0);
    CHECK(set_huge_pages(0, 0));
}

/* The command, with what the machine has for a ratio. */
static void test_command(void)
{
    if (!nodes_are_there() || access("./memtier", X_OK) != 0)
        return;
    CHECK_EQ(system("./memtier -v /bin/busybox true 2>&1 | tee memtier.log; "
                    "grep -q 'KIND:KMEM_DAX,RATIO:25[0-9];' memtier.log"),
             0);
    CHECK_EQ(system("./memtier -r 1:4 /bin/busybox true"), 0);
}

static const struct test_case tests[] = {
    {"high_bandwidth", test_high_bandwidth},
    {"memory_only", test_memory_only},
    {"interleaved", test_interleaved},
    {"preferred_and_full", test_preferred_and_full},
    {"created_kind", test_created_kind},
    {"policies", test_policies},
    {"tiers", test_tiers},
    {"best_nodes", test_best_nodes},
    {"huge_pages", test_huge_pages},
    {"huge_pages_used_up", test_huge_pages_used_up},
    {"huge_pages_and_fork", test_huge_pages_and_fork},
    {"command", test_command},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("nodes", tests, argc, argv);
}
