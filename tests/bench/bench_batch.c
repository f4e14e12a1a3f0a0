/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_batch PLACE [OBJECTS [ROUNDS]]
 *
 * Objects of 16 to 1024 bytes are allocated and written to, then all freed in
 * random order. Prints ns for each malloc and free, the median of the rounds
 * and of the first one alone, which takes its file space. Uses nothing that
 * libmemkind 1.14 does not have: run it with LD_LIBRARY_PATH on either library.
 */
#include <memkind.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    enum { ROUNDS_MAX = 101 };
    double times[ROUNDS_MAX];
    size_t objects = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
    size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 11;
    memkind_t kind;
    if (argc < 2 || objects == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_batch PLACE [OBJECTS [ROUNDS]]\n");
        return 2;
    }
    int err = memkind_create_pmem(argv[1], 0, &kind);
    if (err != MEMKIND_SUCCESS) {
        fprintf(stderr, "no kind in %s: %d\n", argv[1], err);
        return 1;
    }
    char **list = malloc(objects * sizeof *list);
    size_t *order = malloc(objects * sizeof *order);
    if (list == NULL || order == NULL)
        return 1;
    srand(1);
    for (size_t i = 0; i < objects; i++)
        order[i] = i;
    for (size_t i = objects - 1; i > 0; i--) {
        size_t j = (size_t)rand() % (i + 1);
        size_t held = order[i];
        order[i] = order[j];
        order[j] = held;
    }
    for (size_t round = 0; round < rounds; round++) {
        double start = now_ns();
        for (size_t i = 0; i < objects; i++) {
            size_t size = 16 + (i * 7919) % 1009;
            list[i] = memkind_malloc(kind, size);
            if (list[i] == NULL) {
                fprintf(stderr, "no space for object %zu\n", i);
                return 1;
            }
            memset(list[i], 1, size);
        }
        for (size_t i = 0; i < objects; i++)
            memkind_free(kind, list[order[i]]);
        times[round] = (now_ns() - start) / (double)objects;
    }
    double first = times[0];
    qsort(times, rounds, sizeof times[0], compare);
    printf("first %.0f median %.0f ns\n", first, times[rounds / 2]);
    free(order);
    free(list);
    return memkind_destroy_kind(kind) == MEMKIND_SUCCESS ? 0 : 1;
}
