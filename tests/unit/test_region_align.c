/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Places of grains, on a disk of the test's own: calls of the table go to a
 * model of a file system that gives out blocks as ext4 or xfs do.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "layer_test.h"
#include "region_align.h"
#include "sys_calls.h"

#define GRAIN REGION_ALIGN_GRAIN
/* The size of a block of the disk: large, so that there are few. */
#define BLOCK (64 * KIB)
#define PER_GRAIN (GRAIN / BLOCK)
#define DISK (96 * PER_GRAIN)
#define FILES_MOST 64
#define FIRST_FD 1000
#define DIRECTORY 999
#define FILE_BLOCKS (64 * PER_GRAIN)

enum state { FREE, USED, PENDING };

/* ---- the file system --------------------------------------------------- */

static struct {
    char state[DISK];
    short map[FILES_MOST][FILE_BLOCKS]; /* block + 1; 0 in a hole */
    bool open[FILES_MOST];
    /* What it is like. */
    bool has_journal;   /* freed blocks are held back until fsync() */
    bool has_buddies;   /* a grain alone gets an aligned piece */
    size_t extent_most; /* blocks in an extent; 0: any */
    size_t start;       /* of the partition, within a grain */
    uint32_t flags;     /* of all extents */
    bool elsewhere;     /* other files are made elsewhere */
    bool replaced;      /* the numbers are of other files by now */
    size_t room;        /* free blocks that it admits to; 0: all */
    int open_error, hold_error, punch_error, fiemap_error, statvfs_error;
    int allocate_error; /* from the Nth allocation on (0: none) */
    unsigned error_from;
    /* Calls. */
    unsigned allocations, punches, fiemaps, opens, fsyncs;
} disk;

static bool is_file(int fd)
{
    return fd >= FIRST_FD && fd < FIRST_FD + FILES_MOST &&
           disk.open[fd - FIRST_FD];
}

static size_t count_blocks(enum state state)
{
    size_t count = 0;
    for (size_t i = 0; i < DISK; i++)
        count += disk.state[i] == (char)state;
    return count;
}

static size_t free_run(size_t block)
{
    size_t length = 0;
    while (block + length < DISK && disk.state[block + length] == FREE)
        length++;
    return length;
}

/* The place for `count` blocks that continue at `goal`; DISK if there is
 * none. */
static size_t choose(size_t goal, size_t count)
{
    if (goal < DISK && free_run(goal) >= count)
        return goal;
    if (disk.has_buddies && count == PER_GRAIN)
        for (size_t i = 0; i < DISK; i += PER_GRAIN)
            if (free_run(i) >= count)
                return i;
    for (size_t i = 0; i < DISK; i++)
        if (free_run(i) >= count)
            return i;
    return DISK;
}

static void assign(short *map, size_t first, size_t count, size_t block)
{
    for (size_t i = 0; i < count; i++) {
        map[first + i] = (short)(block + i + 1);
        disk.state[block + i] = USED;
    }
}

static void commit(void)
{
    for (size_t i = 0; i < DISK; i++)
        if (disk.state[i] == PENDING)
            disk.state[i] = FREE;
}

static int allocate(short *map, size_t first, size_t count)
{
    size_t goal = DISK;
    for (size_t i = first; i-- > 0;)
        if (map[i] != 0) {
            goal = (size_t)map[i] - 1 + (first - i);
            break;
        }
    size_t block = choose(goal, count);
    if (block < DISK) {
        assign(map, first, count, block);
        return 0;
    }
    /* In pieces. */
    for (size_t i = 0; i < count; i++) {
        block = choose(goal < DISK ? goal + i : DISK, 1);
        if (block == DISK && count_blocks(PENDING) > 0) {
            commit();
            block = choose(DISK, 1);
        }
        if (block == DISK)
            return ENOSPC;
        assign(map, first + i, 1, block);
    }
    return 0;
}

static void free_blocks(short *map, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if (map[i] != 0)
            disk.state[map[i] - 1] = disk.has_journal ? PENDING : FREE;
        map[i] = 0;
    }
}

static int fails(int error)
{
    errno = error;
    return error != 0 ? -1 : 0;
}

static int fake_fallocate(int fd, int mode, off_t offset, off_t len)
{
    REQUIRE(is_file(fd));
    short *map = disk.map[fd - FIRST_FD];
    size_t first = (size_t)offset / BLOCK, count = (size_t)len / BLOCK;
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        disk.punches++;
        if (disk.punch_error == 0)
            free_blocks(map, first, count);
        return fails(disk.punch_error);
    }
    /* Only a file that is set aside keeps its size. */
    CHECK_EQ((mode & FALLOC_FL_KEEP_SIZE) != 0, fd != FIRST_FD);
    if (fd != FIRST_FD && disk.hold_error != 0)
        return fails(disk.hold_error);
    disk.allocations++;
    if (fd == FIRST_FD && disk.error_from != 0 &&
        disk.allocations >= disk.error_from)
        return fails(disk.allocate_error);
    return fails(allocate(map, first, count));
}

static int fake_fiemap(int fd, struct file_extents *extents)
{
    const short *map = disk.map[fd - FIRST_FD];
    size_t end = (extents->start + extents->length) / BLOCK;
    disk.fiemaps++;
    if (disk.fiemap_error != 0)
        return fails(disk.fiemap_error);
    extents->mapped = 0;
    for (size_t i = extents->start / BLOCK, length; i < end; i += length) {
        for (length = 1; map[i] != 0 && i + length < end; length++)
            if (map[i + length] != map[i] + (int)length ||
                length == disk.extent_most)
                break;
        if (map[i] == 0)
            continue;
        if (extents->mapped == extents->count)
            break;
        extents->list[extents->mapped++] = (struct fiemap_extent){
            .fe_logical = i * BLOCK,
            .fe_physical = (size_t)(map[i] - 1) * BLOCK + GRAIN - disk.start,
            .fe_length = length * BLOCK,
            .fe_flags = disk.flags,
        };
    }
    return 0;
}

/* The file, and others of the same file system, or of another one. */
static int fake_fstat(int fd, struct stat *st)
{
    if (!is_file(fd))
        return fails(EBADF);
    *st = (struct stat){.st_dev = fd == FIRST_FD ? 7 : 7 + disk.elsewhere,
                        .st_ino = (ino_t)fd + disk.replaced};
    return 0;
}

static int fake_openat(int directory, const char *path, int flags, mode_t mode)
{
    (void)mode;
    CHECK_EQ(directory, DIRECTORY);
    CHECK_STR(path, ".");
    CHECK_EQ(flags & O_TMPFILE, O_TMPFILE);
    disk.opens++;
    if (disk.open_error != 0)
        return fails(disk.open_error);
    for (int i = 1; i < FILES_MOST; i++)
        if (!disk.open[i]) {
            disk.open[i] = true;
            return FIRST_FD + i;
        }
    return fails(EMFILE);
}

static int fake_close(int fd)
{
    REQUIRE(is_file(fd));
    free_blocks(disk.map[fd - FIRST_FD], 0, FILE_BLOCKS);
    disk.open[fd - FIRST_FD] = false;
    return 0;
}

static int fake_fsync(int fd)
{
    CHECK(is_file(fd) && fd != FIRST_FD);
    disk.fsyncs++;
    commit();
    return 0;
}

static int fake_fchmod(int fd, mode_t mode)
{
    (void)mode;
    CHECK(is_file(fd));
    return 0;
}

static int fake_fstatvfs(int fd, struct statvfs *st)
{
    CHECK(is_file(fd));
    *st = (struct statvfs){.f_frsize = BLOCK, .f_blocks = DISK};
    st->f_bfree = count_blocks(FREE) + count_blocks(PENDING);
    st->f_bavail = disk.room != 0 ? disk.room : st->f_bfree;
    return fails(disk.statvfs_error);
}

/* ---- what tests do ----------------------------------------------------- */

static struct sys_calls real;
static struct region_align align;
static bool no_fallocate;

static void begin(void)
{
    real = sys;
    memset(&disk, 0, sizeof disk);
    align = (struct region_align){0};
    no_fallocate = false;
    disk.open[0] = true;
    sys.fallocate = fake_fallocate;
    sys.fiemap = fake_fiemap;
    sys.openat = fake_openat;
    sys.close = fake_close;
    sys.fsync = fake_fsync;
    sys.fchmod = fake_fchmod;
    sys.fstatvfs = fake_fstatvfs;
    sys.fstat = fake_fstat;
}

/* Nothing is left that was set aside, whatever happened. */
static void end(void)
{
    size_t mapped = 0;
    for (int i = 1; i < FILES_MOST; i++)
        CHECK(!disk.open[i]);
    for (size_t i = 0; i < FILE_BLOCKS; i++)
        mapped += disk.map[0][i] != 0;
    size_t others = 0;
    for (size_t i = 0; i < DISK; i++)
        others += disk.state[i] == USED;
    CHECK_GE(others, mapped);
    sys = real;
}

/* Blocks that belong to others. */
static void use(size_t first, size_t count)
{
    memset(disk.state + first, USED, count);
}

/* Leaves others a block of each grain from here on. */
static void spoil(size_t first_grain)
{
    for (size_t i = first_grain; i < DISK / PER_GRAIN; i++)
        use(i * PER_GRAIN + PER_GRAIN / 2, 1);
}

static const struct file_identity identity = {7, FIRST_FD};

static int take_at(int directory, size_t grain, size_t count)
{
    const struct region_align_file file = {FIRST_FD, &identity, directory};
    return region_align_allocate(&align, &file, grain * GRAIN, count * GRAIN,
                                 &no_fallocate);
}

static int take(size_t grain, size_t count)
{
    return take_at(DIRECTORY, grain, count);
}

static void give(size_t grain, size_t count)
{
    CHECK_EQ(fake_fallocate(FIRST_FD,
                            FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                            (off_t)(grain * GRAIN), (off_t)(count * GRAIN)),
             0);
    disk.punches--;
}

static size_t blocks_of_file(void)
{
    size_t count = 0;
    for (size_t i = 0; i < FILE_BLOCKS; i++)
        count += disk.map[0][i] != 0;
    return count;
}

static bool grain_is_aligned(size_t grain)
{
    const short *map = disk.map[0] + grain * PER_GRAIN;
    if (map[0] == 0 ||
        ((size_t)(map[0] - 1) * BLOCK + GRAIN - disk.start + align.start) %
                GRAIN !=
            0)
        return false;
    for (size_t i = 1; i < PER_GRAIN; i++)
        if (map[i] != map[0] + (int)i)
            return false;
    return true;
}

static size_t aligned_grains(size_t first, size_t count)
{
    size_t aligned = 0;
    for (size_t i = first; i < first + count; i++)
        aligned += grain_is_aligned(i);
    return aligned;
}

static unsigned calls(void)
{
    return disk.allocations + disk.fiemaps + disk.punches + disk.opens +
           disk.fsyncs;
}

/* ---- tests ------------------------------------------------------------- */

static void test_no_call_is_wasted(void)
{
    begin();
    CHECK_EQ(take(3, 1), 0);
    CHECK_EQ(calls(), 2);
    /* What follows comes at once. */
    CHECK_EQ(take(4, 16), 0);
    CHECK_EQ(calls(), 4);
    CHECK_EQ(take(30, 16), 0);
    CHECK_EQ(calls(), 8);
    CHECK_EQ(aligned_grains(3, 17) + aligned_grains(30, 16), 33);
    end();
}

/* As xfs without a stripe: from the first free block on. */
static void test_free_space_begins_anywhere(void)
{
    for (size_t used = 0; used < PER_GRAIN; used++) {
        begin();
        use(0, used);
        CHECK_EQ(take(0, 8), 0);
        CHECK_EQ(aligned_grains(0, 8), 8);
        CHECK_EQ(disk.opens, used == 0 ? 0 : disk.opens);
        CHECK_EQ(count_blocks(USED), used + 8 * PER_GRAIN);
        CHECK_LT(calls(), 24);
        end();
    }
}

/* As ext4: behind the last blocks, although a grain alone would have had a
 * better place. */
static void test_unaligned_blocks_are_not_followed(void)
{
    begin();
    disk.has_buddies = disk.has_journal = true;
    assign(disk.map[0], 0, 3, 1);
    CHECK_EQ(take(1, 4), 0);
    CHECK_EQ(aligned_grains(1, 4), 4);
    CHECK_EQ(disk.opens, 0);
    CHECK_EQ(disk.fsyncs, 0);
    end();
}

static void test_journal_releases_what_it_holds(void)
{
    begin();
    disk.has_journal = disk.has_buddies = true;
    spoil(0);
    /* Aligned, once: then given back. */
    memset(disk.state + 8 * PER_GRAIN, PENDING, 8 * PER_GRAIN);
    CHECK_EQ(take(0, 8), 0);
    CHECK_EQ(aligned_grains(0, 8), 8);
    CHECK_EQ(disk.fsyncs, 1);
    end();
}

/* Without an aligned place, space as it comes; and no more looking for it than
 * is reasonable. */
static void test_no_aligned_place(void)
{
    begin();
    spoil(0);
    size_t others = count_blocks(USED);
    unsigned most = 0, in_all = 0;
    for (size_t grain = 0; grain < 60; grain++) {
        unsigned before = calls();
        CHECK_EQ(take(grain, 1), 0);
        unsigned made = calls() - before;
        most = made > most ? made : most;
        in_all += made;
    }
    CHECK_EQ(blocks_of_file(), 60 * PER_GRAIN);
    CHECK_EQ(count_blocks(USED), others + 60 * PER_GRAIN);
    CHECK_LE(most, 70);
    CHECK_LT(in_all, 500);
    end();
}

/* The search is taken up again, and a success makes it eager. */
static void test_aligned_place_comes_back(void)
{
    begin();
    disk.has_buddies = true;
    spoil(0);
    for (size_t grain = 0; grain < 12; grain++)
        CHECK_EQ(take(grain, 1), 0);
    CHECK_EQ(aligned_grains(0, 12), 0);
    CHECK_GT(align.skip, 0);
    memset(disk.state + 40 * PER_GRAIN, FREE, 40 * PER_GRAIN);
    unsigned tries = 0;
    while (aligned_grains(20, tries) == 0 && tries < 20)
        CHECK_EQ(take(20 + tries++, 1), 0);
    CHECK_LT(tries, 20);
    end();
}

/* A large request that gets pieces: what is right of it stays. */
static void test_pieces_of_free_space(void)
{
    begin();
    disk.has_buddies = disk.has_journal = true;
    for (size_t i = 0; i < 30; i++)
        use(i * 3 * PER_GRAIN, PER_GRAIN + 1);
    size_t others = count_blocks(USED);
    CHECK_EQ(take(0, 24), 0);
    CHECK_EQ(aligned_grains(0, 24), 24);
    CHECK_EQ(count_blocks(USED), others + 24 * PER_GRAIN);
    CHECK_LT(calls(), 24 * 6);
    end();
}

static void test_little_room(void)
{
    begin();
    use(0, 1);
    disk.room = 8 * PER_GRAIN;
    CHECK_EQ(take(0, 4), 0);
    CHECK_EQ(blocks_of_file(), 4 * PER_GRAIN);
    CHECK_EQ(disk.punches, 0);
    CHECK_EQ(disk.opens, 0);
    disk.room = 0;
    disk.statvfs_error = EIO;
    CHECK_EQ(take(10, 4), 0);
    CHECK_EQ(disk.punches, 0);
    end();
}

/* All of the disk can be had, to the last block. */
static void test_full_disk(void)
{
    begin();
    use(0, 1);
    use(60 * PER_GRAIN, DISK - 60 * PER_GRAIN);
    CHECK_EQ(take(0, 59), 0);
    CHECK_EQ(take(59, 1), -ENOSPC);
    CHECK_EQ(blocks_of_file(), 59 * PER_GRAIN);
    CHECK_GE(aligned_grains(0, 59), 50);
    give(0, 59);
    CHECK_EQ(take(0, 60), -ENOSPC);
    CHECK_EQ(blocks_of_file(), 0);
    CHECK_EQ(take(2, 59), 0);
    end();
}

static void test_calls_that_fail(void)
{
    int *const errors[] = {&disk.open_error, &disk.hold_error,
                           &disk.punch_error};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        begin();
        use(0, 5);
        *errors[i] = EIO;
        CHECK_EQ(take(0, 4), 0);
        CHECK_EQ(blocks_of_file(), 4 * PER_GRAIN);
        CHECK_EQ(count_blocks(USED), 5 + 4 * PER_GRAIN);
        end();
    }
    /* No place for a second file is known, or one elsewhere. */
    begin();
    use(0, 5);
    CHECK_EQ(take_at(-1, 0, 1), 0);
    CHECK_EQ(disk.opens, 0);
    disk.elsewhere = true;
    align = (struct region_align){0};
    CHECK_EQ(take(4, 1), 0);
    CHECK_EQ(disk.opens, 1);
    CHECK_EQ(blocks_of_file(), 2 * PER_GRAIN);
    end();
    /* The numbers have become those of other files: nothing is punched. */
    begin();
    use(0, 5);
    disk.replaced = true;
    CHECK_EQ(take(0, 8), 0);
    CHECK_EQ(disk.punches, 0);
    CHECK_EQ(blocks_of_file(), 8 * PER_GRAIN);
    end();
}

/* Blocks that cannot be had any more leave nothing behind, and are reported. */
static void test_allocations_that_fail(void)
{
    for (unsigned from = 1; from < 12; from++) {
        begin();
        use(0, 5);
        disk.error_from = from;
        disk.allocate_error = EDQUOT;
        int result = take(0, 4);
        CHECK(result == 0 || result == -EDQUOT);
        CHECK_EQ(blocks_of_file(), result == 0 ? 4 * PER_GRAIN : 0);
        CHECK_EQ(count_blocks(USED), 5 + blocks_of_file());
        CHECK_EQ(result, from <= 5 ? -EDQUOT : result);
        end();
    }
    begin();
    disk.error_from = 1;
    disk.allocate_error = EIO;
    CHECK_EQ(take(0, 4), -EIO);
    end();
}

/* What was set aside is needed for the grains themselves: others have taken the
 * space that there seemed to be. */
static void test_set_aside_is_given_up(void)
{
    begin();
    disk.room = DISK;
    use(0, 5);
    use(10 * PER_GRAIN, DISK - 10 * PER_GRAIN);
    CHECK_EQ(take(0, 9), 0);
    CHECK_EQ(blocks_of_file(), 9 * PER_GRAIN);
    CHECK_GT(disk.opens, 0);
    end();
}

static void test_nothing_is_known(void)
{
    static const int for_good[] = {EOPNOTSUPP, ENOTTY, ENOSYS};
    for (size_t i = 0; i < sizeof for_good / sizeof for_good[0]; i++) {
        begin();
        use(0, 5);
        disk.fiemap_error = for_good[i];
        CHECK_EQ(take(0, 4), 0);
        CHECK_EQ(take(8, 4), 0);
        CHECK_EQ(disk.fiemaps, 1);
        CHECK_EQ(disk.allocations, 3);
        CHECK_EQ(disk.punches, 0);
        end();
    }
    begin();
    use(0, 5);
    disk.fiemap_error = EIO;
    CHECK_EQ(take(0, 1), 0);
    CHECK_EQ(disk.punches, 0);
    disk.fiemap_error = 0;
    CHECK_EQ(take(4, 1), 0);
    CHECK(grain_is_aligned(4));
    end();
    begin();
    use(0, 5);
    disk.flags = FIEMAP_EXTENT_ENCODED;
    CHECK_EQ(take(0, 4), 0);
    CHECK_EQ(take(8, 4), 0);
    CHECK_EQ(disk.fiemaps, 1);
    CHECK_EQ(disk.punches, 0);
    end();
}

/* A partition that starts between grains. */
static void test_partition_counts(void)
{
    for (size_t start = BLOCK; start < GRAIN; start += 7 * BLOCK) {
        begin();
        disk.start = align.start = start;
        CHECK_EQ(take(0, 4), 0);
        CHECK_EQ(aligned_grains(0, 4), 4);
        CHECK_EQ(disk.map[0][0] % (int)PER_GRAIN, 1);
        CHECK_EQ(disk.opens, 0);
        /* As if the start of the partition were not known. */
        align = (struct region_align){0};
        CHECK_EQ(take(8, 4), 0);
        CHECK_EQ(aligned_grains(8, 4), 4);
        CHECK_NE(disk.map[0][8 * PER_GRAIN] % (int)PER_GRAIN, 1);
        end();
    }
}

/* Blocks that follow each other in two extents are no large page. */
static void test_extents_are_borders(void)
{
    begin();
    disk.extent_most = PER_GRAIN / 2;
    disk.room = 1;
    CHECK_EQ(take(0, 2), 0);
    CHECK_EQ(align.end, 0);
    end();
    /* More extents than one answer holds. */
    begin();
    disk.extent_most = PER_GRAIN;
    CHECK_EQ(take(0, 1), 0);
    CHECK_EQ(take(1, 40), 0);
    CHECK_EQ(align.end, 41 * GRAIN);
    CHECK_EQ(disk.punches, 0);
    CHECK_EQ(disk.fiemaps, 4); /* of 1, 16, 16 and 9 grains at most */
    end();
}

static ssize_t fake_pwrite(int fd, const void *buf, size_t count, off_t offset)
{
    (void)buf, (void)offset;
    CHECK_EQ(fd, FIRST_FD);
    return (ssize_t)count;
}

/* Zeroes are written there: no block is given back and written once more. */
static void test_no_fallocate(void)
{
    begin();
    sys.pwrite = fake_pwrite;
    disk.error_from = 1;
    disk.allocate_error = EOPNOTSUPP;
    CHECK_EQ(take(0, 4), 0);
    CHECK(no_fallocate);
    CHECK_EQ(calls(), 1);
    CHECK_EQ(take(4, 4), 0);
    CHECK_EQ(calls(), 1);
    end();
}

/* ---- the partition's start --------------------------------------------- */

static const char *sysfs_text;
static int sysfs_error;

static int sysfs_open(const char *path, int flags, mode_t mode)
{
    (void)flags, (void)mode;
    CHECK_STR(path, "/sys/dev/block/259:7/start");
    return sysfs_text != NULL ? FIRST_FD : fails(ENOENT);
}

static ssize_t sysfs_pread(int fd, void *buf, size_t count, off_t offset)
{
    CHECK(fd == FIRST_FD && offset == 0);
    REQUIRE_LE(strlen(sysfs_text), count);
    memcpy(buf, sysfs_text, strlen(sysfs_text));
    return fails(sysfs_error) == 0 ? (ssize_t)strlen(sysfs_text) : -1;
}

static int sysfs_fstat(int fd, struct stat *st)
{
    CHECK_EQ(fd, FIRST_FD);
    *st = (struct stat){.st_dev = makedev(259, 7)};
    return 0;
}

static int sysfs_close(int fd)
{
    CHECK_EQ(fd, FIRST_FD);
    return 0;
}

static int failing_fstat(int fd, struct stat *st)
{
    (void)fd, (void)st;
    return fails(EIO);
}

static void test_start_of_the_partition(void)
{
    static const struct {
        const char *text;
        size_t start;
    } cases[] = {{"2048\n", MIB},   {"4096\n", 0}, {"63\n", 63 * 512},
                 {"6144\n", MIB},   {"0\n", 0},    {"", 0},
                 {"nonsense\n", 0}, {NULL, 0}};
    begin();
    sys.open = sysfs_open;
    sys.pread = sysfs_pread;
    sys.fstat = sysfs_fstat;
    sys.close = sysfs_close;
    sysfs_error = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sysfs_text = cases[i].text;
        CHECK_EQ(region_align_start(FIRST_FD), cases[i].start);
    }
    sysfs_text = "2048\n";
    sysfs_error = EIO;
    CHECK_EQ(region_align_start(FIRST_FD), 0);
    sys.fstat = failing_fstat;
    CHECK_EQ(region_align_start(FIRST_FD), 0);
    end();
}

int main(int argc, char **argv)
{
    static struct test_case tests[] = {
        {"no call is wasted", test_no_call_is_wasted},
        {"free space begins anywhere", test_free_space_begins_anywhere},
        {"unaligned blocks are not followed",
         test_unaligned_blocks_are_not_followed},
        {"the journal releases what it holds",
         test_journal_releases_what_it_holds},
        {"no aligned place", test_no_aligned_place},
        {"an aligned place comes back", test_aligned_place_comes_back},
        {"pieces of free space", test_pieces_of_free_space},
        {"little room", test_little_room},
        {"a full disk", test_full_disk},
        {"calls that fail", test_calls_that_fail},
        {"allocations that fail", test_allocations_that_fail},
        {"what is set aside is given up", test_set_aside_is_given_up},
        {"nothing is known", test_nothing_is_known},
        {"a partition counts", test_partition_counts},
        {"extents are borders", test_extents_are_borders},
        {"no fallocate", test_no_fallocate},
        {"the partition's start", test_start_of_the_partition},
        {NULL, NULL},
    };
    return test_main("region align", tests, argc, argv);
}
