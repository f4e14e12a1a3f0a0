/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mallctl() names that this library uses, as functions. They return 0 or a
 * negative errno. Arenas and caches are named by jemalloc's index.
 */
#ifndef JEMALLOC_CTL_H
#define JEMALLOC_CTL_H

#include "jemalloc_private.h"

#include <sys/types.h>

enum je_arena_stat {
    JE_STAT_SMALL_ALLOCATED, /* bytes */
    JE_STAT_LARGE_ALLOCATED, /* bytes */
    JE_STAT_PACTIVE,         /* pages */
    JE_STAT_RESIDENT,        /* bytes */
    JE_STAT_COUNT
};

/* How full the slab of an object is, and all slabs of its size class. */
struct je_utilization {
    size_t slab_free, slab_objects; /* of its slab; 1 object: no slab */
    size_t slab_size;               /* bytes */
    size_t bin_free, bin_objects;   /* of all slabs of its size class */
    void *current_slab;
};

/* Whether jemalloc was built with its assertions. */
bool je_is_debug(void);

/* The unit of jemalloc's extents: the system's page, or larger if jemalloc was
 * built for several systems (64 KiB in Debian on all but x86). 0: jemalloc does
 * not start. */
size_t je_page_size(void);

/* How many size classes are cut from slabs. */
unsigned je_small_classes(void);

/* Bytes of a slab of such a class, by its place among them. */
size_t je_slab_size(unsigned place);

/* Whether jemalloc keeps blocks for ever, on which the extent hooks rely. A
 * jemalloc that is not our own copy can have other options. */
bool je_retains_blocks(void);

int je_arena_create(extent_hooks_t *hooks, bool metadata_use_hooks,
                    unsigned *arena);
int je_arena_destroy(unsigned arena);
int je_arena_purge(unsigned arena);
/* Gives back what is due by the arena's decay time. */
int je_arena_decay(unsigned arena);
/* The largest block that an arena asks for ahead of need, in bytes. */
int je_arena_set_grow_limit(unsigned arena, size_t limit);
int je_arena_set_decay(unsigned arena, ssize_t milliseconds);

/* Refreshes what the je_*_stat functions read. */
int je_stats_refresh(void);
/* 0 for an arena that is younger than the last refresh. */
size_t je_arena_stat(unsigned arena, enum je_arena_stat stat);
/* name: "stats.allocated" and so on */
int je_stat(const char *name, size_t *value);

int je_utilization(const void *object, struct je_utilization *utilization);

/* Takes no lock, unless jemalloc is a shared library: then the program may
 * switch its threads on and off as well. */
bool je_has_background_threads(void);
/* What the last of these calls found. May be called under jemalloc's locks. */
bool je_background_threads_are_on(void);
/* Wait until threads that are switched off have ended. */
int je_background_threads(bool on);
int je_background_threads_max(size_t max);
/* Notes that there are none in a forked child. */
void je_background_threads_end_in_child(void);

#endif
