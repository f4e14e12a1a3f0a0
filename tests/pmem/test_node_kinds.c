/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kinds of NUMA nodes, in the guest `hmat` of run.sh: node 0 has the CPUs, node
 * 1 a high bandwidth, as the firmware's table says, and node 2 neither. The
 * last two have 256 MiB each. Skipped elsewhere.
 */
#include <errno.h>
#include <hbwmalloc.h>
#include <memkind.h>
#include <memkind_memtier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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
    {"command", test_command},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("nodes", tests, argc, argv);
}
