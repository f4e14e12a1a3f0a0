/* SPDX-License-Identifier: BSD-2-Clause */
#include "test_check.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pid_t test_process;

__attribute__((constructor)) static void remember_process(void)
{
    test_process = getpid();
}

/* ---- values ------------------------------------------------------------ */

struct check_value check_value_signed(long long value)
{
    struct check_value made = {CHECK_VALUE_SIGNED, {0}};
    made.as.number = value;
    return made;
}

struct check_value check_value_unsigned(unsigned long long value)
{
    struct check_value made = {CHECK_VALUE_UNSIGNED, {0}};
    made.as.size = value;
    return made;
}

struct check_value check_value_real(double value)
{
    struct check_value made = {CHECK_VALUE_REAL, {0}};
    made.as.real = value;
    return made;
}

struct check_value check_value_pointer(const void *value)
{
    struct check_value made = {CHECK_VALUE_POINTER, {0}};
    made.as.pointer = value;
    return made;
}

static bool is_negative(struct check_value value)
{
    return value.type == CHECK_VALUE_SIGNED && value.as.number < 0;
}

/* The bits of an integer or a pointer. */
static unsigned long long bits_of(struct check_value value)
{
    switch (value.type) {
    case CHECK_VALUE_SIGNED:
        return (unsigned long long)value.as.number;
    case CHECK_VALUE_POINTER:
        return (unsigned long long)(uintptr_t)value.as.pointer;
    default:
        return value.as.size;
    }
}

static double real_of(struct check_value value)
{
    switch (value.type) {
    case CHECK_VALUE_SIGNED:
        return (double)value.as.number;
    case CHECK_VALUE_REAL:
        return value.as.real;
    default:
        return (double)bits_of(value);
    }
}

static bool is_less(struct check_value left, struct check_value right)
{
    if (left.type == CHECK_VALUE_REAL || right.type == CHECK_VALUE_REAL)
        return real_of(left) < real_of(right);
    if (is_negative(left) != is_negative(right))
        return is_negative(left);
    /* Two negative numbers have the order of their bits. */
    return bits_of(left) < bits_of(right);
}

static bool is_equal(struct check_value left, struct check_value right)
{
    if (left.type == CHECK_VALUE_REAL || right.type == CHECK_VALUE_REAL)
        return !is_less(left, right) && !is_less(right, left) &&
               real_of(left) - real_of(left) == 0; /* no infinity, no NaN */
    return is_negative(left) == is_negative(right) &&
           bits_of(left) == bits_of(right);
}

static bool holds(struct check_value left, enum check_relation relation,
                  struct check_value right)
{
    switch (relation) {
    case CHECK_IS_EQ:
        return is_equal(left, right);
    case CHECK_IS_NE:
        return !is_equal(left, right);
    case CHECK_IS_LT:
        return is_less(left, right);
    case CHECK_IS_LE:
        return is_less(left, right) || is_equal(left, right);
    case CHECK_IS_GT:
        return is_less(right, left);
    default:
        return is_less(right, left) || is_equal(left, right);
    }
}

/* ---- reports ----------------------------------------------------------- */

static void print_value(char *text, size_t size, struct check_value value)
{
    switch (value.type) {
    case CHECK_VALUE_SIGNED:
        snprintf(text, size, "%lld", value.as.number);
        break;
    case CHECK_VALUE_UNSIGNED:
        snprintf(text, size, "%llu", value.as.size);
        break;
    case CHECK_VALUE_REAL:
        snprintf(text, size, "%.9g", value.as.real);
        break;
    default:
        snprintf(text, size, "%p", value.as.pointer);
    }
}

void check_that(bool condition, const char *text, struct check_place place)
{
    const int saved_errno = errno;
    const bool in_test = CU_get_current_test() != NULL;
    if (!condition && (!in_test || getpid() != test_process)) {
        fprintf(stderr, "\n%s:%u: %s\n", place.file, place.line, text);
        if (!in_test)
            abort();
        if (place.ends_test)
            _exit(1); /* or the child would go on with the next test */
    }
    if (in_test)
        CU_assertImplementation(condition, place.line, text, place.file, "",
                                place.ends_test);
    errno = saved_errno;
}

void check_values(struct check_value left, enum check_relation relation,
                  struct check_value right, const char *text,
                  struct check_place place)
{
    const bool right_so = holds(left, relation, right);
    char values[2][40], report[1024];
    if (!right_so) {
        const int saved_errno = errno;
        print_value(values[0], sizeof values[0], left);
        print_value(values[1], sizeof values[1], right);
        snprintf(report, sizeof report, "%s (%s, %s)", text, values[0],
                 values[1]);
        errno = saved_errno;
        text = report;
    }
    check_that(right_so, text, place);
}

void check_strings(const char *left, enum check_relation relation,
                   const char *right, const char *text,
                   struct check_place place)
{
    const bool equal = left != NULL && right != NULL ? strcmp(left, right) == 0
                                                     : left == right;
    const bool right_so = equal == (relation == CHECK_IS_EQ);
    char report[4096];
    if (!right_so) {
        const int saved_errno = errno;
        snprintf(report, sizeof report, "%s (\"%s\", \"%s\")", text,
                 left != NULL ? left : "(null)",
                 right != NULL ? right : "(null)");
        errno = saved_errno;
        text = report;
    }
    check_that(right_so, text, place);
}
