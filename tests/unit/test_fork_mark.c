/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether any child, or a child of one, may still look: who has the mark, and
 * what is said if that cannot be found out. */
#include "fork_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layer_test.h"
#include "sys_calls.h"
#include "test_child.h"

static struct sys_calls real;

/* What fork() does by way of region_fork.c, as if there were a pool. */
static pid_t fork_with_mark(int *word)
{
    int ends[2];
    char byte;
    REQUIRE_EQ(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    REQUIRE(fork_mark_prepare());
    CHECK(fork_mark_is_held());
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(100);
        fork_mark_child();
        close(ends[1]);
        _exit(!fork_mark_is_held() && read(ends[0], &byte, 1) == 1 ? 0 : 1);
    }
    fork_mark_parent();
    close(ends[0]);
    *word = ends[1];
    return child;
}

static void end_child(pid_t child, int word)
{
    CHECK_EQ(write(word, "", 1), 1);
    close(word);
    CHECK_EQ(child_wait(child), 0);
}

static void begin(void)
{
    REQUIRE_EQ(fork_mark_probe(), 0);
    CHECK(!fork_mark_is_held_now());
    real = sys;
}

static void test_a_child_has_it(void)
{
    int word;
    begin();
    errno = 77;
    pid_t child = fork_with_mark(&word);
    CHECK(fork_mark_is_held());
    CHECK(fork_mark_is_held_now());
    end_child(child, word);
    errno = 77;
    CHECK(!fork_mark_is_held_now());
    CHECK(!fork_mark_is_held());
    CHECK_EQ(errno, 77);
}

static void test_the_last_of_several(void)
{
    int words[3];
    pid_t children[3];
    begin();
    for (int i = 0; i < 3; i++)
        children[i] = fork_with_mark(&words[i]);
    end_child(children[1], words[1]);
    CHECK(fork_mark_is_held_now());
    end_child(children[0], words[0]);
    CHECK(fork_mark_is_held_now());
    end_child(children[2], words[2]);
    CHECK(!fork_mark_is_held_now());
}

static void test_a_child_is_killed(void)
{
    int word;
    begin();
    pid_t child = fork_with_mark(&word);
    kill(child, SIGKILL);
    CHECK_EQ(child_wait(child), CHILD_KILLED + SIGKILL);
    close(word);
    CHECK(!fork_mark_is_held_now());
}

/* Another program has no mapping of it. */
static void test_a_child_executes(void)
{
    int gone[2];
    char byte;
    begin();
    REQUIRE_EQ(pipe2(gone, O_CLOEXEC), 0);
    fflush(NULL);
    REQUIRE(fork_mark_prepare());
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        fork_mark_child();
        execl("/bin/sleep", "sleep", "100", (char *)NULL);
        _exit(127);
    }
    fork_mark_parent();
    close(gone[1]);
    CHECK_EQ(read(gone[0], &byte, 1), 0); /* execve() has closed it */
    close(gone[0]);
    CHECK(!fork_mark_is_held_now());
    kill(child, SIGKILL);
    (void)child_wait(child);
}

/* A fork that has failed leaves nothing. */
static void test_no_child(void)
{
    struct test_resources before, after;
    begin();
    layer_resources_take(&before);
    REQUIRE(fork_mark_prepare());
    CHECK(fork_mark_is_held_now());
    fork_mark_parent();
    CHECK(!fork_mark_is_held_now());
    layer_resources_take(&after);
    CHECK_EQ(after.fds, before.fds);
    if (COUNT_MAPPINGS)
        CHECK_EQ(after.maps, before.maps);
}

/* ---- what cannot be done ------------------------------------------------ */

static int no_memfd(const char *name, unsigned flags)
{
    (void)name, (void)flags;
    errno = EMFILE;
    return -1;
}

static int old_memfd(const char *name, unsigned flags)
{
    if ((flags & ~(unsigned)3) != 0) {
        errno = EINVAL;
        return -1;
    }
    return real.memfd_create(name, flags);
}

static void *no_mmap(void *addr, size_t len, int prot, int flags, int fd,
                     off_t offset)
{
    (void)addr, (void)len, (void)prot, (void)flags, (void)fd, (void)offset;
    errno = ENOMEM;
    return MAP_FAILED;
}

static int no_seals(int fd, int seals)
{
    (void)fd, (void)seals;
    errno = EPERM;
    return -1;
}

static int no_munmap(void *addr, size_t len)
{
    (void)addr, (void)len;
    errno = ENOMEM;
    return -1;
}

static void test_it_cannot_be_made(void)
{
    begin();
    sys.mmap = no_mmap;
    CHECK(!fork_mark_prepare());
    fork_mark_parent();
    sys = real;
    CHECK(!fork_mark_is_held_now());
    /* The file is there already. */
    sys.memfd_create = no_memfd;
    CHECK_EQ(fork_mark_probe(), -EMFILE);
    CHECK(fork_mark_prepare());
    fork_mark_parent();
    CHECK(!fork_mark_is_held_now());
    /* No new one could be made after that question. */
    CHECK(!fork_mark_prepare());
    fork_mark_parent();
    sys = real;
    CHECK(fork_mark_prepare());
    fork_mark_parent();
    CHECK(!fork_mark_is_held_now());
}

static void test_an_old_system(void)
{
    begin();
    sys.memfd_create = old_memfd;
    CHECK_EQ(fork_mark_probe(), 0);
    sys = real;
}

/* What is not known is taken for a child. */
static void test_it_is_not_known(void)
{
    begin();
    REQUIRE(fork_mark_prepare());
    fork_mark_parent();
    sys.add_seals = no_seals;
    CHECK_EQ(fork_mark_probe(), -EPERM);
    CHECK(fork_mark_is_held_now());
    sys = real;
    CHECK(!fork_mark_is_held_now());
    REQUIRE(fork_mark_prepare());
    sys.munmap = no_munmap;
    fork_mark_parent();
    CHECK(fork_mark_is_held_now());
    sys = real;
    CHECK(!fork_mark_is_held_now());
}

/* ---- descriptors that the program closes -------------------------------- */

static int mark_number; /* of the last file that was made */

static int noting_memfd(const char *name, unsigned flags)
{
    mark_number = real.memfd_create(name, flags);
    return mark_number;
}

/* Without a child, another file does as well. With one, it is not known any
 * more whether that has ended. */
static int program_closes_it(void)
{
    int word;
    sys.memfd_create = noting_memfd;
    NEED(fork_mark_prepare());
    fork_mark_parent();
    NEED(!fork_mark_is_held_now()); /* which makes a file */
    NEED(mark_number > STDERR_FILENO);
    close(mark_number);
    /* The number is the program's now. */
    NEED(open("/dev/null", O_RDONLY) == mark_number);
    pid_t child = fork_with_mark(&word);
    NEED(fcntl(mark_number, F_GETFD) >= 0);
    NEED(fork_mark_is_held_now());
    end_child(child, word);
    NEED(!fork_mark_is_held_now());
    child = fork_with_mark(&word);
    for (int fd = 3; fd < 100; fd++)
        if (fd != word)
            close(fd);
    NEED(fork_mark_is_held_now());
    end_child(child, word);
    NEED(fork_mark_is_held_now());
    return 0;
}

static void test_the_program_closes_it(void)
{
    begin();
    CHECK_EQ(child_run(program_closes_it), 0);
}

static const struct test_case tests[] = {
    {"a child has it", test_a_child_has_it},
    {"the last of several", test_the_last_of_several},
    {"a child is killed", test_a_child_is_killed},
    {"a child executes", test_a_child_executes},
    {"no child", test_no_child},
    {"it cannot be made", test_it_cannot_be_made},
    {"an old system", test_an_old_system},
    {"it is not known", test_it_is_not_known},
    {"the program closes it", test_the_program_closes_it},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("marks of forked children", tests, argc, argv);
}
