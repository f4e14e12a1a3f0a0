/* SPDX-License-Identifier: BSD-2-Clause */
/* The tags of objects, by which a pointer's class is found; see size_class.h.
 * The pool is that of the objects' heap; it may be NULL. */
#ifndef OBJECT_TAG_H
#define OBJECT_TAG_H

#include "region_pool.h"

/* Tags an object of a cached class that was taken from jemalloc. No address
 * within it looks like the start of an object from then on. */
void object_tag_write(struct memkind_region_pool *pool, void *ptr,
                      unsigned size_class);

/* Tags an object that spans pages of its own. None of its pages but the first
 * looks like the start of an object from then on. */
void object_tag_write_large(struct memkind_region_pool *pool, void *ptr,
                            size_t size);

/* Marks an object that spans pages of its own as no object any more, before it
 * goes back to jemalloc. */
void object_tag_clear_large(struct memkind_region_pool *pool, void *ptr);

/*
 * Objects of slabs are given back to jemalloc between these two. A slab that
 * goes with the last of them gets other tags: what is freed a second time is
 * seen then, if object_tag_watch_slabs() has been called before there was an
 * arena.
 */
void object_tag_watch_slabs(void);
void object_tag_begin_giving(struct memkind_region_pool *pool);
void object_tag_end_giving(void);

/* Whether an object may have started there, in a slab that has gone. */
bool object_tag_has_gone(struct memkind_region_pool *pool, const void *ptr);

/*
 * The class of an object of the heap. SIZE_CLASS_NONE if no object starts
 * there, as far as the tag shows. If the address is in no region, jemalloc is
 * asked, and jemalloc takes any address for right.
 */
unsigned object_tag_class(struct memkind_region_pool *pool, const void *ptr);

#endif
