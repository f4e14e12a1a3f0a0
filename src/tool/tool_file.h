/* SPDX-License-Identifier: BSD-2-Clause */
/* Files as a kind makes them, without a name; and what the system says in files
 * of its own. */
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

/* The first line of a file, without its end; NULL if there is none. */
const char *file_first_line(const char *path);

/* What follows this beginning in the first line that has it; NULL if none has.
 */
const char *file_line_after(const char *path, const char *beginning);

#endif /* TOOL_FILE_H */
