/* SPDX-License-Identifier: BSD-2-Clause */
#include "kind_fork_policy.h"

#include <errno.h>

#include "dax_device.h"
#include "options.h"

_Static_assert(MEMKIND_FORK_PRIVATE == 0 && MEMKIND_FORK_SHARED == 1 &&
                   MEMKIND_FORK_UNAVAILABLE == 2 && MEMKIND_FORK_COPY == 3 &&
                   MEMKIND_FORK_SNAPSHOT == 4,
               "the words of MEMKIND_FORK stand for these numbers");

int kind_fork_policy_default(const char *dir, memkind_fork_policy *policy)
{
    int64_t number = MEMKIND_FORK_PRIVATE;
    if (option_read(OPTION_FORK, &number) == OPTION_IS_BAD) {
        errno = EINVAL;
        return MEMKIND_ERROR_ENVIRON;
    }
    if (number == MEMKIND_FORK_SNAPSHOT && region_file_is_device(dir))
        number = MEMKIND_FORK_PRIVATE;
    *policy = (memkind_fork_policy)number;
    return MEMKIND_SUCCESS;
}
