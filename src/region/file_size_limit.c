/* SPDX-License-Identifier: BSD-2-Clause */
#include "file_size_limit.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys_calls.h"

bool file_size_is_allowed(size_t size)
{
    struct rlimit limit;
    return sys.get_file_size_limit(&limit) != 0 ||
           limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur;
}

/* sigtimedwait(2) without waiting; the C library's is a cancellation point. */
static long take_signal(const sigset_t *signals)
{
    const struct timespec no_time = {0};
    return syscall(SYS_rt_sigtimedwait, signals, NULL, &no_time, _NSIG / 8);
}

void file_size_guard_begin(struct file_size_guard *guard)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signals, &guard->before);
    guard->was_pending =
        sigpending(&signals) == 0 && sigismember(&signals, SIGXFSZ) == 1;
}

void file_size_guard_end(const struct file_size_guard *guard, bool is_too_big)
{
    const int saved_errno = errno;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    /* A signal that was pending before is still pending, once. */
    if (is_too_big && !guard->was_pending)
        while (take_signal(&signals) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
    errno = saved_errno;
}
