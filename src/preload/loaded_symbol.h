/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is loaded, without the dynamic linker's lock: dlsym(3) and dladdr(3)
 * wait for it, and a thread may hold it that loads a library whose constructor
 * waits for the caller.
 */
#ifndef LOADED_SYMBOL_H
#define LOADED_SYMBOL_H

#include <stdbool.h>

/* A function that the library of that name defines; NULL if it is not loaded,
 * or defines none. (The name is that of its file, without a folder, and with or
 * without a version.) */
void *loaded_symbol_find(const char *library, const char *name);

/* Whether an address lies in that library. */
bool loaded_symbol_is_in(const char *library, const void *address);

#endif
