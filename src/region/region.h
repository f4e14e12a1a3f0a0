/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data of regions and pools, which all modules of this layer share.
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
 *     '.' a hole: a touch could be SIGBUS, so no program gets its address
 *     ' ' not handed out: cannot be touched, so that a pass over all memory of
 *         a process (mlockall(2), say) takes no file space there
 *
 * The regions of a pool follow one another in one file, which grows with them;
 * that needs no directory, and no permission for one. If the file can get no
 * larger, or if libpmem has to map a file as a whole (DAX), there are further
 * files. A forked child never makes a file of its parent's larger.
 *
 * The space of one file is taken and given back by one thread at a time. So a
 * pool that several arenas use has stripes (pool_stripes.h): regions beside the
 * first one, each with a file of its own, all of them in one range of addresses
 * with one array of tags:
 *
 *     range:    | first region | stripe 1 | stripe 2 | not used yet |
 *     tags:     | ............................................... |
 *
 * File space is allocated in whole grains: 2 MiB on DAX, because only whole
 * aligned units of 2 MiB are mapped by huge pages, and because the first touch
 * of each smaller piece waits for the file system; a page on tmpfs; on other
 * file systems the least that they allocate, or what readahead may treat as one
 * piece (region_readahead.h).
 */
#ifndef REGION_H
#define REGION_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "descriptor.h"
#include "file_system.h"
#include "page_size.h"
#include "ranked_lock.h"
#include "region_align.h"
#include "region_numa.h"
#include "sparse_bits.h"

/* Each further region is as large as those before it together, or larger. */
#define REGION_POOL_MAX_REGIONS 24

/* Stripes beside the first region. */
#define REGION_POOL_MAX_STRIPES 15

/* Directories of a pool. */
#define REGION_POOL_MAX_PLACES 8

/* Bytes for which a region has a tag. No page is smaller. */
#define REGION_TAG_SHIFT 12
#define REGION_TAG_UNIT ((size_t)1 << REGION_TAG_SHIFT)

/* What regions are made of. */
enum region_backing {
    REGION_FILES,  /* a file in a directory; more when one has no more room */
    REGION_FILE,   /* one file of the caller's */
    REGION_DEVICE, /* a device DAX: of fixed size, and without holes */
    REGION_BUFFER, /* memory of the caller's: always committed */
    REGION_MEMORY, /* private anonymous memory */
};

/* What the regions of files are in a forked child (region_fork.c). A device
 * that is neither shared nor unavailable can only be read there. Memory and
 * buffers are as fork(2) leaves them. */
enum region_fork_policy {
    REGION_FORK_PRIVATE,     /* a private mapping */
    REGION_FORK_SHARED,      /* the parent's */
    REGION_FORK_UNAVAILABLE, /* no memory at all */
    REGION_FORK_COPY,        /* a copy */
    REGION_FORK_SNAPSHOT,    /* the file as it was (region_detach.h) */
};

struct region;

/* A directory in which files of a pool are made, or what its only file is in.
 */
struct pool_place {
    int directory; /* -1: none. Other pools may use the number, too. */
    int node;      /* NUMA node of its memory; -1: not known */
    struct file_identity identity; /* of the directory */
    /* The space that was last asked for there could not be had. */
    atomic_bool lacks_space;
    atomic_bool counts_space;   /* the file system does, as has been seen */
    const struct region *first; /* of those whose files are there, or NULL */
    struct pool_place *next;    /* of the same pool */
    char path[PATH_MAX];        /* that leads there, or "" */
};

struct region {
    char *base;
    size_t size;
    size_t room; /* bytes behind the first region that are the range's */
    /* used <= open <= size. Both are guarded by the pool's lock. */
    size_t used; /* bytes handed out in blocks */
    size_t open; /* bytes that can be touched */
    int fd;      /* -1 if there is no file; see region_has_descriptor() */
    struct file_identity identity; /* of that file */
    size_t file_offset;            /* of the region's start in the file */
    struct pool_place *place;      /* of that file; never NULL */
    bool owns_file;                /* the first of the regions that are in it */
    bool is_stripe;                /* it lies in the range, behind the first */
    unsigned arenas;               /* that take blocks here first */
    bool is_parents_file;          /* this process shares it with its parent */
    bool is_pmem;
    bool by_libpmem; /* pmem_map_file() made the mapping */
    /* A number for each REGION_TAG_UNIT of the region, in which the layers
     * above note what lies there; 0 at first. */
    _Atomic uint16_t *tags;
    size_t tags_open;                /* bytes of them that can be written */
    bool guard_before, guard_behind; /* a page that cannot be touched */
    bool is_private; /* in a forked child: no file is behind it any more */

    /* For private regions (region_private.h). */
    size_t inherited;     /* bytes, its first, that the parent had in use */
    uint64_t *anonymous;  /* bit for a page of these: it is memory of its own */
    uint64_t *mergeable;  /* bit: a new mapping beside it becomes one with it */
    size_t pieces;        /* separate mappings that were made */
    size_t stale;         /* bytes of a copy that is not zero if uncommitted */
    uint64_t *free_pages; /* bit: in a block taken back. By the pool's lock */
    uint16_t *free_for;   /* index of the arena that such a page was of */
    size_t free_first, free_end; /* the range of all such pages */

    /* Core dumps (region_dump.h). */
    bool dumps_objects;
    bool marks_are_refused;
    uint64_t *dumped;   /* bit for each page: it goes into a core dump */
    size_t dumped_runs; /* of such pages */

    /* While fork() runs: a copy of what is in use, or NULL. */
    char *copy;
    size_t copy_size;

    /* Pages that are detached from the file (region_detach.h). */
    struct ranked_lock detach_lock; /* guards what follows */
    uint64_t *detached;             /* bit for each page: it is */
    _Atomic size_t detached_pages;  /* how many are */
    size_t attached_runs;           /* mappings between them */
    bool is_snapshot;               /* while fork() runs: all in use are */
    size_t snapshot_size;           /* bytes in use then */
    char *old;                      /* the mapping they had before */
    _Atomic size_t old_size;        /* 0: there is none */

    struct ranked_lock grain_lock; /* guards what follows */
    /* If a grain is a page: the pages whose space is to be given back, and
     * their number (region_owed.h). Else none, and 1 if there are any. */
    struct sparse_bits owed;
    _Atomic size_t owed_pages;
    size_t owed_below; /* page below which paying goes on */
    size_t
        owed_from; /* grain where paying goes on, if it is more than a page */
    /* If a grain is more than a page, else NULL (grain_tables.h): a bit for
     * each page, and for each grain how many of its pages have that bit. */
    size_t grains_open;   /* bytes of the region whose tables can be written */
    uint64_t *page_space; /* the page has file space */
    uint64_t *page_live;  /* the page is committed */
    uint64_t *page_dirty; /* the page may not be all zero */
    uint16_t *grain_space;
    uint16_t *grain_live;
    uint16_t *grain_dirty;
    size_t grain_end; /* behind the last grain that has ever had space */
    size_t space_pages, live_pages; /* how many there are of each */
    struct sparse_bits owing_grains, spare_grains; /* see grain_sets.h */
    size_t
        split_next; /* the grain from which the next to split is looked for */
    struct region_align align; /* where the file's blocks are */
};

struct memkind_region_pool {
    enum region_backing backing;
    size_t budget;   /* most bytes of file space; SIZE_MAX: no limit */
    size_t grain;    /* unit of file space, a power of two, >= page size */
    size_t new_size; /* of the next region */
    bool no_holes;   /* a file takes space for all of its size */
    struct file_system file_system; /* of files; see region_readahead.h */
    /* Grains with a part of their space, and threads that may make some. */
    _Atomic size_t part_grains;
    /* Bytes that were charged when space was lacking last; 0: never. */
    _Atomic size_t charged_when_full;
    struct ranked_lock readahead_lock;
    bool readahead_is_forbidden;
    void *owner; /* what address_table_find() returns for its addresses */
    const struct region_numa *numa; /* of memory; NULL: any node */
    bool has_huge_pages;            /* of memory: those of huge_pages.h */
    enum region_fork_policy fork_policy;
    bool dumps_objects;      /* what is committed goes into core dumps */
    bool closes_late;        /* a thread gives its memory back (late_close.h) */
    bool is_inherited;       /* it was made by a parent of this process */
    atomic_bool is_shared;   /* another process allocates from it, perhaps */
    bool is_lost;            /* and this process cannot have it */
    atomic_bool takes_back;  /* see region_pool_take_back() */
    _Atomic size_t charged;  /* bytes of file space held now */
    atomic_bool pretending;  /* see region_pool_set_pretending() */
    atomic_bool lacks_space; /* see region_pool_lacks_space() */
    struct {
        atomic_uint lasting, passing;
    } refusals;               /* see region_pool_refusals() */
    atomic_uint decommits;    /* how often pages have been given back */
    atomic_bool has_kept;     /* and whether some could not be */
    atomic_bool no_punch;     /* the file system cannot punch holes */
    atomic_bool has_punched;  /* it can: a hole has been punched */
    atomic_bool has_failed;   /* owed pages may lack their space */
    atomic_bool no_fallocate; /* it cannot allocate but by writing */
    atomic_bool no_populate;  /* the kernel has no MADV_POPULATE_WRITE */
    struct ranked_lock lock;  /* guards growth, region.used and region.open */
    /* Growth; guarded by the lock. */
    bool could_not_grow; /* when it was last tried */
    struct {
        int64_t ms;     /* by coarse_clock_ms() */
        unsigned times; /* in that moment */
        size_t least;   /* bytes */
    } no_growth;        /* for want of address space */
    unsigned newest;    /* index of the last region that is no stripe */
    unsigned following; /* how many regions are no stripes */
    /* Stripes. What is not atomic is set while the pool is made, or guarded by
     * the lock. */
    struct {
        unsigned planned;     /* most of them that may be made */
        unsigned count;       /* that have been made */
        size_t size;          /* bytes of addresses for each */
        size_t charged_least; /* to be held before one more is made */
        unsigned first_arena; /* 1 + the index of the first to ask for blocks */
        uint8_t *homes;       /* by an arena's index: 1 + that of its region */
        _Atomic uint8_t at[REGION_POOL_MAX_STRIPES]; /* index of region, or 0 */
    } stripes;
    struct {
        char *base;
        size_t size;
        _Atomic uint16_t *tags; /* of all that lies in the range */
    } range;
    _Atomic unsigned count;
    struct region regions[REGION_POOL_MAX_REGIONS + REGION_POOL_MAX_STRIPES];
    size_t first_capacity;   /* of the file systems, when the pool was made */
    struct pool_place place; /* the first one, and the list of all */
    struct memkind_region_pool *next, *prev; /* pool_list.c */
};

static inline bool region_contains(const struct region *region,
                                   const void *addr)
{
    return (uintptr_t)addr - (uintptr_t)region->base < region->size;
}

/* Whether an address lies in the pool's range. Lock-free. */
static inline bool region_range_contains(const struct memkind_region_pool *pool,
                                         const void *addr)
{
    return (uintptr_t)addr - (uintptr_t)pool->range.base < pool->range.size;
}

/* Which stripe the addresses at an offset of the range are for, from 0 on;
 * REGION_POOL_MAX_STRIPES or more if they are for none. */
static inline size_t pool_stripe_number(const struct memkind_region_pool *pool,
                                        size_t offset)
{
    return pool->stripes.size == 0
               ? REGION_POOL_MAX_STRIPES
               : (offset - pool->regions[0].size) / pool->stripes.size;
}

static inline size_t region_page_of(size_t offset)
{
    return offset / region_page_size();
}

static inline size_t region_page_count(const struct region *region)
{
    return region_page_of(region->size);
}

/*
 * Whether the region's descriptor is there, and is still of its file: programs
 * close descriptors that they do not know, and other files get the numbers.
 * Nothing is done by number, least of all closing it, unless this is true. A
 * kind goes on without the descriptor; its file cannot grow then.
 */
static inline bool region_has_descriptor(const struct region *region)
{
    return region->fd >= 0 && descriptor_is_of(region->fd, &region->identity);
}

#endif
