/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocator's handlers of fork() come first of all in the process.
 *
 * Handlers prepare in reverse order of registration. While fork() prepares, a
 * library may wait for a lock of its own whose holder allocates: the allocator
 * has to serve it until then, and so be the last to prepare. (glibc's malloc is
 * at rest after all handlers, too.) But ld.so calls the constructors of a
 * library that is preloaded after those of the program's libraries. So it is
 * here that the program's handlers are registered, and the first one finds the
 * allocator's registered.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>

#include "preload_allocator.h"
#include "preload_names.h"

/* pthread_atfork(3) is this function, in programs and libraries alike. */
int preload_register_atfork(void (*prepare)(void), void (*parent)(void),
                            void (*child)(void),
                            void *dso_handle) __asm__("__register_atfork");

typedef int register_function(void (*prepare)(void), void (*parent)(void),
                              void (*child)(void), void *dso_handle);

static register_function *find_next(void)
{
    static register_function *_Atomic next;
    register_function *found = atomic_load(&next);
    if (found == NULL) {
        found = __extension__(register_function *)
            dlsym(RTLD_NEXT, "__register_atfork");
        atomic_store(&next, found);
    }
    return found;
}

PRELOAD_EXPORT int preload_register_atfork(void (*prepare)(void),
                                           void (*parent)(void),
                                           void (*child)(void),
                                           void *dso_handle)
{
    /* It comes back to here, when it has begun. */
    preload_register_fork_handlers();
    register_function *next = find_next();
    return next != NULL ? next(prepare, parent, child, dso_handle) : ENOMEM;
}
