/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_json.h"

#include <inttypes.h>

#include "tool_text.h"
#include "utf8.h"

static void write_text(FILE *out, const char *text)
{
    putc('"', out);
    while (*text != '\0') {
        uint32_t character;
        unsigned length = utf8_decode(text, &character);
        if (length == 0) {
            fputs("\\ufffd", out);
            length = 1;
        } else if (*text == '"' || *text == '\\') {
            fprintf(out, "\\%c", *text);
        } else if (!text_is_visible(character) && character <= 0xffff) {
            fprintf(out, "\\u%04" PRIx32, character);
        } else {
            fwrite(text, 1, length, out);
        }
        text += length;
    }
    putc('"', out);
}

static void new_line(struct json *json)
{
    fprintf(json->out, "\n%*s", (int)(2 * json->depth), "");
}

static void begin_member(struct json *json, const char *key)
{
    if (json->has_members[json->depth])
        putc(',', json->out);
    json->has_members[json->depth] = true;
    new_line(json);
    if (key != NULL) {
        write_text(json->out, key);
        fputs(": ", json->out);
    }
}

static void enter_bracket(struct json *json, char bracket)
{
    putc(bracket, json->out);
    json->depth++;
    json->has_members[json->depth] = false;
}

void json_begin(struct json *json, FILE *out)
{
    *json = (struct json){.out = out};
    enter_bracket(json, '{');
}

void json_end(struct json *json)
{
    json_close(json, '}');
    putc('\n', json->out);
}

void json_open(struct json *json, const char *key, char bracket)
{
    begin_member(json, key);
    enter_bracket(json, bracket);
}

void json_close(struct json *json, char bracket)
{
    bool has_members = json->has_members[json->depth];
    json->depth--;
    if (has_members)
        new_line(json);
    putc(bracket, json->out);
}

void json_string(struct json *json, const char *key, const char *text)
{
    if (text == NULL) {
        json_null(json, key);
        return;
    }
    begin_member(json, key);
    write_text(json->out, text);
}

void json_bool(struct json *json, const char *key, bool value)
{
    begin_member(json, key);
    fputs(value ? "true" : "false", json->out);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
    begin_member(json, key);
    fprintf(json->out, "%" PRIu64, value);
}

void json_null(struct json *json, const char *key)
{
    begin_member(json, key);
    fputs("null", json->out);
}

void json_decimal(struct json *json, const char *key, double value)
{
    begin_member(json, key);
    fprintf(json->out, "%.2f", value);
}
