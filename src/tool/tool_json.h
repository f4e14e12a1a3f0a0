/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON, written piece by piece. A member of an object has a key; for
 * an element of an array, the key is NULL.
 */
#ifndef TOOL_JSON_H
#define TOOL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 8

struct json {
    FILE *out;
    unsigned depth;
    bool has_members[JSON_DEPTH_MAX];
};

/* json_begin() opens an object, which json_end() closes. */
void json_begin(struct json *json, FILE *out);
void json_end(struct json *json);

void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

/* NULL is written as null. Each byte that is not UTF-8 becomes U+FFFD; what is
 * not visible (text_is_visible()) is written as \uXXXX. */
void json_string(struct json *json, const char *key, const char *text);
void json_bool(struct json *json, const char *key, bool value);
void json_number(struct json *json, const char *key, uint64_t value);
void json_null(struct json *json, const char *key);
/* Written with two decimals. The value is finite. */
void json_decimal(struct json *json, const char *key, double value);

#endif /* TOOL_JSON_H */
