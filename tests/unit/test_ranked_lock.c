/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of locks: Debug builds end a process that breaks it. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ranked_lock.h"
#include "test_child.h"

static struct ranked_lock outer = RANKED_LOCK_INITIALIZER(RANK_KIND_REGISTRY);
static struct ranked_lock inner = RANKED_LOCK_INITIALIZER(RANK_POOL);

/* ---- all builds -------------------------------------------------------- */

static void *try_outer(void *unused)
{
    (void)unused;
    if (!ranked_lock_try(&outer))
        return &outer;
    ranked_lock_release(&outer);
    return NULL;
}

static void *try_in_another_thread(void)
{
    pthread_t thread;
    void *refused = NULL;
    REQUIRE_EQ(pthread_create(&thread, NULL, try_outer, NULL), 0);
    pthread_join(thread, &refused);
    return refused;
}

static void test_a_lock_keeps_others_out(void)
{
    ranked_lock_take(&outer);
    CHECK_EQ(try_in_another_thread(), &outer);
    ranked_lock_release(&outer);
    CHECK_NULL(try_in_another_thread());
}

static void test_the_order_is_fine(void)
{
    ranked_lock_take(&outer);
    ranked_lock_assert_held(&outer);
    ranked_lock_take(&inner);
    ranked_lock_assert_held(&inner);
    /* Locks need not be released in turn. */
    ranked_lock_release(&outer);
    ranked_lock_release(&inner);
    ranked_lock_take(&outer);
    ranked_lock_release(&outer);
}

static void test_a_lock_got_without_waiting(void)
{
    ranked_lock_take(&inner);
    CHECK(ranked_lock_try(&outer));
    ranked_lock_assert_held(&outer);
    ranked_lock_release(&outer);
    ranked_lock_release(&inner);
}

static void test_a_lock_made_at_run_time(void)
{
    struct ranked_lock lock;
    ranked_lock_init(&lock, RANK_CACHE);
    ranked_lock_take(&outer);
    ranked_lock_take(&lock);
    CHECK(!ranked_lock_try(&lock));
    ranked_lock_take(&inner);
    ranked_lock_release(&inner);
    ranked_lock_release(&lock);
    ranked_lock_release(&outer);
    ranked_lock_destroy(&lock);
}

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_set;

static void *set_it(void *unused)
{
    ranked_lock_take(&outer);
    is_set = true;
    pthread_cond_broadcast(&changed);
    ranked_lock_release(&outer);
    return unused;
}

static void test_waiting_with_a_lock(void)
{
    pthread_t thread;
    is_set = false;
    ranked_lock_take(&outer);
    REQUIRE_EQ(pthread_create(&thread, NULL, set_it, NULL), 0);
    while (!is_set)
        ranked_lock_wait(&outer, &changed);
    ranked_lock_assert_held(&outer);
    ranked_lock_release(&outer);
    pthread_join(thread, NULL);
}

/* Each thread holds locks of its own. */
static void *take_outer(void *unused)
{
    ranked_lock_take(&outer);
    ranked_lock_release(&outer);
    return unused;
}

static void test_other_threads_hold_nothing_of_ours(void)
{
    pthread_t thread;
    ranked_lock_take(&inner);
    REQUIRE_EQ(pthread_create(&thread, NULL, take_outer, NULL), 0);
    pthread_join(thread, NULL);
    ranked_lock_release(&inner);
}

/* ---- Debug builds ------------------------------------------------------ */

#ifndef NDEBUG
static struct ranked_lock twin = RANKED_LOCK_INITIALIZER(RANK_POOL);

static void test_what_is_held(void)
{
    CHECK(!lock_rank_is_held(RANK_POOL));
    ranked_lock_take(&inner);
    CHECK(lock_rank_is_held(RANK_POOL));
    CHECK(!lock_rank_is_held(RANK_KIND_REGISTRY));
    lock_rank_allow_equal(true);
    ranked_lock_take(&twin);
    ranked_lock_release(&inner);
    CHECK(lock_rank_is_held(RANK_POOL));
    ranked_lock_release(&twin);
    lock_rank_allow_equal(false);
    CHECK(!lock_rank_is_held(RANK_POOL));
}

/* What is no ranked lock has a place in the order as well. */
static void test_ranks_without_a_lock(void)
{
    lock_rank_take(RANK_SNAPSHOT);
    CHECK(lock_rank_is_held(RANK_SNAPSHOT));
    ranked_lock_take(&inner);
    lock_rank_note(RANK_FORK_GATE);
    CHECK(lock_rank_is_held(RANK_FORK_GATE));
    lock_rank_release(RANK_FORK_GATE);
    ranked_lock_release(&inner);
    lock_rank_release(RANK_SNAPSHOT);
    CHECK(!lock_rank_is_held(RANK_SNAPSHOT));
}

/* Children end on purpose: without a core, and with their message elsewhere. */
static void be_quiet(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)!freopen("/dev/null", "w", stderr);
}

static int take_in_the_wrong_order(void)
{
    be_quiet();
    ranked_lock_take(&inner);
    ranked_lock_take(&outer);
    return 0;
}

static int take_two_of_a_rank(void)
{
    be_quiet();
    ranked_lock_take(&inner);
    ranked_lock_take(&twin);
    return 0;
}

static int take_after_a_try(void)
{
    be_quiet();
    if (!ranked_lock_try(&inner))
        return 1;
    ranked_lock_take(&outer);
    return 0;
}

static int release_what_is_not_held(void)
{
    be_quiet();
    lock_rank_release(RANK_POOL);
    return 0;
}

static int release_twice(void)
{
    be_quiet();
    lock_rank_take(RANK_POOL);
    lock_rank_release(RANK_POOL);
    lock_rank_release(RANK_POOL);
    return 0;
}

static void test_misuse_ends_the_process(void)
{
    CHECK_EQ(child_run(take_in_the_wrong_order), CHILD_KILLED + SIGABRT);
    CHECK_EQ(child_run(take_two_of_a_rank), CHILD_KILLED + SIGABRT);
    CHECK_EQ(child_run(take_after_a_try), CHILD_KILLED + SIGABRT);
    CHECK_EQ(child_run(release_what_is_not_held), CHILD_KILLED + SIGABRT);
    CHECK_EQ(child_run(release_twice), CHILD_KILLED + SIGABRT);
}

static int assert_what_is_not_held(void)
{
    be_quiet();
    ranked_lock_assert_held(&inner);
    return 0;
}

static void test_an_assertion_ends_the_process(void)
{
    /* Which signal a trap is depends on the processor. */
    CHECK_NE(child_run(assert_what_is_not_held), 0);
}
#endif

static const struct test_case tests[] = {
    {"a lock keeps others out", test_a_lock_keeps_others_out},
    {"the order is fine", test_the_order_is_fine},
    {"a lock got without waiting", test_a_lock_got_without_waiting},
    {"a lock made at run time", test_a_lock_made_at_run_time},
    {"waiting with a lock", test_waiting_with_a_lock},
    {"other threads hold nothing of ours",
     test_other_threads_hold_nothing_of_ours},
#ifndef NDEBUG
    {"what is held", test_what_is_held},
    {"ranks without a lock", test_ranks_without_a_lock},
    {"misuse ends the process", test_misuse_ends_the_process},
    {"an assertion ends the process", test_an_assertion_ends_the_process},
#endif
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("ranked lock", tests, argc, argv);
}
