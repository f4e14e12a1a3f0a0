/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a place can do, found by trying. Probes use unnamed files, which are
 * gone afterwards, and a small part of the free space; they write nothing to a
 * device.
 */
#ifndef TOOL_PROBE_H
#define TOOL_PROBE_H

#include <stdint.h>

#include "tool_limits.h"
#include "tool_nodes.h"
#include "tool_place.h"
#include "tool_reason.h"

enum answer {
    ANSWER_NONE, /* the question makes no sense here */
    ANSWER_UNKNOWN,
    ANSWER_NO,
    ANSWER_YES,
};

/* An answer, and the errno that led to it (0: none). */
struct trial {
    enum answer answer;
    int error;
};

struct probe {
    struct place place;
    struct limits limits;

    struct trial file; /* a file can be made there */
    struct trial holes;
    struct trial fallocate;
    struct trial punch;
    uint64_t largest_file; /* the largest size of a file; 0: not known */

    struct trial kind;    /* a kind can be made, and allocated from */
    struct reason reason; /* why none can be made */
    struct trial dax;
    struct nodes nodes; /* of the memory; none for what can hold no kinds */

    struct trial large; /* all mappings are of 2 MiB, or nearly all */
    uint64_t touched;   /* size of what was touched page by page, bytes */
    uint64_t faults;    /* page faults that this took */
    /* On persistent memory, kinds can differ in their mappings. Several were
     * made there, one after another: the numbers above are the median's. */
    unsigned kinds;
    uint64_t most_faults; /* of the worst kind */
};

#define LARGE_PAGE ((uint64_t)2 << 20)

/* The least limit of a kind that has huge pages in a tmpfs. */
#define HUGE_PAGES_LEAST ((uint64_t)256 << 20)

/* How many of the 2 MiB units that were touched have a mapping of 2 MiB: in a
 * typical kind, and in the worst one. */
uint64_t probe_large_units(const struct probe *probe);
uint64_t probe_least_units(const struct probe *probe);

#endif /* TOOL_PROBE_H */
