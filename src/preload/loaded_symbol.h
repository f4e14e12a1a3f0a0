/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is loaded, without the dynamic linker's lock: dlsym(3) and dladdr(3)
 * wait for it, and a thread may hold it that loads a library whose constructor
 * waits for the caller.
 */
#ifndef LOADED_SYMBOL_H
#define LOADED_SYMBOL_H

#include <stdint.h>

/* A function that the library of that name defines; NULL if it is not loaded,
 * or defines none. (The name is that of its file, without a folder, and with or
 * without a version. Of several versions of a symbol any may be found.) */
void *loaded_symbol_find(const char *library, const char *name);

/* The addresses of the library or program that an address lies in, from its
 * first segment to its last one; none if it is in no such file. */
struct loaded_range {
    uintptr_t start, end;
};
struct loaded_range loaded_range_of(const void *address);

#endif
