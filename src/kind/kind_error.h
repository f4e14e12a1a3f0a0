/* SPDX-License-Identifier: BSD-2-Clause */
/* From the lower layers' negative errno to what memkind.h promises. */
#ifndef KIND_ERROR_H
#define KIND_ERROR_H

/* Of a region_pool_open_*() call; sets errno to say why. */
int kind_error_of_region(int error);
/* Of heap_create(). */
int kind_error_of_heap(int error);

#endif
