/* SPDX-License-Identifier: BSD-2-Clause */
/* How the result of a check is shown; memkind-pmem(1) documents the JSON. */
#ifndef TOOL_CHECK_OUTPUT_H
#define TOOL_CHECK_OUTPUT_H

#include <stdio.h>

#include "tool_advice.h"
#include "tool_probe.h"

struct checked_place {
    struct probe probe;
    struct finding findings[FINDING_COUNT];
};

/* Whether one kind can lie in all places. ANSWER_NONE if there is one only. */
struct together {
    enum answer answer;
    const char *reason; /* why not, or NULL */
};

void check_print_text(const struct checked_place *places, unsigned count,
                      const struct together *together, FILE *out);
void check_print_json(const struct checked_place *places, unsigned count,
                      const struct together *together, bool ok, FILE *out);

#endif /* TOOL_CHECK_OUTPUT_H */
