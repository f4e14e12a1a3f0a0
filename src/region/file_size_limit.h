/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RLIMIT_FSIZE. A thread that takes a file beyond it is sent SIGXFSZ, which
 * ends a process that does not expect it; and the limit may be lowered at any
 * time.
 */
#ifndef FILE_SIZE_LIMIT_H
#define FILE_SIZE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "signal_guard.h"

/* Whether a file of that size is allowed, as of now. */
bool file_size_is_allowed(size_t size);

struct file_size_guard {
    struct signal_guard guard;
};

/*
 * Around a call that may meet the limit (signal_guard.h).
 *
 * is_too_big: the call failed with EFBIG
 */
void file_size_guard_begin(struct file_size_guard *guard);
void file_size_guard_end(const struct file_size_guard *guard, bool is_too_big);

#endif
