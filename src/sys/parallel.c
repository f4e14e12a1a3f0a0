/* SPDX-License-Identifier: BSD-2-Clause */
#include "parallel.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "cancellation.h"
#include "cpu_count.h"
#include "sys_calls.h"

#define THREADS_MOST 15

/* Room for the variables of all libraries, which lie on a thread's stack. */
#define STACK_SIZE ((size_t)256 << 10)

struct job {
    parallel_work *work;
    void *context;
    unsigned count;
    atomic_uint next;
};

static void *do_pieces(void *argument)
{
    struct job *job = argument;
    for (;;) {
        const unsigned index = atomic_fetch_add(&job->next, 1);
        if (index >= job->count)
            return NULL;
        job->work(job->context, index);
    }
}

/* How many threads are of use for so many pieces of work. */
static unsigned useful_threads(unsigned pieces, unsigned most)
{
    const unsigned cpus = cpu_count() < most ? cpu_count() : most;
    return pieces < cpus ? pieces : cpus;
}

/* Makes so many threads; returns how many there are. */
static unsigned make_threads(pthread_t *threads, unsigned wanted,
                             void *(*work)(void *), void *argument)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    unsigned made = 0;
    if (wanted == 0 || pthread_attr_init(&attributes) != 0)
        return 0;
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (made < wanted &&
           sys.pthread_create(&threads[made], &attributes, work, argument) == 0)
        made++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return made;
}

void parallel_do(unsigned count, parallel_work *work, void *context)
{
    struct job job = {.work = work, .context = context, .count = count};
    pthread_t threads[THREADS_MOST];
    /* The caller is one of them. */
    const unsigned wanted = useful_threads(count, THREADS_MOST + 1);
    const unsigned made =
        make_threads(threads, wanted == 0 ? 0 : wanted - 1, do_pieces, &job);
    (void)do_pieces(&job);
    cancellation_forbid();
    for (unsigned i = 0; i < made; i++)
        pthread_join(threads[i], NULL);
}

unsigned parallel_start(unsigned most, void *(*work)(void *), void *argument)
{
    pthread_t threads[THREADS_MOST];
    const unsigned made = make_threads(
        threads, useful_threads(most, THREADS_MOST), work, argument);
    for (unsigned i = 0; i < made; i++)
        pthread_detach(threads[i]);
    return made;
}
