/* SPDX-License-Identifier: BSD-2-Clause */
/* How the functions of memkind.h end. */
#ifndef CALL_RESULT_H
#define CALL_RESULT_H

/* A function that has called last_error_begin() returns `err`, which is
 * described unless it is MEMKIND_SUCCESS. Returns `err`. */
int call_finish(const char *function, int err);

/* A success leaves no errno of what has failed on the way to it. */
int call_finish_keeping(const char *function, int err, int saved_errno);

/* An argument is of no use, or missing. Returns MEMKIND_ERROR_INVALID. */
int call_refuse_argument(const char *function, const char *reason);

#endif
