/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind.h
 * @brief Memory of a chosen kind: files on persistent memory, or plain DRAM.
 *
 * The names, types, constants and error codes are those of libmemkind 1.14, so
 * that programs written for it run on this library without recompiling.
 *
 * Conventions that hold for every function below unless it says otherwise:
 *
 * - Sizes are in bytes.
 * - A function returning `int` gives MEMKIND_SUCCESS (0) or one of the negative
 *   MEMKIND_ERROR_* codes. A failed system call also leaves its errno.
 * - A function returning a pointer gives NULL and sets errno (ENOMEM if there
 *   was no space, EINVAL if an argument makes no sense).
 * - Every function may be called from any thread at any time, with one
 *   exception: a kind must not be in use while it is being destroyed.
 * - No function aborts the process, and none prints unless the environment
 *   variable MEMKIND_DEBUG is set to 1.
 * - None is async-signal-safe. A signal handler that has interrupted an
 *   allocation or a free, and allocates or frees in a kind that it names, and
 *   that was in use before, does no harm, though: if the thread was inside the
 *   library, and not merely at its own cache, allocating gives NULL with ENOMEM
 *   and freeing does nothing (the object stays allocated).
 * - A thread that has used a kind can free, but not allocate (NULL, ENOMEM), in
 *   destructors of pthread keys that run after the library's own.
 */
#ifndef MEMKIND_H
#define MEMKIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Define as `const` if a malloc_usable_size with that signature is wrapped. */
#ifndef MEMKIND_MALLOC_USABLE_SIZE_CONST
#define MEMKIND_MALLOC_USABLE_SIZE_CONST
#endif

/** Handle of a kind. Opaque; owned by the library. */
typedef struct memkind *memkind_t;

/** Memory types for memkind_create_kind(); may be combined with `|`. */
typedef enum memkind_memtype_t {
    MEMKIND_MEMTYPE_DEFAULT = 1ULL << 0,        /**< ordinary memory */
    MEMKIND_MEMTYPE_HIGH_BANDWIDTH = 1ULL << 1, /**< high-bandwidth memory */
} memkind_memtype_t;

/** How memkind_create_kind() binds pages to the chosen memory types. */
typedef enum memkind_policy_t {
    MEMKIND_POLICY_BIND_LOCAL = 0,  /**< nearest node of the type, or NULL */
    MEMKIND_POLICY_BIND_ALL,        /**< any node of the type, or NULL */
    MEMKIND_POLICY_PREFERRED_LOCAL, /**< nearest node, others when it is full */
    MEMKIND_POLICY_INTERLEAVE_LOCAL, /**< spread over the local nodes */
    MEMKIND_POLICY_INTERLEAVE_ALL,   /**< spread over all nodes */
    MEMKIND_POLICY_MAX_VALUE,        /**< number of policies; not a policy */
} memkind_policy_t;

/** Flags of memkind_create_kind(). The low bits hold the page size's log2. */
typedef enum memkind_bits_t {
    MEMKIND_MASK_PAGE_SIZE_2MB = 21ULL, /**< pages of 2^21 bytes */
} memkind_bits_t;

/** Limits. */
enum memkind_const {
    /** At most this many kinds can be created and alive at once. */
    MEMKIND_MAX_KIND = 512,
    /** A buffer of this size holds any text of memkind_error_message(). */
    MEMKIND_ERROR_MESSAGE_SIZE = 128,
    /** Least size, in bytes, of a limited file-backed kind: 16 MiB. */
    MEMKIND_PMEM_MIN_SIZE = 1024 * 1024 * 16,
    /** Most directories of one kind; see memkind_config_add_path(). */
    MEMKIND_PMEM_MAX_PATHS = 8,
};

/** Status codes. */
enum {
    MEMKIND_SUCCESS = 0,            /**< done */
    MEMKIND_ERROR_UNAVAILABLE = -1, /**< this kind cannot be had here */
    MEMKIND_ERROR_MBIND = -2,       /**< mbind(2) failed */
    MEMKIND_ERROR_MMAP = -3,        /**< a mapping could not be made */
    MEMKIND_ERROR_MALLOC = -6,      /**< no DRAM for the library's own data */
    MEMKIND_ERROR_ENVIRON = -12,    /**< a MEMKIND_* variable has a bad value */
    MEMKIND_ERROR_INVALID = -13,    /**< an argument is not valid */
    MEMKIND_ERROR_TOOMANY = -15,    /**< MEMKIND_MAX_KIND kinds exist already */
    MEMKIND_ERROR_BADOPS = -17,     /**< a struct memkind_ops is incomplete */
    MEMKIND_ERROR_HUGETLB = -18,    /**< no huge pages */
    MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE = -20, /**< no such memory here */
    MEMKIND_ERROR_OPERATION_FAILED = -21,      /**< the operation failed */
    MEMKIND_ERROR_ARENAS_CREATE = -22, /**< jemalloc could not make an arena */
    MEMKIND_ERROR_RUNTIME = -255,      /**< anything else */
};

/** How eagerly a kind gives freed file space back. */
typedef enum memkind_mem_usage_policy {
    /** Keep freed pages for reuse, give them back over the kind's decay time
     * (memkind_config_set_decay()): some ten seconds by default. */
    MEMKIND_MEM_USAGE_POLICY_DEFAULT = 0,
    /** Give every free page back at once: least space, most system calls. */
    MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE = 1,
    MEMKIND_MEM_USAGE_POLICY_MAX_VALUE, /**< number of policies */
} memkind_mem_usage_policy;

/**
 * What a file-backed kind is in a child that fork(2) makes. In each case the
 * child can be given the address of any object, and memkind_detect_kind(),
 * memkind_malloc_usable_size() and memkind_destroy_kind() work there.
 */
typedef enum memkind_fork_policy {
    /**
     * The child has a kind of its own, with the same objects at the same
     * addresses. What it stores, allocates and frees is its own affair and lies
     * in DRAM. A page that neither it nor a parent of it has stored to shows
     * what the parent stores there later, zeroes once the parent has freed it.
     * On a device DAX the child can read, but neither store nor allocate.
     */
    MEMKIND_FORK_PRIVATE = 0,
    /** The child uses the parent's memory, by an allocator of which each has a
     * copy: only one of them may allocate or free. What libmemkind does. */
    MEMKIND_FORK_SHARED = 1,
    /** Allocating gives NULL with ENOMEM, freeing does nothing, and reading an
     * object is SIGSEGV. The child holds no file space. */
    MEMKIND_FORK_UNAVAILABLE = 2,
    /** Like MEMKIND_FORK_PRIVATE, but the child sees nothing that the parent
     * stores later: fork() copies what the kind holds to DRAM first. */
    MEMKIND_FORK_COPY = 3,
    /**
     * What fork(2) is for other memory: from the fork on, neither process sees
     * what the other one stores. What either of them stores then lies in DRAM,
     * by the page; the parent's as well, until memkind_attach_kind() or until
     * the memory is freed and used again. Not on a device DAX.
     */
    MEMKIND_FORK_SNAPSHOT = 4,
    MEMKIND_FORK_POLICY_MAX_VALUE, /**< number of policies */
} memkind_fork_policy;

/** What memkind_get_stat() reports, in bytes. */
typedef enum memkind_stat_type {
    /** File space (or DRAM) that the kind holds right now. */
    MEMKIND_STAT_TYPE_RESIDENT = 0,
    /** Pages that contain at least one object, live or cached by a thread. */
    MEMKIND_STAT_TYPE_ACTIVE = 1,
    /** Live objects, each counted with its usable size. What threads have
     * cached is not live. */
    MEMKIND_STAT_TYPE_ALLOCATED = 2,
    /** DRAM that the kind takes beside its files because of fork(): in a parent
     * with MEMKIND_FORK_SNAPSHOT what it has stored since, in a child all that
     * is its own. Not in libmemkind 1.14. */
    MEMKIND_STAT_TYPE_DETACHED = 3,
    MEMKIND_STAT_TYPE_MAX_VALUE, /**< number of statistics */
} memkind_stat_type;

/** What memkind_stats_print() prints; may be combined with `|`. */
typedef enum memkind_stat_print_opt {
    MEMKIND_STAT_PRINT_ALL = 0,                     /**< everything, as text */
    MEMKIND_STAT_PRINT_JSON_FORMAT = 1U << 0,       /**< JSON, not text */
    MEMKIND_STAT_PRINT_OMIT_GENERAL = 1U << 1,      /**< no configuration */
    MEMKIND_STAT_PRINT_OMIT_MERGED_ARENA = 1U << 2, /**< no sums over arenas */
    /** no sums over destroyed arenas */
    MEMKIND_STAT_PRINT_OMIT_DESTROYED_MERGED_ARENA = 1U << 3,
    MEMKIND_STAT_PRINT_OMIT_PER_ARENA = 1U << 4, /**< no single arenas */
    /** no small size classes */
    MEMKIND_STAT_PRINT_OMIT_PER_SIZE_CLASS_BINS = 1U << 5,
    /** no large size classes */
    MEMKIND_STAT_PRINT_OMIT_PER_SIZE_CLASS_LARGE = 1U << 6,
    MEMKIND_STAT_PRINT_OMIT_MUTEX = 1U << 7,  /**< no lock statistics */
    MEMKIND_STAT_PRINT_OMIT_EXTENT = 1U << 8, /**< no extent statistics */
} memkind_stat_print_opt;

/* ---- misuse ------------------------------------------------------------- */

/**
 * What a program can do wrong, as far as the library finds it out. A call that
 * is found wrong is refused, unless it says otherwise below: a pointer is left
 * alone, an allocation gives NULL, a status is an error. Some of it is found
 * always; the rest, and more of what is found by chance otherwise, by a
 * hardened library.
 *
 * The library is hardened if it was configured with -DMEMKIND_HARDENED=ON, or
 * is run with MEMKIND_HARDENED=1 in the environment; and also if it runs under
 * valgrind, or was built with -DMEMKIND_SANITIZE=address. These tools then
 * know a kind's objects as they know those of malloc(), and report what is done
 * to them; they report a double free only if no handler is set.
 *
 * A kind that is destroyed while a thread is in a call with it, or frees its
 * objects, is not misuse that can be found: what happens then is undefined. A
 * thread that comes after that is refused (MEMKIND_MISUSE_DEAD_KIND).
 */
typedef enum memkind_misuse {
    /** An object that is free already is freed, reallocated or moved. Found
     * if the thread freed it last among those of its size, mostly so after some
     * more frees, and in a hardened library as long as it waits; the
     * memory of a large object (more than 8 MiB, or any with pages of its own
     * in a kind that keeps nothing) goes at once, which makes it
     * MEMKIND_MISUSE_NO_OBJECT. */
    MEMKIND_MISUSE_DOUBLE_FREE = 0,
    /** A pointer into an object, or to memory of a kind in which there is none.
     * Always found if no object could start there; in a hardened library
     * always.
     */
    MEMKIND_MISUSE_NO_OBJECT = 1,
    /** An address that is no kind's. Always found. */
    MEMKIND_MISUSE_FOREIGN = 2,
    /** An object of another kind than the one that is named. Always found. The
     * call is carried out, in the object's own kind. */
    MEMKIND_MISUSE_WRONG_KIND = 3,
    /** A kind that was destroyed is used or destroyed. Always found, until so
     * many kinds were made that one of them has the same handle. An object of a
     * kind that is there is freed. */
    MEMKIND_MISUSE_DEAD_KIND = 4,
    /** A call in a signal handler that has interrupted the library in a place
     * where it cannot be entered again. Always found; reported when the
     * interrupted call is done. */
    MEMKIND_MISUSE_SIGNAL = 5,
    /** Hardened: bytes before or behind an object were written to. Found when
     * the object is freed, reallocated or moved, or its kind destroyed. The
     * call is carried out. */
    MEMKIND_MISUSE_OVERRUN = 6,
    /** Hardened: a freed object was written to. Found when it has waited long
     * enough, or its kind is purged or destroyed. */
    MEMKIND_MISUSE_AFTER_FREE = 7,
    MEMKIND_MISUSE_MAX_VALUE, /**< number of sorts of misuse */
} memkind_misuse;

/**
 * Misuse is reported to this function: in the thread that finds it, before the
 * call returns, with no lock of the library held. The function may call any
 * function of the library; its own misuse is not reported to it. errno is kept
 * for it.
 * @param what what it is; there may be more sorts in later releases
 * @param kind the kind that was named, for MEMKIND_MISUSE_FOREIGN,
 *             MEMKIND_MISUSE_WRONG_KIND and MEMKIND_MISUSE_DEAD_KIND, which may
 *             be NULL; otherwise the kind whose memory it is about
 * @param ptr  the pointer that was passed, or the object; NULL if there is
 *             none
 * @param arg  as given to memkind_set_misuse_handler()
 */
typedef void memkind_misuse_handler(memkind_misuse what, memkind_t kind,
                                    const void *ptr, void *arg);

/**
 * Sets the handler that misuse is reported to, in place of the one before: for
 * all threads, from the next report on. A report that is on its way in another
 * thread may still reach the former one. Not in libmemkind 1.14.
 *
 * What a hardened library does: each object lies between red zones (16 bytes
 * or more on either side; before one that is aligned to more than 4096 there is
 * none), so that it may take the next size class, and has a record of some 60
 * bytes of DRAM. A freed one is filled with a pattern (its first 64 KiB are)
 * and waits before its memory can be used again: at most 16 MiB, or 1/64 of a
 * kind's limit, wait, half of them for a second, none if space runs out or
 * after memkind_purge_kind() and memkind_update_cached_stats(). realloc moves
 * the object. Regions have a page before and behind them that cannot be
 * touched. memkind_malloc_usable_size() is the size that was asked for. Nothing
 * is cached for a thread: a call takes some locks, and 0.2 to 0.5 microseconds
 * instead of a few nanoseconds.
 *
 * @param handler NULL: the default, a message if MEMKIND_DEBUG is 1
 * @param arg     passed to it
 */
void memkind_set_misuse_handler(memkind_misuse_handler *handler, void *arg);

/* ---- configuration of a file-backed kind -------------------------------- */

/** Options for memkind_create_pmem_with_config(). Opaque. */
struct memkind_config;

/**
 * Makes a configuration: no path, size 0 (unlimited), default policy.
 * @return the configuration, to be given to memkind_config_delete(); NULL with
 *         errno ENOMEM if there is no DRAM.
 */
struct memkind_config *memkind_config_new(void);

/** Frees a configuration. NULL is allowed. Kinds made from it live on. */
void memkind_config_delete(struct memkind_config *cfg);

/**
 * Sets the directory in which the kind's files are made, in place of all that
 * were set before. The text is copied; whether it names a usable directory is
 * found out when the kind is created.
 */
void memkind_config_set_path(struct memkind_config *cfg, const char *pmem_dir);

/**
 * Adds a directory to the one that memkind_config_set_path() has set, or sets
 * it if there is none: the kind's files then lie in all of them, and count
 * against one limit. A thread's memory comes from a directory whose memory is
 * on the thread's own NUMA node, as far as that is known; from one that is full
 * only if all are. At most MEMKIND_PMEM_MAX_PATHS directories; their file
 * systems have to be of one sort: all persistent memory, or all with the same
 * unit of space. The text is copied; `cfg` may be NULL. What is wrong (`dir` is
 * NULL, too many, no DRAM for the copy, a directory that cannot be used) has
 * the kind's creation fail with MEMKIND_ERROR_INVALID or as for a single
 * directory. For one thread at a time. Not in libmemkind 1.14.
 */
void memkind_config_add_path(struct memkind_config *cfg, const char *dir);

/** Sets the limit of file space in bytes; 0 stands for no limit. */
void memkind_config_set_size(struct memkind_config *cfg, size_t pmem_size);

/** Sets how eagerly freed space is given back. */
void memkind_config_set_memory_usage_policy(struct memkind_config *cfg,
                                            memkind_mem_usage_policy policy);

/** Sets what the kind is in forked children; MEMKIND_FORK_PRIVATE otherwise. A
 * value that is no policy has the kind's creation fail with
 * MEMKIND_ERROR_INVALID. */
void memkind_config_set_fork_policy(struct memkind_config *cfg,
                                    memkind_fork_policy policy);

/**
 * Sets whether core dumps of the process (core(5), gcore(1)) have the kind's
 * objects in them; they do not otherwise. NULL is allowed. For one thread at a
 * time; it holds for kinds that are made afterwards. Allocating and freeing
 * cost some more then, as madvise(2) is called for each change.
 */
void memkind_config_set_core_dump(struct memkind_config *cfg,
                                  bool dump_objects);

/**
 * Sets whether memkind_destroy_kind() returns as soon as nothing of the kind
 * can be reached, and leaves it to a thread to give the file space back, which
 * takes a moment for each GiB; by default the call does that itself. The thread
 * ends when it is done. (What is on a device DAX, or in a file of the caller's,
 * is given back by the call all the same.) Kinds that lack space meanwhile wait
 * for it, and so does the next kind of this sort that is destroyed. NULL is
 * allowed. For one thread at a time. Not in libmemkind 1.14.
 */
void memkind_config_set_background_destroy(struct memkind_config *cfg,
                                           bool background);

/**
 * Sets how long the kind keeps freed space for objects to come, in
 * milliseconds: 0 gives it back at once, -1 keeps it until the kind is purged
 * or destroyed, or an allocation would fail otherwise; at most 2147483647. A
 * page goes back at some time up to that, most pages after two thirds of it.
 * Without this call it is what the environment variable MEMKIND_DECAY says, or
 * 10000. NULL is allowed. A value out of range has the kind's creation fail
 * with MEMKIND_ERROR_INVALID. MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE and
 * MEMKIND_HOG_MEMORY take precedence. Not in libmemkind 1.14.
 */
void memkind_config_set_decay(struct memkind_config *cfg, int64_t milliseconds);

/* ---- making and destroying kinds ---------------------------------------- */

/**
 * Makes a kind like one of the static ones: ordinary memory by
 * {MEMKIND_MEMTYPE_DEFAULT, MEMKIND_POLICY_PREFERRED_LOCAL}, nodes of high
 * bandwidth by the other type, both in huge pages if the flags say so.
 * @param kind receives the handle; NULL on failure
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE if no node has a
 *         high bandwidth; MEMKIND_ERROR_HUGETLB if no huge pages are set aside;
 *         MEMKIND_ERROR_INVALID for a combination that makes no sense; or
 *         MEMKIND_ERROR_TOOMANY,
 *         MEMKIND_ERROR_MALLOC, MEMKIND_ERROR_ARENAS_CREATE.
 */
int memkind_create_kind(memkind_memtype_t memtype_flags,
                        memkind_policy_t policy, memkind_bits_t flags,
                        memkind_t *kind);

/**
 * Destroys a kind that one of the memkind_create_*() functions made, with
 * everything that is allocated from it, and gives its file space back. No
 * thread may be using the kind; objects of it that sit in the caches of other
 * threads are dropped safely.
 * @return MEMKIND_SUCCESS, also for the static kinds, to which the call does
 *         nothing; MEMKIND_ERROR_INVALID if `kind` is NULL;
 *         MEMKIND_ERROR_OPERATION_FAILED if it is not (or no longer) a kind.
 */
int memkind_destroy_kind(memkind_t kind);

/**
 * Finds the kind that an address was allocated from.
 * @return the kind; NULL for NULL and for an address that is not this
 *         library's. Any address may be asked about. Lock-free.
 */
memkind_t memkind_detect_kind(void *ptr);

#include "memkind_deprecated.h"

/** Ordinary memory, from this library's own heap. */
extern memkind_t MEMKIND_DEFAULT;
/** Ordinary memory as well, of NUMA nodes with CPUs, in a heap of its own. */
extern memkind_t MEMKIND_REGULAR;

/*
 * Kinds of memory on certain NUMA nodes, and of huge pages of 2 MiB; see
 * memkind(3). On a machine that has no such memory memkind_check_available()
 * returns an error, and allocating from one gives NULL.
 */
extern memkind_t MEMKIND_HUGETLB;
extern memkind_t MEMKIND_INTERLEAVE;
extern memkind_t MEMKIND_HBW;
extern memkind_t MEMKIND_HBW_ALL;
extern memkind_t MEMKIND_HBW_PREFERRED;
extern memkind_t MEMKIND_HBW_HUGETLB;
extern memkind_t MEMKIND_HBW_ALL_HUGETLB;
extern memkind_t MEMKIND_HBW_PREFERRED_HUGETLB;
extern memkind_t MEMKIND_HBW_INTERLEAVE;
extern memkind_t MEMKIND_DAX_KMEM;
extern memkind_t MEMKIND_DAX_KMEM_ALL;
extern memkind_t MEMKIND_DAX_KMEM_PREFERRED;
extern memkind_t MEMKIND_DAX_KMEM_INTERLEAVE;
extern memkind_t MEMKIND_HIGHEST_CAPACITY;
extern memkind_t MEMKIND_HIGHEST_CAPACITY_PREFERRED;
extern memkind_t MEMKIND_HIGHEST_CAPACITY_LOCAL;
extern memkind_t MEMKIND_HIGHEST_CAPACITY_LOCAL_PREFERRED;
extern memkind_t MEMKIND_LOWEST_LATENCY_LOCAL;
extern memkind_t MEMKIND_LOWEST_LATENCY_LOCAL_PREFERRED;
extern memkind_t MEMKIND_HIGHEST_BANDWIDTH_LOCAL;
extern memkind_t MEMKIND_HIGHEST_BANDWIDTH_LOCAL_PREFERRED;

/** @return the interface's version: major * 1000000 + minor * 1000 + patch. */
#ifdef __cplusplus
int memkind_get_version();
#else
int memkind_get_version(void);
#endif

/**
 * Describes a status code (or a positive errno of memkind_posix_memalign()), in
 * a text that begins with "<memkind> ".
 * @param err  the code
 * @param msg  where the text goes, always terminated; NULL does nothing
 * @param size size of `msg`; 0 does nothing, a short one cuts the text
 */
void memkind_error_message(int err, char *msg, size_t size);

/**
 * Describes in words what failed last in the calling thread: which function,
 * why, and what with (a path, a limit, a variable of the environment), on one
 * line without a newline. After
 *
 *     memkind_create_pmem("/mnt/pmem", 1048576, &kind)
 *
 * it is "memkind_create_pmem: a limit of 1048576 bytes is less than 16777216
 * (MEMKIND_PMEM_MIN_SIZE, 16 MiB)". Every function of this header that returns
 * an error, or NULL for want of memory, has it changed; one that succeeds does
 * not. The texts may be others in later releases: programs look at codes and
 * errno. Not in libmemkind 1.14.
 * @return the text, which is the thread's, and good until the thread's next
 *         call of a function of this header; "" if nothing has failed. errno is
 *         kept.
 */
const char *memkind_last_error(void);

/**
 * Makes a kind whose memory lies in unnamed files in a directory. No other user
 * can read the files; they cannot be inherited by exec, and go when the kind is
 * destroyed or the process ends.
 * @param dir      the directory, which has to be writable; or a device DAX
 *                 (/dev/dax0.0), which is mapped as a whole and can have one
 *                 kind at a time; or several directories with colons between
 *                 them ("/mnt/pmem0:/mnt/pmem1"), if there is nothing with that
 *                 whole name and each part is a directory: then as with
 *                 memkind_config_add_path() (not in libmemkind 1.14)
 * @param max_size limit of the file space that the kind may hold, at least
 *                 MEMKIND_PMEM_MIN_SIZE; 0 for "until the file system is full"
 * @param kind     receives the handle; NULL on failure
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_INVALID for a NULL argument, a size
 *         that is too small, or a directory in which no file can be made
 *         (errno says why); MEMKIND_ERROR_MMAP if nothing can be mapped;
 *         MEMKIND_ERROR_UNAVAILABLE with errno EBUSY if another kind has the
 *         device; MEMKIND_ERROR_ENVIRON for a MEMKIND_* variable with a bad
 *         value; MEMKIND_ERROR_TOOMANY; MEMKIND_ERROR_MALLOC;
 *         MEMKIND_ERROR_ARENAS_CREATE.
 */
int memkind_create_pmem(const char *dir, size_t max_size, memkind_t *kind);

/** memkind_create_pmem() with the options of a configuration; same errors, also
 * MEMKIND_ERROR_INVALID for a policy that is none. *kind is NULL on failure. */
int memkind_create_pmem_with_config(struct memkind_config *cfg,
                                    memkind_t *kind);

/**
 * Makes a kind on memory that the caller owns, which has to stay mapped,
 * readable and writable until the kind is destroyed, and is left as it is then.
 * @param addr start of the area; need not be aligned
 * @param size its size; what is left after rounding to whole pages is used
 * @param kind receives the handle; NULL on failure
 * @return as for memkind_create_pmem(); MEMKIND_ERROR_INVALID also if the
 *         area holds no whole page or overlaps memory of another kind.
 */
int memkind_create_fixed(void *addr, size_t size, memkind_t *kind);

/**
 * @return MEMKIND_SUCCESS if the kind can be allocated from;
 *         MEMKIND_ERROR_INVALID for NULL and for a kind that was destroyed; for
 *         a static kind that cannot be had here: MEMKIND_ERROR_HUGETLB if huge
 *         pages are lacking, and for those with GBTLB in their names,
 *         MEMKIND_ERROR_UNAVAILABLE for MEMKIND_INTERLEAVE and those with
 *         DAX_KMEM,
 *         MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE for the others.
 */
int memkind_check_available(memkind_t kind);

/**
 * @return how much the kind could hold at most: the limit of a limited
 *         file-backed kind, the size of the file system (or the device) for an
 *         unlimited one,
 *         the area's size for a fixed kind, all of the machine's memory for
 *         the DRAM kinds, of the nodes or the huge pages that are set aside for
 *         other static ones; -1 if that is not known.
 */
ssize_t memkind_get_capacity(memkind_t kind);

/**
 * Finds out whether files in a directory (or a device) are mapped with DAX.
 * @return MEMKIND_SUCCESS if they are; MEMKIND_ERROR_MMAP if files can be made
 *         but are not DAX; MEMKIND_ERROR_RUNTIME if none can be made;
 *         MEMKIND_ERROR_INVALID for NULL.
 */
int memkind_check_dax_path(const char *pmem_dir);

/* ---- statistics --------------------------------------------------------- */

/**
 * Takes the snapshot that memkind_get_stat() reads, after giving back what the
 * calling thread has cached.
 * @return MEMKIND_ERROR_OPERATION_FAILED if jemalloc keeps no statistics, or
 *         in a signal handler that has interrupted the library.
 */
int memkind_update_cached_stats(void);

/**
 * Reads one number of the last snapshot.
 * @param kind  the kind; NULL for the whole library
 * @param stat  which number
 * @param value receives it; 0 for a kind that was made since the snapshot, or
 *              that cannot be had
 * @return MEMKIND_ERROR_INVALID for a NULL `value`, an unknown `stat` or a
 *         kind that keeps no statistics.
 */
int memkind_get_stat(memkind_t kind, memkind_stat_type stat, size_t *value);

/**
 * Prints jemalloc's statistics of the library's heaps, and behind them which
 * directories each kind has, with its space there. To jemalloc, what threads
 * have cached is in use.
 * @param write_cb receives the text piece by piece, together with `cbopaque`;
 *                 it must not allocate from this library. NULL: to stderr.
 * @return MEMKIND_ERROR_INVALID for bits in `opts` that mean nothing.
 */
int memkind_stats_print(void (*write_cb)(void *, const char *), void *cbopaque,
                        memkind_stat_print_opt opts);

/* ---- the heap ----------------------------------------------------------- */

/**
 * Allocates `size` bytes, aligned for any type, contents undefined.
 * @return the object, to be given to memkind_free(); NULL with errno ENOMEM
 *         if there is no space, NULL with errno untouched if `size` is 0
 *         (see memkind_set_allow_zero_allocs()), NULL with errno EINVAL if
 *         `kind` is NULL.
 */
void *memkind_malloc(memkind_t kind, size_t size);

/**
 * @return the number of bytes that may be used at `ptr`, at least as many as
 *         were asked for; 0 for NULL and for an address that is not this
 *         library's. `kind` may be NULL.
 */
size_t memkind_malloc_usable_size(memkind_t kind,
                                  MEMKIND_MALLOC_USABLE_SIZE_CONST void *ptr);

/** Like memkind_malloc(kind, num * size), cleared; an overflow gives ENOMEM. */
void *memkind_calloc(memkind_t kind, size_t num, size_t size);

/**
 * Allocates `size` bytes at a multiple of `alignment`.
 * @param memptr receives the object; NULL if `size` is 0, and on failure
 * @return 0, or (positive, errno is left alone) EINVAL if `alignment` is no
 *         power of two or less than a pointer's size or an argument is NULL,
 *         ENOMEM if there is no space.
 */
int memkind_posix_memalign(memkind_t kind, void **memptr, size_t alignment,
                           size_t size);

/**
 * Changes an object's size, moving it if it must; the contents are kept up
 * to the smaller size. `ptr` NULL allocates, `size` 0 frees and gives NULL.
 * `kind` NULL: the kind is found by the address.
 * @return the object; NULL with errno ENOMEM if there is no space, the old
 *         object then stays as it was; NULL with errno EINVAL if both
 *         `kind` and `ptr` are NULL or `ptr` is not this library's.
 */
void *memkind_realloc(memkind_t kind, void *ptr, size_t size);

/**
 * Frees an object. NULL is allowed. `kind` NULL: the kind is found by the
 * address. An object is always given back to the kind that it came from, also
 * if another one is named; an address that is not this library's is left
 * alone. errno is kept.
 */
void memkind_free(memkind_t kind, void *ptr);

/**
 * Moves an object if that lets a sparsely used slab become empty.
 * @return the object's new address, the old one is then free; NULL if it was
 *         left in place.
 */
void *memkind_defrag_reallocate(memkind_t kind, void *ptr);

/**
 * Gives all that is free in a kind back at once, to the file system or the
 * system: objects that threads have cached for their next allocations, and all
 * pages without an object. Without it that happens by itself over some fifteen
 * seconds, as long as any thread allocates. Not in libmemkind 1.14.
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_INVALID for NULL.
 */
int memkind_purge_kind(memkind_t kind);

/**
 * Moves what the kind has in DRAM since a fork(), with MEMKIND_FORK_SNAPSHOT,
 * to its files. Without this call, only memory that is freed and allocated
 * again goes back there. It may be called from any thread, but while it runs no
 * other thread may use the kind, store to its objects, or have them read into
 * (asynchronous I/O, say): such a store could be lost. Not in libmemkind 1.14.
 * @return MEMKIND_SUCCESS, also if there is nothing to move;
 *         MEMKIND_ERROR_INVALID if `kind` is not a kind;
 *         MEMKIND_ERROR_OPERATION_FAILED with errno set: EBUSY if a child, or a
 *         child of its, still has the kind as it was at the fork, EOPNOTSUPP in
 *         a forked child, or why the files could not be written (ENOSPC, EIO,
 *         ENOMEM, EBADF). What could not be moved stays in DRAM, and nothing is
 *         lost.
 */
int memkind_attach_kind(memkind_t kind);

/**
 * For programs and libraries that close descriptors they do not know: finds
 * those that are kinds' own. If they are closed, kinds go on, but a forked
 * child cannot be given its objects by each of the policies. Not in
 * libmemkind 1.14. Any thread may call it, and a signal handler, and a child of
 * vfork(2).
 * @param first, last the numbers that are of interest; the library does not
 * keep account of those from 4096 on
 * @return the lowest descriptor from `first` to `last` that is one; -1 if none
 * is.
 */
int memkind_next_descriptor(int first, int last);

/**
 * Chooses the numbers of the descriptors that the library keeps open from now
 * on, so that those which a program expects to be free are free. Without it
 * they are the lowest free ones above the standard ones. If the process can
 * have none of those, the library takes others. Any thread may call it. Not in
 * libmemkind 1.14.
 * @param least the least number
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_INVALID if it is below 3, or not below
 *         the process's limit (RLIMIT_NOFILE).
 */
int memkind_set_least_descriptor(int least);

/**
 * Whether the calling thread is in a function of the library already: the
 * caller is called by it (a hook, or a malloc() that a library which it uses
 * calls), or is a signal handler that has interrupted it. It gets no memory
 * from a kind then. Not in libmemkind 1.14. Any thread may call it, and a
 * signal handler.
 */
bool memkind_is_inside(void);

/**
 * Starts or stops background threads that give freed space back without
 * holding up the callers. The environment variable
 * MEMKIND_BACKGROUND_THREAD_LIMIT bounds their number.
 * @return MEMKIND_ERROR_OPERATION_FAILED if a thread could not be started.
 */
int memkind_set_bg_threads(bool state);

/**
 * Chooses what an allocation of 0 bytes gives: NULL (false, the default) or an
 * object of the least size (true). To be called before the kind is in use.
 */
void memkind_set_allow_zero_allocs(memkind_t kind, bool allow_zero_allocs);

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_H */
