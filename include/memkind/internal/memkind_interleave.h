/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_interleave.h
 * @brief What operations of MEMKIND_INTERLEAVE consist of.
 *
 * Experimental. See memkind_hbw(3). Each function may be called from any thread
 * at any time.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_INTERLEAVE_H
#define MEMKIND_INTERNAL_MEMKIND_INTERLEAVE_H

#include <memkind/internal/memkind_private.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Makes the heap of MEMKIND_INTERLEAVE. May be called again. */
void memkind_interleave_init_once(void);

#ifdef __cplusplus
}
#endif

#endif /* MEMKIND_INTERNAL_MEMKIND_INTERLEAVE_H */
