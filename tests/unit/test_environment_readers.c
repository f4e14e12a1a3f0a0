/* SPDX-License-Identifier: BSD-2-Clause */
/* How environment variables are read: numbers, and flags that are on. */
#include <errno.h>
#include <memkind.h>
#include <stdint.h>
#include <stdlib.h>

#include "environment.h"
#include "test_support.h"

#define NUMBER "MEMKIND_ARENA_NUM_PER_KIND"
#define LEAST 1
#define MOST 1000
#define UNTOUCHED 4711

enum answer { UNSET, SET, BAD };

static enum answer read_number(size_t *value)
{
    bool set = false;
    const int err = environment_number(NUMBER, LEAST, MOST, &set, value);
    if (err != MEMKIND_SUCCESS) {
        CHECK_EQ(err, MEMKIND_ERROR_ENVIRON);
        return BAD;
    }
    return set ? SET : UNSET;
}

static const struct flag {
    const char *name;
    bool (*is_on)(void);
} flags[] = {
    {"MEMKIND_HOG_MEMORY", environment_hog_memory},
    {"MEMKIND_CORE_DUMP", environment_core_dump},
};
#define FLAGS (sizeof flags / sizeof flags[0])

static void test_a_number_that_is_not_there(void)
{
    size_t value = UNTOUCHED;
    unsetenv(NUMBER);
    CHECK_EQ(read_number(&value), UNSET);
    CHECK_EQ(value, UNTOUCHED);
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        size_t value;
    } good[] = {{"1", 1}, {"7", 7}, {"007", 7}, {"999", 999}, {"1000", 1000}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        size_t value = UNTOUCHED;
        setenv(NUMBER, good[i].text, 1);
        CHECK_EQ(read_number(&value), SET);
        CHECK_EQ(value, good[i].value);
    }
    unsetenv(NUMBER);
}

static void test_what_is_no_number(void)
{
    static const char *const bad[] = {"",    "0",   "1001",
                                      "-1",  "+1",  " 1",
                                      "1 ",  "one", "1k",
                                      "0x1", "1.5", "-18446744073709551615",
                                      "1e2", "1,0", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t value = UNTOUCHED;
        setenv(NUMBER, bad[i], 1);
        errno = UNTOUCHED;
        if (read_number(&value) != BAD)
            printf("\"%s\" ", bad[i]);
        CHECK_EQ(read_number(&value), BAD);
        CHECK_EQ(value, UNTOUCHED);
        CHECK_EQ(errno, UNTOUCHED);
    }
    unsetenv(NUMBER);
}

/* The environment is looked at anew for each call. */
static void test_numbers_change(void)
{
    size_t value = 0;
    setenv(NUMBER, "5", 1);
    CHECK_EQ(read_number(&value), SET);
    CHECK_EQ(value, 5);
    setenv(NUMBER, "6", 1);
    CHECK_EQ(read_number(&value), SET);
    CHECK_EQ(value, 6);
    unsetenv(NUMBER);
    CHECK_EQ(read_number(&value), UNSET);
}

static void test_flags(void)
{
    static const char *const off[] = {"", "0", "2", "11", "yes", "true", " 1"};
    for (size_t i = 0; i < FLAGS; i++) {
        unsetenv(flags[i].name);
        CHECK(!flags[i].is_on());
        setenv(flags[i].name, "1", 1);
        for (size_t j = 0; j < FLAGS; j++)
            CHECK_EQ(flags[j].is_on(), j == i);
        for (size_t j = 0; j < sizeof off / sizeof off[0]; j++) {
            setenv(flags[i].name, off[j], 1);
            CHECK(!flags[i].is_on());
        }
        unsetenv(flags[i].name);
    }
}

static const struct test_case tests[] = {
    {"a number that is not there", test_a_number_that_is_not_there},
    {"numbers", test_numbers},
    {"what is no number", test_what_is_no_number},
    {"numbers change", test_numbers_change},
    {"flags", test_flags},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("environment readers", tests, argc, argv);
}
