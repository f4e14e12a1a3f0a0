/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_hbw.h
 * @brief What operations of kinds of high-bandwidth memory consist of.
 *
 * Experimental. See memkind_hbw(3). Each function may be called from any thread
 * at any time.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_HBW_H
#define MEMKIND_INTERNAL_MEMKIND_HBW_H

#include <memkind/internal/memkind_private.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @return MEMKIND_SUCCESS if there are nodes of high bandwidth, else why not
 */
int memkind_hbw_check_available(struct memkind *kind);

/** @return MEMKIND_SUCCESS if there are nodes of high bandwidth, on which huge
 *         pages are set aside, else why not */
int memkind_hbw_hugetlb_check_available(struct memkind *kind);

/**
 * The nodes of high bandwidth that are nearest to the CPU of the caller.
 * @param kind     not looked at
 * @param nodemask receives `maxnode` bits, as mbind(2) takes them: 1 for each
 *                 such node; NULL: only whether there are any is said
 * @param maxnode  their number
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE if there
 *         is no such node; MEMKIND_ERROR_ENVIRON if the variable that names
 *         them makes no sense. The mask is left alone then.
 */
int memkind_hbw_get_mbind_nodemask(struct memkind *kind,
                                   unsigned long *nodemask,
                                   unsigned long maxnode);

/** Does what memkind_hbw_get_mbind_nodemask() does for all nodes of high
 * bandwidth. */
int memkind_hbw_all_get_mbind_nodemask(struct memkind *kind,
                                       unsigned long *nodemask,
                                       unsigned long maxnode);

/* Make the heaps of the static kinds, which the first allocation does
 * otherwise. May be called again. */
void memkind_hbw_init_once(void);
void memkind_hbw_all_init_once(void);
void memkind_hbw_preferred_init_once(void);
void memkind_hbw_interleave_init_once(void);
void memkind_hbw_hugetlb_init_once(void);
void memkind_hbw_all_hugetlb_init_once(void);
void memkind_hbw_preferred_hugetlb_init_once(void);

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_INTERNAL_MEMKIND_HBW_H */
