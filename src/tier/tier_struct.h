/* SPDX-License-Identifier: BSD-2-Clause */
/* What builders and tiered memories are made of. */
#ifndef TIER_STRUCT_H
#define TIER_STRUCT_H

#include <memkind_memtier.h>
#include <stdatomic.h>
#include <stdint.h>

/* Rates, of which 1 is the whole, are kept in millionths: the library uses no
 * floating-point numbers. */
#define TIER_RATE_ONE 1000000

struct tier {
    memkind_t kind;
    unsigned ratio;
};

/* Between a tier and the next one, in bytes. */
struct tier_threshold {
    size_t value, least, most;
};

struct tier_settings {
    unsigned check_interval; /* allocations of a thread */
    int64_t trigger;         /* a difference of ratios, in millionths */
    int64_t degree;          /* a part of a threshold, in millionths */
};

struct memtier_builder {
    memtier_policy_t policy;
    unsigned count; /* tiers; thresholds are one less */
    struct tier *tiers;
    struct tier_threshold *thresholds;
    struct tier_settings settings;
};

/* What the threads of one stripe know of a tiered memory (kind_tally.h). */
struct tier_view {
    _Atomic int64_t budget; /* bytes until they look at the others again */
    _Atomic int64_t calls;  /* and allocations until then */
    /* For each tier what the other stripes had when they looked last. */
    _Atomic int64_t others[];
};

struct memtier_memory {
    memtier_policy_t policy;
    unsigned count;
    struct tier *tiers;
    struct tier_threshold *limits;
    _Atomic size_t *thresholds; /* as they are now */
    struct tier_settings settings;
    char *views; /* of all stripes, one after another */
    size_t view_size;
};

#endif
