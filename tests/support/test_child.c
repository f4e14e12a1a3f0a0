/* SPDX-License-Identifier: BSD-2-Clause */
#include "test_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SECONDS 300

static FILE *report;

int child_lacks(const char *file, int line, const char *condition)
{
    const int error = errno;
    FILE *to = report != NULL ? report : stderr;
    fprintf(to, "\n%s:%d: not so in the child: %s (errno %d)\n", file, line,
            condition, error);
    fflush(to);
    errno = error;
    return 1;
}

void child_report_to(FILE *to)
{
    report = to;
}

/* ---- children ---------------------------------------------------------- */

pid_t child_start(int (*run)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS); /* a deadlock ends, too */
        _exit(run());
    }
    return child;
}

int child_wait(pid_t child)
{
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status)
                             : CHILD_KILLED + WTERMSIG(status);
}

int child_run(int (*run)(void))
{
    return child_wait(child_start(run));
}

static struct {
    int (*run)(void *);
    void *argument;
} job;

static int run_job(void)
{
    return job.run(job.argument);
}

int child_run_with(int (*run)(void *), void *argument)
{
    job.run = run;
    job.argument = argument;
    return child_run(run_job);
}

/* ---- scenarios --------------------------------------------------------- */

bool scenario_is_asked_for(int argc, char **argv)
{
    return argc == 3 && strcmp(argv[0], "scenario") == 0;
}

int scenario_main(const struct scenario *scenarios, size_t count,
                  const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return scenarios[i].run();
    fprintf(stderr, "no scenario \"%s\"\n", name);
    return 1;
}

int scenario_run(const char *name, const char *directory,
                 int (*prepare)(const char *name))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        const int status = prepare != NULL ? prepare(name) : 0;
        if (status != 0)
            _exit(status);
        execl("/proc/self/exe", "scenario", name, directory, (char *)NULL);
        _exit(1);
    }
    return child_wait(child);
}

bool scenario_check(const char *name, int status)
{
    if (status == TEST_SKIPPED) {
        printf("skipped: %s cannot be had here ", name);
        test_is_skipped();
    } else if (status >= CHILD_KILLED)
        printf("%s: killed by signal %d ", name, status - CHILD_KILLED);
    if (status != TEST_SKIPPED)
        CHECK_EQ(status, 0);
    return status == 0;
}

bool system_call_forbid(unsigned number)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           /* for all threads that exist */
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                   SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

/* ---- file systems of a child ------------------------------------------- */

bool mounts_become_own(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

bool mount_tmpfs(const char *place, const char *options)
{
    return mount("none", place, "tmpfs", 0, options) == 0;
}

bool mount_image(const char *make, const char *image, size_t size,
                 const char *options, const char *place)
{
    static char command[16384];
    int fd = open(image, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    const bool made = ftruncate(fd, (off_t)size) == 0;
    close(fd);
    snprintf(command, sizeof command,
             "{ %s %s && mount -o loop%s %s %s; } >/dev/null 2>&1", make, image,
             options, image, place);
    return made && system(command) == 0;
}
