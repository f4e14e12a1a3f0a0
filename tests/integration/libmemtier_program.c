/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that knows nothing of libmemtier.so, which is preloaded: malloc()
 * and its family are what they are in glibc, and what is allocated lies in both
 * tiers. Prints "ok" in the end, by an atexit() function.
 *
 *     libmemtier_program RATIO    of the second tier to DRAM; 0: is not checked
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <memkind.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEED(condition)                                                        \
    do                                                                         \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__,      \
                    #condition, errno);                                        \
            _exit(1);                                                          \
        }                                                                      \
    while (0)

/* ---- the library, by name ----------------------------------------------- */

static void *(*kind_of)(void *ptr);
static size_t (*allocated)(void *kind);
static int (*update_stats)(void);
static int (*get_stat)(void *kind, memkind_stat_type type, size_t *value);
static void *dram;

static void find_library(void)
{
    *(void **)&kind_of = dlsym(RTLD_DEFAULT, "memkind_detect_kind");
    *(void **)&allocated = dlsym(RTLD_DEFAULT, "memtier_kind_allocated_size");
    *(void **)&get_stat = dlsym(RTLD_DEFAULT, "memkind_get_stat");
    *(void **)&update_stats =
        dlsym(RTLD_DEFAULT, "memkind_update_cached_stats");
    void **handle = dlsym(RTLD_DEFAULT, "MEMKIND_DEFAULT");
    NEED(kind_of != NULL && allocated != NULL && handle != NULL);
    dram = *handle;
}

/* ---- what the functions do ---------------------------------------------- */

/* Not known to the compiler, which would see through it. */
static volatile size_t no_size = SIZE_MAX / 2, nothing;

static void check_malloc(void)
{
    void *empty = malloc(nothing), *other = malloc(nothing);
    NEED(empty != NULL && other != NULL && empty != other);
    free(empty);
    free(other);
    free(NULL);
    errno = 0;
    NEED(malloc(no_size) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(calloc(no_size, 4) == NULL && errno == ENOMEM);
    empty = calloc(0, 5);
    NEED(empty != NULL);
    errno = 33;
    free(empty);
    NEED(errno == 33);
    for (size_t size = 1; size < 100000; size = size * 3 / 2 + 1) {
        unsigned char *ptr = malloc(size), *zeroed = calloc(1, size);
        NEED(ptr != NULL && zeroed != NULL && kind_of(ptr) != NULL);
        NEED((uintptr_t)ptr % (size < 16 ? 8 : 16) == 0);
        NEED(malloc_usable_size(ptr) >= size);
        memset(ptr, 0xab, size);
        for (size_t i = 0; i < size; i++)
            NEED(zeroed[i] == 0);
        ptr = realloc(ptr, size * 3);
        NEED(ptr != NULL && malloc_usable_size(ptr) >= size * 3);
        for (size_t i = 0; i < size; i++)
            NEED(ptr[i] == 0xab);
        free(ptr);
        free(zeroed);
    }
    NEED(malloc_usable_size(NULL) == 0);
    errno = 0;
}

static void check_realloc(void)
{
    void *ptr = realloc(NULL, nothing);
    NEED(ptr != NULL);
    NEED(realloc(ptr, nothing) == NULL);
    ptr = reallocarray(NULL, 10, 10);
    NEED(ptr != NULL && malloc_usable_size(ptr) >= 100);
    errno = 0;
    NEED(reallocarray(ptr, no_size, 4) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(realloc(ptr, no_size) == NULL && errno == ENOMEM);
    free(ptr);
}

static void check_alignment(void)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *ptr = &ptr;
    errno = 0;
    NEED(posix_memalign(&ptr, 3, 8) == EINVAL && ptr == &ptr);
    NEED(posix_memalign(&ptr, 4, 8) == EINVAL && ptr == &ptr);
    NEED(posix_memalign(&ptr, nothing, 8) == EINVAL && ptr == &ptr);
    NEED(posix_memalign(&ptr, 64, no_size) == ENOMEM && ptr == &ptr);
    NEED(errno == 0);
    for (size_t alignment = 8; alignment <= 1 << 20; alignment *= 2) {
        NEED(posix_memalign(&ptr, alignment, nothing) == 0 && ptr != NULL);
        NEED((uintptr_t)ptr % alignment == 0);
        free(ptr);
        ptr = aligned_alloc(alignment, 3 * alignment);
        NEED(ptr != NULL && (uintptr_t)ptr % alignment == 0);
        NEED(kind_of(ptr) != NULL);
        free(ptr);
    }
    ptr = memalign(100, 100);
    NEED(ptr != NULL && (uintptr_t)ptr % 128 == 0);
    free(ptr);
    ptr = valloc(10);
    NEED(ptr != NULL && (uintptr_t)ptr % page == 0);
    free(ptr);
    ptr = pvalloc(10);
    NEED(ptr != NULL && (uintptr_t)ptr % page == 0);
    NEED(malloc_usable_size(ptr) >= page);
    free(ptr);
    NEED(memalign(no_size + 2, 1) == NULL && pvalloc(SIZE_MAX - 1) == NULL);
}

/* ---- threads ------------------------------------------------------------ */

#define THREADS 4
#define PLACES 20000

static void *far_kind;
static void *places[THREADS][PLACES];

static void *work(void *argument)
{
    void **own = argument;
    uint64_t random = (uintptr_t)argument | 1;
    for (int i = 0; i < 300000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        void **place = &own[random % PLACES];
        const size_t size = 1 + (random >> 32) % 3000;
        if (random >> 20 & 1) {
            *place = realloc(*place, size);
        } else {
            free(*place);
            *place = malloc(size);
        }
        NEED(*place != NULL);
        *(unsigned char *)*place = 1;
        if (kind_of(*place) != dram)
            __atomic_store_n(&far_kind, kind_of(*place), __ATOMIC_RELAXED);
    }
    return NULL;
}

static void check_ratio(double wanted)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, work, places[i]) == 0);
    for (int i = 0; i < THREADS; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
    const double ratio =
        far_kind != NULL ? (double)allocated(far_kind) / (double)allocated(dram)
                         : 0;
    if (wanted != 0 && (ratio < wanted * 0.99 || ratio > wanted * 1.01)) {
        fprintf(stderr, "the ratio is %.4f, and not %.4f\n", ratio, wanted);
        _exit(1);
    }
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < PLACES; j++)
            free(places[i][j]);
}

/* Destructors of keys run when the thread's part of the library has gone. */
static void use_late(void *value)
{
    char *text = malloc(100);
    NEED(text != NULL);
    strcpy(text, "late");
    value = realloc(value, 10000);
    NEED(value != NULL && strcmp(value, "value") == 0);
    free(value);
    text = realloc(text, 100000);
    NEED(text != NULL && strcmp(text, "late") == 0);
    free(text);
}

static pthread_key_t late_key;

static void *end_with_value(void *argument)
{
    (void)argument;
    NEED(pthread_setspecific(late_key, strdup("value")) == 0);
    return strdup("result");
}

static void check_thread_ends(void)
{
    NEED(pthread_key_create(&late_key, use_late) == 0);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *result = NULL;
        NEED(pthread_create(&thread, NULL, end_with_value, NULL) == 0);
        NEED(pthread_join(thread, &result) == 0);
        NEED(strcmp(result, "result") == 0);
        free(result);
    }
}

/* ---- fork --------------------------------------------------------------- */

static void use_in_handler(void)
{
    char *text = strdup("in a handler of fork()");
    NEED(text != NULL);
    text = realloc(text, 5000);
    NEED(text != NULL && strncmp(text, "in a", 4) == 0);
    free(text);
}

__attribute__((constructor)) static void register_early(void)
{
    pthread_atfork(use_in_handler, use_in_handler, use_in_handler);
}

static void *allocate_on(void *stop)
{
    while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED))
        free(malloc(1000));
    return NULL;
}

static size_t detached(void)
{
    size_t size = 0;
    NEED(update_stats() == 0);
    NEED(get_stat(far_kind, MEMKIND_STAT_TYPE_DETACHED, &size) == 0);
    return size;
}

/* The child has the memory as it was, whatever the parent does to it. */
static void check_fork(void)
{
    enum { COUNT = 2000 };
    unsigned *objects[COUNT];
    pthread_t thread;
    bool stop = false;
    int started[2], status;
    NEED(pthread_atfork(use_in_handler, use_in_handler, use_in_handler) == 0);
    NEED(pthread_create(&thread, NULL, allocate_on, &stop) == 0);
    for (unsigned i = 0; i < COUNT; i++) {
        objects[i] = malloc(500);
        *objects[i] = i;
    }
    NEED(pipe(started) == 0);
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) {
        char byte;
        close(started[1]);
        NEED(read(started[0], &byte, 1) == 1); /* the parent has written */
        for (unsigned i = 0; i < COUNT; i++) {
            NEED(*objects[i] == i);
            objects[i] = realloc(objects[i], 1500);
            NEED(objects[i] != NULL && *objects[i] == i);
        }
        for (unsigned i = 0; i < COUNT; i++)
            free(objects[i]);
        _exit(7);
    }
    bool is_in_files = false;
    for (unsigned i = 0; i < COUNT; i++) {
        *objects[i] = ~i;
        is_in_files |= kind_of(objects[i]) != dram;
    }
    /* That was no copy of all of it: what is stored to is in DRAM now. */
    NEED(!is_in_files || detached() > 0);
    NEED(write(started[1], "", 1) == 1);
    NEED(waitpid(child, &status, 0) == child);
    NEED(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    NEED(pthread_join(thread, NULL) == 0);
    for (unsigned i = 0; i < COUNT; i++)
        free(objects[i]);
}

/* A kind of the program's own: libpmem, which maps its file, calls malloc(). */
static void check_kinds(void)
{
    int (*make)(const char *, size_t, void **);
    int (*destroy)(void *);
    void *(*kind_malloc)(void *, size_t), *kind = NULL;
    *(void **)&make = dlsym(RTLD_DEFAULT, "memkind_create_pmem");
    *(void **)&destroy = dlsym(RTLD_DEFAULT, "memkind_destroy_kind");
    *(void **)&kind_malloc = dlsym(RTLD_DEFAULT, "memkind_malloc");
    for (int i = 0; i < 3; i++) {
        NEED(make(getenv("MEMKIND_TEST_DIR"), 0, &kind) == 0);
        char *text = kind_malloc(kind, 100000);
        NEED(text != NULL && kind_of(text) == kind);
        strcpy(text, "of the program's kind");
        free(text); /* by its address */
        NEED(destroy(kind) == 0);
    }
}

static void say_ok(void)
{
    char *text = strdup("ok");
    puts(text);
    free(text);
}

int main(int argc, char **argv)
{
    NEED(argc == 2);
    find_library();
    NEED(atexit(say_ok) == 0);
    check_malloc();
    check_realloc();
    check_alignment();
    check_ratio(atof(argv[1]));
    check_thread_ends();
    check_kinds();
    check_fork();
    return 0;
}
