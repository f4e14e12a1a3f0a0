/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program does wrong: refused, reported through one channel, and no
 * harm to what is right. */
#include <errno.h>
#include <memkind/internal/memkind_arena.h>
#include <memkind/internal/memkind_default.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_support.h"

#define UNTOUCHED 4711

/* ---- what was reported
 * -------------------------------------------------------- */

struct report {
    memkind_misuse what;
    memkind_t kind;
    const void *ptr;
};

static struct {
    atomic_int counts[MEMKIND_MISUSE_MAX_VALUE];
    pthread_mutex_t lock;
    struct report last;
} reported = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note(memkind_misuse what, memkind_t kind, const void *ptr,
                 void *arg)
{
    CU_ASSERT_PTR_EQUAL(arg, &reported);
    atomic_fetch_add(&reported.counts[what], 1);
    pthread_mutex_lock(&reported.lock);
    reported.last = (struct report){what, kind, ptr};
    pthread_mutex_unlock(&reported.lock);
    errno = EILSEQ; /* which nobody is to see */
}

static void forget(void)
{
    for (int i = 0; i < MEMKIND_MISUSE_MAX_VALUE; i++)
        atomic_store(&reported.counts[i], 0);
    reported.last = (struct report){MEMKIND_MISUSE_MAX_VALUE, NULL, NULL};
}

static int count_all(void)
{
    int sum = 0;
    for (int i = 0; i < MEMKIND_MISUSE_MAX_VALUE; i++)
        sum += atomic_load(&reported.counts[i]);
    return sum;
}

/* Exactly one report since the last call, of just that. */
static bool was_reported(memkind_misuse what, memkind_t kind, const void *ptr)
{
    bool right = count_all() == 1 && reported.last.what == what &&
                 reported.last.kind == kind && reported.last.ptr == ptr;
    if (!right)
        printf("[%d reports, last: %d, kind %p, %p] ", count_all(),
               (int)reported.last.what, (void *)reported.last.kind,
               reported.last.ptr);
    forget();
    return right;
}

static memkind_t make_kind(void)
{
    memkind_t kind = NULL;
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem(test_dir(), 0, &kind),
                          MEMKIND_SUCCESS);
    forget();
    memkind_set_misuse_handler(note, &reported);
    return kind;
}

static void destroy(memkind_t kind)
{
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(count_all(), 0);
    memkind_set_misuse_handler(NULL, NULL);
}

static size_t allocated(memkind_t kind)
{
    size_t bytes = 0;
    CU_ASSERT_EQUAL(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(memkind_get_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED, &bytes),
                    MEMKIND_SUCCESS);
    return bytes;
}

/* Sizes of all sorts: in slabs, with pages of their own, and not cached. */
static const size_t sizes[] = {1,     8,     24,       1000,
                               14336, 40000, 4u << 20, 20u << 20};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* Two objects at once are never at the same place: what was freed twice is not
 * handed out twice. */
static bool places_differ(memkind_t kind, size_t size)
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

/* ---- pointers
 * ----------------------------------------------------------------- */

/* A large object is gone at once, and no trace of it left. */
static memkind_misuse second_free(size_t size)
{
    return size > 8u << 20 ? MEMKIND_MISUSE_NO_OBJECT
                           : MEMKIND_MISUSE_DOUBLE_FREE;
}

static void test_free_twice(void)
{
    memkind_t kind = make_kind();
    for (int i = 0; i < SIZES; i++) {
        const memkind_misuse what = second_free(sizes[i]);
        void *object = memkind_malloc(kind, sizes[i]);
        void *other = memkind_malloc(kind, sizes[i]);
        memkind_free(kind, object);
        errno = UNTOUCHED;
        memkind_free(kind, object);
        CU_ASSERT_EQUAL(errno, UNTOUCHED);
        CU_ASSERT(was_reported(what, kind, object));
        memkind_free(NULL, object);
        CU_ASSERT(was_reported(what, kind, object));
        errno = 0;
        CU_ASSERT_PTR_NULL(memkind_realloc(kind, object, sizes[i] * 2));
        CU_ASSERT_EQUAL(errno, EINVAL);
        CU_ASSERT(was_reported(what, kind, object));
        CU_ASSERT_PTR_NULL(memkind_defrag_reallocate(kind, object));
        CU_ASSERT(was_reported(what, kind, object));
        memkind_free(kind, other);
        CU_ASSERT_EQUAL(count_all(), 0);
        if (sizes[i] < 100000)
            CU_ASSERT(places_differ(kind, sizes[i]));
    }
    CU_ASSERT_EQUAL(allocated(kind), 0);
    destroy(kind);
}

/* Where nothing is kept, objects with pages of their own are gone at once. */
static void test_free_twice_of_a_conservative_kind(void)
{
    memkind_t kind = NULL;
    struct memkind_config *config = memkind_config_new();
    memkind_config_set_path(config, test_dir());
    memkind_config_set_memory_usage_policy(
        config, MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem_with_config(config, &kind),
                          MEMKIND_SUCCESS);
    memkind_config_delete(config);
    memkind_set_misuse_handler(note, &reported);
    forget();
    for (int i = 0; i < SIZES; i++) {
        void *object = memkind_malloc(kind, sizes[i]);
        memkind_free(kind, object);
        memkind_free(kind, object);
        CU_ASSERT_EQUAL(count_all(), 1);
        forget();
    }
    destroy(kind);
}

/* Everything of a class is freed, and then once more: what overflows the
 * magazine is compared with what is in it. */
static void test_free_all_twice(void)
{
    enum { COUNT = 48 };
    memkind_t kind = make_kind();
    void *objects[COUNT];
    for (int i = 0; i < COUNT; i++)
        objects[i] = memkind_malloc(kind, 200);
    /* each twice in a row, with another one in between */
    for (int i = 0; i < COUNT; i += 2) {
        memkind_free(kind, objects[i]);
        memkind_free(kind, objects[i + 1]);
        memkind_free(kind, objects[i]);
    }
    /* What is in a magazine twice is found when it is emptied. */
    CU_ASSERT_EQUAL(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    CU_ASSERT(count_all() > 0);
    CU_ASSERT_EQUAL(count_all(), reported.counts[MEMKIND_MISUSE_DOUBLE_FREE]);
    forget();
    CU_ASSERT(places_differ(kind, 200));
    CU_ASSERT_EQUAL(allocated(kind), 0);
    destroy(kind);
}

static void test_free_of_interior_pointers(void)
{
    memkind_t kind = make_kind();
    for (int i = 0; i < SIZES; i++) {
        char *object = memkind_malloc(kind, sizes[i]);
        const size_t inside[] = {1, 8, sizes[i] / 2 | 1, sizes[i] - 1};
        for (int j = 0; j < 4; j++) {
            char *ptr = object + inside[j];
            if (inside[j] == 0 || inside[j] >= sizes[i])
                continue;
            errno = UNTOUCHED;
            memkind_free(kind, ptr);
            CU_ASSERT_EQUAL(errno, UNTOUCHED);
            CU_ASSERT(was_reported(MEMKIND_MISUSE_NO_OBJECT, kind, ptr));
            CU_ASSERT_PTR_NULL(memkind_realloc(NULL, ptr, 10));
            CU_ASSERT(was_reported(MEMKIND_MISUSE_NO_OBJECT, kind, ptr));
            CU_ASSERT_PTR_NULL(memkind_defrag_reallocate(kind, ptr));
            CU_ASSERT(was_reported(MEMKIND_MISUSE_NO_OBJECT, kind, ptr));
            /* Asking is no misuse. */
            CU_ASSERT_EQUAL(memkind_malloc_usable_size(kind, ptr), 0);
        }
        memkind_free(kind, object);
    }
    CU_ASSERT_EQUAL(allocated(kind), 0);
    destroy(kind);
}

static void test_free_of_foreign_pointers(void)
{
    static int data;
    int local;
    memkind_t kind = make_kind();
    char *heap = malloc(100);
    char *unmapped =
        mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(unmapped, 4096);
    const struct {
        void *ptr;
    } foreign[] = {
        {&data},
        {&local},
        {heap},
        {(void *)"text"},
        {(void *)(intptr_t)8},
        {unmapped},
        {(void *)-16},
    };
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        void *ptr = foreign[i].ptr;
        memkind_free(kind, ptr);
        CU_ASSERT(was_reported(MEMKIND_MISUSE_FOREIGN, kind, ptr));
        memkind_free(NULL, ptr);
        CU_ASSERT(was_reported(MEMKIND_MISUSE_FOREIGN, NULL, ptr));
        errno = 0;
        CU_ASSERT_PTR_NULL(memkind_realloc(kind, ptr, 100));
        CU_ASSERT_EQUAL(errno, EINVAL);
        CU_ASSERT(was_reported(MEMKIND_MISUSE_FOREIGN, kind, ptr));
        CU_ASSERT_PTR_NULL(memkind_defrag_reallocate(NULL, ptr));
        CU_ASSERT(was_reported(MEMKIND_MISUSE_FOREIGN, NULL, ptr));
        CU_ASSERT_EQUAL(memkind_malloc_usable_size(kind, ptr), 0);
        CU_ASSERT_PTR_NULL(memkind_detect_kind(ptr));
        CU_ASSERT_EQUAL(count_all(), 0);
    }
    free(heap);
    destroy(kind);
}

static void test_wrong_kind(void)
{
    memkind_t kind = make_kind(), other = make_kind();
    for (int i = 0; i < SIZES; i++) {
        unsigned char *object = memkind_malloc(kind, sizes[i]);
        test_fill(object, sizes[i], 3);
        object = memkind_realloc(other, object, sizes[i] + 1);
        CU_ASSERT_EQUAL(reported.counts[MEMKIND_MISUSE_WRONG_KIND], 1);
        forget();
        CU_ASSERT(test_check(object, sizes[i], 3));
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(object), kind);
        memkind_t wrong[] = {other, MEMKIND_DEFAULT, MEMKIND_HBW};
        memkind_free(wrong[i % 3], object);
        CU_ASSERT(
            was_reported(MEMKIND_MISUSE_WRONG_KIND, wrong[i % 3], object));
        CU_ASSERT_EQUAL(allocated(kind), 0);
    }
    CU_ASSERT_EQUAL(memkind_destroy_kind(other), MEMKIND_SUCCESS);
    destroy(kind);
}

/* ---- kinds
 * -------------------------------------------------------------------- */

static void test_a_destroyed_kind(void)
{
    size_t value = 0;
    void *object = NULL;
    memkind_t kind = make_kind(), live = make_kind();
    char *left = memkind_malloc(kind, 100);
    void *of_live = memkind_malloc(live, 100);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(count_all(), 0);

    errno = 0;
    CU_ASSERT_PTR_NULL(memkind_malloc(kind, 100));
    CU_ASSERT_EQUAL(errno, EINVAL);
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CU_ASSERT_PTR_NULL(memkind_calloc(kind, 10, 10));
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CU_ASSERT_EQUAL(memkind_posix_memalign(kind, &object, 64, 64), EINVAL);
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CU_ASSERT_PTR_NULL(memkind_realloc(kind, left, 200));
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, left));
    CU_ASSERT_PTR_NULL(memkind_defrag_reallocate(kind, left));
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, left));
    memkind_free(kind, left);
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, left));
    memkind_free(NULL, left);
    CU_ASSERT(was_reported(MEMKIND_MISUSE_FOREIGN, NULL, left));
    memkind_free(live, left);
    CU_ASSERT(was_reported(MEMKIND_MISUSE_FOREIGN, live, left));
    CU_ASSERT_EQUAL(memkind_purge_kind(kind), MEMKIND_ERROR_INVALID);
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CU_ASSERT_EQUAL(memkind_get_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED, &value),
                    MEMKIND_ERROR_INVALID);
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_ERROR_OPERATION_FAILED);
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
    /* Asking is no misuse, nor is freeing nothing. */
    CU_ASSERT_EQUAL(memkind_check_available(kind), MEMKIND_ERROR_INVALID);
    CU_ASSERT_EQUAL(memkind_get_capacity(kind), -1);
    CU_ASSERT_EQUAL(memkind_malloc_usable_size(kind, left), 0);
    memkind_free(kind, NULL);
    CU_ASSERT_EQUAL(count_all(), 0);
    /* An object of a kind that is there goes back to it all the same. */
    memkind_free(kind, of_live);
    CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, of_live));
    CU_ASSERT_EQUAL(allocated(live), 0);
    destroy(live);
}

/* A handle is not used for the next kind at once. */
static void test_a_handle_is_not_reused_soon(void)
{
    memkind_t kind = make_kind();
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    for (int i = 0; i < 20; i++) {
        memkind_t next = make_kind();
        CU_ASSERT_PTR_NOT_EQUAL(next, kind);
        CU_ASSERT_PTR_NULL(memkind_malloc(kind, 10));
        CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, kind, NULL));
        destroy(next);
    }
}

static void test_kinds_that_cannot_be_destroyed(void)
{
    int no_kind[64] = {0};
    memkind_t kind = make_kind();
    memkind_t wrong[] = {MEMKIND_DEFAULT, MEMKIND_REGULAR, MEMKIND_HBW,
                         (memkind_t)(void *)no_kind};
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(memkind_destroy_kind(wrong[i]),
                        MEMKIND_ERROR_OPERATION_FAILED);
        CU_ASSERT(was_reported(MEMKIND_MISUSE_DEAD_KIND, wrong[i], NULL));
    }
    CU_ASSERT_EQUAL(memkind_destroy_kind(NULL), MEMKIND_ERROR_INVALID);
    CU_ASSERT_EQUAL(count_all(), 0);
    void *object = memkind_malloc(MEMKIND_DEFAULT, 10);
    CU_ASSERT_PTR_NOT_NULL(object);
    memkind_free(NULL, object);
    destroy(kind);
}

/* A thread has used the kind, and goes on after it is gone. */
struct late_user {
    memkind_t kind;
    void *object;
    pthread_barrier_t barrier;
    bool refused;
};

static void *use_too_late(void *argument)
{
    struct late_user *user = argument;
    for (int i = 0; i < 100; i++)
        memkind_free(user->kind, memkind_malloc(user->kind, 100));
    user->object = memkind_malloc(user->kind, 100);
    pthread_barrier_wait(&user->barrier);
    pthread_barrier_wait(&user->barrier);
    user->refused = memkind_malloc(user->kind, 100) == NULL;
    memkind_free(user->kind, user->object);
    memkind_free(NULL, user->object);
    return NULL;
}

static void test_destroyed_behind_a_threads_back(void)
{
    pthread_t thread;
    struct late_user user = {.kind = make_kind()};
    pthread_barrier_init(&user.barrier, NULL, 2);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, use_too_late, &user),
                          0);
    pthread_barrier_wait(&user.barrier);
    CU_ASSERT_EQUAL(memkind_destroy_kind(user.kind), MEMKIND_SUCCESS);
    pthread_barrier_wait(&user.barrier);
    pthread_join(thread, NULL);
    CU_ASSERT_TRUE(user.refused);
    CU_ASSERT_EQUAL(reported.counts[MEMKIND_MISUSE_DEAD_KIND], 2);
    CU_ASSERT_EQUAL(reported.counts[MEMKIND_MISUSE_FOREIGN], 1);
    CU_ASSERT_EQUAL(count_all(), 3);
    pthread_barrier_destroy(&user.barrier);
    memkind_set_misuse_handler(NULL, NULL);
}

/* ---- the handler
 * -------------------------------------------------------------- */

static int told;

static void use_the_library(memkind_misuse what, memkind_t kind,
                            const void *ptr, void *arg)
{
    (void)what, (void)ptr, (void)arg;
    told++;
    void *object = memkind_malloc(kind, 5000);
    CU_ASSERT_PTR_NOT_NULL(object);
    memkind_free(kind, object);
    memkind_free(kind, object); /* misuse in here is not told in here */
    CU_ASSERT_EQUAL(memkind_purge_kind(kind), MEMKIND_SUCCESS);
    memkind_set_misuse_handler(use_the_library, arg);
}

static void test_a_handler_that_uses_the_library(void)
{
    memkind_t kind = make_kind();
    void *object = memkind_malloc(kind, 5000);
    memkind_set_misuse_handler(use_the_library, NULL);
    memkind_free(kind, object);
    memkind_free(kind, object);
    CU_ASSERT_EQUAL(told, 1);
    memkind_free(kind, &told);
    CU_ASSERT_EQUAL(told, 2);
    destroy(kind);
}

/* Handler and argument belong together, whoever sets them meanwhile. */
static atomic_bool setting;
static atomic_int torn, told_in_all;

static void take_even(memkind_misuse what, memkind_t kind, const void *ptr,
                      void *arg)
{
    (void)what, (void)kind, (void)ptr;
    atomic_fetch_add(&torn, (uintptr_t)arg % 2 != 0);
    atomic_fetch_add(&told_in_all, 1);
}

static void take_odd(memkind_misuse what, memkind_t kind, const void *ptr,
                     void *arg)
{
    (void)what, (void)kind, (void)ptr;
    atomic_fetch_add(&torn, (uintptr_t)arg % 2 != 1);
    atomic_fetch_add(&told_in_all, 1);
}

static void *set_handlers(void *unused)
{
    for (uintptr_t i = 0; atomic_load(&setting); i++)
        memkind_set_misuse_handler(i % 2 == 0 ? take_even : take_odd,
                                   (void *)(i | 2));
    return unused;
}

static void test_handlers_are_set_by_other_threads(void)
{
    enum { ROUNDS = 20000 };
    pthread_t thread;
    int here;
    memkind_set_misuse_handler(take_even, NULL);
    atomic_store(&setting, true);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, set_handlers, NULL), 0);
    for (int i = 0; i < ROUNDS; i++)
        memkind_free(NULL, &here);
    atomic_store(&setting, false);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(torn, 0);
    CU_ASSERT_EQUAL(told_in_all, ROUNDS);
    memkind_set_misuse_handler(NULL, NULL);
}

/* What a child says on stderr that frees a foreign pointer by the default. */
static int run_child(char *debug, char *text, size_t size)
{
    char *const environment[] = {debug, NULL};
    int ends[2], status = -1;
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        execle("/proc/self/exe", "test_misuse", "--foreign", (char *)NULL,
               environment);
        _exit(99);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    close(ends[0]);
    return status;
}

static void test_the_default_is_a_message(void)
{
    static char on[] = "MEMKIND_DEBUG=1", off[] = "MEMKIND_DEBUG=0";
    char quiet[500], loud[500];
    int first = run_child(off, quiet, sizeof quiet);
    int second = run_child(on, loud, sizeof loud);
    CU_ASSERT_EQUAL(strncmp(loud, "[memkind] 0x", 12), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(loud, "no address of any kind"));
    CU_ASSERT_STRING_EQUAL(quiet, "");
    CU_ASSERT(first == 0 && second == 0);
}

static void *kept;

/* ---- signals
 * ------------------------------------------------------------------ */

static memkind_t signal_kind;
static atomic_int handled, refused;
static atomic_bool running;

static void allocate_in_handler(int signal)
{
    (void)signal;
    int saved_errno = errno;
    for (size_t size = 8; size < 100000; size *= 7) {
        uintptr_t *object = memkind_malloc(signal_kind, size);
        if (object == NULL) {
            atomic_fetch_add(&refused, 1);
            continue;
        }
        *object = (uintptr_t)object;
        memkind_free(signal_kind, object);
    }
    atomic_fetch_add(&handled, 1);
    errno = saved_errno;
}

static void *allocate_always(void *mistakes)
{
    enum { OBJECTS = 200 };
    unsigned char *objects[OBJECTS] = {NULL};
    size_t object_sizes[OBJECTS];
    unsigned long long random = 4;
    while (atomic_load(&running)) {
        size_t i = test_random(&random) % OBJECTS;
        if (objects[i] != NULL &&
            !test_check(objects[i], object_sizes[i], (unsigned)i))
            ++*(int *)mistakes;
        memkind_free(signal_kind, objects[i]);
        object_sizes[i] = 1 + test_random(&random) % 40000;
        objects[i] = memkind_malloc(signal_kind, object_sizes[i]);
        if (objects[i] == NULL)
            ++*(int *)mistakes;
        else
            test_fill(objects[i], object_sizes[i], (unsigned)i);
    }
    for (int i = 0; i < OBJECTS; i++)
        memkind_free(signal_kind, objects[i]);
    return NULL;
}

static void count_signal(memkind_misuse what, memkind_t kind, const void *ptr,
                         void *arg)
{
    (void)ptr, (void)arg;
    /* It may allocate, as anywhere. */
    void *object = memkind_malloc(kind, 10);
    if (what == MEMKIND_MISUSE_SIGNAL && object != NULL)
        atomic_fetch_add(&told_in_all, 1);
    memkind_free(kind, object);
}

static void test_allocation_in_signal_handlers(void)
{
    pthread_t thread;
    int mistakes = 0;
    struct sigaction action = {.sa_handler = allocate_in_handler}, before;
    signal_kind = make_kind();
    memkind_set_misuse_handler(count_signal, NULL);
    atomic_store(&told_in_all, 0);
    atomic_store(&running, true);
    sigaction(SIGUSR1, &action, &before);
    CU_ASSERT_EQUAL_FATAL(
        pthread_create(&thread, NULL, allocate_always, &mistakes), 0);
    while (atomic_load(&handled) < 500)
        if (pthread_kill(thread, SIGUSR1) == 0)
            sched_yield();
    atomic_store(&running, false);
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &before, NULL);
    printf("[%d handlers, %d refused, %d told] ", atomic_load(&handled),
           atomic_load(&refused), atomic_load(&told_in_all));
    CU_ASSERT_EQUAL(mistakes, 0);
    CU_ASSERT((atomic_load(&refused) > 0) >= (atomic_load(&told_in_all) > 0));
    memkind_set_misuse_handler(note, &reported);
    destroy(signal_kind);
}

/* A kind of the program's own, for which the library asks it for memory: so the
 * signal comes where it has interrupted the library for certain. */
static void *map_and_raise(struct memkind *kind, void *addr, size_t size)
{
    raise(SIGUSR2);
    return memkind_default_mmap(kind, addr, size);
}

static void use_in_handler(int signal)
{
    (void)signal;
    atomic_fetch_add(&handled, 1);
    errno = 0;
    atomic_fetch_add(&refused,
                     memkind_malloc(MEMKIND_DEFAULT, 300000) == NULL &&
                         errno == ENOMEM);
    memkind_free(MEMKIND_DEFAULT, kept);
    CU_ASSERT_EQUAL(count_all(), 0); /* the report waits */
}

static void test_a_signal_inside_the_library(void)
{
    static struct memkind own;
    static struct memkind_ops ops = {
        .create = memkind_arena_create,
        .destroy = memkind_arena_destroy,
        .malloc = memkind_arena_malloc,
        .calloc = memkind_arena_calloc,
        .posix_memalign = memkind_arena_posix_memalign,
        .realloc = memkind_arena_realloc,
        .free = memkind_arena_free,
        .mmap = map_and_raise,
    };
    struct sigaction action = {.sa_handler = use_in_handler}, before;
    CU_ASSERT_EQUAL_FATAL(ops.create(&own, &ops, "signals"), MEMKIND_SUCCESS);
    memkind_t kind = make_kind();
    kept = memkind_malloc(MEMKIND_DEFAULT, 300000);
    sigaction(SIGUSR2, &action, &before);
    atomic_store(&handled, 0);
    atomic_store(&refused, 0);
    void *object = memkind_malloc(&own, 40u << 20);
    CU_ASSERT_PTR_NOT_NULL(object);
    sigaction(SIGUSR2, &before, NULL);
    CU_ASSERT(handled > 0);
    CU_ASSERT_EQUAL(refused, handled);
    /* Of each handler's call the one that allocates, and the one that frees. */
    int told_now = reported.counts[MEMKIND_MISUSE_SIGNAL];
    CU_ASSERT_EQUAL(told_now, handled < 2 ? 2 * handled : 4);
    CU_ASSERT_EQUAL(count_all(), told_now);
    forget();
    memkind_free(&own, object);
    memkind_free(NULL, kept);
    CU_ASSERT_EQUAL(count_all(), 0);
    CU_ASSERT_EQUAL(ops.destroy(&own), MEMKIND_SUCCESS);
    kept = NULL;
    destroy(kind);
}

/* ---- the ends of threads and of the process
 * ----------------------------------- */

static pthread_key_t early_key, late_key;
static memkind_t ending_kind;
static int destructors;

static void use_in_destructor(void *argument)
{
    /* Some destructors run after the library's own: freeing always works. */
    memkind_free(ending_kind, argument);
    void *object = memkind_malloc(ending_kind, 3000);
    if (object != NULL)
        memset(object, 1, 3000);
    memkind_free(ending_kind, object);
    destructors++;
}

static void *end_with_objects(void *unused)
{
    pthread_setspecific(early_key, memkind_malloc(ending_kind, 100));
    pthread_setspecific(late_key, memkind_malloc(ending_kind, 100000));
    return unused;
}

static void test_thread_exit_destructors(void)
{
    ending_kind = make_kind();
    CU_ASSERT_EQUAL_FATAL(pthread_key_create(&early_key, use_in_destructor), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_key_create(&late_key, use_in_destructor), 0);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&thread, NULL, end_with_objects, NULL), 0);
        pthread_join(thread, NULL);
    }
    pthread_key_delete(early_key);
    pthread_key_delete(late_key);
    CU_ASSERT_EQUAL(destructors, 40);
    CU_ASSERT_EQUAL(allocated(ending_kind), 0);
    destroy(ending_kind);
}

static bool still_works(void)
{
    unsigned char *object = memkind_malloc(ending_kind, 70000);
    bool fine = object != NULL && test_check(kept, 1000, 8);
    if (object != NULL)
        test_fill(object, 70000, 1);
    object = memkind_realloc(ending_kind, object, 300);
    fine &= object != NULL && test_check(object, 300, 1);
    memkind_free(ending_kind, object);
    return fine;
}

static void use_at_exit(void)
{
    if (!still_works())
        _exit(1);
}

/* The library's own destructors, if it had any, would have run before those of
 * the program that uses it. */
__attribute__((destructor)) static void use_in_last_destructor(void)
{
    if (kept == NULL)
        return;
    if (!still_works() || memkind_destroy_kind(ending_kind) != MEMKIND_SUCCESS)
        _exit(2);
    _exit(42);
}

static int leave_main_in_use(const char *dir)
{
    if (memkind_create_pmem(dir, 0, &ending_kind) != MEMKIND_SUCCESS)
        return 3;
    kept = memkind_malloc(ending_kind, 1000);
    if (kept == NULL || atexit(use_at_exit) != 0)
        return 4;
    test_fill(kept, 1000, 8);
    return 5; /* a destructor decides about the exit status */
}

static void test_after_main(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_misuse", "--leave", test_dir(),
              (char *)NULL);
        _exit(99);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status));
    CU_ASSERT_EQUAL(WEXITSTATUS(status), 42);
}

/* ---- hardened kinds
 * ----------------------------------------------------------- */

/* What follows is found by a hardened library alone. */
static bool cannot_be_found(void)
{
    if (!test_is_hardened())
        printf("[not hardened] ");
    return !test_is_hardened();
}

/* Not for AddressSanitizer, which would find it first. */
#if defined(__GNUC__)
__attribute__((no_sanitize("address"), noinline))
#endif
static void
spoil(void *byte)
{
    *(volatile unsigned char *)byte ^= 0xff;
}

static void test_bytes_around_objects(void)
{
    if (cannot_be_found())
        return;
    memkind_t kind = make_kind();
    for (int i = 0; i < SIZES; i++) {
        const size_t size = sizes[i];
        const ptrdiff_t places[] = {(ptrdiff_t)size, (ptrdiff_t)size + 15, -1,
                                    -16};
        for (int j = 0; j < 4; j++) {
            unsigned char *object = memkind_malloc(kind, size);
            CU_ASSERT_EQUAL(memkind_malloc_usable_size(kind, object), size);
            test_fill(object, size, 1);
            spoil(object + places[j]);
            memkind_free(kind, object);
            CU_ASSERT(was_reported(MEMKIND_MISUSE_OVERRUN, kind, object));
            memkind_free(kind, object);
            CU_ASSERT(was_reported(second_free(size), kind, object));
        }
        unsigned char *object = memkind_malloc(kind, size), *before = object;
        test_fill(object, size, 2);
        spoil(object + size);
        object = memkind_realloc(kind, object, size + 100);
        CU_ASSERT(was_reported(MEMKIND_MISUSE_OVERRUN, kind, before));
        CU_ASSERT(test_check(object, size, 2));
        memkind_free(kind, object);
        CU_ASSERT_EQUAL(count_all(), 0);
    }
    CU_ASSERT_EQUAL(allocated(kind), 0);
    destroy(kind);
}

static void test_aligned_objects_have_bytes_around(void)
{
    if (cannot_be_found())
        return;
    memkind_t kind = make_kind();
    for (size_t alignment = 8; alignment <= 1u << 20; alignment *= 2)
        for (size_t size = 1; size < 100000; size = size * 3 + 4) {
            void *object = NULL;
            CU_ASSERT_EQUAL_FATAL(
                memkind_posix_memalign(kind, &object, alignment, size), 0);
            CU_ASSERT_EQUAL((uintptr_t)object % alignment, 0);
            CU_ASSERT_EQUAL(memkind_malloc_usable_size(kind, object), size);
            test_fill(object, size, 3);
            spoil((char *)object + size);
            memkind_free(NULL, object);
            CU_ASSERT(was_reported(MEMKIND_MISUSE_OVERRUN, kind, object));
            CU_ASSERT_EQUAL_FATAL(
                memkind_posix_memalign(kind, &object, alignment, size), 0);
            memkind_free(kind, object);
            CU_ASSERT_EQUAL(count_all(), 0);
        }
    destroy(kind);
}

static void test_written_after_free(void)
{
    if (cannot_be_found())
        return;
    memkind_t kind = make_kind();
    for (int i = 0; i < SIZES - 1; i++) {
        unsigned char *object = memkind_malloc(kind, sizes[i]);
        memkind_free(kind, object);
        spoil(object + sizes[i] / 2 % 4096);
        CU_ASSERT_EQUAL(count_all(), 0);
        CU_ASSERT_EQUAL(memkind_purge_kind(kind), MEMKIND_SUCCESS);
        CU_ASSERT(was_reported(MEMKIND_MISUSE_AFTER_FREE, kind, object));
        /* Its memory can be anyone's now. */
        memkind_free(kind, object);
        CU_ASSERT(was_reported(MEMKIND_MISUSE_NO_OBJECT, kind, object));
    }
    destroy(kind);
}

/* A thousand other frees later, by whatever thread, and each just once. */
static void *free_again(void *argument)
{
    enum { COUNT = 1000 };
    void **objects = argument;
    for (int i = 0; i < COUNT; i++)
        memkind_free(NULL, objects[i]);
    return NULL;
}

static void test_freed_long_ago(void)
{
    enum { COUNT = 1000, THREADS = 3 };
    static void *objects[COUNT];
    pthread_t threads[THREADS];
    if (cannot_be_found())
        return;
    memkind_t kind = make_kind();
    for (int i = 0; i < COUNT; i++)
        objects[i] = memkind_malloc(kind, (size_t)i + 1);
    /* Together, without any order: one of them frees, two are told. */
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&threads[i], NULL, free_again, objects), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(reported.counts[MEMKIND_MISUSE_DOUBLE_FREE],
                    (THREADS - 1) * COUNT);
    CU_ASSERT_EQUAL(count_all(), (THREADS - 1) * COUNT);
    forget();
    /* And nothing that waits is handed out. */
    for (int i = 0; i < COUNT; i++) {
        void *object = memkind_malloc(kind, 500);
        for (int j = 0; j < COUNT; j++)
            if (object == objects[j])
                CU_FAIL("an object that waits was handed out");
        memkind_free(kind, object);
    }
    CU_ASSERT_EQUAL(allocated(kind), 0);
    destroy(kind);
}

/* What waits is bounded: by 1/64 of the limit. */
static void test_not_all_of_a_kind_waits(void)
{
    memkind_t kind = NULL;
    if (cannot_be_found())
        return;
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem(test_dir(), 64u << 20, &kind),
                          MEMKIND_SUCCESS);
    memkind_set_misuse_handler(note, &reported);
    forget();
    for (size_t i = 0; i < 20000; i++) {
        void *object = memkind_malloc(kind, 60000 + i);
        CU_ASSERT_PTR_NOT_NULL_FATAL(object);
        memkind_free(kind, object);
    }
    size_t held;
    memkind_get_stat(kind, MEMKIND_STAT_TYPE_RESIDENT, &held);
    CU_ASSERT(held < 16u << 20);
    /* Nor is what waits in the way of what is needed. */
    void *first = memkind_malloc(kind, 30u << 20);
    CU_ASSERT_PTR_NOT_NULL(first);
    memkind_free(kind, first);
    void *second = memkind_malloc(kind, 40u << 20);
    CU_ASSERT_PTR_NOT_NULL(second);
    memkind_free(kind, second);
    destroy(kind);
}

static void test_a_kind_is_looked_at_when_it_goes(void)
{
    if (cannot_be_found())
        return;
    memkind_t kind = make_kind();
    char *right = memkind_malloc(kind, 100), *wrong = memkind_malloc(kind, 10);
    char *freed = memkind_malloc(kind, 50);
    spoil(wrong + 10);
    memkind_free(kind, freed);
    spoil(freed + 3);
    CU_ASSERT_PTR_NOT_NULL(right);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(reported.counts[MEMKIND_MISUSE_OVERRUN], 1);
    CU_ASSERT_EQUAL(reported.counts[MEMKIND_MISUSE_AFTER_FREE], 1);
    CU_ASSERT_EQUAL(count_all(), 2);
    memkind_set_misuse_handler(NULL, NULL);
}

/* The mapping that an address lies in ends where one begins that cannot be
 * touched, on either side. */
static bool has_guards(const void *object)
{
    char line[600], rights[5];
    unsigned long start, end, guard_end = 0;
    bool behind_guard = false, inside = false, guarded = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3)
            continue;
        bool is_guard = strncmp(rights, "---", 3) == 0;
        if (inside) {
            guarded = behind_guard && is_guard && start == guard_end;
            break;
        }
        inside = (uintptr_t)object >= start && (uintptr_t)object < end;
        if (inside)
            behind_guard = start == guard_end;
        guard_end = is_guard || inside ? end : 0;
    }
    fclose(maps);
    return guarded;
}

static void test_guards_around_regions(void)
{
    if (cannot_be_found())
        return;
    for (int i = 0; i < 5; i++) {
        memkind_t kind = make_kind();
        void *object = memkind_malloc(kind, 10);
        CU_ASSERT(has_guards(object));
        CU_ASSERT_PTR_NULL(memkind_detect_kind(NULL));
        destroy(kind);
    }
    void *object = memkind_malloc(MEMKIND_REGULAR, 10);
    CU_ASSERT(has_guards(object));
    memkind_free(NULL, object);
}

static void test_children_have_what_waits(void)
{
    int status;
    memkind_t kind = make_kind();
    char *freed = memkind_malloc(kind, 100), *live = memkind_malloc(kind, 100);
    test_fill(live, 100, 1);
    memkind_free(kind, freed);
    pid_t child = fork();
    if (child == 0) {
        bool right = test_check(live, 100, 1);
        memkind_free(kind, freed);
        right &= was_reported(MEMKIND_MISUSE_DOUBLE_FREE, kind, freed);
        memkind_free(kind, live);
        memkind_free(kind, live);
        right &= was_reported(MEMKIND_MISUSE_DOUBLE_FREE, kind, live);
        right &= places_differ(kind, 100) && count_all() == 0;
        right &= memkind_destroy_kind(kind) == MEMKIND_SUCCESS;
        _exit(right && count_all() == 0 ? 0 : 1);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT(test_check(live, 100, 1));
    memkind_free(kind, live);
    CU_ASSERT_EQUAL(allocated(kind), 0);
    destroy(kind);
}

static const struct test_case tests[] = {
    {"free twice", test_free_twice},
    {"free twice of a conservative kind",
     test_free_twice_of_a_conservative_kind},
    {"free all twice", test_free_all_twice},
    {"free of interior pointers", test_free_of_interior_pointers},
    {"free of foreign pointers", test_free_of_foreign_pointers},
    {"wrong kind", test_wrong_kind},
    {"a destroyed kind", test_a_destroyed_kind},
    {"a handle is not reused soon", test_a_handle_is_not_reused_soon},
    {"kinds that cannot be destroyed", test_kinds_that_cannot_be_destroyed},
    {"destroyed behind a thread's back", test_destroyed_behind_a_threads_back},
    {"a handler that uses the library", test_a_handler_that_uses_the_library},
    {"handlers are set by other threads",
     test_handlers_are_set_by_other_threads},
    {"the default is a message", test_the_default_is_a_message},
    {"allocation in signal handlers", test_allocation_in_signal_handlers},
    {"a signal inside the library", test_a_signal_inside_the_library},
    {"thread-exit destructors", test_thread_exit_destructors},
    {"after main", test_after_main},
    {"bytes around objects", test_bytes_around_objects},
    {"aligned objects have bytes around",
     test_aligned_objects_have_bytes_around},
    {"written after free", test_written_after_free},
    {"freed long ago", test_freed_long_ago},
    {"not all of a kind waits", test_not_all_of_a_kind_waits},
    {"a kind is looked at when it goes", test_a_kind_is_looked_at_when_it_goes},
    {"guards around regions", test_guards_around_regions},
    {"children have what waits", test_children_have_what_waits},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    int here;
    if (argc == 2 && strcmp(argv[1], "--foreign") == 0) {
        memkind_free(NULL, &here);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--leave") == 0)
        return leave_main_in_use(argv[2]);
    return test_main("misuse", tests, argc, argv);
}
