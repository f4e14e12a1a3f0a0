/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths that mean the same to processes of any directory. The tool and memtier
 * share this. */
#ifndef ROOT_PATHS_H
#define ROOT_PATHS_H

/* A path from the root, of the caller to free: of a file, or, if there is none
 * of that name, of each directory of a list with colons. NULL, with errno, if
 * there is no memory or no current directory. */
char *root_paths(const char *list);

#endif
