/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "last_error.h"

enum option_type {
    TYPE_FLAG,
    TYPE_NUMBER,
    TYPE_DURATION,
    TYPE_WORD,
    TYPE_NODES,
};

static const struct option_row {
    const char *name;
    enum option_type type;
    int64_t least, most;
} option_rows[OPTION_COUNT] = {
#define OPTION_ROW(name, type, least, most, preset, meaning)                   \
    {"MEMKIND_" #name, TYPE_##type, (least), (most)},
    OPTION_TABLE(OPTION_ROW)
#undef OPTION_ROW
};

static const struct {
    const char *name;
    int64_t milliseconds;
} time_units[] = {
    {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000},
};

static bool has_time_unit(const char *unit, int64_t *number)
{
    for (size_t i = 0; i < sizeof time_units / sizeof time_units[0]; i++)
        if (strcmp(unit, time_units[i].name) == 0)
            return !__builtin_mul_overflow(*number, time_units[i].milliseconds,
                                           number);
    return false;
}

/* The words of MEMKIND_FORK, by the number that each stands for. */
static const char *const words[] = {"private", "shared", "unavailable", "copy",
                                    "snapshot"};

static bool find_word(const char *text, int64_t *value)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        *value = (int64_t)i;
        if (strcmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

/* strtoll() alone would take spaces and a sign. errno is 0. */
static bool parse_option(const struct option_row *row, const char *text,
                         int64_t *value)
{
    if (row->type == TYPE_DURATION && strcmp(text, "never") == 0) {
        *value = -1;
        return true;
    }
    if (row->type == TYPE_WORD)
        return find_word(text, value);
    if (!isdigit((unsigned char)text[0]))
        return false;
    char *end;
    *value = strtoll(text, &end, 10);
    if (errno != 0)
        return false;
    return row->type == TYPE_DURATION ? has_time_unit(end, value)
                                      : *end == '\0';
}

bool option_is_on(enum option option)
{
    assert(option_rows[option].type == TYPE_FLAG);
    const char *text = secure_getenv(option_rows[option].name);
    return text != NULL && strcmp(text, "1") == 0;
}

const char *option_text(enum option option)
{
    assert(option_rows[option].type == TYPE_NODES);
    return secure_getenv(option_rows[option].name);
}

enum option_answer option_read(enum option option, int64_t *value)
{
    const struct option_row *row = &option_rows[option];
    assert(row->type != TYPE_FLAG && row->type != TYPE_NODES);
    const char *text = secure_getenv(row->name);
    if (text == NULL)
        return OPTION_IS_UNSET;
    int64_t read = 0;
    const int saved_errno = errno;
    errno = 0;
    const bool is_valid = parse_option(row, text, &read) &&
                          read >= row->least && read <= row->most;
    errno = saved_errno;
    if (!is_valid && row->type == TYPE_WORD) {
        last_error_reason("%s is '%.64s', which is none of private, shared, "
                          "unavailable, copy and snapshot",
                          row->name, text);
        return OPTION_IS_BAD;
    }
    if (!is_valid) {
        last_error_reason(
            "%s is '%.64s', which is no %s from %lld to %lld", row->name, text,
            row->type == TYPE_DURATION ? "time in milliseconds" : "number",
            (long long)row->least, (long long)row->most);
        return OPTION_IS_BAD;
    }
    *value = read;
    return OPTION_IS_SET;
}
