/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which owner an address belongs to, for any address at all.
 *
 * User address space (57 bits at most) is cut into slots of 1 GiB, in tables
 * that are made as they are needed beyond what processes commonly use. A slot
 * that one range covers wholly holds that range's owner, so that most look-ups
 * are one load; ranges that cover part of a slot hang in a list there. Readers
 * take no lock: by a sequence number they see that a writer came in between.
 * List nodes are never returned to the system, so a reader may follow a stale
 * one.
 */
#ifndef ADDRESS_TABLE_H
#define ADDRESS_TABLE_H

#include <stddef.h>

/*
 * Adds a range. Returns 0; -EEXIST if it overlaps one that is there; -EINVAL if
 * it is empty or outside of the user address space; -ENOMEM.
 */
int address_table_add(const void *base, size_t size, void *owner);

/* Removes a range that was added with just these bounds. */
void address_table_remove(const void *base, size_t size);

/* The owner of an address, or NULL. Lock-free, safe for any address. */
void *address_table_find(const void *addr);

/* Around fork(2): in between, no writer is at work. */
void address_table_lock(void);
void address_table_unlock(void);

/* In a forked child, if a writer may have been at work in the parent: there is
 * none in the child. */
void address_table_renew_lock(void);

#endif
