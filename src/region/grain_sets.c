/* SPDX-License-Identifier: BSD-2-Clause */
#include "grain_sets.h"

#include <string.h>

int grain_sets_make(struct region *region, size_t grains)
{
    int result = sparse_bits_make(&region->owing_grains, grains);
    if (result == 0)
        result = sparse_bits_make(&region->spare_grains, grains);
    if (result != 0)
        grain_sets_drop(region);
    return result;
}

void grain_sets_drop(struct region *region)
{
    sparse_bits_drop(&region->owing_grains);
    sparse_bits_drop(&region->spare_grains);
}

int grain_sets_open(struct region *region, size_t grains)
{
    int result = sparse_bits_open(&region->owing_grains, grains);
    return result == 0 ? sparse_bits_open(&region->spare_grains, grains)
                       : result;
}

static bool is_owing(const struct region *region, size_t per_grain,
                     size_t grain)
{
    const size_t space = region->grain_space[grain];
    const size_t live = region->grain_live[grain];
    return space > live && (live == 0 || space < per_grain);
}

static bool is_spare(const struct region *region, size_t per_grain,
                     size_t grain)
{
    const size_t live = region->grain_live[grain];
    return live != 0 && live < per_grain &&
           region->grain_space[grain] == per_grain;
}

/* Whether the grains of a word of the bitmaps are in neither, and have no idle
 * pages: most grains of large ranges. */
static bool is_word_at_rest(const struct region *region, size_t grain)
{
    const size_t word = grain / SPARSE_BITS_WORD;
    return region->owing_grains.level[0][word] == 0 &&
           region->spare_grains.level[0][word] == 0 &&
           memcmp(&region->grain_space[grain], &region->grain_live[grain],
                  SPARSE_BITS_WORD * sizeof *region->grain_live) == 0;
}

void grain_sets_note_barren(struct region *region, size_t grain)
{
    ranked_lock_assert_held(&region->grain_lock);
    sparse_bits_set(&region->owing_grains, grain, false);
    sparse_bits_set(&region->spare_grains, grain, false);
}

void grain_sets_update(struct region *region, size_t per_grain, size_t first,
                       size_t end)
{
    ranked_lock_assert_held(&region->grain_lock);
    for (size_t i = first; i < end; i++) {
        if (i % SPARSE_BITS_WORD == 0 && end - i >= SPARSE_BITS_WORD &&
            is_word_at_rest(region, i)) {
            i += SPARSE_BITS_WORD - 1;
            continue;
        }
        sparse_bits_set(&region->owing_grains, i,
                        is_owing(region, per_grain, i));
        sparse_bits_set(&region->spare_grains, i,
                        is_spare(region, per_grain, i));
    }
}

/* Whether a bitmap is right about a grain. */
static bool is_sound(const struct sparse_bits *bits, size_t grain, bool is,
                     bool may_be_barren)
{
    const bool has = sparse_bits_has(bits, grain);
    return has == is || (is && may_be_barren);
}

bool grain_sets_are_sound(const struct region *region, size_t per_grain,
                          size_t end, bool may_be_barren)
{
    size_t idle = 0;
    for (size_t i = 0; i < end; i++) {
        if (!is_sound(&region->owing_grains, i, is_owing(region, per_grain, i),
                      may_be_barren) ||
            !is_sound(&region->spare_grains, i, is_spare(region, per_grain, i),
                      may_be_barren))
            return false;
        idle += (size_t)region->grain_space[i] - region->grain_live[i];
    }
    return idle == grain_sets_idle_pages(region) &&
           sparse_bits_next(&region->owing_grains, end) ==
               region->owing_grains.count &&
           sparse_bits_next(&region->spare_grains, end) ==
               region->spare_grains.count &&
           sparse_bits_are_sound(&region->owing_grains, end) &&
           sparse_bits_are_sound(&region->spare_grains, end);
}
