/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap's descriptors stay out of the program's way, and open.
 *
 * A program knows nothing of them. It may expect that the lowest number is
 * free, or give its own files fixed ones, as shells' scripts do: the heap's
 * have high numbers. Or it closes all that it does not know, as daemons do:
 * close() and its kin pass the heap's over. Without them, a child that it forks
 * afterwards would have no heap. (Not in the way of dup2(2) to such a number,
 * and of system calls by syscall(2).)
 */
#ifndef PRELOAD_DESCRIPTORS_H
#define PRELOAD_DESCRIPTORS_H

/* At the library's start, whether or not there will be a heap. */
void preload_descriptors_find(void);

/* Before there is a heap. */
void preload_descriptors_set_apart(void);

#endif
