/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kind with a table of operations of its own: the table of the file-backed
 * kinds with another `mmap` operation, which counts the blocks of file space
 * that the kind takes. Also makes a range of an object durable.
 *
 * Run: pmem_custom_kind [DIR]
 */
#include "example.h"
#include <memkind/internal/memkind_pmem.h>
#include <stdatomic.h>
#include <sys/mman.h>

/* Threads may need blocks at the same time. */
static atomic_size_t block_count;
static atomic_size_t block_bytes;

static void *counting_mmap(struct memkind *kind, void *addr, size_t size)
{
    void *block = memkind_pmem_mmap(kind, addr, size);
    if (block != MAP_FAILED) {
        atomic_fetch_add(&block_count, 1);
        atomic_fetch_add(&block_bytes, size);
    }
    return block;
}

struct record {
    unsigned long number;
    char text[48];
};

int main(int argc, char *argv[])
{
    static struct memkind kind;
    static struct memkind_ops ops;
    const struct memkind_pmem_source source = {
        .dir = example_dir(argc, argv),
        .fd = -1,
        .max_size = 32 * EXAMPLE_MIB,
    };
    int err = memkind_pmem_set_source(&kind, &source);
    example_expect_success(err);
    ops = MEMKIND_PMEM_OPS;
    ops.mmap = counting_mmap;
    err = ops.create(&kind, &ops, "counting");
    example_expect_success(err);
    printf("kind \"%s\" of 32 MiB in %s\n", kind.name, source.dir);

    const size_t size = 4 * EXAMPLE_MIB;
    void *large = memkind_malloc(&kind, size);
    example_expect(large != NULL, "memkind_malloc");
    example_fill(large, size, 1);
    struct record *record = memkind_calloc(&kind, 1, sizeof(*record));
    example_expect(record != NULL, "memkind_calloc");
    record->number = 42;
    (void)snprintf(record->text, sizeof(record->text), "a durable record");
    err = memkind_pmem_persist(&kind, record, sizeof(*record));
    example_expect_success(err);
    printf("a record of %zu bytes made durable\n", sizeof(*record));
    printf("memory is %s\n", memkind_pmem_is_pmem(&kind)
                                 ? "persistent, flushed from user space"
                                 : "not persistent memory, synced to the file");
    printf("the kind took %zu blocks of file space, %zu KiB in all\n",
           atomic_load(&block_count), atomic_load(&block_bytes) / EXAMPLE_KIB);

    struct record elsewhere = *record;
    int refused = memkind_pmem_persist(&kind, &elsewhere, sizeof(elsewhere));
    bool kept = example_verify(large, size, 1);
    bool found = memkind_detect_kind(record) == &kind;
    memkind_free(&kind, record);
    memkind_free(&kind, large);
    err = ops.destroy(&kind);
    example_expect_success(err);

    example_check(refused == MEMKIND_ERROR_INVALID,
                  "only the kind's memory can be persisted");
    example_check(kept && found, "the objects are usable and the kind's own");
    example_check(atomic_load(&block_count) > 0 &&
                      atomic_load(&block_bytes) >= size,
                  "blocks come from the mmap operation");
    return EXIT_SUCCESS;
}
