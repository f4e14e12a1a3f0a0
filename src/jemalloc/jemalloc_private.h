/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The jemalloc that this library uses: a private copy whose public names carry
 * a prefix, or (if no archive could be embedded) the shared library under its
 * own names. See cmake/jemalloc.cmake.
 */
#ifndef JEMALLOC_PRIVATE_H
#define JEMALLOC_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef MEMKIND_JEMALLOC_EMBEDDED
#define JE_NAME(name) mkje_##name
#define JEMALLOC_IS_OWN true
#else
#define JE_NAME(name) name
/* By MALLOC_CONF it may be told to write files. */
#define JEMALLOC_IS_OWN false
#endif

typedef struct extent_hooks_s extent_hooks_t;

/* Experimental in jemalloc, unchanged since 5.0; hooks return true on error. */
struct extent_hooks_s {
    void *(*alloc)(extent_hooks_t *hooks, void *new_addr, size_t size,
                   size_t alignment, bool *zero, bool *commit,
                   unsigned arena_ind);
    bool (*dalloc)(extent_hooks_t *hooks, void *addr, size_t size,
                   bool committed, unsigned arena_ind);
    void (*destroy)(extent_hooks_t *hooks, void *addr, size_t size,
                    bool committed, unsigned arena_ind);
    bool (*commit)(extent_hooks_t *hooks, void *addr, size_t size,
                   size_t offset, size_t length, unsigned arena_ind);
    bool (*decommit)(extent_hooks_t *hooks, void *addr, size_t size,
                     size_t offset, size_t length, unsigned arena_ind);
    bool (*purge_lazy)(extent_hooks_t *hooks, void *addr, size_t size,
                       size_t offset, size_t length, unsigned arena_ind);
    bool (*purge_forced)(extent_hooks_t *hooks, void *addr, size_t size,
                         size_t offset, size_t length, unsigned arena_ind);
    bool (*split)(extent_hooks_t *hooks, void *addr, size_t size, size_t size_a,
                  size_t size_b, bool committed, unsigned arena_ind);
    bool (*merge)(extent_hooks_t *hooks, void *addr_a, size_t size_a,
                  void *addr_b, size_t size_b, bool committed,
                  unsigned arena_ind);
};

/* The argument of experimental.arenas_create_ext. */
struct arena_config_s {
    extent_hooks_t *extent_hooks;
    bool metadata_use_hooks;
};

void *JE_NAME(mallocx)(size_t size, int flags);
size_t JE_NAME(xallocx)(void *ptr, size_t size, size_t extra, int flags);
size_t JE_NAME(sallocx)(const void *ptr, int flags);
void JE_NAME(dallocx)(void *ptr, int flags);
size_t JE_NAME(nallocx)(size_t size, int flags);
int JE_NAME(mallctl)(const char *name, void *oldp, size_t *oldlenp, void *newp,
                     size_t newlen);
int JE_NAME(mallctlnametomib)(const char *name, size_t *mibp, size_t *miblenp);
int JE_NAME(mallctlbymib)(const size_t *mib, size_t miblen, void *oldp,
                          size_t *oldlenp, void *newp, size_t newlen);
void JE_NAME(malloc_stats_print)(void (*write_cb)(void *, const char *),
                                 void *cbopaque, const char *opts);

#ifdef MEMKIND_JEMALLOC_EMBEDDED
/* What cmake/embed_jemalloc.sh makes of jemalloc's pa_alloc() and pa_dalloc(),
 * through which all of an arena's slabs and large objects come and go. Calls of
 * these come to our own; see page_traffic.h. */
void *JE_NAME(real_pa_alloc)(void *tsdn, void *shard, size_t size,
                             size_t alignment, bool slab, unsigned size_class,
                             bool zero, bool guarded, bool *deferred);
void JE_NAME(real_pa_dalloc)(void *tsdn, void *shard, void *extent,
                             bool *deferred);
#endif

/* Flags of the *allocx functions. */
#define JE_LG_ALIGN(la) ((int)(la))
#define JE_ZERO ((int)0x40)
#define JE_TCACHE(tc) ((int)(((tc) + 2) << 8))
#define JE_TCACHE_NONE JE_TCACHE(-1)
#define JE_LG_ALIGN_MASK 0x3f
#define JE_ARENA(a) ((int)(((unsigned)(a) + 1) << 20))

#endif
