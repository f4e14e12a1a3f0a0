/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Marks what is an object and what is not, for tools that watch a program's
 * memory: AddressSanitizer if the library is built with it, and valgrind if the
 * library was built with its headers and runs under it. `before` and `behind`
 * are the bytes around an object that the program must not touch; an object
 * starts at a multiple of 8, or has none before it.
 */
#ifndef MEMORY_MARKS_H
#define MEMORY_MARKS_H

#include <stdbool.h>
#include <stddef.h>

struct marked_memory {
    const char *ptr;
    size_t size, before, behind;
};

/* Whether there is such a tool. */
bool memory_marks_are_wanted(void);

/*
 * Whether ThreadSanitizer watches the program, but this library was built
 * without it. The tool then knows locks, and nothing else that keeps threads
 * apart here: an object that one thread frees, a second one purges and a third
 * one allocates would count as a race.
 */
bool memory_marks_need_locks(void);

/* It is an object from now on; what is in it means something or not. */
void memory_mark_object(const struct marked_memory *memory, bool is_defined);

/* The object is free: it and what is around it is not to be touched. */
void memory_mark_freed(const struct marked_memory *memory);

/* The object goes with its kind, without being freed. */
void memory_mark_gone(const struct marked_memory *memory);

/* What is around the object, or all of it, is the library's to look at. */
void memory_mark_edges_open(const struct marked_memory *memory);
void memory_mark_open(const struct marked_memory *memory);

/* Memory that objects may be made of, and memory that is not to be read at all:
 * valgrind looks for pointers in all that it takes for accessible, and reading
 * a hole in a file may take space. */
void memory_mark_usable(const void *ptr, size_t size);
void memory_mark_unusable(const void *ptr, size_t size);

/* The tool reports that an address is freed that is no object's; may not
 * return. AddressSanitizer, which ends the program, does so if the address is
 * ours, and marked as not to be touched. */
void memory_mark_wrong_free(const void *ptr, bool is_ours);

#endif
