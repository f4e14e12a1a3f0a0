/* SPDX-License-Identifier: BSD-2-Clause */
#include "tier_properties.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "last_error.h"

#define PREFIX "policy.dynamic_threshold."

/* The largest rate. */
#define RATE_MOST 1000

const struct tier_settings tier_default_settings = {
    .check_interval = 20,
    .trigger = TIER_RATE_ONE / 50,
    .degree = TIER_RATE_ONE * 15 / 100,
};

struct tier_threshold tier_default_threshold(unsigned number)
{
    const size_t step = (size_t)number * 1024;
    return (struct tier_threshold){
        .value = 1024 + step, .least = 513 + step, .most = 1536 + step};
}

/* ---- numbers ------------------------------------------------------------ */

/* A decimal number at the start of a text; NULL, or what follows it.
 * strtoull() alone would take spaces and a sign. */
static const char *decimal_at(const char *text, size_t *number)
{
    if (!isdigit((unsigned char)text[0]))
        return NULL;
    const int saved_errno = errno;
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    const bool fits = errno == 0;
    errno = saved_errno;
    return fits ? end : NULL;
}

static bool parse_number(const char *text, size_t most, size_t *number)
{
    size_t read = 0;
    const char *rest = decimal_at(text, &read);
    if (rest == NULL || *rest != '\0' || read > most)
        return false;
    *number = read;
    return true;
}

/* Up to six digits may follow the point; no language of the user's has a say in
 * what that is. */
static bool parse_rate(const char *text, int64_t *rate)
{
    size_t whole = 0;
    const char *rest = decimal_at(text, &whole);
    if (rest == NULL || whole >= RATE_MOST)
        return false;
    int64_t read = (int64_t)whole * TIER_RATE_ONE;
    if (*rest == '.') {
        int64_t unit = TIER_RATE_ONE;
        while (isdigit((unsigned char)*++rest) && unit > 1) {
            unit /= 10;
            read += (*rest - '0') * unit;
        }
    }
    if (*rest != '\0')
        return false;
    *rate = read;
    return true;
}

/* ---- properties --------------------------------------------------------- */

static bool refuse_name(const char *name)
{
    last_error_reason("there is no property '%.64s'", name);
    return false;
}

static bool set_threshold(struct memtier_builder *builder, const char *name,
                          const char *rest, const char *text, bool *is_valid)
{
    size_t number = 0;
    rest = decimal_at(rest, &number);
    if (rest == NULL || strncmp(rest, "].", 2) != 0)
        return refuse_name(name);
    if (builder->count < 2 || number > builder->count - 2) {
        last_error_reason("there is no threshold %zu between %u tiers", number,
                          builder->count);
        return false;
    }
    struct tier_threshold *threshold = &builder->thresholds[number];
    rest += 2;
    size_t *place = strcmp(rest, "val") == 0   ? &threshold->value
                    : strcmp(rest, "min") == 0 ? &threshold->least
                    : strcmp(rest, "max") == 0 ? &threshold->most
                                               : NULL;
    if (place == NULL)
        return refuse_name(name);
    *is_valid = parse_number(text, SIZE_MAX, place);
    return true;
}

static bool set_interval(struct tier_settings *settings, const char *text)
{
    size_t interval = 0;
    if (!parse_number(text, UINT_MAX, &interval) || interval == 0)
        return false;
    settings->check_interval = (unsigned)interval;
    return true;
}

bool tier_property_set(struct memtier_builder *builder, const char *name,
                       const char *text)
{
    static const char thresholds[] = "thresholds[";
    struct tier_settings *settings = &builder->settings;
    bool is_valid = false;
    if (builder->policy != MEMTIER_POLICY_DYNAMIC_THRESHOLD) {
        last_error_reason("the builder's policy has no properties");
        return false;
    }
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return refuse_name(name);
    const char *rest = name + strlen(PREFIX);
    if (strncmp(rest, thresholds, strlen(thresholds)) == 0) {
        if (!set_threshold(builder, name, rest + strlen(thresholds), text,
                           &is_valid))
            return false;
    } else if (strcmp(rest, "check_cnt") == 0) {
        is_valid = set_interval(settings, text);
    } else if (strcmp(rest, "trigger") == 0) {
        is_valid = parse_rate(text, &settings->trigger);
    } else if (strcmp(rest, "degree") == 0) {
        is_valid = parse_rate(text, &settings->degree);
    } else {
        return refuse_name(name);
    }
    if (!is_valid)
        last_error_reason("'%.64s' is no value of %.64s", text, name);
    return is_valid;
}

bool tier_thresholds_are_valid(const struct memtier_builder *builder)
{
    for (unsigned i = 0; i + 1 < builder->count; i++) {
        const struct tier_threshold *threshold = &builder->thresholds[i];
        if (threshold->least < 1 || threshold->least > threshold->value ||
            threshold->value > threshold->most) {
            last_error_reason("threshold %u: %zu is not within %zu and %zu", i,
                              threshold->value, threshold->least,
                              threshold->most);
            return false;
        }
        if (i != 0 && threshold[-1].most > threshold->least) {
            last_error_reason("threshold %u may be as small as %zu, and the "
                              "one before it as large as %zu",
                              i, threshold->least, threshold[-1].most);
            return false;
        }
    }
    return true;
}
