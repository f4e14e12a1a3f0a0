/* SPDX-License-Identifier: BSD-2-Clause */
/* What the lower layers return, a negative errno or 0, as MEMKIND_ERROR_*. */
#ifndef KIND_ERROR_H
#define KIND_ERROR_H

/* What memkind_error_message() says of a code; NULL if it is none. */
const char *kind_error_text(int err);

/* A public function returns `err`: unless that is MEMKIND_SUCCESS, it is what
 * memkind_last_error() is about from now on. Returns `err`. */
int kind_error_of_call(const char *function, int err);

/* What a region_pool_open_*() call returned; also sets errno, and has it for
 * the reason if there is none. */
int kind_error_of_region(int error);
/* What heap_create() returned. */
int kind_error_of_heap(int error);

#endif
