/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kinds of many TiB, in files that have no disk behind them: file space is
 * counted here, and taken by the pages that are touched alone.
 */
#include <memkind.h>
#include <memkind/internal/memkind_arena.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <fcntl.h>

#include "layer_test.h"
#include "sys_calls.h"

/* More is not left of 128 TiB when a region has been found that fits. */
#define FREE_SPACE (100 * TIB)

/* ---- file space that is only counted ----------------------------------- */

static struct sys_calls real;
static struct {
    size_t asked; /* by fallocate(2) */
    size_t blocks, block_size;
    bool locked; /* madvise(2) gives nothing back */
} space;

static int open_anywhere(const char *path, int flags, mode_t mode)
{
    if ((flags & O_TMPFILE) != O_TMPFILE)
        return real.open(path, flags, mode);
    return memfd_create("tebibytes", MFD_CLOEXEC);
}

static int count_fallocate(int fd, int mode, off_t offset, off_t len)
{
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0)
        return real.fallocate(fd, mode, offset, len);
    space.asked += (size_t)len;
    return 0;
}

static int tell_free_space(int fd, struct statvfs *fs)
{
    int result = real.fstatvfs(fd, fs);
    fs->f_frsize = fs->f_bsize = space.block_size;
    fs->f_blocks = space.blocks;
    fs->f_bfree = fs->f_bavail = space.blocks;
    return result;
}

static int keep_locked(void *addr, size_t len, int advice)
{
    if (space.locked && advice == MADV_DONTNEED) {
        errno = EINVAL;
        return -1;
    }
    return real.madvise(addr, len, advice);
}

static void fake_space(void)
{
    space.asked = 0;
    space.locked = false;
    space.block_size = 4096;
    space.blocks = FREE_SPACE / 4096;
    sys.open = open_anywhere;
    sys.fallocate = count_fallocate;
    sys.fstatvfs = tell_free_space;
    sys.madvise = keep_locked;
}

static void real_space(void)
{
    sys = real;
}

/* ---- what it costs ----------------------------------------------------- */

struct cost {
    double seconds;
    size_t dram, address_space; /* KiB */
};

static struct cost take_cost(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (struct cost){.seconds =
                             (double)now.tv_sec + (double)now.tv_nsec / 1e9,
                         .dram = test_status_kib("RssAnon:"),
                         .address_space = test_status_kib("VmSize:")};
}

/* Time is printed, not checked: DRAM says whether something is touched that
 * should not be. */
static void check_cost(const char *what, struct cost before, size_t most_kib)
{
    struct cost now = take_cost();
    printf("%s: %.1f ms, %zd KiB, %.1f TiB of addresses\n", what,
           (now.seconds - before.seconds) * 1e3,
           (ssize_t)(now.dram - before.dram),
           ((double)now.address_space - (double)before.address_space) /
               (double)(1 << 30));
    CHECK_LE(now.dram, before.dram + most_kib);
}

/* ---- objects ----------------------------------------------------------- */

static memkind_t kind;
static int misused;

static void note_misuse(memkind_misuse misuse, memkind_t of, const void *ptr,
                        void *context)
{
    (void)misuse, (void)of, (void)ptr, (void)context;
    misused++;
}

static void open_kind(size_t limit)
{
    struct cost before = take_cost();
    REQUIRE_EQ(memkind_create_pmem(test_dir(), limit, &kind), MEMKIND_SUCCESS);
    check_cost("creation", before, 2048);
}

static void close_kind(void)
{
    struct cost before = take_cost();
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    check_cost("destruction", before, 0);
}

/* NULL if there is none. Its first and last bytes can be used. */
static char *make_object(size_t size)
{
    char *object = memkind_malloc(kind, size);
    if (object == NULL) {
        CHECK_EQ(errno, ENOMEM);
        return NULL;
    }
    CHECK_GE(memkind_malloc_usable_size(kind, object), size);
    object[0] = object[size / 2] = object[size - 1] = 1;
    return object;
}

/* No address inside of an object is taken for one. */
static void check_inside(const char *object, size_t size)
{
    misused = 0;
    int tries = 0;
    for (size_t at = 4096; at < size; at += at < 64 * MIB ? 4096 : at / 2) {
        memkind_free(kind, (char *)(uintptr_t)(object + at));
        memkind_free(kind, (char *)(uintptr_t)(object + size - at));
        tries += 2;
    }
    CHECK_EQ(misused, tries);
}

/* Bytes of file space that the kind holds. */
static size_t file_space(void)
{
    size_t value = SIZE_MAX;
    CHECK_EQ(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_get_stat(kind, MEMKIND_STAT_TYPE_RESIDENT, &value),
             MEMKIND_SUCCESS);
    return value;
}

/* DRAM that an object may cost, in KiB: if file space is taken in grains, each
 * of 2 MiB has three counts. */
static size_t cost_of(size_t size)
{
    const char *force = getenv("PMEM_IS_PMEM_FORCE");
    bool grains = force != NULL && strcmp(force, "1") == 0;
    return 2048 + (grains ? size / (2 * MIB) * 6 / 1024 : 0);
}

/* Many small objects, that leave tags behind. */
static void use_small_objects(void)
{
    enum { COUNT = 20000, SIZE = 3000 };
    static char *objects[COUNT];
    for (int i = 0; i < COUNT; i++) {
        objects[i] = memkind_malloc(kind, SIZE);
        REQUIRE_NOT_NULL(objects[i]);
        objects[i][0] = objects[i][SIZE - 1] = 1;
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_GE(memkind_malloc_usable_size(kind, objects[i]), SIZE);
        memkind_free(kind, objects[i]);
    }
}

static void use_large_object(size_t size)
{
    char text[64];
    size_t asked = space.asked;
    struct cost before = take_cost();
    char *object = make_object(size);
    REQUIRE_NOT_NULL(object);
    CHECK_GE(space.asked - asked, size - 16 * MIB);
    CHECK_GE(file_space(), size);
    snprintf(text, sizeof text, "an object of %.1f TiB",
             (double)size / (double)TIB);
    check_cost(text, before, cost_of(size));
    check_inside(object, size);
    memkind_free(kind, object);
    check_inside(object, MIB);
    CHECK_EQ(memkind_arena_purge(kind), MEMKIND_SUCCESS);
    CHECK_LE(file_space(), 16 * MIB);
}

/* ---- tests ------------------------------------------------------------- */

static void test_8_tib(void)
{
    fake_space();
    open_kind(8 * TIB);
    use_small_objects();
    use_large_object(TIB);
    use_small_objects();
    use_large_object(4 * TIB);
    use_large_object(8 * TIB);
    CHECK_NULL(make_object(8 * TIB + 1));
    char *half = make_object(4 * TIB);
    CHECK_NOT_NULL(half);
    CHECK_NULL(make_object(5 * TIB));
    char *more = make_object(3 * TIB);
    CHECK_NOT_NULL(more);
    use_small_objects();
    CHECK_LE(file_space(), 8 * TIB);
    memkind_free(kind, half);
    memkind_free(kind, more);
    close_kind();
    real_space();
}

/* An object grows and shrinks; nothing is copied if there is room. */
static void test_resizing(void)
{
    fake_space();
    open_kind(8 * TIB);
    struct cost before = take_cost();
    char *object = make_object(TIB);
    REQUIRE_NOT_NULL(object);
    object = memkind_realloc(kind, object, TIB / 2);
    REQUIRE_NOT_NULL(object);
    CHECK_EQ(object[0], 1);
    check_inside(object, TIB);
    char *next = make_object(TIB / 4); /* in what was its inside */
    REQUIRE_NOT_NULL(next);
    check_inside(next, TIB / 4);
    memkind_free(kind, next);
    object = memkind_realloc(kind, object, TIB);
    REQUIRE_NOT_NULL(object);
    CHECK_EQ(object[0], 1);
    check_inside(object, TIB);
    check_cost("resizing", before, cost_of(2 * TIB));
    memkind_free(kind, object);
    close_kind();
    real_space();
}

/* If pages of tags cannot be given back, they are written. */
static void test_locked_tags(void)
{
    fake_space();
    open_kind(8 * TIB);
    space.locked = true;
    use_small_objects();
    CHECK_EQ(memkind_arena_purge(kind), MEMKIND_SUCCESS);
    char *object = make_object(GIB);
    REQUIRE_NOT_NULL(object);
    check_inside(object, GIB);
    memkind_free(kind, object);
    use_small_objects();
    close_kind();
    real_space();
}

/* A region takes a power of two of the 128 TiB of addresses; so several
 * regions meet the limit, and no object is larger than one of them. */
static void test_64_tib(void)
{
    size_t size = 64 * TIB;
    char *object;
    fake_space();
    open_kind(64 * TIB);
    use_small_objects();
    use_large_object(TIB);
    while ((object = make_object(size)) == NULL && size > TIB)
        size /= 2;
    REQUIRE_NOT_NULL(object);
    check_inside(object, size);
    size_t held = file_space();
    CHECK_GE(size, 16 * TIB);
    CHECK(held >= size && held <= 64 * TIB);
    /* The rest by smaller ones. */
    size_t all = size;
    for (size_t part = 8 * TIB; part >= TIB; part /= 2)
        while (make_object(part) != NULL)
            all += part;
    printf("one object of %zu TiB, %zu TiB in all\n", size / TIB, all / TIB);
    CHECK_GE(all, 32 * TIB);
    CHECK_LE(file_space(), 64 * TIB);
    memkind_free(kind, object);
    use_small_objects();
    close_kind();
    real_space();
}

/* Limits, sizes and answers of the system that arithmetic might not survive. */
static void test_extremes(void)
{
    static const size_t limits[] = {(size_t)1 << 46,  ((size_t)1 << 47) - 1,
                                    (size_t)1 << 47,  (size_t)1 << 48,
                                    (size_t)1 << 61,  SIZE_MAX / 2,
                                    SIZE_MAX / 2 + 1, SIZE_MAX - 4096,
                                    SIZE_MAX - 4095,  SIZE_MAX - 1,
                                    SIZE_MAX,         0};
    static const size_t sizes[] = {(size_t)1 << 47,  (size_t)1 << 61,
                                   SIZE_MAX / 4 + 1, SIZE_MAX / 2,
                                   SIZE_MAX - 4096,  SIZE_MAX};
    static const size_t blocks[] = {FREE_SPACE / 4096, SIZE_MAX,
                                    SIZE_MAX / 4096 + 1, 0};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        fake_space();
        space.blocks = blocks[i % 4];
        REQUIRE_EQ(memkind_create_pmem(test_dir(), limits[i], &kind),
                   MEMKIND_SUCCESS);
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++)
            CHECK_NULL(make_object(sizes[j]));
        use_small_objects();
        memkind_free(kind, make_object(GIB));
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        real_space();
    }
}

/* Sanitizers have most of the address space. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_ADDRESSES false
#else
#define HAS_ADDRESSES true
#endif

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"8 TiB", test_8_tib},
        {"resizing", test_resizing},
        {"locked tags", test_locked_tags},
        {"64 TiB", test_64_tib},
        {"extremes", test_extremes},
        {NULL, NULL},
    };
    if (!HAS_ADDRESSES || test_is_hardened()) {
        printf("skipped: objects are looked over, or addresses are few\n");
        return TEST_SKIPPED;
    }
    real = sys;
    memkind_set_misuse_handler(note_misuse, NULL);
    return test_main("tebibytes", tests, argc, argv);
}
