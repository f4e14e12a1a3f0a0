/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kind with a table of operations of its own: that of the file-backed kinds
 * with another `mmap` operation, which counts the blocks of file space that the
 * kind takes. Also makes a range of an object durable.
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

static int use_kind(struct memkind *kind)
{
    const size_t size = 4 * EXAMPLE_MIB;
    void *large = memkind_malloc(kind, size);
    if (large == NULL) {
        return example_fail_errno("memkind_malloc");
    }
    example_fill(large, size, 1);

    struct record *record = memkind_calloc(kind, 1, sizeof(*record));
    if (record == NULL) {
        memkind_free(kind, large);
        return example_fail_errno("memkind_calloc");
    }
    record->number = 42;
    (void)snprintf(record->text, sizeof(record->text), "a durable record");
    int err = memkind_pmem_persist(kind, record, sizeof(*record));
    struct record elsewhere = *record;
    int refused = memkind_pmem_persist(kind, &elsewhere, sizeof(elsewhere));
    bool kept = example_verify(large, size, 1);
    bool found = memkind_detect_kind(record) == kind;
    memkind_free(kind, record);
    memkind_free(kind, large);

    printf("memory is %s\n", memkind_pmem_is_pmem(kind)
                                 ? "persistent, flushed from user space"
                                 : "not persistent memory, synced to the file");
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_pmem_persist", err);
    }
    printf("a record of %zu bytes made durable\n", sizeof(*record));
    printf("the kind took %zu blocks of file space, %zu KiB in all\n",
           atomic_load(&block_count), atomic_load(&block_bytes) / EXAMPLE_KIB);

    if (refused != MEMKIND_ERROR_INVALID) {
        return example_fail_check("only the kind's memory can be persisted");
    }
    if (!kept || !found) {
        return example_fail_check("the objects are usable and the kind's own");
    }
    if (atomic_load(&block_count) == 0 || atomic_load(&block_bytes) < size) {
        return example_fail_check("blocks come from the mmap operation");
    }
    return EXIT_SUCCESS;
}

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
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_pmem_set_source", err);
    }
    ops = MEMKIND_PMEM_OPS;
    ops.mmap = counting_mmap;
    err = ops.create(&kind, &ops, "counting");
    if (err != MEMKIND_SUCCESS) {
        return example_fail("the create operation", err);
    }
    printf("kind \"%s\" of 32 MiB in %s\n", kind.name, source.dir);

    int status = use_kind(&kind);
    err = ops.destroy(&kind);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("the destroy operation", err);
    }
    return status;
}
