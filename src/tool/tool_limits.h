/* SPDX-License-Identifier: BSD-2-Clause */
/* How much fits in a place: its free space, and what keeps this user and
 * process from using all of it. All in bytes. */
#ifndef TOOL_LIMITS_H
#define TOOL_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "tool_place.h"

#define NO_LIMIT UINT64_MAX

struct limits {
    bool known;         /* whether the file system reports its space */
    uint64_t total;     /* size of the file system or device */
    uint64_t available; /* what is free for this user */
    uint64_t memory;    /* free memory, if files lie in memory; or NO_LIMIT */
    uint64_t quota;     /* the rest of the user's and the group's quota */
    uint64_t address_space; /* what is left of RLIMIT_AS */
    uint64_t file_size;     /* RLIMIT_FSIZE */
    uint64_t fits;          /* the least of all but the last */
};

void limits_find(struct limits *limits, const struct place *place);

#endif /* TOOL_LIMITS_H */
