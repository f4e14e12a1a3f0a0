/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_nodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tool_file.h"
#include "tool_text.h"

#define WORD_BITS (8 * sizeof(unsigned long))

/* A set of nodes, as get_mempolicy(2) has it. */
struct node_set {
    unsigned long words[NODES_MAX / WORD_BITS];
};

static void set_add(struct node_set *set, unsigned long node)
{
    if (node < NODES_MAX)
        set->words[node / WORD_BITS] |= 1UL << node % WORD_BITS;
}

static bool set_has(const struct node_set *set, unsigned node)
{
    return (set->words[node / WORD_BITS] >> node % WORD_BITS & 1) != 0;
}

/* Reads what the kernel writes of nodes: "0-3,8". Whatever follows
 * such a list is left alone. */
static struct node_set parse_list(const char *text)
{
    struct node_set set = {0};
    char *end;
    for (;;) {
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (end == text)
            return set;
        if (*end == '-') {
            text = end + 1;
            last = strtoul(text, &end, 10);
        }
        for (unsigned long node = first; node <= last && node < NODES_MAX;
             node++)
            set_add(&set, node);
        if (*end != ',')
            return set;
        text = end + 1;
    }
}

/* Reads a list in /sys/devices/system/node; false if it is not there. */
static bool read_list(const char *name, struct node_set *set)
{
    const char *text =
        file_first_line(text_format("/sys/devices/system/node/%s", name));
    if (text == NULL)
        return false;
    *set = parse_list(text);
    return true;
}

static void add_all(struct nodes *nodes, const struct node_set *set)
{
    for (unsigned node = 0; node < NODES_MAX; node++)
        if (set_has(set, node))
            nodes->list[nodes->count++] = (struct node){
                .number = node,
                .cpus = file_first_line(text_format(
                    "/sys/devices/system/node/node%u/cpulist", node)),
            };
}

/* ---- policies ---- */

/* Finds the nodes that memory near the threads comes from: those with CPUs of
 * the nodes that the process may use; all of these if none has any. */
static bool find_local(struct node_set *set)
{
    struct node_set allowed, with_cpus, with_memory;
    struct node_set local = {0};
    bool any = false;
    if (!read_list("has_cpu", &with_cpus) ||
        !read_list("has_memory", &with_memory))
        return false;
    const char *line =
        file_line_after("/proc/self/status", "Mems_allowed_list:");
    allowed =
        line != NULL ? parse_list(line + strspn(line, " \t")) : with_memory;
    for (unsigned node = 0; node < NODES_MAX; node++)
        if (set_has(&allowed, node) && set_has(&with_cpus, node) &&
            set_has(&with_memory, node)) {
            set_add(&local, node);
            any = true;
        }
    *set = any ? local : allowed;
    return true;
}

/* The policy in "bind=static:0,2", and its nodes; none if it has no list. */
static const char *parse_policy(const char *text, struct node_set *set)
{
    size_t length = strcspn(text, ":=,");
    const char *list = text + strcspn(text, ":,");
    *set = *list == ':' ? parse_list(list + 1) : (struct node_set){0};
    return text_format("%.*s", (int)length, text);
}

/* The mode's name, as the kernel writes it for a mount. */
static const char *mode_name(int mode)
{
    enum { MODE = 0xff }; /* above are flags */
    static const char *const names[] = {"default",
                                        "prefer",
                                        "bind",
                                        "interleave",
                                        "local",
                                        "prefer (many)",
                                        "weighted interleave"};
    const size_t index = (unsigned)mode & MODE;
    if (index >= sizeof names / sizeof names[0])
        return text_format("mode %zu", index);
    return names[index];
}

static const char *process_policy(struct node_set *set)
{
    int mode;
    *set = (struct node_set){0};
    /* The kernel takes one bit less than it is told. */
    if (syscall(SYS_get_mempolicy, &mode, set->words, NODES_MAX + 1UL, NULL,
                0UL) != 0)
        return NULL;
    return mode_name(mode);
}

/* A policy without nodes takes memory near the thread. */
static void apply_policy(struct nodes *nodes, enum nodes_source source,
                         const char *policy, const struct node_set *set)
{
    static const struct node_set none;
    struct node_set local;
    if (memcmp(set, &none, sizeof none) == 0) {
        if (!find_local(&local))
            return;
        set = &local;
    }
    nodes->source = source;
    nodes->policy = policy;
    add_all(nodes, set);
}

/* ---- places ---- */

/* A file system in memory, and its policy for files: it takes the place of the
 * process's. */
static bool has_mount_policy(const struct place *place, const char **policy,
                             struct node_set *set)
{
    static const char option[] = ",mpol=";
    const char *found = strstr(place->mount_options, option);
    if (!place_is_memory(place) || found == NULL)
        return false;
    *policy = parse_policy(found + strlen(option), set);
    return strcmp(*policy, "default") != 0;
}

static void find_by_policy(struct nodes *nodes, const struct place *place)
{
    struct node_set set;
    const char *policy;
    if (has_mount_policy(place, &policy, &set)) {
        apply_policy(nodes, NODES_MOUNT, policy, &set);
        return;
    }
    policy = process_policy(&set);
    if (policy != NULL)
        apply_policy(nodes, NODES_PROCESS, policy, &set);
}

void nodes_find(struct nodes *nodes, const struct place *place, bool is_dax)
{
    struct node_set set = {0};
    nodes->source = NODES_UNKNOWN;
    nodes->policy = NULL;
    nodes->count = 0;
    if (place->type != PLACE_DEVICE_DAX &&
        (!is_dax || place_is_memory(place))) {
        find_by_policy(nodes, place);
    } else if (place->device_node >= 0) {
        nodes->source = NODES_DEVICE;
        set_add(&set, (unsigned long)place->device_node);
        add_all(nodes, &set);
    }
}

/* ---- what is said about them ---- */

const char *nodes_source_name(enum nodes_source source)
{
    static const char *const names[] = {
        [NODES_UNKNOWN] = NULL,
        [NODES_MOUNT] = "mount",
        [NODES_DEVICE] = "device",
        [NODES_PROCESS] = "process",
    };
    return names[source];
}

static bool node_is(const struct node *node, enum nodes_wanted wanted)
{
    const bool has_cpus = node->cpus != NULL && node->cpus[0] != '\0';
    return wanted == NODES_ALL ||
           (node->cpus != NULL && has_cpus == (wanted == NODES_WITH_CPUS));
}

unsigned nodes_count(const struct nodes *nodes, enum nodes_wanted wanted)
{
    unsigned count = 0;
    for (unsigned i = 0; i < nodes->count; i++)
        count += node_is(&nodes->list[i], wanted);
    return count;
}

const char *nodes_text(const struct nodes *nodes, enum nodes_wanted wanted)
{
    const unsigned count = nodes_count(nodes, wanted);
    const char *text = count == 1 ? "node" : "nodes";
    unsigned done = 0;
    for (unsigned i = 0; i < nodes->count; i++) {
        if (!node_is(&nodes->list[i], wanted))
            continue;
        const char *before = done == 0 ? "" : done + 1 == count ? " and" : ",";
        text = text_format("%s%s %u", text, before, nodes->list[i].number);
        done++;
    }
    return text;
}
