/* SPDX-License-Identifier: BSD-2-Clause */
#include "utf8.h"

#include <stdbool.h>

unsigned utf8_decode(const char *text, uint32_t *character)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {
        {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const unsigned char *bytes = (const unsigned char *)text;
    *character = bytes[0];
    if (bytes[0] < 0x80)
        return 1;
    for (unsigned i = 0; i < 3; i++) {
        if ((bytes[0] & forms[i].mask) != forms[i].lead)
            continue;
        uint32_t code = bytes[0] & (unsigned char)~forms[i].mask;
        for (unsigned k = 1; k <= i + 1; k++) {
            /* The terminator is no continuation byte. */
            if ((bytes[k] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (bytes[k] & 0x3f);
        }
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        if (code < forms[i].least || code > 0x10ffff || surrogate)
            return 0;
        *character = code;
        return i + 2;
    }
    return 0;
}
