/* SPDX-License-Identifier: BSD-2-Clause */
#include "size_class.h"

#include <errno.h>
#include <pthread.h>

#include "debug_log.h"
#include "jemalloc_ctl.h"

uint8_t size_class_table[SIZE_CLASS_TABLE_MAX / 8 + 1];
uint32_t size_class_sizes[SIZE_CLASS_COUNT];
uint32_t size_class_pages[SIZE_CLASS_COUNT];
uint32_t size_class_divisors[TAG_CLASS_MASK + 1];
unsigned size_class_first_large;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int init_result;

/* The least number that, times any size from 1 on, reaches 2^32. */
static uint32_t divisor_of(uint32_t size)
{
    return UINT32_MAX / size + 1;
}

static uint32_t size_of_number(unsigned number)
{
    if (number == SIZE_CLASS_FIRST)
        return 8;
    if (number <= 9)
        return 16 * (number - 1);
    unsigned group = (number - 10) / 4, step = (number - 10) % 4;
    return (5U + step) << (group + 5);
}

static void fill_tables(void)
{
    unsigned number = SIZE_CLASS_FIRST;
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++)
        size_class_sizes[i] = size_of_number(i);
    for (size_t i = 1; i <= SIZE_CLASS_TABLE_MAX / 8; i++) {
        if (i * 8 > size_class_sizes[number])
            number++;
        size_class_table[i] = (uint8_t)number;
    }
    size_class_first_large = SIZE_CLASS_FIRST + je_small_classes();
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++)
        size_class_pages[i] = i < size_class_first_large
                                  ? (uint32_t)je_slab_size(i - SIZE_CLASS_FIRST)
                                  : size_class_sizes[i];
    while (size_class_sizes[size_class_first_large - 1] > SIZE_CLASS_TABLE_MAX)
        size_class_first_large--;
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_HUGE; i++)
        size_class_divisors[i] =
            divisor_of(i < size_class_first_large ? size_class_sizes[i]
                                                  : SIZE_CLASS_LARGE_ALIGNMENT);
    for (unsigned i = SIZE_CLASS_FIRST; i <= SIZE_CLASS_LAST; i++) {
        size_t size = size_class_sizes[i];
        if (JE_NAME(nallocx)(size, 0) == size &&
            (i == SIZE_CLASS_FIRST ||
             JE_NAME(nallocx)(size_class_sizes[i - 1] + 1, 0) == size))
            continue;
        debug_log("jemalloc (pages of %zu bytes) has no size class of %zu "
                  "bytes: is it built for this system's pages?",
                  je_page_size(), size);
        init_result = -EINVAL;
    }
}

int size_class_init(void)
{
    pthread_once(&once, fill_tables);
    return init_result;
}

unsigned tag_of(unsigned size_class, uintptr_t address)
{
    if (size_class >= size_class_first_large)
        return size_class;
    /* A slab's start is a multiple of 4 KiB, and the distances that are a
     * multiple of the size come by in turn: at most seven tries. */
    for (unsigned distance = 0;; distance++) {
        unsigned tag = size_class | distance << TAG_DISTANCE_SHIFT;
        if (tag_fits(tag, address))
            return tag;
        /* Not an object's start at all: no address will fit. */
        if (distance > 7)
            return SIZE_CLASS_NONE;
    }
}
