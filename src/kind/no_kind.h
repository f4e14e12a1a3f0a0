/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations of static kinds that cannot be had here. */
#ifndef NO_KIND_H
#define NO_KIND_H

#include <memkind/internal/memkind_private.h>

extern struct memkind_ops no_kind_ops;

/* Any static kind refuses these. */
int no_kind_create(struct memkind *kind, struct memkind_ops *ops,
                   const char *name);
int no_kind_destroy(struct memkind *kind);

/* For kinds that can be had on some machines. */
void *no_kind_malloc(struct memkind *kind, size_t size);
void *no_kind_calloc(struct memkind *kind, size_t num, size_t size);
int no_kind_posix_memalign(struct memkind *kind, void **memptr,
                           size_t alignment, size_t size);
void *no_kind_realloc(struct memkind *kind, void *ptr, size_t size);
int no_kind_say_unavailable(struct memkind *kind);

#endif
