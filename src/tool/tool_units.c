/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_units.h"

#include <stdio.h>
#include <unistd.h>

uint64_t page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

struct size_text size_text(uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    struct size_text result;
    double value = (double)bytes / 1024;
    int unit = 0;
    if (bytes < KIB) {
        snprintf(result.text, sizeof result.text, "%u B", (unsigned)bytes);
        return result;
    }
    for (; value >= 1023.95 && units[unit + 1] != '\0'; unit++)
        value /= 1024;
    snprintf(result.text, sizeof result.text, "%.1f %ciB", value, units[unit]);
    return result;
}
