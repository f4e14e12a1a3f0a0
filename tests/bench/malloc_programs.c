/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Short programs whose time is malloc's, each in the manner of a known
 * benchmark, as its description has it. They use malloc as any program does, so
 * that a preloaded one can be compared: programs.sh. Each does the same work
 * every time, and checks it.
 *
 *   malloc_programs NAME [SCALE]     exit status 0, or 1 if an object was
 * damaged
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4

static atomic_bool is_damaged;

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 33);
}

/* An object that knows its size, with a mark at both ends. */
static unsigned char *make_object(size_t size)
{
    unsigned char *object = malloc(size);
    if (object == NULL)
        abort();
    memcpy(object, &size, sizeof size);
    object[size - 1] = (unsigned char)(size * 7);
    return object;
}

static void drop_object(unsigned char *object)
{
    if (object == NULL)
        return;
    size_t size;
    memcpy(&size, object, sizeof size);
    if (size < sizeof size + 1 || object[size - 1] != (unsigned char)(size * 7))
        is_damaged = true;
    free(object);
}

static void in_threads(void *(*run)(void *), void *arguments,
                       size_t argument_size)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, run,
                           (char *)arguments + i * argument_size) != 0)
            abort();
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- numbers of any length, each result in a new object: as cfrac ---- */

struct number {
    unsigned length, uses;
    uint32_t digits[];
};

static struct number *number_new(unsigned length)
{
    struct number *number =
        malloc(sizeof *number + length * sizeof number->digits[0]);
    if (number == NULL)
        abort();
    number->length = length;
    number->uses = 1;
    return number;
}

static void number_drop(struct number *number)
{
    if (--number->uses == 0)
        free(number);
}

static struct number *number_times(const struct number *a, uint32_t b,
                                   uint32_t more)
{
    struct number *product = number_new(a->length + 1);
    uint64_t carry = more;
    for (unsigned i = 0; i < a->length; i++) {
        carry += (uint64_t)a->digits[i] * b;
        product->digits[i] = (uint32_t)carry;
        carry >>= 32;
    }
    product->digits[a->length] = (uint32_t)carry;
    product->length -= carry == 0;
    return product;
}

static struct number *number_by(const struct number *a, uint32_t b,
                                uint32_t *rest)
{
    struct number *quotient = number_new(a->length);
    uint64_t left = 0;
    for (unsigned i = a->length; i-- > 0;) {
        left = left << 32 | a->digits[i];
        quotient->digits[i] = (uint32_t)(left / b);
        left %= b;
    }
    while (quotient->length > 1 && quotient->digits[quotient->length - 1] == 0)
        quotient->length--;
    *rest = (uint32_t)left;
    return quotient;
}

static void numbers(size_t scale)
{
    uint64_t state = 1;
    for (size_t turn = 0; turn < scale * 40000; turn++) {
        struct number *number = number_new(1);
        uint32_t factors[8], rest;
        number->digits[0] = 1;
        for (int i = 0; i < 8; i++) {
            factors[i] = next_random(&state) | 1;
            struct number *product = number_times(number, factors[i], 5);
            number_drop(number);
            number = product;
        }
        for (int i = 8; i-- > 0;) {
            struct number *quotient = number_by(number, factors[i], &rest);
            number_drop(number);
            number = quotient;
            is_damaged = is_damaged || rest != 5;
        }
        is_damaged = is_damaged || number->digits[0] != 1;
        number_drop(number);
    }
}

/* ---- sets of bit vectors that become fewer: as espresso ---- */

static void cubes(size_t scale)
{
    uint64_t state = 2;
    for (size_t turn = 0; turn < scale * 150; turn++) {
        const size_t words = 2 + next_random(&state) % 30;
        size_t count = 0, room = 4;
        uint64_t **set = malloc(room * sizeof *set);
        for (size_t i = 0; i < 500 && set != NULL; i++) {
            if (count == room)
                set = realloc(set, (room *= 2) * sizeof *set);
            uint64_t *cube = calloc(words, sizeof *cube);
            if (set == NULL || cube == NULL)
                abort();
            for (size_t w = 0; w < words; w++)
                cube[w] = next_random(&state) & next_random(&state);
            set[count++] = cube;
        }
        /* Two at a time become one. */
        while (count > 1) {
            const size_t a = next_random(&state) % (count - 1);
            uint64_t *united = malloc(words * sizeof *united);
            if (united == NULL)
                abort();
            for (size_t w = 0; w < words; w++)
                united[w] = set[a][w] | set[count - 1][w];
            free(set[a]);
            free(set[--count]);
            set[a] = united;
        }
        free(set[0]);
        free(set);
    }
}

/* ---- a server whose connections outlive its threads: as larson ---- */

struct slots {
    uint64_t state;
    size_t turns, generations;
    unsigned char *objects[1000];
};

static void *serve(void *argument)
{
    struct slots *slots = argument;
    for (size_t i = 0; i < slots->turns; i++) {
        unsigned char **slot =
            &slots->objects[next_random(&slots->state) % 1000];
        drop_object(*slot);
        *slot = make_object(10 + next_random(&slots->state) % 990);
    }
    return NULL;
}

static void server(size_t scale)
{
    static struct slots slots[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        slots[i].state = i;
    for (size_t generation = 0; generation < 10; generation++) {
        for (size_t i = 0; i < THREADS; i++)
            slots[i].turns = scale * 30000;
        in_threads(serve, slots, sizeof slots[0]);
    }
    for (size_t i = 0; i < THREADS; i++)
        for (size_t j = 0; j < 1000; j++)
            drop_object(slots[i].objects[j]);
}

/* ---- threads that exchange objects: as mstress and rptest ---- */

#define EXCHANGE 1000
static unsigned char *_Atomic exchange[EXCHANGE];

struct worker {
    uint64_t state;
    size_t turns, largest;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    unsigned char *kept[400] = {0};
    for (size_t i = 0; i < worker->turns; i++) {
        const uint32_t chance = next_random(&worker->state);
        /* Sizes by their binary logarithm: small ones are the most. */
        const size_t most = (size_t)16 << chance % 16,
                     size = 16 + next_random(&worker->state) %
                                     (most < worker->largest ? most
                                                             : worker->largest);
        unsigned char *object = make_object(size);
        if (chance >> 8 & 1) {
            object = atomic_exchange(
                &exchange[next_random(&worker->state) % EXCHANGE], object);
        } else if (chance >> 9 & 1) {
            unsigned char **slot = &kept[next_random(&worker->state) % 400];
            unsigned char *before = *slot;
            *slot = object;
            object = before;
        }
        drop_object(object);
    }
    for (size_t i = 0; i < 400; i++)
        drop_object(kept[i]);
    return NULL;
}

static void exchange_objects(size_t turns, size_t rounds, size_t largest)
{
    for (size_t round = 0; round < rounds; round++) {
        struct worker workers[THREADS];
        for (size_t i = 0; i < THREADS; i++)
            workers[i] =
                (struct worker){round * THREADS + i, turns / rounds, largest};
        in_threads(work, workers, sizeof workers[0]);
        for (size_t i = 0; i < EXCHANGE; i++)
            if (round % 2 == 0 || i % 2 == 0 || round + 1 == rounds)
                drop_object(atomic_exchange(&exchange[i], NULL));
    }
}

static void stress(size_t scale)
{
    exchange_objects(scale * 200000, 10, 64 << 10);
}

static void rpmix(size_t scale)
{
    exchange_objects(scale * 400000, 2, 16000);
}

/* ---- threads that allocate, and threads that free: as xmalloc-test ---- */

#define BATCH 120
struct batch {
    struct batch *next;
    unsigned char *objects[BATCH];
};
static struct batch *batches;
static size_t batches_waiting, batches_left;
static pthread_mutex_t batches_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t batches_changed = PTHREAD_COND_INITIALIZER;

static void produce(uint64_t state, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct batch *batch = malloc(sizeof *batch);
        if (batch == NULL)
            abort();
        for (size_t j = 0; j < BATCH; j++)
            batch->objects[j] = make_object(16 + next_random(&state) % 200);
        pthread_mutex_lock(&batches_mutex);
        while (batches_waiting > 50)
            pthread_cond_wait(&batches_changed, &batches_mutex);
        batch->next = batches;
        batches = batch;
        batches_waiting++;
        pthread_cond_broadcast(&batches_changed);
        pthread_mutex_unlock(&batches_mutex);
    }
}

static struct batch *take_batch(void)
{
    pthread_mutex_lock(&batches_mutex);
    while (batches == NULL && batches_left > 0)
        pthread_cond_wait(&batches_changed, &batches_mutex);
    struct batch *batch = batches;
    if (batch != NULL) {
        batches = batch->next;
        batches_waiting--;
        batches_left--;
    }
    pthread_cond_broadcast(&batches_changed);
    pthread_mutex_unlock(&batches_mutex);
    return batch;
}

static void *pass(void *argument)
{
    struct worker *worker = argument;
    if (worker->state % 2 == 0) {
        produce(worker->state, worker->turns);
        return NULL;
    }
    struct batch *batch;
    while ((batch = take_batch()) != NULL) {
        for (size_t i = 0; i < BATCH; i++)
            drop_object(batch->objects[i]);
        free(batch);
    }
    return NULL;
}

static void handover(size_t scale)
{
    struct worker workers[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        workers[i] = (struct worker){i, scale * 5000, 0};
    batches_left = scale * 5000 * (THREADS / 2);
    in_threads(pass, workers, sizeof workers[0]);
}

/* ---- each thread gets one object of the first: as cache-scratch ---- */

struct scratch {
    size_t turns;
    unsigned char *first;
};

static void *scratch_one(void *argument)
{
    struct scratch *scratch = argument;
    free(scratch->first);
    for (size_t i = 0; i < scratch->turns; i++) {
        volatile unsigned char *object = calloc(1, 8);
        if (object == NULL)
            abort();
        for (size_t j = 0; j < 2000; j++)
            object[j % 8]++;
        free((void *)object);
    }
    return NULL;
}

static void scratch(size_t scale)
{
    struct scratch arguments[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        arguments[i] = (struct scratch){scale * 20000, malloc(8)};
    in_threads(scratch_one, arguments, sizeof arguments[0]);
}

/* ---- any object of many is replaced: as alloc-test ---- */

static void replace(size_t scale)
{
    enum { OBJECTS = 1 << 16 };
    unsigned char **objects = calloc(OBJECTS, sizeof *objects);
    uint64_t state = 3;
    if (objects == NULL)
        abort();
    for (size_t i = 0; i < scale * 1500000; i++) {
        unsigned char **slot = &objects[next_random(&state) % OBJECTS];
        if (*slot != NULL) {
            drop_object(*slot);
            *slot = NULL;
        } else {
            *slot =
                make_object(16 + next_random(&state) %
                                     ((size_t)16 << next_random(&state) % 8));
        }
    }
    for (size_t i = 0; i < OBJECTS; i++)
        drop_object(objects[i]);
    free(objects);
}

static const struct {
    const char *name;
    void (*run)(size_t scale);
} programs[] = {
    {"numbers", numbers}, {"cubes", cubes},     {"server", server},
    {"stress", stress},   {"rpmix", rpmix},     {"handover", handover},
    {"scratch", scratch}, {"replace", replace},
};

int main(int argc, char **argv)
{
    const size_t scale = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    for (size_t i = 0; argc > 1 && i < sizeof programs / sizeof programs[0];
         i++)
        if (strcmp(argv[1], programs[i].name) == 0) {
            programs[i].run(scale);
            if (is_damaged)
                fprintf(stderr, "malloc_programs: an object was damaged\n");
            return is_damaged ? 1 : 0;
        }
    fprintf(stderr, "usage: malloc_programs NAME [SCALE], of:");
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        fprintf(stderr, " %s", programs[i].name);
    fprintf(stderr, "\n");
    return 2;
}
