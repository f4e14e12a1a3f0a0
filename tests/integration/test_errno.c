/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A call that succeeds leaves errno alone, even if something that it tried on
 * the way has failed: here, all that gives file space back, and more.
 */
#include <errno.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fault_calls.h"
#include "layer_test.h"

#define MARK 12345
#define OBJECTS 3000

static memkind_t kind;
static void *objects[OBJECTS];

static void check(const char *call, bool good)
{
    if (good && errno != MARK)
        printf("%s has changed errno to %d\n", call, errno);
    CHECK(!good || errno == MARK);
    errno = MARK;
}

/* Objects of all sorts of sizes, freed and allocated again, so that space is
 * due to go back all the time; for longer than upkeep's period. */
static void use_heap(void)
{
    unsigned long long seed = 9;
    struct timespec pause = {.tv_nsec = 30000000};
    for (int round = 0; round < 8; round++) {
        for (size_t i = 0; i < OBJECTS; i++) {
            size_t size = 1 + test_random(&seed) % (i % 100 == 0 ? MIB : 9000);
            void *ptr = NULL;
            memkind_free(kind, objects[i]);
            check("memkind_free", true);
            switch (i % 4) {
            case 0:
                ptr = memkind_malloc(kind, size);
                check("memkind_malloc", ptr != NULL);
                break;
            case 1:
                ptr = memkind_calloc(kind, 1, size);
                check("memkind_calloc", ptr != NULL);
                break;
            case 2:
                if (memkind_posix_memalign(kind, &ptr, 256, size) != 0)
                    ptr = NULL;
                check("memkind_posix_memalign", true);
                break;
            default:
                ptr = memkind_malloc(kind, 100);
                void *resized = memkind_realloc(kind, ptr, size);
                check("memkind_realloc", resized != NULL);
                ptr = resized != NULL ? resized : ptr;
                resized = memkind_defrag_reallocate(kind, ptr);
                check("memkind_defrag_reallocate", true);
                ptr = resized != NULL ? resized : ptr;
                break;
            }
            objects[i] = ptr;
        }
        nanosleep(&pause, NULL);
        errno = MARK;
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        memkind_free(kind, objects[i]);
        check("memkind_free", true);
        objects[i] = NULL;
    }
}

static void ignore_text(void *unused, const char *text)
{
    (void)unused, (void)text;
}

static void ask(void)
{
    size_t value;
    char text[100];
    void *ptr = memkind_malloc(kind, 100);
    errno = MARK;
    check("memkind_update_cached_stats",
          memkind_update_cached_stats() == MEMKIND_SUCCESS);
    check("memkind_get_stat", memkind_get_stat(kind, MEMKIND_STAT_TYPE_RESIDENT,
                                               &value) == MEMKIND_SUCCESS);
    check("memkind_get_stat of all",
          memkind_get_stat(NULL, MEMKIND_STAT_TYPE_RESIDENT, &value) ==
              MEMKIND_SUCCESS);
    check("memkind_stats_print",
          memkind_stats_print(ignore_text, NULL, MEMKIND_STAT_PRINT_ALL) ==
              MEMKIND_SUCCESS);
    check("memkind_purge_kind", memkind_purge_kind(kind) == MEMKIND_SUCCESS);
    check("memkind_get_capacity", memkind_get_capacity(kind) >= 0);
    check("memkind_detect_kind", memkind_detect_kind(ptr) == kind);
    check("memkind_malloc_usable_size",
          memkind_malloc_usable_size(kind, ptr) >= 100);
    check("memkind_check_available",
          memkind_check_available(kind) == MEMKIND_SUCCESS);
    check("memkind_pmem_persist",
          memkind_pmem_persist(kind, ptr, 100) == MEMKIND_SUCCESS);
    check("memkind_pmem_mmap",
          memkind_pmem_mmap(kind, NULL, 100000) != (void *)-1);
    memkind_error_message(MEMKIND_ERROR_MMAP, text, sizeof text);
    check("memkind_error_message", true);
    memkind_free(kind, ptr);
}

static void make_and_destroy(void)
{
    memkind_t other = NULL;
    static char area[4 << 20];
    struct memkind_config *config = memkind_config_new();
    memkind_config_set_path(config, test_dir());
    memkind_config_set_size(config, 32 * MIB);
    memkind_config_set_memory_usage_policy(
        config, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    errno = MARK;
    int err = memkind_create_pmem_with_config(config, &other);
    check("memkind_create_pmem_with_config", err == MEMKIND_SUCCESS);
    if (err == MEMKIND_SUCCESS) {
        memkind_free(other, memkind_malloc(other, MIB));
        errno = MARK;
        check("memkind_destroy_kind",
              memkind_destroy_kind(other) == MEMKIND_SUCCESS);
    }
    memkind_config_delete(config);
    static const size_t limits[] = {0, 20 << 20, SIZE_MAX};
    for (int i = 0; i < 3; i++) {
        errno = MARK;
        err = memkind_create_pmem(test_dir(), limits[i], &other);
        check("memkind_create_pmem", err == MEMKIND_SUCCESS);
        if (err == MEMKIND_SUCCESS)
            check("memkind_destroy_kind",
                  memkind_destroy_kind(other) == MEMKIND_SUCCESS);
    }
    err = memkind_create_fixed(area, sizeof area, &other);
    check("memkind_create_fixed", err == MEMKIND_SUCCESS);
    if (err == MEMKIND_SUCCESS)
        check("memkind_destroy_kind",
              memkind_destroy_kind(other) == MEMKIND_SUCCESS);
    err = memkind_create_kind(MEMKIND_MEMTYPE_DEFAULT,
                              MEMKIND_POLICY_PREFERRED_LOCAL, 0, &other);
    check("memkind_create_kind", err == MEMKIND_SUCCESS);
    if (err == MEMKIND_SUCCESS)
        check("memkind_destroy_kind",
              memkind_destroy_kind(other) == MEMKIND_SUCCESS);
}

static void run_all(void)
{
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    errno = MARK;
    use_heap();
    ask();
    make_and_destroy();
    check("memkind_destroy_kind",
          memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
}

static void run_in(struct fault_world world, uint64_t failing)
{
    fault_install(world);
    fault_set(failing, 1, true, 0);
    run_all();
    fault_lift();
    fault_remove();
    fault_unmap_refused();
}

static void test_nothing_fails(void)
{
    run_all();
}

/* On DAX, and not. */
static void test_space_does_not_go_back(void)
{
    const uint64_t failing = FAULT_BIT(FAULT_PUNCH) | FAULT_BIT(FAULT_MADVISE);
    for (int pmem = 0; pmem <= 1; pmem++) {
        run_in((struct fault_world){.pmem = pmem}, failing);
        run_in((struct fault_world){.pmem = pmem, .no_punch = true}, failing);
    }
}

static void test_what_can_be_done_without(void)
{
    run_in((struct fault_world){.no_tmpfile = true},
           FAULT_BIT(FAULT_FCHMOD) | FAULT_BIT(FAULT_CLOSE));
    run_in((struct fault_world){.no_libpmem = true},
           FAULT_BIT(FAULT_FSTATVFS) | FAULT_BIT(FAULT_FSTATFS) |
               FAULT_BIT(FAULT_GETRLIMIT));
}

/* Whether a directory is on DAX: also if something failed on the way. */
static void test_of_a_question(void)
{
    for (int pmem = 0; pmem <= 1; pmem++) {
        fault_install((struct fault_world){.pmem = pmem});
        fault_set(FAULT_BIT(FAULT_CLOSE), 1, true, 0);
        errno = MARK;
        int err = memkind_check_dax_path(test_dir());
        CHECK_EQ(err, pmem ? MEMKIND_SUCCESS : MEMKIND_ERROR_MMAP);
        CHECK_EQ(errno, MARK);
        fault_lift();
        fault_remove();
        fault_unmap_refused();
    }
}

static const struct test_case tests[] = {
    {"nothing fails", test_nothing_fails},
    {"space does not go back", test_space_does_not_go_back},
    {"what can be done without", test_what_can_be_done_without},
    {"of a question", test_of_a_question},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("errno", tests, argc, argv);
}
