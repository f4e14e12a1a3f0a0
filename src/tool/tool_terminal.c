/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_terminal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tool_text.h"

#define WIDTH_DEFAULT 80
#define TEXT_WIDTH_MOST 80
/* What an indentation leaves to a line. */
#define ROOM_LEAST 16

/* The number in COLUMNS; 0 if there is none. */
static unsigned columns_wanted(void)
{
    const char *value = getenv("COLUMNS");
    if (value == NULL || value[0] < '0' || value[0] > '9')
        return 0;
    char *end;
    unsigned long columns = strtoul(value, &end, 10);
    return *end == '\0' && columns <= 10000 ? (unsigned)columns : 0;
}

unsigned terminal_width(FILE *out)
{
    struct winsize size = {.ws_col = 0};
    if (isatty(fileno(out)) != 1)
        return 0;
    unsigned wanted = columns_wanted(), width = WIDTH_DEFAULT;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
        width = size.ws_col;
    else if (wanted != 0)
        return wanted;
    /* A shell may have set COLUMNS for a window that is smaller by now. */
    return wanted != 0 && wanted < width ? wanted : width;
}

unsigned terminal_text_width(FILE *out)
{
    unsigned width = terminal_width(out);
    return width < TEXT_WIDTH_MOST ? width : TEXT_WIDTH_MOST;
}

void terminal_print(FILE *out, const char *text, unsigned column,
                    unsigned indent, unsigned width)
{
    if (width < indent + ROOM_LEAST)
        indent = width / 8;
    for (bool first = true; first || *text != '\0'; first = false) {
        size_t length = strcspn(text, " ");
        unsigned columns = text_columns(text, length);
        unsigned blank = first ? 0 : 1;
        if (width != 0 && column > indent && column + blank + columns > width)
            column = (unsigned)fprintf(out, "\n%*s", (int)indent, "") - 1;
        else
            column += (unsigned)fprintf(out, "%*s", (int)blank, "");
        fwrite(text, 1, length, out);
        column += columns;
        text += length;
        text += *text == ' ';
    }
    putc('\n', out);
}
