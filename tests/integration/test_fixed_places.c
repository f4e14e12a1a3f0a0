/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Places of fixed size (an area, a file without holes): whatever has filled
 * them, what they hold when they are empty is one object again. Objects are
 * hardly touched, so that places may be larger than the machine's memory.
 */
#include <memkind.h>
#include <memkind/internal/memkind_fixed.h>
#include <memkind/internal/memkind_pmem.h>

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault_calls.h"
#include "jemalloc_private.h"
#include "layer_test.h"
#include "sys_calls.h"

enum { THREADS_MAX = 16, MISSES = 20 };

static memkind_t kind;
static char *area;

static void open_area(size_t size)
{
    area = mmap(NULL, size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE_NE(area, MAP_FAILED);
    REQUIRE_EQ(memkind_create_fixed(area, size, &kind), MEMKIND_SUCCESS);
}

static void close_area(size_t size)
{
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    munmap(area, size);
}

/* The size of the largest object that a place can hold: a size class of
 * jemalloc's, which has four to each doubling. A shared jemalloc wants
 * a page more for it. */
static size_t largest_class(size_t place)
{
#ifndef MEMKIND_JEMALLOC_EMBEDDED
    place -= (size_t)sysconf(_SC_PAGESIZE);
#endif
    size_t step = (size_t)1 << (61 - __builtin_clzl(place));
    return place / step * step;
}

static bool holds(size_t size)
{
    char *object = memkind_malloc(kind, size);
    if (object == NULL)
        return false;
    object[0] = object[size - 1] = 1;
    memkind_free(kind, object);
    return true;
}

static void check_holds_one_object(size_t place)
{
    size_t largest = largest_class(place);
    CHECK(holds(test_fitting(largest)));
    CHECK(!holds(largest + 1));
    CHECK_EQ(errno, ENOMEM);
}

/* ---- filling, and emptying by others ----------------------------------- */

struct object {
    struct object *next;
};

static struct {
    unsigned threads;
    size_t least, most; /* sizes */
    pthread_barrier_t filled, emptied, looked;
    struct object *objects[THREADS_MAX];
} fill;

/* All orders of magnitude are equally likely. */
static size_t random_size(unsigned long long *state)
{
    unsigned logs = (unsigned)(63 - __builtin_clzl(fill.most)) -
                    (unsigned)(63 - __builtin_clzl(fill.least));
    size_t size = fill.least << test_random(state) % (logs + 1);
    size += test_random(state) % size;
    return size < fill.most ? size : fill.most;
}

static struct object *fill_place(unsigned long long seed)
{
    struct object *first = NULL;
    for (int misses = 0; misses < MISSES;) {
        struct object *object = memkind_malloc(kind, random_size(&seed));
        if (object == NULL) {
            misses++;
            continue;
        }
        object->next = first;
        first = object;
    }
    return first;
}

static void empty_place(struct object *object)
{
    while (object != NULL) {
        struct object *next = object->next;
        memkind_free(kind, object);
        object = next;
    }
}

/* What a thread has filled, the next one frees; and none has ended when the
 * largest object is asked for. */
static void *work(void *number)
{
    unsigned own = (unsigned)(uintptr_t)number;
    fill.objects[own] = fill_place(own + 1);
    pthread_barrier_wait(&fill.filled);
    empty_place(fill.objects[(own + 1) % fill.threads]);
    pthread_barrier_wait(&fill.emptied);
    pthread_barrier_wait(&fill.looked);
    return NULL;
}

/* check: what a place of that size has to hold then */
static void fill_and_empty(size_t place, unsigned threads,
                           void (*check)(size_t place))
{
    pthread_t ids[THREADS_MAX];
    fill.threads = threads;
    fill.least = place / 16384 > 16 ? place / 16384 : 16;
    fill.most = place / 4;
    pthread_barrier_init(&fill.filled, NULL, threads);
    pthread_barrier_init(&fill.emptied, NULL, threads + 1);
    pthread_barrier_init(&fill.looked, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++)
        REQUIRE_EQ(pthread_create(&ids[i], NULL, work, (void *)(uintptr_t)i),
                   0);
    pthread_barrier_wait(&fill.emptied);
    check(place);
    pthread_barrier_wait(&fill.looked);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&fill.filled);
    pthread_barrier_destroy(&fill.emptied);
    pthread_barrier_destroy(&fill.looked);
}

static const unsigned thread_numbers[] = {1, 2, THREADS_MAX};
enum { THREAD_NUMBERS = sizeof thread_numbers / sizeof thread_numbers[0] };

/* ---- areas ------------------------------------------------------------- */

/* A fresh place for each: what was one object at first might stay one. */
static void fill_area(size_t size)
{
    for (unsigned i = 0; i < THREAD_NUMBERS; i++) {
        open_area(size);
        fill_and_empty(size, thread_numbers[i], check_holds_one_object);
        close_area(size);
    }
    open_area(size);
    check_holds_one_object(size);
    for (unsigned i = 0; i < THREAD_NUMBERS; i++)
        fill_and_empty(size, thread_numbers[i], check_holds_one_object);
    close_area(size);
}

static void test_areas(void)
{
    static const size_t sizes[] = {16 * MIB,  100 * MIB, 100 * MIB + 12 * KIB,
                                   127 * MIB, 128 * MIB, 161 * MIB + 4 * KIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        fill_area(sizes[i]);
}

/* Freed objects are looked over, which touches all of them. */
static void test_large_areas(void)
{
    static const size_t sizes[] = {3 * GIB, 8 * GIB, 33 * GIB + 4 * KIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (!test_is_hardened())
            fill_area(sizes[i]);
    }
}

/* All of it can be had by smaller objects, too: little is lost at the end.
 */
static void test_nothing_is_lost(void)
{
    const size_t size = 100 * MIB + 12 * KIB, piece = 64 * KIB;
    open_area(size);
    for (int round = 0; round < 2; round++) {
        size_t held = 0;
        struct object *first = NULL, *object;
        while ((object = memkind_malloc(kind, test_fitting(piece))) != NULL) {
            REQUIRE((char *)object >= area &&
                    (char *)object + piece <= area + size);
            object->next = first;
            first = object;
            held += piece;
        }
        CHECK_GE(held, size - 4 * piece - (test_is_hardened() ? size / 4 : 0));
        empty_place(first);
    }
    close_area(size);
}

static void check_holds_half(size_t place)
{
    CHECK(holds(place / 2));
}

/* Small objects that stay keep large ones out of their own pages only. */
static void test_leftovers(void)
{
    enum { LEFT = 16 };
    const size_t size = 4 * GIB;
    char *left[LEFT];
    if (test_is_hardened())
        return;
    open_area(size);
    for (int i = 0; i < LEFT; i++) {
        left[i] = memkind_malloc(kind, 64);
        REQUIRE_NOT_NULL(left[i]);
    }
    fill_and_empty(size, THREADS_MAX, check_holds_half);
    for (int i = 0; i < LEFT; i++)
        memkind_free(kind, left[i]);
    check_holds_one_object(size);
    close_area(size);
}

static void test_blocks_of_areas(void)
{
    const size_t size = 16 * MIB, page = (size_t)sysconf(_SC_PAGESIZE);
    open_area(size);
    char *block = memkind_fixed_mmap(kind, NULL, MIB + 1);
    REQUIRE_NE(block, MAP_FAILED);
    CHECK(block >= area && block + MIB + page <= area + size);
    CHECK_EQ((uintptr_t)block % page, 0);
    memset(block, 1, MIB + page);
    CHECK_EQ(memkind_fixed_mmap(kind, NULL, size), MAP_FAILED);
    CHECK_EQ(errno, ENOMEM);
    CHECK(holds(8 * MIB));
    close_area(size);
}

/* ---- files without holes ----------------------------------------------- */

static void fill_file(size_t limit, unsigned threads)
{
    REQUIRE_EQ(memkind_create_pmem(test_dir(), limit, &kind), MEMKIND_SUCCESS);
    /* A part of it at first, which does not go back to the file system. */
    CHECK(holds(limit / 3));
    check_holds_one_object(limit);
    fill_and_empty(limit, threads, check_holds_one_object);
    char *object = memkind_calloc(kind, 1, test_fitting(largest_class(limit)));
    REQUIRE_NOT_NULL(object);
    CHECK(is_zero(object, test_fitting(largest_class(limit))));
    memkind_free(kind, object);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static void test_files_without_holes(void)
{
    static const struct fault_world worlds[] = {
        {.no_holes = true, .no_punch = true},
        {.no_holes = true, .no_punch = true, .no_fallocate = true},
        {.no_holes = true, .no_punch = true, .pmem = true}};
    static const size_t limits[] = {16 * MIB, 17 * MIB + 4 * KIB, 50 * MIB};
    struct test_resources before;
    test_resources_take(&before);
    for (size_t i = 0; i < sizeof worlds / sizeof worlds[0]; i++)
        for (size_t j = 0; j < sizeof limits / sizeof limits[0]; j++) {
            fault_install(worlds[i]);
            fill_file(limits[j], thread_numbers[i]);
            fault_remove();
        }
    CHECK(nothing_leaked_but_metadata(&before));
}

/* ---- devices ----------------------------------------------------------- */

#define DEVICE "/dev/fake-dax"

/* A device DAX that is no NVDIMM's, as system calls show it: what is mapped is
 * memory of the kernel's. */
static struct sys_calls real;
static size_t device_size;
static int device_fd;

static int device_open(const char *path, int flags, mode_t mode)
{
    if (strcmp(path, DEVICE) != 0)
        return real.open(path, flags, mode);
    device_fd = memfd_create("device", MFD_CLOEXEC);
    CHECK_EQ(ftruncate(device_fd, (off_t)device_size), 0);
    return device_fd;
}

static void be_device(struct stat *st)
{
    st->st_mode = S_IFCHR | 0600;
    st->st_rdev = 0x1234;
}

static int device_stat(const char *path, struct stat *st)
{
    if (strcmp(path, DEVICE) != 0)
        return real.stat(path, st);
    memset(st, 0, sizeof *st);
    be_device(st);
    return 0;
}

static int device_fstat(int fd, struct stat *st)
{
    int result = real.fstat(fd, st);
    if (result == 0 && fd == device_fd)
        be_device(st);
    return result;
}

static char *device_realpath(const char *path, char *resolved)
{
    const char *name = strrchr(path, '/');
    if (strncmp(path, "/sys/dev/char/", 14) != 0)
        return real.realpath(path, resolved);
    if (strcmp(name, "/subsystem") == 0)
        return strcpy(resolved, "/sys/class/dax");
    if (strcmp(name, "/size") == 0)
        return strcpy(resolved, test_path("size"));
    return strcpy(resolved, "/sys/devices/platform/dax0.0");
}

static void open_device(size_t size)
{
    FILE *file = fopen(test_path("size"), "we");
    REQUIRE_NOT_NULL(file);
    fprintf(file, "%zu\n", size);
    fclose(file);
    real = sys;
    device_size = size;
    device_fd = -1;
    sys.open = device_open;
    sys.stat = device_stat;
    sys.fstat = device_fstat;
    sys.realpath = device_realpath;
}

static void close_device(void)
{
    sys = real;
    unlink(test_path("size"));
}

static void test_devices(void)
{
    static const size_t sizes[] = {16 * MIB, 100 * MIB, 126 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (unsigned j = 0; j < THREAD_NUMBERS; j++) {
            open_device(sizes[i]);
            REQUIRE_EQ(memkind_create_pmem(DEVICE, 0, &kind), MEMKIND_SUCCESS);
            CHECK_NE(device_fd, -1);
            fill_and_empty(sizes[i], thread_numbers[j], check_holds_one_object);
            char *object =
                memkind_calloc(kind, 1, test_fitting(largest_class(sizes[i])));
            REQUIRE_NOT_NULL(object);
            CHECK(is_zero(object, test_fitting(largest_class(sizes[i]))));
            memkind_free(kind, object);
            CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
            close_device();
        }
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"areas", test_areas},
        {"large areas", test_large_areas},
        {"nothing is lost", test_nothing_is_lost},
        {"leftovers", test_leftovers},
        {"blocks of areas", test_blocks_of_areas},
        {"files without holes", test_files_without_holes},
        {"devices", test_devices},
        {NULL, NULL},
    };
    return test_main("fixed places", tests, argc, argv);
}
