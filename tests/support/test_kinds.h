/* SPDX-License-Identifier: BSD-2-Clause */
/* For suites of the public interface: kinds in the suite's directory, and their
 * statistics. */
#ifndef TEST_KINDS_H
#define TEST_KINDS_H

#include <memkind.h>
#include <memkind/internal/memkind_arena.h>
#include <stdint.h>
#include <stdio.h>

#include "test_support.h"

/* What a kind is made with; all zero: no limit, and the library's defaults. */
struct kind_settings {
    const char *directory; /* NULL: the suite's */
    size_t limit;
    memkind_mem_usage_policy usage;
    memkind_fork_policy fork;
    bool core_dump;
    bool never_decays; /* freed space stays until a purge, at any time */
};

/* MEMKIND_SUCCESS, or an error. Prints nothing and checks nothing. */
static inline int kind_try(const struct kind_settings *settings,
                           memkind_t *kind)
{
    struct memkind_config *config = memkind_config_new();
    if (config == NULL)
        return MEMKIND_ERROR_MALLOC;
    memkind_config_set_path(
        config, settings->directory != NULL ? settings->directory : test_dir());
    memkind_config_set_size(config, settings->limit);
    memkind_config_set_memory_usage_policy(config, settings->usage);
    memkind_config_set_fork_policy(config, settings->fork);
    memkind_config_set_core_dump(config, settings->core_dump);
    if (settings->never_decays)
        memkind_config_set_decay(config, -1);
    int err = memkind_create_pmem_with_config(config, kind);
    memkind_config_delete(config);
    return err;
}

/* Ends the test with the library's text unless a call has succeeded. */
static inline void kind_require_success(int err)
{
    char text[MEMKIND_ERROR_MESSAGE_SIZE];
    if (err != MEMKIND_SUCCESS) {
        memkind_error_message(err, text, sizeof text);
        fprintf(stderr, "\nno kind can be made in %s: %s\n", test_dir(), text);
    }
    REQUIRE_EQ(err, MEMKIND_SUCCESS);
}

/* kind_make(.limit = 32 * MIB, .usage = ...); ends the test if it fails. */
#define kind_make(...) kind_make_of(&(struct kind_settings){__VA_ARGS__})
static inline memkind_t kind_make_of(const struct kind_settings *settings)
{
    memkind_t kind = NULL;
    kind_require_success(kind_try(settings, &kind));
    return kind;
}

/* By memkind_create_pmem(); limit 0: none. Ends the test if it fails. */
static inline memkind_t kind_make_limited(size_t limit)
{
    memkind_t kind = NULL;
    kind_require_success(memkind_create_pmem(test_dir(), limit, &kind));
    return kind;
}

static inline void kind_destroy(memkind_t kind)
{
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* A statistic as of the last snapshot, and as of now. */
static inline size_t kind_last_stat(memkind_t kind, memkind_stat_type type)
{
    size_t value = SIZE_MAX;
    CHECK_EQ(memkind_get_stat(kind, type, &value), MEMKIND_SUCCESS);
    return value;
}

static inline size_t kind_stat(memkind_t kind, memkind_stat_type type)
{
    CHECK_EQ(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    return kind_last_stat(kind, type);
}

static inline size_t kind_allocated(memkind_t kind)
{
    return kind_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED);
}

static inline size_t kind_active(memkind_t kind)
{
    return kind_stat(kind, MEMKIND_STAT_TYPE_ACTIVE);
}

static inline size_t kind_resident(memkind_t kind)
{
    return kind_stat(kind, MEMKIND_STAT_TYPE_RESIDENT);
}

/* The unit in which kinds take memory for objects: 4 KiB, or more if the
 * jemalloc in use was built for larger pages than this system's. */
static inline size_t test_heap_page(void)
{
    static size_t page;
    if (page != 0)
        return page;
    memkind_t kind = kind_make_limited(MEMKIND_PMEM_MIN_SIZE);
    /* Objects of 64 bytes fill any page. */
    void *object = memkind_malloc(kind, test_fitting(64));
    page = kind_active(kind);
    memkind_free(kind, object);
    kind_destroy(kind);
    return page;
}

/* The operations of a kind that the suite makes itself, to be changed by it. */
static inline struct memkind_ops kind_arena_operations(void)
{
    return (struct memkind_ops){
        .create = memkind_arena_create,
        .destroy = memkind_arena_destroy,
        .malloc = memkind_arena_malloc,
        .calloc = memkind_arena_calloc,
        .posix_memalign = memkind_arena_posix_memalign,
        .realloc = memkind_arena_realloc,
        .free = memkind_arena_free,
    };
}

#endif
