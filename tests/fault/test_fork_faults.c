/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call fails, at every point of a fork with MEMKIND_FORK_SNAPSHOT
 * and of what comes after it, in the parent and in the child: once, and for
 * good. The child sees the moment of the fork, or has no kind; the parent loses
 * nothing; once the fault is lifted, memory goes back, and when the kind is
 * gone nothing is left of it.
 */
#include <errno.h>
#include <memkind.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault_calls.h"
#include "layer_test.h"
#include "test_child.h"
#include "test_kinds.h"

#define LIMIT (32 * MIB)
#define OBJECTS 40

static memkind_t kind;
static struct {
    unsigned char *at;
    size_t size;
    unsigned seed;
} objects[OBJECTS];

/* The first thing that went wrong. */
static const char *complaint;
static unsigned long points, lost_kinds;

static void expect(bool right, const char *what)
{
    if (!right && complaint == NULL)
        complaint = what;
}

static bool object_is_right(size_t i)
{
    return objects[i].at == NULL ||
           test_check(objects[i].at, objects[i].size, objects[i].seed);
}

static bool all_right(void)
{
    for (size_t i = 0; i < OBJECTS; i++)
        if (!object_is_right(i))
            return false;
    return true;
}

static void make_object(size_t i, unsigned seed)
{
    objects[i].size = i % 8 == 0 ? 80 * KIB : 9 * KIB;
    objects[i].seed = seed + (unsigned)i;
    objects[i].at = memkind_malloc(kind, objects[i].size);
    if (objects[i].at != NULL)
        test_fill(objects[i].at, objects[i].size, objects[i].seed);
    else
        expect(errno == ENOMEM, "errno of malloc");
}

/* In place, and by freeing and allocating. */
static void change_all(unsigned seed)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        expect(object_is_right(i), "contents");
        if (objects[i].at != NULL && i % 2 == 0) {
            objects[i].seed = seed + (unsigned)i;
            test_fill(objects[i].at, objects[i].size, objects[i].seed);
            continue;
        }
        memkind_free(kind, objects[i].at);
        objects[i].at = NULL;
        if (i % 5 == 1)
            memkind_purge_kind(kind);
        make_object(i, seed);
    }
    expect(all_right(), "contents after changes");
}

static void free_all(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        memkind_free(kind, objects[i].at);
        objects[i].at = NULL;
    }
}

enum { CHILD_IS_RIGHT, CHILD_HAS_NO_KIND = 3, CHILD_IS_WRONG };

/* A kind that the child cannot have gives nothing, and is not to be looked at.
 */
static int be_child(int word)
{
    char byte;
    ssize_t got = read(word, &byte, 1);
    (void)got;
    fault_lift();
    void *object = memkind_malloc(kind, 100);
    if (object == NULL)
        return fault_hit() ? CHILD_HAS_NO_KIND : CHILD_IS_WRONG;
    if (!all_right())
        return CHILD_IS_WRONG;
    change_all(5000);
    return complaint == NULL ? CHILD_IS_RIGHT : CHILD_IS_WRONG;
}

static pid_t start_child(int *word)
{
    int ends[2];
    REQUIRE_EQ(pipe(ends), 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(100);
        close(ends[1]);
        _exit(be_child(ends[0]));
    }
    close(ends[0]);
    *word = ends[1];
    return child;
}

static void end_child(pid_t child, int word)
{
    REQUIRE_EQ(write(word, "", 1), 1);
    close(word);
    int status = child_wait(child);
    lost_kinds += status == CHILD_HAS_NO_KIND;
    expect(status == CHILD_IS_RIGHT || status == CHILD_HAS_NO_KIND,
           "what the child sees");
}

/* Returns whether the fault was met. */
static bool run(uint64_t calls, unsigned at, bool for_good)
{
    int first_word, second_word;
    complaint = NULL;
    kind = kind_make(.limit = LIMIT, .fork = MEMKIND_FORK_SNAPSHOT);
    for (size_t i = 0; i < OBJECTS; i++)
        make_object(i, 1);
    fault_set(calls, at, for_good, 0);
    pid_t first = start_child(&first_word);
    change_all(1000);
    pid_t second = start_child(&second_word);
    change_all(2000);
    expect(memkind_attach_kind(kind) != MEMKIND_SUCCESS || fault_hit(),
           "attaching while children look");
    end_child(first, first_word);
    change_all(3000);
    end_child(second, second_word);
    expect(memkind_attach_kind(kind) == MEMKIND_SUCCESS || fault_hit(),
           "attaching");
    expect(all_right(), "contents after attaching");
    free_all();
    memkind_purge_kind(kind);
    for (size_t i = 0; i < OBJECTS; i++)
        make_object(i, 4000);
    expect(all_right(), "contents in the end");
    const bool met = fault_hit();
    fault_lift();
    expect(memkind_attach_kind(kind) == MEMKIND_SUCCESS,
           "attaching after the fault");
    change_all(6000);
    for (size_t i = 0; i < OBJECTS; i++)
        expect(objects[i].at != NULL || met, "no memory after the fault");
    free_all();
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    return met;
}

static void walk(uint64_t calls, bool for_good)
{
    unsigned at = 1;
    for (bool met = true; met; at++) {
        met = run(calls, at, for_good);
        points += met;
        if (complaint != NULL)
            printf("\n%s: at call %u (%s, errno %d)%s", complaint, at,
                   fault_call_name(fault_hit_call()), fault_last_error(),
                   for_good ? ", for good" : "");
        CHECK_NULL(complaint);
        if (complaint != NULL)
            break;
        fault_unmap_refused();
    }
}

static void walk_all(struct fault_world world)
{
    static const enum fault_call single[] = {
        FAULT_MEMFD,  FAULT_SEAL,    FAULT_MREMAP, FAULT_MMAP,
        FAULT_MUNMAP, FAULT_PREAD,   FAULT_OPEN,   FAULT_FALLOCATE,
        FAULT_PUNCH,  FAULT_MADVISE, FAULT_FSTAT,  FAULT_FTRUNCATE};
    struct test_resources before, after;
    points = lost_kinds = 0;
    fault_install(world);
    (void)run(0, 1, false);
    CHECK_NULL(complaint);
    layer_resources_take(&before);
    walk(FAULT_ALL & ~FAULT_BIT(FAULT_CLOSE), false);
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++)
        walk(FAULT_BIT(single[i]), true);
    layer_resources_take(&after);
    CHECK_LE(after.fds, before.fds);
    fault_remove();
    printf("%lu points, %lu children without a kind ", points, lost_kinds);
    CHECK_GE(points, 50);
    CHECK_GE(lost_kinds, 5);
}

static void pages(void)
{
    walk_all((struct fault_world){.no_punch = false});
}

static void grains(void)
{
    walk_all((struct fault_world){.pmem = true});
}

static void readahead(void)
{
    walk_all((struct fault_world){.reads_ahead = true});
}

static void writing(void)
{
    walk_all((struct fault_world){.no_fallocate = true});
}

/* A kind of snapshots, with objects and a child that looks at them. */
static pid_t begin_with_child(int *word)
{
    fault_install((struct fault_world){.no_punch = false});
    complaint = NULL;
    kind = kind_make(.limit = LIMIT, .fork = MEMKIND_FORK_SNAPSHOT);
    for (size_t i = 0; i < OBJECTS; i++)
        make_object(i, 1);
    return start_child(word);
}

/* It is not known which pages were stored to, and fallocate() fails: what is in
 * the file alone stays there. */
static void attaching_fails_twice(void)
{
    int word;
    pid_t child = begin_with_child(&word);
    end_child(child, word);
    for (unsigned at = 1; at < 3; at++) {
        fault_set(FAULT_BIT(FAULT_OPEN) | FAULT_BIT(FAULT_FALLOCATE), 1, true,
                  at == 1 ? ENOSPC : ENOSYS);
        (void)memkind_attach_kind(kind);
        CHECK(fault_injected() >= 2);
        fault_lift();
        CHECK(all_right());
    }
    CHECK_EQ(memkind_attach_kind(kind), MEMKIND_SUCCESS);
    CHECK(all_right());
    CHECK_NULL(complaint);
    free_all();
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    fault_remove();
}

/* A kind whose memory cannot be unmapped is destroyed before its child ends. */
static void destroying_fails(void)
{
    int word;
    pid_t child = begin_with_child(&word);
    fault_set(FAULT_BIT(FAULT_MUNMAP) | FAULT_BIT(FAULT_PMEM_UNMAP), 1, true,
              0);
    (void)memkind_destroy_kind(kind);
    CHECK(fault_hit());
    fault_lift();
    end_child(child, word);
    CHECK_NULL(complaint);
    fault_unmap_refused();
    fault_remove();
}

static const struct test_case tests[] = {
    {"pages", pages},
    {"grains", grains},
    {"readahead", readahead},
    {"files allocated by writing", writing},
    {"attaching fails twice", attaching_fails_twice},
    {"destroying fails", destroying_fails},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("forks whose system calls fail", tests, argc, argv);
}
