/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a kind goes into core dumps: by the flags of its mappings, by cores
 * that the kernel writes (root, with a core_pattern that this suite may set),
 * and by those of gcore, if that is installed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

enum { OBJECTS = 12000, MAPPINGS_MOST = 65530 };

/* ---- flags of mappings ------------------------------------------------- */

struct mapping {
    uintptr_t start, end;
    bool is_dumped;
};

/* The next mapping that /proc/self/smaps has. */
static bool next_mapping(FILE *smaps, struct mapping *mapping)
{
    char line[512], flags[512];
    unsigned long start, end;
    bool found = false;
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            mapping->start = start;
            mapping->end = end;
            found = true;
        }
        if (found && sscanf(line, "VmFlags: %511[^\n]", flags) == 1) {
            mapping->is_dumped = strstr(flags, "dd") == NULL;
            return true;
        }
    }
    return false;
}

struct dumped {
    size_t bytes, mappings;
};

/* Reads pages as a writer of cores does. */
__attribute__((no_sanitize_address)) static void
read_pages(const struct mapping *mapping)
{
    const size_t page = PAGE;
    for (uintptr_t at = mapping->start; at < mapping->end; at += page)
        (void)*(volatile char *)at;
}

/* What of a kind's mappings goes into a core dump; and reads that. */
static struct dumped dumped_of(memkind_t kind)
{
    struct dumped dumped = {0};
    struct mapping mapping;
    FILE *smaps = fopen("/proc/self/smaps", "r");
    REQUIRE_NOT_NULL(smaps);
    while (next_mapping(smaps, &mapping)) {
        if (memkind_detect_kind((void *)mapping.start) != kind)
            continue;
        dumped.mappings++;
        if (!mapping.is_dumped)
            continue;
        dumped.bytes += mapping.end - mapping.start;
        read_pages(&mapping);
    }
    fclose(smaps);
    return dumped;
}

static bool is_dumped(const void *object)
{
    struct mapping mapping;
    bool dumped = false;
    FILE *smaps = fopen("/proc/self/smaps", "r");
    while (smaps != NULL && next_mapping(smaps, &mapping))
        if ((uintptr_t)object >= mapping.start &&
            (uintptr_t)object < mapping.end)
            dumped = mapping.is_dumped;
    if (smaps != NULL)
        fclose(smaps);
    return dumped;
}

/* In a child: nothing of what it has, and allocates, is dumped; or all that it
 * has allocated is. */
struct child_job {
    memkind_t kind;
    void *object;
    bool own_is_dumped, inherited_is_dumped;
};

static int child_looks(void *argument)
{
    struct child_job *job = argument;
    char *own = memkind_malloc(job->kind, 2 * MIB);
    NEED(own != NULL);
    memset(own, 1, 2 * MIB);
    NEED(is_dumped(own) == job->own_is_dumped);
    NEED(is_dumped(job->object) == job->inherited_is_dumped);
    NEED(job->own_is_dumped || dumped_of(job->kind).bytes == 0);
    return 0;
}

static void test_nothing_by_default(void)
{
    static const memkind_fork_policy policies[] = {
        MEMKIND_FORK_PRIVATE, MEMKIND_FORK_COPY, MEMKIND_FORK_SHARED};
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        memkind_t kind = kind_make(.core_dump = false, .fork = policies[i]);
        char *object = memkind_malloc(kind, MIB);
        REQUIRE_NOT_NULL(object);
        CHECK_EQ(dumped_of(kind).bytes, 0);
        struct child_job job = {kind, object, false, false};
        CHECK_EQ(child_run_with(child_looks, &job), 0);
        memkind_destroy_kind(kind);
    }
}

/* Objects of DRAM kinds are dumped like malloc's memory, but not the rest of
 * the kinds' address space. */
static void test_kinds_of_dram(void)
{
    char *object = memkind_malloc(MEMKIND_DEFAULT, MIB);
    REQUIRE_NOT_NULL(object);
    CHECK(is_dumped(object));
    CHECK_LT(dumped_of(MEMKIND_DEFAULT).bytes, 128 * MIB);
    memkind_free(MEMKIND_DEFAULT, object);
}

static void test_a_config_has_children_dump(void)
{
    static const memkind_fork_policy policies[] = {
        MEMKIND_FORK_PRIVATE, MEMKIND_FORK_COPY, MEMKIND_FORK_SHARED};
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        memkind_t kind = kind_make(.core_dump = true, .fork = policies[i]);
        char *object = memkind_malloc(kind, MIB);
        REQUIRE_NOT_NULL(object);
        if (!is_dumped(object)) { /* DAX */
            memkind_destroy_kind(kind);
            return;
        }
        struct child_job job = {kind, object, true,
                                policies[i] != MEMKIND_FORK_PRIVATE};
        CHECK_EQ(child_run_with(child_looks, &job), 0);
        memkind_destroy_kind(kind);
    }
}

static int child_has_variable(void *value)
{
    setenv("MEMKIND_CORE_DUMP", value, 1);
    memkind_t kind;
    NEED(memkind_create_pmem(test_dir(), 0, &kind) == 0);
    char *object = memkind_malloc(kind, MIB);
    NEED(object != NULL);
    bool dumped = is_dumped(object);
    memkind_destroy_kind(kind);
    return dumped ? 10 : 11;
}

static void test_the_environment(void)
{
    memkind_t kind = kind_make(.core_dump = true, .fork = MEMKIND_FORK_PRIVATE);
    void *object = memkind_malloc(kind, MIB);
    int yes = is_dumped(object) ? 10 : 11; /* not on DAX */
    CHECK_EQ(child_run_with(child_has_variable, "1"), yes);
    CHECK_EQ(child_run_with(child_has_variable, "0"), 11);
    CHECK_EQ(child_run_with(child_has_variable, ""), 11);
    CHECK_EQ(child_run_with(child_has_variable, "yes"), 11);
    memkind_destroy_kind(kind);
    memkind_config_set_core_dump(NULL, true);
}

/* ---- what is committed, and nothing else ------------------------------- */

static struct memkind file_kind;
static int file = -1;
static char *objects[OBJECTS];

static bool make_file_kind(void)
{
    static struct memkind_ops ops;
    ops = MEMKIND_PMEM_OPS;
    file = open(test_path("file"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    memset(&file_kind, 0, sizeof file_kind);
    struct memkind_pmem_source source = {.fd = file, .dump_objects = true};
    return file >= 0 && memkind_pmem_set_source(&file_kind, &source) == 0 &&
           ops.create(&file_kind, &ops, "file") == 0;
}

static void destroy_file_kind(void)
{
    CHECK_EQ(memkind_pmem_destroy(&file_kind), 0);
    close(file);
    unlink(test_path("file"));
}

static size_t file_bytes(void)
{
    struct stat st;
    return fstat(file, &st) == 0 ? (size_t)st.st_blocks * 512 : 0;
}

static void check_dump(bool is_all)
{
    size_t space = file_bytes();
    struct dumped dumped = dumped_of(&file_kind);
    CHECK_EQ(file_bytes(), space);
    CHECK_LE(dumped.bytes, space);
    CHECK_LT(dumped.mappings, MAPPINGS_MOST / 16 + 100);
    /* Grains keep space for what is free. */
    if (is_all && !memkind_pmem_is_pmem(&file_kind))
        CHECK_EQ(dumped.bytes, space);
}

static void fill(size_t first, size_t step)
{
    for (size_t i = first; i < OBJECTS; i += step) {
        objects[i] = memkind_arena_malloc(&file_kind, test_fitting(PAGE));
        REQUIRE_NOT_NULL(objects[i]);
        memset(objects[i], 1, 64);
    }
}

static void drain(size_t first, size_t step)
{
    for (size_t i = first; i < OBJECTS; i += step) {
        memkind_arena_free(&file_kind, objects[i]);
        objects[i] = NULL;
    }
    CHECK_EQ(memkind_purge_kind(&file_kind), 0);
}

static void test_what_is_committed(void)
{
    REQUIRE(make_file_kind());
    void *object = memkind_arena_malloc(&file_kind, MIB);
    if (!is_dumped(object)) { /* DAX */
        CHECK_EQ(dumped_of(&file_kind).bytes, 0);
        destroy_file_kind();
        return;
    }
    check_dump(true);
    void *large = memkind_arena_malloc(&file_kind, 8 * MIB);
    CHECK(is_dumped(large));
    check_dump(true);
    memkind_arena_free(&file_kind, object);
    CHECK_EQ(memkind_purge_kind(&file_kind), 0);
    check_dump(true);
    CHECK(is_dumped(large));
    memkind_arena_free(&file_kind, large);
    CHECK_EQ(memkind_purge_kind(&file_kind), 0);
    check_dump(true);
    destroy_file_kind();
}

/* Every other page free: more ranges than there may be mappings for. */
static void test_many_ranges(void)
{
    REQUIRE(make_file_kind());
    fill(0, 1);
    check_dump(true);
    drain(0, 2);
    check_dump(false);
    fill(0, 4);
    check_dump(false);
    drain(1, 2);
    check_dump(false);
    fill(1, 2);
    check_dump(false);
    drain(0, 1);
    check_dump(false);
    fill(0, 1);
    check_dump(false);
    /* What went with many ranges comes back with few. */
    drain(0, 1);
    void *object = memkind_arena_malloc(&file_kind, MIB);
    struct dumped dumped = dumped_of(&file_kind);
    CHECK(dumped.bytes == 0 || is_dumped(object));
    destroy_file_kind();
}

/* ---- cores ------------------------------------------------------------- */

static const char secret[] = "what only an object of the kind has in it: ";

/* Bytes that are in memory in a kind alone: they are made where they lie. */
static void write_secret(char *object)
{
    for (size_t i = 0; i < 100; i++)
        for (size_t j = 0; j < sizeof secret - 1; j++)
            object[i * (sizeof secret - 1) + j] = (char)(secret[j] ^ 0x55);
}

static bool has_secret(const char *path)
{
    char wanted[sizeof secret - 1];
    for (size_t j = 0; j < sizeof wanted; j++)
        wanted[j] = (char)(secret[j] ^ 0x55);
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool found = false;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
        size_t size = (size_t)st.st_size;
        void *core = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (core != MAP_FAILED) {
            found = memmem(core, size, wanted, sizeof wanted) != NULL;
            munmap(core, size);
        }
    }
    if (fd >= 0)
        close(fd);
    return found;
}

/* A folder for cores, and the path of the one that is in it. */
static char folder[] = "/tmp/memkind_cores.XXXXXX";

static bool find_core(char *path, size_t size)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    bool found = false;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] == 'c') {
            snprintf(path, size, "%s/%s", folder, entry->d_name);
            found = true;
        }
    if (dir != NULL)
        closedir(dir);
    return found;
}

struct crash {
    bool dump_objects;
    int policy; /* of the child that crashes; -1: the process itself does */
};

/* Memory on DAX is left out otherwise. */
static void let_dax_be_dumped(void)
{
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    ssize_t written = fd >= 0 ? write(fd, "0x133", 5) : 0;
    (void)written;
    if (fd >= 0)
        close(fd);
}

static int crashes(void *argument)
{
    const struct crash *crash = argument;
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    NEED(setrlimit(RLIMIT_CORE, &all) == 0);
    let_dax_be_dumped();
    signal(SIGABRT, SIG_DFL);
    memkind_t kind =
        kind_make(.core_dump = crash->dump_objects,
                  .fork = crash->policy < 0
                              ? MEMKIND_FORK_PRIVATE
                              : (memkind_fork_policy)crash->policy);
    char *object = memkind_malloc(kind, MIB);
    NEED(object != NULL);
    memset(object, 1, MIB);
    size_t space = test_file_space();
    pid_t pid = fork();
    if (pid == 0) {
        /* What a child has allocated itself. */
        char *own = crash->policy < 0 ? object : memkind_malloc(kind, MIB);
        if (own != NULL)
            write_secret(own);
        if (chdir(folder) == 0)
            abort();
        _exit(1);
    }
    int status = 0;
    NEED(waitpid(pid, &status, 0) == pid);
    NEED(WIFSIGNALED(status));
    if (!WCOREDUMP(status))
        return 77;
    NEED(test_file_space() == space || crash->policy == MEMKIND_FORK_SHARED);
    memkind_destroy_kind(kind);
    return 0;
}

static void crash_with(bool dump_objects, int policy, bool expected)
{
    char path[512];
    struct stat st;
    struct crash crash = {dump_objects, policy};
    int result = child_run_with(crashes, &crash);
    bool found = find_core(path, sizeof path);
    if (result == 77 || (result == 0 && !found)) {
        puts("skipped: the kernel does not write a core here");
        return;
    }
    CHECK_EQ(result, 0);
    if (!found)
        return;
    CHECK_EQ(has_secret(path), expected);
    CHECK_EQ(stat(path, &st), 0);
    /* Some 30 MiB are the process's own memory, if it has large pages; a kind
     * that was dumped as it is mapped would add gigabytes. */
    CHECK_LT((size_t)st.st_blocks * 512, 64 * MIB);
    CHECK_LT((size_t)st.st_size, 512 * MIB);
    unlink(path);
}

static const char pattern_file[] = "/proc/sys/kernel/core_pattern";

static bool set_pattern(const char *pattern)
{
    int fd = open(pattern_file, O_WRONLY | O_CLOEXEC);
    bool set = fd >= 0 &&
               write(fd, pattern, strlen(pattern)) == (ssize_t)strlen(pattern);
    if (fd >= 0)
        close(fd);
    return set;
}

static bool get_pattern(char *pattern, size_t size)
{
    FILE *f = fopen(pattern_file, "r");
    bool got = f != NULL && fgets(pattern, (int)size, f) != NULL;
    if (f != NULL)
        fclose(f);
    return got;
}

/* Not on DAX, to some kernels. */
static bool objects_can_be_dumped(void)
{
    memkind_t kind = kind_make(.core_dump = true, .fork = MEMKIND_FORK_PRIVATE);
    bool can = is_dumped(memkind_malloc(kind, MIB));
    memkind_destroy_kind(kind);
    return can;
}

static void test_cores(void)
{
    char pattern[256];
    bool can = objects_can_be_dumped();
    if (SANITIZED || !get_pattern(pattern, sizeof pattern) ||
        (strcmp(pattern, "core\n") != 0 && !set_pattern("core"))) {
        puts("skipped: core_pattern cannot be set");
        return;
    }
    REQUIRE_NOT_NULL(mkdtemp(folder));
    crash_with(false, -1, false);
    crash_with(false, MEMKIND_FORK_PRIVATE, false);
    crash_with(false, MEMKIND_FORK_COPY, false);
    crash_with(true, MEMKIND_FORK_PRIVATE, true);
    crash_with(true, MEMKIND_FORK_COPY, true);
    crash_with(true, MEMKIND_FORK_SHARED, can);
    if (strcmp(pattern, "core\n") != 0)
        CHECK(set_pattern(pattern));
    rmdir(folder);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
}

/* ---- gcore, of a process that goes on ---------------------------------- */

static int dump_by_gcore(void *dump_objects)
{
    char command[256];
    memkind_t kind = kind_make(.core_dump = dump_objects != NULL,
                               .fork = MEMKIND_FORK_PRIVATE);
    char *object = memkind_malloc(kind, MIB);
    NEED(object != NULL);
    write_secret(object);
    size_t space = test_file_space();
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    let_dax_be_dumped();
    snprintf(command, sizeof command, "gcore -o %s/core %d >/dev/null 2>&1",
             folder, (int)getpid());
    NEED(system(command) == 0);
    NEED(test_file_space() == space);
    memkind_destroy_kind(kind);
    return 0;
}

static void test_gcore(void)
{
    if (SANITIZED || system("command -v gcore >/dev/null") != 0) {
        puts("skipped: no gcore");
        return;
    }
    bool can = objects_can_be_dumped();
    REQUIRE_NOT_NULL(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        char path[512];
        struct stat st;
        CHECK_EQ(child_run_with(dump_by_gcore, i == 0 ? NULL : "yes"), 0);
        REQUIRE(find_core(path, sizeof path));
        CHECK_EQ(has_secret(path), i == 1 && can);
        CHECK(stat(path, &st) == 0 && st.st_size < (off_t)(512 * MIB));
        unlink(path);
    }
    rmdir(folder);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"nothing by default", test_nothing_by_default},
        {"kinds of DRAM", test_kinds_of_dram},
        {"a config has children dump", test_a_config_has_children_dump},
        {"the environment", test_the_environment},
        {"what is committed", test_what_is_committed},
        {"many ranges", test_many_ranges},
        {"cores", test_cores},
        {"gcore", test_gcore},
        {NULL, NULL},
    };
    return test_main("core_dump", tests, argc, argv);
}
