/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * File space that can be mapped by large pages.
 *
 * On DAX, a large mapping needs blocks that lie at a multiple of its size on
 * the device. File systems do not provide that by themselves: they go on behind
 * the file's last blocks, or begin at the start of the free space. So the
 * blocks of a grain are looked at (FIEMAP) before anything lies in them, and if
 * they are wrong, others are asked for:
 *
 *   - a grain alone, first: ext4 looks for a free piece of just that size,
 *     and its free pieces of 2^n blocks are aligned. What is asked for behind
 *     an aligned grain then follows it;
 *   - what is given in the wrong place is set aside for a moment in a second
 *     file, together with the blocks up to the next aligned one, so that the
 *     file system has to go on from there;
 *   - journals that hold freed blocks back are made to release them.
 *
 * Space comes before large pages: if no aligned piece is found with bounded
 * effort, or if little is free, the grain stays in its place, and for a while
 * no search is made.
 */
#ifndef REGION_ALIGN_H
#define REGION_ALIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "descriptor.h"

/* Unit and alignment of blocks, in bytes. */
#define REGION_ALIGN_GRAIN ((size_t)2 << 20)

/* What is known of a region's file. All 0 at first, except `start`. */
struct region_align {
    size_t start;  /* of the file system on its device, within a grain */
    size_t end;    /* file offset behind the last aligned grain; 0: none */
    unsigned skip; /* so many grains are taken as they come */
    unsigned last_skip;
    bool is_off; /* the file system does not report where blocks are */
};

/* Finds where the partition that a file lies on starts, within a grain. */
size_t region_align_start(int fd);

/* Which file, and the directory in which others can be made for a moment. */
struct region_align_file {
    int fd;
    const struct file_identity
        *identity; /* nothing is punched in another one */
    int directory; /* on the same file system; -1: nowhere */
};

/*
 * Allocates like file_space_allocate(), for whole grains of a hole (offset and
 * size are multiples of REGION_ALIGN_GRAIN). Calls for one file are not made at
 * the same time.
 */
int region_align_allocate(struct region_align *align,
                          const struct region_align_file *file, size_t offset,
                          size_t size, bool *no_fallocate);

#endif
