/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads that each make a kind of their own, use it and destroy it, several
 * times over and all at once.
 *
 * Run: pmem_threads_many_kinds [DIR]
 */
#define _XOPEN_SOURCE 700
#include "example.h"
#include <pthread.h>

#define THREADS 8
#define ROUNDS 5
#define OBJECTS 400

struct worker {
    pthread_t thread;
    const char *dir;
    size_t number;
    size_t rounds; /* finished without an error */
};

static int use_kind(memkind_t kind, size_t seed)
{
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t size = 32 + i * 13;
        objects[i] = memkind_malloc(kind, size);
        if (objects[i] == NULL) {
            return example_fail_errno("memkind_malloc");
        }
        example_fill(objects[i], size, seed + i);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        if (!example_verify(objects[i], 32 + i * 13, seed + i)) {
            return example_fail_check("the objects keep what was written");
        }
        if (memkind_detect_kind(objects[i]) != kind) {
            return example_fail_check("the objects belong to their kind");
        }
        /* the odd ones are left for memkind_destroy_kind() */
        if (i % 2 == 0) {
            memkind_free(kind, objects[i]);
        }
    }
    return EXIT_SUCCESS;
}

static void *work(void *arg)
{
    struct worker *self = arg;
    for (size_t round = 0; round < ROUNDS; round++) {
        memkind_t kind = NULL;
        size_t limit = round % 2 == 0 ? MEMKIND_PMEM_MIN_SIZE : 0;
        int err = memkind_create_pmem(self->dir, limit, &kind);
        if (err != MEMKIND_SUCCESS) {
            (void)example_fail("memkind_create_pmem", err);
            continue;
        }
        int status = use_kind(kind, self->number * 1000 + round);
        if (example_destroy(kind, status) == EXIT_SUCCESS) {
            self->rounds++;
        }
    }
    return NULL;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    struct worker workers[THREADS] = {0};
    size_t started = 0;
    int status = EXIT_SUCCESS;
    while (started < THREADS && status == EXIT_SUCCESS) {
        struct worker *worker = &workers[started];
        worker->dir = dir;
        worker->number = started;
        int err = pthread_create(&worker->thread, NULL, work, worker);
        if (err != 0) {
            errno = err;
            status = example_fail_errno("pthread_create");
        } else {
            started++;
        }
    }
    size_t rounds = 0;
    for (size_t i = 0; i < started; i++) {
        int err = pthread_join(workers[i].thread, NULL);
        if (err != 0) {
            errno = err;
            exit(example_fail_errno("pthread_join"));
        }
        rounds += workers[i].rounds;
    }
    printf("%zu threads in %s: %zu kinds made, used and destroyed\n", started,
           dir, rounds);
    if (rounds != (size_t)THREADS * ROUNDS) {
        return example_fail_check("every thread finishes its rounds");
    }
    return status;
}
