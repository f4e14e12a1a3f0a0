/* SPDX-License-Identifier: BSD-2-Clause */
#include "preload_report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libc_malloc.h"
#include "preload_heap.h"
#include "signal_guard.h"

/* Texts are made on the stack: stdio would allocate. */
struct report_text {
    size_t length;
    char bytes[2048];
};

static const struct preload_settings *report_settings;

/* From before the program sets a title of its own over its arguments. */
static char report_program[NAME_MAX + 1];
static sem_t report_wanted;

__attribute__((format(printf, 2, 0))) static void
report_add_list(struct report_text *text, const char *format, va_list arguments)
{
    const size_t room = sizeof text->bytes - text->length;
    const int length =
        vsnprintf(text->bytes + text->length, room, format, arguments);
    if (length > 0)
        text->length += (size_t)length < room ? (size_t)length : room - 1;
}

__attribute__((format(printf, 2, 3))) static void
report_add(struct report_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report_add_list(text, format, arguments);
    va_end(arguments);
}

/* In one call, so that reports of several processes do not mix. The process
 * does not end for want of a reader, or of room in the file. */
static void report_write(const struct report_text *text, int fd)
{
    struct signal_guard unread, too_big;
    ssize_t written;
    signal_guard_begin(&unread, SIGPIPE);
    signal_guard_begin(&too_big, SIGXFSZ);
    do
        written = write(fd, text->bytes, text->length);
    while (written < 0 && errno == EINTR);
    signal_guard_end(&too_big, written < 0 && errno == EFBIG);
    signal_guard_end(&unread, written < 0 && errno == EPIPE);
}

void preload_report_name(const char *program)
{
    strncpy(report_program, program, sizeof report_program - 1);
}

void preload_report_say(const char *format, ...)
{
    const int saved_errno = errno;
    struct report_text text = {0};
    report_add(&text, "memkind-preload: %s (%d): ", report_program,
               (int)getpid());
    va_list arguments;
    va_start(arguments, format);
    report_add_list(&text, format, arguments);
    va_end(arguments);
    report_add(&text, "\n");
    report_write(&text, STDERR_FILENO);
    errno = saved_errno;
}

static void report_make(struct report_text *text)
{
    const struct mallinfo2 dram = libc_mallinfo();
    report_add(text, "memkind-preload: report of process %d, %s\n",
               (int)getpid(), report_program);
    if (preload_heap.kind != NULL) {
        report_add(text, "  in %s: %zu bytes of objects\n",
                   report_settings->dir, preload_heap_allocated());
        report_add(text, "  file space: %zu bytes, at most %zu\n",
                   preload_heap_file_space(), preload_heap_most_file_space());
        report_add(text, "  no room in it: %zu times\n",
                   preload_heap_shortages());
        report_add(text, "  detached by fork: %zu bytes in DRAM\n",
                   preload_heap_detached());
    }
    report_add(text, "  in DRAM: %zu bytes of objects\n",
               dram.uordblks + dram.hblkhd);
}

static void report_now(void)
{
    const int saved_errno = errno;
    struct report_text text = {0};
    report_make(&text);
    if (strcmp(report_settings->stats, "1") == 0) {
        report_write(&text, STDERR_FILENO);
    } else {
        /* (Without O_NONBLOCK a pipe without a reader would keep the process
         * from ending.) */
        const int fd = open(report_settings->stats,
                            O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
                                O_NOCTTY | O_NONBLOCK,
                            0666);
        if (fd < 0) {
            preload_report_say("%s: %s", report_settings->stats,
                               strerrorname_np(errno));
        } else {
            report_write(&text, fd);
            close(fd);
        }
    }
    errno = saved_errno;
}

void preload_report_at_exit(void)
{
    if (report_settings != NULL)
        report_now();
}

/* ---- on SIGUSR1 ---- */

static void report_on_signal(int number)
{
    (void)number;
    const int saved_errno = errno;
    sem_post(&report_wanted);
    errno = saved_errno;
}

static void *report_thread(void *unused)
{
    (void)unused;
    for (;;)
        if (sem_wait(&report_wanted) == 0)
            report_now();
    return NULL;
}

/* The thread takes no signals: those are the program's. */
static int report_start_thread(void)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = -pthread_create(&thread, NULL, report_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result == 0)
        result = -pthread_detach(thread);
    return result;
}

int preload_report_start(const struct preload_settings *settings)
{
    if (settings->stats == NULL)
        return 0;
    report_settings = settings;
    if (!settings->stats_signal)
        return 0;
    if (sem_init(&report_wanted, 0, 0) != 0)
        return -errno;
    const int result = report_start_thread();
    if (result != 0)
        return result;
    struct sigaction action = {.sa_handler = report_on_signal,
                               .sa_flags = SA_RESTART};
    return sigaction(SIGUSR1, &action, NULL) == 0 ? 0 : -errno;
}
