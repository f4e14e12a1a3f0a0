/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the file system of a region's file is like: how it counts space, and
 * whether a page that has its space keeps it.
 */
#ifndef FILE_SYSTEM_H
#define FILE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

struct file_system {
    /* The least space that is taken: a page, or the cluster of a file system
     * whose clusters are larger. A power of two. */
    size_t unit;
    /*
     * Largest piece that readahead may put into the page cache at once, at a
     * multiple of its size; a power of two. A store to any page of such a piece
     * takes space for all of it, holes as well. No more than a page: readahead
     * does no harm. SIZE_MAX: not known. If it has huge pages this is the size
     * of those: with them, too, a store may take space for all of it.
     */
    size_t largest_folio;
    /* What it has lies in memory and nowhere else. */
    bool is_memory;
    /* It is such, and gives a huge page of FILE_SYSTEM_HUGE_PAGE bytes to a
     * mapping that asks for them by MADV_HUGEPAGE. */
    bool has_huge_pages;
};

#define FILE_SYSTEM_HUGE_PAGE ((size_t)2 << 20)

/* If more than this is taken at once, too little is left for others. */
#define FILE_SYSTEM_UNIT_MAX ((size_t)2 << 20)

/*
 * Makes an empty file ready for use, and finds out what its file system is
 * like. The file is empty afterwards.
 *
 * -EOPNOTSUPP: a page that has space may have none any more when it is stored
 * to once more, because the file system writes all data to new places and
 * cannot be made to stop that.
 */
int file_system_prepare(int fd, struct file_system *file_system);

/* Bytes of space that a file has. */
size_t file_system_held_by(int fd);

/* Makes the next file of a tmpfs be tried anew for huge pages: a process tries
 * a file system once, as long as it has no files in another one. For tests. */
void file_system_forget(void);

/* Finds out, by an empty file, whether a store to a page that was read ahead
 * takes space for its neighbours. The file is empty afterwards. True if that
 * cannot be tried. */
bool file_system_has_large_folios(int fd);

#endif
