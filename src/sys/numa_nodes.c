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

/* In MB/s, to the nearest CPUs; 0 if the firmware says nothing of it. */
static int64_t bandwidth_of(unsigned node)
{
    char text[32];
    if (!read_node_file(node, "access0/initiators/read_bandwidth", text,
                        sizeof text) &&
        !read_node_file(node, "access0/initiators/write_bandwidth", text,
                        sizeof text))
        return 0;
    return strtoll(text, NULL, 10);
}

/* ---- which nodes -------------------------------------------------------- */

struct numa_set numa_sets[NUMA_SORTS];
static bool is_bad[NUMA_SORTS]; /* what the environment says of one */
static struct numa_set online;
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

/* ---- distances ---------------------------------------------------------- */

/* The file of a node has a number for each node that is online. */
void numa_nodes_nearest(const struct numa_set *among, struct numa_set *nearest)
{
    char text[NUMA_NODES_MOST * 4];
    unsigned node = 0;
    long least = LONG_MAX;
    *nearest = *among;
    if (sys.getcpu(NULL, &node) != 0 ||
        !read_node_file(node, "distance", text, sizeof text))
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

/* ---- sizes -------------------------------------------------------------- */

size_t numa_nodes_size(const struct numa_set *set)
{
    size_t size = 0;
    for (unsigned node = 0; node < NUMA_NODES_MOST; node++) {
        char text[512];
        if (!numa_set_has(set, node) ||
            !read_node_file(node, "meminfo", text, sizeof text))
            continue;
        const char *total = strstr(text, "MemTotal:");
        if (total != NULL)
            size += strtoull(total + strlen("MemTotal:"), NULL, 10) << 10;
    }
    return size;
}
