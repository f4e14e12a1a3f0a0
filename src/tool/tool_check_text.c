/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_check_output.h"

#include <string.h>

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

static void print_place(const struct place *place, FILE *out)
{
    fprintf(out, "%s: ", place->path);
    switch (place->type) {
    case PLACE_DIRECTORY:
        fputs("directory", out);
        if (place->fs_type[0] != '\0')
            fprintf(out, " on %s (%s, mounted at %s)", place->fs_type,
                    place->fs_source, place->mount_point);
        break;
    case PLACE_DEVICE_DAX:
        fputs("device DAX", out);
        if (place->device_size != 0)
            fprintf(out, " of %s", size_text(place->device_size).text);
        if (place->device_align != 0)
            fprintf(out, ", in pages of %s",
                    size_text(place->device_align).text);
        break;
    case PLACE_OTHER_DEVICE:
        fputs("character device", out);
        break;
    case PLACE_BLOCK_DEVICE:
        fputs("block device", out);
        break;
    case PLACE_FILE:
        fputs("file", out);
        break;
    case PLACE_UNREACHABLE:
        fputs(strerror(place->error), out);
        break;
    case PLACE_OTHER:
        fputs("no directory or device", out);
        break;
    }
    fputs("\n\n", out);
}

/* Under its finding; breaks the text into lines. */
static void print_advice(const char *text, FILE *out)
{
    enum { INDENT = 8, WIDTH = 78 };
    int column = fprintf(out, "%*s->", INDENT - 3, "");
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column + 1 + length > WIDTH)
            column = fprintf(out, "\n%*s", INDENT - 1, "") - 1;
        column += fprintf(out, " %.*s", length, text);
        text += length;
        text += *text == ' ';
    }
    putc('\n', out);
}

void check_print_text(const struct probe *probe,
                      const struct finding list[FINDING_COUNT], FILE *out)
{
    print_place(&probe->place, out);
    for (int i = 0; i < FINDING_COUNT; i++) {
        if (list[i].answer == ANSWER_NONE && list[i].detail[0] == '\0')
            continue;
        fprintf(out, "  %-21s %-3s%s%s\n", list[i].title, answer_text(&list[i]),
                list[i].detail[0] != '\0' ? "  " : "", list[i].detail);
        for (int k = 0; k < list[i].advice_count; k++)
            print_advice(list[i].advice[k], out);
    }
    int bad = advice_count_bad(list);
    if (bad == 0)
        fputs("\nKinds can be made there, and nothing stands in their way.\n",
              out);
    else
        fprintf(out, "\n%d answer%s in capitals: %s.\n", bad,
                bad == 1 ? "" : "s",
                list[FINDING_KIND].answer == ANSWER_NO
                    ? "no kind can be made there"
                    : "kinds get less than they could");
}
