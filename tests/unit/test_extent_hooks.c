/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "address_table.h"
#include "extent_hooks.h"
#include "jemalloc_ctl.h"
#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

#define ARENA 1

static int owner;
static struct memkind_region_pool pool;
static struct extent_supply extents;
static extent_hooks_t *const hooks = &extents.hooks;

static size_t page(void)
{
    return region_page_size();
}

static void open_files(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 32 * MIB, &owner), 0);
    extent_supply_init(&extents, &pool, NULL, &owner);
}

static void close_all(void)
{
    extent_supply_fini(&extents);
    region_pool_close(&pool);
}

static void *reserve(size_t size)
{
    bool zero = false, commit = false;
    void *block =
        hooks->alloc(hooks, NULL, size, page(), &zero, &commit, ARENA);
    REQUIRE_NOT_NULL(block);
    CHECK(!commit);
    return block;
}

/* ---- over a region pool ------------------------------------------------ */

static void test_alloc(void)
{
    open_files();
    for (int zero_in = 0; zero_in < 2; zero_in++) {
        /* Uncommitted blocks hold no space, and will be zero. */
        bool zero = zero_in, commit = false;
        char *block =
            hooks->alloc(hooks, NULL, MIB, 4 * MIB, &zero, &commit, ARENA);
        REQUIRE_NOT_NULL(block);
        CHECK_EQ((uintptr_t)block % (4 * MIB), 0);
        CHECK(!commit);
        /* A debug jemalloc would look at once, and touch the hole. */
        CHECK_EQ(zero, zero_in || !je_is_debug());
        CHECK_EQ(address_table_find(block), &owner);
        size_t charged = region_pool_charged(&pool);

        zero = zero_in;
        commit = true;
        block = hooks->alloc(hooks, NULL, MIB, page(), &zero, &commit, ARENA);
        REQUIRE_NOT_NULL(block);
        CHECK(commit);
        CHECK(zero);
        CHECK(is_zero(block, MIB));
        CHECK_EQ(region_pool_charged(&pool), charged + MIB);
        memset(block, 1, MIB);
    }
    /* More than there is. */
    bool zero = false, commit = true;
    CHECK_NULL(
        hooks->alloc(hooks, NULL, 64 * MIB, page(), &zero, &commit, ARENA));
    CHECK_EQ(region_pool_charged(&pool), 2 * MIB);
    close_all();
}

static void test_place_cannot_be_chosen(void)
{
    bool zero = false, commit = false;
    open_files();
    char *block = reserve(MIB);
    CHECK_NULL(
        hooks->alloc(hooks, block + MIB, MIB, page(), &zero, &commit, ARENA));
    CHECK_EQ(region_pool_charged(&pool), 0);
    CHECK_EQ(reserve(page()), block + MIB);
    close_all();
}

static void test_buffer_is_cleared_on_demand(void)
{
    char *buffer = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE_NE(buffer, MAP_FAILED);
    memset(buffer, 0xaa, MIB);
    REQUIRE_EQ(region_pool_open_buffer(&pool, buffer, MIB, &owner), 0);
    extent_supply_init(&extents, &pool, NULL, &owner);
    bool zero = false, commit = false;
    char *block =
        hooks->alloc(hooks, NULL, 64 * KIB, page(), &zero, &commit, ARENA);
    REQUIRE_NOT_NULL(block);
    CHECK(commit);
    CHECK(!zero);
    zero = true;
    commit = false;
    block = hooks->alloc(hooks, NULL, 64 * KIB, page(), &zero, &commit, ARENA);
    REQUIRE_NOT_NULL(block);
    CHECK(commit);
    CHECK(zero);
    CHECK(is_zero(block, 64 * KIB));
    CHECK(!is_zero(block + 64 * KIB, page()));
    /* Its pages are there for good. */
    CHECK(hooks->decommit(hooks, block, 64 * KIB, 0, page(), ARENA));
    CHECK(!hooks->commit(hooks, block, 64 * KIB, 0, page(), ARENA));
    close_all();
    munmap(buffer, MIB);
}

/* Offset and length count, not address and size of the extent. */
static void test_commit_and_decommit(void)
{
    open_files();
    char *extent = reserve(8 * MIB);
    CHECK(!hooks->commit(hooks, extent, 8 * MIB, MIB, 2 * MIB, ARENA));
    CHECK_EQ(region_pool_charged(&pool), 2 * MIB);
    CHECK(is_zero(extent + MIB, 2 * MIB));
    test_fill(extent + MIB, 2 * MIB, 1);
    CHECK(!hooks->decommit(hooks, extent, 8 * MIB, 2 * MIB, MIB, ARENA));
    CHECK_EQ(region_pool_charged(&pool), MIB);
    CHECK(test_check(extent + MIB, MIB, 1));
    CHECK(!hooks->commit(hooks, extent + MIB, 4 * MIB, MIB, MIB, ARENA));
    CHECK(is_zero(extent + 2 * MIB, MIB));
    CHECK(test_check(extent + MIB, MIB, 1));

    char *large = reserve(64 * MIB);
    CHECK(hooks->commit(hooks, large, 64 * MIB, 0, 31 * MIB, ARENA));
    CHECK_EQ(region_pool_charged(&pool), 2 * MIB);
    CHECK(!hooks->commit(hooks, large, 64 * MIB, 0, 30 * MIB, ARENA));
    close_all();
}

static int refuse_punch(int fd, int mode, off_t offset, off_t len)
{
    (void)fd, (void)offset, (void)len;
    errno = EOPNOTSUPP;
    return mode & 2 ? -1 : 0;
}

static int refuse_remove(void *addr, size_t size, int advice)
{
    (void)addr, (void)size, (void)advice;
    errno = EOPNOTSUPP;
    return -1;
}

static void test_refused_decommit_keeps_contents(void)
{
    const struct sys_calls real = sys;
    open_files();
    char *extent = reserve(MIB);
    CHECK(!hooks->commit(hooks, extent, MIB, 0, MIB, ARENA));
    test_fill(extent, MIB, 2);
    sys.fallocate = refuse_punch;
    sys.madvise = refuse_remove;
    CHECK(hooks->decommit(hooks, extent, MIB, 0, MIB, ARENA));
    sys = real;
    CHECK(test_check(extent, MIB, 2));
    CHECK_EQ(region_pool_charged(&pool), MIB);
    close_all();
}

static void test_blocks_are_kept_until_retired(void)
{
    open_files();
    char *block = reserve(MIB);
    CHECK(!hooks->commit(hooks, block, MIB, 0, MIB, ARENA));
    test_fill(block, MIB, 3);
    CHECK(hooks->dalloc(hooks, block, MIB, true, ARENA));
    CHECK(hooks->dalloc(hooks, block, page(), true, ARENA));
    CHECK(hooks->dalloc(hooks, block, MIB, false, ARENA));
    extent_supply_retire(&extents);
    CHECK(!hooks->dalloc(hooks, block, page(), true, ARENA));
    CHECK(!hooks->dalloc(hooks, block, MIB, false, ARENA));
    /* The pool forgets the block and does not give it back: the region goes as
     * a whole. */
    CHECK(test_check(block, MIB, 3));
    CHECK_EQ(address_table_find(block), &owner);
    CHECK_EQ(region_pool_charged(&pool), MIB);
    close_all();
}

/* A purged page would be a committed one without file space. */
static void test_nothing_is_purged(void)
{
    open_files();
    CHECK(hooks->purge_lazy == NULL);
    CHECK(hooks->purge_forced == NULL);
    CHECK(hooks->destroy == NULL);
    close_all();
}

static void test_split_and_merge(void)
{
    open_files();
    char *first = reserve(MIB);
    char *second = reserve(MIB);
    REQUIRE_EQ(second, first + MIB);
    CHECK(!hooks->split(hooks, first, MIB, page(), MIB - page(), true, ARENA));
    CHECK(!hooks->merge(hooks, first, page(), first + page(), MIB - page(),
                        true, ARENA));
    CHECK(!hooks->merge(hooks, first, MIB, second, MIB, false, ARENA));

    /* A block of another region, even if it is a neighbour. */
    char *far = reserve(pool.regions[0].size);
    REQUIRE_EQ(atomic_load(&pool.count), 2);
    CHECK(hooks->merge(hooks, second, MIB, far, MIB, false, ARENA));
    CHECK(hooks->merge(hooks, far, MIB, second, MIB, false, ARENA));
    char *end = pool.regions[0].base + pool.regions[0].size;
    CHECK(hooks->merge(hooks, end - page(), page(), end, page(), false, ARENA));
    CHECK(hooks->merge(hooks, end, page(), end + page(), page(), false, ARENA));
    CHECK(!hooks->merge(hooks, far, MIB, far + MIB, MIB, false, ARENA));
    close_all();
}

/* ---- what a call does at most ------------------------------------------ */

static struct sys_calls real;
static size_t punched, most_at_once;

static int counting_madvise(void *addr, size_t size, int advice)
{
    if (advice == MADV_REMOVE) {
        punched += size;
        if (most_at_once < size)
            most_at_once = size;
    }
    return real.madvise(addr, size, advice);
}

static void begin_counting(void)
{
    punched = most_at_once = 0;
    real = sys;
    sys.madvise = counting_madvise;
}

#define EXTENT (24 * MIB)
#define MOST (2 * MIB)

static char *commit_extent(void)
{
    char *extent = reserve(EXTENT);
    REQUIRE(!hooks->commit(hooks, extent, EXTENT, 0, EXTENT, ARENA));
    memset(extent, 1, EXTENT);
    begin_counting();
    return extent;
}

static bool decommit_all(char *extent)
{
    return !hooks->decommit(hooks, extent, EXTENT, 0, EXTENT, ARENA);
}

/* Some of a large extent goes back at once, and the rest with turns of upkeep,
 * however often jemalloc gives some more back in between. */
static void test_space_goes_back_in_turns(void)
{
    open_files();
    char *extent = commit_extent();
    CHECK(decommit_all(extent));
    CHECK_GT(punched, 0);
    CHECK_LE(punched, MOST);
    CHECK_EQ(region_pool_charged(&pool), EXTENT - punched);
    const size_t before = punched;
    CHECK(!hooks->commit(hooks, extent, EXTENT, 0, 4 * MIB, ARENA));
    CHECK(is_zero(extent, 4 * MIB));
    CHECK(!hooks->decommit(hooks, extent, EXTENT, 0, 4 * MIB, ARENA));
    CHECK_EQ(punched, before);
    extent_supply_renew_allowance(&extents);
    CHECK(region_pool_owes(&pool));
    most_at_once = 0;
    for (int turn = 0; region_pool_owes(&pool) && turn < 100; turn++) {
        const size_t held = region_pool_charged(&pool);
        const size_t paid = region_pool_pay_some(&pool, MOST);
        CHECK_EQ(region_pool_charged(&pool), held - paid);
        CHECK_GT(paid, 0);
        CHECK_LE(paid, 2 * MOST);
    }
    CHECK_EQ(region_pool_charged(&pool), 0);
    CHECK_LE(most_at_once, MOST);
    sys = real;
    close_all();
}

/* Without decay, and by a purge, all of it goes back at once. */
static void test_space_goes_back_at_once(void)
{
    open_files();
    char *extent = commit_extent();
    extent_supply_set_decay(&extents, false);
    CHECK(decommit_all(extent));
    CHECK_EQ(region_pool_charged(&pool), 0);
    extent_supply_set_decay(&extents, true);
    CHECK(!hooks->commit(hooks, extent, EXTENT, 0, EXTENT, ARENA));
    const struct extent_purge purge =
        extent_supply_begin_purge(&extents, PURGE_NOW);
    CHECK(decommit_all(extent));
    (void)extent_supply_end_purge(&extents, &purge);
    CHECK_EQ(region_pool_charged(&pool), 0);
    CHECK(!hooks->commit(hooks, extent, EXTENT, 0, EXTENT, ARENA));
    CHECK(decommit_all(extent));
    CHECK_GT(region_pool_charged(&pool), 0);
    sys = real;
    close_all();
}

static unsigned count_merges(char *extent, bool committed)
{
    enum { TRIES = 10000 };
    unsigned merges = 0;
    for (int i = 0; i < TRIES; i++)
        merges += !hooks->merge(hooks, extent, MIB, extent + MIB, MIB,
                                committed, ARENA);
    return merges;
}

/* A thread merges so many extents in a call. */
static void test_merges_are_bounded(void)
{
    open_files();
    char *extent = reserve(4 * MIB);
    extent_merges_begin_call();
    const unsigned most = count_merges(extent, true);
    CHECK_GT(most, 100);
    CHECK_LE(most, 2000);
    CHECK_EQ(count_merges(extent, true), 0);
    CHECK_EQ(count_merges(extent, false), 10000);
    extent_merges_begin_call();
    CHECK_EQ(count_merges(extent, true), most);
    const struct extent_purge purge =
        extent_supply_begin_purge(&extents, PURGE_NOW);
    CHECK_EQ(count_merges(extent, true), 10000);
    (void)extent_supply_end_purge(&extents, &purge);
    close_all();
}

/* The hooks of two owners each find their own pool. */
static void test_hooks_find_their_owner(void)
{
    static struct memkind_region_pool other_pool;
    static struct extent_supply other;
    int other_owner;
    open_files();
    REQUIRE_EQ(region_pool_open_memory(&other_pool, &other_owner), 0);
    extent_supply_init(&other, &other_pool, NULL, &other_owner);
    bool zero = false, commit = true;
    void *mine = hooks->alloc(hooks, NULL, MIB, page(), &zero, &commit, ARENA);
    void *theirs = other.hooks.alloc(&other.hooks, NULL, 2 * MIB, page(), &zero,
                                     &commit, ARENA + 1);
    CHECK_EQ(address_table_find(mine), &owner);
    CHECK_EQ(address_table_find(theirs), &other_owner);
    CHECK_EQ(region_pool_charged(&pool), MIB);
    CHECK_EQ(region_pool_charged(&other_pool), 2 * MIB);
    extent_supply_retire(&extents);
    CHECK(!hooks->dalloc(hooks, mine, MIB, true, ARENA));
    CHECK(other.hooks.dalloc(&other.hooks, theirs, MIB, true, ARENA));
    extent_supply_fini(&other);
    region_pool_close(&other_pool);
    close_all();
}

/* ---- over blocks of the program's own ---------------------------------- */

static struct {
    size_t calls;
    size_t asked; /* bytes, of the last call */
    char *given;
    size_t shift; /* how far off an alignment blocks are */
    bool fail;
} source_state;

static void *source_map(void *context, size_t size)
{
    CHECK_EQ(context, &source_state);
    source_state.calls++;
    source_state.asked = size;
    if (source_state.fail) {
        errno = ENOMEM;
        return NULL;
    }
    char *base = mmap(NULL, size + source_state.shift, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (source_state.shift != 0)
        munmap(base, source_state.shift);
    source_state.given = base + source_state.shift;
    return source_state.given;
}

static void open_source(bool unmap)
{
    const struct block_source source = {source_map, &source_state,
                                        region_page_size(), unmap};
    memset(&source_state, 0, sizeof source_state);
    extent_supply_init(&extents, NULL, &source, &owner);
}

static void test_source_blocks_are_aligned(void)
{
    open_source(true);
    for (size_t alignment = page(); alignment <= GIB; alignment *= 4) {
        for (size_t shift = 0; shift <= 3; shift++) {
            bool zero = false, commit = false;
            source_state.shift = shift * page();
            char *block = hooks->alloc(hooks, NULL, 3 * page(), alignment,
                                       &zero, &commit, ARENA);
            REQUIRE_NOT_NULL(block);
            CHECK(commit);
            CHECK_EQ((uintptr_t)block % alignment, 0);
            CHECK_GE(block, source_state.given);
            CHECK_LE(block + 3 * page(),
                     source_state.given + source_state.asked);
            CHECK_EQ(address_table_find(block), &owner);
            CHECK_EQ(address_table_find(block + 3 * page() - 1), &owner);
        }
    }
    bool zero = true, commit = false;
    char *block = hooks->alloc(hooks, NULL, MIB, page(), &zero, &commit, ARENA);
    REQUIRE_NOT_NULL(block);
    CHECK(zero);
    CHECK(is_zero(block, MIB));
    extent_supply_fini(&extents);
}

static void test_source_hooks(void)
{
    bool zero = false, commit = false;
    open_source(true);
    /* The source has no way to take space away from such a block. */
    CHECK(hooks->decommit == NULL);
    CHECK(hooks->purge_lazy == NULL);
    CHECK(hooks->purge_forced == NULL);
    char *block = hooks->alloc(hooks, NULL, MIB, page(), &zero, &commit, ARENA);
    REQUIRE_NOT_NULL(block);
    CHECK_NULL(
        hooks->alloc(hooks, block + MIB, MIB, page(), &zero, &commit, ARENA));
    CHECK_EQ(source_state.calls, 1);
    CHECK(!hooks->split(hooks, block, MIB, page(), MIB - page(), true, ARENA));
    CHECK(!hooks->merge(hooks, block, page(), block + page(), MIB - page(),
                        true, ARENA));
    CHECK(hooks->dalloc(hooks, block, MIB, true, ARENA));
    extent_supply_retire(&extents);
    CHECK(!hooks->dalloc(hooks, block, MIB, true, ARENA));

    source_state.fail = true;
    CHECK_NULL(hooks->alloc(hooks, NULL, MIB, page(), &zero, &commit, ARENA));
    CHECK_NULL(hooks->alloc(hooks, NULL, SIZE_MAX - page() + 1, 4 * page(),
                            &zero, &commit, ARENA));
    CHECK_EQ(source_state.calls, 2);
    extent_supply_fini(&extents);
}

/* More blocks than one page of records holds. */
#define MANY_BLOCKS 3000

static void take_many_source_blocks(void)
{
    static char *taken[MANY_BLOCKS];
    open_source(true);
    for (int i = 0; i < MANY_BLOCKS; i++) {
        bool zero = false, commit = false;
        taken[i] =
            hooks->alloc(hooks, NULL, page(), page(), &zero, &commit, ARENA);
        REQUIRE_NOT_NULL(taken[i]);
        *taken[i] = 1;
    }
    CHECK_EQ(address_table_find(taken[0]), &owner);
    CHECK_EQ(address_table_find(taken[MANY_BLOCKS - 1]), &owner);
    extent_supply_fini(&extents);
    for (int i = 0; i < MANY_BLOCKS; i++)
        CHECK_NULL(address_table_find(taken[i]));
}

static void test_source_blocks_are_unmapped(void)
{
    struct test_resources before;
    take_many_source_blocks();
    layer_resources_take(&before);
    take_many_source_blocks();
    CHECK(nothing_leaked(&before));
}

static void test_source_blocks_are_left(void)
{
    bool zero = false, commit = false;
    open_source(false);
    char *block = hooks->alloc(hooks, NULL, MIB, page(), &zero, &commit, ARENA);
    REQUIRE_NOT_NULL(block);
    test_fill(block, MIB, 4);
    extent_supply_fini(&extents);
    CHECK_NULL(address_table_find(block));
    CHECK(test_check(block, MIB, 4));
    munmap(source_state.given, source_state.asked);
}

/* A source that takes blocks from the pool: the regions are known already. */
static void *map_from_pool(void *context, size_t size)
{
    bool commit = true, zeroed;
    return region_pool_alloc(context, size, page(), &commit, &zeroed);
}

static void test_source_in_a_pool(void)
{
    const struct block_source source = {map_from_pool, &pool,
                                        region_page_size(), false};
    bool zero = false, commit = false;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 32 * MIB, &owner), 0);
    extent_supply_init(&extents, &pool, &source, &owner);
    char *block = hooks->alloc(hooks, NULL, MIB, page(), &zero, &commit, ARENA);
    REQUIRE_NOT_NULL(block);
    CHECK(commit);
    CHECK_EQ(address_table_find(block), &owner);
    CHECK_NULL(extents.blocks);
    CHECK_EQ(region_pool_charged(&pool), MIB);
    CHECK(!hooks->decommit(hooks, block, MIB, 0, MIB, ARENA));
    CHECK_EQ(region_pool_charged(&pool), 0);
    extent_supply_fini(&extents);
    CHECK_EQ(address_table_find(block), &owner);
    region_pool_close(&pool);
}

/* ---- hooks of the program's own ---------------------------------------- */

static struct {
    const char *last; /* hook that was called */
    extent_hooks_t *table;
    char *addr, *other;
    size_t size, offset, length;
    unsigned arena;
    bool answer;
} heard;

static bool hear(const char *name, extent_hooks_t *table, void *addr,
                 size_t size, size_t offset, size_t length, unsigned arena)
{
    heard.last = name;
    heard.table = table;
    heard.addr = addr;
    heard.size = size;
    heard.offset = offset;
    heard.length = length;
    heard.arena = arena;
    return heard.answer;
}

static char *user_block;

static void *hear_alloc(extent_hooks_t *table, void *new_addr, size_t size,
                        size_t alignment, bool *zero, bool *commit,
                        unsigned arena)
{
    hear("alloc", table, new_addr, size, alignment, 0, arena);
    *zero = true;
    *commit = true;
    return user_block;
}

static bool hear_dalloc(extent_hooks_t *table, void *addr, size_t size,
                        bool committed, unsigned arena)
{
    return hear("dalloc", table, addr, size, committed, 0, arena);
}

static void hear_destroy(extent_hooks_t *table, void *addr, size_t size,
                         bool committed, unsigned arena)
{
    hear("destroy", table, addr, size, committed, 0, arena);
}

#define HEAR_RANGE(name)                                                       \
    static bool hear_##name(extent_hooks_t *table, void *addr, size_t size,    \
                            size_t offset, size_t length, unsigned arena)      \
    {                                                                          \
        return hear(#name, table, addr, size, offset, length, arena);          \
    }
HEAR_RANGE(commit)
HEAR_RANGE(decommit)
HEAR_RANGE(purge_lazy)
HEAR_RANGE(purge_forced)

static bool hear_split(extent_hooks_t *table, void *addr, size_t size,
                       size_t size_a, size_t size_b, bool committed,
                       unsigned arena)
{
    (void)committed;
    return hear("split", table, addr, size, size_a, size_b, arena);
}

static bool hear_merge(extent_hooks_t *table, void *addr_a, size_t size_a,
                       void *addr_b, size_t size_b, bool committed,
                       unsigned arena)
{
    (void)committed;
    heard.other = addr_b;
    return hear("merge", table, addr_a, size_a, 0, size_b, arena);
}

static extent_hooks_t user_hooks = {
    .alloc = hear_alloc,
    .dalloc = hear_dalloc,
    .destroy = hear_destroy,
    .commit = hear_commit,
    .decommit = hear_decommit,
    .purge_lazy = hear_purge_lazy,
    .purge_forced = hear_purge_forced,
    .split = hear_split,
    .merge = hear_merge,
};

/* The program's hooks see their own table, not ours. */
static bool was_heard(const char *name, size_t offset, size_t length)
{
    bool right = heard.last != NULL && strcmp(heard.last, name) == 0 &&
                 heard.table == &user_hooks && heard.addr == user_block &&
                 heard.size == MIB && heard.offset == offset &&
                 heard.length == length && heard.arena == 9;
    heard.last = NULL;
    return right;
}

static void check_forwarding(bool answer)
{
    const size_t half = MIB / 2;
    heard.answer = answer;
    CHECK_EQ(hooks->commit(hooks, user_block, MIB, 1, 2, 9), answer);
    CHECK(was_heard("commit", 1, 2));
    CHECK_EQ(hooks->decommit(hooks, user_block, MIB, 3, 4, 9), answer);
    CHECK(was_heard("decommit", 3, 4));
    CHECK_EQ(hooks->purge_lazy(hooks, user_block, MIB, 5, 6, 9), answer);
    CHECK(was_heard("purge_lazy", 5, 6));
    CHECK_EQ(hooks->purge_forced(hooks, user_block, MIB, 7, 8, 9), answer);
    CHECK(was_heard("purge_forced", 7, 8));
    CHECK_EQ(hooks->split(hooks, user_block, MIB, half, half + 1, true, 9),
             answer);
    CHECK(was_heard("split", half, half + 1));
    CHECK_EQ(
        hooks->merge(hooks, user_block, MIB, user_block + MIB, half, true, 9),
        answer);
    CHECK(was_heard("merge", 0, half));
    CHECK_EQ(heard.other, user_block + MIB);
}

static void test_user_hooks_are_forwarded(void)
{
    bool zero = false, commit = false;
    user_block = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE_NE(user_block, MAP_FAILED);
    extent_supply_init_user(&extents, &user_hooks, &owner);
    CHECK_EQ(hooks->alloc(hooks, user_block, MIB, 4096, &zero, &commit, 9),
             user_block);
    CHECK(was_heard("alloc", 4096, 0));
    CHECK(zero);
    CHECK(commit);
    CHECK_EQ(address_table_find(user_block + MIB - 1), &owner);
    check_forwarding(false);
    check_forwarding(true);

    /* Pieces of a block never go back, before and after: the destroy hook
     * sees them. */
    heard.answer = false;
    CHECK(hooks->dalloc(hooks, user_block, MIB, true, 9));
    extent_supply_retire(&extents);
    CHECK(hooks->dalloc(hooks, user_block, MIB, true, 9));
    CHECK_NULL(heard.last);
    hooks->destroy(hooks, user_block, MIB, true, 9);
    CHECK(was_heard("destroy", true, 0));
    extent_supply_fini(&extents);
    CHECK_NULL(address_table_find(user_block));
    munmap(user_block, MIB);
}

/* As jemalloc takes a missing hook: one that always fails. */
static void test_user_hooks_may_be_missing(void)
{
    static extent_hooks_t bare = {.alloc = hear_alloc};
    bool zero = false, commit = false;
    extent_supply_init_user(&extents, &bare, &owner);
    user_block = NULL;
    CHECK_NULL(hooks->alloc(hooks, NULL, MIB, 4096, &zero, &commit, 9));
    char here[64];
    CHECK(hooks->commit(hooks, here, 64, 0, 64, 9));
    CHECK(hooks->decommit(hooks, here, 64, 0, 64, 9));
    CHECK(hooks->purge_lazy(hooks, here, 64, 0, 64, 9));
    CHECK(hooks->purge_forced(hooks, here, 64, 0, 64, 9));
    CHECK(hooks->split(hooks, here, 64, 32, 32, true, 9));
    CHECK(hooks->merge(hooks, here, 32, here + 32, 32, true, 9));
    CHECK(hooks->dalloc(hooks, here, 64, true, 9));
    hooks->destroy(hooks, here, 64, true, 9);
    extent_supply_fini(&extents);
}

static const struct test_case tests[] = {
    {"alloc", test_alloc},
    {"place cannot be chosen", test_place_cannot_be_chosen},
    {"buffer is cleared on demand", test_buffer_is_cleared_on_demand},
    {"commit and decommit", test_commit_and_decommit},
    {"refused decommit keeps contents", test_refused_decommit_keeps_contents},
    {"blocks are kept until retired", test_blocks_are_kept_until_retired},
    {"nothing is purged", test_nothing_is_purged},
    {"split and merge", test_split_and_merge},
    {"space goes back in turns", test_space_goes_back_in_turns},
    {"space goes back at once", test_space_goes_back_at_once},
    {"merges are bounded", test_merges_are_bounded},
    {"hooks find their owner", test_hooks_find_their_owner},
    {"source blocks are aligned", test_source_blocks_are_aligned},
    {"source hooks", test_source_hooks},
    {"source blocks are unmapped", test_source_blocks_are_unmapped},
    {"source blocks are left", test_source_blocks_are_left},
    {"source in a pool", test_source_in_a_pool},
    {"user hooks are forwarded", test_user_hooks_are_forwarded},
    {"user hooks may be missing", test_user_hooks_may_be_missing},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("extent hooks", tests, argc, argv);
}
