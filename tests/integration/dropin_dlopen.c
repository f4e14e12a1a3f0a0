/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads the library at run time and allocates from several threads, some of
 * them older than it:  dropin_dlopen LIBRARY DIRECTORY
 * Exit status 2, with dlerror()'s text, if it cannot be loaded.
 */
#include <dlfcn.h>
#include <memkind.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 2000, OBJECTS = 64 };

static int (*create)(const char *dir, size_t max_size, memkind_t *kind);
static int (*destroy)(memkind_t kind);
static void *(*allocate)(memkind_t kind, size_t size);
static void (*release)(memkind_t kind, void *ptr);
static memkind_t (*detect)(void *ptr);
static memkind_t kinds[2]; /* on files, and MEMKIND_DEFAULT */
static sem_t loaded;
static atomic_int failures;

static void *use(void *argument)
{
    unsigned char *objects[OBJECTS] = {NULL};
    const unsigned seed = *(unsigned *)argument;
    sem_wait(&loaded);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned char **object = &objects[(round * 31 + seed) % OBJECTS];
        memkind_t kind = kinds[round % 2];
        size_t size = 1 + (round * 257 + seed) % 20000;
        release(NULL, *object);
        *object = allocate(kind, size);
        if (*object == NULL || detect(*object) != kind) {
            failures++;
            break;
        }
        memset(*object, (int)seed, size);
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        release(NULL, objects[i]);
    return NULL;
}

static void find(void *library, const char *name, void *function)
{
    void *address = dlsym(library, name);
    if (address == NULL) {
        printf("%s: not found\n", name);
        failures++;
    }
    /* C has no conversion between the two kinds of pointer. */
    memcpy(function, &address, sizeof address);
}

int main(int argc, char **argv)
{
    pthread_t threads[2 * THREADS];
    unsigned seeds[2 * THREADS];
    if (argc != 3)
        return 1;
    sem_init(&loaded, 0, 0);
    for (unsigned i = 0; i < 2 * THREADS; i++)
        seeds[i] = i;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, use, &seeds[i]);

    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        puts(dlerror());
        return 2;
    }
    find(library, "memkind_create_pmem", &create);
    find(library, "memkind_destroy_kind", &destroy);
    find(library, "memkind_malloc", &allocate);
    find(library, "memkind_free", &release);
    find(library, "memkind_detect_kind", &detect);
    memkind_t *default_kind = dlsym(library, "MEMKIND_DEFAULT");
    if (failures != 0 || default_kind == NULL)
        return 1;
    kinds[1] = *default_kind;
    int err = create(argv[2], 0, &kinds[0]);
    if (err != MEMKIND_SUCCESS) {
        printf("no kind: %d\n", err);
        return 1;
    }
    for (int i = THREADS; i < 2 * THREADS; i++)
        pthread_create(&threads[i], NULL, use, &seeds[i]);
    for (int i = 0; i < 2 * THREADS; i++)
        sem_post(&loaded);
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    if (destroy(kinds[0]) != MEMKIND_SUCCESS)
        failures++;
    /* Stays in memory: threads run its code when they end. */
    if (dlclose(library) != 0 ||
        dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) == NULL)
        failures++;
    printf("%d failures\n", failures);
    return failures != 0;
}
