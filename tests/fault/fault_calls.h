/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls that fail on demand: the Nth of those that are chosen, once or
 * from then on, with an errno that such a call can have. Beside that, what the
 * file system cannot do can be chosen.
 *
 * What is left undone is what the kernel would leave undone: a descriptor is
 * closed even if close(2) fails, and a fallocate(2) that meets the end of
 * the space keeps some of it.
 */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_call {
    FAULT_OPEN, /* openat(2) as well */
    FAULT_CREATE,
    FAULT_UNLINK,
    FAULT_CLOSE,
    FAULT_DUP,
    FAULT_GET_FLAGS,
    FAULT_FLOCK,
    FAULT_FCHMOD,
    FAULT_STAT,
    FAULT_FSTAT,
    FAULT_FSTATFS,
    FAULT_FSTATVFS,
    FAULT_REALPATH,
    FAULT_GETRLIMIT,
    FAULT_GETCPU,
    FAULT_FTRUNCATE,
    FAULT_FADVISE,
    FAULT_IOCTL,
    FAULT_CAPGET,
    FAULT_FALLOCATE,
    FAULT_PUNCH, /* fallocate(2) as well, and madvise(2) with MADV_REMOVE */
    FAULT_FIEMAP,
    FAULT_FSYNC,
    FAULT_MEMFD,
    FAULT_SEAL,
    FAULT_PREAD,
    FAULT_PWRITE,
    FAULT_MMAP,
    FAULT_MUNMAP,
    FAULT_MREMAP,
    FAULT_SYNC_RANGE,
    FAULT_MINCORE,
    FAULT_MADVISE,
    FAULT_POPULATE, /* madvise(2) with MADV_POPULATE_WRITE */
    FAULT_MPROTECT,
    FAULT_MBIND,
    FAULT_PTHREAD_CREATE,
    FAULT_PMEM_MAP,
    FAULT_PMEM_UNMAP,
    FAULT_PMEM_MSYNC,
    FAULT_CALLS
};

#define FAULT_BIT(call) ((uint64_t)1 << (call))
#define FAULT_ALL (FAULT_BIT(FAULT_CALLS) - 1)

/* What the file system and libpmem are like. */
struct fault_world {
    bool no_tmpfile;
    bool no_fallocate;
    bool no_punch;
    bool no_holes;
    bool reads_ahead;    /* what lies on a disk does, in large pieces */
    bool is_in_memory;   /* it is a tmpfs */
    bool has_huge_pages; /* it is a tmpfs that gives them when asked */
    bool no_libpmem;
    bool pmem; /* libpmem takes all for persistent memory, otherwise nothing */
    bool is_unaligned; /* blocks lie in the wrong place most of the time */
};

const char *fault_call_name(enum fault_call call);

/* The errnos of a call, ending with 0. The first is the likeliest one. */
const int *fault_errors(enum fault_call call);

/* Replaces and restores the table of sys_calls.h. No other thread runs. */
void fault_install(struct fault_world world);
void fault_remove(void);

/*
 * From now on: of the calls whose bits are set, the `at`th (from 1) fails, and
 * with `for_good` all that come after it until fault_lift().
 * error: what with; 0: one of the call's own errors, by turns. A call is never
 * interrupted for good.
 */
void fault_set(uint64_t calls, unsigned at, bool for_good, int error);
void fault_lift(void);

/* Unmaps all that failing calls have left mapped; in a long walk, address space
 * would not be enough. */
void fault_unmap_refused(void);

/* Since fault_set(): whether the fault was met, by which call first, and with
 * which error last; and how often. */
bool fault_hit(void);
enum fault_call fault_hit_call(void);
int fault_last_error(void);
unsigned fault_injected(void);

/* How many of the calls have been made since fault_set(). */
unsigned fault_seen(void);

#endif
