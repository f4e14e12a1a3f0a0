/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_json.h"

#include <inttypes.h>

/* Bytes of the UTF-8 sequence that the text starts with; 0 if it is not valid.
 * (The terminator is no continuation byte, so nothing beyond it is read.) */
static unsigned utf8_length(const unsigned char *text)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {
        {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    if (text[0] < 0x80)
        return 1;
    for (unsigned i = 0; i < 3; i++) {
        if ((text[0] & forms[i].mask) != forms[i].lead)
            continue;
        uint32_t code = text[0] & (unsigned char)~forms[i].mask;
        for (unsigned k = 1; k <= i + 1; k++) {
            if ((text[k] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (text[k] & 0x3f);
        }
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        return code < forms[i].least || code > 0x10ffff || surrogate ? 0
                                                                     : i + 2;
    }
    return 0;
}

static void write_text(FILE *out, const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    putc('"', out);
    while (*text != '\0') {
        unsigned length = utf8_length(text);
        if (length == 0) {
            fputs("\\ufffd", out);
            length = 1;
        } else if (*text == '"' || *text == '\\') {
            fprintf(out, "\\%c", *text);
        } else if (*text < 0x20 || *text == 0x7f) {
            fprintf(out, "\\u%04x", *text);
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
