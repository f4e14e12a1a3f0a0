/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kinds in a tmpfs that is bound to a NUMA node, as memory on CXL is used: all
 * their memory lies on that node. It is the last node that has memory; in the
 * guest `numa` of run.sh, that one has no CPUs. The tmpfs is mounted for each
 * test; that takes root.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

#define NODES_MAX 64
#define PLACE_SIZE (400 * MIB)
#define OBJECT (64 * KIB)
#define OBJECTS 1024

static char place[4096];
static char *objects[OBJECTS];
static size_t pages_of_node[NODES_MAX];

/* ---- nodes ---- */

/* The last number in a list of the kernel's ("0-1"); -1 if there is none. */
static int last_node(const char *name)
{
    char path[128], text[256] = "";
    snprintf(path, sizeof path, "/sys/devices/system/node/%s", name);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    if (file != NULL)
        fclose(file);
    const char *last = strpbrk(text, "0123456789");
    for (const char *c = text; *c != '\0'; c++)
        if (isdigit((unsigned char)c[0]) && !isdigit((unsigned char)c[1]) &&
            c[1] != '\0')
            last = c;
    while (last != NULL && last > text && isdigit((unsigned char)last[-1]))
        last--;
    return last != NULL ? atoi(last) : -1;
}

/* Adds what a line of /proc/self/numa_maps says: " N0=12 N1=3". */
static void count_line(const char *line)
{
    for (const char *at = strstr(line, " N"); at != NULL;
         at = strstr(at + 1, " N")) {
        unsigned node;
        size_t pages;
        if (sscanf(at, " N%u=%zu", &node, &pages) == 2 && node < NODES_MAX)
            pages_of_node[node] += pages;
    }
}

/* Counts pages of the place's files, by node. */
static void count_pages(void)
{
    char beginning[sizeof place + 8];
    char *line = NULL;
    size_t size = 0;
    snprintf(beginning, sizeof beginning, " file=%s/", place);
    memset(pages_of_node, 0, sizeof pages_of_node);
    FILE *maps = fopen("/proc/self/numa_maps", "r");
    REQUIRE_NOT_NULL(maps);
    while (getline(&line, &size, maps) > 0)
        if (strstr(line, beginning) != NULL)
            count_line(line);
    free(line);
    fclose(maps);
}

static size_t pages_elsewhere(int node)
{
    size_t pages = 0;
    for (int i = 0; i < NODES_MAX; i++)
        pages += i != node ? pages_of_node[i] : 0;
    return pages;
}

/* ---- the place ---- */

static bool mount_place(const char *options)
{
    snprintf(place, sizeof place, "%s", test_path("bound"));
    REQUIRE_EQ(mkdir(place, 0700), 0);
    if (test_has_memory(PLACE_SIZE) && mounts_become_own() &&
        mount_tmpfs(place, options))
        return true;
    rmdir(place);
    printf("skipped: no tmpfs with %s can be mounted ", options);
    test_is_skipped();
    return false;
}

static void unmount_place(void)
{
    CHECK_EQ(umount(place), 0);
    CHECK_EQ(rmdir(place), 0);
}

/* Whether all pages of the place lie on a node, and at least so many bytes. */
static void check_lies_on(int node, size_t least)
{
    count_pages();
    CHECK_GE(pages_of_node[node], least / (size_t)sysconf(_SC_PAGESIZE));
    CHECK_EQ(pages_elsewhere(node), 0U);
}

static void fill(memkind_t kind)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = memkind_malloc(kind, OBJECT);
        REQUIRE_NOT_NULL(objects[i]);
        test_fill(objects[i], OBJECT, (unsigned)i);
    }
}

static void empty(memkind_t kind)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        CHECK(test_check(objects[i], OBJECT, (unsigned)i));
        memkind_free(kind, objects[i]);
    }
}

static void check_kind_lies_on(int node)
{
    memkind_t kind = kind_make(.directory = place);
    fill(kind);
    check_lies_on(node, OBJECTS * OBJECT);
    empty(kind);
    CHECK_EQ(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    check_lies_on(node, 0);
    CHECK_LT(pages_of_node[node] * (size_t)sysconf(_SC_PAGESIZE),
             OBJECTS * OBJECT / 2);
    fill(kind);
    check_lies_on(node, OBJECTS * OBJECT);
    empty(kind);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    count_pages();
    CHECK_EQ(pages_elsewhere(-1), 0U);
}

static void check_bound(const char *more)
{
    char options[128];
    const int node = last_node("has_memory");
    snprintf(options, sizeof options, "size=%zum,mpol=bind:%d%s",
             PLACE_SIZE / MIB, node, more);
    if (!mount_place(options))
        return;
    check_kind_lies_on(node);
    unmount_place();
}

/* ---- the tests ---- */

static void test_a_kind_lies_on_the_node_of_its_place(void)
{
    check_bound("");
}

static void test_huge_pages_lie_there_as_well(void)
{
    check_bound(",huge=advise");
}

/* To see that the tests above could fail: with one node, this is the same. */
static void test_another_place_is_near_the_threads(void)
{
    if (!mount_place("size=400m,huge=advise"))
        return;
    check_kind_lies_on(last_node("has_cpu"));
    unmount_place();
}

static const struct test_case tests[] = {
    {"a kind lies on the node of its place",
     test_a_kind_lies_on_the_node_of_its_place},
    {"huge pages lie there as well", test_huge_pages_lie_there_as_well},
    {"another place is near the threads",
     test_another_place_is_near_the_threads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (last_node("has_memory") < 0 || access("/proc/self/numa_maps", R_OK)) {
        puts("skipped: a kernel without NUMA");
        return TEST_SKIPPED;
    }
    return test_main("nodes", tests, argc, argv);
}
