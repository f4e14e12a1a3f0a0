/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors of files and directories. Those that are returned here are never
 * the standard ones, to which programs write without asking, and they are
 * close-on-exec.
 *
 * Programs close descriptors that they do not know, and their own files then
 * get the numbers. So each file's identity is kept beside its number.
 *
 * Functions return 0, or the descriptor, or a negative errno.
 */
#ifndef DESCRIPTOR_H
#define DESCRIPTOR_H

#include <stdbool.h>
#include <sys/types.h>

/* Distinguishes a file from all others, no matter which number it has. */
struct file_identity {
    dev_t device;
    ino_t inode;
};

/* Finds out which file a descriptor is of. */
int descriptor_identify(int fd, struct file_identity *identity);

/* Whether a number is a descriptor of that file. */
bool descriptor_is_of(int fd, const struct file_identity *identity);

/* Moves a descriptor above the standard ones: the other one is closed. A
 * negative errno is passed on. */
int descriptor_above_standard(int fd);

/* Makes a second descriptor of a file. */
int descriptor_duplicate(int fd);

/* Opens a directory, to make files in: what is returned stands for it even if
 * its path changes. */
int descriptor_open_directory(const char *path);

/* Makes a file without a name in a directory, with mode 0600. */
int descriptor_create_file(int directory);

#endif
