/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A load for memcached by its text protocol: threads with a connection each,
 * which ask for one of many keys, and store one now and then.
 *
 *   text_load SOCKET KEYS REQUESTS THREADS
 *
 * Prints requests a second, and the time in microseconds that 99 of 100 took at
 * most.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MOST_MICROSECONDS 20000

struct client {
    uint64_t state;
    int socket;
    size_t keys, first, requests;
    unsigned times[MOST_MICROSECONDS];
};

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static uint32_t next_random(struct client *client)
{
    client->state = client->state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(client->state >> 33);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void request(struct client *client, const char *text, size_t length,
                    const char *end)
{
    char answer[8192];
    size_t got = 0;
    const size_t end_length = strlen(end);
    if (write(client->socket, text, length) != (ssize_t)length)
        stop("write");
    while (got < end_length ||
           memcmp(answer + got - end_length, end, end_length) != 0) {
        const ssize_t more =
            read(client->socket, answer + got, sizeof answer - got);
        if (more <= 0)
            stop("read");
        got += (size_t)more;
    }
}

static void store(struct client *client, size_t key)
{
    char text[6000];
    const size_t size =
        20 + key % 500 + (next_random(client) % 16 == 0 ? 2000 : 0);
    const int head =
        snprintf(text, sizeof text, "set key:%zu 0 0 %zu\r\n", key, size);
    memset(text + head, 'x', size);
    memcpy(text + head + size, "\r\n", 2);
    request(client, text, (size_t)head + size + 2, "STORED\r\n");
}

static void *run(void *argument)
{
    struct client *client = argument;
    for (size_t i = 0; i < client->requests; i++) {
        const size_t key = next_random(client) % client->keys;
        const double begun = seconds();
        if (next_random(client) % 4 == 0) {
            store(client, key);
        } else {
            char text[64];
            const int length =
                snprintf(text, sizeof text, "get key:%zu\r\n", key);
            request(client, text, (size_t)length, "END\r\n");
        }
        const double took = (seconds() - begun) * 1e6;
        client->times[took < MOST_MICROSECONDS ? (size_t)took
                                               : MOST_MICROSECONDS - 1]++;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: text_load SOCKET KEYS REQUESTS THREADS\n");
        return 2;
    }
    const size_t keys = strtoul(argv[2], NULL, 10),
                 requests = strtoul(argv[3], NULL, 10);
    const size_t count = strtoul(argv[4], NULL, 10);
    struct client *clients = calloc(count, sizeof *clients);
    pthread_t *threads = calloc(count, sizeof *threads);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (clients == NULL || threads == NULL || count == 0)
        return 1;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[1]);
    for (size_t i = 0; i < count; i++) {
        clients[i].state = i;
        clients[i].keys = keys;
        clients[i].requests = requests / count;
        clients[i].socket = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(clients[i].socket, (struct sockaddr *)&address,
                    sizeof address) != 0)
            stop(argv[1]);
    }
    for (size_t key = 0; key < keys; key++)
        store(&clients[0], key);
    const double begun = seconds();
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, run, &clients[i]) != 0)
            stop("pthread_create");
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    const double took = seconds() - begun;
    size_t seen = 0, at = 0;
    for (; at < MOST_MICROSECONDS && seen * 100 < requests / count * count * 99;
         at++)
        for (size_t i = 0; i < count; i++)
            seen += clients[i].times[at];
    printf("%.0f %zu\n", (double)(requests / count * count) / took, at);
    free(threads);
    free(clients);
    return 0;
}
