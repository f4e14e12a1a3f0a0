/* SPDX-License-Identifier: BSD-2-Clause */
/* What jemalloc says about the heaps, as a text, and what it does not know. */
#include <memkind/internal/memkind_arena.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocator_gate.h"
#include "cancellation.h"
#include "heap_stat.h"
#include "jemalloc_private.h"
#include "sys_calls.h"
#include "thread_cache.h"

/* jemalloc holds locks of its own while it prints: its text is kept, and passed
 * on when the thread has left jemalloc. */
struct printed_text {
    char *bytes;
    size_t size, capacity;
};

#define CAPACITY_FIRST ((size_t)256 << 10)

static bool grow_text(struct printed_text *text, size_t wanted)
{
    size_t capacity = text->capacity == 0 ? CAPACITY_FIRST : text->capacity;
    while (capacity < wanted)
        capacity *= 2;
    char *bytes = sys.mmap(NULL, capacity, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return false;
    if (text->size != 0)
        memcpy(bytes, text->bytes, text->size);
    if (text->capacity != 0)
        sys.munmap(text->bytes, text->capacity);
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

/* A piece that there is no memory for is left out. */
static void keep_piece(void *opaque, const char *piece)
{
    struct printed_text *text = opaque;
    size_t length = strlen(piece);
    if (text->size + length + 1 > text->capacity &&
        !grow_text(text, text->size + length + 1))
        return;
    memcpy(text->bytes + text->size, piece, length + 1);
    text->size += length;
}

/* In JSON as a further member of the whole, before the bracket that ends it. */
static void add_own_figures(struct printed_text *text, bool is_json)
{
    char piece[100];
    char *end = text->bytes != NULL ? strrchr(text->bytes, '}') : NULL;
    if (is_json && end == NULL)
        return;
    if (is_json) {
        while (end > text->bytes && strchr(" \t\n", end[-1]) != NULL)
            end--;
        *end = '\0';
        text->size = (size_t)(end - text->bytes);
    }
    snprintf(piece, sizeof piece,
             is_json ? ",\"memkind\":{\"detached\":%zu}}\n"
                     : "Detached by fork: %zu\n",
             heap_stat_detached());
    keep_piece(text, piece);
}

static void write_to_stderr(void *opaque, const char *text)
{
    (void)opaque;
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, text, length);
        if (written <= 0)
            return;
        text += written;
        length -= (size_t)written;
    }
}

/* In pieces of whole lines, as callers may have buffers. */
static void pass_text_on(char *text, void (*write_cb)(void *, const char *),
                         void *cbopaque)
{
    enum { PIECE_MOST = 4096 };
    char piece[PIECE_MOST + 1];
    while (*text != '\0') {
        size_t length = strnlen(text, PIECE_MOST);
        const char *end =
            length == PIECE_MOST ? memrchr(text, '\n', length) : NULL;
        if (end != NULL)
            length = (size_t)(end - text) + 1;
        memcpy(piece, text, length);
        piece[length] = '\0';
        write_cb(cbopaque, piece);
        text += length;
    }
}

int memkind_arena_stats_print(void (*write_cb)(void *, const char *),
                              void *cbopaque, memkind_stat_print_opt opts)
{
    /* jemalloc's letters, in the order of memkind's bits */
    static const char letters[] = "Jgmdablxe";
    char chosen[sizeof letters] = "";
    size_t count = 0;
    if ((unsigned)opts >> (sizeof letters - 1) != 0)
        return MEMKIND_ERROR_INVALID;
    for (size_t bit = 0; letters[bit] != '\0'; bit++)
        if ((unsigned)opts & 1U << bit)
            chosen[count++] = letters[bit];
    if (!allocator_enter())
        return MEMKIND_ERROR_OPERATION_FAILED;
    struct printed_text text = {0};
    JE_NAME(malloc_stats_print)(keep_piece, &text, chosen);
    allocator_leave();
    add_own_figures(&text, (opts & MEMKIND_STAT_PRINT_JSON_FORMAT) != 0);
    if (text.bytes == NULL)
        return MEMKIND_SUCCESS;
    int cancellation = cancellation_disable();
    pass_text_on(text.bytes, write_cb != NULL ? write_cb : write_to_stderr,
                 cbopaque);
    cancellation_restore(cancellation);
    sys.munmap(text.bytes, text.capacity);
    return MEMKIND_SUCCESS;
}
