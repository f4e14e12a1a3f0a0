/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds that a program puts together itself. */
#include <errno.h>
#include <fcntl.h>
#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>
#include <memkind/internal/memkind_fixed.h>
#include <memkind/internal/memkind_pmem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_kinds.h"
#include "test_support.h"

#define PAGE ((size_t)4096)

static bool works(struct memkind *kind)
{
    char *small = memkind_malloc(kind, 100);
    char *large = memkind_calloc(kind, 5, 20000);
    bool fine = small != NULL && large != NULL && large[99999] == 0 &&
                memkind_detect_kind(small) == kind &&
                memkind_detect_kind(large) == kind &&
                memkind_malloc_usable_size(NULL, large) >= 100000;
    if (fine) {
        test_fill(small, 100, 1);
        test_fill(large, 100000, 2);
        large = memkind_realloc(kind, large, 200000);
        fine = large != NULL && test_check(small, 100, 1) &&
               test_check(large, 100000, 2);
    }
    memkind_free(NULL, small);
    memkind_free(kind, large);
    return fine;
}

static int create_in_dir(struct memkind *kind, struct memkind_ops *ops,
                         size_t max_size, const char *name)
{
    struct memkind_pmem_source source = {
        test_dir(), -1, max_size, MEMKIND_FORK_PRIVATE, false, NULL, 0, false};
    CHECK_EQ(memkind_pmem_set_source(kind, &source), MEMKIND_SUCCESS);
    int err = ops->create(kind, ops, name);
    /* Neither the structure nor its text is needed any more. */
    memset(&source, 0x5a, sizeof source);
    return err;
}

/* ---- files ------------------------------------------------------------- */

static void test_a_kind_in_a_directory(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = MEMKIND_PMEM_OPS;
    struct test_resources before, after;
    test_resources_take(&before);
    REQUIRE_EQ(create_in_dir(&kind, &ops, 32 * MIB, "mine"), MEMKIND_SUCCESS);
    CHECK_STR(kind.name, "mine");
    CHECK_EQ(kind.ops, &ops);
    CHECK(works(&kind));
    CHECK_EQ(memkind_get_capacity(&kind), (ssize_t)(32 * MIB));
    CHECK_EQ(memkind_check_available(&kind), MEMKIND_SUCCESS);
    CHECK_EQ(ops.destroy(&kind), MEMKIND_SUCCESS);
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    /* Once more with the same structure, and the other way to destroy it. */
    REQUIRE_EQ(create_in_dir(&kind, &ops, 0, "again"), MEMKIND_SUCCESS);
    CHECK(works(&kind));
    CHECK_EQ(memkind_destroy_kind(&kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_destroy_kind(&kind), MEMKIND_ERROR_OPERATION_FAILED);
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_destroy(NULL), MEMKIND_ERROR_INVALID);
}

static int open_file(void)
{
    int fd = open(test_dir(), O_TMPFILE | O_RDWR, 0600);
    REQUIRE_GE(fd, 0);
    return fd;
}

static int create_in_file(struct memkind *kind, int fd, size_t max_size)
{
    const struct memkind_pmem_source source = {
        NULL, fd, max_size, MEMKIND_FORK_PRIVATE, false, NULL, 0, false};
    CHECK_EQ(memkind_pmem_set_source(kind, &source), MEMKIND_SUCCESS);
    return memkind_pmem_create(kind, &MEMKIND_PMEM_OPS, "file");
}

static void test_a_kind_in_a_file(void)
{
    struct memkind kind = {0};
    struct stat st;
    struct test_resources before, after;
    int fd = open_file();
    test_resources_take(&before);
    REQUIRE_EQ(create_in_file(&kind, fd, 32 * MIB), MEMKIND_SUCCESS);
    CHECK(works(&kind));
    char *object = memkind_malloc(&kind, 8 * MIB);
    REQUIRE_NOT_NULL(object);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_GE(st.st_blocks * 512, (off_t)(8 * MIB));
    CHECK_LE(st.st_blocks * 512, (off_t)(32 * MIB));
    /* The object is in the file. */
    char mark[] = "Where is it?", page[PAGE];
    memcpy(object, mark, sizeof mark);
    bool seen = false;
    for (off_t at = 0; at < st.st_size && !seen; at += (off_t)PAGE) {
        at = lseek(fd, at, SEEK_DATA) & ~(off_t)(PAGE - 1);
        if (at < 0)
            break;
        ssize_t length = pread(fd, page, sizeof page, at);
        CHECK_GT(length, 0);
        seen = memmem(page, (size_t)length, mark, sizeof mark) != NULL;
    }
    CHECK(seen);
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_SUCCESS);
    /* The caller's descriptor is as good as before, and the file empty. */
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 0);
    CHECK_EQ(st.st_blocks, 0);
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);

    /* The file is used once more; this time the caller closes it early. */
    REQUIRE_EQ(create_in_file(&kind, fd, 0), MEMKIND_SUCCESS);
    close(fd);
    CHECK(works(&kind));
    CHECK_EQ(memkind_destroy_kind(&kind), MEMKIND_SUCCESS);
}

static void test_files_that_will_not_do(void)
{
    struct memkind kind = {0};
    int pipes[2];
    char path[4096];
    int fd = open_file();
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(create_in_file(&kind, fd, 0), MEMKIND_ERROR_INVALID);
    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK_EQ(create_in_file(&kind, fd, MEMKIND_PMEM_MIN_SIZE - 1),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(create_in_file(&kind, fd, 1), MEMKIND_ERROR_INVALID);
    close(fd);
    errno = 0;
    CHECK_EQ(create_in_file(&kind, fd, 0), MEMKIND_ERROR_INVALID);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(create_in_file(&kind, -1, 0), MEMKIND_ERROR_INVALID);
    CHECK_EQ(create_in_file(&kind, -7, 0), MEMKIND_ERROR_INVALID);
    REQUIRE_EQ(pipe(pipes), 0);
    CHECK_EQ(create_in_file(&kind, pipes[0], 0), MEMKIND_ERROR_INVALID);
    CHECK_EQ(create_in_file(&kind, pipes[1], 0), MEMKIND_ERROR_INVALID);
    close(pipes[0]);
    close(pipes[1]);
    fd = open(test_dir(), O_RDONLY | O_DIRECTORY);
    CHECK_EQ(create_in_file(&kind, fd, 0), MEMKIND_ERROR_INVALID);
    close(fd);
    snprintf(path, sizeof path, "%s", test_path("one-way"));
    static const int modes[] = {O_RDONLY, O_WRONLY};
    for (int i = 0; i < 2; i++) {
        struct stat st;
        fd = open(path, O_CREAT | modes[i], 0600);
        REQUIRE_GE(fd, 0);
        CHECK_EQ(create_in_file(&kind, fd, 0), MEMKIND_ERROR_INVALID);
        CHECK_EQ(fstat(fd, &st), 0);
        CHECK_EQ(st.st_size, 0);
        close(fd);
    }
    unlink(path);
    /* None of that has spoiled the kind. */
    fd = open_file();
    REQUIRE_EQ(create_in_file(&kind, fd, 0), MEMKIND_SUCCESS);
    CHECK(works(&kind));
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_SUCCESS);
    close(fd);
}

/* ---- creation that fails ----------------------------------------------- */

static void test_sources_that_will_not_do(void)
{
    struct memkind kind = {0};
    const struct memkind_pmem_source good = {
        test_dir(), -1, 0, MEMKIND_FORK_PRIVATE, false, NULL, 0, false};
    const struct memkind_pmem_source nothing = {
        NULL, -1, 0, MEMKIND_FORK_PRIVATE, false, NULL, 0, false};
    const struct memkind_pmem_source small = {
        test_dir(), -1, MIB, MEMKIND_FORK_PRIVATE, false, NULL, 0, false};
    const struct memkind_pmem_source missing = {
        "/nowhere", -1, 0, MEMKIND_FORK_PRIVATE, false, NULL, 0, false};
    const struct memkind_pmem_source no_policy = {
        test_dir(), -1,   0, MEMKIND_FORK_POLICY_MAX_VALUE,
        false,      NULL, 0, false};
    const struct memkind_pmem_source *const bad[] = {&nothing, &small, &missing,
                                                     &no_policy};
    struct test_resources before, after;
    test_resources_take(&before);
    CHECK_EQ(memkind_pmem_set_source(NULL, &good), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_set_source(&kind, NULL), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_create(&kind, &MEMKIND_PMEM_OPS, "none"),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_create(NULL, &MEMKIND_PMEM_OPS, "none"),
             MEMKIND_ERROR_INVALID);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(memkind_pmem_set_source(&kind, bad[i]), MEMKIND_SUCCESS);
        CHECK_EQ(memkind_pmem_create(&kind, &MEMKIND_PMEM_OPS, "bad"),
                 MEMKIND_ERROR_INVALID);
        /* The source has been used up. */
        CHECK_EQ(memkind_pmem_create(&kind, &MEMKIND_PMEM_OPS, "bad"),
                 MEMKIND_ERROR_INVALID);
    }
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    REQUIRE_EQ(create_in_dir(&kind, &MEMKIND_PMEM_OPS, 0, "finally"),
               MEMKIND_SUCCESS);
    CHECK_EQ(memkind_pmem_set_source(&kind, &good), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_create(&kind, &MEMKIND_PMEM_OPS, "twice"),
             MEMKIND_ERROR_INVALID);
    CHECK(works(&kind));
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_SUCCESS);
}

static void some_init_once(void)
{
}

static void test_incomplete_operations(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops[8];
    struct test_resources before, after;
    for (int i = 0; i < 8; i++)
        ops[i] = MEMKIND_PMEM_OPS;
    ops[0].create = NULL;
    ops[1].destroy = NULL;
    ops[2].malloc = NULL;
    ops[3].calloc = NULL;
    ops[4].posix_memalign = NULL;
    ops[5].realloc = NULL;
    ops[6].free = NULL;
    ops[7].init_once = some_init_once;
    const struct memkind_pmem_source source = {
        test_dir(), -1, 0, MEMKIND_FORK_PRIVATE, false, NULL, 0, false};
    test_resources_take(&before);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(memkind_pmem_set_source(&kind, &source), MEMKIND_SUCCESS);
        CHECK_EQ(memkind_pmem_create(&kind, &ops[i], "incomplete"),
                 MEMKIND_ERROR_BADOPS);
        struct memkind dram = {0};
        CHECK_EQ(memkind_arena_create(&dram, &ops[i], "incomplete"),
                 MEMKIND_ERROR_BADOPS);
        CHECK_EQ(memkind_default_create(&dram, &ops[i], "incomplete"),
                 MEMKIND_ERROR_BADOPS);
        CHECK_NULL(kind.ops);
    }
    CHECK_EQ(memkind_pmem_set_source(&kind, &source), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_pmem_create(&kind, NULL, "no operations"),
             MEMKIND_ERROR_INVALID);
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    CHECK_EQ(after.maps, before.maps);
}

static void test_names(void)
{
    struct memkind kind = {0};
    char name[MEMKIND_NAME_LENGTH_PRIV + 1];
    memset(name, 'n', sizeof name);
    name[MEMKIND_NAME_LENGTH_PRIV] = '\0';
    CHECK_EQ(create_in_dir(&kind, &MEMKIND_PMEM_OPS, 0, name),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(create_in_dir(&kind, &MEMKIND_PMEM_OPS, 0, ""),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(create_in_dir(&kind, &MEMKIND_PMEM_OPS, 0, NULL),
             MEMKIND_ERROR_INVALID);
    name[MEMKIND_NAME_LENGTH_PRIV - 1] = '\0';
    REQUIRE_EQ(create_in_dir(&kind, &MEMKIND_PMEM_OPS, 0, name),
               MEMKIND_SUCCESS);
    CHECK_STR(kind.name, name);
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_SUCCESS);
}

/* ---- operations of one's own ------------------------------------------- */

static atomic_size_t mallocs, reallocs, mmaps, frees;

static void *counting_malloc(struct memkind *kind, size_t size)
{
    atomic_fetch_add(&mallocs, 1);
    return memkind_arena_malloc(kind, size);
}

static void *counting_realloc(struct memkind *kind, void *ptr, size_t size)
{
    atomic_fetch_add(&reallocs, 1);
    return memkind_arena_realloc(kind, ptr, size);
}

static void counting_free(struct memkind *kind, void *ptr)
{
    atomic_fetch_add(&frees, 1);
    memkind_arena_free(kind, ptr);
}

static void *counting_mmap(struct memkind *kind, void *addr, size_t size)
{
    atomic_fetch_add(&mmaps, 1);
    return memkind_pmem_mmap(kind, addr, size);
}

static void test_own_heap_operations(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = MEMKIND_PMEM_OPS;
    ops.malloc = counting_malloc;
    ops.free = counting_free;
    /* Whatever may be missing. */
    ops.mmap = NULL;
    ops.get_arena = NULL;
    ops.get_mmap_flags = NULL;
    ops.malloc_usable_size = NULL;
    ops.update_memory_usage_policy = NULL;
    ops.get_stat = NULL;
    ops.defrag_reallocate = NULL;
    ops.finalize = NULL;
    REQUIRE_EQ(create_in_dir(&kind, &ops, 0, "own"), MEMKIND_SUCCESS);
    atomic_store(&mallocs, 0);
    atomic_store(&frees, 0);
    void *object = memkind_malloc(&kind, 100);
    CHECK_EQ(memkind_malloc_usable_size(&kind, object),
             test_is_hardened() ? 100U : 112U);
    size_t value;
    CHECK_EQ(memkind_get_stat(&kind, MEMKIND_STAT_TYPE_ACTIVE, &value),
             MEMKIND_ERROR_INVALID);
    CHECK_NULL(memkind_defrag_reallocate(&kind, object));
    memkind_free(&kind, object);
    CHECK_EQ(atomic_load(&mallocs), 1);
    CHECK_EQ(atomic_load(&frees), 1);
    CHECK(works(&kind));
    CHECK_EQ(memkind_destroy_kind(&kind), MEMKIND_SUCCESS);
}

/* Each of them alone, with objects that the thread has cached. */
static void test_one_own_operation(void)
{
    enum { TIMES = 10 };
    for (int own = 0; own < 3; own++) {
        struct memkind kind = {0};
        struct memkind_ops ops = MEMKIND_PMEM_OPS;
        if (own == 0)
            ops.malloc = counting_malloc;
        else if (own == 1)
            ops.realloc = counting_realloc;
        else
            ops.free = counting_free;
        REQUIRE_EQ(create_in_dir(&kind, &ops, 0, "one"), MEMKIND_SUCCESS);
        atomic_store(&mallocs, 0);
        atomic_store(&reallocs, 0);
        atomic_store(&frees, 0);
        for (int i = 0; i < TIMES; i++) {
            void *object = memkind_malloc(&kind, 100);
            REQUIRE_NOT_NULL(object);
            object = memkind_realloc(&kind, object, 101);
            REQUIRE_NOT_NULL(object);
            memkind_free(&kind, object);
        }
        CHECK_EQ(atomic_load(&mallocs), own == 0 ? TIMES : 0);
        CHECK_EQ(atomic_load(&reallocs), own == 1 ? TIMES : 0);
        CHECK_EQ(atomic_load(&frees), own == 2 ? TIMES : 0);
        CHECK_EQ(memkind_destroy_kind(&kind), MEMKIND_SUCCESS);
    }
}

static void test_own_mmap_in_the_files(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = MEMKIND_PMEM_OPS;
    ops.mmap = counting_mmap;
    atomic_store(&mmaps, 0);
    REQUIRE_EQ(create_in_dir(&kind, &ops, 32 * MIB, "own mmap"),
               MEMKIND_SUCCESS);
    CHECK(works(&kind));
    CHECK_GE(atomic_load(&mmaps), 1);
    size_t total = 0;
    for (char *object; (object = memkind_malloc(&kind, 100000)) != NULL;) {
        memset(object, 1, 100000);
        total += 100000;
    }
    CHECK_EQ(errno, ENOMEM);
    CHECK_GT(total, 8 * MIB);
    CHECK_LE(total, 32 * MIB);
    CHECK_EQ(ops.destroy(&kind), MEMKIND_SUCCESS);
}

/* ---- memory of one's own ----------------------------------------------- */

#define AREA (64 * MIB)
static char *area;
static atomic_size_t area_used;

static void *area_mmap(struct memkind *kind, void *addr, size_t size)
{
    (void)kind, (void)addr;
    size_t used = atomic_load(&area_used);
    do
        if (size > AREA - used) {
            errno = ENOMEM;
            return MAP_FAILED;
        }
    while (!atomic_compare_exchange_weak(&area_used, &used, used + size));
    return area + used;
}

static void test_an_area_by_mmap(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = kind_arena_operations();
    ops.mmap = area_mmap;
    area = mmap(NULL, AREA, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE_NE(area, MAP_FAILED);
    for (int round = 0; round < 3; round++) {
        atomic_store(&area_used, 0);
        REQUIRE_EQ(ops.create(&kind, &ops, "area"), MEMKIND_SUCCESS);
        CHECK(works(&kind));
        void *aligned = NULL;
        CHECK_EQ(memkind_posix_memalign(&kind, &aligned, MIB, 1000), 0);
        CHECK_EQ((uintptr_t)aligned % MIB, 0);
        size_t total = 0;
        char *object;
        for (size_t i = 0; (object = memkind_malloc(&kind, 30000)) != NULL;
             i++) {
            CHECK(object >= area && object + 30000 <= area + AREA);
            memset(object, 1, 30000);
            total += 30000;
        }
        CHECK_EQ(errno, ENOMEM);
        CHECK_GT(total, AREA / 2);
        CHECK_EQ(ops.destroy(&kind), MEMKIND_SUCCESS);
        CHECK_NULL(memkind_detect_kind(aligned));
        area[0] = area[AREA - 1] = 1; /* still there */
        memset(area, 0, AREA);
    }
    CHECK_EQ(munmap(area, AREA), 0);
}

static int error_inside, errno_inside, end_inside;
static memkind_t kind_outside;

/* Tries to make and to destroy kinds while the library is at work, and under
 * locks. */
static void *mmap_with_other_kinds(struct memkind *kind, void *addr,
                                   size_t size)
{
    memkind_t other = NULL;
    const int saved_errno = errno;
    errno = 0;
    error_inside = memkind_create_pmem(test_dir(), 0, &other);
    errno_inside = errno;
    end_inside = memkind_destroy_kind(kind_outside);
    errno = saved_errno;
    return memkind_default_mmap(kind, addr, size);
}

static void test_no_kinds_inside(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = kind_arena_operations();
    ops.mmap = mmap_with_other_kinds;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind_outside),
               MEMKIND_SUCCESS);
    REQUIRE_EQ(ops.create(&kind, &ops, "maker"), MEMKIND_SUCCESS);
    CHECK(works(&kind));
    CHECK_EQ(error_inside, MEMKIND_ERROR_OPERATION_FAILED);
    CHECK_EQ(errno_inside, EDEADLK);
    CHECK_EQ(end_inside, MEMKIND_ERROR_OPERATION_FAILED);
    CHECK_EQ(memkind_destroy_kind(kind_outside), MEMKIND_SUCCESS);
    CHECK_EQ(ops.destroy(&kind), MEMKIND_SUCCESS);
}

/* Operations of a kind of certain nodes; the kind is of DRAM nevertheless. */
static void test_copied_operations(void)
{
    char own_data[256];
    unsigned long nodes[16] = {0};
    struct memkind_ops ops = *MEMKIND_HBW->ops;
    ops.create = memkind_arena_create;
    ops.destroy = memkind_arena_destroy;
    memset(own_data, 0x5a, sizeof own_data);
    for (unsigned i = 0; i < 2; i++) {
        struct memkind kind = {.partition = i == 0 ? 0 : MEMKIND_MAX_KIND};
        REQUIRE_EQ(ops.create(&kind, &ops, "copied"), MEMKIND_SUCCESS);
        if (i != 0)
            kind.priv = own_data;
        CHECK(works(&kind));
        CHECK_EQ(memkind_check_available(&kind), MEMKIND_SUCCESS);
        CHECK(memkind_get_capacity(&kind) > 0);
        (void)memkind_default_get_mbind_nodemask(&kind, nodes, 1024);
        CHECK_EQ(memkind_default_mbind(&kind, own_data, 1),
                 MEMKIND_ERROR_BADOPS);
        CHECK_EQ(memkind_destroy_kind(&kind), MEMKIND_SUCCESS);
    }
}

static void test_only_what_is_needed(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = kind_arena_operations();
    struct test_resources before, after;
    for (int i = 0; i < 50; i++) {
        if (i == 25)
            test_resources_take(&before);
        REQUIRE_EQ(ops.create(&kind, &ops, "defaults"), MEMKIND_SUCCESS);
        CHECK(works(&kind));
        void *object = memkind_malloc(&kind, 20 * MIB);
        CHECK_NOT_NULL(object);
        CHECK_EQ(memkind_arena_create(&kind, &ops, "twice"),
                 MEMKIND_ERROR_INVALID);
        CHECK_EQ(memkind_destroy_kind(&kind), MEMKIND_SUCCESS);
    }
    test_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    CHECK_LE(after.maps, before.maps + 2);
}

static atomic_size_t bound, advised;

static int note_mbind(struct memkind *kind, void *ptr, size_t size)
{
    (void)kind, (void)ptr;
    atomic_fetch_add(&bound, size);
    return 0;
}

static int note_madvise(struct memkind *kind, void *ptr, size_t size)
{
    atomic_fetch_add(&advised, size);
    return memkind_nohugepage_madvise(kind, ptr, size);
}

static int refuse_mbind(struct memkind *kind, void *ptr, size_t size)
{
    (void)kind, (void)ptr, (void)size;
    return -1;
}

static void test_advice_for_each_block(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = kind_arena_operations();
    ops.mbind = note_mbind;
    ops.madvise = note_madvise;
    REQUIRE_EQ(ops.create(&kind, &ops, "advice"), MEMKIND_SUCCESS);
    CHECK(works(&kind));
    CHECK_NOT_NULL(memkind_malloc(&kind, 5 * MIB));
    CHECK_GE(atomic_load(&bound), 5 * MIB);
    CHECK_EQ(atomic_load(&bound), atomic_load(&advised));
    CHECK_EQ(ops.destroy(&kind), MEMKIND_SUCCESS);

    ops.mbind = refuse_mbind;
    int err = ops.create(&kind, &ops, "refused");
    if (err == MEMKIND_SUCCESS) {
        errno = 0;
        CHECK_NULL(memkind_malloc(&kind, 100));
        CHECK_EQ(errno, ENOMEM);
        CHECK_EQ(ops.destroy(&kind), MEMKIND_SUCCESS);
    }
}

/* ---- extent hooks of one's own ----------------------------------------- */

/* As in <jemalloc/jemalloc.h>. */
struct extent_hooks_s {
    void *(*alloc)(extent_hooks_t *, void *, size_t, size_t, bool *, bool *,
                   unsigned);
    bool (*dalloc)(extent_hooks_t *, void *, size_t, bool, unsigned);
    void (*destroy)(extent_hooks_t *, void *, size_t, bool, unsigned);
    bool (*commit)(extent_hooks_t *, void *, size_t, size_t, size_t, unsigned);
    bool (*decommit)(extent_hooks_t *, void *, size_t, size_t, size_t,
                     unsigned);
    bool (*purge_lazy)(extent_hooks_t *, void *, size_t, size_t, size_t,
                       unsigned);
    bool (*purge_forced)(extent_hooks_t *, void *, size_t, size_t, size_t,
                         unsigned);
    bool (*split)(extent_hooks_t *, void *, size_t, size_t, size_t, bool,
                  unsigned);
    bool (*merge)(extent_hooks_t *, void *, size_t, void *, size_t, bool,
                  unsigned);
};

static atomic_size_t hooked;

static void *hook_alloc(extent_hooks_t *hooks, void *new_addr, size_t size,
                        size_t alignment, bool *zero, bool *commit,
                        unsigned arena)
{
    (void)hooks, (void)arena;
    if (new_addr != NULL)
        return NULL;
    size_t room = size + alignment;
    char *block = mmap(NULL, room, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    atomic_fetch_add(&hooked, size);
    *zero = *commit = true;
    return block + (alignment - (uintptr_t)block % alignment) % alignment;
}

static void test_own_extent_hooks(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = kind_arena_operations();
    static extent_hooks_t hooks = {.alloc = hook_alloc};
    CHECK_EQ(memkind_arena_create_map(NULL, &hooks, false),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_arena_create_map(&kind, &hooks, false),
             MEMKIND_ERROR_INVALID);
    REQUIRE_EQ(memkind_default_create(&kind, &ops, "hooked"), MEMKIND_SUCCESS);
    REQUIRE_EQ(memkind_arena_create_map(&kind, &hooks, false), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_arena_create_map(&kind, &hooks, false),
             MEMKIND_ERROR_INVALID);
    CHECK(works(&kind));
    CHECK_GT(atomic_load(&hooked), 0);
    CHECK_EQ(memkind_arena_destroy(&kind), MEMKIND_SUCCESS);
}

/* ---- memkind_pmem_mmap() ----------------------------------------------- */

static void expect_no_block(struct memkind *kind, size_t size, int reason)
{
    errno = 0;
    CHECK_EQ(memkind_pmem_mmap(kind, NULL, size), MAP_FAILED);
    CHECK_EQ(errno, reason);
}

static void test_blocks_of_the_files(void)
{
    struct memkind kind = {0}, fixed = {0};
    REQUIRE_EQ(create_in_dir(&kind, &MEMKIND_PMEM_OPS, 32 * MIB, "blocks"),
               MEMKIND_SUCCESS);
    static const size_t sizes[] = {1, PAGE - 1, PAGE, PAGE + 1, MIB, 3 * MIB};
    char *last_end = NULL;
    size_t charged = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t rounded = (sizes[i] + PAGE - 1) & ~(PAGE - 1);
        char *block = memkind_pmem_mmap(&kind, (void *)8, sizes[i]);
        REQUIRE_NE(block, MAP_FAILED);
        CHECK_EQ((uintptr_t)block % PAGE, 0);
        CHECK_EQ(memkind_detect_kind(block), &kind);
        CHECK(block[0] == 0 && memcmp(block, block + 1, rounded - 1) == 0);
        memset(block, 1, rounded);
        CHECK(last_end == NULL || block >= last_end ||
              block + rounded <= last_end);
        last_end = block + rounded;
        charged += rounded;
    }
    size_t value = 0;
    CHECK_EQ(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_get_stat(&kind, MEMKIND_STAT_TYPE_RESIDENT, &value),
             MEMKIND_SUCCESS);
    CHECK_EQ(value,
             (charged + test_space_unit() - 1) & ~(test_space_unit() - 1));
    CHECK(works(&kind));

    expect_no_block(&kind, 0, EINVAL);
    expect_no_block(&kind, 33 * MIB, ENOMEM);
    expect_no_block(&kind, 32 * MIB, ENOMEM); /* some is taken */
    expect_no_block(&kind, SIZE_MAX, ENOMEM);
    expect_no_block(&kind, SIZE_MAX - PAGE, ENOMEM);
    expect_no_block(&kind, SIZE_MAX - 2 * PAGE, ENOMEM);
    expect_no_block(&kind, (size_t)1 << 63, ENOMEM);
    expect_no_block(NULL, PAGE, EINVAL);
    expect_no_block(MEMKIND_DEFAULT, PAGE, EINVAL);
    expect_no_block(MEMKIND_HBW, PAGE, EINVAL);
    expect_no_block(&fixed, PAGE, EINVAL);
    CHECK_EQ(memkind_fixed_mmap(&kind, NULL, PAGE), MAP_FAILED);
    CHECK_EQ(errno, EINVAL);

    /* Blocks and objects share the limit. */
    while (memkind_pmem_mmap(&kind, NULL, 64 * 1024) != MAP_FAILED)
        charged += 64 * 1024;
    CHECK_EQ(errno, ENOMEM);
    CHECK(charged > 30 * MIB && charged <= 32 * MIB);
    CHECK_NULL(memkind_malloc(&kind, 4 * MIB));
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_SUCCESS);
    expect_no_block(&kind, PAGE, EINVAL);
}

static void test_mmap_flags(void)
{
    int flags = -1;
    CHECK_EQ(memkind_pmem_get_mmap_flags(NULL, &flags), 0);
    CHECK_EQ(flags, MAP_SHARED);
    CHECK_EQ(memkind_pmem_get_mmap_flags(NULL, NULL), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_default_get_mmap_flags(MEMKIND_DEFAULT, &flags), 0);
    CHECK_EQ(flags, MAP_PRIVATE | MAP_ANONYMOUS);
    CHECK_EQ(memkind_default_get_mmap_flags(MEMKIND_DEFAULT, NULL),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_posix_check_alignment(NULL, 8), 0);
    CHECK_EQ(memkind_posix_check_alignment(NULL, (size_t)1 << 63), 0);
    CHECK_EQ(memkind_posix_check_alignment(NULL, 4), EINVAL);
    CHECK_EQ(memkind_posix_check_alignment(NULL, 0), EINVAL);
    CHECK_EQ(memkind_posix_check_alignment(NULL, 24), EINVAL);
}

/* ---- persistence ------------------------------------------------------- */

static void test_persist(void)
{
    struct memkind kind = {0}, other = {0};
    int on_stack = 0;
    REQUIRE_EQ(create_in_dir(&kind, &MEMKIND_PMEM_OPS, 32 * MIB, "one"),
               MEMKIND_SUCCESS);
    REQUIRE_EQ(create_in_dir(&other, &MEMKIND_PMEM_OPS, 32 * MIB, "other"),
               MEMKIND_SUCCESS);
    for (size_t size = 1; size <= 4 * MIB; size *= 3) {
        char *object = memkind_malloc(&kind, size);
        memset(object, 1, size);
        CHECK_EQ(memkind_pmem_persist(&kind, object, size), MEMKIND_SUCCESS);
        CHECK_EQ(memkind_pmem_persist(&kind, object + size / 2, 1),
                 MEMKIND_SUCCESS);
        CHECK_EQ(memkind_pmem_persist(&kind, object, 0), MEMKIND_SUCCESS);
        CHECK_EQ(memkind_pmem_persist(&other, object, size),
                 MEMKIND_ERROR_INVALID);
        CHECK_EQ(memkind_pmem_persist(&kind, object, SIZE_MAX),
                 MEMKIND_ERROR_INVALID);
        CHECK_EQ(memkind_pmem_persist(&kind, object, (size_t)1 << 46),
                 MEMKIND_ERROR_INVALID);
        memkind_free(&kind, object);
    }
    void *dram = memkind_malloc(MEMKIND_DEFAULT, 100);
    CHECK_EQ(memkind_pmem_persist(&kind, dram, 100), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_persist(MEMKIND_DEFAULT, dram, 100),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_persist(&kind, &on_stack, 1), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_persist(&kind, NULL, 1), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_persist(NULL, dram, 1), MEMKIND_ERROR_INVALID);
    memkind_free(MEMKIND_DEFAULT, dram);
    CHECK_EQ(memkind_pmem_is_pmem(&kind),
             memkind_pmem_validate_dir(test_dir()) == MEMKIND_SUCCESS);
    CHECK(!memkind_pmem_is_pmem(MEMKIND_DEFAULT));
    CHECK(!memkind_pmem_is_pmem(NULL));
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_pmem_destroy(&other), MEMKIND_SUCCESS);
    CHECK(!memkind_pmem_is_pmem(&kind));
    CHECK_EQ(memkind_pmem_validate_dir(NULL), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_validate_dir("/nowhere"), MEMKIND_ERROR_RUNTIME);
}

/* ---- arenas ------------------------------------------------------------ */

#define THREADS 6
static pthread_barrier_t barrier;
static struct memkind *shared_kind;
static int (*get_arena)(struct memkind *, unsigned *, size_t);

static void *ask_for_arena(void *answer)
{
    memkind_free(shared_kind, memkind_malloc(shared_kind, 100));
    pthread_barrier_wait(&barrier);
    if (get_arena(shared_kind, answer, 100) != MEMKIND_SUCCESS)
        *(unsigned *)answer = 0;
    pthread_barrier_wait(&barrier);
    return NULL;
}

static size_t count_arenas(struct memkind_ops *ops)
{
    struct memkind kind = {0};
    pthread_t threads[THREADS];
    unsigned arenas[THREADS];
    size_t different = 0;
    REQUIRE_EQ(create_in_dir(&kind, ops, 4096 * MIB, "arenas"),
               MEMKIND_SUCCESS);
    shared_kind = &kind;
    get_arena = ops->get_arena;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, ask_for_arena, &arenas[i]),
                   0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    for (int i = 0; i < THREADS; i++) {
        bool seen = false;
        CHECK_NE(arenas[i], 0);
        for (int j = 0; j < i; j++)
            seen = seen || arenas[j] == arenas[i];
        different += !seen;
    }
    unsigned arena;
    CHECK_EQ(get_arena(NULL, &arena, 0), MEMKIND_ERROR_INVALID);
    CHECK_EQ(get_arena(&kind, NULL, 0), MEMKIND_ERROR_INVALID);
    CHECK_EQ(get_arena(MEMKIND_HBW, &arena, 0), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_SUCCESS);
    CHECK_EQ(get_arena(&kind, &arena, 0), MEMKIND_ERROR_INVALID);
    return different;
}

static void test_arenas_of_threads(void)
{
    struct memkind_ops ops = MEMKIND_PMEM_OPS;
    size_t cpus = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    CHECK_EQ(count_arenas(&ops), 4 * cpus < THREADS ? 4 * cpus : THREADS);
    ops.get_arena = memkind_bijective_get_arena;
    CHECK_EQ(count_arenas(&ops), 1);
}

static void test_policies(void)
{
    struct memkind kind = {0};
    REQUIRE_EQ(create_in_dir(&kind, &MEMKIND_PMEM_OPS, 0, "policies"),
               MEMKIND_SUCCESS);
    for (int policy = -2; policy < 5; policy++)
        CHECK_EQ(memkind_arena_update_memory_usage_policy(
                     &kind, (memkind_mem_usage_policy)policy),
                 policy == 0 || policy == 1 ? MEMKIND_SUCCESS
                                            : MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_arena_update_memory_usage_policy(NULL, 0),
             MEMKIND_ERROR_INVALID);
    CHECK(works(&kind));
    CHECK_EQ(memkind_pmem_destroy(&kind), MEMKIND_SUCCESS);
}

/* ---- fixed ------------------------------------------------------------- */

static void test_a_fixed_kind(void)
{
    struct memkind kind = {0};
    char *buffer = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct memkind_fixed_source source = {buffer, 8 * MIB};
    const struct memkind_fixed_source bad = {buffer, 100};
    CHECK_EQ(memkind_fixed_set_source(NULL, &source), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_fixed_set_source(&kind, NULL), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_fixed_create(&kind, &MEMKIND_FIXED_OPS, "fixed"),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_fixed_set_source(&kind, &bad), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_fixed_create(&kind, &MEMKIND_FIXED_OPS, "fixed"),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_fixed_set_source(&kind, &source), MEMKIND_SUCCESS);
    REQUIRE_EQ(memkind_fixed_create(&kind, &MEMKIND_FIXED_OPS, "fixed"),
               MEMKIND_SUCCESS);
    CHECK(works(&kind));
    expect_no_block(&kind, PAGE, EINVAL);
    CHECK(!memkind_pmem_is_pmem(&kind));
    CHECK_EQ(memkind_pmem_persist(&kind, buffer, 1), MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_fixed_destroy(&kind), MEMKIND_SUCCESS);
    CHECK_EQ(memkind_fixed_destroy(&kind), MEMKIND_ERROR_INVALID);
    buffer[0] = 1;
    CHECK_EQ(munmap(buffer, 8 * MIB), 0);
}

static const struct test_case tests[] = {
    {"a kind in a directory", test_a_kind_in_a_directory},
    {"a kind in a file", test_a_kind_in_a_file},
    {"files that will not do", test_files_that_will_not_do},
    {"sources that will not do", test_sources_that_will_not_do},
    {"incomplete operations", test_incomplete_operations},
    {"names", test_names},
    {"own heap operations", test_own_heap_operations},
    {"one own operation", test_one_own_operation},
    {"copied operations", test_copied_operations},
    {"own mmap in the files", test_own_mmap_in_the_files},
    {"an area by mmap", test_an_area_by_mmap},
    {"no kind is made or destroyed inside", test_no_kinds_inside},
    {"only what is needed", test_only_what_is_needed},
    {"advice for each block", test_advice_for_each_block},
    {"own extent hooks", test_own_extent_hooks},
    {"blocks of the files", test_blocks_of_the_files},
    {"mmap flags", test_mmap_flags},
    {"persist", test_persist},
    {"arenas of threads", test_arenas_of_threads},
    {"policies", test_policies},
    {"a fixed kind", test_a_fixed_kind},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("internal kinds", tests, argc, argv);
}
