/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Indexes all words of many text files, with a thread for each CPU (at most 8).
 * The index lies in a file-backed kind: hash tables, words, and for each word a
 * list of the files that have it. The files' names come from standard input.
 *
 * Run: find /usr/include -type f -print0 | text_index [DIR]
 *
 * Exit status: 0 done and checked, 1 failed, 2 the kind was too small for all
 * of the text; what fitted is then reported and checked.
 */
#define _POSIX_C_SOURCE 200809L
#include "example.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

enum { BUCKETS = 1 << 18, FILES = 1 << 20, THREADS = 8, TOP = 10, FULL = 2 };

struct place { /* the first line of a file that has the word */
    struct place *next;
    uint32_t file, line;
};

struct word {
    struct word *next; /* in the same bucket */
    struct place *places;
    size_t count;
    char text[];
};

static memkind_t kind;
static atomic_bool full; /* an allocation from the kind has given NULL */
static char *files[FILES];
static atomic_size_t file_count, byte_count, word_count;

/* ---- words ---- */

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (c >= '0' && c <= '9') || (unsigned char)c > 127;
}

/* Moves *text to the next word; gives its length, or 0. Skips numbers. */
static size_t next_word(const char **text)
{
    const char *end = *text;
    do {
        for (*text = end; **text != '\0' && !in_word(**text); (*text)++) {
        }
        for (end = *text; in_word(*end); end++) {
        }
    } while (**text >= '0' && **text <= '9');
    return (size_t)(end - *text);
}

/* Gives the pointer to the word, or the one to set if the word is new. */
static struct word **find(struct word **table, const char *text, size_t length)
{
    size_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    }
    struct word **link = &table[(hash ^ hash >> 32) % BUCKETS];
    while (*link != NULL && (strncmp((*link)->text, text, length) != 0 ||
                             (*link)->text[length] != '\0')) {
        link = &(*link)->next;
    }
    return link;
}

/* Gives false if the kind is full. */
static bool add_word(struct word **table, const char *text, size_t length,
                     uint32_t file, uint32_t line)
{
    struct word **link = find(table, text, length);
    if (*link == NULL) {
        *link = memkind_calloc(kind, 1, sizeof(struct word) + length + 1);
        if (*link == NULL) {
            return false;
        }
        memcpy((*link)->text, text, length);
    }
    struct word *word = *link;
    if (word->places == NULL || word->places->file != file) {
        struct place *place = memkind_malloc(kind, sizeof(*place));
        if (place == NULL) {
            return false;
        }
        *place = (struct place){word->places, file, line};
        word->places = place;
    }
    word->count++;
    return true;
}

/* ---- threads ---- */

static void index_file(struct word **table, const char *path, uint32_t file)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        perror(path);
        return;
    }
    char *text = NULL;
    size_t room = 0, bytes = 0, words = 0;
    for (uint32_t n = 1; !full && getline(&text, &room, stream) > 0; n++) {
        bytes += strlen(text);
        const char *word = text;
        for (size_t length; (length = next_word(&word)) > 0; word += length) {
            if (!add_word(table, word, length, file, n)) {
                full = true;
                break;
            }
            words++;
        }
    }
    free(text);
    (void)fclose(stream);
    byte_count += bytes;
    word_count += words;
}

/* A thread: makes a table, and fills it for as long as there are files. */
static void *index_files(void *names)
{
    struct word **table = memkind_calloc(kind, BUCKETS, sizeof(struct word *));
    char *name = NULL;
    size_t room = 0;
    while (table != NULL && !full && getdelim(&name, &room, '\0', names) > 0) {
        size_t file = file_count++;
        example_check(file < FILES, "there are not too many files");
        files[file] = memkind_malloc(kind, strlen(name) + 1);
        if (files[file] != NULL) {
            index_file(table, strcpy(files[file], name), (uint32_t)file);
        } else {
            full = true;
        }
    }
    free(name);
    return table;
}

/* Moves the words of a second table into the first one; gives the result. */
static struct word **merge(struct word **to, struct word **from)
{
    if (to == NULL || from == NULL) {
        return to != NULL ? to : from;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct word *word; (word = from[i]) != NULL;) {
            from[i] = word->next;
            struct word **link = find(to, word->text, strlen(word->text));
            if (*link == NULL) {
                word->next = NULL;
                *link = word;
                continue;
            }
            struct place **end = &(*link)->places;
            while (*end != NULL) {
                end = &(*end)->next;
            }
            *end = word->places;
            (*link)->count += word->count;
            memkind_free(kind, word); /* another thread has allocated it */
        }
    }
    memkind_free(kind, from);
    return to;
}

/* ---- the result ---- */

static bool is_in_file(const struct word *word)
{
    FILE *stream = fopen(files[word->places->file], "re");
    example_expect(stream != NULL, files[word->places->file]);
    char *text = NULL;
    size_t room = 0;
    bool found = false;
    for (uint32_t n = 0; n < word->places->line; n++) {
        found = getline(&text, &room, stream) > 0 && strstr(text, word->text);
    }
    free(text);
    (void)fclose(stream);
    return found;
}

static void report(struct word **table)
{
    static struct word *top[TOP + 1];
    size_t distinct = 0, words = 0, found = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct word *word = table[i]; word != NULL; word = word->next) {
            example_check(memkind_detect_kind(word) == kind, "in the kind");
            words += word->count;
            if (distinct++ % 512 == 0 && word->count > 0) {
                example_check(is_in_file(word), "words are in their files");
                found++;
            }
            size_t at = distinct <= TOP ? distinct - 1 : TOP;
            for (; at > 0 && top[at - 1]->count < word->count; at--) {
                top[at] = top[at - 1];
            }
            top[at] = word;
        }
    }
    example_check(words == word_count && words > 0, "all words are there");
    printf("index:      %zu words, %zu different:\n", words, distinct);
    for (size_t i = 0; i < TOP && top[i] != NULL && top[i]->count > 0; i++) {
        printf("%12zu  %s (%s:%u)\n", top[i]->count, top[i]->text,
               files[top[i]->places->file], top[i]->places->line);
    }
    printf("file space: %zu KiB, %zu KiB of it allocated\n",
           example_stat(kind, MEMKIND_STAT_TYPE_RESIDENT) / EXAMPLE_KIB,
           example_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED) / EXAMPLE_KIB);
    printf("checked:    all words; %zu of them found in their files\n", found);
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    example_expect_success(memkind_create_pmem(dir, 0, &kind));
    bool dax = memkind_check_dax_path(dir) == MEMKIND_SUCCESS;
    printf("kind:       in %s (%s)\n", dir, dax ? "DAX" : "no DAX");
    double start = example_seconds();
    pthread_t threads[THREADS];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long count = cpus < THREADS ? cpus : THREADS;
    for (long i = 0; i < count; i++) {
        errno = pthread_create(&threads[i], NULL, index_files, stdin);
        example_expect(errno == 0, "pthread_create");
    }
    struct word **index = NULL;
    for (long i = 0; i < count; i++) {
        void *table = NULL;
        (void)pthread_join(threads[i], &table);
        index = merge(index, table);
    }
    example_expect(index != NULL, "an empty index");
    printf("text:       %zu files, %.1f MB in %.2f s by %ld threads%s\n",
           file_count, (double)byte_count / 1e6, example_seconds() - start,
           count, full ? ": the kind is FULL" : "");
    report(index);
    example_expect_success(memkind_destroy_kind(kind));
    return full ? FULL : EXIT_SUCCESS;
}
