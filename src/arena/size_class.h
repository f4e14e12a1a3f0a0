/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jemalloc's size classes, by number, up to the largest that a thread caches;
 * and the tags by which a pointer's class is found.
 *
 * Classes are 8, then multiples of 16 up to 128, then four to each doubling.
 * A class up to 14336 (SIZE_CLASS_TABLE_MAX) is cut from slabs: runs of pages
 * in which objects lie one after another from the start. So the distance of an
 * object from its slab's start is a multiple of the class's size, and an
 * address for which it is not was never handed out. (If jemalloc was built
 * for pages larger than 4 KiB, larger objects are cut from slabs, too: up to
 * 229376 bytes with 64 KiB. Their sizes being multiples of 4 KiB, nothing has
 * to be known of that.)
 *
 * A tag is kept for each 4 KiB of a region (region.h): the class of the
 * objects that start there, and how far their slab's start is away. It is
 * written whenever objects are taken from jemalloc. While an object lives, or
 * is cached, its slab stays what it is, so its tag holds, and so do those of
 * the other 4 KiB that it lies in: 0 if no object starts there. Elsewhere a tag
 * may be left over from earlier objects.
 */
#ifndef SIZE_CLASS_H
#define SIZE_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of classes: 0 is none, SIZE_CLASS_HUGE any that is not cached. */
enum {
    SIZE_CLASS_NONE = 0,
    SIZE_CLASS_FIRST = 1, /* 8 bytes */
    SIZE_CLASS_LAST = 73, /* 8 MiB */
    SIZE_CLASS_HUGE = 74,
    SIZE_CLASS_COUNT = 75,
};

/* Sizes up to this one have their class in a table. */
#define SIZE_CLASS_TABLE_MAX ((size_t)14336)

#define SIZE_CLASS_HIDDEN __attribute__((visibility("hidden")))

extern uint8_t size_class_table[SIZE_CLASS_TABLE_MAX / 8 + 1] SIZE_CLASS_HIDDEN;

/* Bytes of an object; 0 for the numbers that stand for no single class. */
extern uint32_t size_class_sizes[SIZE_CLASS_COUNT] SIZE_CLASS_HIDDEN;

/* Bytes of the pages that an object of a new slab takes, or one with pages of
 * its own; 0 for the numbers that stand for no single class. */
extern uint32_t size_class_pages[SIZE_CLASS_COUNT] SIZE_CLASS_HIDDEN;

/* Whether each object has pages of its own, which no other object shares. */
static inline bool size_class_has_own_pages(unsigned size_class)
{
    return size_class_pages[size_class] == size_class_sizes[size_class];
}

/* Objects of such classes start at a page if jemalloc leaves that alone. A
 * jemalloc that is not our own shifts them by cache lines. */
#ifdef MEMKIND_JEMALLOC_EMBEDDED
#define SIZE_CLASS_LARGE_ALIGNMENT 4096U
#else
#define SIZE_CLASS_LARGE_ALIGNMENT 64U
#endif

/* The first class that has units of 4 KiB of its own for each object. */
extern unsigned size_class_first_large SIZE_CLASS_HIDDEN;

/* To be called before anything else. Returns 0, or -EINVAL if the jemalloc in
 * use has other classes. */
int size_class_init(void);

/* The class of a size; of none for 0. */
static inline unsigned size_class_of(size_t size)
{
    if (__builtin_expect(size <= SIZE_CLASS_TABLE_MAX, 1))
        return size_class_table[(size + 7) / 8];
    unsigned log = 63U - (unsigned)__builtin_clzl(size - 1);
    unsigned step = (unsigned)((size - 1) >> (log - 2)) & 3;
    unsigned number = 10 + (log - 7) * 4 + step;
    return number <= SIZE_CLASS_LAST ? number : SIZE_CLASS_HUGE;
}

/* The class whose objects are large enough and lie right, for alignments up to
 * 4096; SIZE_CLASS_NONE if no class sees to that. */
static inline unsigned size_class_of_aligned(size_t size, size_t alignment)
{
    /* A multiple of the alignment has a class that is one, too. */
    unsigned size_class =
        size_class_of((size + alignment - 1) & ~(alignment - 1));
    if (size_class >= size_class_first_large &&
        alignment > SIZE_CLASS_LARGE_ALIGNMENT)
        return SIZE_CLASS_NONE;
    return size_class;
}

_Static_assert(SIZE_CLASS_COUNT <= 256, "a tag has 8 bits for the class");

/* ---- tags --------------------------------------------------------------- */

#define TAG_CLASS_MASK 0xffU
#define TAG_DISTANCE_SHIFT 8 /* in units of 4 KiB */

/* A distance x within a slab is a multiple of the size if and only if
 * (uint32_t)(x * divisor) < divisor. */
extern uint32_t size_class_divisors[TAG_CLASS_MASK + 1] SIZE_CLASS_HIDDEN;

static inline unsigned tag_class(unsigned tag)
{
    return tag & TAG_CLASS_MASK;
}

/* The tag of a page of a slab that has gone, with the class that its objects
 * had in place of the distance. No address fits it. */
#define TAG_OF_GONE 255U

static inline unsigned tag_when_gone(unsigned tag)
{
    return TAG_OF_GONE | tag_class(tag) << TAG_DISTANCE_SHIFT;
}

/* The class that objects had; SIZE_CLASS_NONE if it is another tag. */
static inline unsigned tag_gone_class(unsigned tag)
{
    return tag_class(tag) == TAG_OF_GONE ? tag >> TAG_DISTANCE_SHIFT
                                         : (unsigned)SIZE_CLASS_NONE;
}

/* Whether an object of the tag's class can start at an address. */
static inline bool tag_fits(unsigned tag, uintptr_t address)
{
    uint32_t distance = (uint32_t)((tag >> TAG_DISTANCE_SHIFT) << 12) +
                        (uint32_t)(address & 4095);
    uint32_t divisor = size_class_divisors[tag_class(tag)];
    return (uint32_t)(distance * divisor) < divisor;
}

/* The tag for an object of a class at an address. */
unsigned tag_of(unsigned size_class, uintptr_t address);

#endif
