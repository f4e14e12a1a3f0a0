/* SPDX-License-Identifier: BSD-2-Clause */
/* How the result of a check is shown; memkind-pmem(1) documents the JSON. */
#ifndef TOOL_CHECK_OUTPUT_H
#define TOOL_CHECK_OUTPUT_H

#include <stdio.h>

#include "tool_advice.h"
#include "tool_probe.h"

void check_print_text(const struct probe *probe,
                      const struct finding list[FINDING_COUNT], FILE *out);
void check_print_json(const struct probe *probe,
                      const struct finding list[FINDING_COUNT], FILE *out);

#endif /* TOOL_CHECK_OUTPUT_H */
