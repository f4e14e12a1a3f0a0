/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings of files, which libpmem makes and unmakes when they are persistent
 * memory. Functions return 0 or a negative errno.
 */
#ifndef FILE_MAPPING_H
#define FILE_MAPPING_H

#include <stdbool.h>
#include <stddef.h>

struct mapping {
    void *base;
    size_t size;
    size_t room; /* bytes of addresses behind it; see below */
    bool is_pmem;
    bool by_libpmem;
};

/* Whether libpmem takes mappings of the file for persistent memory; false if
 * libpmem cannot map it. The file is empty, before and after. */
int file_mapping_is_pmem(int fd, bool *is_pmem);

/*
 * Maps a part of a file. Nothing of it can be touched before
 * address_space_open(). `margin`: as for address_space_reserve().
 */
int file_mapping_map(int fd, size_t offset, size_t size, size_t margin,
                     struct mapping *mapping);

/* Does the same at the start of a file, and reserves `room` bytes of addresses
 * behind the mapping, which are a part of it (mapping->room). -ENOMEM if as
 * many bytes again could not be had: the process needs addresses, too. */
int file_mapping_map_with_room(int fd, size_t size, size_t room, size_t margin,
                               struct mapping *mapping);

/* Makes the last `room` bytes of a mapping such addresses. */
int file_mapping_make_room(struct mapping *mapping, size_t room);

/* Maps a file over such addresses, and undoes that. */
int file_mapping_fill_room(void *base, size_t size, int fd);
int file_mapping_empty_room(void *base, size_t size);

/*
 * Maps a part of a file that is persistent memory; nothing of it can be touched
 * before address_space_open(). The whole of a file is mapped by libpmem, which
 * then knows it for what it is.
 * durable: what is stored and flushed outlives a crash (MAP_SYNC); the first
 *          store to each page waits for the file system then
 */
int file_mapping_map_pmem(int fd, size_t offset, size_t size, bool durable,
                          struct mapping *mapping);

/* Has libpmem map the whole of a file or device, of `size` bytes (0: of any
 * size). *mapping stays as it is on failure. */
int file_mapping_map_whole(int fd, size_t size, struct mapping *mapping);

/* On failure the mapping, and what it maps, stay. */
int file_mapping_unmap(const struct mapping *mapping);

/* Around fork(2): in between, no thread is inside of libpmem on our behalf.
 * libpmem's own lock has no fork handler. */
void file_mapping_lock(void);
void file_mapping_unlock(void);

/* In a forked child, if a thread may have been inside of libpmem: libpmem is
 * left alone then, and its mappings are made and unmade by system calls. */
void file_mapping_renew_lock(void);

#endif
