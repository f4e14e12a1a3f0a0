/* SPDX-License-Identifier: BSD-2-Clause */
/* The process's malloc stays the C library's, also with our library linked. */
#include <dlfcn.h>
#include <memkind.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const char *const names[] = {
        "malloc",         "calloc",   "realloc",       "free",
        "posix_memalign", "memalign", "aligned_alloc", "malloc_usable_size",
    };
    /* The library that they should be of: "libc.so", or a sanitizer's "". */
    const char *from = argc > 1 ? argv[1] : "libc.so";
    int bad = 0;
    memkind_free(NULL, memkind_malloc(MEMKIND_DEFAULT, 100));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        Dl_info info;
        void *address = dlsym(RTLD_DEFAULT, names[i]);
        if (address == NULL || dladdr(address, &info) == 0) {
            printf("%s: not found\n", names[i]);
            bad = 1;
            continue;
        }
        printf("%s: %s\n", names[i], info.dli_fname);
        if (strstr(info.dli_fname, from) == NULL ||
            strstr(info.dli_fname, "memkind") != NULL ||
            strstr(info.dli_fname, "jemalloc") != NULL)
            bad = 1;
    }
    void *object = malloc(100);
    if (memkind_detect_kind(object) != NULL) {
        puts("malloc() allocates from a kind");
        bad = 1;
    }
    free(object);
    return bad;
}
