/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * C++'s operators new and delete, by the names that they have in object files
 * (Itanium C++ ABI). What cannot be had is left to the C++ library's own
 * operator: it tries again, calls the new handler, and throws.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "preload_allocator.h"
#include "preload_names.h"

/* std::nothrow_t and std::align_val_t, as they are passed. */
typedef const void *nothrow_ref;
typedef size_t align_value;

static void *_Atomic cpp_library;

/* The C++ library of the process, by its handle. The next library that has such
 * operators may be another malloc, which the program is linked with: what that
 * allocates must not come to this library's delete. */
static void *find_cpp_library(void)
{
    static const char *const names[] = {"libstdc++.so.6", "libc++.so.1",
                                        "libc++abi.so.1"};
    void *library = cpp_library;
    for (size_t i = 0; library == NULL && i < sizeof names / sizeof names[0];
         i++)
        library = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
    cpp_library = library;
    return library != NULL ? library : RTLD_NEXT;
}

/* While there is memory, which dlopen() takes. */
__attribute__((constructor(102))) static void preload_cpp_init(void)
{
    find_cpp_library();
}

/* The operator of the C++ library with that name, which can do without the
 * arguments that it does not take. No call comes here
 * without such a library. */
static void *ask_cpp_library(const char *operator_name, size_t size,
                             size_t second, nothrow_ref third)
{
    __extension__ void *(*function)(size_t, size_t, nothrow_ref) =
        (void *(*)(size_t, size_t, nothrow_ref))dlsym(find_cpp_library(),
                                                      operator_name);
    return function != NULL ? function(size, second, third) : NULL;
}

static inline void *new_object(size_t size, const char *operator_name,
                               nothrow_ref nothrow)
{
    void *ptr = malloc(size);
    if (__builtin_expect(ptr != NULL, 1))
        return ptr;
    return ask_cpp_library(operator_name, size, (size_t)nothrow, NULL);
}

static inline void *new_aligned(size_t size, align_value alignment,
                                const char *operator_name, nothrow_ref nothrow)
{
    void *ptr = preload_memalign(alignment, size);
    if (__builtin_expect(ptr != NULL, 1))
        return ptr;
    return ask_cpp_library(operator_name, size, alignment, nothrow);
}

/* CPP(name, parameters): declares and begins the operator of that name. */
#define CPP(type, name, parameters)                                            \
    PRELOAD_EXPORT type cpp##name parameters __asm__(#name);                   \
    type cpp##name parameters

/* ---- new ---- */

CPP(void *, _Znwm, (size_t size))
{
    return new_object(size, "_Znwm", NULL);
}

CPP(void *, _Znam, (size_t size))
{
    return new_object(size, "_Znam", NULL);
}

CPP(void *, _ZnwmRKSt9nothrow_t, (size_t size, nothrow_ref nothrow))
{
    return new_object(size, "_ZnwmRKSt9nothrow_t", nothrow);
}

CPP(void *, _ZnamRKSt9nothrow_t, (size_t size, nothrow_ref nothrow))
{
    return new_object(size, "_ZnamRKSt9nothrow_t", nothrow);
}

CPP(void *, _ZnwmSt11align_val_t, (size_t size, align_value alignment))
{
    return new_aligned(size, alignment, "_ZnwmSt11align_val_t", NULL);
}

CPP(void *, _ZnamSt11align_val_t, (size_t size, align_value alignment))
{
    return new_aligned(size, alignment, "_ZnamSt11align_val_t", NULL);
}

CPP(void *, _ZnwmSt11align_val_tRKSt9nothrow_t,
    (size_t size, align_value alignment, nothrow_ref nothrow))
{
    return new_aligned(size, alignment, "_ZnwmSt11align_val_tRKSt9nothrow_t",
                       nothrow);
}

CPP(void *, _ZnamSt11align_val_tRKSt9nothrow_t,
    (size_t size, align_value alignment, nothrow_ref nothrow))
{
    return new_aligned(size, alignment, "_ZnamSt11align_val_tRKSt9nothrow_t",
                       nothrow);
}

/* ---- delete: the pointer is enough ---- */

#define CPP_DELETE(name, parameters)                                           \
    CPP(void, name, parameters)                                                \
    {                                                                          \
        free(ptr);                                                             \
    }

CPP_DELETE(_ZdlPv, (void *ptr))
CPP_DELETE(_ZdaPv, (void *ptr))
CPP_DELETE(_ZdlPvm, (void *ptr, size_t size __attribute__((unused))))
CPP_DELETE(_ZdaPvm, (void *ptr, size_t size __attribute__((unused))))
CPP_DELETE(_ZdlPvRKSt9nothrow_t,
           (void *ptr, nothrow_ref nothrow __attribute__((unused))))
CPP_DELETE(_ZdaPvRKSt9nothrow_t,
           (void *ptr, nothrow_ref nothrow __attribute__((unused))))
CPP_DELETE(_ZdlPvSt11align_val_t,
           (void *ptr, align_value alignment __attribute__((unused))))
CPP_DELETE(_ZdaPvSt11align_val_t,
           (void *ptr, align_value alignment __attribute__((unused))))
CPP_DELETE(_ZdlPvmSt11align_val_t,
           (void *ptr, size_t size __attribute__((unused)),
            align_value alignment __attribute__((unused))))
CPP_DELETE(_ZdaPvmSt11align_val_t,
           (void *ptr, size_t size __attribute__((unused)),
            align_value alignment __attribute__((unused))))
CPP_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t,
           (void *ptr, align_value alignment __attribute__((unused)),
            nothrow_ref nothrow __attribute__((unused))))
CPP_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t,
           (void *ptr, align_value alignment __attribute__((unused)),
            nothrow_ref nothrow __attribute__((unused))))
