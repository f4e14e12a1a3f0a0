/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which nodes there are, on machines that the tests make up: files of
 * /sys/devices/system/node are read from a table. Each machine is looked at in
 * a process of its own, since that is done once.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <memkind.h>
#include <memkind/internal/memkind_dax_kmem.h>
#include <memkind/internal/memkind_default.h>
#include <memkind/internal/memkind_hbw.h>
#include <memkind/internal/memkind_hugetlb.h>
#include <memkind/internal/memkind_interleave.h>
#include <memkind/internal/memkind_regular.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "last_error.h"
#include "numa_nodes.h"
#include "numa_pages.h"
#include "region_numa.h"
#include "region_pool.h"
#include "sys_calls.h"
#include "test_child.h"

/* ---- a machine ---------------------------------------------------------- */

#define FILE_LEAST 10000

struct fake_file {
    const char *name, *text;
};

static const struct fake_file *files;
static int open_files;
static unsigned cpu_node; /* of the CPU that the caller is on */

static int fake_open(const char *path, int flags, mode_t mode)
{
    static const char folder[] = "/sys/devices/system/node/";
    (void)flags, (void)mode;
    if (strncmp(path, folder, strlen(folder)) == 0)
        for (int i = 0; files[i].name != NULL; i++)
            if (strcmp(path + strlen(folder), files[i].name) == 0) {
                open_files++;
                return FILE_LEAST + i;
            }
    errno = ENOENT;
    return -1;
}

static ssize_t fake_pread(int fd, void *buffer, size_t size, off_t offset)
{
    const char *text = files[fd - FILE_LEAST].text;
    const size_t length = strlen(text);
    if (offset != 0 || length > size) {
        errno = EIO;
        return -1;
    }
    memcpy(buffer, text, length);
    return (ssize_t)length;
}

static int fake_close(int fd)
{
    open_files -= fd >= FILE_LEAST;
    return 0;
}

static int fake_getcpu(unsigned *cpu, unsigned *node)
{
    (void)cpu;
    *node = cpu_node;
    return 0;
}

static void become(const struct fake_file *machine)
{
    files = machine;
    sys.open = fake_open;
    sys.pread = fake_pread;
    sys.close = fake_close;
    sys.getcpu = fake_getcpu;
}

/* Two sockets (0 and 1), each with high-bandwidth memory (4 and 5), and one
 * node of memory alone (7). */
static const struct fake_file large[] = {
    {"online", "0-1,4-5,7\n"},
    {"has_memory", "0-1,4-5,7\n"},
    {"has_cpu", "0-1\n"},
    {"node0/access0/initiators/read_bandwidth", "131072\n"},
    {"node1/access0/initiators/read_bandwidth", "131072\n"},
    {"node4/access0/initiators/read_bandwidth", "409600\n"},
    {"node5/access0/initiators/write_bandwidth", "204800\n"},
    {"node7/access0/initiators/read_bandwidth", "20480\n"},
    {"node0/distance", "10 21 13 23 24\n"},
    {"node1/distance", "21 10 23 13 24\n"},
    {"node4/distance", "13 23 10 23 28\n"},
    {"node4/meminfo", "Node 4 MemTotal:   1024 kB\nNode 4 MemFree: 1 kB\n"},
    {"node5/meminfo", "Node 5 MemTotal:   2048 kB\nNode 5 MemFree: 1 kB\n"},
    {NULL, NULL},
};

/* Two sockets (0 and 1), of which the second one has more memory; a node of
 * high bandwidth for each (2 and 3), and a large one behind the first (4), as
 * the firmware says. Node 5 has memory of which it says nothing; it is nearer
 * to node 1. Distances alone would mislead: node 4 is as far from node 0 as
 * node 1 is. */
static const struct fake_file mixed[] = {
    {"online", "0-5\n"},
    {"has_memory", "0-5\n"},
    {"has_cpu", "0-1\n"},
    {"node0/meminfo", "Node 0 MemTotal:   1000 kB\n"},
    {"node1/meminfo", "Node 1 MemTotal:   2000 kB\n"},
    {"node2/meminfo", "Node 2 MemTotal:   500 kB\n"},
    {"node3/meminfo", "Node 3 MemTotal:   500 kB\n"},
    {"node4/meminfo", "Node 4 MemTotal:   2000 kB\n"},
    {"node5/meminfo", "Node 5 MemTotal:   1500 kB\n"},
    {"node0/access0/initiators/node0/cpulist", "0-3\n"},
    {"node0/access0/initiators/read_bandwidth", "100\n"},
    {"node0/access0/initiators/read_latency", "80\n"},
    {"node1/access0/initiators/node1/cpulist", "4-7\n"},
    {"node1/access0/initiators/read_bandwidth", "100\n"},
    {"node1/access0/initiators/write_latency", "90\n"},
    {"node2/access0/initiators/node0/cpulist", "0-3\n"},
    {"node2/access0/initiators/read_bandwidth", "400\n"},
    {"node2/access0/initiators/read_latency", "120\n"},
    {"node3/access0/initiators/node1/cpulist", "4-7\n"},
    {"node3/access0/initiators/read_bandwidth", "100\n"},
    {"node3/access0/initiators/read_latency", "90\n"},
    {"node4/access0/initiators/node0/cpulist", "0-3\n"},
    {"node4/access0/initiators/read_bandwidth", "20\n"},
    {"node4/access0/initiators/read_latency", "300\n"},
    {"node0/distance", "10 21 13 23 21 24\n"},
    {"node1/distance", "21 10 23 13 17 24\n"},
    {"node5/distance", "31 28 40 40 40 10\n"},
    {NULL, NULL},
};

/* What happens if the firmware says nothing at all. */
static const struct fake_file silent[] = {
    {"online", "0-2\n"},
    {"has_memory", "0-2\n"},
    {"has_cpu", "0-1\n"},
    {"node0/meminfo", "Node 0 MemTotal:   1000 kB\n"},
    {"node1/meminfo", "Node 1 MemTotal:   1000 kB\n"},
    {"node2/meminfo", "Node 2 MemTotal:   3000 kB\n"},
    {"node2/distance", "17 28 10\n"},
    {NULL, NULL},
};

static const struct fake_file small[] = {
    {"online", "0\n"},          {"has_memory", "0\n"}, {"has_cpu", "0\n"},
    {"node0/distance", "10\n"}, {NULL, NULL},
};

static const struct fake_file nothing[] = {{NULL, NULL}};

static bool is_set(const struct numa_set *set, const char *text)
{
    struct numa_set wanted = {{0}};
    if (text[0] != '\0' && !numa_set_parse(text, NULL, &wanted))
        return false;
    return memcmp(set, &wanted, sizeof wanted) == 0;
}

static bool nodes_are(enum numa_sort sort, const char *text)
{
    return is_set(numa_nodes_of(sort), text);
}

/* ---- lists of nodes ----------------------------------------------------- */

static void test_lists(void)
{
    static const struct {
        const char *text, *nodes;
    } good[] = {
        {"0", "0"},         {"0,2", "0,2"}, {"1-3", "1,2,3"},
        {"0-1,3", "0,1,3"}, {"all", "0-3"}, {"!0", "1-3"},
        {"!1-2", "0,3"},    {"!all", ""},   {"003,3,3-3", "3"},
    };
    static const char *const bad[] = {
        "",    ",",     "0,",  ",0",   "-1",
        "0-",  "3-1",   "4",   "0-4",  "x",
        "0x1", " 0",    "0 ",  "0,,1", "!",
        "!!0", "all,0", "ALL", "1024", "99999999999999999999"};
    struct numa_set all, set;
    REQUIRE(numa_set_parse("0-3\n", NULL, &all));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!numa_set_parse(good[i].text, &all, &set) ||
            !is_set(&set, good[i].nodes))
            CHECK_STR(good[i].text, good[i].nodes);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (numa_set_parse(bad[i], &all, &set))
            CHECK_STR(bad[i], "refused");
    CHECK(numa_set_parse("1023", NULL, &set));
    CHECK(numa_set_has(&set, 1023) && !numa_set_has(&set, 1024));
    CHECK(!numa_set_parse("1024", NULL, &set));
    CHECK(!numa_set_parse("all", NULL, &set));
}

/* ---- sorts of nodes ----------------------------------------------------- */

static int look_at_large(void)
{
    become(large);
    NEED(nodes_are(NUMA_ANY, "0-1,4-5,7"));
    NEED(nodes_are(NUMA_ORDINARY, "0-1"));
    NEED(nodes_are(NUMA_HIGH_BANDWIDTH, "4-5"));
    NEED(nodes_are(NUMA_MEMORY_ONLY, "7"));
    NEED(numa_nodes_are_valid(NUMA_HIGH_BANDWIDTH));
    NEED(numa_nodes_size(numa_nodes_of(NUMA_HIGH_BANDWIDTH)) == 3 << 20);
    NEED(numa_nodes_size(numa_nodes_of(NUMA_MEMORY_ONLY)) == 0);
    NEED(open_files == 0);
    return 0;
}

static int look_at_small(void)
{
    become(small);
    NEED(nodes_are(NUMA_ANY, "0") && nodes_are(NUMA_ORDINARY, "0"));
    NEED(nodes_are(NUMA_HIGH_BANDWIDTH, "") && nodes_are(NUMA_MEMORY_ONLY, ""));
    return 0;
}

static int look_at_nothing(void)
{
    become(nothing);
    for (int sort = 0; sort < NUMA_SORTS; sort++)
        NEED(nodes_are((enum numa_sort)sort, "") &&
             numa_nodes_are_valid((enum numa_sort)sort));
    NEED(memkind_check_available(MEMKIND_INTERLEAVE) ==
         MEMKIND_ERROR_UNAVAILABLE);
    NEED(memkind_check_available(MEMKIND_DAX_KMEM) ==
         MEMKIND_ERROR_UNAVAILABLE);
    NEED(memkind_malloc(MEMKIND_INTERLEAVE, 1) == NULL && errno == ENOMEM);
    NEED(memkind_get_capacity(MEMKIND_INTERLEAVE) == -1);
    return 0;
}

static int look_with_names(void)
{
    setenv("MEMKIND_HBW_NODES", "1,7", 1);
    setenv("MEMKIND_DAX_KMEM_NODES", "!0-1", 1);
    become(large);
    NEED(nodes_are(NUMA_HIGH_BANDWIDTH, "1,7"));
    NEED(nodes_are(NUMA_MEMORY_ONLY, "4-5,7"));
    return 0;
}

static int look_with_threshold(void)
{
    setenv("MEMKIND_HBW_THRESHOLD", "204801", 1);
    become(large);
    NEED(nodes_are(NUMA_HIGH_BANDWIDTH, "4"));
    NEED(nodes_are(NUMA_MEMORY_ONLY, "5,7"));
    return 0;
}

static int look_with_bad_names(void)
{
    setenv("MEMKIND_HBW_NODES", "2", 1);
    setenv("MEMKIND_DAX_KMEM_NODES", "x", 1);
    become(large);
    NEED(nodes_are(NUMA_HIGH_BANDWIDTH, "") && nodes_are(NUMA_MEMORY_ONLY, ""));
    NEED(!numa_nodes_are_valid(NUMA_HIGH_BANDWIDTH));
    NEED(memkind_check_available(MEMKIND_DAX_KMEM) == MEMKIND_ERROR_ENVIRON);
    NEED(strstr(memkind_last_error(), "MEMKIND_DAX_KMEM_NODES is 'x'") != NULL);
    return 0;
}

static int look_with_bad_threshold(void)
{
    setenv("MEMKIND_HBW_THRESHOLD", "-1", 1);
    become(large);
    NEED(nodes_are(NUMA_HIGH_BANDWIDTH, ""));
    NEED(memkind_check_available(MEMKIND_HBW) == MEMKIND_ERROR_ENVIRON);
    NEED(strstr(memkind_last_error(), "MEMKIND_HBW_THRESHOLD") != NULL);
    return 0;
}

static void test_sorts(void)
{
    CHECK_EQ(child_run(look_at_large), 0);
    CHECK_EQ(child_run(look_at_small), 0);
    CHECK_EQ(child_run(look_at_nothing), 0);
    CHECK_EQ(child_run(look_with_names), 0);
    CHECK_EQ(child_run(look_with_threshold), 0);
    CHECK_EQ(child_run(look_with_bad_names), 0);
    CHECK_EQ(child_run(look_with_bad_threshold), 0);
}

/* ---- the nearest -------------------------------------------------------- */

static bool nearest_is(unsigned from, enum numa_sort sort, const char *text)
{
    struct numa_set nearest;
    cpu_node = from;
    numa_nodes_nearest(sort, &nearest);
    return is_set(&nearest, text);
}

static int find_nearest(void)
{
    become(large);
    NEED(nearest_is(0, NUMA_HIGH_BANDWIDTH, "4"));
    NEED(nearest_is(1, NUMA_HIGH_BANDWIDTH, "5"));
    NEED(nearest_is(0, NUMA_ORDINARY, "0"));
    NEED(nearest_is(4, NUMA_ORDINARY, "0"));
    NEED(nearest_is(0, NUMA_MEMORY_ONLY, "7"));
    /* Node 5 has no file of distances. */
    NEED(nearest_is(5, NUMA_HIGH_BANDWIDTH, "4-5"));
    NEED(open_files == 0);
    return 0;
}

static void test_nearest(void)
{
    CHECK_EQ(child_run(find_nearest), 0);
}

/* ---- the best ones ------------------------------------------------------ */

static int find_best(void)
{
    become(mixed);
    NEED(nodes_are(NUMA_LARGEST, "1,4"));
    NEED(nodes_are(NUMA_LARGEST_OF_DOMAIN, "1,4"));
    NEED(nodes_are(NUMA_LOWEST_LATENCY_OF_DOMAIN, "0,3"));
    NEED(nodes_are(NUMA_HIGH_BANDWIDTH_OF_DOMAIN, "2-3"));
    NEED(nearest_is(0, NUMA_LARGEST, "1,4"));
    NEED(nearest_is(1, NUMA_LARGEST, "1"));
    NEED(nearest_is(0, NUMA_LARGEST_OF_DOMAIN, "4"));
    NEED(nearest_is(1, NUMA_LARGEST_OF_DOMAIN, "1"));
    /* The smaller one, if two are as fast. */
    NEED(nearest_is(0, NUMA_LOWEST_LATENCY_OF_DOMAIN, "0"));
    NEED(nearest_is(1, NUMA_LOWEST_LATENCY_OF_DOMAIN, "3"));
    NEED(nearest_is(0, NUMA_HIGH_BANDWIDTH_OF_DOMAIN, "2"));
    NEED(nearest_is(1, NUMA_HIGH_BANDWIDTH_OF_DOMAIN, "3"));
    NEED(open_files == 0);
    return 0;
}

static int find_best_in_silence(void)
{
    become(silent);
    NEED(nodes_are(NUMA_LARGEST, "2"));
    NEED(nodes_are(NUMA_LARGEST_OF_DOMAIN, "1-2"));
    NEED(nearest_is(0, NUMA_LARGEST_OF_DOMAIN, "2"));
    NEED(nearest_is(1, NUMA_LARGEST_OF_DOMAIN, "1"));
    NEED(nodes_are(NUMA_LOWEST_LATENCY_OF_DOMAIN, ""));
    NEED(nodes_are(NUMA_HIGH_BANDWIDTH_OF_DOMAIN, ""));
    NEED(memkind_check_available(MEMKIND_LOWEST_LATENCY_LOCAL) ==
         MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
    NEED(memkind_check_available(MEMKIND_HIGHEST_BANDWIDTH_LOCAL_PREFERRED) ==
         MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
    return 0;
}

static void test_best(void)
{
    CHECK_EQ(child_run(find_best), 0);
    CHECK_EQ(child_run(find_best_in_silence), 0);
}

/* ---- binding ------------------------------------------------------------ */

static struct {
    int mode, calls, error;
    struct numa_set nodes;
} bound;

static int fake_mbind(void *addr, size_t len, int mode,
                      const unsigned long *nodes, unsigned long bits)
{
    (void)addr, (void)len;
    bound.calls++;
    bound.mode = mode;
    if (bits != NUMA_NODES_MOST + 1)
        abort();
    memcpy(&bound.nodes, nodes, sizeof bound.nodes);
    errno = bound.error;
    return bound.error == 0 ? 0 : -1;
}

static bool binds(enum region_numa_mode mode, int policy, const char *nodes)
{
    static char memory[4096];
    const struct region_numa numa = {mode, NUMA_HIGH_BANDWIDTH};
    return region_numa_apply(&numa, memory, 1) == 0 && bound.mode == policy &&
           is_set(&bound.nodes, nodes);
}

static int bind_memory(void)
{
    become(large);
    sys.mbind = fake_mbind;
    cpu_node = 1;
    NEED(nodes_are(NUMA_HIGH_BANDWIDTH, "4-5"));
    NEED(binds(REGION_NUMA_NEAREST, MPOL_BIND, "5"));
    NEED(binds(REGION_NUMA_ALL, MPOL_BIND, "4-5"));
    NEED(binds(REGION_NUMA_PREFERRED, MPOL_PREFERRED, "5"));
    NEED(binds(REGION_NUMA_INTERLEAVE, MPOL_INTERLEAVE, "4-5"));
    cpu_node = 5; /* both are as near */
    NEED(binds(REGION_NUMA_NEAREST, MPOL_BIND, "4-5"));
    NEED(binds(REGION_NUMA_PREFERRED, MPOL_PREFERRED, "4"));
    return 0;
}

/* Whether a new heap of a kind is bound so. */
static bool kind_binds(memkind_t kind, int policy, const char *nodes)
{
    bound.calls = 0;
    void *ptr = memkind_malloc(kind, 100);
    memkind_free(kind, ptr);
    return ptr != NULL && bound.calls > 0 && bound.mode == policy &&
           is_set(&bound.nodes, nodes);
}

static int bind_kinds(void)
{
    become(mixed);
    sys.mbind = fake_mbind;
    NEED(kind_binds(MEMKIND_HIGHEST_CAPACITY, MPOL_BIND, "1,4"));
    NEED(kind_binds(MEMKIND_HIGHEST_CAPACITY_PREFERRED, MPOL_PREFERRED, "1"));
    NEED(kind_binds(MEMKIND_HIGHEST_CAPACITY_LOCAL, MPOL_BIND, "4"));
    NEED(kind_binds(MEMKIND_HIGHEST_CAPACITY_LOCAL_PREFERRED, MPOL_PREFERRED,
                    "4"));
    NEED(kind_binds(MEMKIND_LOWEST_LATENCY_LOCAL, MPOL_BIND, "0"));
    cpu_node = 1;
    NEED(kind_binds(MEMKIND_LOWEST_LATENCY_LOCAL_PREFERRED, MPOL_PREFERRED,
                    "3"));
    NEED(kind_binds(MEMKIND_HIGHEST_BANDWIDTH_LOCAL, MPOL_BIND, "3"));
    cpu_node = 0;
    NEED(kind_binds(MEMKIND_HIGHEST_BANDWIDTH_LOCAL_PREFERRED, MPOL_PREFERRED,
                    "2"));
    NEED(kind_binds(MEMKIND_REGULAR, MPOL_BIND, "0-1"));
    NEED(memkind_get_capacity(MEMKIND_HIGHEST_CAPACITY) == 4000 << 10);
    NEED(memkind_get_capacity(MEMKIND_REGULAR) == 3000 << 10);
    return 0;
}

/* ---- what operations consist of ------------------------------------------ */

static int mask_calls;

static int own_nodemask(struct memkind *kind, unsigned long *nodemask,
                        unsigned long maxnode)
{
    (void)kind;
    mask_calls++;
    memset(nodemask, 0, maxnode / 8);
    nodemask[0] = 0x30;
    return MEMKIND_SUCCESS;
}

static int refuse_nodemask(struct memkind *kind, unsigned long *nodemask,
                           unsigned long maxnode)
{
    (void)kind, (void)nodemask, (void)maxnode;
    return MEMKIND_ERROR_RUNTIME;
}

typedef int mask_function(struct memkind *kind, unsigned long *nodemask,
                          unsigned long maxnode);

static bool gives_mask(mask_function *function, struct memkind *kind,
                       unsigned long expected)
{
    unsigned long mask[3] = {~0UL, ~0UL, ~0UL};
    return function(kind, mask, 128) == MEMKIND_SUCCESS &&
           mask[0] == expected && mask[1] == 0 && mask[2] == ~0UL &&
           function(kind, NULL, 0) == MEMKIND_SUCCESS;
}

static int know_masks(void)
{
    unsigned long mask = ~0UL;
    int number = -1;
    setenv("MEMKIND_HBW_NODES", "4,5", 1);
    become(large);
    NEED(gives_mask(memkind_hbw_all_get_mbind_nodemask, NULL, 0x30));
    NEED(gives_mask(memkind_hbw_get_mbind_nodemask, MEMKIND_HBW, 0x10));
    NEED(gives_mask(memkind_dax_kmem_all_get_mbind_nodemask, NULL, 0x80));
    NEED(gives_mask(memkind_regular_all_get_mbind_nodemask, NULL, 0x3));
    NEED(gives_mask(memkind_default_get_mbind_nodemask, MEMKIND_HBW_ALL, 0x30));
    NEED(gives_mask(memkind_default_get_mbind_nodemask, MEMKIND_DEFAULT, 0xb3));
    /* No more bits than there is room for. */
    NEED(memkind_hbw_all_get_mbind_nodemask(NULL, &mask, 5) == 0);
    NEED(mask == (~0UL & ~0xfUL));
    NEED(memkind_hbw_check_available(MEMKIND_HBW) == MEMKIND_SUCCESS);
    NEED(memkind_default_get_mbind_mode(NULL, &number) == 0);
    NEED(number == MPOL_BIND);
    NEED(memkind_preferred_get_mbind_mode(NULL, &number) == 0);
    NEED(number == MPOL_PREFERRED);
    NEED(memkind_interleave_get_mbind_mode(NULL, &number) == 0);
    NEED(number == MPOL_INTERLEAVE);
    NEED(memkind_default_get_mbind_mode(NULL, NULL) == MEMKIND_ERROR_INVALID);
    NEED(memkind_hugetlb_get_mmap_flags(NULL, &number) == MEMKIND_SUCCESS);
    NEED((number & MAP_HUGETLB) != 0 && (number & MAP_PRIVATE) != 0);
    NEED(memkind_hugetlb_get_mmap_flags(NULL, NULL) == MEMKIND_ERROR_INVALID);
    NEED(memkind_hugetlb_check_available_2mb(NULL) == MEMKIND_ERROR_HUGETLB);
    NEED(memkind_hugetlb_check_available_2mb(MEMKIND_DEFAULT) ==
         MEMKIND_ERROR_HUGETLB);
    NEED(memkind_hbw_hugetlb_check_available(NULL) == MEMKIND_ERROR_HUGETLB);
    NEED(memkind_default_get_mbind_nodemask(NULL, &mask, 64) ==
         MEMKIND_ERROR_INVALID);
    return 0;
}

static int know_no_masks(void)
{
    unsigned long mask = 77;
    become(small);
    NEED(memkind_hbw_all_get_mbind_nodemask(NULL, &mask, 64) ==
         MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
    NEED(memkind_hbw_get_mbind_nodemask(NULL, &mask, 64) ==
         MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
    NEED(memkind_dax_kmem_all_get_mbind_nodemask(NULL, &mask, 64) ==
         MEMKIND_ERROR_UNAVAILABLE);
    NEED(memkind_hbw_check_available(NULL) ==
         MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
    NEED(memkind_hbw_hugetlb_check_available(NULL) ==
         MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
    NEED(mask == 77);
    NEED(memkind_regular_all_get_mbind_nodemask(NULL, &mask, 64) == 0);
    NEED(mask == 1);
    return 0;
}

static int know_nothing(void)
{
    become(nothing);
    NEED(memkind_regular_all_get_mbind_nodemask(NULL, NULL, 0) ==
         MEMKIND_ERROR_UNAVAILABLE);
    setenv("MEMKIND_HBW_NODES", "x", 1);
    NEED(memkind_hbw_all_get_mbind_nodemask(NULL, NULL, 0) != 0);
    return 0;
}

static int bind_by_operations(void)
{
    static char memory[4096];
    struct memkind_ops ops = {.get_mbind_nodemask = own_nodemask};
    struct memkind kind = {.ops = &ops};
    become(large);
    sys.mbind = fake_mbind;
    NEED(memkind_default_mbind(&kind, memory, 1) == MEMKIND_SUCCESS);
    NEED(bound.mode == MPOL_BIND && is_set(&bound.nodes, "4-5"));
    ops.get_mbind_mode = memkind_interleave_get_mbind_mode;
    NEED(memkind_default_mbind(&kind, memory, 1) == MEMKIND_SUCCESS);
    NEED(bound.mode == MPOL_INTERLEAVE && mask_calls == 2);
    NEED(memkind_default_mbind(MEMKIND_HBW_ALL, memory, 1) == MEMKIND_SUCCESS);
    NEED(bound.mode == MPOL_BIND && is_set(&bound.nodes, "4-5"));
    NEED(memkind_default_mbind(MEMKIND_DEFAULT, memory, 1) ==
         MEMKIND_ERROR_BADOPS);
    NEED(memkind_default_mbind(NULL, memory, 1) == MEMKIND_ERROR_INVALID);
    bound.error = EPERM;
    errno = 0;
    NEED(memkind_default_mbind(&kind, memory, 1) == MEMKIND_ERROR_MBIND);
    NEED(errno == EPERM);
    errno = 0;
    NEED(memkind_default_mbind(MEMKIND_HBW_ALL, memory, 1) ==
         MEMKIND_ERROR_MBIND);
    NEED(errno == EPERM);
    ops.get_mbind_nodemask = refuse_nodemask;
    NEED(memkind_default_mbind(&kind, memory, 1) == MEMKIND_ERROR_RUNTIME);
    return 0;
}

static int make_heaps(void)
{
    become(large);
    sys.mbind = fake_mbind;
    memkind_default_init_once();
    NEED(bound.calls == 0);
    errno = 77;
    memkind_hbw_init_once();
    memkind_hbw_init_once();
    memkind_hbw_all_init_once();
    memkind_hbw_preferred_init_once();
    memkind_hbw_interleave_init_once();
    memkind_interleave_init_once();
    memkind_hbw_hugetlb_init_once(); /* there are no huge pages */
    memkind_hbw_all_hugetlb_init_once();
    memkind_hbw_preferred_hugetlb_init_once();
    memkind_hugetlb_init_once();
    NEED(errno == 77);
    static memkind_t *const made[] = {
        &MEMKIND_DEFAULT,       &MEMKIND_HBW,        &MEMKIND_HBW_ALL,
        &MEMKIND_HBW_PREFERRED, &MEMKIND_INTERLEAVE, &MEMKIND_HBW_INTERLEAVE};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        NEED((*made[i])->heap != NULL);
    NEED(MEMKIND_HUGETLB->heap == NULL && MEMKIND_HBW_HUGETLB->heap == NULL);
    return 0;
}

static void test_operations(void)
{
    CHECK_EQ(child_run(know_masks), 0);
    CHECK_EQ(child_run(know_no_masks), 0);
    CHECK_EQ(child_run(know_nothing), 0);
    CHECK_EQ(child_run(bind_by_operations), 0);
    CHECK_EQ(child_run(make_heaps), 0);
}

/* Where all memory is ordinary, that kind needs no nodes, and works in a
 * sandbox, too. */
static int bind_nothing(void)
{
    become(small);
    sys.mbind = fake_mbind;
    bound.error = EPERM;
    void *ptr = memkind_malloc(MEMKIND_REGULAR, 100);
    NEED(ptr != NULL && bound.calls == 0);
    memkind_free(MEMKIND_REGULAR, ptr);
    NEED(memkind_get_capacity(MEMKIND_REGULAR) ==
         memkind_get_capacity(MEMKIND_DEFAULT));
    return 0;
}

/* What cannot be bound is not handed out, unless it need not be. */
static int refuse_unbound(void)
{
    become(large);
    sys.mbind = fake_mbind;
    bound.error = EPERM;
    NEED(memkind_malloc(MEMKIND_HBW, 100) == NULL && errno == ENOMEM);
    NEED(bound.calls > 0);
    NEED(memkind_malloc(MEMKIND_HBW_ALL, 100) == NULL);
    NEED(memkind_malloc(MEMKIND_HBW_INTERLEAVE, 100) == NULL);
    void *preferred = memkind_malloc(MEMKIND_HBW_PREFERRED, 100);
    NEED(preferred != NULL);
    memkind_free(NULL, preferred);
    /* Then it may. */
    bound.error = 0;
    void *ptr = memkind_malloc(MEMKIND_HBW, 100);
    NEED(ptr != NULL);
    memkind_free(MEMKIND_HBW, ptr);
    const int calls = bound.calls;
    void *other = memkind_malloc(MEMKIND_DEFAULT, 100);
    NEED(other != NULL && bound.calls == calls);
    memkind_free(NULL, other);
    return 0;
}

static void test_binding(void)
{
    CHECK_EQ(child_run(bind_memory), 0);
    CHECK_EQ(child_run(bind_kinds), 0);
    CHECK_EQ(child_run(bind_nothing), 0);
    CHECK_EQ(child_run(refuse_unbound), 0);
}

/* ---- pages -------------------------------------------------------------- */

static int pages_error;

static int fake_move_pages(size_t count, void **pages, int *status)
{
    (void)pages;
    for (size_t i = 0; i < count; i++)
        status[i] = i == 63 ? 7 : 4;
    errno = pages_error;
    return pages_error == 0 ? 0 : -1;
}

static int look_at_pages(void)
{
    static char memory[100 << 12] __attribute__((aligned(4096)));
    become(large);
    sys.move_pages = fake_move_pages;
    const struct numa_set *any = numa_nodes_of(NUMA_ANY);
    const struct numa_set *fast = numa_nodes_of(NUMA_HIGH_BANDWIDTH);
    const size_t page = region_page_size();
    NEED(numa_pages_are_on(any, memory, 64 * page, false) == 0);
    NEED(numa_pages_are_on(fast, memory, 63 * page, false) == 0);
    NEED(numa_pages_are_on(fast, memory + 1, 62 * page, false) == 0);
    NEED(numa_pages_are_on(fast, memory, 64 * page, false) == -EXDEV);
    NEED(numa_pages_are_on(fast, memory + 1, 63 * page, false) == -EXDEV);
    pages_error = EPERM;
    NEED(numa_pages_are_on(fast, memory, page, false) == -EPERM);
    return 0;
}

static void test_pages(void)
{
    CHECK_EQ(child_run(look_at_pages), 0);
}

static const struct test_case tests[] = {
    {"lists", test_lists},     {"sorts", test_sorts},
    {"nearest", test_nearest}, {"operations", test_operations},
    {"best ones", test_best},  {"binding", test_binding},
    {"pages", test_pages},     {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("NUMA nodes", tests, argc, argv);
}
