/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that a kind's extents lie in.
 *
 * A pool is a list of regions. A region is one large mapping, of which blocks
 * are handed out by bumping an offset; blocks are never taken back. Address
 * space is cheap, so regions are larger than what is stored in them; file space
 * is what counts, and it is allocated and given back within blocks:
 *
 *     region:   | block of arena 0 | block of arena 1 | arena 0 |  unused ...
 *     file:     |####....##........|######............|#........|
 *
 *     '#' committed: file space is allocated, and charged to the budget
 *     '.' a hole: touching it could be SIGBUS, so nobody is given its address
 *     ' ' not handed out: cannot be touched, so that whatever goes through all
 *         of a process's memory (mlockall(2), say) takes no file space there
 *
 * The regions of a pool follow one another in one file, which grows with them;
 * that needs no directory, nor anybody's leave. Where the file can get no
 * larger, or libpmem has to map a file as a whole (DAX), there are further
 * files. A forked child never makes a file of its parent's larger.
 *
 * File space is taken in whole grains: 2 MiB on DAX, where only whole aligned
 * 2 MiB units are mapped by huge pages and where the first touch of each
 * smaller piece waits for the file system; on tmpfs a page; on other file
 * systems what they take at least, or what readahead may treat as one
 * (region_readahead.h).
 *
 * All functions may be called from any thread. They return 0 or a negative
 * errno unless they say otherwise. None calls into jemalloc: extent hooks run
 * under its locks and use this layer.
 */
#ifndef REGION_POOL_H
#define REGION_POOL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file_system.h"
#include "region_align.h"
#include "region_file.h"

/* Each further region is as large as those before it together, or larger. */
#define REGION_POOL_MAX_REGIONS 24

/* Bytes for which a region has a tag. No page is smaller. */
#define REGION_TAG_SHIFT 12
#define REGION_TAG_UNIT ((size_t)1 << REGION_TAG_SHIFT)

/* What regions are made of. */
enum region_backing {
    REGION_FILES,  /* a file in a directory; more where one has no more room */
    REGION_FILE,   /* one file of the caller's */
    REGION_DEVICE, /* a device DAX: of fixed size, and without holes */
    REGION_BUFFER, /* memory of the caller's: always committed */
    REGION_MEMORY, /* private anonymous memory */
};

/* What the regions of files and devices are in a forked child. Memory and
 * buffers are as fork(2) leaves them. See region_fork.h. */
enum region_fork_policy {
    REGION_FORK_PRIVATE,     /* a private mapping; of a device: as below */
    REGION_FORK_SHARED,      /* the parent's */
    REGION_FORK_UNAVAILABLE, /* no memory at all */
    REGION_FORK_COPY,        /* a copy; of a device: as above */
};

struct region {
    char *base;
    size_t size;
    size_t used; /* bytes handed out in blocks; guarded by the pool's lock */
    size_t open; /* bytes that can be touched, the blocks at least; as above */
    int fd;      /* -1 where there is no file; see region_has_descriptor() */
    struct file_identity identity; /* of that file */
    size_t file_offset;            /* where in the file it begins */
    bool owns_file;                /* the first of the regions that are in it */
    bool is_parents_file;          /* this process shares it with its parent */
    bool is_pmem;
    bool by_libpmem; /* pmem_map_file() made the mapping */
    /* A number for each REGION_TAG_UNIT of the region, for the layers above to
     * note what lies there; 0 at first. */
    _Atomic uint16_t *tags;
    size_t tags_open;                /* bytes of them that can be written */
    bool guard_before, guard_behind; /* a page that cannot be touched */
    bool is_private; /* in a forked child: no file is behind it any more */
    /* What such a region is made of, see region_private.h: */
    size_t inherited;    /* bytes, its first, that the parent had in use */
    uint64_t *anonymous; /* of these, the page is memory of its own */
    uint64_t *mergeable; /* and a new mapping beside it becomes one with it */
    size_t pieces;       /* separate mappings that were made */
    size_t stale;        /* bytes of a copy that is not zero if uncommitted */
    bool dumps_objects;  /* see region_dump.h */
    bool marks_are_refused;
    uint64_t *dumped;            /* the page goes into a core dump */
    size_t dumped_runs;          /* of such pages */
    uint64_t *free_pages;        /* blocks taken back; guarded by the pool's */
    uint16_t *free_for;          /* lock. Which arena such a page was of. All */
    size_t free_first, free_end; /* of them are in this range. */
    char *copy; /* while fork() runs: of what is in use, or NULL */
    size_t copy_size;
    pthread_mutex_t grain_lock; /* guards what follows */
    /* Where a grain is a page: pages whose space is to be given back, a bit for
     * each; see region_owed.h. Otherwise, 1 if there are any. */
    uint64_t *owed;
    _Atomic size_t owed_pages;
    /* Where a grain is more than a page (grain_live is NULL otherwise), a bit
     * or count for each: */
    size_t grains_open;    /* bytes of the region whose tables can be written */
    uint64_t *page_space;  /* the page has file space */
    uint64_t *page_live;   /* it is committed */
    uint64_t *page_dirty;  /* it may hold something */
    uint16_t *grain_live;  /* committed pages of the grain */
    uint16_t *grain_space; /* pages of it that have space */
    uint16_t *grain_dirty; /* and of the third; see page_map.h */
    size_t grain_end;      /* behind the last that has ever had space */
    struct region_align align; /* where the file's blocks are */
};

struct memkind_region_pool {
    enum region_backing backing;
    size_t budget;   /* most bytes of file space; SIZE_MAX: no limit */
    size_t grain;    /* unit of file space, a power of two, >= page size */
    size_t new_size; /* of the next region */
    bool no_holes;   /* a file takes space for all of its size */
    struct file_system file_system; /* of files; see region_readahead.h */
    /* Grains with a part of their space, and those who may make some. */
    _Atomic size_t part_grains;
    pthread_mutex_t readahead_lock; /* taken last, with another one held */
    bool readahead_is_forbidden;
    void *owner; /* what address_table_find() says of its addresses */
    enum region_fork_policy fork_policy;
    bool dumps_objects;       /* what is committed goes into core dumps */
    bool is_inherited;        /* it was made by a parent of this process */
    bool is_lost;             /* and this process cannot have it */
    atomic_bool takes_back;   /* see region_pool_take_back() */
    _Atomic size_t charged;   /* bytes of file space held now */
    atomic_bool pretending;   /* see region_pool_set_pretending() */
    atomic_bool lacks_space;  /* see region_pool_lacks_space() */
    atomic_bool no_punch;     /* the file system cannot punch holes */
    atomic_bool no_fallocate; /* nor allocate but by writing */
    pthread_mutex_t lock;     /* guards growth and region.used */
    bool could_not_grow;      /* when it was last tried; guarded as growth is */
    _Atomic unsigned count;
    struct region regions[REGION_POOL_MAX_REGIONS];
    size_t first_capacity; /* of the file system, when the pool was made */
    /* Of REGION_FILES. Other pools may use the number, too. */
    int directory;
    struct file_identity directory_identity;
    char path[PATH_MAX];                     /* that leads there, or "" */
    struct memkind_region_pool *next, *prev; /* region_fork.c */
};

/*
 * Each makes a pool with its first region. On failure nothing is left behind.
 *
 * files:  dir is a writable directory; max_size 0 means no limit;
 * file:   fd is an empty regular file, which is duplicated;
 * device: path is a device DAX, which no other pool may have; -EBUSY;
 * buffer: whole pages within [addr, addr + size) are used;
 * memory: DRAM, without limit.
 */
int region_pool_open_files(struct memkind_region_pool *pool, const char *dir,
                           size_t max_size, void *owner);
int region_pool_open_file(struct memkind_region_pool *pool, int fd,
                          size_t max_size, void *owner);
int region_pool_open_device(struct memkind_region_pool *pool, const char *path,
                            size_t max_size, void *owner);
int region_pool_open_buffer(struct memkind_region_pool *pool, void *addr,
                            size_t size, void *owner);
int region_pool_open_memory(struct memkind_region_pool *pool, void *owner);

/* A pool's policy is REGION_FORK_PRIVATE unless this says otherwise, before
 * the pool is in use. */
void region_pool_set_fork_policy(struct memkind_region_pool *pool,
                                 enum region_fork_policy policy);

/* What is committed goes into core dumps. Said before the pool is in use. */
void region_pool_dump_objects(struct memkind_region_pool *pool);

/* From now on regions have a page before and behind them that cannot be
 * touched, where the address space there is free. */
void region_pool_use_guards(bool use);

/* Unmaps all regions and gives their file space back. */
void region_pool_close(struct memkind_region_pool *pool);

/*
 * Takes a block.
 * size, alignment: multiples of the page size, alignment a power of two
 * commit:  in: the block has to be committed; out: whether it is
 * zeroed:  out: whether a committed block is all zero (an uncommitted one
 *          always will be, once it is committed)
 * Returns the block; NULL with errno set.
 */
void *region_pool_alloc(struct memkind_region_pool *pool, size_t size,
                        size_t alignment, bool *commit, bool *zeroed);

/* The same for a jemalloc arena, by its index: only this may be a block that
 * was taken back, from that arena. */
void *region_pool_alloc_for(struct memkind_region_pool *pool, unsigned arena,
                            size_t size, size_t alignment, bool *commit,
                            bool *zeroed);

/*
 * Allocates file space for a page-aligned range within one block, none of
 * which is committed. Its contents are zero afterwards. -ENOMEM: over budget.
 */
int region_pool_commit(struct memkind_region_pool *pool, void *addr,
                       size_t size);

/*
 * Gives the file space of a committed range back, where whole grains become
 * free. What cannot be given back now stays charged, and is tried again. On
 * failure, where it never can be, the range stays committed, with its contents.
 */
int region_pool_decommit(struct memkind_region_pool *pool, void *addr,
                         size_t size);

/* Tries to give back what could not be given back when it was to be. */
void region_pool_pay(struct memkind_region_pool *pool);

/*
 * Takes a range back that no block is made of from now on: it is decommitted
 * and handed out again, to the same arena. Only done in a forked child whose
 * pieces are used up (region_private.h); -EOPNOTSUPP otherwise, and nothing has
 * changed.
 */
int region_pool_take_back(struct memkind_region_pool *pool, unsigned arena,
                          void *addr, size_t size, bool committed);

/* The region that an address lies in, or NULL. Lock-free. */
struct region *region_pool_find(struct memkind_region_pool *pool,
                                const void *addr);

static inline bool region_contains(const struct region *region,
                                   const void *addr)
{
    return (uintptr_t)addr - (uintptr_t)region->base < region->size;
}

/*
 * Whether the region's descriptor is there, and is still of its file: programs
 * close descriptors that they do not know, and others get the numbers. Nothing
 * is done by number, closing it least of all, unless this says so. A kind goes
 * on without it; its file cannot grow then.
 */
bool region_has_descriptor(const struct region *region);

/*
 * While this is on, blocks are said to be committed, and commit and decommit do
 * nothing: an arena can then take all of a fixed pool in as what it has used
 * and given back. See heap_fixed.h.
 */
void region_pool_set_pretending(struct memkind_region_pool *pool,
                                bool pretending);

/* Whether the pool can never have more address space than it has now. */
bool region_pool_is_fixed(const struct memkind_region_pool *pool);

/* Bytes that a fixed pool has left for blocks. */
size_t region_pool_room(struct memkind_region_pool *pool);

/* Bytes of file space (or memory) that the pool holds. */
size_t region_pool_charged(const struct memkind_region_pool *pool);

/* Budget, or the size of what the regions lie in; 0 where that is not known. */
size_t region_pool_capacity(const struct memkind_region_pool *pool);

/* Whether the last file space that was asked for could not be had although the
 * budget allows for it: the file system is full, or a quota is used up. */
bool region_pool_lacks_space(const struct memkind_region_pool *pool);

/* Whether what one pool gives back may be of use to the other: both have files,
 * in the same file system. Either may be NULL. */
bool region_pool_shares_space(const struct memkind_region_pool *pool,
                              const struct memkind_region_pool *other);

/* memset(ptr, 0, size) and memcpy() for objects of the pool: large ones past
 * the CPU's caches where they are persistent memory, which else would be read
 * first.
 */
void region_pool_clear(const struct memkind_region_pool *pool, void *ptr,
                       size_t size);
void region_pool_copy(const struct memkind_region_pool *pool, void *to,
                      const void *from, size_t size);

/* Whether this is a forked child's pool, and what it has not stored to yet may
 * show what its parent has stored since. */
bool region_pool_shows_parent(const struct memkind_region_pool *pool);

/* Whether this process is a child that cannot have the pool's memory. Nothing
 * can be allocated or committed then. */
bool region_pool_is_lost(const struct memkind_region_pool *pool);

/* Makes a range durable. -EINVAL where it does not lie in one file;
 * -EOPNOTSUPP where it is a forked child's own copy. */
int region_pool_persist(struct memkind_region_pool *pool, const void *addr,
                        size_t size);

/* Whether the pool's mappings are persistent memory. */
bool region_pool_is_pmem(const struct memkind_region_pool *pool);

/* Most arenas that make sense for a pool, at `per_cpu` for each CPU, if their
 * extents are multiples of `extent_page` bytes. */
unsigned region_pool_arenas(const struct memkind_region_pool *pool,
                            unsigned per_cpu, size_t extent_page);

size_t region_page_size(void);

#endif
