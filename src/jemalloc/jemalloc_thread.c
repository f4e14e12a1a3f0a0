/* SPDX-License-Identifier: BSD-2-Clause */
#include "jemalloc_thread.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "jemalloc_private.h"
#include "sys_calls.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

#ifdef MEMKIND_TLS_INITIAL_EXEC
#define THREAD_TLS __attribute__((tls_model("initial-exec")))
#else
#define THREAD_TLS
#endif

/* jemalloc's thread-local variable, its size as a number in text, and what ends
 * it; see cmake/embed_jemalloc.sh. */
extern __thread char JE_NAME(tsd_tls)[] THREAD_TLS
    __attribute__((visibility("hidden")));
extern const char JE_NAME(tsd_size_text)[];
void JE_NAME(tsd_cleanup)(void *tsd);
int JE_NAME(pthread_key_create)(pthread_key_t *key, void (*destructor)(void *));
int JE_NAME(pthread_create)(pthread_t *thread, const pthread_attr_t *attributes,
                            void *(*start)(void *), void *argument);
void *JE_NAME(dlsym)(void *handle, const char *name);

#define PRISTINE_MOST 8192

/* What the variable is before a thread uses jemalloc for the first time. */
static _Alignas(64) char pristine[PRISTINE_MOST];
static size_t pristine_size; /* 0: not known */
static atomic_bool is_in_use;

static __thread bool has_ended THREAD_TLS;
static __thread bool is_revived THREAD_TLS;
static __thread bool is_background THREAD_TLS;

/* Too late if another library's constructor has made a kind before. */
void je_thread_init(void)
{
    size_t size = strtoul(JE_NAME(tsd_size_text), NULL, 10);
    if (atomic_load(&is_in_use) || size > sizeof pristine)
        return;
    memcpy(pristine, JE_NAME(tsd_tls), size);
    pristine_size = size;
}

static bool (*enter_for_end)(void);
static void (*leave_after_end)(void);

void je_thread_set_brackets(bool (*begin)(void), void (*end)(void))
{
    enter_for_end = begin;
    leave_after_end = end;
}

/* A background thread does not enter: the thread that switches it off is inside
 * the gate, and waits for its end; fork() closes the gate and waits for that
 * thread. Background threads have all signals blocked. */
static void end_part_of_thread(void *tsd)
{
    bool entered = !is_background && enter_for_end != NULL && enter_for_end();
    JE_NAME(tsd_cleanup)(tsd);
    has_ended = true;
    is_revived = false;
    if (entered)
        leave_after_end();
}

/* For jemalloc's only key. */
int JE_NAME(pthread_key_create)(pthread_key_t *key, void (*destructor)(void *))
{
    (void)destructor; /* tsd_cleanup() */
    atomic_store(&is_in_use, true);
    return pthread_key_create(key, end_part_of_thread);
}

/* ---- background threads ------------------------------------------------ */

/* jemalloc has one function that all of them start with. */
static void *(*_Atomic background_start)(void *argument);

static void *start_in_background(void *argument)
{
    is_background = true;
    return atomic_load(&background_start)(argument);
}

int JE_NAME(pthread_create)(pthread_t *thread, const pthread_attr_t *attributes,
                            void *(*start)(void *), void *argument)
{
    atomic_store(&background_start, start);
    return sys.pthread_create(thread, attributes, start_in_background,
                              argument);
}

/* jemalloc looks for the next pthread_create() by it, as if it were an
 * interposer of that function itself. */
void *JE_NAME(dlsym)(void *handle, const char *name)
{
    if (strcmp(name, "pthread_create") != 0)
        return dlsym(handle, name);
    void *found;
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                  void *) = JE_NAME(pthread_create);
    memcpy(&found, &create, sizeof found);
    return found;
}

/* ---- the end of a thread ----------------------------------------------- */

/* The thread has not used jemalloc so far. If it does from now on, there may be
 * no more round of destructors for jemalloc's. */
static __thread bool begins_late THREAD_TLS;

static bool is_pristine(void)
{
    return pristine_size != 0 &&
           memcmp(JE_NAME(tsd_tls), pristine, pristine_size) == 0;
}

void je_thread_begin_end(void)
{
    begins_late = !has_ended && is_pristine();
}

bool je_thread_has_ended(void)
{
    return has_ended;
}

bool je_thread_revive(void)
{
    if (!has_ended || is_revived)
        return true;
    if (pristine_size == 0)
        return false;
    memcpy(JE_NAME(tsd_tls), pristine, pristine_size);
    is_revived = true;
    return true;
}

void je_thread_end_again(void)
{
    if (!is_revived && !(begins_late && !is_pristine()))
        return;
    JE_NAME(tsd_cleanup)(JE_NAME(tsd_tls));
    has_ended = true;
    is_revived = begins_late = false;
}

#else

void je_thread_init(void)
{
}

void je_thread_set_brackets(bool (*begin)(void), void (*end)(void))
{
    (void)begin, (void)end;
}

void je_thread_begin_end(void)
{
}

bool je_thread_has_ended(void)
{
    return false;
}

/* Whether the shared jemalloc's destructor ran before ours is not known. */
bool je_thread_revive(void)
{
    return false;
}

void je_thread_end_again(void)
{
}

#endif
