/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions in forked children: what system calls a child makes, and what becomes
 * of a region when one fails. With PMEM_IS_PMEM_FORCE=1 (the test's second run)
 * file space is taken in grains.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "address_table.h"
#include "jemalloc_ctl.h"
#include "layer_test.h"
#include "region_pool.h"
#include "sys_calls.h"
#include "test_child.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED
#define EMBEDDED true
#else
#define EMBEDDED false
#endif

#define BLOCK (4 * MIB)
#define PAGE region_page_size()

static int owner;
static struct memkind_region_pool pool;
static struct sys_calls real;
static char *block; /* of BLOCK bytes; every other 64 KiB committed */

/* ---- the order of handlers --------------------------------------------- */

typedef void handler(void);
extern int __register_atfork(handler *prepare, handler *parent, handler *child,
                             void *dso);
int pthread_atfork(handler *prepare, handler *parent, handler *child);

enum { HANDLERS_MAX = 8 };
static handler *prepares[HANDLERS_MAX], *parents[HANDLERS_MAX];
static size_t handler_count;

/* The library and its jemalloc come here in place of libc's. */
int pthread_atfork(handler *prepare, handler *parent, handler *child)
{
    if (handler_count < HANDLERS_MAX) {
        prepares[handler_count] = prepare;
        parents[handler_count] = parent;
    }
    handler_count++;
    return __register_atfork(prepare, parent, child, NULL);
}

static void open_dir(void)
{
    REQUIRE_EQ(region_pool_open_files(&pool, test_dir(), 64 * MIB, &owner), 0);
}

static bool is_held(struct ranked_lock *lock)
{
    if (pthread_mutex_trylock(&lock->mutex) != 0)
        return true;
    pthread_mutex_unlock(&lock->mutex);
    return false;
}

static void *add_and_remove(void *done)
{
    static char range[1 << 16];
    if (address_table_add(range, sizeof range, &owner) == 0)
        address_table_remove(range, sizeof range);
    atomic_store((atomic_bool *)done, true);
    return NULL;
}

/* The handler that is registered first prepares last. */
static void test_handlers_are_in_order(void)
{
    if (!EMBEDDED) /* whose jemalloc has its handlers elsewhere */
        return;
    REQUIRE_EQ(handler_count, 3);
    open_dir();
    /* The first handlers are those of the regions. */
    pthread_t writer;
    static atomic_bool done;
    prepares[0]();
    CHECK(is_held(&pool.lock));
    if (pool.regions[0].grain_live != NULL)
        CHECK(is_held(&pool.regions[0].grain_lock));
    REQUIRE_EQ(pthread_create(&writer, NULL, add_and_remove, &done), 0);
    usleep(20000); /* in which it does not get far */
    CHECK(!atomic_load(&done));
    parents[0]();
    pthread_join(writer, NULL);
    CHECK(!is_held(&pool.lock));
    /* The last handlers are those above jemalloc, which is usable in
     * between. */
    prepares[2]();
    CHECK(!is_held(&pool.lock));
    CHECK_EQ(je_stats_refresh(), 0);
    parents[2]();
    /* jemalloc's handlers are in the middle: region locks are free while it
     * holds its own. */
    prepares[1]();
    CHECK(!is_held(&pool.lock));
    parents[1]();
    CHECK_EQ(je_stats_refresh(), 0);
    region_pool_close(&pool);
}

/* ---- children ---------------------------------------------------------- */

static int calls_of_files; /* by which a child could damage its parent */

static int counting_fallocate(int fd, int mode, off_t offset, off_t len)
{
    calls_of_files++;
    return real.fallocate(fd, mode, offset, len);
}

static int counting_ftruncate(int fd, off_t length)
{
    calls_of_files++;
    return real.ftruncate(fd, length);
}

static ssize_t counting_pwrite(int fd, const void *buf, size_t count,
                               off_t offset)
{
    calls_of_files++;
    return real.pwrite(fd, buf, count, offset);
}

static bool at_piece(size_t offset)
{
    return offset / (64 * KIB) % 2 == 0;
}

static void fill_block(void)
{
    bool commit = false, zeroed = false;
    block = region_pool_alloc(&pool, BLOCK, PAGE, &commit, &zeroed);
    REQUIRE_NOT_NULL(block);
    for (size_t at = 0; at < BLOCK; at += 64 * KIB) {
        REQUIRE_EQ(region_pool_commit(&pool, block + at, 64 * KIB), 0);
        test_fill(block + at, 64 * KIB, (unsigned)(at >> 16));
    }
    for (size_t at = 0; at < BLOCK; at += 64 * KIB)
        if (!at_piece(at))
            CHECK_EQ(region_pool_decommit(&pool, block + at, 64 * KIB), 0);
}

static bool block_is_right(void)
{
    for (size_t at = 0; at < BLOCK; at += 64 * KIB)
        if (at_piece(at) &&
            !test_check(block + at, 64 * KIB, (unsigned)(at >> 16)))
            return false;
    return true;
}

static void begin(enum region_fork_policy policy)
{
    real = sys;
    sys.fallocate = counting_fallocate;
    sys.ftruncate = counting_ftruncate;
    sys.pwrite = counting_pwrite;
    open_dir();
    region_pool_set_fork_policy(&pool, policy);
    fill_block();
}

/* The parent's pool has what it had, and works. */
static void end(size_t charged)
{
    sys = real;
    CHECK(block_is_right());
    CHECK_EQ(region_pool_charged(&pool), charged);
    for (size_t at = 0; at < BLOCK; at += 64 * KIB) {
        if (at_piece(at))
            continue;
        CHECK_EQ(region_pool_commit(&pool, block + at, 64 * KIB), 0);
        CHECK(is_zero(block + at, 64 * KIB));
    }
    CHECK(block_is_right());
    region_pool_close(&pool);
}

static int child_uses_no_file(void)
{
    size_t charged = region_pool_charged(&pool);
    calls_of_files = 0;
    NEED(!region_pool_is_lost(&pool));
    NEED(block_is_right());
    NEED(pool.regions[0].fd == -1);
    for (size_t at = 0; at < BLOCK; at += 64 * KIB) {
        if (at_piece(at)) {
            memset(block + at, 0xaa, 64 * KIB);
            NEED(region_pool_decommit(&pool, block + at, 64 * KIB) == 0);
        }
        NEED(region_pool_commit(&pool, block + at, 64 * KIB) == 0);
        NEED(is_zero(block + at, 64 * KIB));
        memset(block + at, 0xbb, 64 * KIB);
    }
    NEED(region_pool_charged(&pool) >= charged);
    bool commit = true, zeroed = false;
    char *more = region_pool_alloc(&pool, BLOCK, PAGE, &commit, &zeroed);
    NEED(more != NULL && commit && zeroed);
    NEED(is_zero(more, BLOCK));
    memset(more, 0xcc, BLOCK);
    NEED(region_pool_decommit(&pool, more, BLOCK) == 0);
    NEED(region_pool_decommit(&pool, block, BLOCK) == 0);
    NEED(region_pool_charged(&pool) == 0);
    region_pool_close(&pool);
    NEED(calls_of_files == 0);
    NEED(address_table_find(block) == NULL);
    return 0;
}

static void test_a_child_uses_no_file(void)
{
    static const enum region_fork_policy policies[] = {REGION_FORK_PRIVATE,
                                                       REGION_FORK_COPY};
    for (int i = 0; i < 2; i++) {
        begin(policies[i]);
        size_t charged = region_pool_charged(&pool);
        CHECK_EQ(child_run(child_uses_no_file), 0);
        end(charged);
    }
}

/* Space that a grain has kept, and that the parent has used since. */
static int from_parent[2];

static int child_sees_zeroes(void)
{
    char byte;
    NEED(read(from_parent[0], &byte, 1) == 1);
    for (size_t at = 0; at < BLOCK; at += 64 * KIB) {
        if (at_piece(at))
            continue;
        NEED(region_pool_commit(&pool, block + at, 64 * KIB) == 0);
        NEED(is_zero(block + at, 64 * KIB));
    }
    return 0;
}

static void test_what_a_child_commits_is_zero(void)
{
    begin(REGION_FORK_PRIVATE);
    sys = real;
    REQUIRE_EQ(pipe(from_parent), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(300);
        _exit(child_sees_zeroes());
    }
    for (size_t at = 0; at < BLOCK; at += 64 * KIB) {
        if (at_piece(at))
            continue;
        CHECK_EQ(region_pool_commit(&pool, block + at, 64 * KIB), 0);
        memset(block + at, 0x99, 64 * KIB);
    }
    CHECK_EQ(write(from_parent[1], "", 1), 1);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    close(from_parent[0]);
    close(from_parent[1]);
    region_pool_close(&pool);
}

static int child_closes(void)
{
    region_pool_close(&pool);
    return 0;
}

static int child_opens_and_descends(void)
{
    static struct memkind_region_pool second;
    NEED(region_pool_open_files(&second, test_dir(), 0, &owner) == 0);
    bool commit = true, zeroed = false;
    char *own = region_pool_alloc(&second, MIB, PAGE, &commit, &zeroed);
    NEED(own != NULL);
    test_fill(own, MIB, 5);
    memset(block, 0x11, 64 * KIB);
    NEED(child_run(child_closes) == 0);
    NEED(test_check(own, MIB, 5));
    NEED(((unsigned char *)block)[0] == 0x11);
    region_pool_close(&second);
    return 0;
}

static void test_grandchildren(void)
{
    begin(REGION_FORK_PRIVATE);
    size_t charged = region_pool_charged(&pool);
    CHECK_EQ(child_run(child_opens_and_descends), 0);
    end(charged);
}

/* ---- calls that fail --------------------------------------------------- */

static unsigned failing; /* bits: which calls of a kind fail */

enum { PRIVATE_FILE = 1, ANONYMOUS = 2, NONE = 4, READABLE = 8 };

static void *failing_mmap(void *addr, size_t len, int prot, int flags, int fd,
                          off_t offset)
{
    unsigned which = 0;
    if ((flags & MAP_FIXED) == 0)
        return real.mmap(addr, len, prot, flags, fd, offset);
    if (prot == PROT_NONE)
        which = NONE;
    else if (prot == PROT_READ)
        which = READABLE;
    else
        which = fd >= 0 ? PRIVATE_FILE : ANONYMOUS;
    if (failing & which) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return real.mmap(addr, len, prot, flags, fd, offset);
}

static int child_has_lost_it(void)
{
    bool commit = false, zeroed = false;
    NEED(region_pool_is_lost(&pool));
    NEED(pool.regions[0].fd == -1);
    errno = 0;
    NEED(region_pool_alloc(&pool, PAGE, PAGE, &commit, &zeroed) == NULL);
    NEED(errno == ENOMEM);
    NEED(region_pool_commit(&pool, block + 64 * KIB, PAGE) == -ENOMEM);
    NEED(region_pool_decommit(&pool, block, PAGE) < 0);
    NEED(region_pool_persist(&pool, block, 1) == -EOPNOTSUPP);
    NEED(address_table_find(block) == &owner);
    return 0;
}

static int child_has_lost_but_reads(void)
{
    NEED(block_is_right());
    return child_has_lost_it();
}

static int child_reads(void)
{
    signal(SIGSEGV, SIG_DFL);
    return ((volatile unsigned char *)block)[0] == 0xfe;
}

static int child_stores(void)
{
    signal(SIGSEGV, SIG_DFL);
    ((volatile unsigned char *)block)[0] = 0xfe;
    return 0;
}

static void lost_with(enum region_fork_policy policy, unsigned calls,
                      bool readable)
{
    begin(policy);
    sys.mmap = failing_mmap;
    size_t charged = region_pool_charged(&pool);
    failing = calls;
    CHECK_EQ(child_run(readable ? child_has_lost_but_reads : child_has_lost_it),
             0);
    CHECK_EQ(child_run(child_reads), readable ? 0 : CHILD_KILLED + SIGSEGV);
    CHECK_EQ(child_run(child_stores), CHILD_KILLED + SIGSEGV);
    failing = 0;
    end(charged);
}

static void test_mappings_that_fail(void)
{
    lost_with(REGION_FORK_UNAVAILABLE, 0, false);
    lost_with(REGION_FORK_UNAVAILABLE, NONE, false);
    lost_with(REGION_FORK_PRIVATE, PRIVATE_FILE, true);
    lost_with(REGION_FORK_PRIVATE, PRIVATE_FILE | READABLE, false);
    lost_with(REGION_FORK_PRIVATE, PRIVATE_FILE | READABLE | NONE, false);
    lost_with(REGION_FORK_PRIVATE, ANONYMOUS | NONE | READABLE, false);
}

/* If memory is not overcommitted, addresses alone cost nothing. */
static int child_fails_later(void)
{
    bool commit = false, zeroed = false;
    NEED(!region_pool_is_lost(&pool));
    NEED(block_is_right());
    NEED(region_pool_commit(&pool, block + 64 * KIB, PAGE) == -ENOMEM);
    NEED(block_is_right());
    char *more = region_pool_alloc(&pool, PAGE, PAGE, &commit, &zeroed);
    NEED(more != NULL && !commit);
    NEED(region_pool_commit(&pool, more, PAGE) == 0);
    memset(more, 1, PAGE);
    failing = 0;
    NEED(region_pool_commit(&pool, block + 64 * KIB, PAGE) == 0);
    NEED(region_pool_decommit(&pool, block, 64 * KIB) == 0);
    return 0;
}

static void test_unused_addresses_cost_nothing(void)
{
    begin(REGION_FORK_PRIVATE);
    sys.mmap = failing_mmap;
    size_t charged = region_pool_charged(&pool);
    failing = ANONYMOUS;
    CHECK_EQ(child_run(child_fails_later), 0);
    failing = 0;
    end(charged);
}

static ssize_t failing_pread(int fd, void *buf, size_t count, off_t offset)
{
    (void)fd, (void)buf, (void)count, (void)offset;
    errno = EIO;
    return -1;
}

static ssize_t slow_pread(int fd, void *buf, size_t count, off_t offset)
{
    static int calls;
    if (calls++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return real.pread(fd, buf, count > 5000 ? 5000 : count, offset);
}

static off_t no_holes_lseek(int fd, off_t offset, int whence)
{
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        errno = EINVAL;
        return -1;
    }
    return real.lseek(fd, offset, whence);
}

static void *failing_mremap(void *addr, size_t len, size_t new_len, int flags,
                            void *new_addr)
{
    (void)addr, (void)len, (void)new_len, (void)flags, (void)new_addr;
    errno = ENOMEM;
    return MAP_FAILED;
}

static void *no_copy_mmap(void *addr, size_t len, int prot, int flags, int fd,
                          off_t offset)
{
    if ((flags & MAP_FIXED) == 0 && len == pool.regions[0].used) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return real.mmap(addr, len, prot, flags, fd, offset);
}

static void test_copies_that_fail(void)
{
    for (int i = 0; i < 5; i++) {
        begin(REGION_FORK_COPY);
        struct test_resources before;
        size_t charged = region_pool_charged(&pool);
        layer_resources_take(&before);
        if (i == 0)
            sys.pread = failing_pread;
        if (i == 1)
            sys.mremap = failing_mremap;
        if (i == 2)
            sys.mmap = no_copy_mmap;
        if (i == 3)
            sys.pread = slow_pread;
        if (i == 4)
            sys.lseek = no_holes_lseek;
        CHECK_EQ(
            child_run(i < 3 ? child_has_lost_but_reads : child_uses_no_file),
            0);
        CHECK(nothing_leaked(&before));
        end(charged);
    }
}

/* ---- other pools ------------------------------------------------------- */

static int child_finds_its_own(void)
{
    bool commit = true, zeroed = false;
    NEED(!region_pool_is_lost(&pool));
    NEED(test_check(block, PAGE, 9));
    test_fill(block, PAGE, 10);
    NEED(region_pool_alloc(&pool, PAGE, PAGE, &commit, &zeroed) != NULL);
    region_pool_close(&pool);
    return 0;
}

static void test_memory_and_buffers_are_as_fork_leaves_them(void)
{
    static char buffer[256 << 10];
    for (int i = 0; i < 2; i++) {
        bool commit = true, zeroed = false;
        if (i == 0)
            REQUIRE_EQ(region_pool_open_memory(&pool, &owner), 0);
        if (i == 1)
            REQUIRE_EQ(
                region_pool_open_buffer(&pool, buffer, sizeof buffer, &owner),
                0);
        block = region_pool_alloc(&pool, PAGE, PAGE, &commit, &zeroed);
        REQUIRE_NOT_NULL(block);
        test_fill(block, PAGE, 9);
        CHECK_EQ(child_run(child_finds_its_own), 0);
        CHECK(test_check(block, PAGE, 9));
        region_pool_close(&pool);
    }
}

/* A fork() that fails leaves nothing behind either. */
static void test_a_fork_that_fails(void)
{
    begin(REGION_FORK_COPY);
    struct test_resources before;
    size_t charged = region_pool_charged(&pool);
    layer_resources_take(&before);
    prepares[0]();
    CHECK_NOT_NULL(pool.regions[0].copy);
    parents[0]();
    CHECK(nothing_leaked(&before));
    end(charged);
}

static const struct test_case tests[] = {
    {"handlers are in order", test_handlers_are_in_order},
    {"a child uses no file", test_a_child_uses_no_file},
    {"what a child commits is zero", test_what_a_child_commits_is_zero},
    {"grandchildren", test_grandchildren},
    {"mappings that fail", test_mappings_that_fail},
    {"unused addresses cost nothing", test_unused_addresses_cost_nothing},
    {"copies that fail", test_copies_that_fail},
    {"memory and buffers are as fork leaves them",
     test_memory_and_buffers_are_as_fork_leaves_them},
    {"a fork that fails", test_a_fork_that_fails},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("region_fork", tests, argc, argv);
}
