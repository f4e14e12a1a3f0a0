/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_check.h"

#include "tool_advice.h"
#include "tool_check_output.h"
#include "tool_probe_place.h"

enum tool_exit tool_check(const struct tool_options *options)
{
    struct probe probe;
    struct finding findings[FINDING_COUNT];
    probe_place(&probe, options->path);
    advice_on(&probe, findings);
    if (options->json)
        check_print_json(&probe, findings, stdout);
    else
        check_print_text(&probe, findings, stdout);
    return advice_count_bad(findings) == 0 ? TOOL_OK : TOOL_NO;
}
