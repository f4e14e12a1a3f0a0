/* SPDX-License-Identifier: BSD-2-Clause */
#include "last_error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tls_model.h"

enum {
    REASON_SIZE = 256,
    TEXT_SIZE = REASON_SIZE + 64,
    PATH_SHOWN = 120, /* bytes; of a longer path the middle is left out */
    SHOWN_SIZE = PATH_SHOWN + sizeof "...",
};

struct last_error {
    /* of the call that is being made, which may fail yet */
    char reason[REASON_SIZE];
    /* of the call that has failed */
    char text[TEXT_SIZE];
    bool is_shortage; /* then the text is made of these when it is wanted: */
    const char *function;
    enum last_error_shortage shortage;
    size_t size, held, limit;
};

static __thread struct last_error last TLS_MODEL;

const char *error_number_text(int error_number)
{
#if __GLIBC_PREREQ(2, 32)
    const char *text = strerrordesc_np(error_number);
#else
    const char *text = strerror(error_number);
#endif
    return text != NULL ? text : "unknown error";
}

/* ---- the reason --------------------------------------------------------- */

void last_error_begin(void)
{
    last.reason[0] = '\0';
}

bool last_error_has_reason(void)
{
    return last.reason[0] != '\0';
}

/* Paths and variables may have anything in them; the text is one line. */
static void replace_control_characters(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == '\x7f')
            *text = '?';
}

void last_error_reason(const char *format, ...)
{
    int saved_errno = errno;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(last.reason, sizeof last.reason, format, args);
    va_end(args);
    replace_control_characters(last.reason);
    errno = saved_errno;
}

/* Whether a character of UTF-8 goes on here. */
static bool is_inside_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* A path as it is shown: short enough, and cut between characters. */
static void show_path(char shown[SHOWN_SIZE], const char *path)
{
    const size_t length = strnlen(path, PATH_SHOWN + 1);
    if (length <= PATH_SHOWN) {
        memcpy(shown, path, length + 1);
    } else {
        const size_t half = PATH_SHOWN / 2, whole = strlen(path);
        size_t first = half, last_part = whole - half;
        while (first > half - 3 && is_inside_character(path[first]))
            first--;
        while (last_part < whole - half + 3 &&
               is_inside_character(path[last_part]))
            last_part++;
        (void)snprintf(shown, SHOWN_SIZE, "%.*s...%s", (int)first, path,
                       path + last_part);
    }
}

void last_error_reason_at(const char *path, const char *what, int error_number)
{
    char shown[SHOWN_SIZE], known[REASON_SIZE] = "";
    show_path(shown, path);
    if (last_error_has_reason())
        memcpy(known, last.reason, sizeof known);
    else if (error_number != 0)
        (void)snprintf(known, sizeof known, "%s",
                       error_number_text(error_number));
    last_error_reason("%s%s%s%s%s", shown[0] != '\0' ? shown : "\"\"",
                      what != NULL ? ": " : "", what != NULL ? what : "",
                      known[0] != '\0' ? ": " : "", known);
}

/* ---- the failed call ---------------------------------------------------- */

void last_error_of_call(const char *function, const char *otherwise)
{
    int saved_errno = errno;
    last.is_shortage = false;
    (void)snprintf(last.text, sizeof last.text, "%s: %s", function,
                   last_error_has_reason() ? last.reason : otherwise);
    errno = saved_errno;
}

void last_error_of_shortage(const char *function,
                            enum last_error_shortage shortage, size_t size,
                            size_t held, size_t limit)
{
    last.function = function;
    last.shortage = shortage;
    last.size = size;
    last.held = held;
    last.limit = limit;
    last.is_shortage = true;
}

static void describe_shortage(char *text, size_t room)
{
    const size_t size = last.size, held = last.held, limit = last.limit;
    switch (last.shortage) {
    case SHORTAGE_OF_LIMIT:
        (void)snprintf(text, room,
                       "no room for %zu bytes: the kind holds %zu bytes, its "
                       "limit is %zu",
                       size, held, limit);
        break;
    case SHORTAGE_OF_AREA:
        (void)snprintf(text, room,
                       "no room for %zu bytes in the kind's area of %zu bytes",
                       size, limit);
        break;
    case SHORTAGE_OVER_LIMIT:
        (void)snprintf(text, room, "%zu bytes are more than the kind's %zu",
                       size, limit);
        break;
    case SHORTAGE_OF_MAPPINGS:
        (void)snprintf(text, room,
                       "no room for %zu bytes: no more of a file can be mapped "
                       "(address space, mappings, file size, descriptors)",
                       size);
        break;
    case SHORTAGE_OF_DRAM:
        (void)snprintf(text, room, "no DRAM for %zu bytes", size);
        break;
    case SHORTAGE_OF_ALIGNED:
        (void)snprintf(text, room, "no room for %zu bytes at a multiple of %zu",
                       size, limit);
        break;
    case SHORTAGE_REENTERED:
        (void)snprintf(text, room, REASON_REENTERED);
        break;
    case SHORTAGE_THREAD_ENDS:
        (void)snprintf(text, room, "the thread is ending");
        break;
    case SHORTAGE_LOST:
        (void)snprintf(text, room, REASON_LOST_KIND);
        break;
    case SHORTAGE_SIZE_OVERFLOW:
        (void)snprintf(text, room, "%zu times %zu bytes are too many", held,
                       size);
        break;
    case SHORTAGE_KIND_UNAVAILABLE:
        (void)snprintf(text, room, "this kind of memory is not available here");
        break;
    case SHORTAGE_COUNT:
        break;
    }
}

const char *last_error_text(void)
{
    if (!last.is_shortage)
        return last.text;
    int saved_errno = errno;
    last.is_shortage = false;
    int length = snprintf(last.text, sizeof last.text, "%s: ", last.function);
    if (length > 0 && (size_t)length < sizeof last.text)
        describe_shortage(last.text + length,
                          sizeof last.text - (size_t)length);
    errno = saved_errno;
    return last.text;
}
