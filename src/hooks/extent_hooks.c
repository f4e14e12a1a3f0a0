/* SPDX-License-Identifier: BSD-2-Clause */
#include "extent_hooks.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "address_table.h"
#include "cancellation.h"
#include "debug_log.h"
#include "jemalloc_ctl.h"
#include "page_traffic.h"
#include "pages_ahead.h"
#include "pool_files.h"
#include "rounding.h"
#include "sys_calls.h"
#include "tls_model.h"

static struct extent_supply *supply_of(extent_hooks_t *hooks)
{
    /* Each hook asks, and may make system calls. */
    cancellation_forbid();
    return (struct extent_supply *)((char *)hooks -
                                    offsetof(struct extent_supply, hooks));
}

/*
 * Around what a hook does itself: jemalloc may have called it with locks held,
 * so it takes only locks that come after those. (Hooks of the program's own are
 * not included. They may call whatever the program likes.)
 */
static void hook_begin(void)
{
    lock_rank_take(RANK_JEMALLOC);
}

static void hook_end(void)
{
    lock_rank_release(RANK_JEMALLOC);
}

/* ---- over a region pool ---- */

__thread unsigned extent_commits TLS_MODEL;
__thread bool extent_found_full_place TLS_MODEL;

static void *pool_alloc(extent_hooks_t *hooks, void *new_addr, size_t size,
                        size_t alignment, bool *zero, bool *commit,
                        unsigned arena_ind)
{
    if (new_addr != NULL) /* blocks cannot be had at an address of choice */
        return NULL;
    bool zeroed;
    struct extent_supply *supply = supply_of(hooks);
    /* An arena takes blocks ahead of need, uncommitted. When an extent of a
     * block cannot be committed after all, the arena takes another block the
     * next time: a full kind would eat up address space. If such a block is
     * refused, jemalloc asks once more, for no more than it needs, committed:
     * then there is space for it, or no block is used. */
    if (!*commit &&
        atomic_load_explicit(&supply->is_full, memory_order_relaxed))
        return NULL;
    hook_begin();
    void *block = region_pool_alloc_for(supply->pool, arena_ind, size,
                                        alignment, commit, &zeroed);
    hook_end();
    if (block == NULL)
        return NULL;
    if (*commit)
        extent_commits++;
    if (*zero && !zeroed)
        memset(block, 0, size);
    if (zeroed && (*commit || supply->says_zero))
        *zero = true;
    return block;
}

/* The pool wants a block back only in some forked children. */
static bool pool_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
                        bool committed, unsigned arena_ind)
{
    hook_begin();
    int result = region_pool_take_back(supply_of(hooks)->pool, arena_ind, addr,
                                       size, committed);
    hook_end();
    return result != 0;
}

static bool refuse_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
                          bool committed, unsigned arena_ind)
{
    (void)hooks, (void)addr, (void)size, (void)committed, (void)arena_ind;
    return true;
}

static bool forget_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
                          bool committed, unsigned arena_ind)
{
    (void)hooks, (void)addr, (void)size, (void)committed, (void)arena_ind;
    return false;
}

/* What is taken ahead of need lies in dirty pages until their decay time is
 * over. If there is little room, no one asks again before the arena has grown
 * some more. */
static void allow_ahead(struct extent_supply *supply, unsigned arena,
                        const void *addr, size_t size)
{
    size_t most = pages_ahead_note_commit(arena, size);
    if (most == 0 ||
        atomic_load_explicit(&supply->has_no_decay, memory_order_relaxed))
        return;
    most = region_pool_room_ahead(supply->pool, addr, PAGES_AHEAD_LEAST, most);
    if (most != 0)
        pages_ahead_allow(arena, most);
    else
        pages_ahead_forget(arena);
}

/* If it was for what is taken ahead, nothing lacks; but an arena that asks for
 * more blocks gets none. */
static void note_commit(struct extent_supply *supply, bool succeeded)
{
    if (atomic_load_explicit(&supply->is_full, memory_order_relaxed) ==
        succeeded)
        atomic_store_explicit(&supply->is_full, !succeeded,
                              memory_order_relaxed);
    if (pages_ahead_are_being_taken())
        return;
    extent_commits += succeeded;
    if (!succeeded && pool_avoids_full_places(supply->pool))
        extent_found_full_place = true;
}

static bool pool_commit(extent_hooks_t *hooks, void *addr, size_t size,
                        size_t offset, size_t length, unsigned arena_ind)
{
    (void)size;
    struct extent_supply *supply = supply_of(hooks);
    hook_begin();
    int result =
        region_pool_commit(supply->pool, (char *)addr + offset, length);
    if (result == 0)
        allow_ahead(supply, arena_ind, addr, length);
    hook_end();
    if (result != 0)
        debug_log("no file space for %zu bytes: %s", length, strerror(-result));
    note_commit(supply, result == 0);
    return result != 0;
}

/* Half a millisecond on tmpfs. */
#define ALLOWANCE ((size_t)2 << 20)

/* A lazy purge gives back larger extents at once: a hole in one call is cheap,
 * and each page that is owed takes a bit of DRAM. */
#define OWED_MOST ((size_t)1 << 20)

/* A purge by this thread. */
static __thread enum extent_purge_mode purge TLS_MODEL;

/* How many of so many bytes may be given back at once; SIZE_MAX if all that is
 * owed may be. jemalloc's background threads keep no allocation waiting. */
static size_t take_allowance(struct extent_supply *supply, size_t size)
{
    size_t left =
        atomic_load_explicit(&supply->allowance, memory_order_relaxed);
    if (atomic_load_explicit(&supply->has_no_decay, memory_order_relaxed))
        return SIZE_MAX;
    if (purge == PURGE_LATER)
        return size > OWED_MOST ? size : 0;
    if (purge == PURGE_TOGETHER)
        return 0;
    if (atomic_load_explicit(&supply->purges, memory_order_relaxed) != 0 ||
        je_background_threads_are_on())
        return SIZE_MAX;
    size_t part;
    do
        part = left < size ? left : size;
    while (part != 0 && !atomic_compare_exchange_weak_explicit(
                            &supply->allowance, &left, left - part,
                            memory_order_relaxed, memory_order_relaxed));
    return part;
}

static bool pool_decommit(extent_hooks_t *hooks, void *addr, size_t size,
                          size_t offset, size_t length, unsigned arena_ind)
{
    (void)size;
    struct extent_supply *supply = supply_of(hooks);
    pages_ahead_note_decommit(arena_ind, length);
    hook_begin();
    if (purge == NO_PURGE)
        atomic_fetch_add(&supply->decays.begun, 1);
    int result =
        region_pool_decommit_some(supply->pool, (char *)addr + offset, length,
                                  take_allowance(supply, length));
    if (purge == NO_PURGE)
        atomic_fetch_add(&supply->decays.ended, 1);
    hook_end();
    return result != 0;
}

static bool allow_split(extent_hooks_t *hooks, void *addr, size_t size,
                        size_t size_a, size_t size_b, bool committed,
                        unsigned arena_ind)
{
    (void)hooks, (void)addr, (void)size, (void)size_a, (void)size_b;
    (void)committed, (void)arena_ind;
    return false;
}

/*
 * An arena that gives pages back first merges the oldest free extent with all
 * that lie beside it, under a lock. If there are gigabytes in small slabs that
 * takes a tenth of a second, although a hundredth of the pages is due. So a
 * thread that has merged many extents merges no more of them in that call: the
 * arena then gives back what is due, slab by slab. A background thread makes no
 * other calls than those; it merges again after a while.
 */
#define MERGES_MOST 1024
#define MERGES_REFUSED (4 * MERGES_MOST)

static __thread struct {
    bool is_in_call;
    unsigned count;
} merges TLS_MODEL;

void extent_merges_begin_call(void)
{
    merges.is_in_call = true;
    merges.count = 0;
}

static bool has_merged_enough(const struct extent_supply *supply)
{
    if (atomic_load_explicit(&supply->has_no_decay, memory_order_relaxed) ||
        atomic_load_explicit(&supply->purges, memory_order_relaxed) != 0)
        return false;
    if (!merges.is_in_call && merges.count == MERGES_MOST + MERGES_REFUSED)
        merges.count = 0;
    return ++merges.count > MERGES_MOST;
}

static bool pool_merge(extent_hooks_t *hooks, void *addr_a, size_t size_a,
                       void *addr_b, size_t size_b, bool committed,
                       unsigned arena_ind)
{
    (void)size_a, (void)size_b, (void)arena_ind;
    struct extent_supply *supply = supply_of(hooks);
    /* Extents that are not committed are merged when they are given back. */
    if (committed && has_merged_enough(supply))
        return true;
    struct memkind_region_pool *pool = supply->pool;
    const struct region *region = region_pool_find(pool, addr_a);
    return region == NULL || !region_contains(region, addr_b);
}

/* ---- over blocks of the program's own ---- */

/* Records of blocks, in mappings of their own: hooks may not allocate. */
#define RECORDS_SIZE ((size_t)16 << 10)

struct source_block {
    struct source_block *next;
    size_t count;
    struct {
        void *base;
        size_t size;
    } entries[];
};

_Static_assert(RECORDS_SIZE > sizeof(struct source_block),
               "a page of records has no room for one");

static bool remember_block(struct extent_supply *supply, void *base,
                           size_t size)
{
    ranked_lock_assert_held(&supply->blocks_lock);
    const size_t capacity = (RECORDS_SIZE - sizeof(struct source_block)) /
                            sizeof supply->blocks->entries[0];
    struct source_block *page = supply->blocks;
    if (page == NULL || page->count == capacity) {
        page = sys.mmap(NULL, RECORDS_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            return false;
        page->next = supply->blocks;
        page->count = 0;
        supply->blocks = page;
    }
    if (address_table_add(base, size, supply->address_owner) != 0)
        return false;
    page->entries[page->count].base = base;
    page->entries[page->count].size = size;
    page->count++;
    return true;
}

/* Whether the block is one of the pool, or has been noted. */
static bool know_block(struct extent_supply *supply, void *base, size_t size)
{
    if (supply->pool != NULL && region_pool_find(supply->pool, base) != NULL)
        return true;
    hook_begin();
    ranked_lock_take(&supply->blocks_lock);
    bool known = remember_block(supply, base, size);
    ranked_lock_release(&supply->blocks_lock);
    hook_end();
    return known;
}

static void *source_alloc(extent_hooks_t *hooks, void *new_addr, size_t size,
                          size_t alignment, bool *zero, bool *commit,
                          unsigned arena_ind)
{
    (void)arena_ind;
    struct extent_supply *supply = supply_of(hooks);
    size_t room = size + (alignment - region_page_size());
    if (new_addr != NULL || room < size ||
        room > SIZE_MAX - supply->source.unit)
        return NULL;
    room = round_up(room, supply->source.unit);
    void *base = supply->source.map(supply->source.context, room);
    if (base == NULL)
        return NULL;
    if (!know_block(supply, base, room)) {
        if (supply->source.unmap)
            sys.munmap(base, room);
        return NULL;
    }
    uintptr_t at = (uintptr_t)base;
    char *block =
        (char *)base + (((at + alignment - 1) & ~(alignment - 1)) - at);
    if (*zero)
        memset(block, 0, size);
    *commit = true;
    return block;
}

/* Pieces of one block may merge: the first piece of a block never merges with
 * what lies before it. */
static bool allow_merge(extent_hooks_t *hooks, void *addr_a, size_t size_a,
                        void *addr_b, size_t size_b, bool committed,
                        unsigned arena_ind)
{
    (void)hooks, (void)addr_a, (void)size_a, (void)addr_b, (void)size_b;
    (void)committed, (void)arena_ind;
    return false;
}

/* ---- by hooks of the program's own ---- */

static void *user_alloc(extent_hooks_t *hooks, void *new_addr, size_t size,
                        size_t alignment, bool *zero, bool *commit,
                        unsigned arena_ind)
{
    struct extent_supply *supply = supply_of(hooks);
    extent_hooks_t *user = supply->user;
    void *block =
        user->alloc(user, new_addr, size, alignment, zero, commit, arena_ind);
    if (block == NULL || know_block(supply, block, size))
        return block;
    if (user->dalloc != NULL)
        (void)user->dalloc(user, block, size, *commit, arena_ind);
    return NULL;
}

static bool user_commit(extent_hooks_t *hooks, void *addr, size_t size,
                        size_t offset, size_t length, unsigned arena_ind)
{
    extent_hooks_t *user = supply_of(hooks)->user;
    return user->commit == NULL ||
           user->commit(user, addr, size, offset, length, arena_ind);
}

static bool user_decommit(extent_hooks_t *hooks, void *addr, size_t size,
                          size_t offset, size_t length, unsigned arena_ind)
{
    extent_hooks_t *user = supply_of(hooks)->user;
    return user->decommit == NULL ||
           user->decommit(user, addr, size, offset, length, arena_ind);
}

static bool user_purge_lazy(extent_hooks_t *hooks, void *addr, size_t size,
                            size_t offset, size_t length, unsigned arena_ind)
{
    extent_hooks_t *user = supply_of(hooks)->user;
    return user->purge_lazy == NULL ||
           user->purge_lazy(user, addr, size, offset, length, arena_ind);
}

static bool user_purge_forced(extent_hooks_t *hooks, void *addr, size_t size,
                              size_t offset, size_t length, unsigned arena_ind)
{
    extent_hooks_t *user = supply_of(hooks)->user;
    return user->purge_forced == NULL ||
           user->purge_forced(user, addr, size, offset, length, arena_ind);
}

static bool user_merge(extent_hooks_t *hooks, void *addr_a, size_t size_a,
                       void *addr_b, size_t size_b, bool committed,
                       unsigned arena_ind)
{
    extent_hooks_t *user = supply_of(hooks)->user;
    return user->merge == NULL || user->merge(user, addr_a, size_a, addr_b,
                                              size_b, committed, arena_ind);
}

static bool user_split(extent_hooks_t *hooks, void *addr, size_t size,
                       size_t size_a, size_t size_b, bool committed,
                       unsigned arena_ind)
{
    extent_hooks_t *user = supply_of(hooks)->user;
    return user->split == NULL ||
           user->split(user, addr, size, size_a, size_b, committed, arena_ind);
}

static void user_destroy(extent_hooks_t *hooks, void *addr, size_t size,
                         bool committed, unsigned arena_ind)
{
    extent_hooks_t *user = supply_of(hooks)->user;
    if (user->destroy != NULL)
        user->destroy(user, addr, size, committed, arena_ind);
}

/* ---- supplies ---- */

void extent_supply_init(struct extent_supply *supply,
                        struct memkind_region_pool *pool,
                        const struct block_source *source, void *address_owner)
{
    *supply = (struct extent_supply){
        .hooks =
            {
                .alloc = source != NULL ? source_alloc : pool_alloc,
                .dalloc = pool != NULL ? pool_dalloc : refuse_dalloc,
                .commit = pool != NULL ? pool_commit : NULL,
                .decommit = pool != NULL ? pool_decommit : NULL,
                .split = allow_split,
                .merge = pool != NULL ? pool_merge : allow_merge,
            },
        .pool = pool,
        .address_owner = address_owner,
        .allowance = ALLOWANCE,
        .says_zero = !je_is_debug(),
    };
    if (source != NULL)
        supply->source = *source;
    ranked_lock_init(&supply->blocks_lock, RANK_BLOCKS);
}

void extent_supply_init_user(struct extent_supply *supply, extent_hooks_t *user,
                             void *address_owner)
{
    *supply = (struct extent_supply){
        .hooks =
            {
                .alloc = user_alloc,
                .dalloc = refuse_dalloc,
                .destroy = user_destroy,
                .commit = user_commit,
                .decommit = user_decommit,
                .purge_lazy = user_purge_lazy,
                .purge_forced = user_purge_forced,
                .split = user_split,
                .merge = user_merge,
            },
        .user = user,
        .address_owner = address_owner,
    };
    ranked_lock_init(&supply->blocks_lock, RANK_BLOCKS);
}

void extent_supply_set_decay(struct extent_supply *supply, bool decays)
{
    atomic_store(&supply->has_no_decay, !decays);
}

struct extent_purge extent_supply_begin_purge(struct extent_supply *supply,
                                              enum extent_purge_mode mode)
{
    struct extent_purge begun;
    atomic_fetch_add(&supply->purges, 1);
    begun.ended = atomic_load(&supply->decays.ended);
    begun.begun = atomic_load(&supply->decays.begun);
    purge = mode;
    page_traffic_begin_purge();
    return begun;
}

bool extent_supply_end_purge(struct extent_supply *supply,
                             const struct extent_purge *begun)
{
    purge = NO_PURGE;
    atomic_fetch_sub(&supply->purges, 1);
    return page_traffic_end_purge() && begun->begun == begun->ended &&
           atomic_load(&supply->decays.begun) == begun->begun;
}

void extent_supply_renew_allowance(struct extent_supply *supply)
{
    atomic_store_explicit(&supply->allowance, ALLOWANCE, memory_order_relaxed);
}

void extent_supply_retire(struct extent_supply *supply)
{
    /* A background thread may be reading the table. With hooks of the
     * program's own, their destroy hook is to see every extent. */
    if (supply->user == NULL)
        __atomic_store_n(&supply->hooks.dalloc, forget_dalloc,
                         __ATOMIC_RELEASE);
}

void extent_supply_fini(struct extent_supply *supply)
{
    while (supply->blocks != NULL) {
        struct source_block *page = supply->blocks;
        for (size_t i = 0; i < page->count; i++) {
            address_table_remove(page->entries[i].base, page->entries[i].size);
            if (supply->source.unmap)
                sys.munmap(page->entries[i].base, page->entries[i].size);
        }
        supply->blocks = page->next;
        sys.munmap(page, RECORDS_SIZE);
    }
    ranked_lock_destroy(&supply->blocks_lock);
}
