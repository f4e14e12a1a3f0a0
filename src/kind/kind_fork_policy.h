/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef KIND_FORK_POLICY_H
#define KIND_FORK_POLICY_H

#include <memkind.h>

/* The policy of a kind for which the program has set none: what MEMKIND_FORK
 * says. If that is the snapshot, a device DAX is as with
 * MEMKIND_FORK_PRIVATE. MEMKIND_ERROR_ENVIRON if the variable is not valid. */
int kind_fork_policy_default(const char *dir, memkind_fork_policy *policy);

#endif
