/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_test [STEPS [SEED [THREADS]]]: walks at random, beside a shadow of what
 * the library should hold. Without a seed, a fresh one, which is printed: with
 * it, one thread takes the very same steps once more. (Several threads take the
 * same steps each, but not in the same order.)
 */
#include "model.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Steps of each thread between two comparisons of everything. */
#define ROUND 400

struct walker {
    struct model *model;
    unsigned actor;
    unsigned long long steps;
    struct choices choices;
};

static void *walk(void *argument)
{
    struct walker *walker = argument;
    for (unsigned long long i = 0; i < walker->steps; i++)
        model_step(walker->model, walker->actor, &walker->choices);
    return NULL;
}

static unsigned long long fresh_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ((unsigned long long)now.tv_sec * 1000000007u +
            (unsigned long long)now.tv_nsec) ^
           (unsigned long long)getpid() << 40;
}

static unsigned long long number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);
    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "usage: model_test [STEPS [SEED [THREADS]]]\n");
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    unsigned long long steps = argc > 1 ? number(argv[1]) : 5000;
    unsigned long long seed = argc > 2 ? number(argv[2]) : 0;
    unsigned long long threads = argc > 3 ? number(argv[3]) : 1;
    if (seed == 0)
        seed = fresh_seed();
    if (threads < 1 || threads > 16)
        threads = 1;
    const char *parent = getenv("MEMKIND_TEST_DIR");
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/memkind-model-XXXXXX",
             parent != NULL ? parent : "/dev/shm");
    if (mkdtemp(dir) == NULL) {
        fprintf(stderr, "cannot make %s: %s\n", dir, strerror(errno));
        return 1;
    }
    printf("model_test %llu %llu %llu\n", steps, seed, threads);
    fflush(stdout);

    struct model *model = model_new(dir, (unsigned)threads);
    struct walker walkers[16];
    for (unsigned i = 0; i < threads; i++) {
        walkers[i] = (struct walker){.model = model, .actor = i};
        /* Any state but 0. */
        walkers[i].choices.random =
            (seed + i) * 0x9E3779B97F4A7C15u | (1ull << 63);
    }
    while (model_steps(model) < steps) {
        unsigned long long left = steps - model_steps(model);
        unsigned long long each = (left + threads - 1) / threads;
        pthread_t ids[16];
        for (unsigned i = 0; i < threads; i++)
            walkers[i].steps = each < ROUND ? each : ROUND;
        if (threads == 1)
            walk(&walkers[0]);
        for (unsigned i = 0; threads > 1 && i < threads; i++)
            MODEL_NEED(pthread_create(&ids[i], NULL, walk, &walkers[i]) == 0);
        for (unsigned i = 0; threads > 1 && i < threads; i++)
            pthread_join(ids[i], NULL);
        model_check(model);
    }
    printf("%llu steps, %llu allocations refused: as the shadow says\n",
           model_steps(model), model_refusals(model));
    model_delete(model, seed % 2 == 0);
    if (rmdir(dir) != 0) {
        fprintf(stderr, "cannot remove %s: %s\n", dir, strerror(errno));
        return 1;
    }
    return 0;
}
