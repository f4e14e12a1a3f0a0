/* SPDX-License-Identifier: BSD-2-Clause */
/* A text that grows, in memory that no heap has. */
#ifndef STATS_TEXT_H
#define STATS_TEXT_H

#include <stddef.h>

/* All zero at first. */
struct stats_text {
    char *bytes; /* NULL: empty */
    size_t size, capacity;
};

/* Adds a piece. What there is no memory for is left out. */
void stats_text_add(struct stats_text *text, const char *piece);
void stats_text_addf(struct stats_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a name from outside as a string of JSON: what is not UTF-8 becomes
 * U+FFFD. */
void stats_text_add_string(struct stats_text *text, const char *name);

void stats_text_free(struct stats_text *text);

#endif
