/* SPDX-License-Identifier: BSD-2-Clause */
/* Why no kind can be made at a place, in words for people. */
#ifndef TOOL_REASON_H
#define TOOL_REASON_H

#include <memkind.h>
#include <stdbool.h>
#include <stddef.h>

#include "tool_place.h"

/* What there is at the place, and for an unreachable one, what is in the way:
 * no directory and no device DAX. */
const char *reason_no_place(const struct place *place);

enum reason_cause {
    CAUSE_OTHER,
    CAUSE_REMOVED,    /* the directory is not there any more */
    CAUSE_NO_FILES,   /* the file system cannot hold a kind's files */
    CAUSE_PERMISSION, /* this user may not make files there */
    CAUSE_VARIABLE,   /* an environment variable has a wrong value */
};

struct reason {
    enum reason_cause cause;
    int error;        /* errno */
    const char *text; /* NULL if there was no failure */
};

/* Makes a kind at a directory or device. Returns false, with the reason, if the
 * library makes none. */
bool reason_make_kind(struct reason *reason, const struct place *place,
                      size_t max_size, memkind_t *kind);

/* Makes one kind over several directories. Returns NULL, or why the library
 * makes none. */
const char *reason_make_kind_over(const char *const *paths, unsigned count,
                                  size_t max_size, memkind_t *kind);

#endif /* TOOL_REASON_H */
