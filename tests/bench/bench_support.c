/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t cpu_of_thread_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void *bench_pages(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (pages == MAP_FAILED)
        bench_no_memory(size);
    return pages;
}

void bench_release(void *pages, size_t size)
{
    munmap(pages, size);
}

void bench_metric(struct bench *bench, const char *name, double value)
{
    if (bench->metric_count == BENCH_METRICS_MAX)
        return;
    struct metric *metric = &bench->metrics[bench->metric_count++];
    snprintf(metric->name, sizeof metric->name, "%s", name);
    metric->value = value;
}

size_t bench_limit(const struct bench *bench)
{
    size_t least = heap_limit_min();
    return bench->size > least ? bench->size : least;
}

bool bench_read(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0;
}

size_t bench_anonymous(void)
{
    char text[4096];
    if (!bench_read("/proc/self/status", text, sizeof text))
        return 0;
    const char *line = strstr(text, "RssAnon:");
    return line != NULL ? strtoul(line + strlen("RssAnon:"), NULL, 10) * KIB
                        : 0;
}

size_t bench_file_bytes(const struct bench *bench)
{
    struct stat dir, file;
    size_t bytes = 0;
    DIR *fds = opendir("/proc/self/fd");
    if (fds == NULL || stat(bench->dir, &dir) != 0) {
        if (fds != NULL)
            closedir(fds);
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(fds)) != NULL;)
        if (entry->d_name[0] != '.' &&
            fstat((int)strtol(entry->d_name, NULL, 10), &file) == 0 &&
            S_ISREG(file.st_mode) && file.st_nlink == 0 &&
            file.st_dev == dir.st_dev)
            bytes += (size_t)file.st_blocks * 512;
    closedir(fds);
    return bytes;
}

int bench_file(const struct bench *bench, size_t size)
{
    int fd = open(bench->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, (off_t)size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

struct in_thread {
    struct lane *lane;
    void (*function)(struct lane *);
};

static void *in_thread(void *argument)
{
    struct in_thread *call = argument;
    call->function(call->lane);
    return NULL;
}

void lane_in_thread(struct lane *lane, void (*function)(struct lane *))
{
    struct in_thread call = {.lane = lane, .function = function};
    pthread_t thread;
    if (pthread_create(&thread, NULL, in_thread, &call) != 0) {
        fprintf(stderr, "no thread\n");
        _Exit(1);
    }
    pthread_join(thread, NULL);
}

size_t random_log(uint64_t *state, size_t low, size_t high)
{
    double part = (double)(random_next(state) >> 11) / (double)(1ull << 53);
    double size = (double)low * pow((double)high / (double)low, part);
    size_t whole = (size_t)size;
    return whole < low ? low : whole > high ? high : whole;
}
