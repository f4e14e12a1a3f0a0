/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that are detached from their file: which are, when they are attached
 * again, and what happens if that cannot be. With PMEM_IS_PMEM_FORCE=1 (the
 * test's second run) file space is taken in grains.
 */
#include "region_detach.h"

#include <sys/wait.h>

#include "fork_mark.h"
#include "mapping_count.h"
#include "pool_detach.h"
#include "pool_test.h"
#include "test_child.h"

#define BLOCK (16 * MIB)
#define PART (2 * MIB)
#define PARTS (BLOCK / PART)

static struct sys_calls real;
static char *block;

static struct region *first(void)
{
    return &pool.regions[0];
}

static char *part(size_t i)
{
    return block + i * PART;
}

static void begin(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 0, &owner), 0);
    REQUIRE_EQ(fork_mark_probe(), 0);
    region_pool_set_fork_policy(&pool, REGION_FORK_SNAPSHOT);
    block = reserve(BLOCK);
    REQUIRE_EQ(region_pool_commit(&pool, block, BLOCK), 0);
    for (size_t i = 0; i < PARTS; i++)
        test_fill(part(i), PART, (unsigned)i);
    real = sys;
}

static void end(void)
{
    sys = real;
    region_pool_close(&pool);
}

static bool parts_are_right(void)
{
    for (size_t i = 0; i < PARTS; i++)
        if (!test_check(part(i), PART, (unsigned)i))
            return false;
    return true;
}

static int looks(void)
{
    NEED(!region_pool_is_lost(&pool));
    NEED(parts_are_right());
    return 0;
}

static int has_no_region(void)
{
    NEED(region_pool_is_lost(&pool));
    return 0;
}

static size_t offset_of(const char *at)
{
    return (size_t)(at - first()->base);
}

/* ---- detaching ---------------------------------------------------------- */

static void test_what_is_in_use_is_detached(void)
{
    begin();
    CHECK(!region_is_detached(first()));
    CHECK_EQ(region_detach_memory(first()), 0);
    CHECK_EQ(child_run(looks), 0);
    CHECK_EQ(atomic_load(&first()->detached_pages) * page(), first()->used);
    CHECK(region_detach_has(first(), offset_of(block), page()));
    CHECK(!region_detach_has(first(), first()->used, page()));
    test_fill(part(1), PART, 1);
    CHECK_EQ(region_detach_memory(first()), PART);
    CHECK_EQ(child_run(looks), 0);
    CHECK_EQ(region_pool_attach_all(&pool), 0);
    CHECK(!region_is_detached(first()));
    CHECK_EQ(region_detach_memory(first()), 0);
    CHECK(parts_are_right());
    end();
}

/* Before Linux 6.12, a private mapping that may not be made over another one,
 * since there may be no more private memory, has unmapped that already. */
static void *unmaps_and_refuses(void *addr, size_t len, int prot, int flags,
                                int fd, off_t offset)
{
    if ((flags & MAP_TYPE) == MAP_PRIVATE && (prot & PROT_WRITE) != 0 &&
        fd >= 0) {
        if ((flags & MAP_FIXED) != 0)
            real.munmap(addr, len);
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return real.mmap(addr, len, prot, flags, fd, offset);
}

static int opens_overcommit(const char *path, int flags, mode_t mode)
{
    if (strcmp(path, "/proc/sys/vm/overcommit_memory") == 0) {
        errno = ENOENT; /* so it is not known that memory does not count */
        return -1;
    }
    return real.open(path, flags, mode);
}

static void test_private_memory_is_refused(void)
{
    begin();
    sys.mmap = unmaps_and_refuses;
    sys.open = opens_overcommit;
    CHECK_EQ(child_run(has_no_region), 0);
    CHECK(parts_are_right());
    CHECK(!region_is_detached(first()));
    sys = real;
    CHECK_EQ(child_run(looks), 0);
    CHECK(parts_are_right());
    end();
}

static void *only_in_place(void *addr, size_t len, int prot, int flags, int fd,
                           off_t offset)
{
    if ((flags & MAP_TYPE) == MAP_PRIVATE && (flags & MAP_FIXED) == 0 &&
        fd >= 0) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return real.mmap(addr, len, prot, flags, fd, offset);
}

static ssize_t reads_always(int fd, void *buf, size_t count, off_t offset)
{
    static const char mode[] = "1\n";
    const ssize_t got = real.pread(fd, buf, count, offset);
    /* The one file that begins so, and is that short. */
    if (got == 2 && ((char *)buf)[1] == '\n')
        memcpy(buf, mode, 2);
    return got;
}

/* RLIMIT_AS, say; where memory does not count, there is another way. */
static void test_addresses_lack(void)
{
    begin();
    sys.mmap = only_in_place;
    sys.pread = reads_always;
    CHECK_EQ(child_run(looks), 0);
    CHECK(parts_are_right());
    CHECK_EQ(region_pool_attach_all(&pool), 0);
    CHECK(parts_are_right());
    end();
}

static void *no_remap(void *addr, size_t len, size_t new_len, int flags,
                      void *new_addr)
{
    (void)addr, (void)len, (void)new_len, (void)flags, (void)new_addr;
    errno = ENOMEM;
    return MAP_FAILED;
}

static void test_nothing_can_be_moved(void)
{
    struct test_resources before;
    begin();
    /* What the first fork makes for good. */
    CHECK_EQ(child_run(looks), 0);
    CHECK_EQ(region_pool_attach_all(&pool), 0);
    while (region_pool_unmap_old(&pool))
        ;
    layer_resources_take(&before);
    sys.mremap = no_remap;
    CHECK_EQ(child_run(has_no_region), 0);
    CHECK(parts_are_right());
    CHECK(!region_is_detached(first()));
    struct test_resources after;
    layer_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    CHECK_LE(after.mapped_kib, before.mapped_kib + 4096);
    end();
}

/* ---- ranges ------------------------------------------------------------- */

static void test_a_range_is_attached(void)
{
    begin();
    CHECK_EQ(child_run(looks), 0);
    const size_t all = atomic_load(&first()->detached_pages);
    const size_t pages = PART / page();
    /* Without a child: as soon as nothing is committed there. */
    CHECK_EQ(region_pool_decommit(&pool, part(2), PART), 0);
    CHECK_EQ(region_pool_commit(&pool, part(2), PART), 0);
    CHECK_EQ(all - atomic_load(&first()->detached_pages), pages);
    CHECK(!region_detach_has(first(), offset_of(part(2)), PART));
    CHECK(region_detach_has(first(), offset_of(part(2)), PART + 1));
    CHECK(is_zero(part(2), PART));
    CHECK_EQ(first()->attached_runs, 1);
    /* Beside it: one mapping more is not needed. */
    CHECK_EQ(region_pool_decommit(&pool, part(3), PART), 0);
    CHECK_EQ(region_pool_commit(&pool, part(3), PART), 0);
    CHECK_EQ(first()->attached_runs, 1);
    CHECK_EQ(region_pool_decommit(&pool, part(5), PART), 0);
    CHECK_EQ(region_pool_commit(&pool, part(5), PART), 0);
    CHECK_EQ(first()->attached_runs, 2);
    for (size_t i = 2; i <= 5; i++)
        test_fill(part(i), PART, (unsigned)i);
    CHECK_EQ(region_pool_attach_all(&pool), 0);
    CHECK_EQ(first()->attached_runs, 0);
    CHECK(parts_are_right());
    end();
}

static int waits_for_a_word(void *argument)
{
    char byte;
    const int *ends = argument;
    close(ends[1]);
    NEED(read(ends[0], &byte, 1) == 0);
    return looks();
}

/* As long as there is a child, nothing of what it has is punched or written. */
static void test_a_child_keeps_it(void)
{
    int ends[2];
    begin();
    REQUIRE_EQ(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0)
        _exit(waits_for_a_word(ends));
    const size_t space = pool_file_bytes();
    CHECK(region_detach_is_needed(first(), offset_of(block), BLOCK));
    CHECK_EQ(region_pool_attach_all(&pool), -EBUSY);
    for (size_t i = 0; i < PARTS; i++) {
        CHECK_EQ(region_pool_decommit(&pool, part(i), PART), 0);
        if (i % 2 == 0) {
            CHECK_EQ(region_pool_commit(&pool, part(i), PART), 0);
            CHECK(is_zero(part(i), PART));
            memset(part(i), 0x5a, PART);
        }
    }
    region_pool_pay(&pool);
    CHECK_GE(pool_file_bytes(), space);
    close(ends[0]);
    close(ends[1]);
    CHECK_EQ(child_wait(child), 0);
    CHECK(!region_detach_is_needed(first(), offset_of(block), BLOCK));
    region_pool_pay(&pool);
    CHECK_LE(pool_file_bytes(), space / 2 + BLOCKS_SLACK);
    CHECK_EQ(region_pool_attach_all(&pool), 0);
    for (size_t i = 0; i < PARTS; i += 2)
        CHECK_EQ((unsigned char)part(i)[PART - 1], 0x5a);
    end();
}

/* Drops what was stored; the file is as it was. */
static void test_what_was_stored_is_dropped(void)
{
    begin();
    CHECK_EQ(child_run(looks), 0);
    memset(part(4), 0x33, PART);
    CHECK_EQ(region_detach_memory(first()), PART);
    CHECK_EQ(region_detach_drop(first(), offset_of(part(4)), PART), 0);
    CHECK_EQ(region_detach_memory(first()), 0);
    CHECK(parts_are_right());
    end();
}

/* ---- the old mapping ---------------------------------------------------- */

static void test_the_old_mapping_goes_by_slices(void)
{
    begin();
    CHECK_EQ(child_run(looks), 0);
    CHECK_GE(atomic_load(&first()->old_size), BLOCK);
    const size_t size = atomic_load(&first()->old_size);
    CHECK(region_pool_unmap_old(&pool));
    CHECK_LT(atomic_load(&first()->old_size), size);
    while (region_pool_unmap_old(&pool))
        ;
    CHECK_EQ(atomic_load(&first()->old_size), 0);
    CHECK(parts_are_right());
    end();
}

static const struct test_case tests[] = {
    {"what is in use is detached", test_what_is_in_use_is_detached},
    {"private memory is refused", test_private_memory_is_refused},
    {"addresses lack", test_addresses_lack},
    {"nothing can be moved", test_nothing_can_be_moved},
    {"a range is attached", test_a_range_is_attached},
    {"a child keeps it", test_a_child_keeps_it},
    {"what was stored is dropped", test_what_was_stored_is_dropped},
    {"the old mapping goes by slices", test_the_old_mapping_goes_by_slices},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("pages detached by fork", tests, argc, argv);
}
