/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "address_space.h"
#include "dax_device.h"
#include "descriptor.h"
#include "file_mapping.h"
#include "file_space.h"
#include "layer_test.h"
#include "sys_calls.h"

static size_t names_in_directory(void)
{
    size_t count = 0;
    DIR *dir = opendir(test_dir());
    if (dir == NULL)
        return SIZE_MAX;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count +=
            strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static int create_in(const char *path)
{
    int directory = descriptor_open_directory(path);
    if (directory < 0)
        return directory;
    int fd = descriptor_create_file(directory);
    close(directory);
    return fd;
}

/* A sized file to try things on. */
static int make_file(size_t size)
{
    int fd = create_in(test_dir());
    REQUIRE_GE(fd, 0);
    REQUIRE_EQ(file_space_resize(fd, size), 0);
    return fd;
}

/* ---- creating ---------------------------------------------------------- */

static int tmpfile_error;
static unsigned create_calls;
static bool create_unmasked;
static unsigned taken_names; /* names that are there already */
static char last_name[NAME_MAX + 1];

static int open_without_tmpfile(int dir, const char *name, int flags,
                                mode_t mode)
{
    sigset_t blocked;
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        errno = tmpfile_error;
        return -1;
    }
    create_calls++;
    CHECK_STR_NE(name, last_name);
    snprintf(last_name, sizeof last_name, "%s", name);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    create_unmasked = create_unmasked || !sigismember(&blocked, SIGTERM) ||
                      !sigismember(&blocked, SIGALRM);
    if (taken_names == 0)
        return openat(dir, name, flags, mode);
    taken_names--;
    errno = EEXIST;
    return -1;
}

static void check_new_file(void)
{
    int fd = create_in(test_dir());
    struct stat st;
    REQUIRE_GE(fd, 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_mode & 07777, 0600);
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_EQ(names_in_directory(), 0);
    CHECK_EQ(close(fd), 0);
}

static const mode_t umasks[] = {0, 022, 0777};
#define UMASKS (sizeof umasks / sizeof umasks[0])

static void test_new_file_is_private(void)
{
    for (size_t i = 0; i < UMASKS; i++) {
        mode_t before = umask(umasks[i]);
        check_new_file();
        CHECK_EQ(umask(before), umasks[i]);
    }
}

static void test_new_file_without_tmpfile(void)
{
    static const int answers[] = {EOPNOTSUPP, EISDIR, ENOENT, EINVAL};
    const struct sys_calls real = sys;
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    sys.openat = open_without_tmpfile;
    create_unmasked = false;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        tmpfile_error = answers[i];
        for (size_t j = 0; j < UMASKS; j++) {
            mode_t mask = umask(umasks[j]);
            create_calls = 0;
            taken_names = (unsigned)j;
            check_new_file();
            CHECK_EQ(create_calls, j + 1);
            umask(mask);
        }
    }
    sys = real;
    /* A signal handler cannot leave while the file has a name. */
    CHECK(!create_unmasked);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    CHECK_EQ(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
}

static void test_other_errors_of_tmpfile_stay(void)
{
    static const int answers[] = {EMFILE, EACCES, ENOSPC, EROFS};
    const struct sys_calls real = sys;
    sys.openat = open_without_tmpfile;
    create_calls = 0;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        tmpfile_error = answers[i];
        CHECK_EQ(create_in(test_dir()), -answers[i]);
    }
    CHECK_EQ(create_calls, 0);
    sys = real;
}

static int refuse_unlink(int dir, const char *name, int flags)
{
    (void)dir, (void)name, (void)flags;
    errno = EPERM;
    return -1;
}

/* All names are taken: the search comes to an end. */
static void test_names_that_are_all_taken(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    layer_resources_take(&before);
    sys.openat = open_without_tmpfile;
    tmpfile_error = EOPNOTSUPP;
    taken_names = UINT_MAX;
    CHECK_EQ(create_in(test_dir()), -EEXIST);
    taken_names = 0;
    sys = real;
    CHECK(nothing_leaked(&before));
}

static void test_name_that_cannot_be_removed(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    layer_resources_take(&before);
    sys.openat = open_without_tmpfile;
    sys.unlinkat = refuse_unlink;
    tmpfile_error = EOPNOTSUPP;
    CHECK_EQ(create_in(test_dir()), -EPERM);
    sys = real;
    CHECK_EQ(unlink(test_path(last_name)), 0);
    CHECK(nothing_leaked(&before));
}

static void check_bad_directories(void)
{
    static char long_name[NAME_MAX + 2], long_path[PATH_MAX + 16];
    memset(long_name, 'x', sizeof long_name - 1);
    for (size_t i = 0; i < sizeof long_path - 1; i++)
        long_path[i] = i % 2 == 0 ? '/' : '.';
    CHECK_EQ(create_in(test_path("missing")), -ENOENT);
    CHECK_EQ(create_in(""), -ENOENT);
    CHECK_EQ(create_in(test_path(long_name)), -ENAMETOOLONG);
    CHECK_EQ(create_in(long_path), -ENAMETOOLONG);

    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", test_path("file"));
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    CHECK_EQ(create_in(path), -ENOTDIR);
    close(fd);
    unlink(path);
}

static void test_bad_directories(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    layer_resources_take(&before);
    check_bad_directories();
    sys.openat = open_without_tmpfile;
    tmpfile_error = EOPNOTSUPP;
    check_bad_directories();
    sys = real;
    CHECK_EQ(names_in_directory(), 0);
    CHECK(nothing_leaked(&before));
}

/* A directory without a path: its descriptor, and "." if its path would be too
 * long. */
static void test_directories_without_a_path(void)
{
    enum { DEPTH = 25 };
    static char name[201];
    char path[64];
    struct test_resources before;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    layer_resources_take(&before);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int file = create_in(path);
    CHECK_GE(file, 0);
    close(file);
    memset(name, 'd', sizeof name - 1);
    REQUIRE_EQ(fchdir(fd), 0);
    for (int i = 0; i < DEPTH; i++)
        REQUIRE(mkdir(name, 0700) == 0 && chdir(name) == 0);
    file = create_in(".");
    CHECK_GE(file, 0);
    close(file);
    for (int i = 0; i < DEPTH; i++)
        REQUIRE(chdir("..") == 0 && rmdir(name) == 0);
    CHECK(nothing_leaked(&before));
    REQUIRE_EQ(fchdir(here), 0);
    close(fd);
    close(here);
}

/* The standard descriptors are closed: other code writes to those numbers. */
static void test_descriptors_are_none_of_the_standard_ones(void)
{
    int saved[3];
    fflush(NULL);
    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
        close(i);
    }
    int directory = descriptor_open_directory(test_dir());
    int file = descriptor_create_file(directory);
    int copy = descriptor_duplicate(file);
    bool left_free =
        fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0;
    for (int i = 0; i < 3; i++)
        if (saved[i] >= 0) {
            dup2(saved[i], i);
            close(saved[i]);
        }
    CHECK(left_free);
    CHECK(directory > 2 && file > 2 && copy > 2);
    CHECK_EQ(fcntl(directory, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(file, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(copy, F_GETFD), FD_CLOEXEC);
    close(directory);
    close(file);
    close(copy);
}

static void test_directory_of_another_user(void)
{
    uid_t user = geteuid();
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", test_path("closed"));
    REQUIRE_EQ(mkdir(path, 0500), 0);
    /* The superuser may write everywhere. */
    if (user == 0)
        REQUIRE_EQ(seteuid(65534), 0);
    CHECK_EQ(create_in(path), -EACCES);
    if (user == 0)
        REQUIRE_EQ(seteuid(user), 0);
    rmdir(path);
}

/* ---- resizing ---------------------------------------------------------- */

static volatile sig_atomic_t size_signals;

static void count_signal(int number)
{
    (void)number;
    size_signals = size_signals + 1;
}

static void test_resize_within_limits(void)
{
    struct sigaction action = {.sa_handler = count_signal}, before_action;
    struct rlimit before;
    struct stat st;
    int fd = make_file(0);
    REQUIRE_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    sigaction(SIGXFSZ, &action, &before_action);
    struct rlimit small = {MIB, before.rlim_max};
    REQUIRE_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    CHECK_EQ(file_space_resize(fd, MIB), 0);
    CHECK_EQ(file_space_resize(fd, MIB + 1), -EFBIG);
    CHECK_EQ(file_space_resize(fd, 64 * GIB), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &before);
    sigaction(SIGXFSZ, &before_action, NULL);
    CHECK_EQ(size_signals, 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ((size_t)st.st_size, MIB);

    CHECK_EQ(file_space_resize(fd, SIZE_MAX), -EFBIG);
    CHECK_EQ(file_space_resize(fd, (size_t)INT64_MAX + 1), -EFBIG);
    CHECK_EQ(file_space_resize(fd, 0), 0);
    CHECK_EQ(file_space_resize(-1, 0), -EBADF);
    close(fd);
}

static unsigned interruptions;

static bool interrupted(void)
{
    if (interruptions == 0)
        return false;
    interruptions--;
    errno = EINTR;
    return true;
}

static int ftruncate_interrupted(int fd, off_t length)
{
    return interrupted() ? -1 : ftruncate(fd, length);
}

static void test_resize_is_retried(void)
{
    const struct sys_calls real = sys;
    struct stat st;
    int fd = make_file(0);
    sys.ftruncate = ftruncate_interrupted;
    interruptions = 5;
    CHECK_EQ(file_space_resize(fd, MIB), 0);
    CHECK_EQ(interruptions, 0);
    sys = real;
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ((size_t)st.st_size, MIB);
    close(fd);
}

/* ---- mapping ----------------------------------------------------------- */

static int libpmem_error;
static int claimed_pmem;
static unsigned pmem_maps;
static size_t pmem_mapped;

static void *refuse_pmem_map(const char *path, size_t len, int flags,
                             mode_t mode, size_t *mapped_len, int *is_pmem)
{
    (void)path, (void)len, (void)flags, (void)mode;
    (void)mapped_len, (void)is_pmem;
    pmem_maps++;
    errno = libpmem_error;
    return NULL;
}

static void *pmem_map_claiming(const char *path, size_t len, int flags,
                               mode_t mode, size_t *mapped_len, int *is_pmem)
{
    void *base = pmem_map_file(path, len, flags, mode, mapped_len, is_pmem);
    pmem_maps++;
    pmem_mapped = *mapped_len;
    *is_pmem = claimed_pmem;
    return base;
}

/* As if the file had been resized meanwhile. */
static void *pmem_map_other_size(const char *path, size_t len, int flags,
                                 mode_t mode, size_t *mapped_len, int *is_pmem)
{
    (void)len;
    char *base = pmem_map_file(path, 0, flags, mode, mapped_len, is_pmem);
    REQUIRE_NOT_NULL(base);
    *mapped_len -= 4096;
    munmap(base + *mapped_len, 4096);
    return base;
}

static unsigned mmaps_to_refuse; /* bits: which of the next calls */

static void *refuse_mmap(void *addr, size_t len, int prot, int flags, int fd,
                         off_t offset)
{
    bool refused = mmaps_to_refuse & 1;
    mmaps_to_refuse >>= 1;
    if (!refused)
        return mmap(addr, len, prot, flags, fd, offset);
    errno = EACCES;
    return MAP_FAILED;
}

static int refuse_mprotect(void *addr, size_t size, int prot)
{
    (void)addr, (void)size, (void)prot;
    errno = EACCES;
    return -1;
}

/* Nothing can be touched; once it is opened, writes by the mapping are seen in
 * the file, and the other way round. */
static void check_mapping(int fd, size_t offset, struct mapping *mapping,
                          size_t size)
{
    unsigned char byte = 0;
    REQUIRE_NOT_NULL(mapping->base);
    CHECK_EQ(mapping->size, size);
    /* libpmem asks for such an address by a hint, which an emulator need not
     * follow. */
    if (getenv("MEMKIND_TEST_EMULATED") == NULL)
        CHECK_EQ((uintptr_t)mapping->base % (2 * MIB), 0);
    unsigned char *bytes = mapping->base;
    int ends[2];
    REQUIRE_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], bytes, 1), -1);
    CHECK_EQ(write(ends[1], bytes + size - 1, 1), -1);
    close(ends[0]);
    close(ends[1]);
    CHECK_EQ(address_space_open(bytes, size), 0);
    bytes[size - 1] = 17;
    CHECK_EQ(pread(fd, &byte, 1, (off_t)(offset + size - 1)), 1);
    CHECK_EQ(byte, 17);
    byte = 99;
    CHECK_EQ(pwrite(fd, &byte, 1, (off_t)offset), 1);
    CHECK_EQ(bytes[0], 99);
    file_mapping_unmap(mapping);
}

static void test_map(void)
{
    struct test_resources before;
    struct mapping mapping;
    int fd = make_file(16 * MIB);
    layer_resources_take(&before);
    for (size_t offset = 0; offset < 8 * MIB; offset += 2 * MIB) {
        REQUIRE_EQ(file_mapping_map(fd, offset, 8 * MIB, 0, &mapping), 0);
        CHECK(!(mapping.is_pmem || mapping.by_libpmem));
        check_mapping(fd, offset, &mapping, 8 * MIB);
    }
    CHECK(nothing_leaked(&before));
    close(fd);
}

static void test_map_pmem(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    struct mapping mapping;
    int fd = make_file(8 * MIB);
    /* What libpmem keeps. */
    REQUIRE_EQ(file_mapping_map_pmem(fd, 0, 8 * MIB, false, &mapping), 0);
    check_mapping(fd, 0, &mapping, 8 * MIB);
    layer_resources_take(&before);
    sys.pmem_map_file = pmem_map_claiming;
    claimed_pmem = 1;
    for (int durable = 0; durable < 2; durable++) {
        REQUIRE_EQ(file_mapping_map_pmem(fd, 0, 8 * MIB, durable, &mapping), 0);
        CHECK(mapping.is_pmem && mapping.by_libpmem);
        CHECK_EQ(pmem_mapped, 8 * MIB);
        check_mapping(fd, 0, &mapping, 8 * MIB);
        /* A part of a file is nothing for libpmem. */
        REQUIRE_EQ(
            file_mapping_map_pmem(fd, 4 * MIB, 4 * MIB, durable, &mapping), 0);
        CHECK(mapping.is_pmem && !mapping.by_libpmem);
        check_mapping(fd, 4 * MIB, &mapping, 4 * MIB);
    }
    sys = real;
    CHECK(nothing_leaked(&before));
    close(fd);
}

static void test_map_failures(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    struct mapping mapping;
    int fd = make_file(4 * MIB);
    layer_resources_take(&before);
    sys.mmap = refuse_mmap;
    mmaps_to_refuse = 3; /* for the second, alignment is not asked for */
    CHECK_EQ(file_mapping_map(fd, 0, 4 * MIB, 0, &mapping), -EACCES);
    mmaps_to_refuse = 2;
    CHECK_EQ(file_mapping_map(fd, 0, 4 * MIB, 0, &mapping), -EACCES);
    mmaps_to_refuse = 1;
    CHECK_EQ(file_mapping_map_pmem(fd, 0, 4 * MIB, false, &mapping), -EACCES);
    mmaps_to_refuse = 4;
    CHECK_EQ(file_mapping_map_pmem(fd, 2 * MIB, 2 * MIB, true, &mapping),
             -EACCES);
    mmaps_to_refuse = 0;
    sys.mprotect = refuse_mprotect;
    CHECK_EQ(file_mapping_map_pmem(fd, 0, 4 * MIB, true, &mapping), -EACCES);
    sys.pmem_map_file = pmem_map_other_size;
    CHECK_EQ(file_mapping_map_pmem(fd, 0, 4 * MIB, true, &mapping), -EINVAL);
    sys.pmem_map_file = refuse_pmem_map;
    libpmem_error = ENOMEM;
    CHECK_EQ(file_mapping_map_pmem(fd, 0, 4 * MIB, true, &mapping), -ENOMEM);
    sys = real;
    CHECK(nothing_leaked(&before));
    close(fd);
}

/* ---- asking libpmem ---------------------------------------------------- */

static bool file_is_empty(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size == 0 && st.st_blocks == 0;
}

static void test_libpmem_is_asked(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    bool is_pmem;
    int fd = make_file(0);
    CHECK_EQ(file_mapping_is_pmem(fd, &is_pmem), 0);
    layer_resources_take(&before);
    sys.pmem_map_file = pmem_map_claiming;
    for (claimed_pmem = 0; claimed_pmem < 2; claimed_pmem++) {
        is_pmem = claimed_pmem == 0;
        CHECK_EQ(file_mapping_is_pmem(fd, &is_pmem), 0);
        CHECK_EQ(is_pmem, claimed_pmem == 1);
        /* By a mapping so small that it costs nothing to fill it. */
        CHECK_LE(pmem_mapped, 64 * KIB);
        CHECK(file_is_empty(fd));
    }
    sys = real;
    CHECK(nothing_leaked(&before));
    close(fd);
}

static void test_libpmem_that_cannot_say(void)
{
    static const int unknown[] = {ENOENT, EACCES, EPERM, EINVAL};
    static const int no_room[] = {ENOMEM, EAGAIN, EMFILE, ENFILE};
    const struct sys_calls real = sys;
    struct test_resources before;
    int fd = make_file(0);
    layer_resources_take(&before);
    sys.pmem_map_file = refuse_pmem_map;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        bool is_pmem = true;
        libpmem_error = unknown[i];
        pmem_maps = 0;
        CHECK_EQ(file_mapping_is_pmem(fd, &is_pmem), 0);
        CHECK(!is_pmem);
        /* Both names of the descriptor are tried, in case one is not there. */
        CHECK_EQ(pmem_maps, unknown[i] == ENOENT ? 2 : 1);
    }
    for (size_t i = 0; i < sizeof no_room / sizeof no_room[0]; i++) {
        bool is_pmem;
        libpmem_error = no_room[i];
        CHECK_EQ(file_mapping_is_pmem(fd, &is_pmem), -no_room[i]);
    }
    sys = real;
    CHECK(file_is_empty(fd));
    CHECK(nothing_leaked(&before));
    close(fd);
}

/* ---- file space -------------------------------------------------------- */

static void test_allocate_and_punch(void)
{
    const size_t size = 16 * MIB;
    struct mapping mapping;
    bool no_fallocate = false;
    int fd = make_file(size);
    REQUIRE_EQ(file_mapping_map(fd, 0, size, 0, &mapping), 0);
    char *bytes = mapping.base;
    REQUIRE_EQ(address_space_open(bytes, size), 0);
    CHECK_EQ(file_bytes(fd), 0);

    CHECK_EQ(file_space_allocate(fd, 4 * MIB, 4 * MIB, &no_fallocate), 0);
    CHECK(!no_fallocate);
    CHECK_GE(file_bytes(fd), 4 * MIB);
    CHECK_LT(file_bytes(fd), 5 * MIB);
    CHECK(is_zero(bytes + 4 * MIB, 4 * MIB));
    test_fill(bytes + 4 * MIB, 4 * MIB, 1);

    CHECK_EQ(file_space_punch(fd, 5 * MIB, MIB), 0);
    CHECK_GE(file_bytes(fd), 3 * MIB);
    CHECK_LT(file_bytes(fd), 4 * MIB);
    CHECK_EQ(file_space_allocate(fd, 5 * MIB, MIB, &no_fallocate), 0);
    CHECK(is_zero(bytes + 5 * MIB, MIB));
    CHECK(test_check(bytes + 4 * MIB, MIB, 1));

    CHECK_EQ(file_space_punch(fd, 0, size), 0);
    CHECK_LT(file_bytes(fd), MIB);
    struct stat st;
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ((size_t)st.st_size, size);
    file_mapping_unmap(&mapping);
    close(fd);
}

/* A file system that writes down its steps. */
static struct {
    size_t at;           /* the next step has to begin here */
    size_t largest;      /* step that was asked for */
    size_t interrupt_at; /* steps above this are interrupted */
    unsigned fail_at;    /* the step, from 1, that finds the disk full */
    unsigned steps;
    unsigned punches;
    bool gap;
    bool real;
} steps;

static int fallocate_in_steps(int fd, int mode, off_t offset, off_t len)
{
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        steps.punches++;
        return interrupted() ? -1 : fallocate(fd, mode, offset, len);
    }
    if ((size_t)len > steps.largest)
        steps.largest = (size_t)len;
    if (interrupted())
        return -1;
    if ((size_t)len > steps.interrupt_at) {
        errno = EINTR;
        return -1;
    }
    if (++steps.steps == steps.fail_at) {
        /* As ext4, which keeps what it got. */
        if (steps.real)
            CHECK_EQ(fallocate(fd, mode, offset, len / 2), 0);
        errno = ENOSPC;
        return -1;
    }
    steps.gap = steps.gap || (size_t)offset != steps.at;
    steps.at = (size_t)(offset + len);
    return steps.real ? fallocate(fd, mode, offset, len) : 0;
}

static void steps_reset(size_t at, bool real)
{
    memset(&steps, 0, sizeof steps);
    steps.at = at;
    steps.interrupt_at = SIZE_MAX;
    steps.real = real;
}

static void test_interrupted_allocation_takes_smaller_steps(void)
{
    if (!test_has_space(512 * MIB)) /* which is looked for, and not taken */
        return;
    const struct sys_calls real = sys;
    bool no_fallocate = false;
    int fd = make_file(GIB);
    sys.fallocate = fallocate_in_steps;

    steps_reset(MIB, false);
    CHECK_EQ(file_space_allocate(fd, MIB, 500 * MIB, &no_fallocate), 0);
    CHECK_EQ(steps.at, 501 * MIB);
    CHECK(!steps.gap);
    size_t largest = steps.largest;
    CHECK_LE(largest, 64 * MIB);

    steps_reset(MIB, false);
    steps.interrupt_at = MIB;
    CHECK_EQ(file_space_allocate(fd, MIB, 500 * MIB, &no_fallocate), 0);
    CHECK_EQ(steps.at, 501 * MIB);
    CHECK(!steps.gap);
    CHECK_GE(steps.steps, 500);

    /* The least step is tried again and again. */
    steps_reset(0, false);
    interruptions = 50;
    CHECK_EQ(file_space_allocate(fd, 0, 3 * MIB + 4096, &no_fallocate), 0);
    CHECK_EQ(interruptions, 0);
    CHECK_EQ(steps.at, 3 * MIB + 4096);
    CHECK(!steps.gap);
    CHECK(!no_fallocate);
    sys = real;
    close(fd);
}

static void test_full_disk_leaves_no_blocks(void)
{
    const struct sys_calls real = sys;
    bool no_fallocate = false;
    int fd = make_file(GIB);
    sys.fallocate = fallocate_in_steps;
    for (unsigned step = 1; step <= 4; step++) {
        steps_reset(0, true);
        steps.interrupt_at = MIB;
        steps.fail_at = step;
        CHECK_EQ(file_space_allocate(fd, 0, 8 * MIB, &no_fallocate), -ENOSPC);
        CHECK_EQ(steps.steps, step);
        CHECK_LT(file_bytes(fd), 64 * KIB);
        CHECK(!no_fallocate);
    }
    sys = real;
    close(fd);
}

static void test_punch_is_retried(void)
{
    const struct sys_calls real = sys;
    bool no_fallocate = false;
    int fd = make_file(MIB);
    sys.fallocate = fallocate_in_steps;
    steps_reset(0, true);
    CHECK_EQ(file_space_allocate(fd, 0, MIB, &no_fallocate), 0);
    interruptions = 3;
    CHECK_EQ(file_space_punch(fd, 0, MIB), 0);
    CHECK_EQ(steps.punches, 4);
    CHECK_LT(file_bytes(fd), 64 * KIB);
    sys = real;
    close(fd);
}

/* ---- file systems without fallocate(2) --------------------------------- */

static int fallocate_error;
static unsigned fallocate_calls;
static bool punch_works;
static size_t disk_left; /* bytes that pwrite() can still place */

static int refuse_fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (punch_works && (mode & FALLOC_FL_PUNCH_HOLE))
        return fallocate(fd, mode, offset, len);
    fallocate_calls++;
    errno = fallocate_error;
    return -1;
}

static ssize_t pwrite_in_pieces(int fd, const void *buf, size_t count,
                                off_t offset)
{
    if (interrupted())
        return -1;
    if (count > 5000)
        count = 5000;
    if (count > disk_left) {
        errno = ENOSPC;
        return -1;
    }
    disk_left -= count;
    return pwrite(fd, buf, count, offset);
}

static ssize_t pwrite_nothing(int fd, const void *buf, size_t count,
                              off_t offset)
{
    (void)fd, (void)buf, (void)count, (void)offset;
    return 0;
}

static void test_allocate_by_writing(void)
{
    static const int answers[] = {EOPNOTSUPP, ENOSYS};
    const struct sys_calls real = sys;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        bool no_fallocate = false;
        int fd = make_file(4 * MIB);
        sys.fallocate = refuse_fallocate;
        sys.pwrite = pwrite_in_pieces;
        fallocate_error = answers[i];
        fallocate_calls = 0;
        interruptions = 7;
        disk_left = SIZE_MAX;
        CHECK_EQ(file_space_allocate(fd, MIB, MIB, &no_fallocate), 0);
        CHECK(no_fallocate);
        CHECK_EQ(fallocate_calls, 1);
        CHECK_GE(file_bytes(fd), MIB);
        CHECK_LT(file_bytes(fd), 2 * MIB);
        char page[4096];
        CHECK_EQ(pread(fd, page, sizeof page, (off_t)(2 * MIB - 4096)), 4096);
        CHECK(is_zero(page, sizeof page));

        /* The call is not made a second time. */
        CHECK_EQ(file_space_allocate(fd, 0, 4096, &no_fallocate), 0);
        CHECK_EQ(fallocate_calls, 1);
        struct stat st;
        CHECK_EQ(fstat(fd, &st), 0);
        CHECK_EQ((size_t)st.st_size, 4 * MIB);

        CHECK_EQ(file_space_punch(fd, 0, 4096), -answers[i]);
        sys = real;
        close(fd);
    }
}

static void test_full_disk_while_writing(void)
{
    const struct sys_calls real = sys;
    bool no_fallocate = false;
    int fd = make_file(4 * MIB);
    sys.fallocate = refuse_fallocate;
    sys.pwrite = pwrite_in_pieces;
    fallocate_error = EOPNOTSUPP;
    punch_works = true;
    disk_left = MIB;
    CHECK_EQ(file_space_allocate(fd, 0, 2 * MIB, &no_fallocate), -ENOSPC);
    CHECK_LT(file_bytes(fd), 64 * KIB);
    sys.pwrite = pwrite_nothing;
    CHECK_EQ(file_space_allocate(fd, 0, 2 * MIB, &no_fallocate), -ENOSPC);
    punch_works = false;
    sys = real;
    close(fd);
}

/* ---- the file system --------------------------------------------------- */

static void test_devices(void)
{
    CHECK(region_file_is_device("/dev/null"));
    CHECK(!region_file_is_device(test_dir()));
    CHECK(!region_file_is_device(test_path("missing")));
    /* A descriptor that cannot be mapped. */
    CHECK_EQ(dax_device_open("/dev/null"), -ENOTDIR);
    CHECK_EQ(dax_device_open(test_path("missing")), -ENOENT);
    bool unused;
    CHECK_EQ(region_file_probe_dax("/dev/null", &unused), -ENOTDIR);
}

static void test_holes(void)
{
    struct stat st;
    int fd = make_file(0);
    CHECK(file_space_has_holes(fd));
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(file_bytes(fd), 0);
    close(fd);
}

static void test_probe_dax(void)
{
    const struct sys_calls real = sys;
    struct test_resources before;
    layer_resources_take(&before);
    sys.pmem_map_file = pmem_map_claiming;
    for (claimed_pmem = 0; claimed_pmem < 2; claimed_pmem++) {
        bool is_dax = !claimed_pmem;
        CHECK_EQ(region_file_probe_dax(test_dir(), &is_dax), 0);
        CHECK_EQ(is_dax, claimed_pmem != 0);
    }
    bool unused;
    libpmem_error = ENOMEM;
    sys.pmem_map_file = refuse_pmem_map;
    CHECK_EQ(region_file_probe_dax(test_dir(), &unused), -ENOMEM);
    sys = real;
    CHECK_EQ(region_file_probe_dax(test_path("missing"), &unused), -ENOENT);
    CHECK(nothing_leaked(&before));
    CHECK_EQ(names_in_directory(), 0);
}

static const struct test_case tests[] = {
    {"new file is private", test_new_file_is_private},
    {"new file without O_TMPFILE", test_new_file_without_tmpfile},
    {"other errors of O_TMPFILE stay", test_other_errors_of_tmpfile_stay},
    {"name that cannot be removed", test_name_that_cannot_be_removed},
    {"names that are all taken", test_names_that_are_all_taken},
    {"directories without a path", test_directories_without_a_path},
    {"descriptors are none of the standard ones",
     test_descriptors_are_none_of_the_standard_ones},
    {"bad directories", test_bad_directories},
    {"directory of another user", test_directory_of_another_user},
    {"resize within limits", test_resize_within_limits},
    {"resize is retried", test_resize_is_retried},
    {"map", test_map},
    {"map persistent memory", test_map_pmem},
    {"map failures", test_map_failures},
    {"libpmem is asked", test_libpmem_is_asked},
    {"libpmem that cannot say", test_libpmem_that_cannot_say},
    {"allocate and punch", test_allocate_and_punch},
    {"interrupted allocation takes smaller steps",
     test_interrupted_allocation_takes_smaller_steps},
    {"full disk leaves no blocks", test_full_disk_leaves_no_blocks},
    {"punch is retried", test_punch_is_retried},
    {"allocate by writing", test_allocate_by_writing},
    {"full disk while writing", test_full_disk_while_writing},
    {"holes", test_holes},
    {"devices", test_devices},
    {"probe DAX", test_probe_dax},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("region file", tests, argc, argv);
}
