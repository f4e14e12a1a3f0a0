/* SPDX-License-Identifier: BSD-2-Clause */
#include "stats_text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "sys_calls.h"
#include "utf8.h"

#define CAPACITY_FIRST ((size_t)256 << 10)

static bool grow_text(struct stats_text *text, size_t wanted)
{
    size_t capacity = text->capacity == 0 ? CAPACITY_FIRST : text->capacity;
    while (capacity < wanted)
        capacity *= 2;
    char *bytes = sys.mmap(NULL, capacity, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return false;
    if (text->size != 0)
        memcpy(bytes, text->bytes, text->size);
    if (text->capacity != 0)
        sys.munmap(text->bytes, text->capacity);
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

static void add_bytes(struct stats_text *text, const char *bytes, size_t length)
{
    if (text->size + length + 1 > text->capacity &&
        !grow_text(text, text->size + length + 1))
        return;
    memcpy(text->bytes + text->size, bytes, length);
    text->size += length;
    text->bytes[text->size] = '\0';
}

void stats_text_add(struct stats_text *text, const char *piece)
{
    add_bytes(text, piece, strlen(piece));
}

void stats_text_addf(struct stats_text *text, const char *format, ...)
{
    char piece[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    stats_text_add(text, piece);
}

void stats_text_add_string(struct stats_text *text, const char *name)
{
    stats_text_add(text, "\"");
    while (*name != '\0') {
        uint32_t character;
        const unsigned length = utf8_decode(name, &character);
        if (length == 0)
            stats_text_add(text, "\\ufffd");
        else if (character < ' ' || character == '"' || character == '\\' ||
                 character == 0x7f)
            stats_text_addf(text, "\\u%04x", (unsigned)character);
        else
            add_bytes(text, name, length);
        name += length == 0 ? 1 : length;
    }
    stats_text_add(text, "\"");
}

void stats_text_free(struct stats_text *text)
{
    if (text->bytes != NULL)
        sys.munmap(text->bytes, text->capacity);
    *text = (struct stats_text){0};
}
