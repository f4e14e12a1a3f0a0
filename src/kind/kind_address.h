/* SPDX-License-Identifier: BSD-2-Clause */
/* The kind that an address belongs to. */
#ifndef KIND_ADDRESS_H
#define KIND_ADDRESS_H

#include "address_table.h"
#include "kind_heap.h"
#include "region.h"

/* Most often it is the kind that is named, and lies in its range.
 * `kind` may be NULL. NULL: the address is no kind's. */
static inline struct memkind *kind_of_address(struct memkind *kind,
                                              const void *ptr)
{
    if (__builtin_expect(kind != NULL && kind_heap_of(kind) != NULL &&
                             kind->regions != NULL &&
                             region_range_contains(kind->regions, ptr),
                         1))
        return kind;
    return address_table_find(ptr);
}

#endif
