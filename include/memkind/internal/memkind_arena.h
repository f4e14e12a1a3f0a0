/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_arena.h
 * @brief Operations for kinds whose heap consists of jemalloc arenas.
 *
 * Experimental. See memkind_arena(3). The heap operations return what the
 * functions of the same name in memkind.h return, and are as thread-safe.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_ARENA_H
#define MEMKIND_INTERNAL_MEMKIND_ARENA_H

#include <memkind/internal/memkind_private.h>

#ifdef __cplusplus
extern "C" {
#endif

/** jemalloc's table of extent hooks (its <jemalloc/jemalloc.h> has the rest) */
typedef struct extent_hooks_s extent_hooks_t;

/**
 * A "create" operation: memkind_default_create(), then
 * memkind_arena_create_map() with no hooks of one's own.
 */
int memkind_arena_create(struct memkind *kind, struct memkind_ops *ops,
                         const char *name);

/**
 * Makes the kind's heap: one arena now, further ones as threads arrive, at
 * most MEMKIND_ARENA_NUM_PER_KIND (default: four for each CPU, fewer for small
 * kinds; one if ops->get_arena is memkind_bijective_get_arena()).
 * @param hooks extent hooks for the arenas, which have to outlive the kind;
 *              NULL: the kind's regions, or ops->mmap if it has none
 * @param metadata_use_hooks true lets jemalloc keep its own data in that
 *              memory as well; false keeps it in DRAM
 * @return MEMKIND_ERROR_ARENAS_CREATE, MEMKIND_ERROR_MALLOC,
 *         MEMKIND_ERROR_ENVIRON for a bad MEMKIND_ARENA_NUM_PER_KIND,
 *         MEMKIND_BACKGROUND_THREAD_LIMIT or MEMKIND_DECAY,
 *         MEMKIND_ERROR_TOOMANY, MEMKIND_ERROR_INVALID for a kind that has a
 *         heap already.
 */
int memkind_arena_create_map(struct memkind *kind, extent_hooks_t *hooks,
                             bool metadata_use_hooks);

/**
 * A "destroy" operation: drops all objects of the kind, in every thread's
 * cache too, then its arenas, then calls memkind_default_destroy(). Memory
 * that ops->mmap gave is not unmapped.
 */
int memkind_arena_destroy(struct memkind *kind);

/** A "finalize" operation; does what memkind_arena_destroy() does. */
int memkind_arena_finalize(struct memkind *kind);

void *memkind_arena_malloc(struct memkind *kind, size_t size);
void *memkind_arena_calloc(struct memkind *kind, size_t num, size_t size);
int memkind_arena_posix_memalign(struct memkind *kind, void **memptr,
                                 size_t alignment, size_t size);
void *memkind_arena_realloc(struct memkind *kind, void *ptr, size_t size);
void memkind_arena_free(struct memkind *kind, void *ptr);
void *memkind_arena_defrag_reallocate(struct memkind *kind, void *ptr);

/* These find the kind by the address. */
struct memkind *memkind_arena_detect_kind(void *ptr);
void *memkind_arena_realloc_with_kind_detect(void *ptr, size_t size);
void memkind_arena_free_with_kind_detect(void *ptr);
void *memkind_arena_defrag_reallocate_with_kind_detect(void *ptr);

/**
 * A "get_arena" operation: the arena that serves the calling thread.
 * @param arena receives the index in the library's own jemalloc
 * @return MEMKIND_ERROR_INVALID for NULL or a kind without arenas.
 */
int memkind_thread_get_arena(struct memkind *kind, unsigned int *arena,
                             size_t size);

/** A "get_arena" operation: the same arena for all threads. */
int memkind_bijective_get_arena(struct memkind *kind, unsigned int *arena,
                                size_t size);

/** See memkind_config_set_memory_usage_policy(). */
int memkind_arena_update_memory_usage_policy(struct memkind *kind,
                                             memkind_mem_usage_policy policy);

/** See memkind_purge_kind(). */
int memkind_arena_purge(struct memkind *kind);

/** See memkind_attach_kind(). */
int memkind_arena_attach(struct memkind *kind);

/** Bounds the number of background threads; 0: one for each CPU, which is the
 * most in any case. */
int memkind_arena_set_max_bg_threads(size_t threads_limit);
/** See memkind_set_bg_threads(). */
int memkind_arena_set_bg_threads(bool state);

/** See memkind_update_cached_stats(). */
int memkind_arena_update_cached_stats(void);
/** See memkind_get_stat(), for one kind. */
int memkind_arena_get_kind_stat(struct memkind *kind, memkind_stat_type stat,
                                size_t *value);
/** See memkind_get_stat(), for the whole library. */
int memkind_arena_get_global_stat(memkind_stat_type stat, size_t *value);
/** See memkind_stats_print(). */
int memkind_arena_stats_print(void (*write_cb)(void *, const char *),
                              void *cbopaque, memkind_stat_print_opt opts);

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_INTERNAL_MEMKIND_ARENA_H */
