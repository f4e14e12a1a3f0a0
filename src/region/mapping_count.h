/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many pieces the regions of this process may be cut into. A piece is a
 * range that has to be a mapping of its own, and makes what lies behind it one
 * more. The kernel allows a process vm.max_map_count mappings (65,530), which
 * its malloc and its threads need, too.
 */
#ifndef MAPPING_COUNT_H
#define MAPPING_COUNT_H

#include <stdbool.h>
#include <stddef.h>

/* Guards the count, and the tables of pieces. Held around fork(2), or made anew
 * in the child. */
void mapping_count_lock(void);
void mapping_count_unlock(void);
void mapping_count_renew_lock(void);

enum mapping_need {
    MAPPING_NEED_LITTLE, /* there is another way */
    MAPPING_NEED_MUCH,   /* there is none */
};

/* With the lock held: whether there may be another piece; note pieces that were
 * made, and pieces that are gone. */
bool mapping_count_allows(enum mapping_need need);
void mapping_count_add(size_t pieces);
void mapping_count_remove(size_t pieces);

#endif
