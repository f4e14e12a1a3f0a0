/* SPDX-License-Identifier: BSD-2-Clause */
#include "file_size_limit.h"

#include <sys/resource.h>

#include "sys_calls.h"

bool file_size_is_allowed(size_t size)
{
    struct rlimit limit;
    return sys.get_file_size_limit(&limit) != 0 ||
           limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur;
}

void file_size_guard_begin(struct file_size_guard *guard)
{
    signal_guard_begin(&guard->guard, SIGXFSZ);
}

void file_size_guard_end(const struct file_size_guard *guard, bool is_too_big)
{
    signal_guard_end(&guard->guard, is_too_big);
}
