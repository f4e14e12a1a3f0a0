/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kinds of huge pages, on a machine that the tests make up: it has set aside as
 * many as they say, on two nodes, and the calls that have to do with huge pages
 * do what the kernel does. Each test is a process of its own.
 */
#include <errno.h>
#include <memkind.h>
#include <memkind/internal/memkind_default.h>
#include <memkind/internal/memkind_hugetlb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "huge_pages.h"
#include "region_pool.h"
#include "sys_calls.h"
#include "test_child.h"
#include "test_kinds.h"

#define PAGES_MOST 4096
#define NODES "/sys/devices/system/node/"
#define HUGE "hugepages/hugepages-2048kB/"
#define GLOBAL "/sys/kernel/mm/" HUGE
#define FD 12345

/* ---- the machine -------------------------------------------------------- */

static struct {
    unsigned total;    /* pages that are set aside */
    unsigned reserved; /* for mappings */
    unsigned taken;    /* pages that are there */
    unsigned on_node;  /* pages of the node that is asked for; total if 0 */
    unsigned maps;
    unsigned binds, late_binds; /* of memory that could be touched before */
    bool cannot_drop;
    int mbind_error;
} machine;

static struct {
    char *base;
    bool is_taken;
} pages[PAGES_MOST];
static unsigned page_count;

static const char *open_text;

static int fake_open(const char *path, int flags, mode_t mode)
{
    static char text[32];
    unsigned count = 0;
    (void)flags, (void)mode;
    if (strcmp(path, GLOBAL "nr_hugepages") == 0)
        count = machine.total;
    else if (strcmp(path, NODES "node1/" HUGE "nr_hugepages") == 0)
        count = machine.on_node;
    else if (strcmp(path, GLOBAL "nr_overcommit_hugepages") != 0 &&
             strcmp(path, NODES "node0/" HUGE "nr_hugepages") != 0)
        open_text = "0-1\n";
    if (strstr(path, "hugepages") != NULL) {
        snprintf(text, sizeof text, "%u\n", count);
        open_text = text;
    } else if (strstr(path, "initiators") != NULL ||
               strstr(path, "meminfo") != NULL ||
               strstr(path, "distance") != NULL) {
        errno = ENOENT;
        return -1;
    } else if (strncmp(path, NODES, strlen(NODES)) != 0) {
        return -1;
    }
    return FD;
}

static ssize_t fake_pread(int fd, void *buffer, size_t size, off_t offset)
{
    (void)fd, (void)offset;
    const size_t length = strlen(open_text);
    if (length > size)
        return -1;
    memcpy(buffer, open_text, length);
    return (ssize_t)length;
}

static int fake_close(int fd)
{
    return fd == FD ? 0 : close(fd);
}

/* Whether a locked process would have pages there. */
static bool can_be_touched(const void *addr)
{
    int ends[2];
    if (pipe(ends) != 0)
        abort();
    const bool can = write(ends[1], addr, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return can;
}

static int fake_mbind(void *addr, size_t len, int mode,
                      const unsigned long *nodes, unsigned long bits)
{
    (void)len, (void)mode, (void)nodes, (void)bits;
    machine.binds++;
    machine.late_binds += can_be_touched(addr);
    errno = machine.mbind_error;
    return machine.mbind_error == 0 ? 0 : -1;
}

static bool is_aligned(const void *addr, size_t size)
{
    return (uintptr_t)addr % HUGE_PAGE_SIZE == 0 && size % HUGE_PAGE_SIZE == 0;
}

/* The page at an address, or a new one. */
static unsigned page_at(char *addr)
{
    unsigned i = 0;
    while (i < page_count && pages[i].base != addr)
        i++;
    if (i == PAGES_MOST)
        abort();
    if (i == page_count)
        pages[page_count++].base = addr;
    return i;
}

static void *fake_mmap(void *addr, size_t size, int prot, int flags, int fd,
                       off_t offset)
{
    if ((flags & MAP_HUGETLB) == 0)
        return mmap(addr, size, prot, flags, fd, offset);
    if (addr != NULL || (flags & MAP_FIXED) != 0 || !is_aligned(addr, size))
        abort();
    machine.maps++;
    const unsigned count =
        (flags & MAP_NORESERVE) != 0 ? 0 : (unsigned)(size / HUGE_PAGE_SIZE);
    if (count > machine.total - machine.reserved) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    machine.reserved += count;
    char *room = mmap(NULL, size + HUGE_PAGE_SIZE, prot,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *start = room + (-(uintptr_t)room & (HUGE_PAGE_SIZE - 1));
    if (room == MAP_FAILED)
        return room;
    if (start != room)
        munmap(room, (size_t)(start - room));
    munmap(start + size, (size_t)(room + HUGE_PAGE_SIZE - start));
    return start;
}

/* What operations of a test's own have mapped, which nothing moves. */
static struct {
    char *base;
    size_t size;
} blocks[64];
static unsigned block_count;

static void *map_block(void *addr, size_t size, int prot, int flags, int fd,
                       off_t offset)
{
    /* As the kernel does. */
    if ((flags & MAP_HUGETLB) != 0)
        size = (size + HUGE_PAGE_SIZE - 1) & ~(HUGE_PAGE_SIZE - 1);
    void *block = fake_mmap(addr, size, prot, flags, fd, offset);
    if ((flags & MAP_HUGETLB) == 0 || block == MAP_FAILED)
        return block;
    if (block_count == sizeof blocks / sizeof blocks[0])
        abort();
    blocks[block_count].base = block;
    blocks[block_count++].size = size;
    return block;
}

static int unmap_block(void *addr, size_t size)
{
    unsigned i = 0;
    while (i < block_count && blocks[i].base != addr)
        i++;
    if (i == block_count)
        return munmap(addr, size);
    if (blocks[i].size != size) {
        errno = EINVAL;
        return -1;
    }
    machine.reserved -= (unsigned)(size / HUGE_PAGE_SIZE);
    blocks[i] = blocks[--block_count];
    return munmap(addr, size);
}

static int bind_block(struct memkind *kind, void *addr, size_t size)
{
    (void)kind;
    return is_aligned(addr, size) ? machine.mbind_error : EINVAL;
}

static bool is_huge(char *addr)
{
    for (unsigned i = 0; i < page_count; i++)
        if (pages[i].base == addr)
            return true;
    return false;
}

static int take(char *addr, size_t size)
{
    const unsigned most =
        machine.on_node != 0 ? machine.on_node : machine.total;
    for (size_t at = 0; at < size; at += HUGE_PAGE_SIZE) {
        const unsigned page = page_at(addr + at);
        if (pages[page].is_taken)
            continue;
        if (machine.taken == most) {
            errno = EFAULT;
            return -1;
        }
        pages[page].is_taken = true;
        machine.taken++;
    }
    return 0;
}

static int fake_madvise(void *addr, size_t size, int advice)
{
    char *from = addr;
    const bool populates = advice == 23; /* MADV_POPULATE_WRITE */
    if (populates && is_aligned(addr, size))
        return take(from, size);
    if (advice != MADV_DONTNEED || !is_huge(from))
        return madvise(addr, size, advice);
    if (machine.cannot_drop || !is_aligned(addr, size)) {
        errno = EINVAL;
        return -1;
    }
    for (size_t at = 0; at < size; at += HUGE_PAGE_SIZE) {
        const unsigned page = page_at(from + at);
        machine.taken -= pages[page].is_taken;
        pages[page].is_taken = false;
    }
    return madvise(addr, size, advice);
}

static void become(unsigned total)
{
    machine.total = total;
    sys.open = fake_open;
    sys.pread = fake_pread;
    sys.close = fake_close;
    sys.mmap = fake_mmap;
    sys.madvise = fake_madvise;
    sys.mbind = fake_mbind;
}

/* ---- with pages --------------------------------------------------------- */

/* Every byte of an object lies in a page that is there. */
static bool is_backed(const char *object, size_t size)
{
    const uintptr_t first = (uintptr_t)object / HUGE_PAGE_SIZE;
    const uintptr_t last = ((uintptr_t)object + size - 1) / HUGE_PAGE_SIZE;
    for (uintptr_t number = first; number <= last; number++) {
        bool found = false;
        for (unsigned i = 0; i < page_count; i++)
            found |= pages[i].is_taken &&
                     (uintptr_t)pages[i].base / HUGE_PAGE_SIZE == number;
        if (!found)
            return false;
    }
    return true;
}

static int use_pages(void)
{
    static const size_t sizes[] = {1,       100,         5000,    100 << 10,
                                   2 * MIB, 3 * MIB + 1, 20 * MIB};
    char *objects[sizeof sizes / sizeof sizes[0]];
    size_t resident = 0;
    become(64);
    NEED(memkind_check_available(MEMKIND_HUGETLB) == MEMKIND_SUCCESS);
    NEED(memkind_get_capacity(MEMKIND_HUGETLB) == 128 * MIB);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        objects[i] = memkind_calloc(MEMKIND_HUGETLB, 1, sizes[i]);
        NEED(objects[i] != NULL && is_backed(objects[i], sizes[i]));
        NEED(memkind_detect_kind(objects[i]) == MEMKIND_HUGETLB);
        memset(objects[i], 1, sizes[i]);
    }
    NEED(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    NEED(memkind_get_stat(MEMKIND_HUGETLB, MEMKIND_STAT_TYPE_RESIDENT,
                          &resident) == MEMKIND_SUCCESS);
    NEED(resident == machine.taken * HUGE_PAGE_SIZE);
    NEED(machine.taken >= 14 && machine.taken <= machine.reserved);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        memkind_free(MEMKIND_HUGETLB, objects[i]);
    NEED(memkind_purge_kind(MEMKIND_HUGETLB) == MEMKIND_SUCCESS);
    NEED(machine.taken <= 1);
    /* What was given back and is used again is zero. */
    char *again = memkind_malloc(MEMKIND_HUGETLB, 20 * MIB);
    NEED(again != NULL && is_backed(again, 20 * MIB));
    memkind_free(MEMKIND_HUGETLB, again);
    return 0;
}

/* Until there are no more; then those that come back can be had. */
static int use_up(void)
{
    char *objects[64];
    unsigned count = 0;
    become(16);
    while (count < 64 && (objects[count] = memkind_malloc(MEMKIND_HUGETLB,
                                                          1 * MIB)) != NULL) {
        NEED(is_backed(objects[count], MIB));
        memset(objects[count++], 1, MIB);
    }
    NEED(count >= 12 && count <= 32 && errno == ENOMEM);
    NEED(machine.reserved <= 16 && machine.taken <= 16);
    NEED(memkind_malloc(MEMKIND_HUGETLB, 64 * MIB) == NULL);
    char *small = memkind_malloc(MEMKIND_HUGETLB, 100);
    memkind_free(NULL, small);
    for (unsigned round = 0; round < 100; round++) {
        memkind_free(MEMKIND_HUGETLB, objects[round % count]);
        objects[round % count] = memkind_malloc(MEMKIND_HUGETLB, 1 * MIB);
        NEED(objects[round % count] != NULL);
        NEED(is_backed(objects[round % count], MIB));
    }
    for (unsigned i = 0; i < count; i++)
        memkind_free(MEMKIND_HUGETLB, objects[i]);
    return 0;
}

/* More can be set aside at any time. */
static int get_more(void)
{
    become(1);
    NEED(memkind_malloc(MEMKIND_HUGETLB, 8 * MIB) == NULL);
    machine.total = 64;
    char *object = memkind_malloc(MEMKIND_HUGETLB, 8 * MIB);
    NEED(object != NULL && is_backed(object, 8 * MIB));
    memkind_free(MEMKIND_HUGETLB, object);
    return 0;
}

/* A kernel that cannot give them back keeps them for the kind. */
static int keep_them(void)
{
    become(32);
    machine.cannot_drop = true;
    for (int round = 0; round < 10; round++) {
        char *object = memkind_calloc(MEMKIND_HUGETLB, 1, 20 * MIB);
        NEED(object != NULL && is_backed(object, 20 * MIB));
        for (size_t at = 0; at < 20 * MIB; at += 4096)
            NEED(object[at] == 0);
        memset(object, 1, 20 * MIB);
        memkind_free(MEMKIND_HUGETLB, object);
        (void)memkind_purge_kind(MEMKIND_HUGETLB);
    }
    return 0;
}

/* Operations of a program's own map and unmap whole pages. */
static int use_operations(void)
{
    struct memkind kind = {0};
    struct memkind_ops ops = kind_arena_operations();
    ops.get_mmap_flags = memkind_hugetlb_get_mmap_flags;
    ops.mbind = bind_block;
    become(64);
    sys.mmap = map_block;
    sys.munmap = unmap_block;
    NEED(ops.create(&kind, &ops, "own") == MEMKIND_SUCCESS);
    for (size_t size = 100; size < 8 * MIB; size = size * 5 / 2)
        NEED(memkind_malloc(&kind, size) != NULL);
    NEED(block_count != 0 && machine.reserved != 0);
    machine.mbind_error = EPERM;
    const unsigned reserved = machine.reserved;
    NEED(memkind_malloc(&kind, 16 * MIB) == NULL);
    NEED(memkind_default_mmap(&kind, NULL, 3 * MIB + 1) == MAP_FAILED);
    NEED(machine.reserved == reserved);
    NEED(memkind_destroy_kind(&kind) == MEMKIND_SUCCESS);
    NEED(block_count == 0 && machine.reserved == 0);
    return 0;
}

static void test_pages(void)
{
    CHECK_EQ(child_run(use_pages), 0);
    CHECK_EQ(child_run(use_up), 0);
    CHECK_EQ(child_run(get_more), 0);
    CHECK_EQ(child_run(keep_them), 0);
    CHECK_EQ(child_run(use_operations), 0);
}

/* ---- without ------------------------------------------------------------ */

static int find_none(void)
{
    become(0);
    NEED(memkind_check_available(MEMKIND_HUGETLB) == MEMKIND_ERROR_HUGETLB);
    NEED(strstr(memkind_last_error(), "vm.nr_hugepages") != NULL);
    errno = 0;
    NEED(memkind_malloc(MEMKIND_HUGETLB, 100) == NULL && errno == ENOMEM);
    NEED(memkind_get_capacity(MEMKIND_HUGETLB) == -1);
    NEED(machine.maps == 0);
    /* They may come later. */
    machine.total = 8;
    NEED(memkind_check_available(MEMKIND_HUGETLB) == MEMKIND_SUCCESS);
    void *object = memkind_malloc(MEMKIND_HUGETLB, 100);
    NEED(object != NULL);
    memkind_free(MEMKIND_HUGETLB, object);
    return 0;
}

/* What another thread has mapped where a kernel has unmapped something. */
static char *others[64];
static unsigned other_count;

/* Before Linux 5.16. */
static void *cannot_move(void *addr, size_t size, size_t new_size, int flags,
                         void *to)
{
    (void)addr, (void)size, (void)flags;
    munmap(to, new_size);
    if (other_count == sizeof others / sizeof others[0])
        abort();
    char *other =
        mmap(to, new_size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (other != to)
        abort();
    other[0] = 1;
    others[other_count++] = other;
    errno = EINVAL;
    return MAP_FAILED;
}

static int find_old_kernel(void)
{
    memkind_t kind = NULL;
    become(16);
    sys.mremap = cannot_move;
    for (unsigned round = 0; round < 4; round++)
        NEED(memkind_malloc(MEMKIND_HUGETLB, 100) == NULL && errno == ENOMEM);
    /* None of it has been unmapped, or can be. */
    for (unsigned i = 0; i < other_count; i++) {
        NEED(can_be_touched(others[i]) && others[i][0] == 1);
        for (unsigned j = 0; j < i; j++)
            NEED(others[i] != others[j]);
    }
    NEED(memkind_check_available(MEMKIND_HUGETLB) == MEMKIND_ERROR_HUGETLB);
    NEED(strstr(memkind_last_error(), "5.16") != NULL);
    NEED(memkind_create_kind(
             MEMKIND_MEMTYPE_DEFAULT, MEMKIND_POLICY_PREFERRED_LOCAL,
             MEMKIND_MASK_PAGE_SIZE_2MB, &kind) == MEMKIND_ERROR_HUGETLB);
    return 0;
}

static void test_no_pages(void)
{
    CHECK_EQ(child_run(find_none), 0);
    CHECK_EQ(child_run(find_old_kernel), 0);
}

/* ---- on nodes ----------------------------------------------------------- */

static int use_node(void)
{
    setenv("MEMKIND_HBW_NODES", "1", 1);
    become(32);
    NEED(memkind_check_available(MEMKIND_HBW) == MEMKIND_SUCCESS);
    NEED(memkind_check_available(MEMKIND_HBW_HUGETLB) == MEMKIND_ERROR_HUGETLB);
    NEED(memkind_check_available(MEMKIND_HBW_PREFERRED_HUGETLB) ==
         MEMKIND_SUCCESS);
    machine.on_node = 4;
    NEED(memkind_check_available(MEMKIND_HBW_HUGETLB) == MEMKIND_SUCCESS);
    NEED(memkind_get_capacity(MEMKIND_HBW_ALL_HUGETLB) == 8 * MIB);
    /* Those that are free on other nodes are of no use. */
    NEED(memkind_malloc(MEMKIND_HBW_HUGETLB, 10 * MIB) == NULL);
    NEED(machine.taken == 0);
    char *object = memkind_malloc(MEMKIND_HBW_HUGETLB, 4 * MIB);
    NEED(object != NULL && is_backed(object, 4 * MIB));
    memkind_free(MEMKIND_HBW_HUGETLB, object);
    NEED(machine.binds != 0 && machine.late_binds == 0);
    machine.mbind_error = EPERM;
    NEED(memkind_malloc(MEMKIND_HBW_ALL_HUGETLB, 100) == NULL);
    return 0;
}

static int make_kinds(void)
{
    memkind_t kind = NULL;
    setenv("MEMKIND_HBW_NODES", "1", 1);
    become(32);
    machine.on_node = 16;
    NEED(memkind_create_kind(
             MEMKIND_MEMTYPE_DEFAULT, MEMKIND_POLICY_PREFERRED_LOCAL,
             MEMKIND_MASK_PAGE_SIZE_2MB, &kind) == MEMKIND_SUCCESS);
    char *object = memkind_malloc(kind, 3 * MIB);
    NEED(object != NULL && is_backed(object, 3 * MIB));
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    NEED(memkind_create_kind(
             MEMKIND_MEMTYPE_HIGH_BANDWIDTH, MEMKIND_POLICY_BIND_ALL,
             MEMKIND_MASK_PAGE_SIZE_2MB, &kind) == MEMKIND_SUCCESS);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    machine.total = machine.on_node = 0;
    NEED(memkind_create_kind(
             MEMKIND_MEMTYPE_DEFAULT, MEMKIND_POLICY_PREFERRED_LOCAL,
             MEMKIND_MASK_PAGE_SIZE_2MB, &kind) == MEMKIND_ERROR_HUGETLB);
    NEED(kind == NULL);
    return 0;
}

static void test_nodes(void)
{
    CHECK_EQ(child_run(use_node), 0);
    CHECK_EQ(child_run(make_kinds), 0);
}

static const struct test_case tests[] = {
    {"pages", test_pages},
    {"no pages", test_no_pages},
    {"nodes", test_nodes},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("kinds of huge pages", tests, argc, argv);
}
