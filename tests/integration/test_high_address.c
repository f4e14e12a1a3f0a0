/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wherever in its address space a process has its memory, kinds can be made
 * there: by mmap() as it comes (48 bits on arm64), and by areas of the
 * program's own that lie as high as the system allows (52 bits on arm64, 56 on
 * x86-64 with five levels of page tables).
 */
#include <errno.h>
#include <memkind.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "test_support.h"

static unsigned bits_of(const void *address)
{
    return 64U - (unsigned)__builtin_clzl((unsigned long)(uintptr_t)address);
}

static void check_kind(memkind_t kind)
{
    enum { COUNT = 20 };
    unsigned char *objects[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        size_t size = (size_t)64 << i % 10;
        objects[i] = memkind_malloc(kind, size);
        REQUIRE_NOT_NULL(objects[i]);
        CHECK_EQ(memkind_detect_kind(objects[i]), kind);
        CHECK_GE(memkind_malloc_usable_size(NULL, objects[i]), size);
        test_fill(objects[i], size, i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(test_check(objects[i], (size_t)64 << i % 10, i));
        if (i % 3 == 0)
            objects[i] = memkind_realloc(NULL, objects[i], 100000);
        memkind_free(i % 2 == 0 ? kind : NULL, objects[i]);
    }
}

static void test_where_mmap_begins(void)
{
    memkind_t kind = NULL;
    void *place = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE_NE(place, MAP_FAILED);
    printf("[%p: %u bits] ", place, bits_of(place));
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), 0);
    check_kind(kind);
    CHECK_EQ(memkind_destroy_kind(kind), 0);
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 32 * MIB, &kind), 0);
    check_kind(kind);
    CHECK_EQ(memkind_destroy_kind(kind), 0);
    REQUIRE_EQ(memkind_create_fixed(place, MIB, &kind), 0);
    check_kind(kind);
    CHECK_EQ(memkind_destroy_kind(kind), 0);
    check_kind(MEMKIND_DEFAULT);
    CHECK_EQ(munmap(place, MIB), 0);
}

/* An area that ends at the last address of so many bits; false if there is
 * none. */
static bool check_area(unsigned bits)
{
    const size_t size = 8 * MIB;
    memkind_t kind = NULL;
    char *wanted = (char *)(((uintptr_t)1 << bits) - GIB);
    char *area = mmap(wanted, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE_NE(area, MAP_FAILED);
    bool had = area == wanted;
    if (had) {
        REQUIRE_EQ(memkind_create_fixed(area, size, &kind), 0);
        check_kind(kind);
        CHECK_NULL(memkind_detect_kind(area - 1));
        CHECK_NULL(memkind_detect_kind(area + size));
        CHECK_EQ(memkind_destroy_kind(kind), 0);
        CHECK_NULL(memkind_detect_kind(area));
    }
    CHECK_EQ(munmap(area, size), 0);
    return had;
}

static void test_areas_at_every_height(void)
{
    unsigned checked = 0;
    for (unsigned bits = 36; bits < 64; bits++)
        if (check_area(bits)) {
            printf("[%u] ", bits);
            checked++;
        }
    CHECK_GT(checked, 0);
}

/* DRAM kinds have memory anywhere. */
static bool is_found(uintptr_t address)
{
    memkind_t kind = memkind_detect_kind((void *)address);
    return kind != NULL && kind != MEMKIND_DEFAULT;
}

/* Anything may be asked about. */
static void test_no_such_addresses(void)
{
    unsigned found = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        uintptr_t address = (uintptr_t)1 << bit;
        found += is_found(address);
        found += is_found(address - 1);
        found += is_found(~address);
        found += is_found(0 - address);
    }
    CHECK_EQ(found, 0);
}

static const struct test_case tests[] = {
    {"where mmap begins", test_where_mmap_begins},
    {"areas at every height", test_areas_at_every_height},
    {"no such addresses", test_no_such_addresses},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("high addresses", tests, argc, argv);
}
