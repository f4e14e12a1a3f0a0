/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Magazines: for each size class, a stack of free objects between a thread and
 * its arena.
 *
 * A magazine grows if it overflows and the limit of bytes allows it: up to
 * 32 KiB or one object; and further if it was found empty after an earlier
 * overflow, and has not aged since, or if other threads want such objects.
 * Ageing halves what lies in it each second and takes unused capacity away, so
 * that what a thread has freed reaches the arenas, and by their decay the file
 * system, within some seconds. Objects that have pages of their own are kept
 * like others, but fetched one by one.
 *
 * What overflows goes to other threads by the depot (depot.h), if they want it,
 * and otherwise back to the arenas.
 *
 * A cache (thread_cache.h) has one set of magazines. In all these calls the
 * cache is locked, and its thread kept out unless it is the caller, which is
 * inside the allocator.
 */
#ifndef MAGAZINE_H
#define MAGAZINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "depot.h"
#include "heap_arenas.h"
#include "size_class.h"

/* So many objects are remembered that went back to the arenas at once. */
#define RETURNED_LATELY 16U

struct magazines {
    /*
     * The stacks, by class: the first place, the place behind the last one, and
     * the next free place. Below the first place there is a NULL, so that an
     * empty magazine needs no other mark, and below that its true end. A
     * magazine without capacity consists of nothing else. A magazine that is
     * sealed is empty, and its last place seems to be its first.
     */
    void **bases[SIZE_CLASS_COUNT];
    void **ends[SIZE_CLASS_COUNT];
    void **tops[SIZE_CLASS_COUNT];
    uint8_t refill_log[SIZE_CLASS_COUNT]; /* objects of the next refill */
    /* The last objects that were not kept. One is free as long as counting has
     * not ended, and none at its address has come to live. */
    struct returned_lately {
        unsigned epoch; /* of arena_returns */
        unsigned next;
        void *objects[RETURNED_LATELY];
        uint64_t lives[RETURNED_LATELY]; /* see arena_returns_lives() */
        uint8_t classes[RETURNED_LATELY];
    } returned;
    struct heap_arenas *arenas;
    struct depot *depot; /* the heap's; or NULL */
    /* A bit for each class whose magazine has capacity and is not sealed: all
     * others hold nothing. */
    uint64_t open[(SIZE_CLASS_COUNT + 63) / 64];
    /* A bit for each class of which the thread has taken objects. */
    uint64_t taken[(SIZE_CLASS_COUNT + 63) / 64];
    /* A bit for each class of which objects went back because the magazine was
     * full, and for each whose magazine was empty after that. */
    uint64_t overflowed[(SIZE_CLASS_COUNT + 63) / 64];
    uint64_t missed[(SIZE_CLASS_COUNT + 63) / 64];
    unsigned arena_place; /* in the heap's arenas */
    int arena_flags;      /* for mallocx(); see heap_arenas_flags() */
    unsigned tally;       /* that is counted in; see arena_returns.h */
    size_t limit;         /* of bytes that the magazines may hold */
    size_t reserved;      /* bytes that they could hold by their capacities */
    /* Bytes of the objects that the thread has taken from the arenas and from
     * other threads, less those that it has given there. It is an estimate:
     * what another thread frees is not counted. */
    _Atomic int64_t holds;
    bool is_bypassed; /* no objects are kept: all go back to the arenas */
};

/* Makes all magazines, without capacity. The other fields are set before. */
void magazine_init_all(struct magazines *magazines);

/* For another thread, which has taken none of the objects. */
void magazine_change_thread(struct magazines *magazines);

/*
 * Takes an object of a class that is cached; NULL if the arena has none. *fresh
 * is set to whether the object comes from the arena, which has cleared it if
 * `zero` asks for that.
 */
void *magazine_take(struct magazines *magazines, unsigned size_class, bool zero,
                    bool *fresh);

/* Takes an object from the arena, and gives one back, past the magazines, for a
 * heap that is exhausted. The cache need not be locked: of what other threads
 * use, these touch nothing but `holds`. */
void *magazine_fetch(struct magazines *magazines, unsigned size_class,
                     bool zero);
void magazine_return(struct magazines *magazines, unsigned size_class,
                     void *ptr);

/* Notes bytes that were taken, or given (less than 0). The cache need not be
 * locked: of what two threads note at once, some may be lost. */
static inline void magazine_note_held(struct magazines *magazines,
                                      int64_t bytes)
{
    const int64_t holds =
        bytes + atomic_load_explicit(&magazines->holds, memory_order_relaxed);
    /* Who frees what others have made holds nothing. */
    atomic_store_explicit(&magazines->holds, holds > 0 ? holds : 0,
                          memory_order_relaxed);
}

/* Whether an object is among the last ones that went back without being kept,
 * and is free still. */
bool magazine_returned_lately(const struct magazines *magazines,
                              unsigned size_class, const void *ptr);

/* Whether an object is the one that was put in last. That may lie below another
 * one; see cover_first(). */
static inline bool magazine_was_put_last(const struct magazines *magazines,
                                         unsigned size_class, const void *ptr)
{
    void *const *top = magazines->tops[size_class];
    return top[-1] == ptr ||
           (top == magazines->ends[size_class] && top[-2] == ptr);
}

/* Whether an object is among those that were put in last. */
bool magazine_has_lately(const struct magazines *magazines, unsigned size_class,
                         const void *ptr);

/* Puts an object in. If there is no room, the magazine grows, or its older half
 * goes to the depot or to the arenas. If it has no capacity, the object itself
 * goes to its arena. */
void magazine_put(struct magazines *magazines, unsigned size_class, void *ptr);

/* Gives the objects of one class, or of all classes, back to their arenas. */
void magazine_drain(struct magazines *magazines, unsigned size_class);
void magazine_drain_all(struct magazines *magazines);

/* Drains all magazines and seals them: the next object that is put in comes by
 * magazine_put(). */
void magazine_seal_all(struct magazines *magazines);

/* Drains all magazines and takes their capacity away. */
void magazine_drop_all(struct magazines *magazines);

/* Takes the capacity of all magazines away, with the objects that are in them:
 * their arenas go as a whole. */
void magazine_forget_all(struct magazines *magazines);

/* One step of ageing. */
void magazine_age_all(struct magazines *magazines);

/* Gives as many objects of the depot back to their arenas as it holds now: all,
 * unless other threads put some in meanwhile. */
void magazine_drain_depot(struct heap_arenas *arenas, struct depot *depot);

/* Goes on with a step of ageing of the depot. Returns whether some of it is
 * left. One thread does so at a time. */
bool magazine_age_depot(struct heap_arenas *arenas, struct depot *depot);

/* Bytes of the objects in the magazines. */
size_t magazine_bytes(const struct magazines *magazines);

#endif
