/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several threads that share one kind, and free each other's objects: what one
 * thread has allocated, the next one checks, resizes and frees.
 *
 * Run: pmem_threads_one_kind [DIR]
 */
#define _XOPEN_SOURCE 700
#include "example.h"
#include <pthread.h>

#define THREADS 4
#define ROUNDS 20
#define OBJECTS 500

struct shared {
    memkind_t kind;
    pthread_barrier_t barrier;
    void *objects[THREADS][OBJECTS];
};

struct worker {
    pthread_t thread;
    struct shared *shared;
    size_t number;
    size_t done;   /* objects that came back as they were written */
    size_t failed; /* allocations that gave NULL */
    size_t broken; /* objects with other contents */
};

static size_t size_of(size_t object)
{
    return 16 + object * 11 % 3000;
}

static size_t seed_of(size_t worker, size_t object, size_t round)
{
    return worker * 1000003 + object * 101 + round;
}

static void allocate_all(struct worker *self, size_t round)
{
    struct shared *shared = self->shared;
    for (size_t i = 0; i < OBJECTS; i++) {
        void *object = memkind_malloc(shared->kind, size_of(i));
        if (object == NULL) {
            self->failed++;
        } else {
            example_fill(object, size_of(i), seed_of(self->number, i, round));
        }
        shared->objects[self->number][i] = object;
    }
}

static void free_neighbours(struct worker *self, size_t round)
{
    struct shared *shared = self->shared;
    size_t neighbour = (self->number + 1) % THREADS;
    for (size_t i = 0; i < OBJECTS; i++) {
        void *object = shared->objects[neighbour][i];
        if (object == NULL) {
            continue;
        }
        void *larger = memkind_realloc(shared->kind, object, 2 * size_of(i));
        if (larger == NULL) {
            self->failed++;
        } else {
            object = larger;
        }
        if (example_verify(object, size_of(i), seed_of(neighbour, i, round))) {
            self->done++;
        } else {
            self->broken++;
        }
        memkind_free(shared->kind, object);
    }
}

static void *work(void *arg)
{
    struct worker *self = arg;
    for (size_t round = 0; round < ROUNDS; round++) {
        allocate_all(self, round);
        (void)pthread_barrier_wait(&self->shared->barrier);
        free_neighbours(self, round);
        (void)pthread_barrier_wait(&self->shared->barrier);
    }
    return NULL;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    static struct shared shared;
    int err = memkind_create_pmem(dir, 64 * EXAMPLE_MIB, &shared.kind);
    example_expect_success(err);
    printf("a kind of 64 MiB in %s\n", dir);

    errno = pthread_barrier_init(&shared.barrier, NULL, THREADS);
    example_expect(errno == 0, "pthread_barrier_init");
    struct worker workers[THREADS] = {0};
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].shared = &shared;
        workers[i].number = i;
        errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        example_expect(errno == 0, "pthread_create");
    }
    size_t done = 0;
    size_t failed = 0;
    size_t broken = 0;
    for (size_t i = 0; i < THREADS; i++) {
        errno = pthread_join(workers[i].thread, NULL);
        example_expect(errno == 0, "pthread_join");
        done += workers[i].done;
        failed += workers[i].failed;
        broken += workers[i].broken;
    }
    (void)pthread_barrier_destroy(&shared.barrier);
    printf("%d threads: %zu objects allocated by one and freed by another, "
           "%zu failures, %zu broken\n",
           THREADS, done, failed, broken);
    err = memkind_destroy_kind(shared.kind);
    example_expect_success(err);

    example_check(failed == 0 && broken == 0 &&
                      done == (size_t)THREADS * ROUNDS * OBJECTS,
                  "every object reaches the other thread");
    return EXIT_SUCCESS;
}
