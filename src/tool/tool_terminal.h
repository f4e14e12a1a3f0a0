/* SPDX-License-Identifier: BSD-2-Clause */
/* How wide the terminal is, and texts that keep to it. */
#ifndef TOOL_TERMINAL_H
#define TOOL_TERMINAL_H

#include <stdio.h>

/* The columns of the terminal that the stream goes to, at this moment, or fewer
 * if COLUMNS says so; 0 if it goes to no terminal. */
unsigned terminal_width(FILE *out);

/* The width of texts there: at most 80 columns. 0: they are not to be broken.
 */
unsigned terminal_text_width(FILE *out);

/* Prints words that begin in a column (from 0), and ends the line. With a
 * width, lines are broken at blanks before it, and go on after an indentation,
 * which is less on a narrow terminal. */
void terminal_print(FILE *out, const char *text, unsigned column,
                    unsigned indent, unsigned width);

#endif /* TOOL_TERMINAL_H */
