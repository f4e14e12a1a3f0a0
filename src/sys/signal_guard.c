/* SPDX-License-Identifier: BSD-2-Clause */
#include "signal_guard.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* sigtimedwait(2) without waiting; the C library's is a cancellation point. */
static long take_signal(const sigset_t *signals)
{
    const struct timespec no_time = {0};
    return syscall(SYS_rt_sigtimedwait, signals, NULL, &no_time, _NSIG / 8);
}

void signal_guard_begin(struct signal_guard *guard, int signal)
{
    sigset_t signals;
    guard->signal = signal;
    sigemptyset(&signals);
    sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, &guard->before);
    guard->was_pending =
        sigpending(&signals) == 0 && sigismember(&signals, signal) == 1;
}

void signal_guard_end(const struct signal_guard *guard, bool was_sent)
{
    const int saved_errno = errno;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, guard->signal);
    /* A signal that was pending before is still pending, once. */
    if (was_sent && !guard->was_pending)
        while (take_signal(&signals) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
    errno = saved_errno;
}
