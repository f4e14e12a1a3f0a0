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
    size_t rounds; /* finished */
};

static void use_kind(memkind_t kind, size_t seed)
{
    void *objects[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t size = 32 + i * 13;
        objects[i] = memkind_malloc(kind, size);
        example_expect(objects[i] != NULL, "memkind_malloc");
        example_fill(objects[i], size, seed + i);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        example_check(example_verify(objects[i], 32 + i * 13, seed + i),
                      "the objects keep what was written");
        example_check(memkind_detect_kind(objects[i]) == kind,
                      "the objects belong to their kind");
        /* the odd ones are left for memkind_destroy_kind() */
        if (i % 2 == 0) {
            memkind_free(kind, objects[i]);
        }
    }
}

static void *work(void *arg)
{
    struct worker *self = arg;
    for (size_t round = 0; round < ROUNDS; round++) {
        memkind_t kind = NULL;
        size_t limit = round % 2 == 0 ? MEMKIND_PMEM_MIN_SIZE : 0;
        int err = memkind_create_pmem(self->dir, limit, &kind);
        example_expect_success(err);
        use_kind(kind, self->number * 1000 + round);
        err = memkind_destroy_kind(kind);
        example_expect_success(err);
        self->rounds++;
    }
    return NULL;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    struct worker workers[THREADS] = {0};
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].dir = dir;
        workers[i].number = i;
        errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        example_expect(errno == 0, "pthread_create");
    }
    size_t rounds = 0;
    for (size_t i = 0; i < THREADS; i++) {
        errno = pthread_join(workers[i].thread, NULL);
        example_expect(errno == 0, "pthread_join");
        rounds += workers[i].rounds;
    }
    printf("%d threads in %s: %zu kinds made, used and destroyed\n", THREADS,
           dir, rounds);

    example_check(rounds == (size_t)THREADS * ROUNDS,
                  "every thread finishes its rounds");
    return EXIT_SUCCESS;
}
