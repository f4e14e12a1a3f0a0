/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What real programs do that a preloaded malloc has failed at, each reduced to
 * a function: reduced.sh runs them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* A server that shows what it does in its title: over its arguments and its
 * environment. */
static int title(int argc, char **argv)
{
    char **old = environ;
    (void)argc;
    environ = NULL;
    for (int i = 0; argv[i] != NULL; i++)
        memset(argv[i], 'x', strlen(argv[i]));
    for (int i = 0; old[i] != NULL; i++)
        memset(old[i], 'x', strlen(old[i]));
    return 0;
}

/* Objects of the C library's that grow until they lie in the heap, in a program
 * that is linked with another malloc. */
static int grow(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (size_t first = 1; first < 200; first++) {
        char *text = malloc(first);
        if (text == NULL)
            return 2;
        memset(text, (int)first, first);
        for (size_t size = first; size < 5000; size += 97) {
            char *larger = realloc(text, size);
            if (larger == NULL)
                return 2;
            text = larger;
            for (size_t i = 0; i < first; i++)
                if (text[i] != (char)first)
                    return 1;
        }
        free(text);
    }
    return 0;
}

/* The numbers of new descriptors. */
static int descriptors(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (int i = 0; i < 6; i++)
        printf("%d\n", open("/dev/null", O_RDONLY));
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} cases[] = {{"title", title}, {"grow", grow}, {"descriptors", descriptors}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(argv[1], cases[i].name) == 0)
            return cases[i].run(argc, argv);
    fprintf(stderr, "usage: reduced_programs CASE\n");
    return 2;
}
