/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kinds that there are: every kind with a heap, and the storage of those
 * that the library makes. A handle stays readable after its kind is destroyed,
 * so that a stale one is answered with an error.
 */
#ifndef KIND_REGISTRY_H
#define KIND_REGISTRY_H

#include <memkind/internal/memkind_private.h>

/* Kinds with a heap, while they have it. */
void kind_registry_add(struct memkind *kind);
void kind_registry_remove(struct memkind *kind);
bool kind_registry_contains(const struct memkind *kind);

/* In between, no kind enters or leaves. The visit is to all kinds with a heap,
 * while the lock is held. */
void kind_registry_lock(void);
void kind_registry_unlock(void);
void kind_registry_visit(void (*visit)(struct memkind *kind, void *context),
                         void *context);

/* A zeroed kind, or NULL if MEMKIND_MAX_KIND are in use. */
struct memkind *kind_storage_get(void);
void kind_storage_put(struct memkind *kind);
bool kind_storage_owns(const struct memkind *kind);

#endif
