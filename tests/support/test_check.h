/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks that print the values they compare.
 *
 * CHECK_*() records a failure and goes on; REQUIRE_*() ends the test. A failure
 * appears in CUnit's summary with file, line, text and both values. Each
 * argument is evaluated once, and errno is kept.
 *
 * Values are integers, floating-point numbers, or pointers to objects. Integers
 * are compared by value: -1 is less than any unsigned number.
 *
 * In a forked child, failures are also printed at once, because the summary is
 * the parent's; REQUIRE_*() ends the child with 1. In a process that runs no
 * CUnit test any failure ends it.
 */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

#include <stdbool.h>

struct check_value {
    enum {
        CHECK_VALUE_SIGNED,
        CHECK_VALUE_UNSIGNED,
        CHECK_VALUE_REAL,
        CHECK_VALUE_POINTER
    } type;
    union {
        long long number;
        unsigned long long size;
        double real;
        const void *pointer;
    } as;
};

enum check_relation {
    CHECK_IS_EQ,
    CHECK_IS_NE,
    CHECK_IS_LT,
    CHECK_IS_LE,
    CHECK_IS_GT,
    CHECK_IS_GE
};

/* The place of a check, and what becomes of the test if it fails. */
struct check_place {
    const char *file;
    unsigned line;
    bool ends_test;
};

struct check_value check_value_signed(long long value);
struct check_value check_value_unsigned(unsigned long long value);
struct check_value check_value_real(double value);
struct check_value check_value_pointer(const void *value);

void check_that(bool holds, const char *text, struct check_place place);
void check_values(struct check_value left, enum check_relation relation,
                  struct check_value right, const char *text,
                  struct check_place place);
/* Two strings, or NULL. */
void check_strings(const char *left, enum check_relation relation,
                   const char *right, const char *text,
                   struct check_place place);

/* clang-format off */
#define CHECK_VALUE(value)                                                     \
    _Generic((value),                                                          \
        bool: check_value_unsigned,                                            \
        char: check_value_signed,                                              \
        signed char: check_value_signed,                                       \
        short: check_value_signed,                                             \
        int: check_value_signed,                                               \
        long: check_value_signed,                                              \
        long long: check_value_signed,                                         \
        unsigned char: check_value_unsigned,                                   \
        unsigned short: check_value_unsigned,                                  \
        unsigned: check_value_unsigned,                                        \
        unsigned long: check_value_unsigned,                                   \
        unsigned long long: check_value_unsigned,                              \
        float: check_value_real,                                               \
        double: check_value_real,                                              \
        default: check_value_pointer)(value)
/* clang-format on */

#define CHECK_PLACE(ends_test)                                                 \
    ((struct check_place){__FILE__, __LINE__, (ends_test)})
#define CHECK_VALUES(left, relation, right, text, ends_test)                   \
    check_values(CHECK_VALUE(left), relation, CHECK_VALUE(right), text,        \
                 CHECK_PLACE(ends_test))

#define CHECK(condition)                                                       \
    check_that((condition) ? true : false, #condition, CHECK_PLACE(false))
#define CHECK_EQ(a, b) CHECK_VALUES(a, CHECK_IS_EQ, b, #a " == " #b, false)
#define CHECK_NE(a, b) CHECK_VALUES(a, CHECK_IS_NE, b, #a " != " #b, false)
#define CHECK_LT(a, b) CHECK_VALUES(a, CHECK_IS_LT, b, #a " < " #b, false)
#define CHECK_LE(a, b) CHECK_VALUES(a, CHECK_IS_LE, b, #a " <= " #b, false)
#define CHECK_GT(a, b) CHECK_VALUES(a, CHECK_IS_GT, b, #a " > " #b, false)
#define CHECK_GE(a, b) CHECK_VALUES(a, CHECK_IS_GE, b, #a " >= " #b, false)
#define CHECK_NULL(pointer) CHECK_EQ(pointer, NULL)
#define CHECK_NOT_NULL(pointer) CHECK_NE(pointer, NULL)
#define CHECK_STR(a, b)                                                        \
    check_strings(a, CHECK_IS_EQ, b, #a " == " #b, CHECK_PLACE(false))
#define CHECK_STR_NE(a, b)                                                     \
    check_strings(a, CHECK_IS_NE, b, #a " != " #b, CHECK_PLACE(false))

#define REQUIRE(condition)                                                     \
    check_that((condition) ? true : false, #condition, CHECK_PLACE(true))
#define REQUIRE_EQ(a, b) CHECK_VALUES(a, CHECK_IS_EQ, b, #a " == " #b, true)
#define REQUIRE_NE(a, b) CHECK_VALUES(a, CHECK_IS_NE, b, #a " != " #b, true)
#define REQUIRE_LT(a, b) CHECK_VALUES(a, CHECK_IS_LT, b, #a " < " #b, true)
#define REQUIRE_LE(a, b) CHECK_VALUES(a, CHECK_IS_LE, b, #a " <= " #b, true)
#define REQUIRE_GT(a, b) CHECK_VALUES(a, CHECK_IS_GT, b, #a " > " #b, true)
#define REQUIRE_GE(a, b) CHECK_VALUES(a, CHECK_IS_GE, b, #a " >= " #b, true)
#define REQUIRE_NULL(pointer) REQUIRE_EQ(pointer, NULL)
#define REQUIRE_NOT_NULL(pointer) REQUIRE_NE(pointer, NULL)

#endif
