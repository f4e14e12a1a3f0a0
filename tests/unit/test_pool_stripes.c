/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "address_table.h"
#include "cpu_count.h"
#include "pool_stripes.h"
#include "pool_test.h"

static struct sys_calls real;
static struct test_resources before;

#define BUDGET (4 * GIB)

static void begin_with(unsigned cpus)
{
    real = sys;
    cpu_count_assume(cpus);
    layer_resources_take(&before);
}

static void end(void)
{
    sys = real;
    cpu_count_assume(0);
    CHECK(nothing_leaked_but_metadata(&before));
}

static void open_pool(size_t budget)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), budget, &owner), 0);
}

static void close_and_end(void)
{
    region_pool_close(&pool);
    end();
}

static char *block_for(unsigned arena, size_t size)
{
    bool commit = false, zeroed = false;
    char *block =
        region_pool_alloc_for(&pool, arena, size, page(), &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
    return block;
}

static unsigned index_of(const void *block)
{
    const struct region *region = region_pool_find(&pool, block);
    REQUIRE_NOT_NULL(region);
    return (unsigned)(region - pool.regions);
}

static void hold(size_t size)
{
    REQUIRE_EQ(region_pool_commit(&pool, reserve(size), size), 0);
}

/* ---- how many ------------------------------------------------------------ */

static void test_a_small_pool_has_one_file(void)
{
    begin_with(8);
    open_pool(BUDGET);
    for (unsigned arena = 0; arena < 8; arena++)
        CHECK_EQ(index_of(block_for(arena, MIB)), 0);
    hold(2 * MIB);
    for (unsigned arena = 0; arena < 8; arena++)
        CHECK_EQ(index_of(block_for(arena, MIB)), 0);
    CHECK_EQ(atomic_load(&pool.count), 1);
    CHECK_NULL(pool.stripes.homes);
    close_and_end();
}

static void test_further_arenas_get_stripes(void)
{
    begin_with(4);
    open_pool(BUDGET);
    hold(64 * MIB);
    for (unsigned arena = 1; arena < 9; arena++) {
        char *block = block_for(arena, MIB);
        check_usable(block, arena);
        CHECK_EQ(index_of(block), (arena - 1) % 4);
    }
    CHECK_EQ(atomic_load(&pool.count), 4);
    CHECK_EQ(pool.stripes.count, 3);
    /* Each stays where it is. */
    for (unsigned arena = 1; arena < 9; arena++)
        CHECK_EQ(index_of(block_for(arena, MIB)), (arena - 1) % 4);
    for (unsigned i = 1; i < 4; i++) {
        CHECK_NE(pool.regions[i].fd, pool.regions[0].fd);
        CHECK(pool.regions[i].is_stripe);
        CHECK(pool.regions[i].owns_file);
    }
    CHECK(blocks_match_charge());
    close_and_end();
}

static void test_one_more_for_each_four_mib(void)
{
    begin_with(16);
    open_pool(BUDGET);
    hold(4 * MIB);
    for (unsigned arena = 1; arena < 5; arena++)
        (void)block_for(arena, MIB);
    CHECK_EQ(pool.stripes.count, 1);
    hold(4 * MIB);
    for (unsigned arena = 5; arena < 9; arena++)
        (void)block_for(arena, MIB);
    CHECK_EQ(pool.stripes.count, 2);
    close_and_end();
}

static void test_who_shares_a_region_moves(void)
{
    begin_with(2);
    open_pool(BUDGET);
    CHECK_EQ(index_of(block_for(1, MIB)), 0);
    CHECK_EQ(index_of(block_for(2, MIB)), 0);
    hold(8 * MIB);
    CHECK_EQ(index_of(block_for(1, MIB)), 0);
    CHECK_EQ(index_of(block_for(2, MIB)), 1);
    CHECK_EQ(index_of(block_for(1, MIB)), 0);
    close_and_end();
}

static void test_limits(void)
{
    static const struct {
        unsigned cpus;
        size_t budget;
        unsigned planned;
    } cases[] = {
        {1, BUDGET, 0},     {2, BUDGET, 1},     {16, BUDGET, 15},
        {64, BUDGET, 15},   {16, 128 * MIB, 1}, {16, 127 * MIB, 0},
        {16, 640 * MIB, 9}, {16, 16 * MIB, 0},
    };
    begin_with(1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cpu_count_assume(cases[i].cpus);
        open_pool(cases[i].budget);
        CHECK_EQ(pool.stripes.planned, cases[i].planned);
        CHECK_EQ(pool.range.size - pool.regions[0].size,
                 cases[i].planned * pool.stripes.size);
        CHECK_EQ(pool.stripes.size % (128 * MIB), 0);
        region_pool_close(&pool);
    }
    end();
}

static struct rlimit limit;

static int few_descriptors(struct rlimit *result)
{
    *result = limit;
    return 0;
}

static void test_a_quarter_of_the_descriptors(void)
{
    static struct memkind_region_pool other;
    begin_with(16);
    limit = (struct rlimit){.rlim_cur = 20, .rlim_max = 20};
    sys.get_descriptor_limit = few_descriptors;
    open_pool(BUDGET);
    REQUIRE_EQ(region_pool_open_files(&other, test_dir(), BUDGET, &owner), 0);
    hold(128 * MIB);
    for (unsigned arena = 1; arena < 9; arena++)
        (void)block_for(arena, MIB);
    CHECK_EQ(pool.stripes.count, 5);
    bool commit = true, zeroed = false;
    REQUIRE_NOT_NULL(
        region_pool_alloc(&other, 64 * MIB, page(), &commit, &zeroed));
    for (unsigned arena = 1; arena < 9; arena++) {
        commit = false;
        CHECK_NOT_NULL(region_pool_alloc_for(&other, arena, MIB, page(),
                                             &commit, &zeroed));
    }
    CHECK_EQ(other.stripes.count, 0);
    region_pool_close(&other);
    close_and_end();
    /* And they are free again. */
    begin_with(16);
    sys.get_descriptor_limit = few_descriptors;
    open_pool(BUDGET);
    hold(128 * MIB);
    for (unsigned arena = 1; arena < 9; arena++)
        (void)block_for(arena, MIB);
    CHECK_EQ(pool.stripes.count, 5);
    close_and_end();
}

/* ---- the range ----------------------------------------------------------- */

static void test_one_range_one_array_of_tags(void)
{
    begin_with(4);
    open_pool(BUDGET);
    hold(64 * MIB);
    for (unsigned arena = 1; arena < 5; arena++) {
        char *block = block_for(arena, MIB);
        const struct region *region = &pool.regions[index_of(block)];
        CHECK(region_range_contains(&pool, block));
        CHECK(region_range_contains(&pool, region->base + region->size - 1));
        const size_t at = (size_t)(block - pool.range.base) / REGION_TAG_UNIT;
        CHECK_EQ(
            &pool.range.tags[at],
            &region->tags[(size_t)(block - region->base) / REGION_TAG_UNIT]);
        atomic_store(&pool.range.tags[at], (uint16_t)(arena + 7));
        CHECK_EQ(address_table_find(block), &owner);
    }
    for (size_t i = 1; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(!region_contains(&pool.regions[j], pool.regions[i].base) &&
                  !region_contains(&pool.regions[i], pool.regions[j].base));
    close_and_end();
}

static void test_addresses_without_a_stripe_are_nobodys(void)
{
    begin_with(4);
    open_pool(BUDGET);
    char *behind = pool.range.base + pool.regions[0].size;
    char *last = pool.range.base + pool.range.size - page();
    CHECK(region_range_contains(&pool, last));
    CHECK_NULL(region_pool_find(&pool, behind));
    CHECK_NULL(region_pool_find(&pool, last));
    CHECK_NULL(address_table_find(behind));
    CHECK_EQ(region_pool_commit(&pool, last, page()), -EINVAL);
    CHECK_EQ(atomic_load(&pool.range.tags[(size_t)(last - pool.range.base) /
                                          REGION_TAG_UNIT]),
             0);
    hold(16 * MIB);
    (void)block_for(1, MIB);
    (void)block_for(2, MIB);
    CHECK_EQ(region_pool_find(&pool, pool.regions[1].base), &pool.regions[1]);
    CHECK_EQ(address_table_find(pool.regions[1].base), &owner);
    CHECK_NULL(region_pool_find(&pool, last));
    close_and_end();
}

static void test_guard_pages(void)
{
    begin_with(4);
    region_pool_use_guards(true);
    open_pool(BUDGET);
    CHECK(pool.regions[0].guard_before && pool.regions[0].guard_behind);
    hold(16 * MIB);
    (void)block_for(1, MIB);
    check_usable(block_for(2, MIB), 1);
    const struct region *stripe = &pool.regions[1];
    REQUIRE(stripe->is_stripe);
    CHECK_GT(stripe->base, pool.regions[0].base + pool.regions[0].size);
    CHECK_NULL(region_pool_find(&pool, stripe->base - 1));
    CHECK_LE(stripe->base + stripe->size, pool.range.base + pool.range.size);
    region_pool_use_guards(false);
    close_and_end();
}

/* ---- used up ------------------------------------------------------------- */

static void test_a_used_up_stripe_is_left(void)
{
    begin_with(2);
    open_pool(256 * MIB);
    hold(16 * MIB);
    (void)block_for(1, MIB);
    const size_t size = pool.stripes.size;
    char *first = block_for(2, size - MIB);
    CHECK_EQ(index_of(first), 1);
    char *second = block_for(2, 2 * MIB);
    CHECK_EQ(index_of(second), 0);
    check_usable(second, 2);
    /* What is left is used. */
    CHECK_EQ(index_of(block_for(2, MIB)), 1);
    CHECK_EQ(index_of(block_for(1, MIB)), 0);
    close_and_end();
}

static void test_larger_than_a_stripe(void)
{
    begin_with(2);
    open_pool(BUDGET);
    hold(16 * MIB);
    (void)block_for(1, MIB);
    CHECK_EQ(index_of(block_for(2, MIB)), 1);
    char *large = block_for(2, pool.stripes.size + MIB);
    CHECK_EQ(index_of(large), 0);
    check_usable(large + pool.stripes.size, 3);
    bool commit = false, zeroed = false;
    char *aligned = region_pool_alloc_for(&pool, 2, MIB, GIB, &commit, &zeroed);
    REQUIRE_NOT_NULL(aligned);
    CHECK_EQ((uintptr_t)aligned % GIB, 0);
    check_usable(aligned, 4);
    close_and_end();
}

static void test_growth_goes_on_behind(void)
{
    begin_with(2);
    open_pool(256 * MIB);
    hold(16 * MIB);
    (void)block_for(1, MIB);
    (void)block_for(2, MIB);
    const size_t first = pool.regions[0].size;
    (void)block_for(1, first - 64 * MIB);
    char *further = block_for(1, first / 2);
    CHECK_EQ(index_of(further), 2);
    CHECK(!region_range_contains(&pool, further));
    CHECK_EQ(pool.newest, 2);
    /* libpmem maps a file as a whole. */
    if (!region_pool_is_pmem(&pool))
        CHECK_EQ(pool.regions[2].fd, pool.regions[0].fd);
    check_usable(further, 5);
    CHECK_EQ(index_of(block_for(2, MIB)), 1);
    CHECK_EQ(address_table_find(further), &owner);
    close_and_end();
}

/* ---- the budget ---------------------------------------------------------- */

static void test_the_budget_is_the_pools(void)
{
    begin_with(2);
    open_pool(128 * MIB);
    hold(64 * MIB);
    char *one = block_for(1, 64 * MIB);
    char *other = block_for(2, 64 * MIB);
    CHECK_NE(index_of(one), index_of(other));
    CHECK_EQ(region_pool_commit(&pool, one, 32 * MIB), 0);
    CHECK_EQ(region_pool_commit(&pool, other, 32 * MIB), 0);
    CHECK_EQ(region_pool_commit(&pool, other + 32 * MIB, page()), -ENOMEM);
    CHECK_EQ(region_pool_commit(&pool, one + 32 * MIB, page()), -ENOMEM);
    CHECK_EQ(region_pool_decommit(&pool, one, 32 * MIB), 0);
    CHECK_EQ(region_pool_commit(&pool, other + 32 * MIB, 32 * MIB), 0);
    CHECK(blocks_match_charge());
    close_and_end();
}

/* What one stripe owes is paid when another one lacks space. */
static void test_what_a_stripe_owes_is_paid(void)
{
    begin_with(2);
    open_pool(128 * MIB);
    hold(64 * MIB);
    char *one = block_for(1, 64 * MIB);
    char *other = block_for(2, 64 * MIB);
    CHECK_EQ(region_pool_commit(&pool, one, 64 * MIB), 0);
    CHECK_EQ(region_pool_decommit_some(&pool, one, 64 * MIB, 0), 0);
    CHECK(region_pool_owes(&pool));
    CHECK_EQ(region_pool_commit(&pool, other, 64 * MIB), 0);
    CHECK(blocks_match_charge());
    close_and_end();
}

/* ---- failures ------------------------------------------------------------ */

static int failing_errno;
static unsigned failures;

static int failing_openat(int dir, const char *name, int flags, mode_t mode)
{
    (void)dir, (void)name, (void)flags, (void)mode;
    failures++;
    errno = failing_errno;
    return -1;
}

static void test_without_descriptors_there_are_fewer(void)
{
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOSPC, EACCES};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        begin_with(4);
        open_pool(BUDGET);
        hold(16 * MIB);
        failing_errno = errors[i];
        failures = 0;
        sys.openat = failing_openat;
        for (unsigned arena = 1; arena < 9; arena++)
            check_usable(block_for(arena, MIB), arena);
        CHECK_EQ(pool.stripes.count, 0);
        CHECK_EQ(failures, 1); /* and not again so soon */
        sys = real;
        hold(32 * MIB);
        (void)block_for(1, MIB);
        CHECK_EQ(pool.stripes.count, 1);
        close_and_end();
    }
}

static void *failing_mmap(void *addr, size_t size, int prot, int flags, int fd,
                          off_t offset)
{
    if (fd >= 0 && region_range_contains(&pool, addr)) {
        failures++;
        errno = failing_errno;
        return MAP_FAILED;
    }
    return real.mmap(addr, size, prot, flags, fd, offset);
}

static void test_what_cannot_be_mapped(void)
{
    begin_with(4);
    open_pool(BUDGET);
    hold(16 * MIB);
    failing_errno = ENOMEM;
    failures = 0;
    sys.mmap = failing_mmap;
    for (unsigned arena = 1; arena < 5; arena++)
        check_usable(block_for(arena, MIB), arena);
    CHECK_EQ(pool.stripes.count, 0);
    CHECK_EQ(failures, 1);
    sys = real;
    close_and_end();
}

static size_t most_reserved;

static void *scarce_mmap(void *addr, size_t size, int prot, int flags, int fd,
                         off_t offset)
{
    if (size > most_reserved) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return real.mmap(addr, size, prot, flags, fd, offset);
}

static void test_without_addresses_there_are_none(void)
{
    begin_with(4);
    most_reserved = 64 * GIB;
    sys.mmap = scarce_mmap;
    open_pool(BUDGET);
    sys = real;
    /* libpmem asks for the addresses itself. */
    if (!region_pool_is_pmem(&pool)) {
        CHECK_EQ(pool.stripes.planned, 0);
        CHECK_EQ(pool.range.size, pool.regions[0].size);
        hold(16 * MIB);
        for (unsigned arena = 1; arena < 5; arena++)
            CHECK_EQ(index_of(block_for(arena, MIB)), 0);
    }
    close_and_end();
}

/* ---- what has one file --------------------------------------------------- */

static void test_the_callers_file_has_no_stripes(void)
{
    begin_with(4);
    int fd = make_empty_file();
    REQUIRE_EQ(region_pool_open_file(&pool, fd, BUDGET, &owner), 0);
    CHECK_EQ(pool.stripes.planned, 0);
    hold(16 * MIB);
    for (unsigned arena = 1; arena < 5; arena++)
        CHECK_EQ(index_of(block_for(arena, MIB)), 0);
    region_pool_close(&pool);
    close(fd);
    end();
}

static void test_memory_has_no_stripes(void)
{
    begin_with(4);
    REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
    hold(16 * MIB);
    for (unsigned arena = 1; arena < 5; arena++)
        CHECK_EQ(index_of(block_for(arena, MIB)), 0);
    close_and_end();
}

/* ---- no common lock ------------------------------------------------------ */

/* Commits in one stripe go on while another one's fallocate() does not come
 * back. */
static pthread_mutex_t stuck = PTHREAD_MUTEX_INITIALIZER;
static int stuck_fd = -1;
static atomic_bool is_stuck;

static int fallocate_of_stuck(int fd, int mode, off_t offset, off_t length)
{
    if (fd == stuck_fd) {
        atomic_store(&is_stuck, true);
        pthread_mutex_lock(&stuck);
        pthread_mutex_unlock(&stuck);
    }
    return real.fallocate(fd, mode, offset, length);
}

static void *commit_in_stuck(void *block)
{
    return region_pool_commit(&pool, block, MIB) == 0 ? block : NULL;
}

static void test_stripes_do_not_wait_for_each_other(void)
{
    begin_with(2);
    open_pool(BUDGET);
    hold(16 * MIB);
    char *one = block_for(1, 8 * MIB), *other = block_for(2, 8 * MIB);
    REQUIRE_NE(index_of(one), index_of(other));
    REQUIRE_EQ(region_pool_commit(&pool, other + 4 * MIB, MIB), 0);
    stuck_fd = pool.regions[index_of(one)].fd;
    atomic_store(&is_stuck, false);
    pthread_mutex_lock(&stuck);
    sys.fallocate = fallocate_of_stuck;
    pthread_t thread;
    REQUIRE_EQ(pthread_create(&thread, NULL, commit_in_stuck, one), 0);
    while (!atomic_load(&is_stuck))
        sched_yield();
    CHECK_EQ(region_pool_commit(&pool, other, MIB), 0);
    CHECK_EQ(region_pool_decommit(&pool, other + 4 * MIB, MIB), 0);
    (void)block_for(2, MIB);
    pthread_mutex_unlock(&stuck);
    void *result;
    pthread_join(thread, &result);
    CHECK_EQ(result, one);
    stuck_fd = -1;
    close_and_end();
}

/* ---- giving back by several threads -------------------------------------- */

#define HELD_LARGE (320 * MIB)

static unsigned threads_made;
static int thread_error;
static atomic_uint signals_open;
static void *(*_Atomic start_of_thread)(void *);

static void *start_and_look(void *argument)
{
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (!sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGUSR1))
        atomic_fetch_add(&signals_open, 1);
    void *(*start)(void *) = atomic_load(&start_of_thread);
    return start(argument);
}

static int counting_pthread_create(pthread_t *thread,
                                   const pthread_attr_t *attributes,
                                   void *(*start)(void *), void *argument)
{
    if (thread_error != 0)
        return thread_error;
    threads_made++;
    atomic_store(&start_of_thread, start);
    return real.pthread_create(thread, attributes, start_and_look, argument);
}

/* A pool with 3 files that holds so much. */
static void fill_large_pool(char *blocks[3])
{
    begin_with(3);
    open_pool(BUDGET);
    hold(16 * MIB);
    for (unsigned arena = 1; arena < 4; arena++) {
        blocks[arena - 1] = block_for(arena, HELD_LARGE / 3 & ~(MIB - 1));
        REQUIRE_EQ(region_pool_commit(&pool, blocks[arena - 1],
                                      HELD_LARGE / 3 & ~(MIB - 1)),
                   0);
    }
    REQUIRE_EQ(pool.stripes.count, 2);
    REQUIRE(region_pool_is_worth_threads(&pool));
    threads_made = 0;
    atomic_store(&signals_open, 0);
    sys.pthread_create = counting_pthread_create;
}

static void owe_all(char *blocks[3])
{
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(region_pool_decommit_some(&pool, blocks[i],
                                           HELD_LARGE / 3 & ~(MIB - 1), 0),
                 0);
    CHECK(region_pool_owes(&pool));
}

static void test_threads_pay_what_is_owed(void)
{
    static const int errors[] = {0, EAGAIN, EPERM};
    if (!test_has_space(400 * MIB))
        return;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char *blocks[3];
        fill_large_pool(blocks);
        owe_all(blocks);
        thread_error = errors[i];
        region_pool_pay_in_parallel(&pool);
        CHECK_EQ(threads_made, (errors[i] == 0 ? 2 : 0));
        CHECK_EQ(atomic_load(&signals_open), 0);
        CHECK(!region_pool_owes(&pool));
        CHECK_LE(pool_file_bytes(), 20 * MIB);
        CHECK(blocks_match_charge());
        thread_error = 0;
        close_and_end();
    }
}

static void test_threads_close_the_files(void)
{
    static const int errors[] = {0, EAGAIN};
    if (!test_has_space(400 * MIB))
        return;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char *blocks[3];
        fill_large_pool(blocks);
        thread_error = errors[i];
        region_pool_close(&pool);
        CHECK_EQ(threads_made, (errors[i] == 0 ? 4 : 0));
        CHECK_EQ(atomic_load(&signals_open), 0);
        thread_error = 0;
        end();
    }
}

static void test_a_small_pool_needs_no_threads(void)
{
    begin_with(3);
    open_pool(BUDGET);
    hold(16 * MIB);
    for (unsigned arena = 1; arena < 4; arena++)
        check_usable(block_for(arena, MIB), arena);
    threads_made = 0;
    sys.pthread_create = counting_pthread_create;
    region_pool_pay_in_parallel(&pool);
    region_pool_close(&pool);
    CHECK_EQ(threads_made, 0);
    end();
}

/* ---- places -------------------------------------------------------------- */

static int second_node, thread_node;

static int fake_get_node(unsigned *node)
{
    *node = (unsigned)thread_node;
    return 0;
}

static void open_two_places(void)
{
    const char *dirs[] = {test_dir(), test_path("second")};
    mkdir(dirs[1], 0700);
    REQUIRE_EQ(region_pool_open_places(&pool, dirs, 2, BUDGET, &owner), 0);
    CHECK_EQ(atomic_load(&pool.count), 2);
    CHECK_EQ(pool.regions[0].place, &pool.place);
    CHECK_EQ(pool.regions[1].place, pool.place.next);
}

static void close_two_places(void)
{
    close_and_end();
    rmdir(test_path("second"));
}

static void test_each_place_has_a_region(void)
{
    begin_with(1);
    open_two_places();
    CHECK_EQ(pool.place.path[0], '/');
    CHECK_NE(strcmp(pool.place.path, pool.place.next->path), 0);
    CHECK_EQ(index_of(block_for(1, MIB)), 0);
    CHECK_EQ(index_of(block_for(2, MIB)), 1);
    CHECK_EQ(index_of(block_for(3, MIB)), 0);
    close_two_places();
}

static void test_stripes_lie_in_the_places_in_turn(void)
{
    begin_with(6);
    open_two_places();
    hold(64 * MIB);
    for (unsigned arena = 1; arena < 9; arena++)
        (void)block_for(arena, MIB);
    unsigned in_first = 0;
    REQUIRE_EQ(atomic_load(&pool.count), 6);
    for (unsigned i = 0; i < 6; i++)
        in_first += pool.regions[i].place == &pool.place;
    CHECK_EQ(in_first, 3);
    close_two_places();
}

static void test_a_thread_uses_its_nodes_place(void)
{
    begin_with(2);
    open_two_places();
    pool.place.node = 0;
    second_node = pool.place.next->node = 1;
    sys.get_node = fake_get_node;
    thread_node = second_node;
    for (unsigned arena = 1; arena < 4; arena++)
        CHECK_EQ(index_of(block_for(arena, MIB)), 1);
    CHECK(pool_stripes_suit(&pool, 1));
    thread_node = 0;
    CHECK(!pool_stripes_suit(&pool, 1));
    for (unsigned arena = 4; arena < 7; arena++)
        CHECK_EQ(index_of(block_for(arena, MIB)), 0);
    CHECK(pool_stripes_suit(&pool, 4));
    /* Nowhere is near. */
    thread_node = 7;
    CHECK(pool_stripes_suit(&pool, 1) && pool_stripes_suit(&pool, 4));
    close_two_places();
}

/* Nothing more fits into the file system of a region. */
static int full_fd = -1;

static int full_fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (fd == full_fd && (mode & FALLOC_FL_PUNCH_HOLE) == 0) {
        errno = ENOSPC;
        return -1;
    }
    return real.fallocate(fd, mode, offset, length);
}

static int full_madvise(void *addr, size_t length, int advice)
{
    const struct region *region = region_pool_find(&pool, addr);
    if (advice == MADV_POPULATE_WRITE && region != NULL &&
        region->fd == full_fd) {
        errno = EFAULT;
        return -1;
    }
    return real.madvise(addr, length, advice);
}

/* Opens two places; a block lies in the first one, which is full. */
static void open_two_places_first_full(void)
{
    begin_with(2);
    open_two_places();
    char *one = block_for(1, MIB);
    REQUIRE_EQ(index_of(one), 0);
    full_fd = pool.regions[0].fd;
    sys.fallocate = full_fallocate;
    sys.madvise = full_madvise;
    CHECK_EQ(region_pool_commit(&pool, one, page()), -ENOSPC);
}

static void test_a_full_place_comes_last(void)
{
    open_two_places_first_full();
    CHECK(!region_pool_lacks_space(&pool));
    CHECK(!pool_stripes_suit(&pool, 1));
    /* A block that is to be committed, and those to come. */
    bool commit = true, zeroed = false;
    char *committed =
        region_pool_alloc_for(&pool, 1, MIB, page(), &commit, &zeroed);
    REQUIRE_NOT_NULL(committed);
    CHECK_EQ(index_of(committed), 1);
    CHECK_EQ(index_of(block_for(1, MIB)), 1);
    CHECK_EQ(index_of(block_for(9, MIB)), 1);
    CHECK(!pool_stripes_suit(&pool, 1));
    CHECK(pool_stripes_suit(&pool, 9));
    /* The other one is full as well. */
    char *other = block_for(1, MIB);
    full_fd = pool.regions[1].fd;
    CHECK_EQ(region_pool_commit(&pool, other, page()), -ENOSPC);
    CHECK(region_pool_lacks_space(&pool));
    /* But the first is no more. */
    commit = true;
    committed = region_pool_alloc_for(&pool, 1, MIB, page(), &commit, &zeroed);
    REQUIRE_NOT_NULL(committed);
    CHECK_EQ(index_of(committed), 0);
    CHECK(!region_pool_lacks_space(&pool));
    full_fd = -1;
    close_two_places();
}

/* A used up budget is no reason to grow, whichever place is full. */
static void test_no_growth_for_want_of_budget(void)
{
    open_two_places_first_full();
    atomic_fetch_add(&pool.charged, BUDGET);
    for (unsigned i = 0; i < 4; i++) {
        bool commit = true, zeroed = false;
        CHECK_NULL(
            region_pool_alloc_for(&pool, 1, MIB, page(), &commit, &zeroed));
    }
    CHECK_EQ(atomic_load(&pool.count), 2);
    atomic_fetch_sub(&pool.charged, BUDGET);
    full_fd = -1;
    close_two_places();
}

static void test_a_place_that_cannot_be_used(void)
{
    const char *dirs[] = {test_dir(), test_path("missing")};
    begin_with(2);
    CHECK_EQ(region_pool_open_places(&pool, dirs, 2, BUDGET, &owner), -ENOENT);
    end();
    begin_with(2);
    dirs[1] = "/proc/self";
    CHECK_LT(region_pool_open_places(&pool, dirs, 2, BUDGET, &owner), 0);
    end();
}

/* No stripe is made there, but files may be when the pool grows. */
static void test_places_are_checked_without_addresses(void)
{
    const char *dirs[] = {test_dir(), "/proc/self"};
    begin_with(2);
    most_reserved = 64 * GIB;
    sys.mmap = scarce_mmap;
    CHECK_LT(region_pool_open_places(&pool, dirs, 2, BUDGET, &owner), 0);
    dirs[1] = dirs[0];
    REQUIRE_EQ(region_pool_open_places(&pool, dirs, 2, BUDGET, &owner), 0);
    close_and_end();
}

static const struct test_case tests[] = {
    {"a small pool has one file", test_a_small_pool_has_one_file},
    {"further arenas get stripes", test_further_arenas_get_stripes},
    {"one more for each four MiB", test_one_more_for_each_four_mib},
    {"who shares a region moves", test_who_shares_a_region_moves},
    {"limits", test_limits},
    {"a quarter of the descriptors", test_a_quarter_of_the_descriptors},
    {"one range, one array of tags", test_one_range_one_array_of_tags},
    {"addresses without a stripe are nobody's",
     test_addresses_without_a_stripe_are_nobodys},
    {"guard pages", test_guard_pages},
    {"a used up stripe is left", test_a_used_up_stripe_is_left},
    {"larger than a stripe", test_larger_than_a_stripe},
    {"growth goes on behind", test_growth_goes_on_behind},
    {"the budget is the pool's", test_the_budget_is_the_pools},
    {"what a stripe owes is paid", test_what_a_stripe_owes_is_paid},
    {"without descriptors there are fewer",
     test_without_descriptors_there_are_fewer},
    {"what cannot be mapped", test_what_cannot_be_mapped},
    {"without addresses there are none", test_without_addresses_there_are_none},
    {"the caller's file has no stripes", test_the_callers_file_has_no_stripes},
    {"memory has no stripes", test_memory_has_no_stripes},
    {"stripes do not wait for each other",
     test_stripes_do_not_wait_for_each_other},
    {"threads pay what is owed", test_threads_pay_what_is_owed},
    {"threads close the files", test_threads_close_the_files},
    {"a small pool needs no threads", test_a_small_pool_needs_no_threads},
    {"each place has a region", test_each_place_has_a_region},
    {"stripes lie in the places in turn",
     test_stripes_lie_in_the_places_in_turn},
    {"a thread uses its node's place", test_a_thread_uses_its_nodes_place},
    {"a full place comes last", test_a_full_place_comes_last},
    {"no growth for want of budget", test_no_growth_for_want_of_budget},
    {"a place that cannot be used", test_a_place_that_cannot_be_used},
    {"places are checked without addresses",
     test_places_are_checked_without_addresses},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("pool stripes", tests, argc, argv);
}
