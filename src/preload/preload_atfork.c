/* SPDX-License-Identifier: BSD-2-Clause */
#include "preload_atfork.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "preload_names.h"

/* What is registered. The last word says whose it is: it goes when that library
 * is unloaded. */
struct handlers {
    void (*prepare)(void);
    void (*parent)(void);
    void (*child)(void);
    void *dso_handle;
};

typedef int register_function(void (*prepare)(void), void (*parent)(void),
                              void (*child)(void), void *dso_handle);

/* What more constructors register than these is not put off. */
#define KEPT_MOST 256

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct handlers kept[KEPT_MOST];
static size_t kept_count;
static bool has_begun;
static register_function *next_register;

static register_function *find_next(void)
{
    return __extension__(register_function *)
        dlsym(RTLD_NEXT, "__register_atfork");
}

static int pass_on(const struct handlers *handlers)
{
    register_function *next = __atomic_load_n(&next_register, __ATOMIC_ACQUIRE);
    if (next == NULL)
        next = find_next();
    return next != NULL ? next(handlers->prepare, handlers->parent,
                               handlers->child, handlers->dso_handle)
                        : ENOMEM;
}

/* Keeps them, if it is too early to pass them on. */
static bool keep(const struct handlers *handlers)
{
    if (__atomic_load_n(&has_begun, __ATOMIC_ACQUIRE))
        return false;
    pthread_mutex_lock(&kept_lock);
    const bool keeps = !has_begun && kept_count < KEPT_MOST;
    if (keeps)
        kept[kept_count++] = *handlers;
    pthread_mutex_unlock(&kept_lock);
    return keeps;
}

/* pthread_atfork(3) is this function, in programs and libraries alike. */
int preload_register_atfork(void (*prepare)(void), void (*parent)(void),
                            void (*child)(void),
                            void *dso_handle) __asm__("__register_atfork");

PRELOAD_EXPORT int preload_register_atfork(void (*prepare)(void),
                                           void (*parent)(void),
                                           void (*child)(void),
                                           void *dso_handle)
{
    const struct handlers handlers = {prepare, parent, child, dso_handle};
    return keep(&handlers) ? 0 : pass_on(&handlers);
}

/* The start of the library or program that registered them; NULL if it has been
 * unloaded meanwhile. */
static const void *start_of(const struct handlers *handlers)
{
    void (*const functions[])(void) = {handlers->prepare, handlers->parent,
                                       handlers->child};
    Dl_info info;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (functions[i] != NULL &&
            dladdr(__extension__(void *) functions[i], &info) != 0)
            return info.dli_fbase;
    return NULL;
}

/* Entries that are there do not change. */
static void pass_on_kept(size_t from, size_t to, const void *allocator,
                         bool is_allocators)
{
    for (size_t i = from; i < to; i++) {
        const void *start = start_of(&kept[i]);
        if (start != NULL && (start == allocator) == is_allocators)
            (void)pass_on(&kept[i]);
    }
}

/* Whether no more than `passed_on` are kept; from then on none will be. */
static bool end_keeping(size_t *passed_on)
{
    pthread_mutex_lock(&kept_lock);
    const bool ends = kept_count == *passed_on;
    *passed_on = kept_count;
    if (ends)
        __atomic_store_n(&has_begun, true, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&kept_lock);
    return ends;
}

/* The lock is not held meanwhile: the dynamic linker has one, which a thread
 * may hold that is about to register handlers. */
void preload_atfork_begin(const void *symbol)
{
    Dl_info info = {0};
    (void)dladdr(symbol, &info);
    __atomic_store_n(&next_register, find_next(), __ATOMIC_RELEASE);
    for (size_t from = 0, to = 0; !end_keeping(&to); from = to) {
        pass_on_kept(from, to, info.dli_fbase, true);
        pass_on_kept(from, to, info.dli_fbase, false);
    }
}
