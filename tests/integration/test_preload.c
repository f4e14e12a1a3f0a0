/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libmemkind_preload.so: each test is a scenario, for which this program is
 * executed once more with the library preloaded and with settings of its own.
 * TEST_PRELOAD is the library, TEST_OWN_MALLOC a program with a malloc of its
 * own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <memkind.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_child.h"
#include "test_support.h"

/* Declared by the C library as one not to be used. */
struct mallinfo short_mallinfo(void) __asm__("mallinfo");

/* ---- in a scenario ------------------------------------------------------ */

static const char *heap_dir; /* of the scenario */

/* The compiler shall not see through calls of malloc(). */
static void *kept(void *ptr)
{
    __asm__ volatile("" : "+r"(ptr) : : "memory");
    return ptr;
}

/* Whether an address lies in a mapping of a file in the heap's directory. Does
 * not allocate: the heap may be full. */
static bool is_in_heap(const void *ptr)
{
    static char maps[1 << 20];
    size_t length = 0;
    ssize_t got = 1;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && got > 0 && length < sizeof maps - 1) {
        got = read(fd, maps + length, sizeof maps - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    maps[length] = '\0';
    for (char *line = strtok(maps, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) == 2 &&
            (uintptr_t)ptr >= start && (uintptr_t)ptr < end)
            return strstr(line, heap_dir) != NULL;
    }
    return false;
}

static bool is_aligned(const void *ptr, size_t alignment)
{
    return (uintptr_t)ptr % alignment == 0;
}

/* An object can be used as far as its usable size says. */
static bool is_usable(void *ptr, size_t size)
{
    if (ptr == NULL || malloc_usable_size(ptr) < size)
        return false;
    test_fill(ptr, malloc_usable_size(ptr), 5);
    return test_check(ptr, malloc_usable_size(ptr), 5);
}

#define NEED_OBJECT(expression, alignment, size)                               \
    do {                                                                       \
        void *made = kept(expression);                                         \
        NEED(is_usable(made, size));                                           \
        NEED(is_aligned(made, alignment));                                     \
        NEED(is_in_heap(made));                                                \
        free(made);                                                            \
    } while (0)

static int family(void)
{
    for (size_t size = 0; size < 20 * MIB; size = size * 3 + 1) {
        NEED_OBJECT(malloc(size), sizeof(void *), size);
        NEED_OBJECT(calloc(size, 1), sizeof(void *), size);
        NEED_OBJECT(realloc(malloc(size / 2 + 1), size + 1), sizeof(void *),
                    size + 1);
        NEED_OBJECT(reallocarray(NULL, size + 1, 2), sizeof(void *),
                    2 * size + 2);
        NEED_OBJECT(aligned_alloc(64, size), 64, size);
        NEED_OBJECT(memalign(4096, size), 4096, size);
        NEED_OBJECT(valloc(size), 4096, size);
        NEED_OBJECT(pvalloc(size), 4096, (size + 4095) / 4096 * 4096);
        void *aligned = NULL;
        NEED(posix_memalign(&aligned, 256, size) == 0);
        NEED_OBJECT(aligned, 256, size);
    }
    free(NULL);
    NEED(malloc_usable_size(NULL) == 0);
    return 0;
}

/* C23's names, which the C library need not have. */
static int sized_free(void)
{
    __extension__ void (*free_sized)(void *, size_t) =
        (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    __extension__ void (*free_aligned_sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT,
                                                "free_aligned_sized");
    NEED(free_sized != NULL && free_aligned_sized != NULL);
    void *first = kept(malloc(100));
    free_sized(first, 100);
    void *again = kept(malloc(100)); /* a hardened kind waits with it */
    NEED(again == first || test_is_hardened());
    free(again);
    void *aligned = kept(aligned_alloc(64, 128));
    free_aligned_sized(aligned, 64, 128);
    free_sized(NULL, 0);
    free_aligned_sized(NULL, 8, 0);
    return 0;
}

static int arguments(void)
{
    /* Not known to a compiler, which would warn. */
    const volatile size_t half = SIZE_MAX / 2, most = SIZE_MAX, odd = 24;
    errno = 0;
    NEED(kept(malloc(half)) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(kept(calloc(half, 3)) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(kept(reallocarray(NULL, half, 3)) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(kept(aligned_alloc(odd, 48)) == NULL && errno == EINVAL);
    errno = 0;
    NEED(kept(pvalloc(most - 10)) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(kept(memalign(most - 10, 1)) == NULL && errno == EINVAL);
    void *untouched = &errno;
    errno = 0;
    NEED(posix_memalign(&untouched, odd, 48) == EINVAL);
    NEED(posix_memalign(&untouched, 4, 48) == EINVAL);
    NEED(posix_memalign(&untouched, 64, half) == ENOMEM);
    NEED(untouched == &errno && errno == 0);
    NEED_OBJECT(memalign(odd, 48), 32, 48); /* rounded up */

    /* Zero bytes are an object, and realloc() to zero frees one. */
    void *first = kept(malloc(0)), *second = kept(malloc(0));
    NEED(first != NULL && second != NULL && first != second);
    NEED(kept(realloc(first, 0)) == NULL);
    free(second);
    NEED_OBJECT(calloc(0, 10), 1, 0);

    /* free() and a success keep errno. */
    errno = 77;
    for (size_t i = 0; i < 1000; i++)
        free(kept(malloc(i * 100)));
    NEED(errno == 77);
    /* A failed realloc() keeps the object. */
    char *object = strdup("still here");
    NEED(kept(realloc(kept(object), half)) == NULL);
    NEED(strcmp(object, "still here") == 0);
    free(object);
    return 0;
}

static int zeroed(void)
{
    for (int round = 0; round < 3; round++)
        for (size_t size = 1; size < 200000; size = size * 2 + 1) {
            unsigned char *object = kept(malloc(size));
            memset(object, 0xff, size);
            free(object);
            object = kept(calloc(1, size));
            for (size_t i = 0; i < size; i++)
                NEED(object[i] == 0);
            free(object);
        }
    return 0;
}

/* With a least size of 4096. */
static int least_size(void)
{
    char *small = kept(malloc(4095)), *large = kept(malloc(4096));
    NEED(!is_in_heap(small) && is_in_heap(large));
    test_fill(small, 4095, 1);
    test_fill(large, 4096, 2);
    small = realloc(small, 5000); /* moves */
    NEED(is_in_heap(small) && test_check(small, 4095, 1));
    large = realloc(large, 100);
    NEED(test_check(large, 100, 2));
    free(small);
    free(large);
    char *zeros = kept(calloc(10, 10));
    NEED(!is_in_heap(zeros) && zeros[99] == 0);
    NEED(kept(realloc(zeros, 0)) == NULL);
    void *aligned = kept(aligned_alloc(64, 128));
    NEED(!is_in_heap(aligned) && is_aligned(aligned, 64));
    free(aligned);
    return 0;
}

/* Objects of 1 MiB until `enough` are not in the heap, in a list. */
static char *fill(size_t most, bool *failed)
{
    char *last = NULL;
    *failed = false;
    for (size_t i = 0; i < most && !*failed; i++) {
        char *object = kept(malloc(MIB));
        *failed = object == NULL;
        if (object != NULL) {
            test_fill(object, MIB, 3);
            memcpy(object, &last, sizeof last);
            last = object;
        }
    }
    return last;
}

static size_t count_and_free(char *last, size_t *in_heap)
{
    size_t count = 0;
    *in_heap = 0;
    while (last != NULL) {
        char *before;
        memcpy(&before, last, sizeof before);
        *in_heap += is_in_heap(last);
        free(last);
        last = before;
        count++;
    }
    return count;
}

/* With a limit of 16 MiB. */
static int full_goes_to_dram(void)
{
    bool failed;
    size_t in_heap;
    char *last = fill(40, &failed);
    char *grown = kept(calloc(40, MIB));
    NEED(!failed && grown != NULL && grown[40 * MIB - 1] == 0);
    NEED(!is_in_heap(grown));
    free(grown);
    /* An object in the heap that has to grow. */
    char *object = last, *before;
    for (;;) {
        memcpy(&before, object, sizeof before);
        if (before == NULL)
            break;
        object = before;
    }
    NEED(is_in_heap(object));
    free(kept(memalign(4096, 20 * MIB)));
    NEED(count_and_free(last, &in_heap) == 40);
    NEED(in_heap >= 10 && in_heap <= 16);
    object = kept(malloc(10 * MIB));
    NEED(is_in_heap(object));
    test_fill(object, 10 * MIB, 4);
    object = realloc(object, 30 * MIB);
    NEED(object != NULL && !is_in_heap(object));
    NEED(test_check(object, 10 * MIB, 4));
    free(object);
    return 0;
}

static int full_is_null(void)
{
    bool failed;
    size_t in_heap;
    errno = 0;
    char *last = fill(40, &failed);
    NEED(failed && errno == ENOMEM);
    errno = 0;
    NEED(kept(calloc(1, 20 * MIB)) == NULL && errno == ENOMEM);
    errno = 0;
    NEED(kept(memalign(4096, 20 * MIB)) == NULL && errno == ENOMEM);
    void *aligned;
    NEED(posix_memalign(&aligned, 64, 20 * MIB) == ENOMEM);
    errno = 0;
    NEED(kept(realloc(kept(last), 20 * MIB)) == NULL && errno == ENOMEM);
    size_t count = count_and_free(last, &in_heap);
    NEED(count >= 10 && count == in_heap);
    NEED_OBJECT(malloc(10 * MIB), 1, 10 * MIB);
    return 0;
}

/* ---- threads ---- */

#define SLOTS 512
static _Atomic(char *) slots[SLOTS];
static pthread_key_t late_key;
static atomic_int late_objects;

static void use_late(void *object)
{
    free(object);
    object = malloc(1000);
    if (object != NULL)
        atomic_fetch_add(&late_objects, 1);
    free(object);
}

static void *exchange(void *seed)
{
    unsigned long long random = (uintptr_t)seed;
    pthread_setspecific(late_key, malloc(50));
    for (int i = 0; i < 100000; i++) {
        unsigned long long next = test_random(&random);
        size_t size = 1 + next % ((next >> 20) % 50 == 0 ? 100000 : 500);
        char *object = malloc(size);
        if (object == NULL)
            return NULL;
        object[0] = object[size - 1] = 1;
        free(atomic_exchange(&slots[(next >> 40) % SLOTS], object));
    }
    return seed;
}

static int threads(void)
{
    NEED(pthread_key_create(&late_key, use_late) == 0);
    for (int round = 0; round < 3; round++) {
        pthread_t made[4];
        for (uintptr_t i = 0; i < 4; i++)
            NEED(pthread_create(&made[i], NULL, exchange, (void *)(i + 1)) ==
                 0);
        for (uintptr_t i = 0; i < 4; i++) {
            void *result = NULL;
            pthread_join(made[i], &result);
            NEED(result == (void *)(i + 1));
        }
    }
    NEED(atomic_load(&late_objects) == 12);
    for (size_t i = 0; i < SLOTS; i++)
        free(slots[i]);
    return 0;
}

/* What a thread allocates after the library's part of it has ended. */
static bool late_is_in_heap[2];

static void look_late(void *object)
{
    object = realloc(object, 5000);
    late_is_in_heap[0] = is_in_heap(object);
    free(object);
    object = kept(malloc(1000));
    late_is_in_heap[1] = is_in_heap(object);
    free(object);
}

static void *end_late(void *unused)
{
    void *object = malloc(50);
    (void)unused;
    return pthread_setspecific(late_key, object) == 0 && is_in_heap(object)
               ? &late_key
               : NULL;
}

static int late(void)
{
    pthread_t made;
    void *result = NULL;
    late_is_in_heap[0] = late_is_in_heap[1] = true;
    NEED(pthread_key_create(&late_key, look_late) == 0);
    NEED(pthread_create(&made, NULL, end_late, NULL) == 0);
    pthread_join(made, &result);
    NEED(result == &late_key);
    NEED(!late_is_in_heap[0] && !late_is_in_heap[1]);
    return 0;
}

/* ---- signals ---- */

#define HANDLED_ENOUGH 500

static atomic_int handled, handled_badly;

static void use_in_handler(int number)
{
    (void)number;
    for (size_t i = 0; i < 20; i++) {
        char *object = malloc(i * 50 + 1);
        if (object == NULL)
            atomic_fetch_add(&handled_badly, 1);
        else
            object[0] = 1;
        free(object);
    }
    /* A slow build does nothing else than handle signals. */
    if (atomic_fetch_add(&handled, 1) >= HANDLED_ENOUGH)
        signal(SIGALRM, SIG_IGN);
}

/* POSIX allows no malloc() in handlers; programs that do so were not told.
 * Those of this library do not deadlock: what is inside it is refused. What is
 * inside the C library's malloc is not, so all lies in the heap here. */
static int signals(void)
{
    signal(SIGALRM, use_in_handler);
    const struct itimerval often = {{0, 200}, {0, 200}};
    NEED(is_in_heap(kept(malloc(1))));
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 3000000 && atomic_load(&handled) < HANDLED_ENOUGH;
         i++) {
        /* Small and large: by the thread's cache, and by the arenas. */
        free(kept(malloc((size_t)i % 300)));
        if (i % 64 == 0)
            free(kept(malloc(20000 + (size_t)i % 100000)));
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    NEED(atomic_load(&handled) > 0 && atomic_load(&handled_badly) == 0);
    return 0;
}

/* ---- processes ---- */

static char *of_parent;

static int child_uses_heap(void)
{
    strcpy(of_parent, "the child's");
    for (size_t i = 0; i < 10000; i++) {
        char *object = malloc(i % 3000);
        NEED(object != NULL);
        free(object);
    }
    free(of_parent);
    return 0;
}

static int child_sees_parents(void)
{
    NEED(strcmp(of_parent, "the parent's") == 0);
    return child_uses_heap();
}

static int forks(void)
{
    of_parent = strdup("the parent's");
    NEED(child_run(child_sees_parents) == 0);
    NEED(strcmp(of_parent, "the parent's") == 0);
    free(of_parent);
    /* The settings go on to what is executed. */
    NEED(system("test -n \"$LD_PRELOAD\" && exec sort </dev/null") == 0);
    return 0;
}

/* The child of a process that goes on storing sees what there was. */
static int fork_is_a_moment(void)
{
    int ends[2];
    char byte;
    of_parent = strdup("before the fork");
    NEED(pipe(ends) == 0);
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) != 0 ||
              strcmp(of_parent, "before the fork") != 0 || child_uses_heap());
    }
    strcpy(of_parent, "after it");
    close(ends[0]);
    close(ends[1]);
    NEED(child_wait(child) == 0);
    NEED(strcmp(of_parent, "after it") == 0);
    free(of_parent);
    return 0;
}

static int beside_a_kind(void)
{
    memkind_t kind;
    NEED(memkind_create_pmem(heap_dir, 32 * MIB, &kind) == MEMKIND_SUCCESS);
    char *of_kind = memkind_malloc(kind, 1000),
         *of_process = kept(malloc(1000));
    NEED(memkind_detect_kind(of_kind) == kind);
    NEED(memkind_detect_kind(of_process) == NULL);
    memkind_free(kind, of_kind);
    free(of_process);
    NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    return 0;
}

static int figures(void)
{
    const struct mallinfo2 before = mallinfo2();
    char *object = kept(malloc(30 * MIB));
    const struct mallinfo2 after = mallinfo2();
    NEED(after.uordblks >= before.uordblks + 30 * MIB);
    NEED(after.arena >= before.arena + 30 * MIB);
    NEED(short_mallinfo().uordblks >= (int)(30 * MIB));
    free(object);
    NEED(malloc_trim(0) == 1);
    NEED(mallinfo2().arena < before.arena + MIB);
    return 0;
}

/* ---- reports ---- */

static const char *report_path(void)
{
    static char path[8192];
    snprintf(path, sizeof path, "%s/report", heap_dir);
    return path;
}

/* Whether the file of reports has a text. */
static bool report_says(const char *text)
{
    static char content[1 << 16];
    FILE *file = fopen(report_path(), "re");
    if (file == NULL)
        return false;
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    fclose(file);
    return strstr(content, text) != NULL;
}

/* Its own report comes when it ends; run_scenario() looks at that. */
static int report_at_exit(void)
{
    NEED(!report_says("report"));
    NEED(system("sort </dev/null") == 0);
    NEED(report_says(", sort\n") && report_says(heap_dir));
    NEED(kept(malloc(3 * MIB)) != NULL);
    return 0;
}

static int report_on_signal(void)
{
    NEED(kept(malloc(3 * MIB)) != NULL);
    NEED(raise(SIGUSR1) == 0);
    for (int i = 0; i < 1000 && !report_says("file space: "); i++)
        usleep(10000);
    NEED(report_says("file space: "));
    NEED(unlink(report_path()) == 0);
    return 0;
}

/* ---- settings that cannot be had ---- */

static int in_dram(void)
{
    char *object = kept(malloc(10000));
    NEED(is_usable(object, 10000) && !is_in_heap(object));
    free(realloc(object, 20000));
    return 0;
}

static int never_runs(void)
{
    return 0;
}

static int runs_own_malloc(void)
{
    execl(TEST_OWN_MALLOC, "own_malloc", (char *)NULL);
    return 1;
}

/* ---- scenarios ---------------------------------------------------------- */

#define MOST_SETTINGS 3
#define EXIT_OF_BAD_SETTING 126

struct preload_scenario {
    struct scenario scenario;
    struct {
        const char *name, *value; /* without MEMKIND_PRELOAD_ */
    } settings[MOST_SETTINGS];
    int exit_status;
};

/* A value that begins with this is a path in the scenario's directory. */
#define IN_DIR "DIR/"

/* memfd_create(2) is forbidden. */
#define NO_SNAPSHOTS "fork, no snapshots"

static const struct preload_scenario scenarios[] = {
    {{"family", family, NULL}, {{0}}, 0},
    {{"sized free", sized_free, NULL}, {{0}}, 0},
    {{"arguments", arguments, NULL}, {{0}}, 0},
    {{"zeroed", zeroed, NULL}, {{0}}, 0},
    {{"least size", least_size, NULL}, {{"MIN_SIZE", "4K"}}, 0},
    {{"full: to DRAM", full_goes_to_dram, NULL}, {{"SIZE", "16M"}}, 0},
    {{"full: NULL", full_is_null, NULL},
     {{"SIZE", "16MiB"}, {"FULL", "null"}},
     0},
    {{"threads", threads, NULL}, {{0}}, 0},
    {{"threads, late", late, NULL}, {{0}}, 0},
    {{"threads, least size", threads, NULL}, {{"MIN_SIZE", "200"}}, 0},
    {{"threads, full", threads, NULL}, {{"SIZE", "16777216"}}, 0},
    {{"signals", signals, NULL}, {{0}}, 0},
    {{"fork, private", forks, NULL}, {{"FORK", "private"}}, 0},
    {{"fork, copy", forks, NULL}, {{"FORK", "copy"}}, 0},
    {{"fork, snapshot", forks, NULL}, {{"FORK", "snapshot"}}, 0},
    {{"fork, least size", forks, NULL}, {{"MIN_SIZE", "100"}}, 0},
    {{"fork is a moment", fork_is_a_moment, NULL}, {{0}}, 0},
    {{NO_SNAPSHOTS, fork_is_a_moment,
      "forked children have copies of the heap: "},
     {{"VERBOSE", "1"}},
     0},
    {{"beside a kind", beside_a_kind, NULL}, {{0}}, 0},
    {{"figures", figures, NULL}, {{0}}, 0},
    {{"report at exit", report_at_exit, NULL}, {{"STATS", IN_DIR "report"}}, 0},
    {{"report on a signal", report_on_signal, NULL},
     {{"STATS", IN_DIR "report"}, {"STATS_SIGNAL", "1"}},
     0},
    {{"no directory", in_dram,
      "all objects lie in DRAM: "
      "memkind_create_pmem_with_config: "},
     {{"DIR", "/nonexistent"}, {"VERBOSE", "1"}},
     0},
    {{"no directory named", in_dram, "MEMKIND_PRELOAD_DIR is not set"},
     {{"DIR", ""}, {"VERBOSE", "1"}},
     0},
    {{"said what it does", arguments, "objects of 0 bytes and more lie in "},
     {{"VERBOSE", "1"}},
     0},
    {{"a malloc of its own", runs_own_malloc,
      "the program has a malloc of its own"},
     {{"VERBOSE", "1"}},
     0},
    {{"bad size", never_runs, "MEMKIND_PRELOAD_SIZE='16Q' makes no sense"},
     {{"SIZE", "16Q"}},
     EXIT_OF_BAD_SETTING},
    {{"bad least size", never_runs, "MEMKIND_PRELOAD_MIN_SIZE='-1'"},
     {{"MIN_SIZE", "-1"}},
     EXIT_OF_BAD_SETTING},
    {{"bad word", never_runs, "MEMKIND_PRELOAD_FULL='abort'"},
     {{"FULL", "abort"}},
     EXIT_OF_BAD_SETTING},
    {{"bad policy", never_runs, "MEMKIND_PRELOAD_FORK='Private'"},
     {{"FORK", "Private"}},
     EXIT_OF_BAD_SETTING},
    {{"bad flag", never_runs, "MEMKIND_PRELOAD_VERBOSE='yes'"},
     {{"VERBOSE", "yes"}},
     EXIT_OF_BAD_SETTING},
};

enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

static const struct preload_scenario *scenario_of(const char *name)
{
    for (size_t i = 0; i < SCENARIOS; i++)
        if (strcmp(scenarios[i].scenario.name, name) == 0)
            return &scenarios[i];
    return NULL;
}

static void set_variable(const char *name, const char *value)
{
    char variable[64], path[8192];
    snprintf(variable, sizeof variable, "MEMKIND_PRELOAD_%s", name);
    if (strncmp(value, IN_DIR, strlen(IN_DIR)) == 0) {
        snprintf(path, sizeof path, "%s/%s", test_dir(),
                 value + strlen(IN_DIR));
        value = path;
    }
    setenv(variable, value, 1);
}

/* In the child: its environment, and a file for its messages. */
static int prepare(const char *name)
{
    const struct preload_scenario *scenario = scenario_of(name);
    set_variable("DIR", test_dir());
    for (size_t i = 0; i < MOST_SETTINGS; i++)
        if (scenario->settings[i].name != NULL)
            set_variable(scenario->settings[i].name,
                         scenario->settings[i].value);
    setenv("LD_PRELOAD", TEST_PRELOAD, 1);
    if (strcmp(name, NO_SNAPSHOTS) == 0 &&
        !system_call_forbid(SYS_memfd_create))
        return TEST_SKIPPED;
    int log = open(test_path("messages"),
                   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return log < 0 || dup2(log, STDERR_FILENO) < 0;
}

static void run_in_child(const struct preload_scenario *scenario)
{
    static char messages[16384];
    const int status =
        scenario_run(scenario->scenario.name, test_dir(), prepare);
    test_read_and_remove(test_path("messages"), messages, sizeof messages);
    if (status == TEST_SKIPPED) {
        test_is_skipped();
        return;
    }
    CHECK_EQ(status, scenario->exit_status);
    if (status != scenario->exit_status ||
        (scenario->scenario.says != NULL &&
         strstr(messages, scenario->scenario.says) == NULL)) {
        printf("\n%s: status %d; it said: %s\n", scenario->scenario.name,
               status, messages);
        CHECK(false);
    }
    CHECK(scenario->scenario.says != NULL || messages[0] == '\0');
    /* The report of report_at_exit() itself. */
    if (scenario->scenario.run == report_at_exit) {
        char report[16384];
        test_read_and_remove(test_path("report"), report, sizeof report);
        CHECK(strstr(report, ", scenario\n") != NULL);
        CHECK(strstr(report, "no room in it: 0 times") != NULL);
    }
    unlink(test_path("report"));
}

/* A test has its scenario's name. */
static void run_current(void)
{
    run_in_child(scenario_of(CU_get_current_test()->pName));
}

int main(int argc, char **argv)
{
    if (scenario_is_asked_for(argc, argv)) {
        heap_dir = argv[2];
        const struct preload_scenario *asked = scenario_of(argv[1]);
        return asked != NULL ? asked->scenario.run() : 1;
    }
    struct test_case tests[SCENARIOS + 1] = {{NULL, NULL}};
    for (size_t i = 0; i < SCENARIOS; i++)
        tests[i] = (struct test_case){scenarios[i].scenario.name, run_current};
    return test_main("preloaded", tests, argc, argv);
}
