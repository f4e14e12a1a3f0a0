/* SPDX-License-Identifier: BSD-2-Clause */
#include "heap_create.h"

#include <errno.h>

#include "allocator_gate.h"
#include "cache_visit.h"
#include "debug_log.h"
#include "jemalloc_ctl.h"
#include "object_records.h"
#include "object_tag.h"
#include "quarantine.h"
#include "size_class.h"

static int build_heap(const struct heap_config *config,
                      struct memkind_heap **result_heap)
{
    struct memkind_heap *heap = JE_NAME(mallocx)(
        sizeof *heap + config->arenas.limit * sizeof heap->slots[0],
        JE_ZERO | JE_LG_ALIGN(6));
    if (heap == NULL)
        return -ENOMEM;

    int result =
        heap_arenas_create(&heap->arenas, heap->slots, &config->arenas);
    if (result != 0)
        goto fail_arenas;
    ranked_lock_init(&heap->reclaim_lock, RANK_RECLAIM);
    heap_caches_init(&heap->caches, heap, config->direct_owner, &heap->arenas,
                     config->is_checked);
    result = -ENOMEM;
    if (config->is_checked) {
        heap->records = object_records_create(heap->caches.cache_limit);
        if (heap->records == NULL)
            goto fail_records;
    }
    result = -ENOSPC;
    if (!heap_registry_add(heap, &heap->caches.place))
        goto fail_slot;
    *result_heap = heap;
    return 0;

fail_slot:
    if (heap->records != NULL)
        object_records_destroy(heap->records);
fail_records:
    heap_caches_fini(&heap->caches);
    ranked_lock_destroy(&heap->reclaim_lock);
    heap_arenas_destroy(&heap->arenas);
fail_arenas:
    JE_NAME(dallocx)(heap, 0);
    return result;
}

int heap_create(const struct heap_config *config, struct memkind_heap **heap)
{
    if (!allocator_enter())
        return -EDEADLK;
    int result = size_class_init();
    object_tag_watch_slabs();
    if (result == 0 && !je_retains_blocks()) {
        debug_log("jemalloc runs with retain:false, which cannot be used");
        result = -EINVAL;
    }
    if (result == 0)
        result = build_heap(config, heap);
    allocator_leave();
    return result;
}

void heap_destroy(struct memkind_heap *heap)
{
    const unsigned slot = heap_slot(heap);
    bool entered = allocator_enter();
    cache_visit_drop_all(&heap->caches);
    heap_registry_remove(slot);
    if (entered)
        allocator_leave();
    /* No other thread reads the records any more. The thread is not inside, so
     * that what is wrong with objects is reported at once. */
    if (heap_is_checked(heap))
        quarantine_finish(heap);
    entered = allocator_enter();
    heap_arenas_destroy(&heap->arenas);
    heap_caches_fini(&heap->caches);
    ranked_lock_destroy(&heap->reclaim_lock);
    heap_registry_free_slot(slot);
    JE_NAME(dallocx)(heap, 0);
    if (entered)
        allocator_leave();
}

void heap_shut(struct memkind_heap *heap)
{
    cache_visit_shut_all(&heap->caches);
}

int heap_set_decay(struct memkind_heap *heap, ssize_t milliseconds)
{
    bool entered = allocator_enter();
    int result = heap_arenas_set_decay(&heap->arenas, milliseconds);
    if (milliseconds == 0) {
        cache_visit_all(&heap->caches, magazine_drop_all);
        cache_visit_drain_depot(&heap->caches);
    }
    if (entered)
        allocator_leave();
    return result;
}
