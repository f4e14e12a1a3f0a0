/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * On which NUMA node the memory of a place lies: of a directory, or of a device
 * DAX. Any thread may ask. To find out takes some system calls.
 */
#ifndef PLACE_NODE_H
#define PLACE_NODE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The only node that files in the file system of a descriptor can have memory
 * on: that of the device below, or the one that a tmpfs is bound to by its
 * option mpol. -1 if it is not known, or if there are several.
 *
 * fd: of any file or directory there (O_PATH will do), or of a device DAX
 */
int place_node(int fd);

/* Copies the option mpol of a tmpfs, as the kernel shows it ("bind:2",
 * "interleave:0-3"); "" if it has none, which means that the policy of the
 * process applies, or if it is no tmpfs. False if that cannot be found out. */
bool place_policy(int fd, char *policy, size_t size);

#endif
