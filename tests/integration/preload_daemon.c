/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A daemon that knows nothing of a library that is preloaded. It expects the
 * lowest descriptors to be free, closes all that it does not know, and forks
 * children that use its objects.
 *
 *     preload_daemon close | closefrom | close_range | listed
 *
 * Prints the number that its first file gets, how many of the numbers from 3 to
 * 511 are in use before and after, whether a high one was closed, how many
 * children found their objects, and whether close() ends a cancelled thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OBJECTS = 2000, SIZE = 3000, CHILDREN = 3, LOW_END = 512, END = 4096 };

/* Older C libraries have neither, and the preloaded library has. */
int close_range(unsigned first, unsigned last, int flags) __attribute__((weak));
void closefrom(int low) __attribute__((weak));

static unsigned char *objects[OBJECTS];

static void fill(int value)
{
    for (int i = 0; i < OBJECTS; i++)
        memset(objects[i], value + i % 100, SIZE);
}

static bool are_filled(int value)
{
    for (int i = 0; i < OBJECTS; i++)
        for (int at = 0; at < SIZE; at += 100)
            if (objects[i][at] != value + i % 100)
                return false;
    return true;
}

static void close_listed(void)
{
    DIR *list = opendir("/proc/self/fd");
    struct dirent *entry;
    while (list != NULL && (entry = readdir(list)) != NULL) {
        const int fd = atoi(entry->d_name);
        if (fd > STDERR_FILENO && fd != dirfd(list))
            (void)close(fd);
    }
    if (list != NULL)
        closedir(list);
}

static void close_each(void)
{
    for (int fd = STDERR_FILENO + 1; fd < END; fd++) {
        errno = 0;
        if (close(fd) != 0 && errno != EBADF)
            abort();
    }
}

/* In several steps, of which the heap's lie at borders and in between. */
static void close_ranges(void)
{
    if (close_range == NULL) {
        close_each();
        return;
    }
    if (close_range(5, 4, 0) == 0 || errno != EINVAL)
        abort();
    if (close_range(3, 4000, 1U << 30) == 0 || errno != EINVAL)
        abort();
    for (unsigned fd = LOW_END - 2; fd < LOW_END + 8; fd++)
        if (close_range(fd, fd, 0) != 0)
            abort();
    if (close_range(3, LOW_END, 0) != 0 || close_range(3, END, 2) != 0 ||
        close_range(3, ~0U, 0) != 0 || close_range(1U << 31, ~0U, 0) != 0)
        abort();
}

/* close() is a cancellation point. */
static void *close_cancelled(void *unused)
{
    pthread_cancel(pthread_self());
    (void)close(-1);
    return unused;
}

static bool is_cancelled(void)
{
    pthread_t thread;
    void *result = NULL;
    return pthread_create(&thread, NULL, close_cancelled, NULL) == 0 &&
           pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED;
}

static int count_low(void)
{
    int count = 0;
    for (int fd = STDERR_FILENO + 1; fd < LOW_END; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int live_as_child(int value)
{
    if (!are_filled(value))
        return 1;
    fill(value + 50);
    for (int i = 0; i < OBJECTS; i++) {
        char *other = malloc((size_t)i + 1);
        if (other == NULL)
            return 2;
        memset(other, 7, (size_t)i + 1);
        free(other);
    }
    return are_filled(value + 50) ? 0 : 3;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    for (int i = 0; i < OBJECTS; i++)
        if ((objects[i] = malloc(SIZE)) == NULL)
            return 3;
    fill(1);
    const int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int high = fcntl(first, F_DUPFD_CLOEXEC, LOW_END + 100);
    const int before = count_low();
    if (strcmp(argv[1], "close") == 0)
        close_each();
    else if (strcmp(argv[1], "close_range") == 0)
        close_ranges();
    else if (strcmp(argv[1], "listed") == 0)
        close_listed();
    else if (closefrom != NULL)
        closefrom(STDERR_FILENO + 1);
    else
        close_each();
    const bool closed = fcntl(high, F_GETFD) < 0;
    int found = 0;
    for (int i = 0; i < CHILDREN; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0)
            _exit(live_as_child(i + 1));
        found += waitpid(child, &status, 0) == child && status == 0;
        if (!are_filled(i + 1))
            found = -1;
        fill(i + 2);
    }
    printf("%d %d %d %d %d %d\n", first, before, count_low(), closed, found,
           is_cancelled());
    return 0;
}
