/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call that the region layer makes fails once: for each kind of
 * call and each errno the Nth one fails, for N from 1 until a workload comes
 * through without meeting the fault. After each the pool is as it said, and
 * once it is closed nothing is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/vfs.h>

#include "address_table.h"
#include "cpu_count.h"
#include "fault_calls.h"
#include "file_system.h"
#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"

/* ---- the workload ------------------------------------------------------ */

static int owner;
static struct memkind_region_pool pool;

enum backing { FILES, ONE_FILE, MEMORY, STRIPES, PLACES };

/* A grain at least, if there are grains. */
#define PART_OF_GRAINS (2 * MIB)
static size_t part_size = PART_OF_GRAINS;
static size_t budget = 32 * MIB;
#define BLOCK (3 * part_size)
static char second_dir[4096];

/* What has gone wrong beyond what the fault explains. */
static const char *complaint;

static void expect(bool right, const char *what)
{
    if (!right && complaint == NULL)
        complaint = what;
}

/* A call either does as it should or fails with the fault's errno. What was
 * once not implemented is not supported from then on. */
static bool explained(int result)
{
    if (result != 0)
        expect(fault_hit() &&
                   (result == -fault_last_error() ||
                    (fault_last_error() == EFAULT && result == -ENOSPC) ||
                    (fault_last_error() == ENOSYS && result == -EOPNOTSUPP)),
               "another error");
    return result == 0;
}

/* A call that failed because of the fault does better the second time. Some
 * refusals are for good. */
static bool repeated(int result)
{
    if (result != 0)
        expect(fault_last_error() == EOPNOTSUPP || fault_last_error() == ENOSYS,
               "fails again");
    return result == 0;
}

/* Some bytes of every page stand for all. */
#define SAMPLE 16

static void fill_part(char *part)
{
    for (size_t at = 0; at < part_size; at += 4096)
        test_fill(part + at, SAMPLE, (unsigned)(at / 4096) + 1);
}

static bool part_is_filled(const char *part)
{
    for (size_t at = 0; at < part_size; at += 4096)
        if (!test_check(part + at, SAMPLE, (unsigned)(at / 4096) + 1))
            return false;
    return true;
}

static bool part_is_zero(const char *part)
{
    for (size_t at = 0; at < part_size; at += 4096)
        if (!is_zero(part + at, SAMPLE))
            return false;
    return true;
}

static bool charged(size_t bytes)
{
    size_t held = 0;
    if (region_pool_charged(&pool) != bytes)
        return false;
    for (unsigned i = 0; i < atomic_load(&pool.count); i++)
        if (pool.regions[i].owns_file)
            held += file_bytes(pool.regions[i].fd);
    if (pool.backing == REGION_MEMORY)
        return true;
    return held >= bytes && held <= bytes + MIB / 4;
}

static void commit_part(char *block, size_t held)
{
    if (!explained(region_pool_commit(&pool, block, part_size))) {
        expect(charged(held), "charge after a commit that failed");
        if (!repeated(region_pool_commit(&pool, block, part_size)))
            return;
    }
    expect(charged(held + part_size), "charge after a commit");
    expect(part_is_zero(block), "committed memory is not zero");
    fill_part(block);
}

static void decommit_part(char *block, size_t held)
{
    if (!explained(region_pool_decommit(&pool, block, part_size))) {
        expect(charged(held), "charge after a decommit that failed");
        expect(part_is_filled(block), "a decommit that failed has lost");
        if (!repeated(region_pool_decommit(&pool, block, part_size)))
            return;
    }
    region_pool_pay(&pool); /* what the fault has kept */
    expect(charged(held - part_size), "charge after a decommit");
    commit_part(block, held - part_size);
}

/* Takes more than is left of the first region. */
static void grow_pool(size_t held)
{
    bool commit = true, zeroed = false;
    const size_t size = pool.regions[0].size - BLOCK;
    bool reserve = false;
    errno = 0;
    char *block = region_pool_alloc(&pool, size + part_size, part_size,
                                    &reserve, &zeroed);
    if (block == NULL) {
        explained(-errno);
        expect(charged(held), "charge after growth that failed");
        block = region_pool_alloc(&pool, size + part_size, part_size, &reserve,
                                  &zeroed);
        expect(block != NULL, "growth fails again");
    }
    if (block == NULL)
        return;
    expect(atomic_load(&pool.count) == 2, "number of regions");
    expect(region_pool_find(&pool, block) == &pool.regions[1], "region");
    expect(address_table_find(block) == &owner, "owner");
    errno = 0;
    block = region_pool_alloc(&pool, part_size, part_size, &commit, &zeroed);
    if (block == NULL) {
        explained(-errno);
        expect(charged(held), "charge after a block that failed");
        commit = true;
        block =
            region_pool_alloc(&pool, part_size, part_size, &commit, &zeroed);
        expect(block != NULL, "a block fails again");
    }
    if (block == NULL)
        return;
    expect(charged(held + part_size), "charge of a block");
    expect(zeroed && part_is_zero(block), "a block is not zero");
    fill_part(block);
    decommit_part(block, held + part_size);
}

static int open_pool(enum backing backing, int fd)
{
    switch (backing) {
    case PLACES:
        return region_pool_open_places(
            &pool, (const char *const[]){test_dir(), second_dir}, 2, budget,
            &owner);
    case STRIPES:
    case FILES:
        return region_pool_open_files(&pool, test_dir(), budget, &owner);
    case ONE_FILE:
        return region_pool_open_file(&pool, fd, budget, &owner);
    default:
        return region_pool_open_memory(&pool, &owner);
    }
}

/* A block of an arena, which an arena gets in spite of one failure, or at the
 * second attempt. */
static char *block_of_arena(unsigned arena)
{
    bool commit = false, zeroed = false;
    errno = 0;
    char *block = region_pool_alloc_for(&pool, arena, 4 * part_size, part_size,
                                        &commit, &zeroed);
    if (block == NULL) {
        explained(-errno);
        block = region_pool_alloc_for(&pool, arena, 4 * part_size, part_size,
                                      &commit, &zeroed);
    }
    expect(block != NULL && !commit, "block of an arena");
    return block;
}

static void commit_parts(char *block)
{
    for (unsigned i = 0; i < 3 && block != NULL; i++)
        commit_part(block + i * part_size, region_pool_charged(&pool));
}

/* Two arenas: there is a stripe for the second, if one can be made, when the
 * first has something. */
static void use_stripes(void)
{
    char *first = block_of_arena(1);
    commit_parts(first);
    (void)block_of_arena(1);
    char *second = block_of_arena(2);
    commit_parts(second);
    if (second != NULL) {
        expect(address_table_find(second) == &owner, "owner of a stripe");
        decommit_part(second, region_pool_charged(&pool));
        expect(part_is_filled(second + 2 * part_size), "contents of a stripe");
    }
    expect(first == NULL || part_is_filled(first + 2 * part_size), "contents");
    expect(fault_hit() || pool.stripes.count != 0, "no stripe");
}

static void run_stripes(enum backing backing, int fd)
{
    if (!explained(open_pool(backing, fd)))
        return;
    use_stripes();
    char *base = pool.regions[0].base;
    region_pool_close(&pool);
    expect(address_table_find(base) == NULL, "address table");
}

static void run_workload(enum backing backing, int fd)
{
    if (backing == STRIPES || backing == PLACES) {
        run_stripes(backing, fd);
        return;
    }
    if (!explained(open_pool(backing, fd)))
        return;
    bool commit = false, zeroed = false;
    errno = 0;
    char *block = region_pool_alloc(&pool, BLOCK, part_size, &commit, &zeroed);
    if (block == NULL) {
        explained(-errno);
        block = region_pool_alloc(&pool, BLOCK, part_size, &commit, &zeroed);
    }
    expect(block != NULL && !commit, "block");
    if (block != NULL) {
        commit_part(block, 0);
        commit_part(block + 2 * part_size, region_pool_charged(&pool));
        decommit_part(block, region_pool_charged(&pool));
        grow_pool(region_pool_charged(&pool));
        expect(part_is_filled(block + 2 * part_size), "contents");
    }
    char *base = pool.regions[0].base;
    region_pool_close(&pool);
    expect(address_table_find(base) == NULL, "address table");
}

/* ---- the walk ---------------------------------------------------------- */

static unsigned points;

static void run_once(enum backing backing, enum fault_call call, unsigned at,
                     int error)
{
    struct test_resources before;
    int fd = -1;
    if (backing == ONE_FILE)
        fd = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    layer_resources_take(&before);
    complaint = NULL;
    file_system_forget();
    fault_set(FAULT_BIT(call), at, false, error);
    run_workload(backing, fd);
    fault_lift();
    expect(nothing_leaked(&before), "a leak");
    if (fd >= 0) {
        expect(file_bytes(fd) <= 64 * KIB, "space left in the caller's file");
        close(fd);
    }
    if (complaint != NULL)
        fprintf(stderr, "%s %u fails with %s: %s\n", fault_call_name(call), at,
                strerror(error), complaint);
    CHECK_NULL(complaint);
}

static void walk(enum backing backing, enum fault_call call, const int *errors,
                 unsigned least)
{
    for (; *errors != 0; errors++) {
        unsigned at = 0;
        do {
            run_once(backing, call, ++at, *errors);
            points += fault_hit();
        } while (fault_hit() && at < 1000);
        /* That the workload makes such calls at all. */
        CHECK_GT(at, least);
        CHECK_LT(at, 1000);
        run_once(backing, FAULT_OPEN, 0, 0);
    }
}

/* Starts a test with a file system without faults, once gone through. */
static void begin(enum backing backing, struct fault_world world)
{
    points = 0;
    /* The table's nodes are mapped once, and kept. */
    CHECK_EQ(address_table_add(&owner, 1, &owner), 0);
    address_table_remove(&owner, 1);
    fault_install(world);
    run_once(backing, FAULT_OPEN, 0, 0);
}

static void end(void)
{
    fault_remove();
    printf("%u fault points ", points);
}

static const struct fault_world no_faults;
static const int file_errors[] = {EMFILE, ENFILE, EACCES, ENOSPC, EROFS, 0};
static const int space_errors[] = {ENOSPC, EDQUOT, EIO,        ENOMEM,
                                   EINTR,  ENOSYS, EOPNOTSUPP, 0};
static const int size_errors[] = {EFBIG, ENOSPC, EIO, EPERM, EINTR, 0};
static const int write_errors[] = {ENOSPC, EINTR, 0};
static const int interruption[] = {EINTR, 0};
static const int memory_errors[] = {ENOMEM, EAGAIN, EPERM, 0};
static const int protect_errors[] = {ENOMEM, EACCES, 0};
static const int one_file_error[] = {EMFILE, 0};
static const int one_memory_error[] = {ENOMEM, 0};
static const int stat_errors[] = {EIO, 0};
static const int map_errors[] = {ENOMEM, EAGAIN, ENOENT, EACCES, EINVAL, 0};

static void test_files(void)
{
    begin(FILES, no_faults);
    walk(FILES, FAULT_OPEN, file_errors, 2);
    walk(FILES, FAULT_FCHMOD, stat_errors, 1);
    walk(FILES, FAULT_MPROTECT, protect_errors, 4);
    walk(FILES, FAULT_FTRUNCATE, size_errors, 2);
    walk(FILES, FAULT_FALLOCATE, space_errors, 4);
    walk(FILES, FAULT_PUNCH, space_errors, 2);
    walk(FILES, FAULT_PMEM_MAP, map_errors, 1);
    walk(FILES, FAULT_MMAP, memory_errors, 6);
    end();
}

static void walk_stripes(enum backing backing, struct fault_world world)
{
    const size_t limit = budget;
    snprintf(second_dir, sizeof second_dir, "%s", test_path("second"));
    CHECK_EQ(mkdir(second_dir, 0700), 0);
    cpu_count_assume(4);
    budget = 256 * MIB; /* for four files */
    begin(backing, world);
    walk(backing, FAULT_OPEN, one_file_error, 3);
    walk(backing, FAULT_FCHMOD, stat_errors, 2);
    walk(backing, FAULT_GETRLIMIT, stat_errors, 1);
    walk(backing, FAULT_FTRUNCATE, write_errors, 3);
    walk(backing, FAULT_MMAP, one_memory_error, 4);
    walk(backing, FAULT_MPROTECT, one_memory_error, 4);
    walk(backing, FAULT_FALLOCATE, write_errors, 4);
    end();
    budget = limit;
    cpu_count_assume(0);
    rmdir(second_dir);
}

static void test_stripes(void)
{
    walk_stripes(STRIPES, no_faults);
}

static void test_stripes_of_persistent_memory(void)
{
    walk_stripes(STRIPES, (struct fault_world){.pmem = true});
}

static void test_places(void)
{
    walk_stripes(PLACES, no_faults);
}

static void test_files_with_names(void)
{
    begin(FILES, (struct fault_world){.no_tmpfile = true});
    walk(FILES, FAULT_CREATE, file_errors, 1);
    walk(FILES, FAULT_OPEN, file_errors, 2);
    end();
}

static void test_files_mapped_directly(void)
{
    begin(FILES, (struct fault_world){.no_libpmem = true});
    walk(FILES, FAULT_MMAP, memory_errors, 2);
    walk(FILES, FAULT_FTRUNCATE, size_errors, 2);
    end();
}

static void test_files_allocated_by_writing(void)
{
    part_size = PART_OF_GRAINS / 4; /* the calls are many */
    begin(FILES, (struct fault_world){.no_fallocate = true});
    walk(FILES, FAULT_PWRITE, write_errors, 32);
    end();
    part_size = PART_OF_GRAINS;
}

/* With grains there are tables to map. */
static void test_persistent_memory(void)
{
    begin(FILES, (struct fault_world){.pmem = true});
    CHECK_EQ(pool.grain, 2 * MIB);
    walk(FILES, FAULT_OPEN, file_errors, 2);
    walk(FILES, FAULT_FTRUNCATE, size_errors, 2);
    walk(FILES, FAULT_FALLOCATE, space_errors, 4);
    walk(FILES, FAULT_PUNCH, space_errors, 2);
    walk(FILES, FAULT_PMEM_MAP, map_errors, 2);
    walk(FILES, FAULT_MMAP, memory_errors, 4);
    end();
}

static const int few_errors[] = {ENOSPC, EOPNOTSUPP, 0};

/* Other blocks are looked for. */
static void test_unaligned_blocks(void)
{
    begin(FILES, (struct fault_world){.pmem = true, .is_unaligned = true});
    walk(FILES, FAULT_OPEN, stat_errors, 4);
    walk(FILES, FAULT_FSTATVFS, stat_errors, 4);
    walk(FILES, FAULT_FALLOCATE, few_errors, 8);
    walk(FILES, FAULT_PUNCH, few_errors, 4);
    walk(FILES, FAULT_FIEMAP, few_errors, 8);
    walk(FILES, FAULT_FSYNC, stat_errors, 1);
    walk(FILES, FAULT_CLOSE, stat_errors, 4);
    end();
}

static void test_readahead(void)
{
    begin(FILES, (struct fault_world){.reads_ahead = true});
    walk(FILES, FAULT_OPEN, file_errors, 2);
    walk(FILES, FAULT_FTRUNCATE, size_errors, 2);
    walk(FILES, FAULT_FALLOCATE, space_errors, 4);
    walk(FILES, FAULT_PUNCH, space_errors, 2);
    walk(FILES, FAULT_MMAP, memory_errors, 2);
    end();
}

static const int populate_errors[] = {EFAULT, ENOMEM, EINVAL, 0};
static const int advice_errors[] = {EINVAL, 0};
static const int likeliest_errors[] = {ENOSPC, 0};
static const int no_memory[] = {ENOMEM, 0};

/* Space is taken by the mapping; if that fails, otherwise. */
static void test_huge_pages(void)
{
    budget = 256 * MIB;
    begin(FILES, (struct fault_world){.has_huge_pages = true});
    CHECK_EQ(pool.grain, 2 * MIB);
    walk(FILES, FAULT_POPULATE, populate_errors, 4);
    walk(FILES, FAULT_MADVISE, advice_errors, 3);
    walk(FILES, FAULT_FALLOCATE, likeliest_errors, 1);
    walk(FILES, FAULT_PUNCH, few_errors, 2);
    walk(FILES, FAULT_FTRUNCATE, likeliest_errors, 4);
    walk(FILES, FAULT_FSTAT, stat_errors, 4);
    walk(FILES, FAULT_MMAP, no_memory, 6);
    end();
    budget = 32 * MIB;
}

/* What is to be mapped at once is not, which does no harm. */
static void test_memory_mapped_at_once(void)
{
    begin(FILES, (struct fault_world){.is_in_memory = true});
    walk(FILES, FAULT_POPULATE, populate_errors, 3);
    end();
}

static void test_callers_file(void)
{
    begin(ONE_FILE, no_faults);
    walk(ONE_FILE, FAULT_DUP, file_errors, 1);
    walk(ONE_FILE, FAULT_FSTAT, stat_errors, 1);
    walk(ONE_FILE, FAULT_FTRUNCATE, interruption, 2);
    walk(ONE_FILE, FAULT_FALLOCATE, space_errors, 3);
    walk(ONE_FILE, FAULT_PUNCH, space_errors, 1);
    walk(ONE_FILE, FAULT_PMEM_MAP, map_errors, 1);
    walk(ONE_FILE, FAULT_MPROTECT, protect_errors, 4);
    end();
}

static void test_memory(void)
{
    begin(MEMORY, no_faults);
    walk(MEMORY, FAULT_MMAP, memory_errors, 2);
    walk(MEMORY, FAULT_MPROTECT, protect_errors, 4);
    walk(MEMORY, FAULT_MADVISE, space_errors, 2);
    end();
}

/* Regions that fill whole slots of the table need no nodes. */
#define LESS_THAN_A_SLOT (256 * MIB)

static int ftruncate_less(int fd, off_t length)
{
    if ((size_t)length <= LESS_THAN_A_SLOT)
        return ftruncate(fd, length);
    errno = EFBIG;
    return -1;
}

/* The address table maps its nodes itself. */
static void test_address_table_without_memory(void)
{
    /* Before them, address space and the file are mapped; and on a tmpfs, a
     * file for a moment. */
    struct statfs fs;
    REQUIRE_EQ(statfs(test_dir(), &fs), 0);
    const unsigned tags = fs.f_type == TMPFS_MAGIC ? 5 : 3, nodes = tags + 1;
    struct test_resources before;
    const uintptr_t foreign = (uintptr_t)1 << 40; /* nothing lies there */
    uintptr_t at = foreign;
    int result;
    fault_install(no_faults);
    run_once(FILES, FAULT_OPEN, 0, 0);
    layer_resources_take(&before);
    while (fault_set(FAULT_BIT(FAULT_MMAP), 1, true, ENOMEM),
           (result = address_table_add((void *)at, 4096, &owner)) == 0)
        at += 8192;
    CHECK_EQ(result, -ENOMEM);
    sys.ftruncate = ftruncate_less;
    /* First the nodes cannot be mapped, then the region's tags. */
    for (unsigned i = nodes; i >= tags; i--) {
        file_system_forget();
        fault_set(FAULT_BIT(FAULT_MMAP), i, false, ENOMEM);
        CHECK_EQ(region_pool_open_files(&pool, test_dir(), 32 * MIB, &owner),
                 0);
        /* A smaller region was tried. */
        CHECK_LT(pool.regions[0].size, LESS_THAN_A_SLOT);
        region_pool_close(&pool);
        if (i == nodes) /* nodes that were mapped stay */
            layer_resources_take(&before);
    }
    CHECK(nothing_leaked(&before));
    while (at > foreign) {
        at -= 8192;
        address_table_remove((void *)at, 4096);
    }
    fault_lift();
    run_once(FILES, FAULT_OPEN, 0, 0);
    fault_remove();
}

/* To open a device of another sort can do things: it is not. */
static void test_other_devices_are_not_opened(void)
{
    fault_install(no_faults);
    fault_set(FAULT_BIT(FAULT_OPEN), UINT32_MAX, false, EIO);
    CHECK_EQ(region_pool_open_device(&pool, "/dev/null", 0, &owner), -ENOTDIR);
    CHECK_EQ(fault_seen(), 0);
    fault_lift();
    fault_remove();
}

static const struct test_case tests[] = {
    {"files", test_files},
    {"stripes", test_stripes},
    {"stripes of persistent memory", test_stripes_of_persistent_memory},
    {"places", test_places},
    {"files with names", test_files_with_names},
    {"files mapped directly", test_files_mapped_directly},
    {"files allocated by writing", test_files_allocated_by_writing},
    {"persistent memory", test_persistent_memory},
    {"unaligned blocks", test_unaligned_blocks},
    {"readahead", test_readahead},
    {"huge pages", test_huge_pages},
    {"memory mapped at once", test_memory_mapped_at_once},
    {"caller's file", test_callers_file},
    {"memory", test_memory},
    {"address table without memory", test_address_table_without_memory},
    {"other devices are not opened", test_other_devices_are_not_opened},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("system call faults", tests, argc, argv);
}
