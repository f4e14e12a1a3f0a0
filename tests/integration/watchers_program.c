/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program without mistakes, to be built with a sanitizer that the library was
 * not built with.
 *   watchers_program DIRECTORY threads   objects pass from thread to thread
 *   watchers_program DIRECTORY leaks     what a kind's objects point to is kept
 *   watchers_program DIRECTORY leak      and one thing is lost, to be found
 */
#include <memkind.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static memkind_t kind;
static atomic_bool stop;

/* ---- threads ----------------------------------------------------------- */

static void *allocate(void *unused)
{
    enum { OBJECTS = 200 };
    char *objects[OBJECTS] = {NULL};
    unsigned seed = (unsigned)(size_t)&objects;
    for (int n = 0; n < 60000; n++) {
        size_t i = (size_t)rand_r(&seed) % OBJECTS;
        size_t size = 16 + (size_t)rand_r(&seed) % (n % 50 ? 500 : 30000);
        memkind_free(kind, objects[i]);
        objects[i] = memkind_malloc(kind, size);
        if (objects[i] != NULL)
            memset(objects[i], n, size);
    }
    for (int i = 0; i < OBJECTS; i++)
        memkind_free(kind, objects[i]);
    return unused;
}

/* All threads want more than there is. */
static void *evict(void *unused)
{
    enum { OBJECTS = 4000, SIZE = 4096 };
    static _Thread_local char *objects[OBJECTS];
    for (int n = 0; n < 20000; n++) {
        size_t i = (size_t)n % OBJECTS;
        memkind_free(kind, objects[i]);
        while ((objects[i] = memkind_malloc(kind, SIZE)) == NULL) {
            i = (i + 1) % OBJECTS;
            memkind_free(kind, objects[i]);
        }
        memset(objects[i], n, SIZE);
    }
    for (int i = 0; i < OBJECTS; i++)
        memkind_free(kind, objects[i]);
    return unused;
}

static void *purge(void *unused)
{
    while (!atomic_load(&stop)) {
        (void)memkind_purge_kind(kind);
        (void)memkind_update_cached_stats();
        usleep(200);
    }
    return unused;
}

static int run_threads(void)
{
    enum { THREADS = 6 };
    pthread_t threads[THREADS], purger;
    if (pthread_create(&purger, NULL, purge, NULL) != 0)
        return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, i % 2 == 0 ? allocate : evict,
                           NULL) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&stop, true);
    pthread_join(purger, NULL);
    return 0;
}

/* ---- leaks ------------------------------------------------------------- */

struct item {
    struct item *next;
    char *text;
};

static struct item **head; /* an object of the kind, too */

static int keep_texts(memkind_t where)
{
    head = memkind_malloc(where, sizeof *head);
    if (head == NULL)
        return 1;
    *head = NULL;
    for (int i = 0; i < 2000; i++) {
        struct item *item = memkind_malloc(where, sizeof *item);
        void *hole = memkind_malloc(where, 5000);
        if (item == NULL || hole == NULL)
            return 1;
        item->text = strdup("a text that only this item points to");
        item->next = *head;
        *head = item;
        memkind_free(where, hole);
    }
    (void)memkind_purge_kind(where);
    return 0;
}

static void lose_one(void)
{
    struct item *item = *head;
    item->text = NULL;
}

int main(int argc, char **argv)
{
    static char area[16 << 20];
    memkind_t fixed;
    /* A kind of this size has one arena, which all threads share. */
    if (argc < 3 || memkind_create_pmem(argv[1], (size_t)16 << 20, &kind) != 0)
        return 1;
    if (strcmp(argv[2], "threads") == 0)
        return run_threads() != 0 || memkind_destroy_kind(kind) != 0;
    if (memkind_create_fixed(area, sizeof area, &fixed) != MEMKIND_SUCCESS ||
        keep_texts(MEMKIND_DEFAULT) != 0 || keep_texts(kind) != 0)
        return 1;
    /* What goes with a kind, goes. */
    memkind_t other;
    if (memkind_create_pmem(argv[1], 0, &other) != MEMKIND_SUCCESS)
        return 1;
    memkind_free(other, memkind_malloc(other, 100000));
    if (memkind_destroy_kind(other) != MEMKIND_SUCCESS)
        return 1;
    if (strcmp(argv[2], "leak") == 0)
        lose_one();
    return 0;
}
