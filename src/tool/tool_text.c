/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool_exit.h"
#include "utf8.h"

struct piece {
    struct piece *next;
    char text[];
};

/* All pieces, so that checkers of leaks find them. */
static struct piece *all_pieces;

static char *new_text(size_t size)
{
    struct piece *piece = malloc(sizeof *piece + size);
    if (piece == NULL) {
        fputs("memkind-pmem: too little memory\n", stderr);
        exit(TOOL_BROKEN);
    }
    piece->next = all_pieces;
    all_pieces = piece;
    piece->text[0] = '\0';
    return piece->text;
}

const char *text_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 1 : (size_t)length + 1;
    char *text = new_text(size);
    va_start(arguments, format);
    vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return text;
}

/* ---- characters ---- */

struct range {
    uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t character)
{
    for (size_t i = 0; i < count; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

#define IS_IN(ranges, character)                                               \
    is_in(ranges, sizeof(ranges) / sizeof(ranges)[0], character)

bool text_is_visible(uint32_t character)
{
    static const struct range invisible[] = {
        {0, 0x1f},        {0x7f, 0x9f},      {0x61c, 0x61c},   {0x200e, 0x200f},
        {0x2028, 0x202e}, {0x2066, 0x2069},  {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
        {0xfffe, 0xffff}, {0xe0000, 0xe007f}};
    return !IS_IN(invisible, character);
}

unsigned text_columns(const char *text, size_t length)
{
    static const struct range combining[] = {{0x300, 0x36f},
                                             {0x1ab0, 0x1aff},
                                             {0x200b, 0x200d},
                                             {0x20d0, 0x20ff},
                                             {0xfe00, 0xfe0f}};
    static const struct range wide[] = {
        {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
        {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
        {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
        {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
    unsigned columns = 0;
    for (size_t at = 0; at < length;) {
        uint32_t character;
        unsigned bytes = utf8_decode(text + at, &character);
        if (bytes == 0 || !IS_IN(combining, character))
            columns += bytes > 1 && IS_IN(wide, character) ? 2 : 1;
        at += bytes == 0 ? 1 : bytes;
    }
    return columns;
}

/* ---- names ---- */

/* Bytes of the next character (1 if it is not valid), and whether it can be
 * shown as it is. */
static unsigned next_character(const char *name, bool *visible)
{
    uint32_t character;
    unsigned length = utf8_decode(name, &character);
    *visible = length != 0 && text_is_visible(character);
    return length == 0 ? 1 : length;
}

/* Writes a byte in a form that bash's $'...' reads, too. */
static char *add_escape(char *to, char byte)
{
    static const char named[] = "\t\n\r\\'", names[] = "tnr\\'";
    const char *found = strchr(named, byte);
    unsigned value = (unsigned char)byte;
    *to++ = '\\';
    if (found != NULL) {
        *to++ = names[found - named];
        return to;
    }
    for (int shift = 6; shift >= 0; shift -= 3)
        *to++ = (char)('0' + (value >> shift & 7));
    return to;
}

/* Escapes what is not visible, and the characters of `also`. Returns the end.
 */
static char *add_visibly(char *to, const char *name, const char *also)
{
    while (*name != '\0') {
        bool visible;
        unsigned length = next_character(name, &visible);
        bool as_it_is = visible && strchr(also, *name) == NULL;
        for (; length > 0; length--, name++)
            if (as_it_is)
                *to++ = *name;
            else
                to = add_escape(to, *name);
    }
    *to = '\0';
    return to;
}

const char *text_escape(const char *name)
{
    char *text = new_text(4 * strlen(name) + 1);
    add_visibly(text, name, "\\");
    return text;
}

/* The quotes end before a quote, and begin again after it. */
static void add_quoted(char *to, const char *name)
{
    *to++ = '\'';
    for (; *name != '\0'; name++)
        if (*name == '\'')
            to = stpcpy(to, "'\\''");
        else
            *to++ = *name;
    stpcpy(to, "'");
}

const char *text_quote(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789@%_+=:,./-";
    bool all_plain = name[0] != '\0', all_visible = true;
    /* A word that begins with a dash would be an option. */
    const char *word = text_format("%s%s", name[0] == '-' ? "./" : "", name);
    for (const char *at = word; *at != '\0';) {
        bool visible;
        unsigned length = next_character(at, &visible);
        all_visible = all_visible && visible;
        all_plain = all_plain && (length > 1 || strchr(plain, *at) != NULL);
        at += length;
    }
    if (all_plain && all_visible)
        return word;
    char *text = new_text(4 * strlen(word) + sizeof "$''");
    if (all_visible)
        add_quoted(text, word);
    else
        stpcpy(add_visibly(stpcpy(text, "$'"), word, "\\'"), "'");
    return text;
}
