/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tiers:      tier ';' ... ';' "POLICY:" name
 * tier:       "KIND:" name, "RATIO:" number, "PATH:" directory,
 *             "PMEM_SIZE_LIMIT:" size, in any order, with commas between them
 * thresholds: threshold ';' ...
 * threshold:  "INIT_VAL:" number, "MIN_VAL:" number, "MAX_VAL:" number, so, too
 */
#include "memtier_settings.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pieces of the texts ------------------------------------------------ */

/* A part of a text. */
struct piece {
    const char *at;
    size_t length;
};

struct settings {
    const char *variable; /* which is being read */
    char *problem;
    memtier_policy_t policy;
    struct memtier_builder *builder;
    unsigned tiers;
};

static bool reject(struct settings *settings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool reject(struct settings *settings, const char *format, ...)
{
    char text[SETTINGS_PROBLEM_SIZE / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(settings->problem, SETTINGS_PROBLEM_SIZE, "%s: %s",
             settings->variable, text);
    return false;
}

/* What a piece is as an argument of "%.*s"; the start of a long one. */
#define PIECE(piece)                                                           \
    (int)((piece).length < 128 ? (piece).length : 128), (piece).at

static bool piece_is(struct piece piece, const char *text)
{
    return piece.length == strlen(text) &&
           memcmp(piece.at, text, piece.length) == 0;
}

/* Cuts off what is before the next separator. Returns false at the end. */
static bool next_piece(struct piece *rest, char separator, struct piece *piece)
{
    if (rest->at == NULL)
        return false;
    const char *end = memchr(rest->at, separator, rest->length);
    *piece = *rest;
    if (end == NULL) {
        rest->at = NULL;
        return true;
    }
    piece->length = (size_t)(end - rest->at);
    rest->length -= piece->length + 1;
    rest->at = end + 1;
    return true;
}

/* "NAME:value", and a place for each value: none may come twice. */
struct parameter {
    const char *name;
    struct piece *value;
};

static bool read_parameters(struct settings *settings, struct piece rest,
                            const struct parameter *parameters)
{
    struct piece one, name;
    while (next_piece(&rest, ',', &one)) {
        struct piece value = one;
        const struct parameter *known = parameters;
        (void)next_piece(&value, ':', &name);
        while (known->name != NULL && !piece_is(name, known->name))
            known++;
        if (known->name == NULL || value.at == NULL)
            return reject(settings, "'%.*s' is no parameter", PIECE(one));
        if (known->value->at != NULL)
            return reject(settings, "%s is there twice in one list",
                          known->name);
        if (value.length == 0)
            return reject(settings, "%s has no value", known->name);
        *known->value = value;
    }
    return true;
}

/* A decimal number, and what follows it. */
static bool read_digits(struct piece piece, uint64_t most, uint64_t *number,
                        struct piece *rest)
{
    uint64_t read = 0;
    size_t i = 0;
    for (; i < piece.length && isdigit((unsigned char)piece.at[i]); i++)
        if (__builtin_mul_overflow(read, 10, &read) ||
            __builtin_add_overflow(read, (uint64_t)(piece.at[i] - '0'), &read))
            return false;
    *number = read;
    *rest = (struct piece){piece.at + i, piece.length - i};
    return i != 0 && read <= most;
}

static bool read_size(struct piece piece, uint64_t *size)
{
    static const char units[] = "KMG";
    struct piece unit;
    if (!read_digits(piece, UINT64_MAX, size, &unit) || unit.length > 1)
        return false;
    if (unit.length == 0)
        return true;
    const char *found = strchr(units, unit.at[0]);
    return found != NULL && unit.at[0] != '\0' &&
           !__builtin_mul_overflow(
               *size, (uint64_t)1 << (10 * (found - units + 1)), size);
}

/* ---- tiers -------------------------------------------------------------- */

struct tier_text {
    struct piece kind, ratio, path, limit;
};

/* A child that goes on beside its parent finds the memory as it was: nothing of
 * what the parent stores later. Where there are no snapshots, that takes a
 * copy. */
static int make_kind_for_children(struct memkind_config *config,
                                  memkind_t *kind)
{
    memkind_config_set_fork_policy(config, MEMKIND_FORK_SNAPSHOT);
    const int err = memkind_create_pmem_with_config(config, kind);
    if (err == 0)
        return 0;
    memkind_config_set_fork_policy(config, MEMKIND_FORK_COPY);
    return memkind_create_pmem_with_config(config, kind);
}

static bool make_file_kind(struct settings *settings,
                           const struct tier_text *text, memkind_t *kind)
{
    char path[PATH_MAX];
    uint64_t limit = 0;
    if (text->path.at == NULL)
        return reject(settings, "FS_DAX needs a PATH");
    if (text->path.length >= sizeof path)
        return reject(settings, "the PATH is too long");
    if (text->limit.at != NULL && !read_size(text->limit, &limit))
        return reject(settings,
                      "PMEM_SIZE_LIMIT:%.*s is no size such as 1G, 512M, 4096K",
                      PIECE(text->limit));
    memcpy(path, text->path.at, text->path.length);
    path[text->path.length] = '\0';
    struct memkind_config *config = memkind_config_new();
    if (config == NULL)
        return reject(settings, "no memory for the settings");
    memkind_config_set_path(config, path);
    memkind_config_set_size(config, limit);
    const int err = make_kind_for_children(config, kind);
    memkind_config_delete(config);
    return err == 0 || reject(settings, "FS_DAX: %s", memkind_last_error());
}

static bool find_kind(struct settings *settings, const struct tier_text *text,
                      memkind_t *kind)
{
    if (text->kind.at == NULL)
        return reject(settings, "a tier has no KIND");
    if (piece_is(text->kind, "FS_DAX"))
        return make_file_kind(settings, text, kind);
    if (text->path.at != NULL || text->limit.at != NULL)
        return reject(settings, "PATH and PMEM_SIZE_LIMIT are for FS_DAX only");
    if (piece_is(text->kind, "DRAM"))
        *kind = MEMKIND_DEFAULT;
    else if (piece_is(text->kind, "KMEM_DAX"))
        *kind = MEMKIND_DAX_KMEM;
    else
        return reject(settings,
                      "KIND:%.*s is none of DRAM, KMEM_DAX and FS_DAX",
                      PIECE(text->kind));
    return memkind_check_available(*kind) == 0 ||
           reject(settings, "KMEM_DAX: %s", memkind_last_error());
}

static bool add_tier(struct settings *settings, struct piece text)
{
    struct tier_text tier = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    const struct parameter parameters[] = {
        {"KIND", &tier.kind}, {"RATIO", &tier.ratio},
        {"PATH", &tier.path}, {"PMEM_SIZE_LIMIT", &tier.limit},
        {NULL, NULL},
    };
    uint64_t ratio = 0;
    struct piece rest;
    memkind_t kind = NULL;
    if (!read_parameters(settings, text, parameters))
        return false;
    if (tier.ratio.at == NULL)
        return reject(settings, "the tier '%.*s' has no RATIO", PIECE(text));
    if (!read_digits(tier.ratio, UINT_MAX, &ratio, &rest) || rest.length != 0 ||
        ratio == 0)
        return reject(settings, "RATIO:%.*s is no number from 1 to %u",
                      PIECE(tier.ratio), UINT_MAX);
    if (!find_kind(settings, &tier, &kind))
        return false;
    if (memtier_builder_add_tier(settings->builder, kind, (unsigned)ratio) != 0)
        return reject(settings, "the tier '%.*s': %s", PIECE(text),
                      memkind_last_error());
    settings->tiers++;
    return true;
}

/* The policy is the last one; the builder needs it first. */
static bool read_policy(struct settings *settings, const char *text,
                        struct piece *tiers)
{
    const char *last = strrchr(text, ';');
    const struct piece policy = {last != NULL ? last + 1 : text,
                                 strlen(last != NULL ? last + 1 : text)};
    *tiers = (struct piece){text, last != NULL ? (size_t)(last - text) : 0};
    if (piece_is(policy, "POLICY:STATIC_RATIO"))
        settings->policy = MEMTIER_POLICY_STATIC_RATIO;
    else if (piece_is(policy, "POLICY:DYNAMIC_THRESHOLD"))
        settings->policy = MEMTIER_POLICY_DYNAMIC_THRESHOLD;
    else
        return reject(settings,
                      "'%.*s' is at the end, in place of POLICY:STATIC_RATIO "
                      "or POLICY:DYNAMIC_THRESHOLD",
                      PIECE(policy));
    return last != NULL || reject(settings, "there is no tier");
}

static bool read_tiers(struct settings *settings, const char *text)
{
    struct piece rest, tier;
    if (!read_policy(settings, text, &rest))
        return false;
    settings->builder = memtier_builder_new(settings->policy);
    if (settings->builder == NULL)
        return reject(settings, "%s", memkind_last_error());
    while (next_piece(&rest, ';', &tier))
        if (!add_tier(settings, tier))
            return false;
    return true;
}

/* ---- thresholds --------------------------------------------------------- */

static bool set_property(struct settings *settings, unsigned number,
                         const char *property, struct piece value)
{
    char name[64], text[32];
    if (value.at == NULL)
        return true;
    if (value.length >= sizeof text)
        return reject(settings, "'%.*s' is no number", PIECE(value));
    memcpy(text, value.at, value.length);
    text[value.length] = '\0';
    snprintf(name, sizeof name, "policy.dynamic_threshold.thresholds[%u].%s",
             number, property);
    return memtier_ctl_set(settings->builder, name, text) == 0 ||
           reject(settings, "%s", memkind_last_error());
}

static bool apply_threshold(struct settings *settings, unsigned number,
                            struct piece text)
{
    struct piece value = {NULL, 0}, least = {NULL, 0}, most = {NULL, 0};
    const struct parameter parameters[] = {
        {"INIT_VAL", &value},
        {"MIN_VAL", &least},
        {"MAX_VAL", &most},
        {NULL, NULL},
    };
    return read_parameters(settings, text, parameters) &&
           set_property(settings, number, "val", value) &&
           set_property(settings, number, "min", least) &&
           set_property(settings, number, "max", most);
}

static bool read_thresholds(struct settings *settings, const char *text)
{
    struct piece rest = {text, strlen(text)}, threshold;
    unsigned number = 0;
    if (rest.length == 0)
        return true;
    settings->variable = SETTINGS_THRESHOLDS;
    if (settings->policy != MEMTIER_POLICY_DYNAMIC_THRESHOLD)
        return reject(settings, "there are none with POLICY:STATIC_RATIO");
    while (next_piece(&rest, ';', &threshold)) {
        if (number + 1 >= settings->tiers)
            return reject(settings, "there are more than lie between %u tiers",
                          settings->tiers);
        if (!apply_threshold(settings, number++, threshold))
            return false;
    }
    return true;
}

/* ---- both --------------------------------------------------------------- */

struct memtier_memory *settings_make(const char *tiers, const char *thresholds,
                                     char *problem)
{
    struct settings settings = {.variable = SETTINGS_TIERS, .problem = problem};
    struct memtier_memory *memory = NULL;
    if (read_tiers(&settings, tiers) &&
        (thresholds == NULL || read_thresholds(&settings, thresholds))) {
        memory = memtier_builder_construct_memtier_memory(settings.builder);
        if (memory == NULL)
            (void)reject(&settings, "%s", memkind_last_error());
    }
    memtier_builder_delete(settings.builder);
    return memory;
}
