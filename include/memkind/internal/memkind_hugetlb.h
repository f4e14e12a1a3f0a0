/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_hugetlb.h
 * @brief What operations of kinds of huge pages consist of.
 *
 * Experimental. See memkind_hbw(3). Each function may be called from any thread
 * at any time.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_HUGETLB_H
#define MEMKIND_INTERNAL_MEMKIND_HUGETLB_H

#include <memkind/internal/memkind_private.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @return MEMKIND_SUCCESS if huge pages of 2 MiB are set aside on the nodes of
 *         the kind, NULL: on any; MEMKIND_ERROR_HUGETLB if not, or
 *         what memkind_check_available() says of the nodes
 */
int memkind_hugetlb_check_available_2mb(struct memkind *kind);

/**
 * Sets *flags to those with which mmap(2) maps memory of such pages.
 * @return MEMKIND_SUCCESS; MEMKIND_ERROR_INVALID for NULL
 */
int memkind_hugetlb_get_mmap_flags(struct memkind *kind, int *flags);

/** Makes the heap of MEMKIND_HUGETLB. May be called again. */
void memkind_hugetlb_init_once(void);

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_INTERNAL_MEMKIND_HUGETLB_H */
