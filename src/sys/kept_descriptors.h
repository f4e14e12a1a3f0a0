/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which descriptors the library has, for programs that close those they do not
 * know, and the least number that they get.
 *
 * A program may close one all the same, and its own file then gets the number:
 * so a number counts only as long as it leads to the file that it was noted
 * for, opened in the same way. All of this may be called by any thread, from
 * signal handlers, and between vfork(2) and execve(2); errno stays as it is.
 */
#ifndef KEPT_DESCRIPTORS_H
#define KEPT_DESCRIPTORS_H

/* Numbers from this one on are not noted. */
#define KEPT_DESCRIPTORS_END 4096

/* Notes a descriptor; sys.close() forgets it. */
void kept_descriptors_note(int fd);
void kept_descriptors_forget(int fd);

/* The lowest one from `first` to `last`, or -1. */
int kept_descriptors_next(int first, int last);

/* Descriptors of the library's get numbers from this one on if the process may
 * have such numbers: the one after the standard ones unless set otherwise. */
int kept_descriptors_least(void);
void kept_descriptors_set_least(int number);

#endif
