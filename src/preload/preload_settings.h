/* SPDX-License-Identifier: BSD-2-Clause */
/* What the environment asks of the preloaded library: variables that begin with
 * MEMKIND_PRELOAD_. The library's own (MEMKIND_DECAY and others) hold as well.
 */
#ifndef PRELOAD_SETTINGS_H
#define PRELOAD_SETTINGS_H

#include <memkind.h>

/*
 * SETTING(NAME, type, meaning): MEMKIND_PRELOAD_NAME. Types:
 *
 * TEXT   as it is; unset and empty are alike
 * FLAG   1 or 0
 * SIZE   as size_text_parse() reads it
 * FULL   dram or null
 * FORK   private, shared, unavailable, copy or snapshot
 */
#define PRELOAD_SETTING_TABLE(SETTING)                                         \
    SETTING(DIR, TEXT, "directories of the heap, or a device DAX")             \
    SETTING(SIZE, SIZE, "most file space of each process; 0: no limit")        \
    SETTING(MIN_SIZE, SIZE, "smaller objects lie in DRAM")                     \
    SETTING(FULL, FULL, "what an allocation gets if the heap is full")         \
    SETTING(FORK, FORK, "what the heap is in forked children")                 \
    SETTING(STATS, TEXT,                                                       \
            "file that a report is appended to at exit; 1: stderr")            \
    SETTING(STATS_SIGNAL, FLAG, "SIGUSR1 asks for a report as well")           \
    SETTING(VERBOSE, FLAG, "says on stderr what each process does")

struct preload_settings {
    const char *dir; /* NULL if there is none, as for all texts */
    size_t size;
    size_t min_size;
    bool full_is_null;
    memkind_fork_policy fork_policy;
    const char *stats;
    bool stats_signal;
    bool verbose;
};

/* Reads the environment. Texts are copies, which are never freed: programs that
 * set their title write it over their environment. Returns NULL, or the name of
 * the variable whose value makes no sense. */
const char *preload_settings_read(struct preload_settings *settings);

#endif
