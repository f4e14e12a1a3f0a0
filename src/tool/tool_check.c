/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_check.h"

#include <memkind.h>

#include "tool_check_output.h"
#include "tool_probe_place.h"
#include "tool_reason.h"

/* Whether one kind can lie in all the places. */
static void try_together(struct together *together, const char *const *paths,
                         unsigned count)
{
    memkind_t kind;
    together->reason =
        reason_make_kind_over(paths, count, MEMKIND_PMEM_MIN_SIZE, &kind);
    together->answer = together->reason == NULL ? ANSWER_YES : ANSWER_NO;
    if (together->reason == NULL)
        (void)memkind_destroy_kind(kind);
}

enum tool_exit tool_check(const struct tool_options *options)
{
    struct checked_place places[MEMKIND_PMEM_MAX_PATHS];
    struct together together = {.answer = ANSWER_NONE};
    const unsigned count = options->path_count;
    bool ok = true;
    for (unsigned i = 0; i < count; i++) {
        probe_place(&places[i].probe, options->paths[i]);
        advice_on(&places[i].probe, places[i].findings);
        ok = ok && advice_count_bad(places[i].findings) == 0;
    }
    if (count > 1)
        try_together(&together, options->paths, count);
    ok = ok && together.answer != ANSWER_NO;
    if (options->json)
        check_print_json(places, count, &together, ok, stdout);
    else
        check_print_text(places, count, &together, stdout);
    return ok ? TOOL_OK : TOOL_NO;
}
