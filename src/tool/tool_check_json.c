/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_check_output.h"

#include "tool_json.h"

static const char *answer_word(enum answer answer)
{
    static const char *const words[] = {
        [ANSWER_NONE] = "n/a",
        [ANSWER_UNKNOWN] = "unknown",
        [ANSWER_NO] = "no",
        [ANSWER_YES] = "yes",
    };
    return words[answer];
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static void number_or_null(struct json *json, const char *key, bool known,
                           uint64_t value)
{
    if (known)
        json_number(json, key, value);
    else
        json_null(json, key);
}

static void limit_or_null(struct json *json, const char *key, uint64_t limit)
{
    number_or_null(json, key, limit != NO_LIMIT, limit);
}

static void write_file_system(struct json *json, const struct place *place)
{
    if (place->type != PLACE_DIRECTORY) {
        json_null(json, "file_system");
        return;
    }
    json_open(json, "file_system", '{');
    json_string(json, "type", or_null(place->fs_type));
    json_string(json, "source", or_null(place->fs_source));
    json_string(json, "mount_point", or_null(place->mount_point));
    json_string(json, "options", or_null(place->mount_options));
    number_or_null(json, "block_size", place->block_size != 0,
                   place->block_size);
    json_close(json, '}');
}

static void write_space(struct json *json, const struct probe *probe)
{
    const struct limits *limits = &probe->limits;
    json_open(json, "space", '{');
    number_or_null(json, "total", limits->known, limits->total);
    number_or_null(json, "available", limits->known, limits->available);
    number_or_null(json, "fits", limits->known, limits->fits);
    json_close(json, '}');
    json_open(json, "limits", '{');
    limit_or_null(json, "address_space", limits->address_space);
    limit_or_null(json, "file_size", limits->file_size);
    limit_or_null(json, "quota", limits->quota);
    limit_or_null(json, "memory", limits->memory);
    number_or_null(json, "largest_file", probe->largest_file != 0,
                   probe->largest_file);
    json_close(json, '}');
}

static void write_mappings(struct json *json, const struct probe *probe)
{
    if (probe->touched == 0) {
        json_null(json, "mappings");
        return;
    }
    json_open(json, "mappings", '{');
    json_number(json, "touched", probe->touched);
    json_number(json, "faults", probe->faults);
    json_number(json, "large_page", LARGE_PAGE);
    json_number(json, "large_pages", probe_large_units(probe));
    json_number(json, "large_pages_least", probe_least_units(probe));
    json_number(json, "large_pages_possible", probe->touched / LARGE_PAGE);
    json_number(json, "kinds", probe->kinds);
    json_close(json, '}');
}

static void write_nodes(struct json *json, const struct nodes *nodes)
{
    if (nodes->count == 0) {
        json_null(json, "nodes");
        return;
    }
    json_open(json, "nodes", '{');
    json_string(json, "source", nodes_source_name(nodes->source));
    json_string(json, "policy", nodes->policy);
    json_open(json, "list", '[');
    for (unsigned i = 0; i < nodes->count; i++) {
        json_open(json, NULL, '{');
        json_number(json, "node", nodes->list[i].number);
        json_string(json, "cpus", nodes->list[i].cpus);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void write_finding(struct json *json, const struct finding *finding)
{
    json_open(json, NULL, '{');
    json_string(json, "id", finding->id);
    json_string(json, "title", finding->title);
    json_string(json, "answer", answer_word(finding->answer));
    json_bool(json, "matters",
              finding->answer == ANSWER_NO && finding->matters);
    json_string(json, "detail", or_null(finding->detail));
    json_open(json, "advice", '[');
    for (int i = 0; i < finding->advice_count; i++)
        json_string(json, NULL, finding->advice[i]);
    json_close(json, ']');
    json_close(json, '}');
}

static void write_place(struct json *json, const struct checked_place *checked)
{
    const struct probe *probe = &checked->probe;
    const struct finding *list = checked->findings;
    json_string(json, "path", probe->place.path);
    json_string(json, "type", place_type_name(probe->place.type));
    json_bool(json, "ok", advice_count_bad(list) == 0);
    write_file_system(json, &probe->place);
    write_space(json, probe);
    write_mappings(json, probe);
    write_nodes(json, &probe->nodes);
    json_open(json, "checks", '[');
    for (int i = 0; i < FINDING_COUNT; i++)
        write_finding(json, &list[i]);
    json_close(json, ']');
}

static void write_places(struct json *json, const struct checked_place *places,
                         unsigned count, const struct together *together,
                         bool ok)
{
    json_bool(json, "ok", ok);
    json_open(json, "together", '{');
    json_bool(json, "ok", together->answer == ANSWER_YES);
    json_string(json, "reason", together->reason);
    json_close(json, '}');
    json_open(json, "places", '[');
    for (unsigned i = 0; i < count; i++) {
        json_open(json, NULL, '{');
        write_place(json, &places[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void check_print_json(const struct checked_place *places, unsigned count,
                      const struct together *together, bool ok, FILE *out)
{
    struct json json;
    json_begin(&json, out);
    json_string(&json, "command", "check");
    if (count == 1)
        write_place(&json, places);
    else
        write_places(&json, places, count, together, ok);
    json_end(&json);
}
