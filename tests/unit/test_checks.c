/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of the other suites: which of them fail, and what is printed. The
 * checks that fail run in children, whose failures are not this suite's. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "test_child.h"
#include "test_support.h"

#define UNTOUCHED 4711

/* Runs a check in a child's function: how many failures it made. */
#define FAILURES(check)                                                        \
    (failures_before = CU_get_number_of_failure_records(), (check),            \
     CU_get_number_of_failure_records() - failures_before)
static unsigned failures_before;

static int print_to_log(void)
{
    int log = open(test_path("log"), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    NEED(log >= 0 && dup2(log, STDERR_FILENO) >= 0);
    return 0;
}

static int compare_integers(void)
{
    const size_t size = SIZE_MAX;
    const int less = -1;
    const unsigned char byte = 200;
    NEED(print_to_log() == 0);
    NEED(FAILURES(CHECK_EQ(byte, 200)) == 0);
    NEED(FAILURES(CHECK_EQ(byte, 201)) == 1);
    NEED(FAILURES(CHECK_NE(byte, 200)) == 1);
    NEED(FAILURES(CHECK_LT(less, size)) == 0);
    NEED(FAILURES(CHECK_GE(less, size)) == 1);
    NEED(FAILURES(CHECK_EQ(less, size)) == 1);
    NEED(FAILURES(CHECK_EQ(size, SIZE_MAX)) == 0);
    NEED(FAILURES(CHECK_LT(-7, -6)) == 0);
    NEED(FAILURES(CHECK_LE(-6, -7)) == 1);
    NEED(FAILURES(CHECK_LE(7, 7)) == 0);
    NEED(FAILURES(CHECK_GT(7, 7)) == 1);
    NEED(FAILURES(CHECK_GE(7, 7)) == 0);
    NEED(FAILURES(CHECK_EQ(true, 1)) == 0);
    NEED(FAILURES(CHECK(size)) == 0);
    NEED(FAILURES(CHECK(size == 0)) == 1);
    return 0;
}

static int compare_others(void)
{
    int here, there;
    const double infinity = 1e300 * 1e300;
    NEED(print_to_log() == 0);
    NEED(FAILURES(CHECK_EQ(&here, &here)) == 0);
    NEED(FAILURES(CHECK_EQ(&here, &there)) == 1);
    NEED(FAILURES(CHECK_NULL((char *)NULL)) == 0);
    NEED(FAILURES(CHECK_NULL(&here)) == 1);
    NEED(FAILURES(CHECK_NOT_NULL((void *)NULL)) == 1);
    NEED(FAILURES(CHECK_LT(0.5, 1)) == 0);
    NEED(FAILURES(CHECK_LT(1, 0.5)) == 1);
    NEED(FAILURES(CHECK_EQ(0.5, 0.5)) == 0);
    NEED(FAILURES(CHECK_EQ(infinity - infinity, 0.0)) == 1);
    NEED(FAILURES(CHECK_LE(infinity - infinity, 0.0)) == 1);
    NEED(FAILURES(CHECK_STR("a", "a")) == 0);
    NEED(FAILURES(CHECK_STR("a", "b")) == 1);
    NEED(FAILURES(CHECK_STR(NULL, "b")) == 1);
    NEED(FAILURES(CHECK_STR_NE("a", "b")) == 0);
    NEED(FAILURES(CHECK_STR_NE("a", "a")) == 1);
    return 0;
}

static void test_what_fails(void)
{
    CHECK_EQ(child_run(compare_integers), 0);
    CHECK_EQ(child_run(compare_others), 0);
    unlink(test_path("log"));
}

static int fail_with_values(void)
{
    const size_t answer = 42;
    NEED(print_to_log() == 0);
    errno = UNTOUCHED;
    CHECK_EQ(answer, UNTOUCHED);
    CHECK_STR("apples", "pears");
    NEED(errno == UNTOUCHED);
    return 0;
}

static void test_what_is_printed(void)
{
    char text[2000];
    CHECK_EQ(child_run(fail_with_values), 0);
    test_read_and_remove(test_path("log"), text, sizeof text);
    CHECK_NOT_NULL(strstr(text, "test_checks.c:"));
    CHECK_NOT_NULL(strstr(text, "answer == UNTOUCHED (42, 4711)"));
    CHECK_NOT_NULL(strstr(text, "(\"apples\", \"pears\")"));
}

static int evaluated;

static int next(void)
{
    return ++evaluated;
}

static void test_arguments_are_evaluated_once(void)
{
    evaluated = 0;
    CHECK_EQ(next(), 1);
    CHECK_LT(next(), 3);
    CHECK(next() == 3);
    CHECK_EQ(evaluated, 3);
    errno = UNTOUCHED;
    CHECK_EQ(evaluated, 3);
    CHECK_EQ(errno, UNTOUCHED);
}

/* ---- children ---------------------------------------------------------- */

static int end_with_seven(void)
{
    return 7;
}

static int end_by_signal(void)
{
    return raise(SIGKILL);
}

static int end_with_argument(void *argument)
{
    return *(int *)argument;
}

static int lack_something(void)
{
    NEED(print_to_log() == 0);
    NEED(evaluated == -1);
    return 0;
}

static int require_something(void)
{
    NEED(print_to_log() == 0);
    REQUIRE_EQ(evaluated, -1);
    return 0;
}

static void test_children(void)
{
    int argument = 9;
    CHECK_EQ(child_run(end_with_seven), 7);
    CHECK_EQ(child_run(end_by_signal), CHILD_KILLED + SIGKILL);
    CHECK_EQ(child_run_with(end_with_argument, &argument), 9);
    CHECK_EQ(child_run(lack_something), 1);
    CHECK_EQ(child_run(require_something), 1);
    CHECK_EQ(child_wait(-1), -1);
    unlink(test_path("log"));
}

static const struct test_case tests[] = {
    {"what fails", test_what_fails},
    {"what is printed", test_what_is_printed},
    {"arguments are evaluated once", test_arguments_are_evaluated_once},
    {"children", test_children},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("checks", tests, argc, argv);
}
