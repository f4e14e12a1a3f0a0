/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind_next_descriptor() and memkind_set_least_descriptor(): a program can
 * leave the descriptors of kinds open, and say which numbers they have. */
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_pmem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

enum { FIRST = STDERR_FILENO + 1, NUMBERS = 4096, LEAST = 200 };

static const size_t size = 100000;

static memkind_t make_kind(memkind_fork_policy policy)
{
    memkind_t made = NULL;
    const struct kind_settings settings = {.fork = policy};
    return kind_try(&settings, &made) == MEMKIND_SUCCESS ? made : NULL;
}

static int count_kept(void)
{
    int count = 0;
    for (int fd = 0; (fd = memkind_next_descriptor(fd, NUMBERS)) >= 0; fd++)
        count++;
    return count;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* Closes what is open, apart from the standard descriptors and the kinds'. */
static void close_unknown(void)
{
    for (int fd = FIRST; fd < NUMBERS; fd++)
        if (memkind_next_descriptor(fd, fd) < 0)
            close(fd);
}

/* ---- in children -------------------------------------------------------- */

static memkind_t kind;
static unsigned char *object;

static int use_as_child(void)
{
    NEED(test_check(object, size, 3));
    test_fill(object, size, 4);
    unsigned char *other = memkind_malloc(kind, size);
    NEED(other != NULL);
    test_fill(other, size, 5);
    NEED(test_check(object, size, 4));
    memkind_free(kind, other);
    return 0;
}

static int daemon_with(memkind_fork_policy policy)
{
    kind = make_kind(policy);
    NEED(kind != NULL);
    object = memkind_malloc(kind, size);
    NEED(object != NULL);
    test_fill(object, size, 3);
    const int others = dup(STDIN_FILENO);
    const int kept = count_kept();
    NEED(kept >= 2); /* a file and its directory */
    close_unknown();
    NEED(!is_open(others) && count_kept() == kept);
    for (int i = 0; i < 3; i++)
        NEED(child_run(use_as_child) == 0);
    NEED(test_check(object, size, 3));
    return 0;
}

static int daemon_of_each_policy(void)
{
    static const memkind_fork_policy policies[] = {
        MEMKIND_FORK_PRIVATE, MEMKIND_FORK_COPY, MEMKIND_FORK_SNAPSHOT};
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
        NEED(daemon_with(policies[i]) == 0);
    return 0;
}

/* ---- which they are ----------------------------------------------------- */

static void test_known(void)
{
    errno = 33;
    const int before = count_kept();
    memkind_t one = kind_make(.fork = MEMKIND_FORK_PRIVATE);
    CHECK(count_kept() >= before + 1);
    for (int fd = 0; fd < NUMBERS; fd++)
        CHECK(memkind_next_descriptor(fd, fd) < 0 || is_open(fd));
    CHECK_EQ(memkind_next_descriptor(0, STDERR_FILENO), -1);
    const int first = memkind_next_descriptor(FIRST, NUMBERS);
    CHECK_EQ(memkind_next_descriptor(-5, NUMBERS), first);
    CHECK_EQ(memkind_next_descriptor(-5, first - 1), -1);
    CHECK_EQ(memkind_next_descriptor(first, first), first);
    CHECK_EQ(memkind_next_descriptor(first + 1, first), -1);
    CHECK_EQ(memkind_next_descriptor(NUMBERS, 2 * NUMBERS), -1);
    CHECK_EQ(errno, 33);
    kind_destroy(one);
    CHECK_EQ(count_kept(), before);
}

/* A number that the program has taken is the program's, whatever it leads to:
 * another device, a file of the same one, or the kind's directory. */
static void take(int taken, int fd, int kept)
{
    REQUIRE_GE(fd, 0);
    CHECK_EQ(dup2(fd, taken), taken);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(memkind_next_descriptor(taken, taken), -1);
    CHECK_EQ(count_kept(), kept - 1);
}

static void test_taken(void)
{
    memkind_t one = kind_make(.fork = MEMKIND_FORK_PRIVATE);
    const int kept = count_kept();
    const int taken = memkind_next_descriptor(FIRST, NUMBERS);
    REQUIRE_GE(taken, FIRST);
    take(taken, open("/dev/null", O_RDONLY), kept);
    take(taken, open(test_dir(), O_RDONLY | O_DIRECTORY), kept);
    take(taken, open(test_path("file"), O_CREAT | O_RDWR, 0600), kept);
    CHECK_EQ(unlink(test_path("file")), 0);
    kind_destroy(one);
    CHECK(is_open(taken));
    CHECK_EQ(close(taken), 0);
}

/* Numbers of a kind that is gone mean nothing, even if the program opens its
 * directory as the library does. */
static void test_gone(void)
{
    const int before = count_kept();
    int fds[4];
    kind_destroy(kind_make(.fork = MEMKIND_FORK_PRIVATE));
    for (int i = 0; i < 4; i++) {
        fds[i] = open(test_dir(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        CHECK_EQ(memkind_next_descriptor(fds[i], fds[i]), -1);
    }
    CHECK_EQ(count_kept(), before);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(close(fds[i]), 0);
}

/* A kind has a copy of a caller's descriptor: that is the library's. */
static void test_callers(void)
{
    static struct memkind in_file;
    const int before = count_kept();
    const int file = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE_GE(file, 0);
    const struct memkind_pmem_source source = {.fd = file};
    CHECK_EQ(memkind_pmem_set_source(&in_file, &source), MEMKIND_SUCCESS);
    REQUIRE_EQ(memkind_pmem_create(&in_file, &MEMKIND_PMEM_OPS, "in_file"),
               MEMKIND_SUCCESS);
    CHECK_EQ(count_kept(), before + 1);
    CHECK_EQ(memkind_next_descriptor(file, file), -1);
    CHECK_EQ(close(file), 0);
    CHECK_EQ(memkind_pmem_destroy(&in_file), MEMKIND_SUCCESS);
    CHECK_EQ(count_kept(), before);
}

static void test_daemon(void)
{
    CHECK_EQ(child_run(daemon_of_each_policy), 0);
}

/* ---- which numbers they have -------------------------------------------- */

static void test_refused(void)
{
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    static const int standard[] = {-1, 0, STDERR_FILENO};
    errno = 33;
    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
        CHECK_EQ(memkind_set_least_descriptor(standard[i]),
                 MEMKIND_ERROR_INVALID);
    CHECK(strstr(memkind_last_error(), "standard") != NULL);
    if (limit.rlim_cur <= INT32_MAX) {
        CHECK_EQ(memkind_set_least_descriptor((int)limit.rlim_cur),
                 MEMKIND_ERROR_INVALID);
        CHECK(strstr(memkind_last_error(), "RLIMIT_NOFILE") != NULL);
    }
    CHECK_EQ(errno, 33);
}

/* In a child: what is set stays. */
static int kinds_from_least(void)
{
    struct rlimit limit = {LEAST + 3, LEAST + 3};
    NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    NEED(memkind_set_least_descriptor(LEAST + 3) == MEMKIND_ERROR_INVALID);
    NEED(memkind_set_least_descriptor(LEAST) == MEMKIND_SUCCESS);
    const int before = count_kept();
    memkind_t one = make_kind(MEMKIND_FORK_SNAPSHOT);
    NEED(one != NULL);
    NEED(memkind_next_descriptor(0, LEAST - 1) < 0 || before > 0);
    NEED(is_open(LEAST) && memkind_next_descriptor(LEAST, LEAST) == LEAST);
    /* There is no room for others: they get lower numbers. */
    memkind_t others[4];
    for (int i = 0; i < 4; i++) {
        others[i] = make_kind(MEMKIND_FORK_PRIVATE);
        NEED(others[i] != NULL);
        NEED(memkind_malloc(others[i], size) != NULL);
    }
    NEED(memkind_next_descriptor(FIRST, LEAST - 1) >= 0);
    /* The process may not have any from there on, either. */
    limit = (struct rlimit){LEAST / 2, LEAST / 2};
    NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    memkind_t last = make_kind(MEMKIND_FORK_PRIVATE);
    NEED(last != NULL && memkind_malloc(last, size) != NULL);
    NEED(memkind_destroy_kind(last) == MEMKIND_SUCCESS);
    for (int i = 0; i < 4; i++)
        NEED(memkind_destroy_kind(others[i]) == MEMKIND_SUCCESS);
    NEED(memkind_destroy_kind(one) == MEMKIND_SUCCESS);
    return 0;
}

static void test_least(void)
{
    CHECK_EQ(child_run(kinds_from_least), 0);
}

int main(int argc, char **argv)
{
    static const struct test_case tests[] = {
        {"a kind's descriptors are known", test_known},
        {"a number that the program has taken", test_taken},
        {"numbers of a kind that is gone", test_gone},
        {"a caller's descriptor", test_callers},
        {"a program that closes what it does not know forks", test_daemon},
        {"numbers that cannot be", test_refused},
        {"the least number", test_least},
        {NULL, NULL},
    };
    return test_main("kept descriptors", tests, argc, argv);
}
