/* SPDX-License-Identifier: BSD-2-Clause */
/* The tags of a set's objects; see size_class.h. */
#ifndef OBJECT_TAG_H
#define OBJECT_TAG_H

#include "heap_create.h"

/* Notes that an object of a class was taken from jemalloc. */
void object_tag_set(struct memkind_heap *heap, void *ptr, unsigned size_class);

/* The same for an object that spans pages of its own, none of which but the
 * first is to look like the start of one. */
void object_tag_set_large(struct memkind_heap *heap, void *ptr, size_t size);

/* Notes that an object that spans pages of its own goes back to jemalloc. Until
 * another one is there, it is no object any more. */
void object_tag_clear_large(struct memkind_heap *heap, void *ptr);

/*
 * The class of an object of the set. SIZE_CLASS_NONE where no object starts
 * there, as far as can be told. Where the set's memory is in no region,
 * jemalloc is asked, which takes any address for right.
 */
unsigned object_tag_class(struct memkind_heap *heap, const void *ptr);

#endif
