/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts that the tool puts together. Their memory is kept until the tool ends:
 * it is little, and results point into it.
 *
 * Names from outside (paths, devices, mount points, words of the command line)
 * go through text_escape() before a person sees them.
 */
#ifndef TOOL_TEXT_H
#define TOOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *text_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* False for what acts on a terminal instead of being seen on it: control
 * characters, those that change the direction of writing, ends of lines. */
bool text_is_visible(uint32_t character);

/* Writes bytes that are not UTF-8, and characters that are not visible, as \n,
 * \t, \r or three octal digits (\033), and a backslash as two. */
const char *text_escape(const char *name);

/* The name as a word in a shell's command. */
const char *text_quote(const char *name);

/* Columns that the first `length` bytes take on a terminal. */
unsigned text_columns(const char *text, size_t length);

#endif /* TOOL_TEXT_H */
