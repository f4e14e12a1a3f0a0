/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LLVM's OpenMP runtime loads libmemkind.so if it finds one, and allocates
 * from its kinds. Exit status 2 if it has loaded none.
 */
#include <dlfcn.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, OBJECTS = 500 };

static int failures;
static void *(*detect)(void *ptr);
static void *default_kind;

static void expect(int truth, const char *what)
{
    if (truth)
        return;
#pragma omp critical
    {
        if (failures++ < 10)
            printf("wrong: %s\n", what);
    }
}

static int in_its_place(void *object)
{
    return object != NULL && detect(object) == default_kind;
}

static void use(omp_allocator_handle_t allocator, const char *name)
{
#pragma omp parallel num_threads(THREADS)
    {
        char *objects[OBJECTS];
        for (int i = 0; i < OBJECTS; i++) {
            size_t size = 1 + (size_t)i * 97 % 30000;
            objects[i] = omp_alloc(size, allocator);
            expect(in_its_place(objects[i]), name);
            if (objects[i] != NULL)
                memset(objects[i], omp_get_thread_num(), size);
        }
        for (int i = 0; i < OBJECTS; i++)
            omp_free(objects[i], allocator);
    }
    printf("%s: %d threads, %d objects each\n", name, THREADS, OBJECTS);
}

int main(void)
{
    omp_alloctrait_t aligned[] = {{omp_atk_alignment, 4096}};
    omp_alloctrait_t pool[] = {{omp_atk_pool_size, 1 << 16},
                               {omp_atk_fallback, omp_atv_null_fb}};
    omp_allocator_handle_t allocator;
    Dl_info where;
    /* The runtime looks for the library when it starts. */
    expect(omp_get_max_threads() > 0, "threads");
    void *library = dlopen("libmemkind.so", RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL) {
        puts("libomp has not loaded libmemkind.so");
        return 2;
    }
    void *function = dlsym(library, "memkind_detect_kind");
    void **kind = dlsym(library, "MEMKIND_DEFAULT");
    if (function == NULL || kind == NULL || dladdr(function, &where) == 0)
        return 1;
    memcpy(&detect, &function, sizeof detect);
    default_kind = *kind;
    printf("libomp has loaded %s\n", where.dli_fname);

    use(omp_default_mem_alloc, "omp_default_mem_alloc");
    use(omp_large_cap_mem_alloc, "omp_large_cap_mem_alloc");
    /* Falls back on MEMKIND_DEFAULT, as there is no MEMKIND_HBW_PREFERRED. */
    use(omp_high_bw_mem_alloc, "omp_high_bw_mem_alloc");

    allocator = omp_init_allocator(omp_default_mem_space, 1, aligned);
    expect(allocator != omp_null_allocator, "an aligned allocator");
    use(allocator, "aligned");
    void *object = omp_alloc(100, allocator);
    expect((size_t)object % 4096 == 0, "alignment");
    omp_free(object, allocator);
    omp_destroy_allocator(allocator);

    allocator = omp_init_allocator(omp_default_mem_space, 2, pool);
    expect(allocator != omp_null_allocator, "an allocator with a pool");
    object = omp_alloc(40000, allocator);
    expect(in_its_place(object), "an object of the pool");
    expect(omp_alloc(40000, allocator) == NULL, "the pool is full");
    omp_free(object, allocator);
    omp_destroy_allocator(allocator);

    /* There is no high-bandwidth memory: a program that insists gets no
     * allocator. */
    allocator = omp_init_allocator(omp_high_bw_mem_space, 0, NULL);
    printf("omp_init_allocator(omp_high_bw_mem_space): %s\n",
           allocator == omp_null_allocator ? "omp_null_allocator"
                                           : "an allocator");
    expect(allocator == omp_null_allocator, "no high-bandwidth memory");

    printf("%d failures\n", failures);
    return failures != 0;
}
