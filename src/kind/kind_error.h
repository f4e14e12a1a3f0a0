/* SPDX-License-Identifier: BSD-2-Clause */
/* What the lower layers return, a negative errno or 0, as MEMKIND_ERROR_*. */
#ifndef KIND_ERROR_H
#define KIND_ERROR_H

/* What a region_pool_open_*() call returned; also sets errno. */
int kind_error_of_region(int error);
/* What heap_create() returned. */
int kind_error_of_heap(int error);

#endif
