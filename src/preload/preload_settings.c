/* SPDX-License-Identifier: BSD-2-Clause */
#include "preload_settings.h"

#include <stdlib.h>
#include <string.h>

#include "size_text.h"

struct word {
    const char *text;
    int value;
};

static const struct word flag_words[] = {{"0", false}, {"1", true}, {NULL, 0}};
static const struct word full_words[] = {
    {"dram", false}, {"null", true}, {NULL, 0}};
static const struct word fork_words[] = {
    {"private", MEMKIND_FORK_PRIVATE},         {"shared", MEMKIND_FORK_SHARED},
    {"unavailable", MEMKIND_FORK_UNAVAILABLE}, {"copy", MEMKIND_FORK_COPY},
    {"snapshot", MEMKIND_FORK_SNAPSHOT},       {NULL, 0},
};

/* The word's value; *is_bad if there is no such word. `preset` if the variable
 * is unset. */
static int value_of(const char *text, const struct word *words, int preset,
                    bool *is_bad)
{
    if (text == NULL)
        return preset;
    for (; words->text != NULL; words++)
        if (strcmp(text, words->text) == 0)
            return words->value;
    *is_bad = true;
    return preset;
}

static size_t size_of(const char *text, bool *is_bad)
{
    size_t size = 0;
    if (text != NULL && !size_text_parse(text, &size))
        *is_bad = true;
    return size;
}

enum setting_type {
    SETTING_TEXT,
    SETTING_FLAG,
    SETTING_SIZE,
    SETTING_FULL,
    SETTING_FORK,
};

enum setting {
#define SETTING_ENUMERATOR(name, type, meaning) SETTING_IS_##name,
    PRELOAD_SETTING_TABLE(SETTING_ENUMERATOR)
#undef SETTING_ENUMERATOR
        SETTING_COUNT
};

static const struct {
    const char *name;
    enum setting_type type;
} setting_rows[SETTING_COUNT] = {
#define SETTING_ROW(name, type, meaning)                                       \
    {"MEMKIND_PRELOAD_" #name, SETTING_##type},
    PRELOAD_SETTING_TABLE(SETTING_ROW)
#undef SETTING_ROW
};

/* What a variable says, by its type. */
struct setting_value {
    const char *text;
    size_t size;
    int word;
};

static bool setting_read(enum setting setting, struct setting_value *value)
{
    const char *text = secure_getenv(setting_rows[setting].name);
    bool is_bad = false;
    if (text != NULL && text[0] == '\0')
        text = NULL;
    *value = (struct setting_value){.text = text};
    switch (setting_rows[setting].type) {
    case SETTING_TEXT:
        break;
    case SETTING_FLAG:
        value->word = value_of(text, flag_words, false, &is_bad);
        break;
    case SETTING_SIZE:
        value->size = size_of(text, &is_bad);
        break;
    case SETTING_FULL:
        value->word = value_of(text, full_words, false, &is_bad);
        break;
    case SETTING_FORK:
        /* A child that is not told goes on with what its parent had when it was
         * forked, as shells have it, whatever the parent does meanwhile. */
        value->word =
            value_of(text, fork_words, MEMKIND_FORK_SNAPSHOT, &is_bad);
        break;
    }
    return !is_bad;
}

static const char *text_copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

const char *preload_settings_read(struct preload_settings *settings)
{
    struct setting_value values[SETTING_COUNT];
    for (int i = 0; i < SETTING_COUNT; i++)
        if (!setting_read((enum setting)i, &values[i]))
            return setting_rows[i].name;
    *settings = (struct preload_settings){
        .dir = text_copy(values[SETTING_IS_DIR].text),
        .size = values[SETTING_IS_SIZE].size,
        .min_size = values[SETTING_IS_MIN_SIZE].size,
        .full_is_null = values[SETTING_IS_FULL].word,
        .fork_policy = (memkind_fork_policy)values[SETTING_IS_FORK].word,
        .stats = text_copy(values[SETTING_IS_STATS].text),
        .stats_signal = values[SETTING_IS_STATS_SIGNAL].word,
        .verbose = values[SETTING_IS_VERBOSE].word,
    };
    return NULL;
}
