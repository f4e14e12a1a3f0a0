/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes as people write them. The tool and the preloaded library share this. */
#ifndef SIZE_TEXT_H
#define SIZE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Reads a decimal number of bytes, or one with a unit: K, M, G or T, which are
 * powers of 1024, with or without "iB" or "B" after it. Nothing else may stand
 * before or behind it. Returns false, and leaves *size alone, if it is anything
 * else, or too large. errno is kept. */
bool size_text_parse(const char *text, size_t *size);

#endif
