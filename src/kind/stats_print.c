/* SPDX-License-Identifier: BSD-2-Clause */
/* What jemalloc says about the heaps, as a text, and what it does not know. */
#include <memkind/internal/memkind_arena.h>

#include <string.h>
#include <unistd.h>

#include "allocator_gate.h"
#include "cancellation.h"
#include "heap_stat.h"
#include "jemalloc_private.h"
#include "snapshot_lock.h"
#include "stats_places.h"
#include "stats_text.h"
#include "thread_cache.h"

/* jemalloc holds locks of its own while it prints: its text is kept, and passed
 * on when the thread has left jemalloc. */
static void keep_piece(void *opaque, const char *piece)
{
    stats_text_add(opaque, piece);
}

/* In JSON as a further member of the whole, before the bracket that ends it. */
static void add_own_figures(struct stats_text *text, bool is_json)
{
    char *end = text->bytes != NULL ? strrchr(text->bytes, '}') : NULL;
    if (is_json && end == NULL)
        return;
    if (is_json) {
        while (end > text->bytes && strchr(" \t\n", end[-1]) != NULL)
            end--;
        *end = '\0';
        text->size = (size_t)(end - text->bytes);
    }
    stats_text_addf(text,
                    is_json ? ",\"memkind\":{\"detached\":%zu,\"kinds\":["
                            : "Detached by fork: %zu\n",
                    heap_stat_detached());
    stats_places_add(text, is_json);
    if (is_json)
        stats_text_add(text, "]}}\n");
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
    struct stats_text text = {0};
    /* It aborts if an arena goes meanwhile. */
    snapshot_lock_begin_snapshot();
    JE_NAME(malloc_stats_print)(keep_piece, &text, chosen);
    snapshot_lock_end_snapshot();
    allocator_leave();
    add_own_figures(&text, (opts & MEMKIND_STAT_PRINT_JSON_FORMAT) != 0);
    if (text.bytes == NULL)
        return MEMKIND_SUCCESS;
    int cancellation = cancellation_disable();
    pass_text_on(text.bytes, write_cb != NULL ? write_cb : write_to_stderr,
                 cbopaque);
    cancellation_restore(cancellation);
    stats_text_free(&text);
    return MEMKIND_SUCCESS;
}
