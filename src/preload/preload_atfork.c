/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocator's handlers of fork() have the first place in the process.
 *
 * Handlers prepare in reverse order of registration. While fork() prepares, a
 * library may wait for a lock of its own whose holder allocates: the allocator
 * has to serve it until then, and so be the last to prepare. (glibc's malloc is
 * at rest after all handlers, too.) But ld.so calls the constructors of a
 * library that is preloaded after those of the program's libraries. So the
 * first registration of all reserves a place for the allocator's handlers.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "loaded_symbol.h"
#include "preload_allocator.h"
#include "preload_names.h"

#define REGISTER_NAME "__register_atfork"

typedef void handler(void);
typedef int register_function(handler *prepare, handler *parent, handler *child,
                              void *dso_handle);

/* ---- the reserved place ---- */

#define PLACES 8U

static struct {
    handler *prepare, *parent, *child;
} places[PLACES];
static atomic_uint place_count;

/* How many have prepared for the fork that the thread is at. More may come
 * meanwhile. */
static __thread unsigned prepared __attribute__((tls_model("initial-exec")));

static void call_prepare_handlers(void)
{
    prepared = atomic_load(&place_count);
    for (unsigned i = prepared; i > 0; i--)
        if (places[i - 1].prepare != NULL)
            places[i - 1].prepare();
}

static void call_parent_handlers(void)
{
    for (unsigned i = 0; i < prepared; i++)
        if (places[i].parent != NULL)
            places[i].parent();
}

static void call_child_handlers(void)
{
    for (unsigned i = 0; i < prepared; i++)
        if (places[i].child != NULL)
            places[i].child();
}

/* The allocator registers its handlers in one thread, when it is loaded. */
static bool take_place(handler *prepare, handler *parent, handler *child)
{
    const unsigned count = atomic_load(&place_count);
    if (count == PLACES)
        return false;
    places[count].prepare = prepare;
    places[count].parent = parent;
    places[count].child = child;
    atomic_store(&place_count, count + 1);
    return true;
}

/* ---- registration ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static register_function *next_register;
static bool has_place;

/* In a child of a process that was at it, it is called again. The handlers are
 * in place from the call on that registers them: with no library's handle,
 * which would take them away when exit() comes to that library, and to others
 * later. */
static void reserve_place(void)
{
    /* (POSIX has objects' and functions' pointers alike.) */
    if (next_register == NULL)
        next_register = __extension__(register_function *)
            loaded_symbol_find("libc.so.6", REGISTER_NAME);
    if (next_register == NULL)
        next_register =
            __extension__(register_function *) dlsym(RTLD_NEXT, REGISTER_NAME);
    if (next_register == NULL || has_place)
        return;
    has_place = true;
    has_place = next_register(call_prepare_handlers, call_parent_handlers,
                              call_child_handlers, NULL) == 0;
}

/* pthread_atfork(3) is this function, in programs and libraries alike. */
int preload_register_atfork(handler *prepare, handler *parent, handler *child,
                            void *dso_handle) __asm__(REGISTER_NAME);

PRELOAD_EXPORT int preload_register_atfork(handler *prepare, handler *parent,
                                           handler *child, void *dso_handle)
{
    pthread_once(&once, reserve_place);
    if (next_register == NULL)
        return ENOMEM;
    if (has_place && preload_is_allocator(dso_handle) &&
        take_place(prepare, parent, child))
        return 0;
    return next_register(prepare, parent, child, dso_handle);
}
