/* SPDX-License-Identifier: BSD-2-Clause */
#include "call_result.h"

#include <errno.h>
#include <memkind.h>

#include "debug_log.h"
#include "kind_error.h"
#include "last_error.h"

int call_finish(const char *function, int err)
{
    if (kind_error_of_call(function, err) != MEMKIND_SUCCESS)
        debug_log("%s", last_error_text());
    /* It is not the reason of a call that this one has interrupted. */
    last_error_begin();
    return err;
}

int call_finish_keeping(const char *function, int err, int saved_errno)
{
    if (err == MEMKIND_SUCCESS)
        errno = saved_errno;
    return call_finish(function, err);
}

int call_refuse_argument(const char *function, const char *reason)
{
    last_error_begin();
    last_error_reason("%s", reason);
    return call_finish(function, MEMKIND_ERROR_INVALID);
}
