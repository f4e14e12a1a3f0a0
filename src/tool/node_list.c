/* SPDX-License-Identifier: BSD-2-Clause */
#include "node_list.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_BAD_ARGUMENT 2

/* As many as a kernel can have. */
#define NODES_MOST 1024
#define BITS (CHAR_BIT * sizeof(unsigned long))

static void print_usage(const struct node_list_program *program, FILE *to)
{
    fprintf(to,
            "usage: %s [-h]\n"
            "\n"
            "Prints the numbers of all %s, with commas between\n"
            "them, as numactl --membind takes them.\n"
            "\n"
            "  -h, --help   print this\n"
            "\n"
            "See %s(1).\n",
            program->name, program->nodes, program->name);
}

/* Returns whether everything was written. */
static bool print_nodes(const unsigned long *mask)
{
    const char *separator = "";
    for (unsigned node = 0; node < NODES_MOST; node++) {
        if ((mask[node / BITS] >> node % BITS & 1) == 0)
            continue;
        printf("%s%u", separator, node);
        separator = ",";
    }
    puts("");
    return fflush(stdout) == 0 && ferror(stdout) == 0;
}

int node_list_main(const struct node_list_program *program, int argc,
                   char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    unsigned long mask[NODES_MOST / BITS] = {0};
    const int option = getopt_long(argc, argv, "h", options, NULL);
    if (option == 'h') {
        print_usage(program, stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : program->failure;
    }
    if (option != -1 || optind != argc) {
        print_usage(program, stderr);
        return EXIT_BAD_ARGUMENT;
    }
    if (program->get_nodemask(NULL, mask, NODES_MOST) != MEMKIND_SUCCESS) {
        (void)memkind_check_available(program->kind);
        fprintf(stderr, "%s: there are no %s: %s\n", program->name,
                program->nodes, memkind_last_error());
        return program->failure;
    }
    if (print_nodes(mask))
        return EXIT_SUCCESS;
    perror(program->name);
    return program->failure;
}
