/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File space that cannot be given back when it should be: it stays charged,
 * belongs to no block, and is given back later. With PMEM_IS_PMEM_FORCE=1 (the
 * test's second run) file space is taken in grains.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

#define BLOCK (16 * MIB)
#define PART (2 * MIB) /* a grain, or many */
#define PARTS (BLOCK / PART)

static int owner;
static struct memkind_region_pool pool;
static char *block;

/* ---- calls that fail for a while --------------------------------------- */

static struct sys_calls real;
static atomic_int failure; /* 0: none */
static atomic_uint tries;
static size_t stuck; /* place in the block that cannot be given back; or 0 */
static size_t stuck_parts; /* that many first parts have one, but each third */

static bool is_in(const char *at, size_t size, size_t place)
{
    return at <= block + place && block + place < at + size;
}

static bool is_stuck(const char *at, size_t size)
{
    for (size_t part = 0; part < stuck_parts; part++)
        if (part % 3 != 0 && is_in(at, size, part * PART + PART / 2))
            return true;
    return stuck != 0 && is_in(at, size, stuck);
}

static int failing_madvise(void *addr, size_t size, int advice)
{
    if (advice == MADV_REMOVE || advice == MADV_DONTNEED)
        atomic_fetch_add(&tries, 1);
    const int error = is_stuck(addr, size) ? EBUSY : atomic_load(&failure);
    if (error == 0)
        return real.madvise(addr, size, advice);
    errno = error;
    return -1;
}

static int failing_punch(int fd, int mode, off_t offset, off_t len)
{
    /* Read once: other threads change it meanwhile. */
    const bool is_hole = is_stuck(pool.regions[0].base + offset, (size_t)len);
    const int error = is_hole ? EBUSY : atomic_load(&failure);
    if (error == 0 || (mode & FALLOC_FL_PUNCH_HOLE) == 0)
        return real.fallocate(fd, mode, offset, len);
    errno = error;
    return -1;
}

static void begin_with_budget(bool of_files, size_t budget)
{
    bool commit = false, zeroed = false;
    int result = of_files
                     ? region_pool_open_files(&pool, test_dir(), budget, &owner)
                     : region_pool_open_memory(&pool, &owner);
    REQUIRE_EQ(result, 0);
    real = sys;
    sys.madvise = failing_madvise;
    sys.fallocate = failing_punch;
    block = region_pool_alloc(&pool, 2 * budget, PART, &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
}

static void begin(bool of_files)
{
    begin_with_budget(of_files, BLOCK);
}

static void end(void)
{
    atomic_store(&failure, 0);
    stuck = stuck_parts = 0;
    sys = real;
    region_pool_close(&pool);
}

static void commit_and_fill(size_t part)
{
    REQUIRE_EQ(region_pool_commit(&pool, block + part * PART, PART), 0);
    test_fill(block + part * PART, PART, (unsigned)part + 1);
}

static void decommit(size_t part)
{
    CHECK_EQ(region_pool_decommit(&pool, block + part * PART, PART), 0);
}

static bool holds(size_t charged)
{
    return region_pool_charged(&pool) == charged &&
           (pool.backing == REGION_MEMORY ||
            (file_bytes(pool.regions[0].fd) >= charged &&
             file_bytes(pool.regions[0].fd) <= charged + MIB));
}

static const int failures[] = {EIO, ENOSPC, ENOMEM, EPERM, EBUSY, EINVAL};
#define FAILURES (sizeof failures / sizeof failures[0])

/* ---- what is tried again, and when ------------------------------------- */

static void owe_some(size_t count)
{
    for (size_t i = 0; i < count; i++)
        commit_and_fill(i);
    for (size_t i = 0; i < count; i++)
        decommit(i);
    CHECK(holds(count * PART));
}

static void test_paid_with_the_next_decommit(void)
{
    for (int of_files = 0; of_files < 2; of_files++)
        for (size_t i = 0; i < FAILURES; i++) {
            begin(of_files);
            atomic_store(&failure, failures[i]);
            owe_some(3);
            commit_and_fill(4);
            atomic_store(&failure, 0);
            decommit(4);
            CHECK(holds(0));
            end();
        }
}

static void test_paid_when_asked(void)
{
    begin(true);
    atomic_store(&failure, EIO);
    owe_some(3);
    region_pool_pay(&pool);
    CHECK(holds(3 * PART));
    atomic_store(&failure, 0);
    region_pool_pay(&pool);
    CHECK(holds(0));
    /* Once is enough. */
    atomic_store(&tries, 0);
    region_pool_pay(&pool);
    CHECK_EQ(atomic_load(&tries), 0);
    end();
}

static void test_paid_when_the_budget_is_used_up(void)
{
    begin(true);
    atomic_store(&failure, EIO);
    owe_some(PARTS);
    CHECK_EQ(region_pool_commit(&pool, block + BLOCK, PART), -ENOMEM);
    CHECK(holds(BLOCK));
    atomic_store(&failure, 0);
    commit_and_fill(PARTS);
    CHECK(holds(BLOCK)); /* as much has been paid as was needed */
    CHECK(test_check(block + BLOCK, PART, PARTS + 1));
    CHECK_EQ(region_pool_commit(&pool, block + BLOCK + PART, BLOCK - PART), 0);
    CHECK(holds(BLOCK));
    CHECK(!region_pool_owes(&pool));
    CHECK_EQ(region_pool_decommit(&pool, block + BLOCK + PART, BLOCK - PART),
             0);
    CHECK(holds(PART));
    CHECK(test_check(block + BLOCK, PART, PARTS + 1));
    end();
}

/* ---- what is put off on purpose ---------------------------------------- */

/* Shows that holes can be punched: no less than a part is given at once before
 * that is known. */
static void punch_once(void)
{
    commit_and_fill(0);
    decommit(0);
    CHECK(holds(0));
}

static void put_off(size_t count)
{
    for (size_t i = 0; i < count; i++)
        commit_and_fill(i);
    atomic_store(&tries, 0);
    CHECK_EQ(region_pool_decommit_some(&pool, block, count * PART, 0), 0);
    CHECK_EQ(atomic_load(&tries), 0);
    CHECK(region_pool_owes(&pool));
    CHECK(holds(count * PART));
}

static void test_put_off_and_paid_bit_by_bit(void)
{
    for (int of_files = 0; of_files < 2; of_files++) {
        begin(of_files);
        punch_once();
        put_off(PARTS);
        size_t paid = 0;
        for (size_t i = 0; i < PARTS; i++) {
            CHECK_EQ(region_pool_pay_some(&pool, PART), PART);
            paid += PART;
            CHECK(holds(BLOCK - paid));
        }
        CHECK_EQ(region_pool_pay_some(&pool, PART), 0);
        CHECK(!region_pool_owes(&pool));
        end();
    }
}

static void test_a_part_at_once(void)
{
    begin(true);
    punch_once();
    for (size_t i = 0; i < 4; i++)
        commit_and_fill(i);
    CHECK_EQ(region_pool_decommit_some(&pool, block, 4 * PART, PART), 0);
    CHECK(holds(3 * PART));
    region_pool_pay(&pool);
    CHECK(holds(0));
    end();
}

/* What goes back together. */
static size_t unit(void)
{
    return pool.grain > region_page_size() ? pool.grain : region_page_size();
}

/* All around a page, or a grain, that cannot be given back is. */
static void test_around_a_page_that_stays(void)
{
    begin(true);
    punch_once();
    put_off(PARTS);
    stuck = 5 * PART + 12345;
    region_pool_pay(&pool);
    CHECK(holds(unit()));
    CHECK_EQ(region_pool_pay_some(&pool, BLOCK), 0);
    stuck = 0;
    region_pool_pay(&pool);
    CHECK(holds(0));
    end();
}

/* However many there are: a call goes on where the last one has ended. */
static void test_around_many_pages_that_stay(void)
{
    enum { COUNT = 24 };
    begin_with_budget(true, COUNT * PART);
    punch_once();
    put_off(COUNT);
    stuck_parts = COUNT;
    region_pool_pay(&pool);
    CHECK(holds(COUNT * 2 / 3 * unit()));
    CHECK(region_pool_owes(&pool));
    stuck_parts = 0;
    region_pool_pay(&pool);
    CHECK(holds(0));
    CHECK(!region_pool_owes(&pool));
    end();
}

/* What is owed and cannot be given back keeps no commit from having the rest:
 * a page of a part is committed, and the grain has been split. */
static void test_a_split_grain_that_stays(void)
{
    begin(true);
    if (pool.grain < PART) {
        end();
        return;
    }
    const size_t page = region_page_size();
    punch_once();
    /* No room for a whole grain more. */
    REQUIRE_EQ(region_pool_commit(&pool, block, BLOCK - 2 * PART), 0);
    for (size_t part = PARTS - 2; part < PARTS + 2; part++)
        REQUIRE_EQ(region_pool_commit(&pool, block + part * PART, 4 * page), 0);
    CHECK_LE(region_pool_charged(&pool), BLOCK);
    /* Three of the four pages are idle, but cannot be given back. */
    atomic_store(&failure, EIO);
    for (size_t part = PARTS - 2; part < PARTS + 2; part++)
        CHECK_EQ(
            region_pool_decommit(&pool, block + part * PART + page, 3 * page),
            0);
    CHECK_EQ(region_pool_decommit_some(&pool, block, BLOCK - 2 * PART, 0), 0);
    atomic_store(&failure, 0);
    stuck = page; /* of the first grain */
    region_pool_pay(&pool);
    CHECK_LE(region_pool_charged(&pool), 3 * PART);
    stuck = (PARTS - 2) * PART + 2 * page;
    region_pool_pay(&pool);
    CHECK_LE(region_pool_charged(&pool), 2 * PART);
    stuck = 0;
    region_pool_pay(&pool);
    CHECK(!region_pool_owes(&pool));
    end();
}

/* A heap that was refused something tries again after that (exhaustion.h). */
static void test_what_is_paid_counts_as_given_back(void)
{
    begin(true);
    punch_once();
    put_off(2);
    const unsigned before = atomic_load(&pool.decommits);
    atomic_store(&failure, EIO);
    CHECK_EQ(region_pool_pay_some(&pool, PART), 0);
    CHECK_EQ(atomic_load(&pool.decommits), before);
    CHECK(region_pool_owes(&pool));
    atomic_store(&failure, 0);
    CHECK_EQ(region_pool_pay_some(&pool, PART), PART);
    CHECK_NE(atomic_load(&pool.decommits), before);
    CHECK(region_pool_owes(&pool));
    end();
}

/* If the budget has no room, as much is given back as is needed, not all. */
static void test_put_off_and_the_budget_is_used_up(void)
{
    begin(true);
    punch_once();
    put_off(PARTS);
    commit_and_fill(PARTS);
    CHECK(test_check(block + BLOCK, PART, PARTS + 1));
    CHECK(region_pool_owes(&pool));
    CHECK(holds(BLOCK));
    CHECK_EQ(region_pool_commit(&pool, block + BLOCK + PART, BLOCK), -ENOMEM);
    CHECK(holds(PART));
    end();
}

static void test_put_off_and_committed_anew(void)
{
    begin(true);
    punch_once();
    put_off(PARTS);
    CHECK_EQ(region_pool_commit(&pool, block + 2 * PART, 3 * PART), 0);
    CHECK(is_zero(block + 2 * PART, 3 * PART));
    CHECK(holds(BLOCK));
    test_fill(block + 2 * PART, 3 * PART, 9);
    region_pool_pay(&pool);
    CHECK(holds(3 * PART));
    CHECK(test_check(block + 2 * PART, 3 * PART, 9));
    end();
}

/* Whether holes can be punched is found out before anything is put off. */
static void test_nothing_is_put_off_that_never_goes_back(void)
{
    begin(true);
    for (size_t i = 0; i < 4; i++)
        commit_and_fill(i);
    atomic_store(&failure, EOPNOTSUPP);
    CHECK_EQ(region_pool_decommit_some(&pool, block, 4 * PART, 0), -EOPNOTSUPP);
    for (size_t i = 0; i < 4; i++)
        CHECK(test_check(block + i * PART, PART, (unsigned)i + 1));
    CHECK(holds(4 * PART));
    end();
}

/* ---- what is committed while it is owed -------------------------------- */

static void test_committed_anew_it_is_zero(void)
{
    for (int of_files = 0; of_files < 2; of_files++) {
        begin(of_files);
        atomic_store(&failure, EIO);
        owe_some(4);
        /* Half of it, and with some that is not owed. */
        CHECK_EQ(region_pool_commit(&pool, block + 2 * PART, 4 * PART), 0);
        CHECK(is_zero(block + 2 * PART, 4 * PART));
        CHECK(holds(6 * PART));
        test_fill(block + 2 * PART, 4 * PART, 9);
        atomic_store(&failure, 0);
        region_pool_pay(&pool);
        CHECK(holds(4 * PART));
        CHECK(test_check(block + 2 * PART, 4 * PART, 9));
        end();
    }
}

/* A commit that fails leaves all as it was. */
static void test_commit_that_fails(void)
{
    begin(true);
    atomic_store(&failure, EIO);
    owe_some(4);
    CHECK_EQ(region_pool_commit(&pool, block, BLOCK + PART), -ENOMEM);
    CHECK_GE(region_pool_charged(&pool), 4 * PART);
    CHECK_LE(region_pool_charged(&pool), BLOCK);
    atomic_store(&failure, 0);
    region_pool_pay(&pool);
    CHECK(holds(0));
    CHECK_EQ(region_pool_commit(&pool, block, BLOCK), 0);
    CHECK(is_zero(block, BLOCK));
    end();
}

static void *refuse_mmap(void *addr, size_t len, int prot, int flags, int fd,
                         off_t offset)
{
    (void)addr, (void)len, (void)prot, (void)flags, (void)fd, (void)offset;
    errno = ENOMEM;
    return MAP_FAILED;
}

/* If the range cannot be noted, it stays committed. */
static void test_nowhere_to_note_it(void)
{
    begin(true);
    if (pool.grain > region_page_size()) { /* tables are there */
        end();
        return;
    }
    commit_and_fill(0);
    atomic_store(&failure, EIO);
    sys.mmap = refuse_mmap;
    CHECK_EQ(region_pool_decommit(&pool, block, PART), -ENOMEM);
    CHECK(test_check(block, PART, 1));
    CHECK(holds(PART));
    sys.mmap = real.mmap;
    atomic_store(&failure, 0);
    decommit(0);
    CHECK(holds(0));
    end();
}

/* ---- regions of any size ------------------------------------------------- */

static int large_file_system(int fd, struct statvfs *st)
{
    int result = fstatvfs(fd, st);
    st->f_blocks = st->f_bfree = st->f_bavail =
        ((size_t)1 << 42) / st->f_frsize;
    return result;
}

/* Between pages that are owed nothing is even read: it would be SIGSEGV. */
static void test_no_walk_over_a_region(void)
{
    bool commit = false, zeroed = false;
    const size_t size = (size_t)1 << 41;
    real = sys;
    sys.fstatvfs = large_file_system;
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 2 * size, &owner), 0);
    char *far = region_pool_alloc(&pool, size, PART, &commit, &zeroed);
    if (far == NULL || region_pool_find(&pool, far) != &pool.regions[0]) {
        printf("skipped: no region of TiB ");
        end();
        return;
    }
    sys.madvise = failing_madvise;
    sys.fallocate = failing_punch;
    block = far;
    if (pool.grain > region_page_size()) { /* test_region_grains.c */
        end();
        return;
    }
    atomic_store(&failure, EIO);
    for (int i = 0; i < 2; i++) {
        far = block + (size_t)i * (size - PART);
        CHECK_EQ(region_pool_commit(&pool, far, region_page_size()), 0);
        CHECK_EQ(region_pool_decommit(&pool, far, region_page_size()), 0);
    }
    CHECK(holds(2 * region_page_size()));
    char *bits = (char *)pool.regions[0].owed.level[0];
    const size_t bytes =
        (size_t)(far - pool.regions[0].base) / region_page_size() / 8;
    const size_t margin = 2 * MIB;
    REQUIRE_EQ(mprotect(bits + margin, (bytes - 2 * margin) & ~(margin - 1),
                        PROT_NONE),
               0);
    region_pool_pay(&pool);
    CHECK(holds(2 * region_page_size()));
    CHECK_EQ(region_pool_commit(&pool, block + region_page_size(),
                                region_page_size()),
             0);
    atomic_store(&failure, 0);
    CHECK_EQ(region_pool_decommit(&pool, block + region_page_size(),
                                  region_page_size()),
             0);
    CHECK(holds(0));
    end();
}

/* ---- threads ----------------------------------------------------------- */

#define ROUNDS 300
static atomic_uint wrong;

static void *work(void *number)
{
    char *mine = block + (uintptr_t)number * 2 * PART;
    unsigned long long random = (uintptr_t)number + 1;
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = (1 + test_random(&random) % 64) * region_page_size();
        char *at = mine + test_random(&random) % 64 * region_page_size();
        if (region_pool_commit(&pool, at, size) != 0) {
            atomic_fetch_add(&wrong, 1);
            continue;
        }
        if (!is_zero(at, size))
            atomic_fetch_add(&wrong, 1);
        test_fill(at, size, (unsigned)i);
        atomic_store(&failure, i % 3 == 0 ? EIO : 0);
        if (!test_check(at, size, (unsigned)i) ||
            region_pool_decommit(&pool, at, size) != 0)
            atomic_fetch_add(&wrong, 1);
    }
    return NULL;
}

static void test_threads(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    begin(true);
    atomic_store(&wrong, 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&wrong), 0);
    atomic_store(&failure, 0);
    region_pool_pay(&pool);
    CHECK(holds(0));
    end();
}

static atomic_bool is_paying;

static void *pay_all_the_time(void *unused)
{
    while (atomic_load(&is_paying))
        (void)region_pool_pay_some(&pool, PART);
    return unused;
}

/* A range that has several runs of owed pages is committed while another thread
 * pays: each page is charged once. */
static void test_paid_while_committed_anew(void)
{
    pthread_t payer;
    begin(true);
    punch_once();
    atomic_store(&is_paying, true);
    REQUIRE_EQ(pthread_create(&payer, NULL, pay_all_the_time, NULL), 0);
    for (int i = 0; i < 30; i++) {
        for (size_t part = 0; part < 5; part += 2) {
            commit_and_fill(part);
            CHECK_EQ(
                region_pool_decommit_some(&pool, block + part * PART, PART, 0),
                0);
        }
        REQUIRE_EQ(region_pool_commit(&pool, block, 5 * PART), 0);
        CHECK(is_zero(block, 5 * PART));
        CHECK(holds(5 * PART));
        CHECK_EQ(region_pool_decommit(&pool, block, 5 * PART), 0);
        CHECK(holds(0));
    }
    atomic_store(&is_paying, false);
    pthread_join(payer, NULL);
    end();
}

static void test_nothing_leaks(void)
{
    struct test_resources before;
    test_paid_when_asked();
    layer_resources_take(&before);
    for (int i = 0; i < 5; i++)
        test_paid_when_asked();
    CHECK(nothing_leaked(&before));
}

static const struct test_case tests[] = {
    {"paid with the next decommit", test_paid_with_the_next_decommit},
    {"paid when asked", test_paid_when_asked},
    {"paid when the budget is used up", test_paid_when_the_budget_is_used_up},
    {"put off, and paid bit by bit", test_put_off_and_paid_bit_by_bit},
    {"a part at once", test_a_part_at_once},
    {"around a page that stays", test_around_a_page_that_stays},
    {"around many pages that stay", test_around_many_pages_that_stay},
    {"a split grain that stays", test_a_split_grain_that_stays},
    {"what is paid counts as given back",
     test_what_is_paid_counts_as_given_back},
    {"put off, and the budget is used up",
     test_put_off_and_the_budget_is_used_up},
    {"put off, and committed anew", test_put_off_and_committed_anew},
    {"nothing is put off that never goes back",
     test_nothing_is_put_off_that_never_goes_back},
    {"committed anew, it is zero", test_committed_anew_it_is_zero},
    {"a commit that fails", test_commit_that_fails},
    {"nowhere to note it", test_nowhere_to_note_it},
    {"no walk over a region", test_no_walk_over_a_region},
    {"threads", test_threads},
    {"paid while committed anew", test_paid_while_committed_anew},
    {"nothing leaks", test_nothing_leaks},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("region owed", tests, argc, argv);
}
