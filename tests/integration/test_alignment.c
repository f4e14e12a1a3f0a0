/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects lie as they were asked to, also if they come out of magazines that
 * hold objects of other alignments. */
#include <memkind.h>
#include <stdint.h>
#include <stdlib.h>

#include "test_support.h"

static void test_every_alignment(void)
{
    enum { HELD = 64 };
    memkind_t kind;
    void *held[HELD] = {NULL};
    size_t tries = 0, wrong = 0;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    for (size_t alignment = sizeof(void *); alignment <= 4 * MIB;
         alignment *= 2) {
        for (size_t size = 1; size <= 2 * MIB; size += 1 + size / 7) {
            void *ptr = NULL;
            if (memkind_posix_memalign(kind, &ptr, alignment, size) != 0)
                ptr = NULL;
            wrong += ptr == NULL || (uintptr_t)ptr % alignment != 0 ||
                     memkind_malloc_usable_size(kind, ptr) < size;
            memkind_free(kind, held[tries % HELD]);
            held[tries++ % HELD] = ptr;
            /* An object of this class without an alignment. */
            ptr = memkind_malloc(kind, size);
            memkind_free(kind, held[tries % HELD]);
            held[tries++ % HELD] = ptr;
        }
    }
    CHECK_EQ(wrong, 0);
    CHECK_GT(tries, 1000);
    for (int i = 0; i < HELD; i++)
        memkind_free(kind, held[i]);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static const struct test_case tests[] = {
    {"every alignment", test_every_alignment},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("alignment", tests, argc, argv);
}
