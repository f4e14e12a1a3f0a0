/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages for a person, on stderr, if MEMKIND_DEBUG is 1. */
#ifndef DEBUG_LOG_H
#define DEBUG_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

/* Whether there are messages. Set once, by library_init.c. */
extern atomic_bool debug_log_on;

/* Keeps errno. The newline is added. */
void debug_log_print(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#define debug_log(...)                                                         \
    do {                                                                       \
        if (atomic_load_explicit(&debug_log_on, memory_order_relaxed))         \
            debug_log_print(__VA_ARGS__);                                      \
    } while (0)

#endif
