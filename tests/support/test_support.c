/* SPDX-License-Identifier: BSD-2-Clause */
#include "test_support.h"

#include <CUnit/TestRun.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char directory[PATH_MAX];

static int make_directory(void)
{
    const char *parent = getenv("MEMKIND_TEST_DIR");
    if (parent == NULL || parent[0] == '\0')
        parent = "/dev/shm";
    snprintf(directory, sizeof directory, "%s/memkind-test-XXXXXX", parent);
    if (mkdtemp(directory) != NULL)
        return 0;
    fprintf(stderr, "cannot make %s: %s\n", directory, strerror(errno));
    return 1;
}

/* Fails if a test has left a file: the library's own have no names. */
static int remove_directory(void)
{
    if (rmdir(directory) == 0)
        return 0;
    fprintf(stderr, "cannot remove %s: %s\n", directory, strerror(errno));
    return 1;
}

const char *test_dir(void)
{
    return directory;
}

void test_use_dir(const char *path)
{
    snprintf(directory, sizeof directory, "%s", path);
}

const char *test_path(const char *name)
{
    static char path[PATH_MAX + NAME_MAX + 2];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    bool wanted = true;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && strstr(name, argv[i] + 1) != NULL)
            return false;
        if (argv[i][0] != '-')
            wanted = false;
    }
    for (int i = 1; i < argc && !wanted; i++)
        wanted = argv[i][0] != '-' && strstr(name, argv[i]) != NULL;
    return wanted;
}

static unsigned tests_skipped;

void test_is_skipped(void)
{
    static const void *last; /* one test may say so several times */
    const void *test = CU_get_current_test();
    if (test != NULL && test != last)
        tests_skipped++;
    last = test;
}

int test_main(const char *suite_name, const struct test_case *tests, int argc,
              char **argv)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return EXIT_FAILURE;
    CU_pSuite suite =
        CU_add_suite(suite_name, make_directory, remove_directory);
    if (suite == NULL)
        return EXIT_FAILURE;
    for (; tests->name != NULL; tests++)
        if (is_wanted(tests->name, argc, argv) &&
            CU_add_test(suite, tests->name, tests->run) == NULL)
            return EXIT_FAILURE;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    bool passed = CU_get_number_of_failures() == 0 &&
                  CU_get_number_of_suites_failed() == 0 &&
                  CU_get_number_of_tests_run() > 0;
    const bool all_skipped = tests_skipped == CU_get_number_of_tests_run();
    CU_cleanup_registry();
    if (passed && all_skipped)
        return TEST_SKIPPED;
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}

size_t test_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    size_t lines = 0;
    if (file == NULL)
        return 0;
    for (int c; (c = getc(file)) != EOF;)
        lines += c == '\n';
    fclose(file);
    return lines;
}

size_t test_status_kib(const char *name)
{
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, name, strlen(name)) == 0) {
            fclose(status);
            return strtoull(line + strlen(name), NULL, 10);
        }
    fprintf(stderr, "no %s in /proc/self/status\n", name);
    abort();
}

static size_t count_fds(void)
{
    size_t count = 0;
    DIR *fds = opendir("/proc/self/fd");
    if (fds == NULL)
        return 0;
    while (readdir(fds) != NULL)
        count++;
    closedir(fds);
    return count;
}

static size_t mapped_pages(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages;
}

static bool is_in_directory(const char *path)
{
    return directory[0] != '\0' &&
           strncmp(path, directory, strlen(directory)) == 0;
}

/* The files that have been counted. (No memory is allocated while resources are
 * taken.) */
static struct {
    ino_t inodes[8192];
    size_t count;
} counted;

static bool is_counted(ino_t inode)
{
    for (size_t i = 0; i < counted.count; i++)
        if (counted.inodes[i] == inode)
            return true;
    return false;
}

static size_t space_once(const struct stat *st)
{
    if (!S_ISREG(st->st_mode) || is_counted(st->st_ino))
        return 0;
    if (counted.count < sizeof counted.inodes / sizeof counted.inodes[0])
        counted.inodes[counted.count++] = st->st_ino;
    return (size_t)st->st_blocks * 512;
}

static size_t space_of_open_files(void)
{
    size_t space = 0;
    DIR *fds = opendir("/proc/self/fd");
    if (fds == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(fds)) != NULL;) {
        char target[PATH_MAX];
        struct stat st;
        ssize_t length =
            readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        if (is_in_directory(target) &&
            fstatat(dirfd(fds), entry->d_name, &st, 0) == 0)
            space += space_once(&st);
    }
    closedir(fds);
    return space;
}

static size_t space_of_mapped_files(void)
{
    static char line[PATH_MAX + 256];
    size_t space = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    if (maps == NULL)
        return 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        char link[128];
        struct stat st;
        unsigned long start, end, inode;
        const char *path = strchr(line, '/');
        if (path == NULL || !is_in_directory(path) ||
            sscanf(line, "%lx-%lx %*s %*s %*s %lu", &start, &end, &inode) !=
                3 ||
            is_counted(inode))
            continue;
        snprintf(link, sizeof link, "/proc/self/map_files/%lx-%lx", start, end);
        if (stat(link, &st) == 0)
            space += space_once(&st);
    }
    fclose(maps);
    return space;
}

size_t test_file_space(void)
{
    counted.count = 0;
    size_t space = space_of_open_files();
    return space + space_of_mapped_files();
}

void test_resources_take(struct test_resources *resources)
{
    resources->file_space = test_file_space();
    resources->fds = count_fds();
    resources->maps = test_mappings();
    resources->mapped_kib =
        mapped_pages() * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

size_t test_metadata_splits(void)
{
    int mode = 0;
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%d", &mode) != 1)
        mode = 0;
    fclose(file);
    return mode == 2 ? 64 : 0;
}

size_t test_space_unit(void)
{
    const char *memory = getenv("MEMKIND_TEST_MEMORY");
    return memory != NULL && strcmp(memory, "dax") == 0
               ? 2 * MIB
               : (size_t)sysconf(_SC_PAGESIZE);
}

bool test_is_hardened(void)
{
#ifdef MEMKIND_TEST_HARDENED
    return true;
#else
    const char *hardened = getenv("MEMKIND_HARDENED");
    return hardened != NULL && strcmp(hardened, "1") == 0;
#endif
}

#define ZONES ((size_t)32)

size_t test_fitting(size_t size)
{
    return test_is_hardened() ? size - ZONES : size;
}

size_t test_least_filled(size_t space, size_t size)
{
    size_t least = space / 10 * 9;
    if (!test_is_hardened())
        return least;
    /* The next size class is larger by a quarter at most. */
    return (size_t)((double)least * (double)size /
                    ((double)(size + ZONES) * 1.25));
}

size_t test_free_space(void)
{
    struct statvfs st = {0};
    (void)statvfs(directory, &st);
    return st.f_bavail * st.f_frsize;
}

/* MemAvailable; SIZE_MAX if the kernel does not say. */
static size_t available_memory(void)
{
    char line[256];
    size_t kib = SIZE_MAX / KIB;
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL)
        return SIZE_MAX;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "MemAvailable:", 13) == 0)
            kib = strtoull(line + 13, NULL, 10);
    fclose(file);
    return kib * KIB;
}

static size_t free_space_in(const char *dir)
{
    struct statfs st = {0};
    if (statfs(dir, &st) != 0)
        return 0;
    const size_t space = (size_t)st.f_bavail * (size_t)st.f_bsize;
    const size_t memory =
        (unsigned long)st.f_type == TMPFS_MAGIC ? available_memory() : SIZE_MAX;
    return space < memory ? space : memory;
}

static void say_skipped(size_t bytes, const char *where, size_t found)
{
    printf("skipped: needs %zu MiB free in %s, has %zu ",
           (bytes + MIB - 1) / MIB, where, found / MIB);
    fflush(stdout); /* a child may end by _exit() */
    test_is_skipped();
}

bool test_has_space_in(const char *dir, size_t bytes)
{
    size_t found = free_space_in(dir);
    if (found < bytes) {
        /* What was freed a moment ago may not be counted yet. */
        const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
            (void)syncfs(fd);
            close(fd);
        }
        found = free_space_in(dir);
    }
    if (found < bytes)
        say_skipped(bytes, dir, found);
    return found >= bytes;
}

bool test_has_space(size_t bytes)
{
    return test_has_space_in(directory, bytes);
}

bool test_has_memory(size_t bytes)
{
    const size_t found = available_memory();
    if (found < bytes)
        say_skipped(bytes, "memory", found);
    return found >= bytes;
}

void test_read_and_remove(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    REQUIRE_NOT_NULL(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    CHECK_EQ(unlink(path), 0);
}

unsigned long long test_random(unsigned long long *state)
{
    /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717ull;
}

static unsigned char pattern_byte(unsigned seed, size_t i)
{
    return (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}

void test_fill(void *object, size_t size, unsigned seed)
{
    unsigned char *bytes = object;
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern_byte(seed, i);
}

bool test_check(const void *object, size_t size, unsigned seed)
{
    const unsigned char *bytes = object;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != pattern_byte(seed, i))
            return false;
    return true;
}
