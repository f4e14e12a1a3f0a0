/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions of a pool that has been closed, whose memory is given back by
 * threads while the closer goes on. Nobody finds them by an address any more;
 * they only take space.
 *
 * One pool at a time: so no more than one pool's space is held by pools that
 * are gone. What lacks file space waits for it (late_space.h).
 */
#ifndef LATE_CLOSE_H
#define LATE_CLOSE_H

#include "descriptor.h"
#include "file_mapping.h"

struct late_region {
    char *base;
    size_t used;                   /* bytes from there on that may have pages */
    struct mapping mapping;        /* to be undone; base NULL: none */
    int fd;                        /* of a file without a name; -1: none */
    struct file_identity identity; /* of that file */
    bool may_empty; /* the file, if a mapping of the list cannot be undone */
};

struct late_close;

/* Makes a list of up to so many regions. NULL if it cannot be made. */
struct late_close *late_close_new(unsigned count);

void late_close_add(struct late_close *list, const struct late_region *region);

/* Hands the list to threads, when the list before it has been done; if none can
 * be made, does all there is to do. To be called where fork() need not wait,
 * without a lock, and with cancellation disabled. */
void late_close_start(struct late_close *list);

/* Around fork(2). A child has the mappings and files, too: it gives them back
 * itself. */
void late_close_lock(void);
void late_close_unlock(void);
void late_close_renew_lock(void);
void late_close_child(void);

#endif
