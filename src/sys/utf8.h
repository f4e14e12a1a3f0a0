/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef UTF8_H
#define UTF8_H

#include <stdint.h>

/* Bytes of the UTF-8 sequence that a text starts with, and the character; 0 if
 * it is not valid. Reads nothing beyond the terminator. */
unsigned utf8_decode(const char *text, uint32_t *character);

#endif
