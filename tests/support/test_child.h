/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests do in processes of their own: children that fork() makes, and
 * scenarios, for which a suite's program is executed once more.
 */
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "test_support.h"

/* In a function of a child that returns its exit status: ends it with 1 and a
 * message unless the condition holds. */
#define NEED(condition)                                                        \
    do                                                                         \
        if (!(condition))                                                      \
            return child_lacks(__FILE__, __LINE__, #condition);                \
    while (0)

/* Prints the message, with errno, and returns 1. */
int child_lacks(const char *file, int line, const char *condition);

/* Sets the file that messages go to; at first that is stderr. */
void child_report_to(FILE *report);

/* ---- children ---------------------------------------------------------- */

/* What child_wait() adds to the number of a signal. */
#define CHILD_KILLED 1000

/* Forks a child that ends with what `run` returns. SIGALRM ends a child that
 * has not ended after 100 s. -1 if fork() fails. */
pid_t child_start(int (*run)(void));

/* Waits for a child: its exit status, or CHILD_KILLED and the signal that ended
 * it; -1 if there is no such child. */
int child_wait(pid_t child);

/* Both. */
int child_run(int (*run)(void));
int child_run_with(int (*run)(void *), void *argument);

/* ---- scenarios --------------------------------------------------------- */

struct scenario {
    const char *name;
    int (*run)(void);
    const char *says; /* text that its messages contain, or NULL */
};

/* Whether the program was executed by scenario_run(). argv[1] is then the
 * scenario's name, and argv[2] the directory. */
bool scenario_is_asked_for(int argc, char **argv);

/* Runs the scenario of a name: the exit status for main(). */
int scenario_main(const struct scenario *scenarios, size_t count,
                  const char *name);

/*
 * Executes this program in a child as a scenario, and waits for it as
 * child_wait() does. Before that the child calls `prepare`, unless it is NULL,
 * and ends with its result if that is not 0.
 */
int scenario_run(const char *name, const char *directory,
                 int (*prepare)(const char *name));

/* Checks that a scenario has ended with 0 or TEST_SKIPPED, and prints it if not
 * with 0. Returns whether the status was 0. */
bool scenario_check(const char *name, int status);

/* From now on a system call fails with EPERM in all threads of this process,
 * and in what it executes and forks. False if it may not do so. */
bool system_call_forbid(unsigned number);

/* ---- file systems of a child ------------------------------------------- */

/* From now on mounts are this process's own. False if it may not do so. */
bool mounts_become_own(void);

/* Mounts a tmpfs; options as for mount(8), "size=64m". The process needs mounts
 * of its own. */
bool mount_tmpfs(const char *place, const char *options);

/*
 * Makes a file system in a file of `size` bytes and mounts it. `make` is the
 * command without the file's name; `options` are for mount(8), each with a
 * comma before it, or "". The process needs mounts of its own. The file is the
 * caller's to remove.
 */
bool mount_image(const char *make, const char *image, size_t size,
                 const char *options, const char *place);

#endif
