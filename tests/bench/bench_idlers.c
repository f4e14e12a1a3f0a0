/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that have used the heap, and wait. */
#include "bench.h"

#include <semaphore.h>
#include <stdio.h>

enum { IDLER_OBJECTS = 8, IDLER_SIZE = 64, IDLER_STACK = 128 * 1024 };

struct idlers {
    struct heap heap;
    sem_t used, end;
    size_t most, count;
    pthread_t threads[];
};

static void *idle(void *argument)
{
    struct idlers *idlers = argument;
    void *objects[IDLER_OBJECTS];
    size_t count = 0;
    while (count < IDLER_OBJECTS) {
        void *object = heap_try_malloc(idlers->heap, IDLER_SIZE);
        if (object == NULL)
            break;
        object_touch(object, IDLER_SIZE);
        objects[count++] = object;
    }
    while (count > 0) {
        object_check(objects[--count]);
        heap_free(idlers->heap, objects[count]);
    }
    sem_post(&idlers->used);
    while (sem_wait(&idlers->end) != 0)
        ;
    return NULL;
}

static size_t idlers_size(size_t most)
{
    return sizeof(struct idlers) + most * sizeof(pthread_t);
}

struct idlers *idlers_start(struct bench *bench, size_t usual)
{
    size_t most = bench->idle != SIZE_MAX ? bench->idle : usual;
    struct idlers *idlers = bench_pages(idlers_size(most));
    pthread_attr_t attributes;
    idlers->heap = bench->heap;
    idlers->most = most;
    sem_init(&idlers->used, 0, 0);
    sem_init(&idlers->end, 0, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, IDLER_STACK);
    while (idlers->count < most &&
           pthread_create(&idlers->threads[idlers->count], &attributes, idle,
                          idlers) == 0)
        idlers->count++;
    pthread_attr_destroy(&attributes);
    if (idlers->count < most)
        fprintf(stderr, "%zu idle threads instead of %zu\n", idlers->count,
                most);
    for (size_t i = 0; i < idlers->count; i++)
        while (sem_wait(&idlers->used) != 0)
            ;
    return idlers;
}

size_t idlers_count(const struct idlers *idlers)
{
    return idlers->count;
}

void idlers_end(struct idlers *idlers)
{
    for (size_t i = 0; i < idlers->count; i++)
        sem_post(&idlers->end);
    for (size_t i = 0; i < idlers->count; i++)
        pthread_join(idlers->threads[i], NULL);
    sem_destroy(&idlers->used);
    sem_destroy(&idlers->end);
    bench_release(idlers, idlers_size(idlers->most));
}
