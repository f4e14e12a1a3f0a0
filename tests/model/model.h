/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A shadow of what the library should hold, and a random walk over both: kinds
 * of every sort come and go while objects are allocated, resized, checked,
 * handed to other threads and freed in every way that memkind.h allows. What
 * differs from the shadow ends the process with a message.
 *
 * The walk is driven by choices, which come out of a generator or, one after
 * another, out of the bytes of an input.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choices {
    const uint8_t *bytes; /* NULL: by the generator */
    size_t left;
    unsigned long long random; /* its state, not 0 */
};

/* A number less than `bound`; 0 if no bytes are left. */
size_t choose(struct choices *choices, size_t bound);
bool choices_are_left(const struct choices *choices);

/* Ends the process. What has been printed before says how to replay it. */
void model_fail(const char *file, int line, const char *what);

#define MODEL_NEED(condition)                                                  \
    do {                                                                       \
        if (!(condition))                                                      \
            model_fail(__FILE__, __LINE__, #condition);                        \
    } while (0)

struct model;

/* A shadow without kinds; files are made in `dir`. At most `actors` threads
 * walk at a time. */
struct model *model_new(const char *dir, unsigned actors);

/* One step of a thread that walks as the given actor. */
void model_step(struct model *model, unsigned actor, struct choices *choices);

/* Compares everything. No other thread walks, and all that did have ended. */
void model_check(struct model *model);

/* Frees all objects one by one if `by_hand`, destroys all kinds, and checks
 * that nothing is left. */
void model_delete(struct model *model, bool by_hand);

/* Steps that have been done, by all actors; and allocations among them that
 * returned NULL, as they may if a kind is full. */
unsigned long long model_steps(const struct model *model);
unsigned long long model_refusals(const struct model *model);

#endif
