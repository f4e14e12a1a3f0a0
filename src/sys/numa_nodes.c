/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa_nodes.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cancellation.h"
#include "last_error.h"
#include "options.h"
#include "sys_calls.h"

#define NODES "/sys/devices/system/node/"

/* Bandwidths in the system's tables are in MB/s (10^6 bytes). */
#define THRESHOLD_PRESET 204800

/* ---- sets --------------------------------------------------------------- */

bool numa_set_is_empty(const struct numa_set *set)
{
    for (size_t i = 0; i < sizeof set->bits / sizeof set->bits[0]; i++)
        if (set->bits[i] != 0)
            return false;
    return true;
}

/* A node's number at the start of a text, which is moved behind it. */
static bool read_node_number(const char **text, unsigned *node)
{
    unsigned long number = 0;
    const char *at = *text;
    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at) && number < NUMA_NODES_MOST; at++)
        number = number * 10 + (unsigned long)(*at - '0');
    *text = at;
    *node = (unsigned)number;
    return number < NUMA_NODES_MOST;
}

static bool add_range(const char **text, const struct numa_set *all,
                      struct numa_set *set)
{
    unsigned first, last;
    if (!read_node_number(text, &first))
        return false;
    last = first;
    if (**text == '-') {
        ++*text;
        if (!read_node_number(text, &last) || last < first)
            return false;
    }
    for (unsigned node = first; node <= last; node++) {
        if (all != NULL && !numa_set_has(all, node))
            return false;
        numa_set_add(set, node);
    }
    return true;
}

static bool parse_node_list(const char *text, const struct numa_set *all,
                            struct numa_set *set)
{
    *set = (struct numa_set){{0}};
    if (all != NULL && strcmp(text, "all") == 0) {
        *set = *all;
        return true;
    }
    do {
        if (!add_range(&text, all, set))
            return false;
    } while (*text++ == ',');
    return text[-1] == '\0' || text[-1] == '\n';
}

bool numa_set_parse(const char *text, const struct numa_set *all,
                    struct numa_set *set)
{
    const bool others = all != NULL && text[0] == '!';
    if (!parse_node_list(text + others, all, set))
        return false;
    for (unsigned node = 0; others && node < NUMA_NODES_MOST; node++)
        if (numa_set_has(all, node))
            set->bits[node / NUMA_BITS_PER_LONG] ^=
                1UL << node % NUMA_BITS_PER_LONG;
    return true;
}

/* ---- the system's tables ------------------------------------------------ */

/* Reads a small file; returns false if it is not there. */
static bool read_file(const char *path, char *text, size_t size)
{
    const int saved_errno = errno, cancellation = cancellation_disable();
    int fd = sys.open(path, O_RDONLY | O_CLOEXEC, 0);
    ssize_t length = -1;
    if (fd >= 0) {
        length = sys.pread(fd, text, size - 1, 0);
        sys.close(fd);
    }
    text[length > 0 ? length : 0] = '\0';
    cancellation_restore(cancellation);
    errno = saved_errno;
    return length > 0;
}

static bool read_node_file(unsigned node, const char *name, char *text,
                           size_t size)
{
    char path[sizeof NODES + 64];
    snprintf(path, sizeof path, NODES "node%u/%s", node, name);
    return read_file(path, text, size);
}

static void read_set(const char *path, struct numa_set *set)
{
    char text[NUMA_NODES_MOST * 5];
    if (!read_file(path, text, sizeof text) || !numa_set_parse(text, NULL, set))
        *set = (struct numa_set){{0}};
}

/* A number for reading from the nearest CPUs, or else for writing; 0 if the
 * firmware says nothing of it. */
static int64_t read_access(unsigned node, const char *reading,
                           const char *writing)
{
    char text[32];
    if (!read_node_file(node, reading, text, sizeof text) &&
        !read_node_file(node, writing, text, sizeof text))
        return 0;
    return strtoll(text, NULL, 10);
}

/* In MB/s. */
static int64_t bandwidth_of(unsigned node)
{
    return read_access(node, "access0/initiators/read_bandwidth",
                       "access0/initiators/write_bandwidth");
}

/* In nanoseconds. */
static int64_t latency_of(unsigned node)
{
    return read_access(node, "access0/initiators/read_latency",
                       "access0/initiators/write_latency");
}

/* Bytes of memory, used or not; 0 if that is not known. */
static size_t node_size(unsigned node)
{
    char text[512];
    const char *total = read_node_file(node, "meminfo", text, sizeof text)
                            ? strstr(text, "MemTotal:")
                            : NULL;
    return total != NULL
               ? (size_t)strtoull(total + strlen("MemTotal:"), NULL, 10) << 10
               : 0;
}

/* Whether CPUs of a node are among those that get at the memory of another one
 * best. */
static bool is_initiator(unsigned cpu_node, unsigned node)
{
    char name[48], cpus[32];
    snprintf(name, sizeof name, "access0/initiators/node%u/cpulist", cpu_node);
    return read_node_file(node, name, cpus, sizeof cpus);
}

/* ---- distances ---------------------------------------------------------- */

static struct numa_set online;

/* Those of a set that are nearest to a node: all of it if that is not known.
 * The file of the node has a number for each node that is online. */
static void find_nearest(unsigned node, const struct numa_set *among,
                         struct numa_set *nearest)
{
    char text[NUMA_NODES_MOST * 4];
    long least = LONG_MAX;
    *nearest = *among;
    if (!read_node_file(node, "distance", text, sizeof text))
        return;
    struct numa_set found = {{0}};
    char *at = text;
    for (unsigned to = 0; to < NUMA_NODES_MOST; to++) {
        if (!numa_set_has(&online, to))
            continue;
        char *end;
        const long distance = strtol(at, &end, 10);
        if (end == at)
            break;
        at = end;
        if (!numa_set_has(among, to) || distance > least)
            continue;
        if (distance < least)
            found = (struct numa_set){{0}};
        least = distance;
        numa_set_add(&found, to);
    }
    if (!numa_set_is_empty(&found))
        *nearest = found;
}

/* ---- which nodes -------------------------------------------------------- */

static struct numa_set numa_sets[NUMA_SORTS];
static bool is_bad[NUMA_SORTS]; /* what the environment says of one */
static pthread_once_t sorts_once = PTHREAD_ONCE_INIT;

static void find_fast_nodes(void)
{
    int64_t threshold = THRESHOLD_PRESET;
    is_bad[NUMA_HIGH_BANDWIDTH] =
        option_read(OPTION_HBW_THRESHOLD, &threshold) == OPTION_IS_BAD;
    if (is_bad[NUMA_HIGH_BANDWIDTH])
        return;
    for (unsigned node = 0; node < NUMA_NODES_MOST; node++) {
        if (!numa_set_has(&numa_sets[NUMA_ANY], node))
            continue;
        const int64_t bandwidth = bandwidth_of(node);
        if (bandwidth != 0 && bandwidth >= threshold)
            numa_set_add(&numa_sets[NUMA_HIGH_BANDWIDTH], node);
    }
}

/* Returns whether the variable is set. */
static bool nodes_are_named(enum option option, enum numa_sort sort)
{
    const char *text = option_text(option);
    if (text == NULL)
        return false;
    is_bad[sort] =
        !numa_set_parse(text, &numa_sets[NUMA_ANY], &numa_sets[sort]);
    if (is_bad[sort])
        numa_sets[sort] = (struct numa_set){{0}};
    return true;
}

/* ---- the best ones ------------------------------------------------------ */

#define FIRST_OF_DOMAIN NUMA_LARGEST_OF_DOMAIN
#define NO_NODE 0

/* By the number of a node with CPUs: 1 + that of the best one of its domain. */
static uint16_t best_of_domain[NUMA_SORTS - FIRST_OF_DOMAIN][NUMA_NODES_MOST];

static bool is_of_domain(enum numa_sort sort)
{
    return sort >= FIRST_OF_DOMAIN;
}

static void find_largest(struct numa_set *largest)
{
    size_t most = 1;
    for (unsigned node = 0; node < NUMA_NODES_MOST; node++) {
        const size_t size =
            numa_set_has(&numa_sets[NUMA_ANY], node) ? node_size(node) : 0;
        if (size < most)
            continue;
        if (size > most)
            *largest = (struct numa_set){{0}};
        most = size;
        numa_set_add(largest, node);
    }
}

/* The nodes with CPUs whose domains one with memory is in. */
static void find_domains(unsigned node, const struct numa_set *with_cpu,
                         struct numa_set *domains)
{
    *domains = (struct numa_set){{0}};
    if (numa_set_has(with_cpu, node)) {
        numa_set_add(domains, node);
        return;
    }
    for (unsigned cpu_node = 0; cpu_node < NUMA_NODES_MOST; cpu_node++)
        if (numa_set_has(with_cpu, cpu_node) && is_initiator(cpu_node, node))
            numa_set_add(domains, cpu_node);
    if (numa_set_is_empty(domains))
        find_nearest(node, with_cpu, domains);
}

/* Whether so much is known of a node that it can be compared with others. */
static bool is_comparable(enum numa_sort sort, unsigned node)
{
    if (sort == NUMA_LARGEST_OF_DOMAIN)
        return node_size(node) != 0;
    return (sort == NUMA_LOWEST_LATENCY_OF_DOMAIN ? latency_of(node)
                                                  : bandwidth_of(node)) != 0;
}

static bool is_better(enum numa_sort sort, unsigned node, unsigned than)
{
    const size_t size = node_size(node), other_size = node_size(than);
    if (sort == NUMA_LARGEST_OF_DOMAIN)
        return size != other_size ? size > other_size
                                  : latency_of(node) > latency_of(than);
    const int64_t gain = sort == NUMA_LOWEST_LATENCY_OF_DOMAIN
                             ? latency_of(than) - latency_of(node)
                             : bandwidth_of(node) - bandwidth_of(than);
    return gain != 0 ? gain > 0 : size < other_size;
}

/* Notes a node for the domains in which it is the best one so far. */
static void compare_in_domains(enum numa_sort sort, unsigned node,
                               const struct numa_set *domains)
{
    if (!is_comparable(sort, node))
        return;
    for (unsigned domain = 0; domain < NUMA_NODES_MOST; domain++) {
        uint16_t *best = &best_of_domain[sort - FIRST_OF_DOMAIN][domain];
        if (numa_set_has(domains, domain) &&
            (*best == NO_NODE || is_better(sort, node, *best - 1U)))
            *best = (uint16_t)(node + 1);
    }
}

static void find_best_of_domains(const struct numa_set *with_cpu)
{
    for (unsigned node = 0; node < NUMA_NODES_MOST; node++) {
        struct numa_set domains;
        if (!numa_set_has(&numa_sets[NUMA_ANY], node))
            continue;
        find_domains(node, with_cpu, &domains);
        for (unsigned sort = FIRST_OF_DOMAIN; sort < NUMA_SORTS; sort++)
            compare_in_domains((enum numa_sort)sort, node, &domains);
    }
    for (unsigned sort = FIRST_OF_DOMAIN; sort < NUMA_SORTS; sort++)
        for (unsigned domain = 0; domain < NUMA_NODES_MOST; domain++)
            if (best_of_domain[sort - FIRST_OF_DOMAIN][domain] != NO_NODE)
                numa_set_add(&numa_sets[sort],
                             best_of_domain[sort - FIRST_OF_DOMAIN][domain] -
                                 1U);
}

/* ---- all of them -------------------------------------------------------- */

static void find_sorts(void)
{
    read_set(NODES "online", &online);
    read_set(NODES "has_memory", &numa_sets[NUMA_ANY]);
    struct numa_set with_cpu;
    read_set(NODES "has_cpu", &with_cpu);
    if (!nodes_are_named(OPTION_HBW_NODES, NUMA_HIGH_BANDWIDTH))
        find_fast_nodes();
    const bool named = nodes_are_named(OPTION_DAX_KMEM_NODES, NUMA_MEMORY_ONLY);
    for (unsigned node = 0; node < NUMA_NODES_MOST; node++) {
        if (!numa_set_has(&numa_sets[NUMA_ANY], node))
            continue;
        if (numa_set_has(&with_cpu, node))
            numa_set_add(&numa_sets[NUMA_ORDINARY], node);
        else if (!named && !numa_set_has(&numa_sets[NUMA_HIGH_BANDWIDTH], node))
            numa_set_add(&numa_sets[NUMA_MEMORY_ONLY], node);
    }
    find_largest(&numa_sets[NUMA_LARGEST]);
    find_best_of_domains(&with_cpu);
}

const struct numa_set *numa_nodes_of(enum numa_sort sort)
{
    (void)pthread_once(&sorts_once, find_sorts);
    return &numa_sets[sort];
}

bool numa_nodes_are_valid(enum numa_sort sort)
{
    static const struct {
        const char *name;
        enum option option;
    } variables[NUMA_SORTS] = {
        [NUMA_HIGH_BANDWIDTH] = {"MEMKIND_HBW_NODES", OPTION_HBW_NODES},
        [NUMA_MEMORY_ONLY] = {"MEMKIND_DAX_KMEM_NODES", OPTION_DAX_KMEM_NODES},
    };
    (void)numa_nodes_of(sort);
    if (!is_bad[sort])
        return true;
    const char *text = option_text(variables[sort].option);
    int64_t threshold;
    if (text != NULL)
        last_error_reason("%s is '%.64s', which is no list of nodes that have "
                          "memory",
                          variables[sort].name, text);
    else
        (void)option_read(OPTION_HBW_THRESHOLD, &threshold);
    return false;
}

/* ---- what is asked ------------------------------------------------------ */

void numa_nodes_nearest(enum numa_sort sort, struct numa_set *nearest)
{
    unsigned node = 0;
    *nearest = *numa_nodes_of(sort);
    if (sys.getcpu(NULL, &node) != 0)
        return;
    const unsigned best = is_of_domain(sort) && node < NUMA_NODES_MOST
                              ? best_of_domain[sort - FIRST_OF_DOMAIN][node]
                              : NO_NODE;
    if (best == NO_NODE) {
        find_nearest(node, numa_nodes_of(sort), nearest);
        return;
    }
    *nearest = (struct numa_set){{0}};
    numa_set_add(nearest, best - 1);
}

size_t numa_nodes_size(const struct numa_set *set)
{
    size_t size = 0;
    for (unsigned node = 0; node < NUMA_NODES_MOST; node++)
        if (numa_set_has(set, node))
            size += node_size(node);
    return size;
}
