/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What fork() means for a heap, and what it costs. One line of "name=value" is
 * printed for each of these, which fork.sh makes a table of:
 *
 *   child   what a child sees of objects that its parent has changed since
 *   parent  what a parent sees after its child has stored, freed and allocated
 *   pause   CPU time of fork() in the parent: the first one, the next one,
 *           after a tenth of the heap was stored to, and after all of it
 *   dram    memory beside the file: while there is a child, and a tenth was
 *           stored to; after the child's end; after that tenth was freed and
 *           allocated again; after memkind_attach_kind()
 *   loop    CPU time of fork() and exec(), and of posix_spawn(), with what is
 *           executed, for each of so many
 *
 * Each is measured in a process of its own, which may crash.
 *
 *   bench_fork WHAT DIR [MIB [LOOPS]]
 *
 * MEMKIND_FORK sets the policy; it needs nothing that libmemkind 1.14 lacks.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_heap.h"

extern char **environ;

#define PAGE ((size_t)4096)
#define PIECE ((size_t)64 << 10)
#define OBJECTS 20000

static struct heap heap;
static const char *dir;
static size_t heap_mib = 64;
static unsigned loops = 100;

static void fail(const char *what)
{
    perror(what);
    _exit(3);
}

static void make_heap(void)
{
    int err = heap_create(&heap, dir, false);
    if (err == 0)
        return;
    printf("result=refused error=%d\n", err);
    exit(0);
}

/* ---- what each side sees ------------------------------------------------ */

enum { FIRST_WORD, LATER_WORD = 100 };

static unsigned *objects[OBJECTS];

static size_t object_size(size_t i)
{
    return 512 + i % 4096;
}

static void write_object(size_t i, unsigned value)
{
    objects[i][FIRST_WORD] = value;
    objects[i][LATER_WORD] = ~value;
}

static bool object_holds(size_t i, unsigned value)
{
    return objects[i][FIRST_WORD] == value && objects[i][LATER_WORD] == ~value;
}

static void make_objects(void)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = heap_malloc(heap, object_size(i));
        write_object(i, (unsigned)i);
    }
}

/* Stores to all objects, and makes every third anew. */
static void change_objects(unsigned value)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        if (i % 3 == 0) {
            heap_free(heap, objects[i]);
            objects[i] = heap_malloc(heap, object_size(i + 7));
        }
        write_object(i, value + (unsigned)i);
    }
}

static unsigned count_changed(unsigned value)
{
    unsigned changed = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        changed += !object_holds(i, value + (unsigned)i);
    return changed;
}

static void print_end(const char *who, int status, int changed)
{
    if (WIFSIGNALED(status))
        printf("%s=SIG%s\n", who, sigabbrev_np(WTERMSIG(status)));
    else if (changed < 0)
        printf("%s=ended-%d\n", who, WEXITSTATUS(status));
    else
        printf("%s=%d\n", who, changed);
}

static pid_t must_fork(void)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    return child;
}

static void be_child_that_looks(int go, int answer)
{
    char byte;
    if (read(go, &byte, 1) != 1)
        _exit(2);
    const unsigned changed = count_changed(0);
    _exit(write(answer, &changed, sizeof changed) == sizeof changed ? 0 : 2);
}

static void measure_child(void)
{
    int go[2], answer[2], changed = -1, status;
    if (pipe(go) != 0 || pipe(answer) != 0)
        fail("pipe");
    make_heap();
    make_objects();
    pid_t child = must_fork();
    if (child == 0)
        be_child_that_looks(go[0], answer[1]);
    change_objects(1u << 20);
    close(answer[1]);
    if (write(go[1], "", 1) != 1)
        fail("write");
    if (read(answer[0], &changed, sizeof changed) != sizeof changed)
        changed = -1;
    waitpid(child, &status, 0);
    print_end("child", status, changed);
}

/* Objects that the parent makes afterwards must be nobody else's. */
static void measure_parent(void)
{
    int status;
    make_heap();
    make_objects();
    pid_t child = must_fork();
    if (child == 0) {
        change_objects(1u << 21);
        _exit(0);
    }
    waitpid(child, &status, 0);
    unsigned changed = count_changed(0);
    change_objects(1u << 22);
    const unsigned later = count_changed(1u << 22);
    print_end("parent", 0, (int)(changed > later ? changed : later));
    print_end("its_child", status, status == 0 ? 0 : -1);
}

/* ---- a heap of a size --------------------------------------------------- */

static char **pieces;
static size_t piece_count;

static void store_to_pages(size_t one_in)
{
    for (size_t i = 0; i < piece_count; i += one_in)
        for (size_t at = 0; at < PIECE; at += PAGE)
            pieces[i][at]++;
}

static void make_pieces(void)
{
    make_heap();
    piece_count = (heap_mib << 20) / PIECE;
    pieces = calloc(piece_count, sizeof *pieces);
    if (pieces == NULL)
        fail("calloc");
    for (size_t i = 0; i < piece_count; i++) {
        pieces[i] = heap_malloc(heap, PIECE);
        memset(pieces[i], 1, PIECE);
    }
}

/* ---- how long fork() takes ---------------------------------------------- */

static uint64_t thread_cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static double pause_ms(void)
{
    fflush(NULL);
    const uint64_t begun = thread_cpu_ns();
    pid_t child = fork();
    const uint64_t ended = thread_cpu_ns();
    if (child < 0)
        fail("fork");
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    return (double)(ended - begun) * 1e-6;
}

static void measure_pause(void)
{
    make_pieces();
    const double first = pause_ms(), again = pause_ms();
    store_to_pages(10);
    const double tenth = pause_ms();
    store_to_pages(1);
    const double all = pause_ms();
    printf("pause_first=%.2f pause_again=%.2f pause_tenth=%.2f pause_all=%.2f"
           "\n",
           first, again, tenth, all);
}

/* ---- memory beside the file --------------------------------------------- */

/* A process's part of the anonymous memory, in KiB. */
static double anonymous_kib(pid_t pid)
{
    static char text[8192];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (length < 0)
        fail(path);
    text[length] = '\0';
    const char *line = strstr(text, "Pss_Anon:");
    if (line == NULL)
        fail("Pss_Anon");
    return strtod(line + strlen("Pss_Anon:"), NULL);
}

/* Frees and allocates the pieces that were stored to. */
static void renew_pieces(size_t one_in)
{
    for (size_t i = 0; i < piece_count; i += one_in)
        heap_free(heap, pieces[i]);
    (void)heap_trim(heap);
    for (size_t i = 0; i < piece_count; i += one_in) {
        pieces[i] = heap_malloc(heap, PIECE);
        memset(pieces[i], 2, PIECE);
    }
}

static bool attach(void)
{
#ifdef BENCH_MEMKIND
    int (*function)(memkind_t);
    void *symbol = dlsym(RTLD_DEFAULT, "memkind_attach_kind");
    memcpy(&function, &symbol, sizeof function);
    return symbol != NULL && function(heap.kind) == 0;
#else
    return false;
#endif
}

static void measure_dram(void)
{
    int go[2];
    char byte;
    if (pipe(go) != 0)
        fail("pipe");
    make_pieces();
    const pid_t self = getpid();
    const double before = anonymous_kib(self);
    pid_t child = must_fork();
    if (child == 0)
        _exit(close(go[1]) == 0 && read(go[0], &byte, 1) == 0 ? 0 : 2);
    store_to_pages(10);
    const double during = anonymous_kib(self) + anonymous_kib(child) - before;
    close(go[1]);
    waitpid(child, NULL, 0);
    const double after = anonymous_kib(self) - before;
    renew_pieces(20);
    const double renewed = anonymous_kib(self) - before;
    const bool attached = attach();
    const double last = anonymous_kib(self) - before;
    printf("dram_during=%.1f dram_after=%.1f dram_renewed=%.1f ", during / 1024,
           after / 1024, renewed / 1024);
    if (attached)
        printf("dram_attached=%.1f\n", last / 1024);
    else
        printf("dram_attached=-\n");
}

/* ---- programs that are started ------------------------------------------ */

static char *const arguments[] = {"true", NULL};

static void fork_and_execute(void)
{
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        execv("/bin/true", arguments);
        _exit(127);
    }
    waitpid(child, NULL, 0);
}

static void spawn(void)
{
    pid_t child;
    if (posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) != 0)
        fail("posix_spawn");
    waitpid(child, NULL, 0);
}

static double cpu_us(void)
{
    static const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    double sum = 0;
    for (size_t i = 0; i < 2; i++) {
        struct rusage usage;
        getrusage(whose[i], &usage);
        sum += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    }
    return sum;
}

static double loop_us(void (*start_program)(void))
{
    const double begun = cpu_us();
    for (unsigned i = 0; i < loops; i++)
        start_program();
    return (cpu_us() - begun) / loops;
}

/* The parent stores to 4 MiB between two forks, as a program at work does. */
static void store_fork_and_execute(void)
{
    static size_t next;
    for (size_t i = 0; i < 64; i++, next++)
        for (size_t at = 0; at < PIECE; at += PAGE)
            pieces[next % piece_count][at]++;
    fork_and_execute();
}

static void measure_loop(void)
{
    make_pieces();
    const double forks = loop_us(fork_and_execute);
    const double spawns = loop_us(spawn);
    const double stores = loop_us(store_fork_and_execute);
    printf("loop_fork=%.0f loop_spawn=%.0f loop_store=%.0f\n", forks, spawns,
           stores);
}

/* ---- the program -------------------------------------------------------- */

static const struct {
    const char *name;
    void (*measure)(void);
} parts[] = {{"child", measure_child},
             {"parent", measure_parent},
             {"pause", measure_pause},
             {"dram", measure_dram},
             {"loop", measure_loop}};

/* A part that crashes says so. */
static void run_part(const char *name, void (*measure)(void))
{
    int status;
    pid_t child = must_fork();
    if (child == 0) {
        measure();
        fflush(NULL);
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (status != 0)
        print_end(name, status, -1);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s WHAT|all DIR [MIB [LOOPS]]\n", argv[0]);
        return 2;
    }
    dir = argv[2];
    if (argc > 3)
        heap_mib = strtoul(argv[3], NULL, 10);
    if (argc > 4)
        loops = (unsigned)strtoul(argv[4], NULL, 10);
    bool known = false;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(argv[1], "all") == 0 ||
            strcmp(argv[1], parts[i].name) == 0) {
            run_part(parts[i].name, parts[i].measure);
            known = true;
        }
    if (!known)
        fprintf(stderr, "%s is not known\n", argv[1]);
    return known ? 0 : 2;
}
