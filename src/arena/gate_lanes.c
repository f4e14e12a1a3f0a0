/* SPDX-License-Identifier: BSD-2-Clause */
#include "gate_lanes.h"

#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64
#define WORDS (GATE_LANES / 64)

static struct {
    _Alignas(CACHE_LINE) atomic_int inside;
} lanes[GATE_LANES];

/* A bit for each lane. */
static _Atomic uint64_t taken[WORDS];

atomic_int *gate_lane_take(void)
{
    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t word = atomic_load(&taken[i]);
        while (word != UINT64_MAX) {
            const unsigned bit = (unsigned)__builtin_ctzll(~word);
            if (atomic_compare_exchange_weak(&taken[i], &word,
                                             word | (uint64_t)1 << bit))
                return &lanes[i * 64 + bit].inside;
        }
    }
    return NULL;
}

static unsigned number_of(const atomic_int *lane)
{
    const size_t distance =
        (size_t)((const char *)lane - (const char *)&lanes[0].inside);
    return (unsigned)(distance / sizeof lanes[0]);
}

void gate_lane_give_up(atomic_int *lane)
{
    const unsigned number = number_of(lane);
    atomic_fetch_and(&taken[number / 64], ~((uint64_t)1 << number % 64));
}

static atomic_int *next_of(unsigned word_number, uint64_t word)
{
    return &lanes[word_number * 64 + (unsigned)__builtin_ctzll(word)].inside;
}

int gate_lanes_inside(void)
{
    int inside = 0;
    for (unsigned i = 0; i < WORDS; i++)
        for (uint64_t word = atomic_load(&taken[i]); word != 0;
             word &= word - 1)
            inside += atomic_load(next_of(i, word));
    return inside;
}

/* Most are read only: what is written to is copied. */
void gate_lanes_keep_only(const atomic_int *own)
{
    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t kept = 0;
        for (uint64_t word = atomic_load(&taken[i]); word != 0;
             word &= word - 1) {
            atomic_int *lane = next_of(i, word);
            if (lane == own)
                kept = word & ~(word - 1);
            else if (atomic_load(lane) != 0)
                atomic_store(lane, 0);
        }
        if (atomic_load(&taken[i]) != kept)
            atomic_store(&taken[i], kept);
    }
}
