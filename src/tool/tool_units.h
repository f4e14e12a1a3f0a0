/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes, and how people read them. */
#ifndef TOOL_UNITS_H
#define TOOL_UNITS_H

#include <stdint.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

/* In bytes. */
uint64_t page_size(void);

struct size_text {
    char text[16];
};

/* "64.0 MiB" */
struct size_text size_text(uint64_t bytes);

#endif /* TOOL_UNITS_H */
