/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "descriptor.h"
#include "file_size_limit.h"
#include "file_space.h"
#include "file_system.h"
#include "file_system_space.h"
#include "layer_test.h"
#include "region_pool.h"
#include "region_readahead.h"
#include "sys_calls.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#define BCACHEFS_MAGIC 0xca451a4e

static int fd;
static struct sys_calls real;

static void begin(void)
{
    real = sys;
    file_system_forget();
    int directory = descriptor_open_directory(test_dir());
    fd = descriptor_create_file(directory);
    close(directory);
    REQUIRE_GE(fd, 0);
}

static void end(void)
{
    struct stat st;
    sys = real;
    /* The file is as it was, whatever the test has tried. */
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(file_bytes(fd), 0);
    close(fd);
}

/* ---- a file system that is not there ----------------------------------- */

static unsigned long type;
static struct statvfs space;
static int flags, ioctl_error, fallocate_error;
static bool flags_stick;
static size_t cluster, allocated;
static const char *readahead_text; /* what the kernel says of it */
static bool privileged;

static int fake_fstatfs(int file, struct statfs *fs)
{
    int result = fstatfs(file, fs);
    fs->f_type = (__typeof__(fs->f_type))type;
    return result;
}

static int fake_fstatvfs(int file, struct statvfs *st)
{
    (void)file;
    *st = space;
    return 0;
}

static int fake_ioctl(int file, unsigned long request, int *value)
{
    (void)file;
    errno = ioctl_error;
    if (ioctl_error != 0)
        return -1;
    if (request == FS_IOC_GETFLAGS)
        *value = flags;
    else if (flags_stick)
        flags = *value;
    return 0;
}

static int fake_fallocate(int file, int mode, off_t offset, off_t len)
{
    (void)file, (void)mode, (void)offset;
    errno = fallocate_error;
    if (fallocate_error != 0)
        return -1;
    allocated = ((size_t)len + cluster - 1) / cluster * cluster;
    return 0;
}

static int fake_fstat(int file, struct stat *st)
{
    int result = fstat(file, st);
    st->st_blocks = (blkcnt_t)(allocated / 512);
    return result;
}

static int fake_open(const char *path, int how, mode_t mode)
{
    if (strncmp(path, "/sys/", 5) != 0)
        return open(path, how, mode);
    if (readahead_text == NULL) {
        errno = ENOENT;
        return -1;
    }
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static ssize_t fake_pread(int file, void *to, size_t count, off_t offset)
{
    size_t length = strlen(readahead_text);
    (void)file, (void)offset;
    memcpy(to, readahead_text, length < count ? length : count);
    return (ssize_t)length;
}

static int fake_capget(struct __user_cap_header_struct *header,
                       struct __user_cap_data_struct *data)
{
    (void)header;
    data[0].effective = privileged ? ~0U : ~(1U << CAP_SYS_RESOURCE);
    return 0;
}

static void begin_on(unsigned long magic)
{
    begin();
    type = magic;
    flags = ioctl_error = fallocate_error = 0;
    flags_stick = true;
    cluster = region_page_size();
    allocated = 0;
    readahead_text = NULL;
    sys.fstatfs = fake_fstatfs;
    sys.ioctl = fake_ioctl;
}

/* ---- tests ------------------------------------------------------------- */

static void test_here(void)
{
    struct file_system here;
    begin();
    CHECK_EQ(file_system_prepare(fd, &here), 0);
    CHECK_GE(here.unit, region_page_size());
    CHECK_EQ(here.unit & (here.unit - 1), 0);
    struct statfs fs;
    CHECK_EQ(fstatfs(fd, &fs), 0);
    if (fs.f_type == TMPFS_MAGIC) {
        CHECK(here.is_memory);
        CHECK_EQ(here.largest_folio,
                 here.has_huge_pages ? 2 * MIB : region_page_size());
        CHECK(!file_system_has_large_folios(fd));
    }
    end();
}

static void test_places_are_kept(void)
{
    static const unsigned long magics[] = {BTRFS_SUPER_MAGIC, BCACHEFS_MAGIC};
    for (size_t i = 0; i < 2; i++) {
        struct file_system it;
        begin_on(magics[i]);
        flags = FS_COMPR_FL | FS_NODUMP_FL;
        CHECK_EQ(file_system_prepare(fd, &it), 0);
        CHECK_EQ(flags, FS_NOCOW_FL | FS_NODUMP_FL);
        end();
        /* The mount option has set it already; setting it is refused. */
        begin_on(magics[i]);
        flags = FS_NOCOW_FL;
        flags_stick = false;
        CHECK_EQ(file_system_prepare(fd, &it), 0);
        end();
    }
}

static void test_places_that_change_are_refused(void)
{
    static const unsigned long magics[] = {BTRFS_SUPER_MAGIC, BCACHEFS_MAGIC};
    struct file_system it;
    for (size_t i = 0; i < 2; i++) {
        begin_on(magics[i]);
        ioctl_error = ENOTTY;
        CHECK_EQ(file_system_prepare(fd, &it), -EOPNOTSUPP);
        end();
        begin_on(magics[i]);
        flags_stick = false;
        CHECK_EQ(file_system_prepare(fd, &it), -EOPNOTSUPP);
        end();
    }
    /* Other file systems do not need it, nor do most that overlays lie on. */
    begin_on(OVERLAYFS_SUPER_MAGIC);
    ioctl_error = EOPNOTSUPP;
    CHECK_EQ(file_system_prepare(fd, &it), 0);
    end();
    begin_on(EXT4_SUPER_MAGIC);
    ioctl_error = EPERM;
    CHECK_EQ(file_system_prepare(fd, &it), 0);
    CHECK_EQ(flags, 0);
    end();
}

/* Holes cannot be punched although the file system could: its device is a zoned
 * one. */
static void test_zoned_devices_are_refused(void)
{
    static const struct {
        unsigned long magic;
        int result;
    } cases[] = {{XFS_SUPER_MAGIC, -EOPNOTSUPP},
                 {BTRFS_SUPER_MAGIC, -EOPNOTSUPP},
                 {EXT4_SUPER_MAGIC, 0}, /* ext2 */
                 {MSDOS_SUPER_MAGIC, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file_system it;
        begin_on(cases[i].magic);
        sys.fallocate = fake_fallocate;
        fallocate_error = EOPNOTSUPP;
        CHECK_EQ(file_system_prepare(fd, &it), cases[i].result);
        end();
    }
}

static void test_units(void)
{
    static const struct {
        size_t cluster, unit;
    } cases[] = {{512, 4096},
                 {4096, 4096},
                 {64 * KIB, 64 * KIB},
                 {48 * KIB, 64 * KIB},
                 {GIB, FILE_SYSTEM_UNIT_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file_system it;
        begin_on(EXT4_SUPER_MAGIC);
        sys.fallocate = fake_fallocate;
        sys.fstat = fake_fstat;
        cluster = cases[i].cluster;
        CHECK_EQ(file_system_prepare(fd, &it), 0);
        size_t unit = cases[i].unit < region_page_size() ? region_page_size()
                                                         : cases[i].unit;
        CHECK_EQ(it.unit, unit);
        end();
        /* A full file system does not show its unit. */
        begin_on(EXT4_SUPER_MAGIC);
        sys.fallocate = fake_fallocate;
        fallocate_error = ENOSPC;
        CHECK_EQ(file_system_prepare(fd, &it), 0);
        CHECK_EQ(it.unit, region_page_size());
        end();
    }
}

static void check_folio(unsigned long magic, const char *kib, size_t expected)
{
    struct file_system it;
    begin_on(magic);
    sys.open = fake_open;
    sys.pread = fake_pread;
    readahead_text = kib;
    CHECK_EQ(file_system_prepare(fd, &it), 0);
    CHECK_EQ(it.largest_folio, expected);
    end();
}

static void test_largest_folios(void)
{
    if (region_page_size() != 4096)
        return;
    /* No version of the kernel is known to lack large folios here. */
    const unsigned long nfs = NFS_SUPER_MAGIC;
    check_folio(nfs, NULL, 2 * MIB);
    check_folio(nfs, "", 2 * MIB);
    check_folio(nfs, "nothing\n", 2 * MIB);
    check_folio(nfs, "128\n", 128 * KIB);
    check_folio(nfs, "2560\n", 2 * MIB);
    check_folio(nfs, "8192\n", 2 * MIB);
    check_folio(nfs, "1000\n", 512 * KIB);
    check_folio(nfs, "0\n", 4096);
    check_folio(TMPFS_MAGIC, "128\n", 4096);
}

static void test_grains(void)
{
    const size_t page = 4096;
    struct file_system it = {.unit = page, .largest_folio = page};
    CHECK_EQ(region_readahead_grain(&it, SIZE_MAX), page);
    it.largest_folio = 128 * KIB;
    CHECK_EQ(region_readahead_grain(&it, SIZE_MAX), 128 * KIB);
    CHECK_EQ(region_readahead_grain(&it, 0), 128 * KIB);
    CHECK_EQ(region_readahead_grain(&it, 16 * MIB), 128 * KIB);
    /* Few grains would be split soon. */
    it.largest_folio = 2 * MIB;
    CHECK_EQ(region_readahead_grain(&it, 16 * MIB), page);
    it.unit = 64 * KIB;
    CHECK_EQ(region_readahead_grain(&it, 16 * MIB), 64 * KIB);
    it.largest_folio = SIZE_MAX;
    CHECK_EQ(region_readahead_grain(&it, SIZE_MAX), 64 * KIB);
    it.largest_folio = 4 * KIB;
    CHECK_EQ(region_readahead_grain(&it, SIZE_MAX), 64 * KIB);
}

static void test_size(void)
{
    struct statvfs st;
    begin();
    CHECK_EQ(statvfs(test_dir(), &st), 0);
    CHECK_EQ(file_system_size(fd), (size_t)st.f_blocks * st.f_frsize);
    CHECK_EQ(file_system_size(-1), 0);
    sys.fstatvfs = fake_fstatvfs;
    space = (struct statvfs){.f_bsize = 4096, .f_frsize = 0, .f_blocks = 10};
    CHECK_EQ(file_system_size(fd), 40960);
    space = (struct statvfs){0};
    CHECK_EQ(file_system_size(fd), 0);
    space = (struct statvfs){.f_frsize = 4096, .f_blocks = SIZE_MAX / 2};
    CHECK_EQ(file_system_size(fd), SIZE_MAX);
    end();
}

static void check_lack(struct statvfs st, size_t size, bool lacks)
{
    space = st;
    CHECK_EQ(file_system_lacks(fd, size), lacks);
}

/* 100 blocks of 1 MiB, 40 free, 30 of them for every user. */
#define BLOCKS                                                                 \
    .f_frsize = MIB, .f_bsize = MIB, .f_blocks = 100, .f_bfree = 40,           \
    .f_bavail = 30

static void test_lack_of_space(void)
{
    begin();
    sys.fstatvfs = fake_fstatvfs;
    sys.capget = fake_capget;
    for (int i = 0; i < 2; i++) {
        privileged = i == 1;
        check_lack((struct statvfs){BLOCKS}, 30 * MIB, false);
        check_lack((struct statvfs){BLOCKS}, 31 * MIB, !privileged);
        check_lack((struct statvfs){BLOCKS}, 41 * MIB, true);
        /* Answers that say nothing: no limit, no counting, no block size. */
        check_lack((struct statvfs){0}, GIB, false);
        check_lack((struct statvfs){.f_frsize = 4096}, GIB, false);
        check_lack((struct statvfs){.f_frsize = 4096, .f_blocks = 9}, GIB,
                   false);
        check_lack((struct statvfs){.f_blocks = 9, .f_bfree = 9}, GIB, false);
        check_lack(
            (struct statvfs){
                .f_bsize = MIB, .f_blocks = 9, .f_bfree = 9, .f_bavail = 9},
            10 * MIB, true);
    }
    end();
    CHECK(!file_system_lacks(-1, GIB));
}

/* ---- RLIMIT_FSIZE ------------------------------------------------------ */

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals = signals + 1;
}

static bool is_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
}

/* The limit goes down after it was looked at. */
static struct rlimit low;

static int limit_is_high(struct rlimit *limit)
{
    limit->rlim_cur = limit->rlim_max = RLIM_INFINITY;
    return 0;
}

static int refuse_fallocate(int file, int mode, off_t offset, off_t len)
{
    (void)file, (void)mode, (void)offset, (void)len;
    errno = EOPNOTSUPP;
    return -1;
}

static void meet_limit(void)
{
    bool no_fallocate = false;
    CHECK_EQ(file_space_resize(fd, 2 * MIB), -EFBIG);
    CHECK_EQ(file_space_allocate(fd, MIB, MIB, &no_fallocate), -EFBIG);
    sys.fallocate = refuse_fallocate;
    CHECK_EQ(file_space_allocate(fd, MIB, MIB, &no_fallocate), -EFBIG);
    CHECK_EQ(file_space_allocate(fd, 0, MIB, &no_fallocate), -EFBIG);
    CHECK(no_fallocate);
    sys.fallocate = real.fallocate;
}

static void test_no_signal(void)
{
    struct sigaction action = {.sa_handler = count_signal}, before_action;
    struct rlimit before;
    begin();
    sigaction(SIGXFSZ, &action, &before_action);
    REQUIRE_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = MIB / 2;
    REQUIRE_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    meet_limit();
    sys.get_file_size_limit = limit_is_high;
    meet_limit();
    CHECK_EQ(signals, 0);
    CHECK(!is_pending());

    /* The program's own handler stays. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    raise(SIGXFSZ);
    meet_limit();
    CHECK(is_pending());
    CHECK_EQ(signals, 0);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(signals, 1);
    setrlimit(RLIMIT_FSIZE, &before);
    sys = real;
    CHECK_EQ(file_space_resize(fd, 0), 0);
    sigaction(SIGXFSZ, &before_action, NULL);
    end();
}

static const struct test_case tests[] = {
    {"the file system of the tests", test_here},
    {"files that copied on write keep their places", test_places_are_kept},
    {"what cannot is refused", test_places_that_change_are_refused},
    {"so are zoned devices", test_zoned_devices_are_refused},
    {"units", test_units},
    {"largest folios", test_largest_folios},
    {"grains", test_grains},
    {"size", test_size},
    {"lack of space", test_lack_of_space},
    {"no signal at the limit of files", test_no_signal},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("file system", tests, argc, argv);
}
