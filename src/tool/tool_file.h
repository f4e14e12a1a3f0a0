/* SPDX-License-Identifier: BSD-2-Clause */
/* Files as a kind makes them: without a name. */
#ifndef TOOL_FILE_H
#define TOOL_FILE_H

/* The errno of each way that failed; 0 for one that did not, or was not tried.
 */
struct file_trial {
    int unnamed; /* with O_TMPFILE */
    int named;   /* with a name that is removed at once */
};

/* Returns a descriptor, or -1 with errno set. */
int file_make(struct file_trial *trial, const char *dir);

#endif /* TOOL_FILE_H */
