/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: what a program or its user can set. Environment variables,
 * paths, sizes, policies, flags, options, error numbers; every answer has to be
 * one that memkind.h allows, and a kind that was made has to work.
 */
#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <memkind/internal/memkind_fixed.h>
#include <memkind/internal/memkind_pmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_target.h"
#include "model.h"

/* Deprecated functions still work. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define MIB ((size_t)1 << 20)

/* ---- what is chosen ---- */

static size_t choose_number(struct choices *choices)
{
    static const size_t edges[] = {0,
                                   1,
                                   4095,
                                   4096,
                                   4097,
                                   16 * MIB - 1,
                                   16 * MIB,
                                   16 * MIB + 1,
                                   64 * MIB,
                                   (size_t)1 << 30,
                                   (size_t)1 << 31,
                                   (size_t)1 << 32,
                                   (size_t)1 << 40,
                                   (size_t)1 << 46,
                                   (size_t)1 << 47,
                                   (size_t)1 << 62,
                                   (size_t)1 << 63,
                                   SIZE_MAX};
    if (choose(choices, 4) == 0)
        return choose(choices, SIZE_MAX);
    return edges[choose(choices, sizeof edges / sizeof edges[0])] +
           choose(choices, 3) - choose(choices, 3);
}

/* Text without a NUL in it, at most most - 1 long. */
static void choose_text(struct choices *choices, char *text, size_t most)
{
    static const char *const words[] = {"",
                                        "0",
                                        "1",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "4",
                                        "1e3",
                                        "0x10",
                                        "00",
                                        "2147483647",
                                        "4294967296",
                                        "18446744073709551616",
                                        "99999999999999999999999",
                                        "1 ",
                                        "\n"};
    if (choose(choices, 2) == 0) {
        snprintf(text, most, "%s",
                 words[choose(choices, sizeof words / sizeof words[0])]);
        return;
    }
    size_t length = choose(choices, most);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(1 + choose(choices, 255));
    text[length] = '\0';
}

static const char *choose_path(struct choices *choices)
{
    static char path[9000];
    static const char *const places[] = {"",
                                         "/",
                                         ".",
                                         "..",
                                         "/proc",
                                         "/dev/null",
                                         "/dev/zero",
                                         "/dev/tty",
                                         "/sys",
                                         "/proc/self/exe",
                                         "/proc/self/fd/0",
                                         "//",
                                         "/dev/full"};
    switch (choose(choices, 6)) {
    case 0:
        return NULL;
    case 1:
        return places[choose(choices, sizeof places / sizeof places[0])];
    case 2: { /* too long, or nearly so */
        size_t length = 200 + choose(choices, 8000);
        memset(path, '/', length);
        memcpy(path, fuzz_dir(), strlen(fuzz_dir()));
        path[length] = '\0';
        return path;
    }
    case 3:
        snprintf(path, sizeof path, "%s/", fuzz_dir());
        choose_text(choices, path + strlen(path), 300);
        return path;
    case 4:
        snprintf(path, sizeof path, "%s/../%s/.", fuzz_dir(),
                 strrchr(fuzz_dir(), '/') + 1);
        return path;
    default:
        return fuzz_dir();
    }
}

/* ---- what is done ---- */

static bool is_documented(int err)
{
    return err <= MEMKIND_SUCCESS &&
           (err >= MEMKIND_ERROR_ARENAS_CREATE || err == MEMKIND_ERROR_RUNTIME);
}

static void use_kind(int err, memkind_t kind)
{
    MODEL_NEED(is_documented(err));
    if (err != MEMKIND_SUCCESS) {
        MODEL_NEED(kind == NULL);
        return;
    }
    char *at = memkind_calloc(kind, 10, 10);
    MODEL_NEED(at == NULL || (at[0] == 0 && at[99] == 0));
    if (at != NULL)
        memset(at, 1, memkind_malloc_usable_size(kind, at));
    MODEL_NEED(at == NULL || memkind_detect_kind(at) == kind);
    MODEL_NEED(memkind_get_capacity(kind) != 0);
    memkind_free(NULL, at);
    MODEL_NEED(memkind_destroy_kind(kind) == MEMKIND_SUCCESS);
    MODEL_NEED(memkind_destroy_kind(kind) == MEMKIND_ERROR_OPERATION_FAILED);
}

static void set_environment(struct choices *choices)
{
    static const char *const names[] = {"MEMKIND_ARENA_NUM_PER_KIND",
                                        "MEMKIND_HOG_MEMORY",
                                        "MEMKIND_CORE_DUMP",
                                        "MEMKIND_BACKGROUND_THREAD_LIMIT",
                                        "MALLOC_CONF",
                                        "TMPDIR"};
    const char *name = names[choose(choices, sizeof names / sizeof names[0])];
    char text[600];
    choose_text(choices, text, sizeof text);
    if (choose(choices, 4) == 0)
        unsetenv(name);
    else
        setenv(name, text, 1);
}

static void create_by_config(struct choices *choices)
{
    memkind_t kind = NULL;
    struct memkind_config *config = memkind_config_new();
    MODEL_NEED(config != NULL);
    for (size_t i = choose(choices, 6); i > 0; i--) {
        memkind_config_set_path(config, choose_path(choices));
        memkind_config_set_size(config, choose_number(choices));
    }
    if (choose(choices, 2) == 0)
        memkind_config_set_size(config, 16 * MIB);
    memkind_config_set_memory_usage_policy(
        config, (memkind_mem_usage_policy)(choose(choices, 4) == 0
                                               ? (int)choose_number(choices)
                                               : (int)choose(choices, 3)));
    memkind_config_set_fork_policy(
        config, (memkind_fork_policy)((int)choose(choices, 7) - 1));
    memkind_config_set_core_dump(config, choose(choices, 2) != 0);
    int err = memkind_create_pmem_with_config(config, &kind);
    use_kind(err, kind);
    memkind_config_delete(config);
    memkind_config_delete(NULL);
}

static void create_in_directory(struct choices *choices)
{
    memkind_t kind = NULL;
    const char *path = choose_path(choices);
    size_t size = choose_number(choices);
    int err = memkind_create_pmem(path, size, &kind);
    MODEL_NEED(err != MEMKIND_SUCCESS || size == 0 || size >= 16 * MIB);
    use_kind(err, kind);
    MODEL_NEED(memkind_create_pmem(path, size, NULL) == MEMKIND_ERROR_INVALID);
}

static void create_on_memory(struct choices *choices)
{
    static char *buffer;
    const size_t buffer_size = 4 * MIB;
    if (buffer == NULL)
        buffer = mmap(NULL, buffer_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MODEL_NEED(buffer != MAP_FAILED);
    memkind_t kind = NULL;
    size_t at = choose(choices, buffer_size);
    size_t size = choose(choices, buffer_size - at + 1);
    int err = memkind_create_fixed(buffer + at, size, &kind);
    use_kind(err, kind);
    kind = NULL;
    /* An area that wraps around is refused; nothing of it is touched. */
    size_t beyond = SIZE_MAX - choose(choices, 4096);
    err = memkind_create_fixed(buffer + at, beyond, &kind);
    MODEL_NEED(err == MEMKIND_ERROR_INVALID && kind == NULL);
    MODEL_NEED(memkind_create_fixed(NULL, size, &kind) ==
               MEMKIND_ERROR_INVALID);
}

static void create_by_flags(struct choices *choices)
{
    memkind_t kind = NULL;
    unsigned types = choose(choices, 2) ? (unsigned)choose(choices, 5)
                                        : (unsigned)choose_number(choices);
    int policy = choose(choices, 2) ? (int)choose(choices, 7)
                                    : (int)choose_number(choices);
    unsigned bits = choose(choices, 3) == 0   ? 21
                    : choose(choices, 2) == 0 ? (unsigned)choose_number(choices)
                                              : 0;
    int err =
        memkind_create_kind((memkind_memtype_t)types, (memkind_policy_t)policy,
                            (memkind_bits_t)bits, &kind);
    use_kind(err, kind);
}

static void create_by_operations(struct choices *choices)
{
    struct memkind kind = {0};
    struct memkind_ops ops = MEMKIND_PMEM_OPS;
    int fd = choose(choices, 3) == 0
                 ? (int)choose_number(choices)
                 : open(fuzz_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    bool own = fd >= 0 && fd != 0 && fcntl(fd, F_GETFL) != -1;
    /* Only descriptors of our own: others belong to the engine. */
    if (!own || fd <= 2)
        fd = -1;
    struct memkind_pmem_source source = {.fd = fd};
    source.dir = choose(choices, 2) == 0 ? choose_path(choices) : NULL;
    source.max_size = choose_number(choices);
    char name[200];
    choose_text(choices, name, sizeof name);
    source.fork_policy = (memkind_fork_policy)(choose(choices, 7) - 1);
    source.dump_objects = choose(choices, 2) != 0;
    MODEL_NEED(memkind_pmem_set_source(&kind, &source) == MEMKIND_SUCCESS);
    int err = ops.create(&kind, &ops, name);
    MODEL_NEED(is_documented(err));
    if (err == MEMKIND_SUCCESS) {
        size_t length = choose_number(choices);
        /* What the machine would really have takes long to get. */
        if (length > 64 * MIB && length < (size_t)1 << 40)
            length = 64 * MIB;
        void *block = memkind_pmem_mmap(&kind, NULL, length);
        MODEL_NEED(block == MAP_FAILED || memkind_detect_kind(block) == &kind);
        MODEL_NEED(ops.destroy(&kind) == MEMKIND_SUCCESS);
    } else {
        MODEL_NEED(kind.heap == NULL && kind.regions == NULL);
    }
    if (fd > 2)
        close(fd);
}

static void describe_error(struct choices *choices)
{
    char text[300];
    size_t size = choose(choices, sizeof text - 1);
    memset(text, 'x', sizeof text);
    int err = choose(choices, 2) ? -(int)choose(choices, 300)
                                 : (int)choose_number(choices);
    memkind_error_message(err, text, size);
    MODEL_NEED(text[size] == 'x');
    MODEL_NEED(size == 0 || strnlen(text, size) < size);
    if (size >= MEMKIND_ERROR_MESSAGE_SIZE)
        MODEL_NEED(strnlen(text, size) < MEMKIND_ERROR_MESSAGE_SIZE);
    memkind_error_message(err, NULL, size);
}

static void count_text(void *opaque, const char *text)
{
    *(size_t *)opaque += strlen(text);
}

static void print_statistics(struct choices *choices)
{
    static unsigned turn;
    size_t printed = 0;
    /* It takes longer than all else together. */
    if (turn++ % 8 != 0)
        return;
    unsigned options = choose(choices, 4) == 0
                           ? (unsigned)choose_number(choices)
                           : (unsigned)choose(choices, 512);
    int err = memkind_stats_print(count_text, &printed,
                                  (memkind_stat_print_opt)options);
    MODEL_NEED(err ==
               (options < 512 ? MEMKIND_SUCCESS : MEMKIND_ERROR_INVALID));
    MODEL_NEED((printed > 0) == (err == MEMKIND_SUCCESS));
    size_t value = 1;
    int stat = (int)choose_number(choices);
    err = memkind_get_stat(choose(choices, 2) ? NULL : MEMKIND_DEFAULT,
                           (memkind_stat_type)stat, &value);
    MODEL_NEED(err == (stat >= 0 && stat < MEMKIND_STAT_TYPE_MAX_VALUE
                           ? MEMKIND_SUCCESS
                           : MEMKIND_ERROR_INVALID));
}

static void look_up(struct choices *choices)
{
    memkind_t kind = NULL;
    int partition = choose(choices, 2) ? (int)choose(choices, 40)
                                       : (int)choose_number(choices);
    int err = memkind_get_kind_by_partition(partition, &kind);
    MODEL_NEED((err == MEMKIND_SUCCESS) == (kind != NULL));
    MODEL_NEED(memkind_detect_kind((void *)choose_number(choices)) == NULL ||
               err <= 0);
    memkind_free(NULL, NULL);
    err = memkind_check_dax_path(choose_path(choices));
    MODEL_NEED(is_documented(err));
}

static void (*const things[])(struct choices *) = {
    set_environment,  create_by_config, create_in_directory,
    create_on_memory, create_by_flags,  create_by_operations,
    describe_error,   print_statistics, look_up,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {.bytes = data, .left = size};
    clearenv();
    for (int i = 0; choices_are_left(&choices) && i < 40; i++)
        things[choose(&choices, sizeof things / sizeof things[0])](&choices);
    return 0;
}
