/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that have used the heap, and wait. */
#include "bench.h"

#include <semaphore.h>
#include <stdio.h>

enum {
    IDLER_OBJECTS = 8,
    IDLER_SIZE = 64,
    IDLER_STACK = 128 * 1024,
    SPARE = 8, /* threads and processes that a pattern may need beside lanes */
};

struct idler {
    pthread_t thread;
    sem_t end;
    struct idlers *all;
};

struct idlers {
    struct heap heap;
    sem_t used;
    size_t most, count;
    struct idler idlers[];
};

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        ;
}

static void *idle(void *argument)
{
    struct idler *idler = argument;
    struct heap heap = idler->all->heap;
    void *objects[IDLER_OBJECTS];
    size_t count = 0;
    while (count < IDLER_OBJECTS) {
        void *object = heap_try_malloc(heap, IDLER_SIZE);
        if (object == NULL)
            break;
        object_touch(object, IDLER_SIZE);
        objects[count++] = object;
    }
    while (count > 0) {
        object_check(objects[--count]);
        heap_free(heap, objects[count]);
    }
    sem_post(&idler->all->used);
    wait_for(&idler->end);
    return NULL;
}

static size_t idlers_size(size_t most)
{
    return sizeof(struct idlers) + most * sizeof(struct idler);
}

static bool start_one(struct idlers *idlers, const pthread_attr_t *attributes)
{
    struct idler *idler = &idlers->idlers[idlers->count];
    idler->all = idlers;
    sem_init(&idler->end, 0, 0);
    if (pthread_create(&idler->thread, attributes, idle, idler) == 0) {
        idlers->count++;
        return true;
    }
    sem_destroy(&idler->end);
    return false;
}

/* Those that started last end, until there are no more than `left`. */
static void end_some(struct idlers *idlers, size_t left)
{
    for (size_t i = left; i < idlers->count; i++)
        sem_post(&idlers->idlers[i].end);
    while (idlers->count > left) {
        struct idler *idler = &idlers->idlers[--idlers->count];
        pthread_join(idler->thread, NULL);
        sem_destroy(&idler->end);
    }
}

struct idlers *idlers_start(struct bench *bench, size_t usual)
{
    size_t most = bench->idle != SIZE_MAX ? bench->idle : usual;
    struct idlers *idlers = bench_pages(idlers_size(most));
    pthread_attr_t attributes;
    idlers->heap = bench->heap;
    idlers->most = most;
    sem_init(&idlers->used, 0, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, IDLER_STACK);
    while (idlers->count < most && start_one(idlers, &attributes))
        ;
    pthread_attr_destroy(&attributes);
    for (size_t i = 0; i < idlers->count; i++)
        wait_for(&idlers->used);
    if (idlers->count < most) {
        size_t needed = bench->threads + SPARE;
        end_some(idlers, idlers->count > needed ? idlers->count - needed : 0);
        fprintf(stderr, "%zu idle threads instead of %zu\n", idlers->count,
                most);
    }
    return idlers;
}

size_t idlers_count(const struct idlers *idlers)
{
    return idlers->count;
}

void idlers_end(struct idlers *idlers)
{
    end_some(idlers, 0);
    sem_destroy(&idlers->used);
    bench_release(idlers, idlers_size(idlers->most));
}
