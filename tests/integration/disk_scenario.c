/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kinds on a file system of some type, which disk_test.sh makes:
 *
 *     disk_scenario DIR SCENARIO [MIB [ROUNDS]]
 *
 * Ends with 0, or with a message and 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "test_support.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* What a file system may keep for itself beside a file's contents. */
#define METADATA (2 * MIB)

static const char *dir;
static unsigned rounds = 6;
static memkind_t kind;
static volatile const char *doing = "starting";

/* What must be so. */
#define NEED(condition)                                                        \
    do                                                                         \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s (while %s)\n", __FILE__, __LINE__,      \
                    #condition, (const char *)doing);                          \
            return 1;                                                          \
        }                                                                      \
    while (0)

static void on_signal(int number)
{
    static const char text[] = "a signal that must not be: SIGBUS or SIGXFSZ, "
                               "while ";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    (void)!write(STDERR_FILENO, (const char *)doing,
                 strlen((const char *)doing));
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(number == SIGBUS ? 2 : 3);
}

/* Space of the kind's files, as the file system has it. */
static size_t space_held(void)
{
    size_t held = 0;
    char path[64], target[4096];
    for (int fd = 3; fd < 256; fd++) {
        struct stat st;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        if (strstr(target, "(deleted)") != NULL && fstat(fd, &st) == 0)
            held += (size_t)st.st_blocks * 512;
    }
    return held;
}

static size_t space_charged(void)
{
    size_t value = 0;
    memkind_update_cached_stats();
    return memkind_get_stat(kind, MEMKIND_STAT_TYPE_RESIDENT, &value) == 0
               ? value
               : 0;
}

static bool sync_file_system(void)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && syncfs(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

/* ---- objects that are written, written back, dropped, read and written - */

#define OBJECTS 20000

static struct object {
    char *ptr;
    size_t size;
    unsigned seed;
} objects[OBJECTS];
static unsigned long long randomness = 7;

static bool take(struct object *object, size_t most)
{
    size_t size = 100 + test_random(&randomness) % (most - 100);
    object->ptr = memkind_malloc(kind, size);
    if (object->ptr == NULL)
        return false;
    object->size = size;
    object->seed = (unsigned)test_random(&randomness);
    test_fill(object->ptr, size, object->seed);
    return true;
}

static void fill(size_t most)
{
    unsigned failures = 0;
    doing = "filling";
    for (unsigned i = 0; i < OBJECTS && failures < 3; i++)
        if (objects[i].ptr == NULL && !take(&objects[i], most))
            failures++;
}

static bool is_intact(const struct object *object)
{
    return test_check(object->ptr, object->size, object->seed);
}

/* Some, at random places: one by one they are slow to come back. */
static void page_out(void)
{
    size_t most = 4 * MIB;
    for (unsigned i = (unsigned)test_random(&randomness) % 7; i < OBJECTS;
         i += 7) {
        uintptr_t begin = (uintptr_t)objects[i].ptr & ~(uintptr_t)4095;
        uintptr_t end = (uintptr_t)objects[i].ptr + objects[i].size;
        if (objects[i].ptr == NULL || end - begin > most)
            continue;
        (void)madvise((void *)begin, end - begin, MADV_PAGEOUT);
        most -= end - begin;
    }
}

/* Stores to all objects; some were read before. */
static bool store_again(void)
{
    doing = "storing again";
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (objects[i].ptr == NULL)
            continue;
        if (i % 3 != 0 && !is_intact(&objects[i]))
            return false;
        objects[i].seed++;
        test_fill(objects[i].ptr, objects[i].size, objects[i].seed);
    }
    return true;
}

static bool free_some(unsigned of)
{
    doing = "freeing";
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (objects[i].ptr == NULL || test_random(&randomness) % of == 0)
            continue;
        if (!is_intact(&objects[i]))
            return false;
        memkind_free(kind, objects[i].ptr);
        objects[i].ptr = NULL;
    }
    return true;
}

/* No file has more space than the kind knows of, whatever was read ahead. */
static int rewrite(size_t limit)
{
    static const size_t sizes[] = {100000, 9000, 300000, 2000, 60000};
    NEED(memkind_create_pmem(dir, limit, &kind) == MEMKIND_SUCCESS);
    for (unsigned round = 0; round < rounds; round++) {
        fill(sizes[round % 5]);
        for (unsigned i = 0; i < 2; i++) {
            NEED(sync_file_system());
            page_out();
            NEED(store_again());
        }
        NEED(sync_file_system());
        size_t charged = space_charged(), held = space_held();
        printf("%zu KiB charged, %zu KiB held\n", charged / KIB, held / KIB);
        NEED(limit == 0 || charged <= limit);
        NEED(held <= charged + METADATA);
        NEED(free_some(round % 4 == 3 ? 100 : 2));
        if (round % 2 == 1)
            NEED(memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    }
    NEED(free_some(1000000) && memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

/* If each store on a full file system takes its time (btrfs). */
static int store_on_full_file_system(size_t mib)
{
    unsigned count = 0, again = 0;
    (void)mib;
    NEED(memkind_create_pmem(dir, 0, &kind) == MEMKIND_SUCCESS);
    fill(100000);
    for (unsigned i = 0; i < OBJECTS; i++)
        count += objects[i].ptr != NULL;
    NEED(count > 500 && sync_file_system());
    doing = "storing again";
    for (unsigned i = 0; i < OBJECTS; i += 50)
        if (objects[i].ptr != NULL)
            test_fill(objects[i].ptr, objects[i].size, ++objects[i].seed);
    NEED(free_some(2) && memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    NEED(sync_file_system());
    fill(100000);
    for (unsigned i = 0; i < OBJECTS; i++)
        again += objects[i].ptr != NULL;
    printf("%u objects, then %u\n", count, again);
    NEED(again >= count / 10 * 9);
    NEED(free_some(1000000) && memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int rewrite_limited(size_t mib)
{
    return rewrite(mib * MIB);
}

static int rewrite_on_full_file_system(size_t mib)
{
    (void)mib;
    return rewrite(0);
}

/* ---- reading in order -------------------------------------------------- */

static long major_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_majflt;
}

/* By far not every page waits for the disk. */
static int read_in_order(size_t mib)
{
    const size_t size = mib * MIB;
    unsigned long sum = 0;
    size_t resident = 0;
    static unsigned char pages[1 << 16];
    NEED(memkind_create_pmem(dir, 0, &kind) == MEMKIND_SUCCESS);
    char *object = memkind_malloc(kind, size);
    NEED(object != NULL && size / 4096 <= sizeof pages);
    memset(object, 1, size);
    char *begin = (char *)((uintptr_t)object & ~(uintptr_t)4095);
    NEED(msync(begin, size, MS_SYNC) == 0);
    NEED(madvise(begin, size, MADV_PAGEOUT) == 0);
    NEED(mincore(begin, size, pages) == 0);
    for (size_t i = 0; i < size / 4096; i++)
        resident += pages[i] & 1;
    NEED(resident < size / 4096 / 8);
    long before = major_faults();
    for (size_t at = 0; at < size; at += 4096)
        sum += (unsigned long)object[at];
    long faults = major_faults() - before;
    printf("%ld major faults for %zu pages\n", faults, size / 4096);
    NEED(sum == size / 4096);
    NEED(faults < (long)(size / 4096 / 8));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

/* ---- limits of files and of the file system ---------------------------- */

static int lower_limit(size_t mib)
{
    struct rlimit before, low;
    struct object list[64];
    unsigned count = 0;
    (void)mib;
    NEED(memkind_create_pmem(dir, 32 * MIB, &kind) == MEMKIND_SUCCESS);
    char *kept = memkind_malloc(kind, MIB);
    NEED(kept != NULL);
    test_fill(kept, MIB, 1);
    NEED(getrlimit(RLIMIT_FSIZE, &before) == 0);
    low = before;
    low.rlim_cur = 4 * MIB;
    NEED(setrlimit(RLIMIT_FSIZE, &low) == 0);
    doing = "allocating with a low RLIMIT_FSIZE";
    for (; count < 64; count++) {
        errno = 0;
        list[count].ptr = memkind_malloc(kind, 700 * KIB);
        if (list[count].ptr == NULL)
            break;
        memset(list[count].ptr, 1, 700 * KIB);
    }
    printf("%u objects under the limit\n", count);
    NEED(count == 64 || errno == ENOMEM);
    sigset_t pending;
    NEED(sigpending(&pending) == 0 && !sigismember(&pending, SIGXFSZ));
    for (unsigned i = 0; i < count; i++)
        memkind_free(kind, list[i].ptr);
    NEED(setrlimit(RLIMIT_FSIZE, &before) == 0);
    char *more = memkind_malloc(kind, 16 * MIB);
    NEED(more != NULL);
    test_fill(more, 16 * MIB, 2);
    NEED(test_check(kept, MIB, 1) && test_check(more, 16 * MIB, 2));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int large_objects(size_t mib)
{
    struct statvfs st;
    NEED(statvfs(dir, &st) == 0);
    NEED(memkind_create_pmem(dir, 0, &kind) == MEMKIND_SUCCESS);
    NEED(st.f_blocks != 0 || memkind_get_capacity(kind) == -1);
    for (size_t size = 60; size <= mib; size += 65) {
        char *object = memkind_malloc(kind, size * MIB);
        NEED(object != NULL);
        memset(object, 1, size * MIB);
        memkind_free(kind, object);
    }
    char *vector = NULL;
    for (size_t size = MIB; size <= mib * MIB; size *= 2) {
        char *longer = memkind_realloc(kind, vector, size);
        NEED(longer != NULL);
        vector = longer;
        vector[size - 1] = 1;
    }
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(size_t mib);
} scenarios[] = {
    {"rewrite-limited", rewrite_limited},
    {"rewrite-full", rewrite_on_full_file_system},
    {"store-full", store_on_full_file_system},
    {"read-in-order", read_in_order},
    {"lower-limit", lower_limit},
    {"large-objects", large_objects},
};

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    dir = argv[1];
    if (argc > 4)
        rounds = (unsigned)strtoul(argv[4], NULL, 10);
    signal(SIGBUS, on_signal);
    signal(SIGXFSZ, on_signal);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(scenarios[i].name, argv[2]) == 0)
            return scenarios[i].run(argc > 3 ? strtoul(argv[3], NULL, 10) : 0);
    return 2;
}
