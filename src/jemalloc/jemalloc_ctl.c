/* SPDX-License-Identifier: BSD-2-Clause */
#include "jemalloc_ctl.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "lost_arenas.h"

#define MIB_LENGTH 6

/* Names, most with an index, translated once. */
struct indexed_name {
    const char *name;
    size_t length;
    size_t index_at;
    size_t mib[MIB_LENGTH];
};

enum {
    NAME_DESTROY = JE_STAT_COUNT,
    NAME_PURGE,
    NAME_DECAY,
    NAME_DIRTY_DECAY,
    NAME_GROW_LIMIT,
    NAME_COUNT,
};

static struct indexed_name names[NAME_COUNT] = {
    [JE_STAT_SMALL_ALLOCATED] = {"stats.arenas.0.small.allocated", 5, 2, {0}},
    [JE_STAT_LARGE_ALLOCATED] = {"stats.arenas.0.large.allocated", 5, 2, {0}},
    [JE_STAT_PACTIVE] = {"stats.arenas.0.pactive", 4, 2, {0}},
    [JE_STAT_RESIDENT] = {"stats.arenas.0.resident", 4, 2, {0}},
    [NAME_DESTROY] = {"arena.0.destroy", 3, 1, {0}},
    [NAME_PURGE] = {"arena.0.purge", 3, 1, {0}},
    [NAME_DECAY] = {"arena.0.decay", 3, 1, {0}},
    [NAME_GROW_LIMIT] = {"arena.0.retain_grow_limit", 3, 1, {0}},
    [NAME_DIRTY_DECAY] = {"arena.0.dirty_decay_ms", 3, 1, {0}},
};

static pthread_once_t names_once = PTHREAD_ONCE_INIT;

static void translate_names(void)
{
    for (size_t i = 0; i < NAME_COUNT; i++) {
        size_t length = names[i].length;
        if (JE_NAME(mallctlnametomib)(names[i].name, names[i].mib, &length) !=
            0)
            names[i].length = 0;
    }
}

static int ctl_indexed(size_t which, unsigned index, void *oldp,
                       size_t *oldlenp, void *newp, size_t newlen)
{
    pthread_once(&names_once, translate_names);
    const struct indexed_name *name = &names[which];
    if (name->length == 0)
        return -ENOENT;
    size_t mib[MIB_LENGTH];
    memcpy(mib, name->mib, sizeof mib);
    mib[name->index_at] = index;
    return -JE_NAME(mallctlbymib)(mib, name->length, oldp, oldlenp, newp,
                                  newlen);
}

static bool ctl_flag(const char *name)
{
    bool value = false;
    size_t length = sizeof value;
    return JE_NAME(mallctl)(name, &value, &length, NULL, 0) == 0 && value;
}

bool je_is_debug(void)
{
    return ctl_flag("config.debug");
}

size_t je_page_size(void)
{
    size_t size = 0;
    (void)je_stat("arenas.page", &size);
    return size;
}

unsigned je_small_classes(void)
{
    unsigned count = 0;
    size_t length = sizeof count;
    (void)JE_NAME(mallctl)("arenas.nbins", &count, &length, NULL, 0);
    return count;
}

size_t je_slab_size(unsigned place)
{
    size_t mib[4], length = sizeof mib / sizeof mib[0];
    size_t size = 0, size_length = sizeof size;
    if (JE_NAME(mallctlnametomib)("arenas.bin.0.slab_size", mib, &length) ==
        0) {
        mib[2] = place;
        (void)JE_NAME(mallctlbymib)(mib, length, &size, &size_length, NULL, 0);
    }
    return size;
}

bool je_retains_blocks(void)
{
    return ctl_flag("opt.retain");
}

int je_arena_create(extent_hooks_t *hooks, bool metadata_use_hooks,
                    unsigned *arena)
{
    struct arena_config_s config = {hooks, metadata_use_hooks};
    if (!lost_arenas_recover())
        return -EAGAIN;
    size_t length = sizeof *arena;
    return -JE_NAME(mallctl)("experimental.arenas_create_ext", arena, &length,
                             &config, sizeof config);
}

int je_arena_destroy(unsigned arena)
{
    return ctl_indexed(NAME_DESTROY, arena, NULL, NULL, NULL, 0);
}

int je_arena_purge(unsigned arena)
{
    return ctl_indexed(NAME_PURGE, arena, NULL, NULL, NULL, 0);
}

int je_arena_decay(unsigned arena)
{
    return ctl_indexed(NAME_DECAY, arena, NULL, NULL, NULL, 0);
}

int je_arena_set_decay(unsigned arena, ssize_t milliseconds)
{
    return ctl_indexed(NAME_DIRTY_DECAY, arena, NULL, NULL, &milliseconds,
                       sizeof milliseconds);
}

int je_arena_set_grow_limit(unsigned arena, size_t limit)
{
    return ctl_indexed(NAME_GROW_LIMIT, arena, NULL, NULL, &limit,
                       sizeof limit);
}

int je_stats_refresh(void)
{
    uint64_t epoch = 1;
    return -JE_NAME(mallctl)("epoch", NULL, NULL, &epoch, sizeof epoch);
}

size_t je_arena_stat(unsigned arena, enum je_arena_stat stat)
{
    size_t value = 0;
    size_t length = sizeof value;
    if (ctl_indexed(stat, arena, &value, &length, NULL, 0) != 0)
        return 0;
    return value;
}

int je_stat(const char *name, size_t *value)
{
    size_t length = sizeof *value;
    return -JE_NAME(mallctl)(name, value, &length, NULL, 0);
}

/* The layout is jemalloc's inspect_extent_util_stats_verbose_t. */
int je_utilization(const void *object, struct je_utilization *utilization)
{
    struct {
        void *current_slab;
        size_t slab_free, slab_objects, slab_size;
        size_t bin_free, bin_objects;
    } answer;
    size_t length = sizeof answer;
    int result = -JE_NAME(mallctl)("experimental.utilization.query", &answer,
                                   &length, &object, sizeof object);
    if (result != 0)
        return result;
    *utilization = (struct je_utilization){
        .slab_free = answer.slab_free,
        .slab_objects = answer.slab_objects,
        .slab_size = answer.slab_size,
        .bin_free = answer.bin_free,
        .bin_objects = answer.bin_objects,
        .current_slab = answer.current_slab,
    };
    return 0;
}

/* What jemalloc said last: it cannot be asked under its locks. */
static atomic_bool background_threads;

/* jemalloc answers under a lock that it holds while it waits for the threads to
 * end. Asked again after the answer has been stored: another thread may have
 * switched meanwhile. */
static void ask_for_background_threads(void)
{
    bool are_on;
    while ((are_on = ctl_flag("background_thread")) !=
           atomic_load(&background_threads))
        atomic_store(&background_threads, are_on);
}

/* Those of our own jemalloc are switched by this file alone. */
bool je_has_background_threads(void)
{
#ifndef MEMKIND_JEMALLOC_EMBEDDED
    ask_for_background_threads();
#endif
    return je_background_threads_are_on();
}

bool je_background_threads_are_on(void)
{
    return atomic_load_explicit(&background_threads, memory_order_relaxed);
}

/* jemalloc says that there are threads even if none could be started: free
 * pages would not be given back. */
static void switch_off_after_failure(void)
{
    bool on = false;
    (void)JE_NAME(mallctl)("background_thread", NULL, NULL, &on, sizeof on);
}

int je_background_threads(bool on)
{
    int result =
        -JE_NAME(mallctl)("background_thread", NULL, NULL, &on, sizeof on);
    if (result != 0 && on)
        switch_off_after_failure();
    ask_for_background_threads();
    return result;
}

int je_background_threads_max(size_t max)
{
    int result = -JE_NAME(mallctl)("max_background_threads", NULL, NULL, &max,
                                   sizeof max);
    /* If there are threads, jemalloc ends them and starts others. */
    if (result == -EFAULT)
        switch_off_after_failure();
    ask_for_background_threads();
    return result;
}

void je_background_threads_end_in_child(void)
{
    atomic_store(&background_threads, false);
}
