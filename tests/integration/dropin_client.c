/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Uses tiers, high-bandwidth memory and static kinds, by the headers of either
 * library: built with Debian's, it is run with this one.
 *
 *     program DIRECTORY
 */
#include <errno.h>
#include <hbwmalloc.h>
#include <memkind.h>
#include <memkind_memtier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 1000
#define SIZE 4096

#define NEED(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);            \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

/* ---- tiers -------------------------------------------------------------- */

static void use_tiers(memkind_t pmem)
{
    static void *objects[COUNT];
    struct memtier_builder *builder =
        memtier_builder_new(MEMTIER_POLICY_STATIC_RATIO);
    NEED(builder != NULL);
    NEED(memtier_builder_add_tier(builder, MEMKIND_DEFAULT, 1) == 0);
    NEED(memtier_builder_add_tier(builder, pmem, 3) == 0);
    struct memtier_memory *memory =
        memtier_builder_construct_memtier_memory(builder);
    NEED(memory != NULL);
    memtier_builder_delete(builder);
    for (int i = 0; i < COUNT; i++) {
        objects[i] = i % 3 == 0 ? memtier_calloc(memory, 1, SIZE)
                                : memtier_malloc(memory, SIZE);
        NEED(objects[i] != NULL && memtier_usable_size(objects[i]) >= SIZE);
        memset(objects[i], i, SIZE);
    }
    for (int i = 0; i < COUNT; i += 7) {
        objects[i] = memtier_realloc(memory, objects[i], 2 * SIZE);
        NEED(objects[i] != NULL && *(char *)objects[i] == (char)i);
    }
    const double near = (double)memtier_kind_allocated_size(MEMKIND_DEFAULT);
    const double far = (double)memtier_kind_allocated_size(pmem);
    printf("tiers: 1:%.3f\n", far / near);
    NEED(far / near > 2.9 && far / near < 3.1);
    void *aligned = NULL;
    NEED(memtier_posix_memalign(memory, &aligned, 4096, 100) == 0);
    NEED((size_t)aligned % 4096 == 0);
    memtier_free(aligned);
    for (int i = 0; i < COUNT; i++)
        memtier_free(objects[i]);
    void *object = memtier_kind_malloc(pmem, 100);
    NEED(memkind_detect_kind(object) == pmem);
    memtier_kind_free(pmem, object);
    memtier_delete_memtier_memory(memory);
}

static void use_thresholds(memkind_t pmem)
{
    struct memtier_builder *builder =
        memtier_builder_new(MEMTIER_POLICY_DYNAMIC_THRESHOLD);
    NEED(builder != NULL);
    NEED(memtier_builder_add_tier(builder, MEMKIND_DEFAULT, 1) == 0);
    NEED(memtier_builder_add_tier(builder, pmem, 1) == 0);
    NEED(memtier_ctl_set(builder, "policy.dynamic_threshold.check_cnt", "5") ==
         0);
    struct memtier_memory *memory =
        memtier_builder_construct_memtier_memory(builder);
    NEED(memory != NULL);
    memtier_builder_delete(builder);
    void *small = memtier_malloc(memory, 16);
    void *large = memtier_malloc(memory, 100000);
    NEED(memkind_detect_kind(small) == MEMKIND_DEFAULT);
    NEED(memkind_detect_kind(large) == pmem);
    memtier_free(small);
    memtier_free(large);
    memtier_delete_memtier_memory(memory);
}

/* ---- high bandwidth ----------------------------------------------------- */

static void use_high_bandwidth(void)
{
    const int available = hbw_check_available();
    NEED(available == 0 || available == ENODEV);
    printf("high bandwidth: %s\n", available == 0 ? "there is" : "none");
    NEED(hbw_get_policy() == HBW_POLICY_PREFERRED);
    NEED(hbw_set_policy(HBW_POLICY_BIND) == 0);
    char *object = hbw_malloc(100000);
    NEED((object != NULL) == (available == 0));
    if (object == NULL)
        return;
    NEED(hbw_verify_memory_region(object, 100000, HBW_TOUCH_PAGES) == 0);
    object = hbw_realloc(object, 200000);
    NEED(object != NULL && hbw_malloc_usable_size(object) >= 200000);
    hbw_free(object);
    void *aligned = NULL;
    NEED(hbw_posix_memalign(&aligned, 64, 100) == 0);
    hbw_free(aligned);
    NEED(hbw_posix_memalign_psize(&aligned, 64, 100, HBW_PAGESIZE_4KB) == 0);
    hbw_free(aligned);
}

/* ---- static kinds ------------------------------------------------------- */

/* What memkind_check_available() says is so. */
static void use_static_kinds(void)
{
    const struct {
        const char *name;
        memkind_t kind;
    } kinds[] = {
#define KIND(NAME) {#NAME, MEMKIND_##NAME}
        KIND(DEFAULT),
        KIND(REGULAR),
        KIND(HUGETLB),
        KIND(INTERLEAVE),
        KIND(HBW),
        KIND(HBW_ALL),
        KIND(HBW_PREFERRED),
        KIND(HBW_HUGETLB),
        KIND(HBW_ALL_HUGETLB),
        KIND(HBW_PREFERRED_HUGETLB),
        KIND(HBW_INTERLEAVE),
        KIND(DAX_KMEM),
        KIND(DAX_KMEM_ALL),
        KIND(DAX_KMEM_PREFERRED),
        KIND(DAX_KMEM_INTERLEAVE),
        KIND(HIGHEST_CAPACITY),
        KIND(HIGHEST_CAPACITY_PREFERRED),
        KIND(HIGHEST_CAPACITY_LOCAL),
        KIND(HIGHEST_CAPACITY_LOCAL_PREFERRED),
        KIND(LOWEST_LATENCY_LOCAL),
        KIND(LOWEST_LATENCY_LOCAL_PREFERRED),
        KIND(HIGHEST_BANDWIDTH_LOCAL),
        KIND(HIGHEST_BANDWIDTH_LOCAL_PREFERRED),
#undef KIND
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const int status = memkind_check_available(kinds[i].kind);
        printf("%s: %d\n", kinds[i].name, status);
        char *object = memkind_malloc(kinds[i].kind, 10000);
        NEED((object != NULL) == (status == MEMKIND_SUCCESS));
        if (object == NULL)
            continue;
        memset(object, 1, 10000);
        memkind_free(kinds[i].kind, object);
    }
}

int main(int argc, char **argv)
{
    memkind_t pmem = NULL;
    NEED(argc == 2);
    use_high_bandwidth();
    NEED(memkind_create_pmem(argv[1], 0, &pmem) == MEMKIND_SUCCESS);
    use_tiers(pmem);
    use_thresholds(pmem);
    use_static_kinds();
    NEED(memkind_destroy_kind(pmem) == MEMKIND_SUCCESS);
    return 0;
}
