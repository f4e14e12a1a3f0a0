/* SPDX-License-Identifier: BSD-2-Clause */
#include "fork_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "coarse_clock.h"
#include "descriptor.h"
#include "file_space.h"
#include "page_size.h"
#include "ranked_lock.h"
#include "sys_calls.h"

/* Headers may not have them. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static struct ranked_lock mark_lock = RANKED_LOCK_INITIALIZER(RANK_FORK_MARK);

/* The file; guarded by the lock. It is there before it is needed, so that a
 * process without a free descriptor can fork; -1 if that failed. */
static int mark_fd = -1;
static struct file_identity mark_identity;
static void *mark; /* its page, while fork() is under way */
static bool is_forking;
static int64_t held_at_ms; /* when it was asked for last */
/* The file's descriptor was closed by the program: children that have the mark
 * cannot be asked for any more. */
static bool is_unknown;
static atomic_bool may_be_held;

/* ---- the file ---- */

static int make_file(void)
{
    static const char name[] = "memkind-fork";
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    /* A system may want it said that the file is no program. */
    int fd = sys.memfd_create(name, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = sys.memfd_create(name, flags);
    return descriptor_above_standard(fd < 0 ? -errno : fd);
}

static int open_file(void)
{
    int fd = make_file();
    if (fd < 0)
        return fd;
    int result = descriptor_identify(fd, &mark_identity);
    if (result == 0)
        result = file_space_resize(fd, region_page_size());
    if (result != 0) {
        sys.close(fd);
        return result;
    }
    return fd;
}

/* Whether the number is still the file's: 0; -EBADF if it is not; another
 * negative errno if that is not known now. */
static int check_mark_file(void)
{
    struct file_identity identity;
    int result = descriptor_identify(mark_fd, &identity);
    if (result != 0)
        return result;
    return identity.device == mark_identity.device &&
                   identity.inode == mark_identity.inode
               ? 0
               : -EBADF;
}

static void lose_file(void)
{
    mark_fd = -1;
    is_unknown |= atomic_load(&may_be_held);
}

static void keep_file(void)
{
    if (mark_fd < 0)
        mark_fd = open_file();
    if (mark_fd < 0)
        mark_fd = -1;
}

int fork_mark_probe(void)
{
    int fd = make_file();
    if (fd < 0)
        return fd;
    int result = sys.add_seals(fd, F_SEAL_WRITE) == 0 ? 0 : -errno;
    sys.close(fd);
    ranked_lock_take(&mark_lock);
    if (result == 0)
        keep_file();
    ranked_lock_release(&mark_lock);
    return result;
}

/* ---- around fork ---- */

static bool map_mark(void)
{
    const int checked = mark_fd >= 0 ? check_mark_file() : 0;
    if (checked == -EBADF)
        lose_file();
    else if (checked != 0)
        return false;
    keep_file();
    if (mark_fd < 0)
        return false;
    void *page = sys.mmap(NULL, region_page_size(), PROT_READ | PROT_WRITE,
                          MAP_SHARED, mark_fd, 0);
    /* The next question ends with another file if no other process has it. */
    atomic_store(&may_be_held, true);
    mark = page != MAP_FAILED ? page : NULL;
    return mark != NULL;
}

/* A mapping of the parent's own would be taken for a child's. */
static bool unmap_mark(void)
{
    if (mark != NULL && sys.munmap(mark, region_page_size()) == 0)
        mark = NULL;
    return mark == NULL;
}

bool fork_mark_prepare(void)
{
    int saved_errno = errno;
    ranked_lock_take(&mark_lock);
    is_forking = true;
    bool mapped = unmap_mark() && map_mark();
    ranked_lock_release(&mark_lock);
    errno = saved_errno;
    return mapped;
}

void fork_mark_parent(void)
{
    ranked_lock_take(&mark_lock);
    is_forking = false;
    (void)unmap_mark();
    held_at_ms = 0;
    ranked_lock_release(&mark_lock);
}

/* The page stays; this process has no children yet. */
void fork_mark_child(void)
{
    (void)ranked_lock_renew(&mark_lock, RANK_FORK_MARK);
    if (mark_fd >= 0 && check_mark_file() == 0)
        sys.close(mark_fd);
    mark_fd = -1;
    mark = NULL;
    is_unknown = is_forking = false;
    held_at_ms = 0;
    atomic_store(&may_be_held, false);
}

/* ---- the question ---- */

static bool ask(void)
{
    if (is_forking || is_unknown)
        return true;
    const int checked = check_mark_file();
    if (checked == -EBADF)
        lose_file();
    if (checked != 0 || !unmap_mark() ||
        sys.add_seals(mark_fd, F_SEAL_WRITE) != 0) {
        held_at_ms = coarse_clock_ms();
        return true;
    }
    sys.close(mark_fd);
    mark_fd = -1;
    atomic_store(&may_be_held, false);
    keep_file();
    return false;
}

static bool is_held(bool now)
{
    if (!atomic_load(&may_be_held))
        return false;
    int saved_errno = errno;
    ranked_lock_take(&mark_lock);
    const bool known = !now && held_at_ms == coarse_clock_ms();
    const bool held = atomic_load(&may_be_held) && (known || ask());
    ranked_lock_release(&mark_lock);
    errno = saved_errno;
    return held;
}

bool fork_mark_is_held(void)
{
    return is_held(false);
}

bool fork_mark_is_held_now(void)
{
    return is_held(true);
}
