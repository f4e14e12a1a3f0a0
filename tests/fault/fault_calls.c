/* SPDX-License-Identifier: BSD-2-Clause */
#include "fault_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "sys_calls.h"

/* Headers may not have it. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Each with the errors that it can have, the likeliest first. */
static const struct {
    const char *name;
    int errors[8];
} calls[FAULT_CALLS] = {
    [FAULT_OPEN] = {"open", {EMFILE, ENFILE, EACCES, ENOSPC, EROFS, EINTR}},
    [FAULT_CREATE] = {"openat(O_CREAT)",
                      {EMFILE, ENOSPC, EACCES, EEXIST, EDQUOT}},
    [FAULT_UNLINK] = {"unlinkat", {EACCES, EIO}},
    [FAULT_CLOSE] = {"close", {EIO, EINTR, EDQUOT}},
    [FAULT_DUP] = {"fcntl(F_DUPFD_CLOEXEC)", {EMFILE, EINVAL}},
    [FAULT_GET_FLAGS] = {"fcntl(F_GETFL)", {EBADF}},
    [FAULT_FLOCK] = {"flock", {EWOULDBLOCK, ENOLCK, EINTR}},
    [FAULT_FCHMOD] = {"fchmod", {EPERM, EIO, EROFS}},
    [FAULT_STAT] = {"stat", {ENOENT, EACCES, ENOMEM, EIO}},
    [FAULT_FSTAT] = {"fstat", {EIO, ENOMEM}},
    [FAULT_FSTATFS] = {"fstatfs", {EIO, ENOSYS, EINTR}},
    [FAULT_FSTATVFS] = {"fstatvfs", {EIO, ENOSYS, EINTR}},
    [FAULT_REALPATH] = {"realpath", {ENOENT, EACCES, ENOMEM, ENAMETOOLONG}},
    [FAULT_GETRLIMIT] = {"getrlimit", {EINVAL}},
    [FAULT_GETCPU] = {"getcpu", {ENOSYS, EPERM}},
    [FAULT_FTRUNCATE] = {"ftruncate", {EFBIG, ENOSPC, EIO, EPERM, EINTR}},
    [FAULT_FADVISE] = {"posix_fadvise", {EINVAL, EBADF}},
    [FAULT_IOCTL] = {"ioctl", {ENOTTY, EPERM, EOPNOTSUPP, EIO}},
    [FAULT_CAPGET] = {"capget", {EPERM, EINVAL}},
    [FAULT_FALLOCATE] = {"fallocate",
                         {ENOSPC, EDQUOT, EIO, ENOMEM, EINTR, ENOSYS,
                          EOPNOTSUPP}},
    [FAULT_PUNCH] = {"fallocate(PUNCH_HOLE), madvise(MADV_REMOVE)",
                     {EOPNOTSUPP, EIO, ENOSPC, ENOMEM, EINTR, ENOSYS}},
    [FAULT_FIEMAP] = {"ioctl(FS_IOC_FIEMAP)",
                      {EIO, EOPNOTSUPP, ENOTTY, ENOMEM, EINTR, ENOSYS}},
    [FAULT_FSYNC] = {"fsync", {EIO, ENOSPC, EDQUOT}},
    [FAULT_MEMFD] = {"memfd_create", {EMFILE, ENFILE, ENOMEM, EINVAL, EACCES}},
    [FAULT_SEAL] = {"fcntl(F_ADD_SEALS)", {EBUSY, EPERM, EINVAL}},
    [FAULT_PREAD] = {"pread", {EIO, ENOMEM}},
    [FAULT_PWRITE] = {"pwrite", {ENOSPC, EDQUOT, EIO, EINTR}},
    [FAULT_MMAP] = {"mmap", {ENOMEM, EAGAIN, EPERM}},
    [FAULT_MUNMAP] = {"munmap", {ENOMEM}},
    [FAULT_MREMAP] = {"mremap", {ENOMEM, EINVAL, EFAULT, EAGAIN}},
    [FAULT_SYNC_RANGE] = {"sync_file_range", {EIO, ENOSPC, ENOMEM, ESPIPE}},
    [FAULT_MINCORE] = {"mincore", {EAGAIN, ENOMEM}},
    [FAULT_MADVISE] = {"madvise", {ENOMEM, EINVAL, EAGAIN, EIO}},
    [FAULT_POPULATE] = {"madvise(MADV_POPULATE_WRITE)",
                        {EFAULT, ENOMEM, EINVAL, EHWPOISON, EINTR, ENOSYS}},
    [FAULT_MPROTECT] = {"mprotect", {ENOMEM, EACCES}},
    [FAULT_MBIND] = {"mbind", {ENOMEM, EPERM, EINVAL, ENOSYS}},
    [FAULT_PTHREAD_CREATE] = {"pthread_create", {EAGAIN, EPERM}},
    [FAULT_PMEM_MAP] = {"pmem_map_file",
                        {ENOMEM, EAGAIN, ENOENT, EACCES, EINVAL, EMFILE}},
    [FAULT_PMEM_UNMAP] = {"pmem_unmap", {ENOMEM}},
    [FAULT_PMEM_MSYNC] = {"pmem_msync", {EIO, ENOMEM}},
};

/* How much of a fallocate(2) that fails is done; more would only take time. */
#define KEPT_MAX (64 << 10)

static struct sys_calls real;
static struct fault_world world;

/* Set while no call that is chosen is being made. */
static uint64_t chosen;
static unsigned first;
static bool stays;
static int wanted_error;

/* Calls that ask for the places of blocks: so many answer with a wrong place,
 * then one with a right one. */
#define UNALIGNED_ANSWERS 4
static _Atomic unsigned answers;

static _Atomic unsigned seen, injected;
static _Atomic int first_call = FAULT_CALLS;
static _Atomic int last_error;
static atomic_bool lifted = true;

const char *fault_call_name(enum fault_call call)
{
    return call < FAULT_CALLS ? calls[call].name : "none";
}

const int *fault_errors(enum fault_call call)
{
    return calls[call].errors;
}

void fault_set(uint64_t which, unsigned at, bool for_good, int error)
{
    chosen = which;
    first = at;
    stays = for_good;
    wanted_error = error;
    atomic_store(&answers, 0);
    atomic_store(&seen, 0);
    atomic_store(&injected, 0);
    atomic_store(&first_call, FAULT_CALLS);
    atomic_store(&last_error, 0);
    atomic_store(&lifted, false);
}

void fault_lift(void)
{
    atomic_store(&lifted, true);
}

bool fault_hit(void)
{
    return atomic_load(&injected) != 0;
}

enum fault_call fault_hit_call(void)
{
    return (enum fault_call)atomic_load(&first_call);
}

int fault_last_error(void)
{
    return atomic_load(&last_error);
}

unsigned fault_injected(void)
{
    return atomic_load(&injected);
}

unsigned fault_seen(void)
{
    return atomic_load(&seen);
}

/* A different one at each point of a walk. */
static int error_by_turns(enum fault_call call, unsigned turn)
{
    size_t count = 0;
    while (calls[call].errors[count] != 0)
        count++;
    return calls[call].errors[turn % count];
}

static int fails_with(enum fault_call call)
{
    if (atomic_load(&lifted) || (chosen & FAULT_BIT(call)) == 0)
        return 0;
    unsigned number = atomic_fetch_add(&seen, 1) + 1;
    if (number < first || (number > first && !stays))
        return 0;
    int error = wanted_error != 0 ? wanted_error : error_by_turns(call, number);
    /* Who is interrupted may try again until he is not. */
    if (stays && error == EINTR)
        error = calls[call].errors[0];
    int none = FAULT_CALLS;
    atomic_compare_exchange_strong(&first_call, &none, (int)call);
    atomic_store(&last_error, error);
    atomic_fetch_add(&injected, 1);
    return error;
}

static bool fails(enum fault_call call)
{
    int error = fails_with(call);
    if (error != 0)
        errno = error;
    return error != 0;
}

/* ---- the calls --------------------------------------------------------- */

static int fault_open(const char *path, int flags, mode_t mode)
{
    return fails(FAULT_OPEN) ? -1 : real.open(path, flags, mode);
}

static int fault_openat(int dir, const char *name, int flags, mode_t mode)
{
    if (fails((flags & O_CREAT) != 0 ? FAULT_CREATE : FAULT_OPEN))
        return -1;
    if (world.no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return real.openat(dir, name, flags, mode);
}

static int fault_unlinkat(int dir, const char *name, int flags)
{
    return fails(FAULT_UNLINK) ? -1 : real.unlinkat(dir, name, flags);
}

static int fault_close(int fd)
{
    int result = real.close(fd);
    return fails(FAULT_CLOSE) ? -1 : result;
}

static int fault_dup_cloexec(int fd)
{
    return fails(FAULT_DUP) ? -1 : real.dup_cloexec(fd);
}

static int fault_get_flags(int fd)
{
    return fails(FAULT_GET_FLAGS) ? -1 : real.get_flags(fd);
}

static int fault_flock(int fd, int operation)
{
    return fails(FAULT_FLOCK) ? -1 : real.flock(fd, operation);
}

static int fault_fchmod(int fd, mode_t mode)
{
    return fails(FAULT_FCHMOD) ? -1 : real.fchmod(fd, mode);
}

static int fault_stat(const char *path, struct stat *st)
{
    return fails(FAULT_STAT) ? -1 : real.stat(path, st);
}

static int fault_fstat(int fd, struct stat *st)
{
    if (fails(FAULT_FSTAT))
        return -1;
    int result = real.fstat(fd, st);
    if (result == 0 && world.no_holes)
        st->st_blocks = st->st_size / 512;
    return result;
}

static int fault_fstatfs(int fd, struct statfs *fs)
{
    if (fails(FAULT_FSTATFS))
        return -1;
    int result = real.fstatfs(fd, fs);
    if (result == 0 && world.no_holes)
        fs->f_type = MSDOS_SUPER_MAGIC;
    if (result == 0 && world.reads_ahead)
        fs->f_type = NFS_SUPER_MAGIC;
    if (result == 0 && (world.has_huge_pages || world.is_in_memory))
        fs->f_type = TMPFS_MAGIC;
    return result;
}

static int fault_fstatvfs(int fd, struct statvfs *fs)
{
    return fails(FAULT_FSTATVFS) ? -1 : real.fstatvfs(fd, fs);
}

static char *fault_realpath(const char *path, char *resolved)
{
    return fails(FAULT_REALPATH) ? NULL : real.realpath(path, resolved);
}

static int fault_get_file_size_limit(struct rlimit *limit)
{
    return fails(FAULT_GETRLIMIT) ? -1 : real.get_file_size_limit(limit);
}

static int fault_get_descriptor_limit(struct rlimit *limit)
{
    return fails(FAULT_GETRLIMIT) ? -1 : real.get_descriptor_limit(limit);
}

static int fault_get_node(unsigned *node)
{
    return fails(FAULT_GETCPU) ? -1 : real.get_node(node);
}

static int fault_ftruncate(int fd, off_t length)
{
    return fails(FAULT_FTRUNCATE) ? -1 : real.ftruncate(fd, length);
}

static int fault_fadvise(int fd, off_t offset, off_t len, int advice)
{
    int error = fails_with(FAULT_FADVISE);
    return error != 0 ? error : real.fadvise(fd, offset, len, advice);
}

static int fault_ioctl(int fd, unsigned long request, int *flags)
{
    return fails(FAULT_IOCTL) ? -1 : real.ioctl(fd, request, flags);
}

static int fault_capget(struct __user_cap_header_struct *header,
                        struct __user_cap_data_struct *data)
{
    return fails(FAULT_CAPGET) ? -1 : real.capget(header, data);
}

/* By either call. */
static bool punch_fails(void)
{
    if (fails(FAULT_PUNCH))
        return true;
    errno = EOPNOTSUPP;
    return world.no_punch;
}

static int fault_fallocate(int fd, int mode, off_t offset, off_t len)
{
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0)
        return punch_fails() ? -1 : real.fallocate(fd, mode, offset, len);
    int error = fails_with(FAULT_FALLOCATE);
    if (error == 0 && world.no_fallocate)
        error = EOPNOTSUPP;
    if (error == 0)
        return real.fallocate(fd, mode, offset, len);
    /* Like ext4, which keeps what it got. */
    if (error == ENOSPC || error == EDQUOT)
        (void)!real.fallocate(fd, mode, offset,
                              len / 2 < KEPT_MAX ? len / 2 : KEPT_MAX);
    errno = error;
    return -1;
}

static int fault_fiemap(int fd, struct file_extents *extents)
{
    if (fails(FAULT_FIEMAP))
        return -1;
    if (!world.is_unaligned)
        return real.fiemap(fd, extents);
    bool wrong = atomic_fetch_add(&answers, 1) % (UNALIGNED_ANSWERS + 1) !=
                 UNALIGNED_ANSWERS;
    extents->mapped = 1;
    extents->list[0] = (struct fiemap_extent){
        .fe_logical = extents->start,
        .fe_physical = extents->start + (wrong ? 64 << 10 : 0),
        .fe_length = extents->length,
    };
    return 0;
}

static int fault_fsync(int fd)
{
    return fails(FAULT_FSYNC) ? -1 : real.fsync(fd);
}

static int fault_memfd_create(const char *name, unsigned flags)
{
    return fails(FAULT_MEMFD) ? -1 : real.memfd_create(name, flags);
}

static int fault_add_seals(int fd, int seals)
{
    return fails(FAULT_SEAL) ? -1 : real.add_seals(fd, seals);
}

static ssize_t fault_pread(int fd, void *buf, size_t count, off_t offset)
{
    return fails(FAULT_PREAD) ? -1 : real.pread(fd, buf, count, offset);
}

static ssize_t fault_pwrite(int fd, const void *buf, size_t count, off_t offset)
{
    if (!fails(FAULT_PWRITE))
        return real.pwrite(fd, buf, count, offset);
    int error = errno;
    if (error != EINTR)
        (void)!real.pwrite(fd, buf, count / 2, offset);
    errno = error;
    return -1;
}

static void forget_refused(const void *addr, size_t len);

static void *fault_mmap(void *addr, size_t len, int prot, int flags, int fd,
                        off_t offset)
{
    if (fails(FAULT_MMAP))
        return MAP_FAILED;
    if ((flags & MAP_FIXED) != 0)
        forget_refused(addr, len);
    return real.mmap(addr, len, prot, flags, fd, offset);
}

/* What could not be unmapped, and is in use no more. The address is NULL if the
 * library has unmapped it later, or mapped something there. */
#define REFUSED_MAX 4096

static struct {
    void *_Atomic addr;
    size_t len;
    bool by_libpmem;
} refused[REFUSED_MAX];
static atomic_uint refused_count;

static int refuse_unmap(void *addr, size_t len, bool by_libpmem)
{
    int saved_errno = errno;
    unsigned i = atomic_fetch_add(&refused_count, 1);
    if (i < REFUSED_MAX) {
        refused[i].len = len;
        refused[i].by_libpmem = by_libpmem;
        atomic_store(&refused[i].addr, addr);
    }
    errno = saved_errno;
    return -1;
}

static void forget_refused(const void *addr, size_t len)
{
    const unsigned count = atomic_load(&refused_count);
    const uintptr_t from = (uintptr_t)addr;
    for (unsigned i = 0; i < count && i < REFUSED_MAX; i++) {
        void *there = atomic_load(&refused[i].addr);
        if (there != NULL && (uintptr_t)there < from + len &&
            from < (uintptr_t)there + refused[i].len)
            (void)atomic_compare_exchange_strong(&refused[i].addr, &there,
                                                 NULL);
    }
}

void fault_unmap_refused(void)
{
    unsigned count = atomic_exchange(&refused_count, 0);
    for (unsigned i = 0; i < count && i < REFUSED_MAX; i++) {
        void *addr = atomic_exchange(&refused[i].addr, NULL);
        if (addr != NULL)
            (void)(refused[i].by_libpmem ? real.pmem_unmap
                                         : real.munmap)(addr, refused[i].len);
    }
}

static int fault_munmap(void *addr, size_t len)
{
    if (fails(FAULT_MUNMAP))
        return refuse_unmap(addr, len, false);
    forget_refused(addr, len);
    return real.munmap(addr, len);
}

static void *fault_mremap(void *addr, size_t len, size_t new_len, int flags,
                          void *new_addr)
{
    return fails(FAULT_MREMAP)
               ? MAP_FAILED
               : real.mremap(addr, len, new_len, flags, new_addr);
}

static int fault_sync_file_range(int fd, off_t offset, off_t len,
                                 unsigned flags)
{
    return fails(FAULT_SYNC_RANGE)
               ? -1
               : real.sync_file_range(fd, offset, len, flags);
}

static int fault_mincore(void *addr, size_t len, unsigned char *pages)
{
    return fails(FAULT_MINCORE) ? -1 : real.mincore(addr, len, pages);
}

#define HUGE_PAGE ((uintptr_t)2 << 20)

/* Whether huge pages were asked for last. */
static atomic_bool wants_huge_pages;

/* What fails keeps a part. */
static int fault_populate(char *addr, size_t len)
{
    const bool is_huge = world.has_huge_pages && atomic_load(&wants_huge_pages);
    const uintptr_t unit = is_huge ? HUGE_PAGE : 1;
    const uintptr_t before = (uintptr_t)addr & (unit - 1);
    if (!fails(FAULT_POPULATE))
        return real.madvise(addr - before, (len + before + unit - 1) & -unit,
                            MADV_POPULATE_WRITE);
    const int error = errno;
    if (error != EINVAL && error != ENOSYS)
        (void)real.madvise(addr, len < KEPT_MAX ? len : KEPT_MAX,
                           MADV_POPULATE_WRITE);
    errno = error;
    return -1;
}

static int fault_madvise(void *addr, size_t len, int advice)
{
    if (advice == MADV_POPULATE_WRITE)
        return fault_populate(addr, len);
    if (advice == MADV_REMOVE ? punch_fails() : fails(FAULT_MADVISE))
        return -1;
    if (advice == MADV_HUGEPAGE || advice == MADV_NOHUGEPAGE)
        atomic_store(&wants_huge_pages, advice == MADV_HUGEPAGE);
    return real.madvise(addr, len, advice);
}

static int fault_mprotect(void *addr, size_t len, int prot)
{
    return fails(FAULT_MPROTECT) ? -1 : real.mprotect(addr, len, prot);
}

static int fault_pthread_create(pthread_t *thread,
                                const pthread_attr_t *attributes,
                                void *(*start)(void *), void *argument)
{
    int error = fails_with(FAULT_PTHREAD_CREATE);
    if (error != 0)
        return error;
    return real.pthread_create(thread, attributes, start, argument);
}

static int fault_mbind(void *addr, size_t len, int mode,
                       const unsigned long *nodes, unsigned long bits)
{
    return fails(FAULT_MBIND) ? -1 : real.mbind(addr, len, mode, nodes, bits);
}

static void *fault_pmem_map_file(const char *path, size_t len, int flags,
                                 mode_t mode, size_t *mapped_len, int *is_pmem)
{
    if (fails(FAULT_PMEM_MAP))
        return NULL;
    if (world.no_libpmem) {
        errno = ENOENT;
        return NULL;
    }
    void *base =
        real.pmem_map_file(path, len, flags, mode, mapped_len, is_pmem);
    if (base != NULL)
        *is_pmem = world.pmem;
    return base;
}

static int fault_pmem_unmap(void *addr, size_t len)
{
    if (fails(FAULT_PMEM_UNMAP))
        return refuse_unmap(addr, len, true);
    forget_refused(addr, len);
    return real.pmem_unmap(addr, len);
}

static int fault_pmem_msync(const void *addr, size_t len)
{
    return fails(FAULT_PMEM_MSYNC) ? -1 : real.pmem_msync(addr, len);
}

void fault_install(struct fault_world what)
{
    real = sys;
    world = what;
    fault_lift();
    sys.open = fault_open;
    sys.openat = fault_openat;
    sys.unlinkat = fault_unlinkat;
    sys.close = fault_close;
    sys.dup_cloexec = fault_dup_cloexec;
    sys.get_flags = fault_get_flags;
    sys.flock = fault_flock;
    sys.fchmod = fault_fchmod;
    sys.stat = fault_stat;
    sys.fstat = fault_fstat;
    sys.fstatfs = fault_fstatfs;
    sys.fstatvfs = fault_fstatvfs;
    sys.realpath = fault_realpath;
    sys.get_file_size_limit = fault_get_file_size_limit;
    sys.get_descriptor_limit = fault_get_descriptor_limit;
    sys.get_node = fault_get_node;
    sys.ftruncate = fault_ftruncate;
    sys.fadvise = fault_fadvise;
    sys.ioctl = fault_ioctl;
    sys.capget = fault_capget;
    sys.fallocate = fault_fallocate;
    sys.fiemap = fault_fiemap;
    sys.fsync = fault_fsync;
    sys.memfd_create = fault_memfd_create;
    sys.add_seals = fault_add_seals;
    sys.pread = fault_pread;
    sys.pwrite = fault_pwrite;
    sys.mmap = fault_mmap;
    sys.munmap = fault_munmap;
    sys.mremap = fault_mremap;
    sys.sync_file_range = fault_sync_file_range;
    sys.mincore = fault_mincore;
    sys.madvise = fault_madvise;
    sys.mprotect = fault_mprotect;
    sys.mbind = fault_mbind;
    sys.pthread_create = fault_pthread_create;
    sys.pmem_map_file = fault_pmem_map_file;
    sys.pmem_unmap = fault_pmem_unmap;
    sys.pmem_msync = fault_pmem_msync;
}

void fault_remove(void)
{
    sys = real;
}
