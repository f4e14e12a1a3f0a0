/* SPDX-License-Identifier: BSD-2-Clause */
/* How environment variables are read: types, ranges, units. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "layer_test.h"
#include "options.h"

static void expect(const char *name, enum option option, const char *text,
                   enum option_answer answer, int64_t value)
{
    const int64_t untouched = -77;
    int64_t read = untouched;
    setenv(name, text, 1);
    errno = ENOTTY;
    const enum option_answer got = option_read(option, &read);
    const int64_t expected = answer == OPTION_IS_SET ? value : untouched;
    if (got != answer || read != expected)
        printf("\n%s=%s: answer %d, not %d; value %lld, not %lld\n", name, text,
               (int)got, (int)answer, (long long)read, (long long)expected);
    CHECK_EQ(got, answer);
    CHECK_EQ(read, expected);
    CHECK_EQ(errno, ENOTTY);
    unsetenv(name);
}

static void test_flags(void)
{
    static const char *const off[] = {"", "0", "2", "11", "1 ", " 1", "yes"};
    unsetenv("MEMKIND_HOG_MEMORY");
    CHECK(!option_is_on(OPTION_HOG_MEMORY));
    setenv("MEMKIND_HOG_MEMORY", "1", 1);
    CHECK(option_is_on(OPTION_HOG_MEMORY));
    CHECK(!option_is_on(OPTION_CORE_DUMP));
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
        setenv("MEMKIND_HOG_MEMORY", off[i], 1);
        CHECK(!option_is_on(OPTION_HOG_MEMORY));
    }
    unsetenv("MEMKIND_HOG_MEMORY");
}

static void test_unset(void)
{
    int64_t value = 5;
    unsetenv("MEMKIND_DECAY");
    CHECK_EQ(option_read(OPTION_DECAY, &value), OPTION_IS_UNSET);
    CHECK_EQ(value, 5);
}

static void test_numbers(void)
{
    static const char *const bad[] = {
        "",   "-1", "+1",         "x",    "1x", "1 ",
        " 1", "1s", "4294967296", "0x10", "1.", "99999999999999999999999"};
    const char *name = "MEMKIND_BACKGROUND_THREAD_LIMIT";
    const enum option option = OPTION_BACKGROUND_THREAD_LIMIT;
    expect(name, option, "0", OPTION_IS_SET, 0);
    expect(name, option, "17", OPTION_IS_SET, 17);
    expect(name, option, "010", OPTION_IS_SET, 10);
    expect(name, option, "4294967295", OPTION_IS_SET, UINT32_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect(name, option, bad[i], OPTION_IS_BAD, 0);
    /* This one has another range. */
    name = "MEMKIND_ARENA_NUM_PER_KIND";
    expect(name, OPTION_ARENA_NUM_PER_KIND, "0", OPTION_IS_BAD, 0);
    expect(name, OPTION_ARENA_NUM_PER_KIND, "1", OPTION_IS_SET, 1);
    expect(name, OPTION_ARENA_NUM_PER_KIND, "2147483648", OPTION_IS_BAD, 0);
}

static void test_durations(void)
{
    static const struct {
        const char *text;
        int64_t milliseconds;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"0ms", 0},
        {"1", 1},
        {"500ms", 500},
        {"10s", 10000},
        {"2m", 120000},
        {"1h", 3600000},
        {"2147483647", 2147483647},
        {"never", -1},
        {"596h", 2145600000},
    };
    static const char *const bad[] = {"",
                                      "s",
                                      "ms",
                                      "-1",
                                      "-1s",
                                      "+1s",
                                      "1 s",
                                      " 1s",
                                      "1s ",
                                      "1S",
                                      "1sec",
                                      "1us",
                                      "1d",
                                      "Never",
                                      "nev",
                                      "never ",
                                      "1.5s",
                                      "2147483648",
                                      "597h",
                                      "99999999999999999h",
                                      "99999999999999999999999s"};
    const char *name = "MEMKIND_DECAY";
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        expect(name, OPTION_DECAY, good[i].text, OPTION_IS_SET,
               good[i].milliseconds);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect(name, OPTION_DECAY, bad[i], OPTION_IS_BAD, 0);
}

static const struct test_case tests[] = {
    {"flags", test_flags},
    {"unset", test_unset},
    {"numbers", test_numbers},
    {"durations", test_durations},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("options", tests, argc, argv);
}
