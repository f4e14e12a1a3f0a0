/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns the results of probes into answers and advice. */
#ifndef TOOL_ADVICE_H
#define TOOL_ADVICE_H

#include <stdbool.h>

#include "tool_probe.h"

#define ADVICE_MAX 3

/* An answer to one question. */
struct finding {
    const char *id;    /* for programs */
    const char *title; /* for people */
    enum answer answer;
    bool matters;       /* a "no" takes away what a kind is for */
    const char *detail; /* empty: none */
    int advice_count;
    const char *advice[ADVICE_MAX];
};

enum finding_index {
    FINDING_KIND,
    FINDING_DAX,
    FINDING_HOLES,
    FINDING_FALLOCATE,
    FINDING_PUNCH,
    FINDING_LARGE,
    FINDING_NODES,
    FINDING_SPACE,
    FINDING_LIMITS,
    FINDING_COUNT,
};

void advice_on(const struct probe *probe, struct finding list[FINDING_COUNT]);

/* How many findings are a "no" that matters. */
int advice_count_bad(const struct finding list[FINDING_COUNT]);

#endif /* TOOL_ADVICE_H */
