/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What SECURITY.md promises: files without names, for their owner alone, that
 * no other program inherits; and no data of others in what is handed out. With
 * the file system's unnamed files, and without.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_calls.h"
#include "layer_test.h"
#include "sys_calls.h"
#include "test_child.h"

#define NOBODY 65534

static const struct fault_world worlds[] = {
    {.no_tmpfile = false},
    {.no_tmpfile = true},
};
#define WORLDS (sizeof worlds / sizeof worlds[0])

/* The directory itself may be open, for nothing but to make files in it. */
static bool is_directory(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode))
        return false;
    CHECK(fcntl(fd, F_GETFL) & O_PATH);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    return true;
}

/* Calls `visit` with each descriptor of a file in the suite's directory. */
static unsigned for_each_file(void (*visit)(int fd))
{
    unsigned count = 0;
    for (int fd = 3; fd < 256; fd++) {
        char link[64], target[4096];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = '\0';
        if (strncmp(target, test_dir(), strlen(test_dir())) != 0 ||
            is_directory(fd))
            continue;
        visit(fd);
        count++;
    }
    return count;
}

static unsigned entries(void)
{
    unsigned count = 0;
    DIR *dir = opendir(test_dir());
    REQUIRE_NOT_NULL(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

/* ---- files ------------------------------------------------------------- */

static void check_file(int fd)
{
    char path[64];
    struct stat st;
    REQUIRE_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0600);
    CHECK_EQ(st.st_uid, geteuid());
    CHECK_EQ(st.st_nlink, 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    /* The file cannot be given a name. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_NE(
        linkat(AT_FDCWD, path, AT_FDCWD, test_path("named"), AT_SYMLINK_FOLLOW),
        0);
}

static void test_files_are_private(void)
{
    static const mode_t masks[] = {0, 022, 0777};
    for (size_t world = 0; world < WORLDS; world++) {
        fault_install(worlds[world]);
        for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
            memkind_t kind;
            mode_t before = umask(masks[i]);
            REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind),
                       MEMKIND_SUCCESS);
            CHECK_NOT_NULL(memkind_malloc(kind, 5 * MIB));
            CHECK_EQ(entries(), 0);
            CHECK_EQ(for_each_file(check_file), 1);
            CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
            CHECK_EQ(umask(before), masks[i]);
        }
        fault_remove();
    }
}

static void test_other_programs_inherit_nothing(void)
{
    char line[5000];
    unsigned ours = 0, all = 0;
    memkind_t kind;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 0, &kind), MEMKIND_SUCCESS);
    FILE *list = popen("ls -l /proc/self/fd/", "r");
    REQUIRE_NOT_NULL(list);
    while (fgets(line, sizeof line, list) != NULL) {
        all++;
        ours += strstr(line, test_dir()) != NULL;
    }
    pclose(list);
    CHECK_GE(all, 3);
    CHECK_EQ(ours, 0);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- a directory that anyone can write to ------------------------------ */

static char victim[4200];

/* An attacker gets hold of the file before it is unlinked, and puts a link to
 * another one of ours in its place. */
static int unlink_too_late(int dir, const char *name, int flags)
{
    CHECK_EQ(renameat(dir, name, dir, "stolen"), 0);
    CHECK_EQ(symlinkat(victim, dir, name), 0);
    return unlinkat(dir, name, flags);
}

static void test_symlinks_are_not_followed(void)
{
    char text[32] = "";
    struct stat st;
    memkind_t kind;
    snprintf(victim, sizeof victim, "%s/victim", test_dir());
    int fd = open(victim, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    CHECK_EQ(write(fd, "as it was", 9), 9);
    fault_install(worlds[1]);
    sys.unlinkat = unlink_too_late;
    REQUIRE_EQ(memkind_create_pmem(test_dir(), 16 * MIB, &kind),
               MEMKIND_SUCCESS);
    char *object = memkind_malloc(kind, MIB);
    REQUIRE_NOT_NULL(object);
    test_fill(object, MIB, 1);
    /* What was stolen can be read by no other user. */
    CHECK_EQ(stat(test_path("stolen"), &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0600);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_nlink, 1);
    CHECK_EQ(st.st_size, 9);
    CHECK_EQ(pread(fd, text, sizeof text, 0), 9);
    CHECK_STR(text, "as it was");
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    fault_remove();
    unlink(test_path("stolen"));
    unlink(victim);
    close(fd);
}

/* ---- data of others ---------------------------------------------------- */

#define SECRET "what nobody else may see, 0123456789"

static void write_secrets(memkind_t kind, size_t size)
{
    char *object;
    while ((object = memkind_malloc(kind, size)) != NULL)
        for (size_t at = 0; at + sizeof SECRET <= size; at += 512)
            memcpy(object + at, SECRET, sizeof SECRET);
}

static void test_no_old_data(void)
{
    static const struct fault_world places[] = {{.no_tmpfile = false},
                                                {.no_fallocate = true},
                                                {.no_punch = true},
                                                {.no_libpmem = true},
                                                {.pmem = true}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        memkind_t kind;
        unsigned secrets = 0;
        fault_install(places[i]);
        REQUIRE_EQ(memkind_create_pmem(test_dir(), 32 * MIB, &kind),
                   MEMKIND_SUCCESS);
        write_secrets(kind, 10000);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        REQUIRE_EQ(memkind_create_pmem(test_dir(), 32 * MIB, &kind),
                   MEMKIND_SUCCESS);
        for (size_t size = 100; size < 4 * MIB; size = size * 3 / 2) {
            char *object = memkind_malloc(kind, size);
            if (object != NULL)
                secrets += memmem(object, size, SECRET, 20) != NULL;
        }
        CHECK_EQ(secrets, 0);
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        fault_remove();
    }
}

/* What was the program's is the program's, before and after. */
static void test_buffers_are_the_callers(void)
{
    const size_t size = 16 * MIB;
    memkind_t kind;
    char *buffer = mmap(NULL, size + 8192, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE_NE(buffer, MAP_FAILED);
    memset(buffer, 0x11, size + 8192);
    REQUIRE_EQ(memkind_create_fixed(buffer + 4096, size, &kind),
               MEMKIND_SUCCESS);
    write_secrets(kind, 5000);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(buffer[4095], 0x11);
    CHECK_EQ(buffer[4096 + size], 0x11);
    CHECK_NOT_NULL(memmem(buffer, size, SECRET, 20));
    munmap(buffer, size + 8192);
}

/* ---- sizes ------------------------------------------------------------- */

static void test_sizes_do_not_overflow(void)
{
    memkind_t kind;
    /* As limits of kinds: they are no less than what they say. */
    for (unsigned bit = 40; bit < 64; bit++)
        for (int more = -1; more <= 1; more++) {
            size_t size = ((size_t)1 << bit) + (size_t)more;
            REQUIRE_EQ(memkind_create_pmem(test_dir(), size, &kind),
                       MEMKIND_SUCCESS);
            void *object = memkind_malloc(kind, 40 * MIB);
            CHECK_NOT_NULL(object);
            CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        }
    REQUIRE_EQ(memkind_create_pmem(test_dir(), SIZE_MAX, &kind),
               MEMKIND_SUCCESS);
    for (size_t less = 0; less < 70000; less += 1 + less / 3) {
        void *object = NULL;
        errno = 0;
        CHECK_NULL(memkind_malloc(kind, SIZE_MAX - less));
        CHECK_EQ(errno, ENOMEM);
        CHECK_NULL(memkind_calloc(kind, 1, SIZE_MAX - less));
        CHECK_NULL(memkind_calloc(kind, SIZE_MAX / 2 + 1 + less, 2));
        CHECK_NULL(memkind_realloc(kind, NULL, SIZE_MAX - less));
        CHECK_EQ(memkind_posix_memalign(kind, &object, 64, SIZE_MAX - less),
                 ENOMEM);
        CHECK_EQ(memkind_posix_memalign(kind, &object, (size_t)1 << 63,
                                        SIZE_MAX - less),
                 ENOMEM);
        CHECK_EQ(
            memkind_posix_memalign(kind, &object, (size_t)1 << 63, 1 + less),
            ENOMEM);
        CHECK_EQ(memkind_pmem_mmap(kind, NULL, SIZE_MAX - less), MAP_FAILED);
        CHECK_EQ(memkind_create_fixed((void *)&kind, SIZE_MAX - less,
                                      (memkind_t[]){NULL}),
                 MEMKIND_ERROR_INVALID);
    }
    char *object = memkind_malloc(kind, 100);
    CHECK_EQ(memkind_pmem_persist(kind, object, SIZE_MAX - 10),
             MEMKIND_ERROR_INVALID);
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

/* ---- set-uid programs -------------------------------------------------- */

static int in_set_uid_program(void)
{
    memkind_t kind;
    /* A bad value would be an error. */
    int err = memkind_create_pmem("/dev/shm", 16 * MIB, &kind);
    if (err != MEMKIND_SUCCESS)
        return 1;
    /* Nothing has been printed, either. */
    memkind_free(kind, &kind);
    return memkind_destroy_kind(kind) == MEMKIND_SUCCESS ? 0 : 2;
}

static bool copy_program(const char *path, mode_t mode)
{
    char buffer[1 << 16];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    bool right = from >= 0 && to >= 0;
    for (ssize_t n; right && (n = read(from, buffer, sizeof buffer)) > 0;)
        right = write(to, buffer, (size_t)n) == n;
    right = right && fchmod(to, mode) == 0;
    close(from);
    close(to);
    return right;
}

/* Runs the copy as another user. Returns its exit status, and what it wrote. */
static int run_as_nobody(const char *path, off_t *written)
{
    int log = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    struct stat st = {0};
    pid_t child = fork();
    if (child == 0) {
        dup2(log, STDERR_FILENO);
        setenv("MEMKIND_DEBUG", "1", 1);
        setenv("MEMKIND_ARENA_NUM_PER_KIND", "nonsense", 1);
        if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
            _exit(90);
        execl(path, "set-uid", NULL);
        _exit(91);
    }
    const int status = child_wait(child);
    CHECK_EQ(fstat(log, &st), 0);
    close(log);
    *written = st.st_size;
    return status;
}

static void test_environment_of_set_uid_programs(void)
{
    off_t written = 0;
    const char *path = test_path("program");
    if (geteuid() != 0) {
        printf("skipped: only root can make set-uid programs ");
        return;
    }
    CHECK_EQ(chmod(test_dir(), 0755), 0);
    /* Without the bit, the environment counts. */
    REQUIRE(copy_program(path, 0755));
    CHECK_EQ(run_as_nobody(path, &written), 1);
    CHECK_GT(written, 0);
    CHECK_EQ(chmod(path, 04755), 0);
    CHECK_EQ(run_as_nobody(path, &written), 0);
    CHECK_EQ(written, 0);
    unlink(path);
}

static const struct test_case tests[] = {
    {"files are private", test_files_are_private},
    {"other programs inherit nothing", test_other_programs_inherit_nothing},
    {"symlinks are not followed", test_symlinks_are_not_followed},
    {"no old data", test_no_old_data},
    {"buffers are the caller's", test_buffers_are_the_callers},
    {"sizes do not overflow", test_sizes_do_not_overflow},
    {"set-uid programs", test_environment_of_set_uid_programs},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "set-uid") == 0)
        return in_set_uid_program();
    return test_main("security", tests, argc, argv);
}
