/* SPDX-License-Identifier: BSD-2-Clause */
#include "debug_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cancellation.h"

atomic_bool debug_log_on;

/* One write(2) for each message: stdio would allocate, and a message may come
 * from inside an extent hook. */
void debug_log_print(const char *format, ...)
{
    char line[512] = "[memkind] ";
    const size_t prefix = strlen(line);
    int saved_errno = errno;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + prefix, sizeof line - prefix - 1, format, args);
    va_end(args);
    if (n > 0) {
        size_t length = strlen(line);
        line[length] = '\n';
        int cancellation = cancellation_disable();
        ssize_t ignored = write(STDERR_FILENO, line, length + 1);
        cancellation_restore(cancellation);
        (void)ignored;
    }
    errno = saved_errno;
}
