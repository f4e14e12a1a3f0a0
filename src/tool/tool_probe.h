/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a place can do, found by trying. Files are unnamed and gone afterwards,
 * and small beside what is free; nothing is written to a device.
 */
#ifndef TOOL_PROBE_H
#define TOOL_PROBE_H

#include <stdint.h>

#include "tool_limits.h"
#include "tool_place.h"

enum answer {
    ANSWER_NONE, /* the question makes no sense here */
    ANSWER_UNKNOWN,
    ANSWER_NO,
    ANSWER_YES,
};

/* An answer, and the errno that it comes from (0 where there was none). */
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
    uint64_t largest_file; /* what a file could be made to be; 0: not known */

    struct trial kind; /* a kind can be made, and allocated from */
    int kind_status;   /* what memkind_create_pmem() answered */
    struct trial dax;

    struct trial large; /* all mappings are of 2 MiB, or nearly all */
    uint64_t touched;   /* size of what was touched page by page, bytes */
    uint64_t faults;    /* page faults that this took */
    /* Where kinds can differ in that, several were made, one after another:
     * what is above is of the one in the middle. */
    unsigned kinds;
    uint64_t most_faults; /* of the kind that took most */
};

#define LARGE_PAGE ((uint64_t)2 << 20)

void probe_place(struct probe *probe, const char *path);

/* Of the 2 MiB units that were touched, how many have a mapping of 2 MiB: in a
 * typical kind, and in the worst one. */
uint64_t probe_large_units(const struct probe *probe);
uint64_t probe_least_units(const struct probe *probe);

#endif /* TOOL_PROBE_H */
