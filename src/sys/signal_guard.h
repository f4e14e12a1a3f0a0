/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Around a call for which the kernel may send this thread a signal that ends a
 * process: SIGXFSZ, SIGPIPE. What is sent in between never reaches the program.
 * A signal that was sent before does.
 */
#ifndef SIGNAL_GUARD_H
#define SIGNAL_GUARD_H

#include <signal.h>
#include <stdbool.h>

struct signal_guard {
    int signal;
    sigset_t before;
    bool was_pending;
};

void signal_guard_begin(struct signal_guard *guard, int signal);

/* was_sent: the call failed with the error that comes with the signal. Keeps
 * errno. */
void signal_guard_end(const struct signal_guard *guard, bool was_sent);

#endif
