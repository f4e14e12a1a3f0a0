/* SPDX-License-Identifier: BSD-2-Clause */
/* What the short benchmark does with an allocator. */
#ifndef TOOL_PATTERNS_H
#define TOOL_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* allocate() sets errno when it returns NULL. */
struct allocator {
    const char *name;
    void *(*allocate)(void *context, size_t size);
    void (*release)(void *context, void *object);
    void *context;
};

/* How much is live at once, and the tables for it, which all patterns use. */
struct workload {
    size_t objects;       /* small ones; at least 1 */
    size_t large_objects; /* at least 1 */
    void **table;         /* has as many entries as the larger number */
    size_t *order;        /* the numbers up to `objects`, shuffled */
};

/* Makes the tables of a workload that takes at most `room` bytes of an
 * allocator. False: no memory. */
bool workload_init(struct workload *workload, uint64_t room);
void workload_fini(struct workload *workload);

struct timing {
    double ns;      /* that it took to allocate and free an object */
    size_t objects; /* how many there were */
};

struct pattern {
    const char *name;
    const char *description;
    /* Runs for about `seconds`, and takes the time. Leaves nothing allocated.
     * Returns 0 or a negative errno. */
    int (*run)(const struct allocator *allocator, struct workload *workload,
               double seconds, struct timing *timing);
};

/* Seconds since some moment in the past. */
double pattern_clock(void);

#define PATTERN_COUNT 5
extern const struct pattern patterns[PATTERN_COUNT];

#endif /* TOOL_PATTERNS_H */
