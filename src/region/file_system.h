/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the file system is like that a region's file is on: how it counts space,
 * what it has of it, and whether a page that has its space keeps it.
 */
#ifndef FILE_SYSTEM_H
#define FILE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

struct file_system {
    /* In what space is taken at least: a page, or the cluster of a file system
     * whose clusters are larger. A power of two. */
    size_t unit;
    /*
     * Largest piece that readahead may put into the page cache at once, at a
     * multiple of its size; a power of two. A store to any page of such a piece
     * takes space for all of it, holes and all. No more than a page: readahead
     * does no harm. SIZE_MAX: nothing is known.
     */
    size_t largest_folio;
};

/* Where more than this is taken at once, too little is left for others. */
#define FILE_SYSTEM_UNIT_MAX ((size_t)2 << 20)

/*
 * Makes an empty file ready for use, and tells what its file system is like.
 * The file is empty afterwards.
 * -EOPNOTSUPP: a page with its space may have none any more when it is stored
 * to once more, because the file system writes everything to new places and
 * cannot be made to leave that.
 */
int file_system_prepare(int fd, struct file_system *file_system);

/* Finds out whether a store to a page that was read ahead takes space for its
 * neighbours, by an empty file, which is empty afterwards. True where that
 * cannot be tried. */
bool file_system_has_large_folios(int fd);

/* Size of the file system that the file is on, in bytes; 0 if not known. */
size_t file_system_size(int fd);

/* Whether it is certain that the file system has less than `size` bytes for
 * this process. */
bool file_system_lacks(int fd, size_t size);

#endif
