/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that forks while a thread of its allocates in a library that has
 * handlers of fork() itself. The file is compiled three times:
 *
 *     -DLOCK   the library: its lock is held meanwhile, and taken for fork()
 *     -DKINDS  the library: it makes kinds, and is linked with libmemkind
 *     neither  the program
 *
 * Prints how many children had what the parent has. If allocating threads and
 * the handlers wait for each other, it never ends.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Allocates once; false if that failed. */
bool library_work(void);
/* In a child: whether the library is of use there. */
bool library_works(void);

#if defined(LOCK)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take(void)
{
    pthread_mutex_lock(&lock);
}

static void release(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void start(void)
{
    pthread_atfork(take, release, release);
}

/* What a child stores is not its parent's, even as late as this: the preloaded
 * library has ended before. */
__attribute__((destructor)) static void end(void)
{
    char *volatile object = malloc(100);
    if (object == NULL)
        return;
    strcpy(object, "parent's");
    const pid_t child = fork();
    if (child == 0) {
        strcpy(object, "child's");
        _exit(0);
    }
    if (child < 0 || waitpid(child, NULL, 0) != child ||
        strcmp(object, "parent's") != 0)
        printf("a destructor's object is the %s\n", object);
    free(object);
}

/* The object is so large that no cache of the thread has one. */
bool library_work(void)
{
    take();
    char *volatile object = malloc(3 << 20);
    if (object != NULL)
        object[0] = 1;
    free(object);
    release();
    return object != NULL;
}

bool library_works(void)
{
    return library_work();
}

#elif defined(KINDS)

#include <memkind.h>

static memkind_t kept;
static char *text;

static memkind_t make_kind(void)
{
    memkind_t kind = NULL;
    (void)memkind_create_pmem(getenv("MEMKIND_TEST_DIR"), 0, &kind);
    return kind;
}

bool library_work(void)
{
    if (kept == NULL) {
        kept = make_kind();
        text = kept != NULL ? memkind_malloc(kept, 100) : NULL;
        if (text == NULL)
            return false;
        strcpy(text, "text");
    }
    memkind_t kind = make_kind();
    return kind != NULL && memkind_destroy_kind(kind) == MEMKIND_SUCCESS;
}

/* Kinds are private: a child has what it stores itself. */
bool library_works(void)
{
    char *object = memkind_malloc(kept, 100);
    return object != NULL && strcmp(text, "text") == 0;
}

#else

enum { FORKS = 60 };

static atomic_bool is_over;

static void *work_on(void *unused)
{
    (void)unused;
    while (!is_over)
        if (!library_work())
            abort();
    return NULL;
}

int main(void)
{
    pthread_t thread;
    if (!library_work() || pthread_create(&thread, NULL, work_on, NULL) != 0)
        return 1;
    int good = 0;
    for (int i = 0; i < FORKS; i++) {
        const pid_t child = fork();
        if (child == 0)
            _exit(library_works() ? 0 : 1);
        int status;
        good += child > 0 && waitpid(child, &status, 0) == child && status == 0;
    }
    is_over = true;
    pthread_join(thread, NULL);
    printf("%d of %d\n", good, FORKS);
    return 0;
}

#endif
