/* SPDX-License-Identifier: BSD-2-Clause */
/* hbwmalloc.h, each policy in a process of its own: on a machine without such
 * memory, and with a node that a variable names. */
#include <errno.h>
#include <hbwmalloc.h>
#include <memkind.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

#define GIB ((size_t)1 << 30)

/* A child's settings, by which it begins. */
static struct {
    const char *nodes; /* MEMKIND_HBW_NODES, or NULL */
    hbw_policy_t policy;
} setting;

static int run_with(const char *nodes, hbw_policy_t policy, int (*run)(void))
{
    setting.nodes = nodes;
    setting.policy = policy;
    return child_run(run);
}

/* Nodes of high bandwidth are taken for others: the variable is there. */
static bool begin(void)
{
    if (setting.nodes != NULL)
        setenv("MEMKIND_HBW_NODES", setting.nodes, 1);
    else
        setenv("MEMKIND_HBW_THRESHOLD", "4294967295", 1);
    return setting.policy == 0 || hbw_set_policy(setting.policy) == 0;
}

static bool there_are_nodes(void)
{
    return access("/sys/devices/system/node/has_memory", R_OK) == 0;
}

/* ---- the policy --------------------------------------------------------- */

static int set_policy(void)
{
    NEED(begin());
    NEED(hbw_get_policy() == HBW_POLICY_PREFERRED);
    NEED(hbw_set_policy((hbw_policy_t)0) == EINVAL);
    NEED(hbw_set_policy((hbw_policy_t)5) == EINVAL);
    NEED(hbw_set_policy(HBW_POLICY_INTERLEAVE) == 0);
    NEED(hbw_get_policy() == HBW_POLICY_INTERLEAVE);
    NEED(hbw_set_policy(HBW_POLICY_INTERLEAVE) == EPERM);
    NEED(hbw_set_policy(HBW_POLICY_BIND) == EPERM);
    NEED(hbw_set_policy((hbw_policy_t)5) == EINVAL);
    NEED(hbw_get_policy() == HBW_POLICY_INTERLEAVE);
    return 0;
}

static int set_policy_too_late(void)
{
    NEED(begin());
    NEED(hbw_malloc(1) != NULL);
    NEED(hbw_set_policy(HBW_POLICY_BIND) == EPERM);
    NEED(hbw_get_policy() == HBW_POLICY_PREFERRED);
    return 0;
}

static void test_policy(void)
{
    CHECK_EQ(run_with(NULL, 0, set_policy), 0);
    CHECK_EQ(run_with(NULL, 0, set_policy_too_late), 0);
}

/* ---- without such memory ------------------------------------------------ */

/* Everything that is the same whether or not memory can be had. */
static int check_arguments(bool huge_pages)
{
    void *ptr = &ptr;
    errno = 0;
    NEED(hbw_malloc(0) == NULL && errno == 0);
    NEED(hbw_calloc(0, 3) == NULL && hbw_calloc(3, 0) == NULL && errno == 0);
    NEED(hbw_realloc(NULL, 0) == NULL && errno == 0);
    hbw_free(NULL);
    NEED(hbw_malloc_usable_size(NULL) == 0);
    NEED(hbw_malloc(SIZE_MAX) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(hbw_calloc(SIZE_MAX, 3) == NULL && errno == ENOMEM);
    NEED(hbw_posix_memalign(&ptr, 3, 10) == EINVAL && ptr == NULL);
    ptr = &ptr;
    NEED(hbw_posix_memalign(&ptr, 4, 10) == EINVAL && ptr == NULL);
    ptr = &ptr;
    NEED(hbw_posix_memalign(&ptr, 64, 0) == 0 && ptr == NULL);
    NEED(hbw_posix_memalign(NULL, 64, 10) == EINVAL);

    NEED(hbw_posix_memalign_psize(&ptr, 64, 10, (hbw_pagesize_t)0) == EINVAL);
    NEED(hbw_posix_memalign_psize(&ptr, 64, 10, HBW_PAGESIZE_MAX_VALUE) ==
         EINVAL);
    NEED(hbw_posix_memalign_psize(&ptr, 3, 10, HBW_PAGESIZE_4KB) == EINVAL);
    NEED(hbw_posix_memalign_psize(NULL, 64, 10, HBW_PAGESIZE_4KB) == EINVAL);
    NEED(hbw_posix_memalign_psize(&ptr, 64, 10, HBW_PAGESIZE_1GB_STRICT) ==
         EINVAL);
    const int refused = huge_pages ? ENOMEM : EINVAL;
    if (memkind_check_available(MEMKIND_HUGETLB) != MEMKIND_SUCCESS)
        NEED(hbw_posix_memalign_psize(&ptr, 64, 10, HBW_PAGESIZE_2MB) ==
             refused);
    NEED(hbw_posix_memalign_psize(&ptr, 64, 10, HBW_PAGESIZE_1GB) == refused);
    NEED(hbw_posix_memalign_psize(&ptr, 64, GIB, HBW_PAGESIZE_1GB_STRICT) ==
         refused);
    NEED(ptr == NULL);
    return 0;
}

static int find_nothing(void)
{
    void *ptr = &ptr;
    NEED(begin());
    errno = 0;
    NEED(hbw_check_available() == ENODEV && errno == 0);
    NEED(check_arguments(setting.policy != HBW_POLICY_INTERLEAVE) == 0);
    errno = 0;
    NEED(hbw_malloc(1) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(hbw_calloc(1, 1) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(hbw_realloc(NULL, 1) == NULL && errno == ENOMEM);
    NEED(hbw_posix_memalign(&ptr, 64, 10) == ENOMEM && ptr == NULL);
    NEED(hbw_posix_memalign_psize(&ptr, 64, 10, HBW_PAGESIZE_4KB) == ENOMEM);
    NEED(hbw_verify_memory_region(&ptr, sizeof ptr, 0) == -1);
    return 0;
}

/* Allocates by each function from a kind. */
static int allocate_from(memkind_t kind)
{
    void *objects[4], *aligned = NULL;
    objects[0] = hbw_malloc(1000);
    objects[1] = hbw_calloc(10, 100);
    objects[2] = hbw_realloc(NULL, 1000);
    NEED(hbw_posix_memalign(&objects[3], 1024, 1000) == 0);
    NEED((uintptr_t)objects[3] % 1024 == 0);
    NEED(hbw_posix_memalign_psize(&aligned, 4096, 1000, HBW_PAGESIZE_4KB) == 0);
    NEED((uintptr_t)aligned % 4096 == 0);
    hbw_free(aligned);
    for (int i = 0; i < 4; i++) {
        NEED(objects[i] != NULL && memkind_detect_kind(objects[i]) == kind);
        NEED(hbw_malloc_usable_size(objects[i]) >= 1000);
        for (int at = 0; i == 1 && at < 1000; at++)
            NEED(((char *)objects[i])[at] == 0);
        memset(objects[i], 3, 1000);
        objects[i] = hbw_realloc(objects[i], 50000);
        NEED(objects[i] != NULL && memkind_detect_kind(objects[i]) == kind);
        for (int at = 0; at < 1000; at++)
            NEED(((char *)objects[i])[at] == 3);
    }
    NEED(hbw_realloc(objects[0], 0) == NULL);
    for (int i = 1; i < 4; i++)
        hbw_free(objects[i]);
    NEED(check_arguments(setting.policy != HBW_POLICY_INTERLEAVE) == 0);
    return 0;
}

static int fall_back(void)
{
    NEED(begin());
    NEED(hbw_check_available() == ENODEV);
    return allocate_from(MEMKIND_DEFAULT);
}

static void test_nothing(void)
{
    CHECK_EQ(run_with(NULL, HBW_POLICY_BIND, find_nothing), 0);
    CHECK_EQ(run_with(NULL, HBW_POLICY_BIND_ALL, find_nothing), 0);
    CHECK_EQ(run_with(NULL, HBW_POLICY_INTERLEAVE, find_nothing), 0);
    CHECK_EQ(run_with(NULL, HBW_POLICY_PREFERRED, fall_back), 0);
    CHECK_EQ(run_with(NULL, 0, fall_back), 0);
}

/* What the variable says can be wrong. */
static int refuse_nodes(void)
{
    NEED(begin());
    NEED(hbw_check_available() == ENODEV);
    NEED(memkind_check_available(MEMKIND_HBW) == MEMKIND_ERROR_ENVIRON);
    NEED(strstr(memkind_last_error(), "MEMKIND_HBW_NODES") != NULL);
    NEED(memkind_malloc(MEMKIND_HBW, 1) == NULL && errno == ENOMEM);
    return allocate_from(MEMKIND_DEFAULT);
}

static void test_bad_nodes(void)
{
    static const char *const bad[] = {
        "", "x", "0,", "0-", "1023", "0 ", "-0", "0-1023", "99999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (run_with(bad[i], 0, refuse_nodes) != 0)
            CHECK_STR(bad[i], "refused");
}

/* ---- with such memory --------------------------------------------------- */

static int use_node(void)
{
    NEED(begin());
    NEED(hbw_check_available() == 0);
    switch (hbw_get_policy()) {
    case HBW_POLICY_BIND:
        NEED(allocate_from(MEMKIND_HBW) == 0);
        break;
    case HBW_POLICY_BIND_ALL:
        NEED(allocate_from(MEMKIND_HBW_ALL) == 0);
        break;
    case HBW_POLICY_INTERLEAVE:
        NEED(allocate_from(MEMKIND_HBW_INTERLEAVE) == 0);
        break;
    default:
        NEED(allocate_from(MEMKIND_HBW_PREFERRED) == 0);
    }
    return 0;
}

static void test_named_node(void)
{
    if (!there_are_nodes()) {
        printf("skipped: no NUMA nodes\n");
        test_is_skipped();
        return;
    }
    CHECK_EQ(run_with("all", HBW_POLICY_BIND, use_node), 0);
    CHECK_EQ(run_with("all", HBW_POLICY_BIND_ALL, use_node), 0);
    CHECK_EQ(run_with("all", HBW_POLICY_INTERLEAVE, use_node), 0);
    CHECK_EQ(run_with("all", HBW_POLICY_PREFERRED, use_node), 0);
    CHECK_EQ(run_with("all", 0, use_node), 0);
}

/* The pages of an object are on the node, once they are there. */
static int verify(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    NEED(begin());
    char *object = NULL;
    NEED(hbw_posix_memalign((void **)&object, page, 100 * page) == 0);
    NEED(hbw_verify_memory_region(object, 100 * page, 0) == -1);
    /* A huge page would be there as a whole. */
    NEED(madvise(object, 100 * page, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
    errno = 0;
    object[50 * page] = 'x';
    NEED(hbw_verify_memory_region(object + 50 * page, 1, 0) == 0);
    NEED(hbw_verify_memory_region(object + 50 * page + 5, page - 5, 0) == 0);
    NEED(hbw_verify_memory_region(object + 50 * page, page + 1, 0) == -1);
    NEED(hbw_verify_memory_region(object, 100 * page, HBW_TOUCH_PAGES) == 0);
    NEED(object[50 * page] == 'x' && object[0] == 0);
    NEED(hbw_verify_memory_region(object, 100 * page, 0) == 0);
    hbw_free(object);
    return 0;
}

static int verify_arguments(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char byte = 'x';
    NEED(begin());
    errno = 0;
    NEED(hbw_verify_memory_region(NULL, 1, 0) == EINVAL);
    NEED(hbw_verify_memory_region(&byte, 0, 0) == EINVAL);
    NEED(hbw_verify_memory_region(&byte, 1, 2) == EINVAL);
    NEED(hbw_verify_memory_region(&byte, 1, HBW_TOUCH_PAGES | 4) == EINVAL);
    NEED(hbw_verify_memory_region(&byte, SIZE_MAX, 0) == EFAULT);
    NEED(hbw_verify_memory_region((void *)page, 2 * page, 0) == -1);
    /* What cannot be touched is no reason to die. */
    NEED(hbw_verify_memory_region((void *)page, page, HBW_TOUCH_PAGES) ==
         EFAULT);
    void *closed =
        mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(closed != MAP_FAILED);
    NEED(hbw_verify_memory_region(closed, page, 0) == -1);
    NEED(hbw_verify_memory_region(closed, page, HBW_TOUCH_PAGES) == EFAULT);
    NEED(errno == 0 && byte == 'x');
    return 0;
}

static void test_verify(void)
{
    if (!there_are_nodes()) {
        printf("skipped: no NUMA nodes\n");
        test_is_skipped();
        return;
    }
    CHECK_EQ(run_with("all", HBW_POLICY_BIND_ALL, verify), 0);
    CHECK_EQ(run_with("all", HBW_POLICY_PREFERRED, verify), 0);
    CHECK_EQ(run_with("all", HBW_POLICY_PREFERRED, verify_arguments), 0);
}

/* ---- kinds of such memory ----------------------------------------------- */

static int create_kinds(void)
{
    static const memkind_policy_t policies[] = {
        MEMKIND_POLICY_BIND_LOCAL, MEMKIND_POLICY_BIND_ALL,
        MEMKIND_POLICY_PREFERRED_LOCAL, MEMKIND_POLICY_INTERLEAVE_ALL};
    NEED(begin());
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        memkind_t kind = NULL;
        NEED(memkind_create_kind(MEMKIND_MEMTYPE_HIGH_BANDWIDTH, policies[i],
                                 (memkind_bits_t)0, &kind) == MEMKIND_SUCCESS);
        char *object = memkind_malloc(kind, 100000);
        NEED(object != NULL && memkind_detect_kind(object) == kind);
        NEED(hbw_verify_memory_region(object, 100000, HBW_TOUCH_PAGES) == 0);
        memkind_free(kind, object);
        NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
        int err =
            memkind_create_kind(MEMKIND_MEMTYPE_HIGH_BANDWIDTH, policies[i],
                                MEMKIND_MASK_PAGE_SIZE_2MB, &kind);
        if (policies[i] == MEMKIND_POLICY_INTERLEAVE_ALL)
            NEED(err == MEMKIND_ERROR_INVALID);
        else if (memkind_check_available(MEMKIND_HBW_ALL_HUGETLB) != 0)
            NEED(err == MEMKIND_ERROR_HUGETLB);
        else
            NEED(err == 0 && memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    }
    return 0;
}

static int know_capacity(void)
{
    NEED(begin());
    NEED(memkind_get_capacity(MEMKIND_HBW) > 0);
    NEED(memkind_get_capacity(MEMKIND_HBW) <=
         memkind_get_capacity(MEMKIND_DEFAULT) * 2);
    return 0;
}

static void test_kinds(void)
{
    if (!there_are_nodes()) {
        printf("skipped: no NUMA nodes\n");
        test_is_skipped();
        return;
    }
    CHECK_EQ(run_with("all", 0, create_kinds), 0);
    CHECK_EQ(run_with("all", 0, know_capacity), 0);
}

static const struct test_case tests[] = {
    {"policy", test_policy},
    {"nothing", test_nothing},
    {"bad_nodes", test_bad_nodes},
    {"named_node", test_named_node},
    {"verify", test_verify},
    {"kinds", test_kinds},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("hbwmalloc", tests, argc, argv);
}
