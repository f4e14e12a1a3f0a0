/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_dax_kmem.h
 * @brief What operations of kinds of nodes without CPUs consist of.
 *
 * Experimental. See memkind_hbw(3). Each function may be called from any thread
 * at any time.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_DAX_KMEM_H
#define MEMKIND_INTERNAL_MEMKIND_DAX_KMEM_H

#include <memkind/internal/memkind_private.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The nodes of MEMKIND_DAX_KMEM_ALL.
 * @param kind     not looked at
 * @param nodemask receives `maxnode` bits, as mbind(2) takes them: 1 for each
 *                 such node; NULL: only whether there are any is said
 * @param maxnode  their number
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_UNAVAILABLE if there
 *         is no such node; MEMKIND_ERROR_ENVIRON if the variable that names
 *         them makes no sense. The mask is left alone then.
 */
int memkind_dax_kmem_all_get_mbind_nodemask(struct memkind *kind,
                                            unsigned long *nodemask,
                                            unsigned long maxnode);

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_INTERNAL_MEMKIND_DAX_KMEM_H */
