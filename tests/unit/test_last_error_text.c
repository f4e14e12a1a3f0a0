/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread's last failure, in words. */
#include <errno.h>
#include <memkind.h>
#include <stdio.h>
#include <string.h>

#include "last_error.h"
#include "layer_test.h"
#include "sys_calls.h"

#define OTHER_ERRNO 4711

static void expect(const char *text)
{
    CHECK_STR(last_error_text(), text);
}

static void test_reasons(void)
{
    errno = OTHER_ERRNO;
    last_error_begin();
    CHECK(!last_error_has_reason());
    last_error_of_call("first", "its code's text");
    expect("first: its code's text");

    /* A reason is of no effect before a call fails, nor after it. */
    last_error_begin();
    last_error_reason("%d is not %d", 1, 2);
    CHECK(last_error_has_reason());
    expect("first: its code's text");
    last_error_of_call("inner", "unused");
    expect("inner: 1 is not 2");
    last_error_of_call("outer", "unused");
    expect("outer: 1 is not 2");
    last_error_begin();
    expect("outer: 1 is not 2");
    last_error_of_call("next", "its code's text");
    expect("next: its code's text");
    CHECK_EQ(errno, OTHER_ERRNO);
}

static void expect_about(const char *path, const char *what, int error,
                         const char *text)
{
    char whole[512];
    last_error_begin();
    last_error_reason_at(path, what, error);
    last_error_of_call("f", "unused");
    snprintf(whole, sizeof whole, "f: %s", text);
    expect(whole);
}

static void test_paths(void)
{
    char path[4096], shown[256];
    expect_about("/a", NULL, ENOENT, "/a: No such file or directory");
    expect_about("/a", "no", EACCES, "/a: no: Permission denied");
    expect_about("/a", "no", 0, "/a: no");
    expect_about("", NULL, ENOENT, "\"\": No such file or directory");
    expect_about("a\nb\033[1m\x7f\xc3\xa4", "no", 0, "a?b?[1m?\xc3\xa4: no");
    for (size_t length = 118; length < sizeof path; length++) {
        memset(path, 'p', length);
        memcpy(path, "/begin", 6);
        memcpy(path + length - 4, "/end", 5);
        if (length <= 120)
            snprintf(shown, sizeof shown, "%.120s: no", path);
        else
            snprintf(shown, sizeof shown, "%.60s...%s: no", path,
                     path + length - 60);
        expect_about(path, "no", 0, shown);
    }
    /* A path is cut between characters of UTF-8. */
    for (size_t length = 121; length < 140; length++) {
        for (size_t i = 0; i < length; i++)
            path[i] = "\xe2\x82\xac"[i % 3];
        path[length] = '\0';
        last_error_begin();
        last_error_reason_at(path, "no", 0);
        last_error_of_call("f", "unused");
        const char *dots = strstr(last_error_text(), "...");
        CHECK(dots != NULL && dots[-1] == '\xac' && dots[3] == '\xe2');
    }
    /* What is known already is said of the path. */
    last_error_begin();
    last_error_reason("it is known");
    last_error_reason_at("/a", "no", EIO);
    last_error_of_call("f", "unused");
    expect("f: /a: no: it is known");
}

static void test_long_reasons(void)
{
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int round = 0; round < 3; round++) {
        last_error_begin();
        last_error_reason("%s", text);
        last_error_reason_at(text, text, EIO);
        last_error_of_call("function", text);
        const size_t length = strlen(last_error_text());
        CHECK(length >= 200);
        CHECK(length <= 320);
    }
}

static void test_error_numbers(void)
{
    CHECK_STR(error_number_text(ENOSPC), "No space left on device");
    CHECK(error_number_text(OTHER_ERRNO) != NULL);
    CHECK(error_number_text(-1) != NULL);
}

static void test_shortages(void)
{
    char texts[SHORTAGE_COUNT][320];
    errno = OTHER_ERRNO;
    for (int what = 0; what < SHORTAGE_COUNT; what++) {
        last_error_of_shortage("f", (enum last_error_shortage)what, 11, 22, 33);
        snprintf(texts[what], sizeof texts[what], "%s", last_error_text());
        CHECK(strncmp(texts[what], "f: ", 3) == 0);
        CHECK(strlen(texts[what]) > 10);
        expect(texts[what]); /* once more */
        for (int other = 0; other < what; other++)
            CHECK(strcmp(texts[what], texts[other]) != 0);
    }
    CHECK_STR(texts[SHORTAGE_OF_LIMIT],
              "f: no room for 11 bytes: the kind holds 22 bytes, its limit "
              "is 33");
    CHECK_STR(texts[SHORTAGE_SIZE_OVERFLOW],
              "f: 22 times 11 bytes are too many");
    CHECK_EQ(errno, OTHER_ERRNO);
}

/* ---- a call that interrupts another -------------------------------------- */

static int open_with_handler(const char *path, int flags, mode_t mode)
{
    (void)path, (void)flags, (void)mode;
    memkind_t other = NULL;
    CHECK_EQ(memkind_create_pmem("/other", 0, &other),
             MEMKIND_ERROR_OPERATION_FAILED);
    expect("memkind_create_pmem: called by a signal handler or hook that has "
           "interrupted the library");
    errno = EACCES;
    return -1;
}

/* Its reason is not that of the call which it has interrupted. */
static void test_interruptions(void)
{
    memkind_t kind = NULL;
    const struct sys_calls real = sys;
    sys.open = open_with_handler;
    const int err = memkind_create_pmem("/closed", 0, &kind);
    sys = real;
    CHECK_EQ(err, MEMKIND_ERROR_INVALID);
    expect("memkind_create_pmem: /closed: Permission denied");
}

static const struct test_case tests[] = {
    {"reasons", test_reasons},
    {"paths", test_paths},
    {"long reasons", test_long_reasons},
    {"error numbers", test_error_numbers},
    {"shortages", test_shortages},
    {"interruptions", test_interruptions},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("last error", tests, argc, argv);
}
