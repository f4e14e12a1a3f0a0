/* SPDX-License-Identifier: BSD-2-Clause */
#include "misuse_reports.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

struct report {
    memkind_misuse what;
    memkind_t kind;
    const void *ptr;
};

atomic_int report_counts[MEMKIND_MISUSE_MAX_VALUE];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct report last;

static void note(memkind_misuse what, memkind_t kind, const void *ptr,
                 void *arg)
{
    CHECK_EQ(arg, &last);
    atomic_fetch_add(&report_counts[what], 1);
    pthread_mutex_lock(&lock);
    last = (struct report){what, kind, ptr};
    pthread_mutex_unlock(&lock);
    errno = EILSEQ; /* which no caller may see */
}

void forget_reports(void)
{
    for (int i = 0; i < MEMKIND_MISUSE_MAX_VALUE; i++)
        atomic_store(&report_counts[i], 0);
    last = (struct report){MEMKIND_MISUSE_MAX_VALUE, NULL, NULL};
}

void remember_reports(void)
{
    forget_reports();
    memkind_set_misuse_handler(note, &last);
}

int count_reports(void)
{
    int sum = 0;
    for (int i = 0; i < MEMKIND_MISUSE_MAX_VALUE; i++)
        sum += atomic_load(&report_counts[i]);
    return sum;
}

bool was_reported(memkind_misuse what, memkind_t kind, const void *ptr)
{
    bool right = count_reports() == 1 && last.what == what &&
                 last.kind == kind && last.ptr == ptr;
    if (!right)
        printf("[%d reports, last: %d, kind %p, %p] ", count_reports(),
               (int)last.what, (void *)last.kind, last.ptr);
    forget_reports();
    return right;
}

memkind_t make_watched_kind(void)
{
    memkind_t kind = kind_make_limited(0);
    remember_reports();
    return kind;
}

void destroy_watched_kind(memkind_t kind)
{
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CHECK_EQ(count_reports(), 0);
    memkind_set_misuse_handler(NULL, NULL);
}

const size_t object_sizes[OBJECT_SIZES] = {1,     8,     24,      1000,
                                           14336, 40000, 4 * MIB, 20 * MIB};

memkind_misuse second_free(size_t size)
{
    return size > 8 * MIB ? MEMKIND_MISUSE_NO_OBJECT
                          : MEMKIND_MISUSE_DOUBLE_FREE;
}

bool places_differ(memkind_t kind, size_t size)
{
    enum { COUNT = 64 };
    void *objects[COUNT];
    bool differ = true;
    for (int i = 0; i < COUNT; i++) {
        objects[i] = memkind_malloc(kind, size);
        for (int j = 0; j < i; j++)
            differ &= objects[i] != objects[j];
    }
    for (int i = 0; i < COUNT; i++)
        memkind_free(kind, objects[i]);
    return differ;
}
