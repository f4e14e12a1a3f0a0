/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_check_output.h"

#include <stdbool.h>
#include <string.h>

#include "tool_terminal.h"
#include "tool_text.h"
#include "tool_units.h"

static const char *answer_text(const struct finding *finding)
{
    switch (finding->answer) {
    case ANSWER_YES:
        return "yes";
    case ANSWER_NO:
        return finding->matters ? "NO" : "no";
    case ANSWER_UNKNOWN:
        return "?";
    default:
        return "-";
    }
}

static const char *describe_directory(const struct place *place)
{
    const char *source =
        place->fs_source[0] != '\0'
            ? text_format("%s, ", text_escape(place->fs_source))
            : "";
    if (place->fs_type[0] == '\0')
        return "directory";
    return text_format("directory on %s (%smounted at %s)",
                       text_escape(place->fs_type), source,
                       text_escape(place->mount_point));
}

static const char *describe_device(const struct place *place)
{
    const char *text = "device DAX";
    if (place->device_size != 0)
        text =
            text_format("%s of %s", text, size_text(place->device_size).text);
    if (place->device_align != 0)
        text = text_format("%s, in pages of %s", text,
                           size_text(place->device_align).text);
    return text;
}

static const char *describe_place(const struct place *place)
{
    switch (place->type) {
    case PLACE_DIRECTORY:
        return describe_directory(place);
    case PLACE_DEVICE_DAX:
        return describe_device(place);
    case PLACE_OTHER_DEVICE:
        return "character device";
    case PLACE_BLOCK_DEVICE:
        return "block device";
    case PLACE_FILE:
        return "file";
    case PLACE_UNREACHABLE:
        return strerror(place->error);
    default:
        return "no directory or device";
    }
}

/* Pipes get lines of this width. */
#define ADVICE_WIDTH 78
/* Titles and answers are in columns from this width on. */
#define COLUMNS_WIDTH 32

static bool has_columns(unsigned width)
{
    return width == 0 || width >= COLUMNS_WIDTH;
}

static void print_advice(const char *text, unsigned width, FILE *out)
{
    const unsigned indent = has_columns(width) ? 8 : 4;
    fprintf(out, "%*s-> ", (int)indent - 3, "");
    terminal_print(out, text, indent, indent,
                   width != 0 ? width : ADVICE_WIDTH);
}

static void print_finding(const struct finding *finding, unsigned width,
                          FILE *out)
{
    enum { INDENT = 29 };
    const char *answer = answer_text(finding), *detail = finding->detail;
    const char *before_detail = detail[0] != '\0' ? "  " : "";
    if (has_columns(width)) {
        fprintf(out, "  %-21s %-3s%s", finding->title, answer, before_detail);
        terminal_print(out, detail, INDENT, INDENT, width);
    } else {
        terminal_print(out,
                       text_format("%s: %s%s%s", finding->title, answer,
                                   before_detail, detail),
                       0, 2, width);
    }
    for (int k = 0; k < finding->advice_count; k++)
        print_advice(finding->advice[k], width, out);
}

static void print_place(const struct checked_place *checked, unsigned width,
                        FILE *out)
{
    const struct probe *probe = &checked->probe;
    const struct finding *list = checked->findings;
    terminal_print(out,
                   text_format("%s: %s", text_escape(probe->place.path),
                               describe_place(&probe->place)),
                   0, 4, width);
    putc('\n', out);
    for (int i = 0; i < FINDING_COUNT; i++) {
        if (list[i].answer == ANSWER_NONE && list[i].detail[0] == '\0')
            continue;
        print_finding(&list[i], width, out);
    }
    int bad = advice_count_bad(list);
    const char *verdict =
        "Kinds can be made there, and nothing stands in their way.";
    if (bad != 0)
        verdict = text_format("%d answer%s in capitals: %s.", bad,
                              bad == 1 ? "" : "s",
                              list[FINDING_KIND].answer == ANSWER_NO
                                  ? "no kind can be made there"
                                  : "kinds get less than they could");
    putc('\n', out);
    terminal_print(out, verdict, 0, 0, width);
}

void check_print_text(const struct checked_place *places, unsigned count,
                      const struct together *together, FILE *out)
{
    const unsigned width = terminal_text_width(out);
    for (unsigned i = 0; i < count; i++) {
        if (i != 0)
            putc('\n', out);
        print_place(&places[i], width, out);
    }
    if (together->answer == ANSWER_NONE)
        return;
    putc('\n', out);
    terminal_print(out,
                   together->answer == ANSWER_YES
                       ? "One kind can lie in all of them."
                       : text_format("NO kind can lie in all of them: %s.",
                                     together->reason),
                   0, 0, width);
}
