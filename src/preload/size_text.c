/* SPDX-License-Identifier: BSD-2-Clause */
#include "size_text.h"

#include <string.h>

static bool has_size_unit(const char *unit, unsigned *shift)
{
    static const char units[] = "KMGT";
    *shift = 0;
    if (unit[0] == '\0' || strcmp(unit, "B") == 0)
        return true;
    const char *found = strchr(units, unit[0]);
    if (found == NULL)
        return false;
    *shift = 10 * (unsigned)(found - units + 1);
    unit++;
    return unit[0] == '\0' || strcmp(unit, "B") == 0 || strcmp(unit, "iB") == 0;
}

bool size_text_parse(const char *text, size_t *size)
{
    size_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (size_t)(*at - '0'), &number))
            return false;
    unsigned shift;
    if (at == text || !has_size_unit(at, &shift) ||
        __builtin_mul_overflow(number, (size_t)1 << shift, &number))
        return false;
    *size = number;
    return true;
}
