/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All options: the environment variables that the library reads, and the fields
 * of struct memkind_config. These two tables are the only place that lists
 * them. Code reads variables by the functions below, struct memkind_config is
 * made of its table (src/api/memkind_config.h), and test_options compares the
 * manual's sections ENVIRONMENT, memkind.h and the sources with the tables.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "retention.h"

/*
 * OPTION(NAME, type, least, most, default, meaning): MEMKIND_NAME. Types:
 *
 * FLAG      1 is on; anything else is off, and is no error
 * NUMBER    a decimal number in [least, most]
 * NODES     a list of NUMA nodes (numa_nodes.h)
 * DURATION  a number with a unit (ms, s, m, h; none: ms), or "never", which is
 *           -1; in [least, most] milliseconds
 * WORD      one of some words, which stand for numbers in [least, most]
 */
#define OPTION_TABLE(OPTION)                                                   \
    OPTION(DEBUG, FLAG, 0, 1, "0", "messages on stderr")                       \
    OPTION(HARDENED, FLAG, 0, 1, "0", "find more misuse, at a price")          \
    OPTION(HOG_MEMORY, FLAG, 0, 1, "0", "keep the space of freed objects")     \
    OPTION(CORE_DUMP, FLAG, 0, 1, "0", "objects are in core dumps")            \
    OPTION(ARENA_NUM_PER_KIND, NUMBER, 1, INT32_MAX, "four for each CPU",      \
           "most arenas of a kind")                                            \
    OPTION(BACKGROUND_THREAD_LIMIT, NUMBER, 0, UINT32_MAX, "none",             \
           "start background threads, at most so many; 0: one for each CPU")   \
    OPTION(DECAY, DURATION, DECAY_NEVER_MS, DECAY_MOST_MS, "10s",              \
           "how long freed space is kept for objects to come")                 \
    OPTION(FORK, WORD, 0, 4, "private", "what kinds are in forked children")   \
    OPTION(HBW_NODES, NODES, 0, 0, "those of high bandwidth",                  \
           "nodes with memory of high bandwidth")                              \
    OPTION(HBW_THRESHOLD, NUMBER, 0, UINT32_MAX, "204800",                     \
           "bandwidth in MB/s from which on it is high")                       \
    OPTION(DAX_KMEM_NODES, NODES, 0, 0, "those without CPUs",                  \
           "nodes with persistent memory")

/*
 * FIELD(setter, member, type, least, most, default, meaning): what
 * memkind_config_set_<setter>() sets. A value that is out of range has the
 * creation of a kind fail with MEMKIND_ERROR_INVALID. INTMAX_MIN and INTMAX_MAX
 * stand for a check that is made later, when files are opened.
 */
#define CONFIG_TABLE(FIELD)                                                    \
    FIELD(path, pmem_dir, char *, INTMAX_MIN, INTMAX_MAX, NULL,                \
          "directory; a copy")                                                 \
    FIELD(size, pmem_size, size_t, INTMAX_MIN, INTMAX_MAX, 0,                  \
          "most file space; 0: no limit")                                      \
    FIELD(memory_usage_policy, policy, memkind_mem_usage_policy,               \
          MEMKIND_MEM_USAGE_POLICY_DEFAULT,                                    \
          MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE,                               \
          MEMKIND_MEM_USAGE_POLICY_DEFAULT,                                    \
          "whether freed space goes back at once")                             \
    FIELD(fork_policy, fork_policy, memkind_fork_policy, MEMKIND_FORK_PRIVATE, \
          MEMKIND_FORK_SNAPSHOT, FORK_UNSET,                                   \
          "what the kind is in forked children")                               \
    FIELD(core_dump, dump_objects, bool, false, true, false,                   \
          "objects are in core dumps")                                         \
    FIELD(background_destroy, background_destroy, bool, false, true, false,    \
          "memkind_destroy_kind() leaves freeing to a thread")                 \
    FIELD(decay, decay_ms, int64_t, DECAY_NEVER_MS, DECAY_MOST_MS,             \
          DECAY_UNSET_MS, "how long freed space is kept for objects to come")

/* No valid decay time: MEMKIND_DECAY has its say. */
#define DECAY_UNSET_MS INT64_MIN

/* No valid policy: MEMKIND_FORK has its say. */
#define FORK_UNSET ((memkind_fork_policy)INT_MAX)

enum option {
#define OPTION_ENUMERATOR(name, type, least, most, preset, meaning)            \
    OPTION_##name,
    OPTION_TABLE(OPTION_ENUMERATOR)
#undef OPTION_ENUMERATOR
        OPTION_COUNT
};

enum option_answer {
    OPTION_IS_UNSET, /* or the process has more privileges than its caller */
    OPTION_IS_SET,
    OPTION_IS_BAD, /* no value of its type, or out of range */
};

/* Whether a FLAG is on. */
bool option_is_on(enum option option);

/* The text of NODES; NULL: OPTION_IS_UNSET. */
const char *option_text(enum option option);

/* Reads a NUMBER, a DURATION or a WORD; *value is changed if it is set. The
 * environment is looked at anew for each call. errno is kept; what is bad about
 * a value is the reason of last_error.h. */
enum option_answer option_read(enum option option, int64_t *value);

#endif
