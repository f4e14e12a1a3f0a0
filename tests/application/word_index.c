/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Indexes every word of a tree of text files, with the whole index in a
 * file-backed kind: the hash table, the words, the list of files, the list of
 * places of each word, and the buffer that files are read into.
 * Prints what it found, how much file space that took and how fast it was, and
 * checks the index against itself and against the files.
 *
 * A word is a run of letters, digits, underscores and bytes above 127 that
 * does not begin with a digit. Upper and lower case differ.
 *
 * Run: word_index [-d DIR] [-l LIMIT_MIB] [-n N] [-q WORD]... [PATH]...
 *      word_index --help
 *
 * Exit status: 0 done, 1 something failed, 2 the kind was too small for all of
 * it (what fitted is reported and checked in either case).
 */
#define _XOPEN_SOURCE 700
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <memkind.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum exit_status {
    EXIT_INDEXED = 0,
    EXIT_FAILED = 1,
    EXIT_FULL = 2,
};

static const size_t MIB = (size_t)1 << 20;

enum {
    READ_SIZE = 256 * 1024,  /* the read buffer's size, at first */
    BINARY_CHECK = 8 * 1024, /* a zero byte in so many means a binary file */
    FIRST_BUCKETS = 1 << 14,
    FIRST_FILES = 1024,
    FIRST_CHUNK = 32,  /* bytes of the first chunk of places of a word */
    LAST_CHUNK = 2048, /* and of the largest */
    MAX_CODE = 20,     /* two numbers of up to 10 bytes */
    MAX_TOP = 10000,
    SAMPLES = 200,       /* words that are looked for in their files again */
    SHOWN_PLACES = 3,    /* of each word that is looked up */
    DEFAULT_LOOKUPS = 3, /* words to look up when none are named */
    BAR_WIDTH = 30,
    PROGRESS_INTERVAL_MS = 100,
};

struct options {
    const char *dir;
    size_t limit; /* bytes; 0: none */
    size_t top;
    const char **queries;
    size_t query_count;
    char **paths;
    size_t path_count;
};

/* ---- errors ---- */

/* Reports a status code of memkind; gives the exit status. */
static int fail(const char *what, int err)
{
    char text[MEMKIND_ERROR_MESSAGE_SIZE];
    memkind_error_message(err, text, sizeof(text));
    (void)fprintf(stderr, "%s: %s (code %d)\n", what, text, err);
    return EXIT_FAILED;
}

/* Reports errno; gives the exit status. */
static int fail_errno(const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return EXIT_FAILED;
}

/* ---- the index ---- */

struct file {
    char *path;
    struct stat seen; /* as it was when it was read */
    uint64_t lines;
    bool indexed; /* wholly or in part */
};

/* A piece of a word's list of places, filled with whole codes. */
struct chunk {
    struct chunk *next;
    uint32_t size;
    uint32_t used;
    unsigned char codes[];
};

/* A place of a word. */
struct place {
    uint64_t file;
    uint64_t line;
};

struct word {
    struct word *next; /* in the same bucket */
    uint64_t hash;
    uint64_t count;
    struct place last;
    struct chunk *first_chunk;
    struct chunk *last_chunk;
    size_t length;
    char text[]; /* not terminated */
};

struct index {
    memkind_t kind;

    struct word **buckets;
    size_t bucket_count; /* a power of two */
    size_t grow_at;      /* number of words at which the table doubles */
    size_t distinct;

    struct file *files;
    size_t file_count;
    size_t file_room;
    uint64_t tree_bytes; /* in all files of the list */

    char *buffer;
    size_t buffer_size;

    struct word **top;
    size_t top_room;
    size_t top_count;

    size_t indexed_files;
    uint64_t bytes;
    uint64_t lines;
    uint64_t words;

    size_t binaries;
    size_t links;
    size_t specials;
    size_t unreadable;

    uint64_t allocations; /* calls that allocated something */
    size_t requested;     /* bytes asked for and not freed */
    bool full;
    double seconds; /* that reading and indexing took */
};

static bool word_byte[256];

static void prepare_word_bytes(void)
{
    for (unsigned c = 0; c < 256; c++) {
        word_byte[c] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       (c >= '0' && c <= '9') || c == '_' || c >= 128;
    }
}

static bool is_word_byte(char c)
{
    return word_byte[(unsigned char)c];
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static double now(void)
{
    struct timespec t = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- progress ---- */

static struct {
    bool on; /* stderr is a terminal */
    bool shown;
    double last;
} progress;

static bool progress_is_due(void)
{
    if (!progress.on) {
        return false;
    }
    double t = now();
    if (t - progress.last < PROGRESS_INTERVAL_MS / 1000.0) {
        return false;
    }
    progress.last = t;
    progress.shown = true;
    return true;
}

static void progress_walking(size_t files)
{
    if (progress_is_due()) {
        (void)fprintf(stderr, "\r\033[Kfinding files: %zu", files);
        (void)fflush(stderr);
    }
}

static void progress_indexing(uint64_t done, uint64_t total, double start)
{
    if (!progress_is_due()) {
        return;
    }
    double part = total > 0 ? (double)done / (double)total : 1;
    part = part < 1 ? part : 1;
    int filled = (int)(part * BAR_WIDTH);
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    (void)fprintf(stderr, "\r\033[Kindexing [%s] %3d %%  %.0f MB/s", bar,
                  (int)(part * 100),
                  (double)done / 1e6 / (now() - start + 1e-9));
    (void)fflush(stderr);
}

static void progress_clear(void)
{
    if (progress.shown) {
        (void)fprintf(stderr, "\r\033[K");
        (void)fflush(stderr);
        progress.shown = false;
    }
}

/* ---- memory of the kind ---- */

/* Counts what was asked for; a NULL means that the kind is full. */
static void *count_taken(struct index *ix, void *object, size_t size)
{
    if (object == NULL) {
        ix->full = true;
    } else {
        ix->allocations++;
        ix->requested += size;
    }
    return object;
}

static void *take(struct index *ix, size_t size)
{
    return count_taken(ix, memkind_malloc(ix->kind, size), size);
}

static void *take_cleared(struct index *ix, size_t count, size_t size)
{
    return count_taken(ix, memkind_calloc(ix->kind, count, size), count * size);
}

/* On failure the old object stays. */
static void *take_more(struct index *ix, void *object, size_t old_size,
                       size_t size)
{
    void *more = memkind_realloc(ix->kind, object, size);
    if (more != NULL) {
        ix->requested -= old_size;
    }
    return count_taken(ix, more, size);
}

static void give_back(struct index *ix, void *object, size_t size)
{
    memkind_free(ix->kind, object);
    ix->requested -= size;
}

/* ---- places ---- */

/* Seven bits a byte, lowest first; the eighth says that more follow. */
static size_t put_number(unsigned char *out, uint64_t number)
{
    size_t n = 0;
    while (number >= 128) {
        out[n++] = (unsigned char)(number % 128 + 128);
        number /= 128;
    }
    out[n++] = (unsigned char)number;
    return n;
}

static size_t get_number(const unsigned char *in, uint64_t *number)
{
    size_t n = 0;
    unsigned shift = 0;
    *number = 0;
    do {
        *number |= (uint64_t)(in[n] % 128) << shift;
        shift += 7;
    } while (in[n++] >= 128);
    return n;
}

/*
 * A place is stored as its distance from the one before: an even number is
 * twice the number of lines, in the same file; an odd one is twice the number
 * of files and 1, and the line's number follows.
 */
static size_t put_place(unsigned char *out, struct place from, struct place to)
{
    if (from.file == to.file && from.line > 0) {
        return put_number(out, 2 * (to.line - from.line));
    }
    size_t n = put_number(out, 2 * (to.file - from.file) + 1);
    return n + put_number(out + n, to.line);
}

static size_t get_place(const unsigned char *in, struct place *place)
{
    uint64_t number = 0;
    size_t n = get_number(in, &number);
    if (number % 2 == 0) {
        place->line += number / 2;
        return n;
    }
    place->file += number / 2;
    return n + get_number(in + n, &place->line);
}

/* Goes over a word's places, from the first one on. */
struct reader {
    const struct chunk *chunk;
    size_t at;
    struct place place;
};

static struct reader read_places(const struct word *word)
{
    return (struct reader){word->first_chunk, 0, {0, 0}};
}

static bool next_place(struct reader *reader)
{
    while (reader->chunk != NULL && reader->at >= reader->chunk->used) {
        reader->chunk = reader->chunk->next;
        reader->at = 0;
    }
    if (reader->chunk == NULL) {
        return false;
    }
    reader->at += get_place(reader->chunk->codes + reader->at, &reader->place);
    return true;
}

/* Each chunk is twice as large as the one before, up to a limit. */
static struct chunk *add_chunk(struct index *ix, struct word *word, size_t need)
{
    const struct chunk *last = word->last_chunk;
    size_t whole = FIRST_CHUNK;
    if (last != NULL) {
        whole = 2 * (sizeof(*last) + last->size);
        whole = whole < LAST_CHUNK ? whole : LAST_CHUNK;
    }
    while (whole - sizeof(*last) < need) {
        whole *= 2;
    }
    struct chunk *chunk = take(ix, whole);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = NULL;
    chunk->size = (uint32_t)(whole - sizeof(*chunk));
    chunk->used = 0;
    if (word->last_chunk == NULL) {
        word->first_chunk = chunk;
    } else {
        word->last_chunk->next = chunk;
    }
    word->last_chunk = chunk;
    return chunk;
}

/* Changes nothing if there is no memory. */
static bool add_place(struct index *ix, struct word *word, struct place place)
{
    unsigned char code[MAX_CODE];
    size_t n = put_place(code, word->last, place);
    struct chunk *chunk = word->last_chunk;
    if (chunk == NULL || chunk->size - chunk->used < n) {
        chunk = add_chunk(ix, word, n);
        if (chunk == NULL) {
            return false;
        }
    }
    memcpy(chunk->codes + chunk->used, code, n);
    chunk->used += (uint32_t)n;
    word->last = place;
    word->count++;
    ix->words++;
    return true;
}

/* ---- words ---- */

static uint64_t hash_text(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    }
    return hash ^ (hash >> 32);
}

static struct word **bucket_of(const struct index *ix, uint64_t hash)
{
    return &ix->buckets[hash & (ix->bucket_count - 1)];
}

static struct word *find_word(const struct index *ix, uint64_t hash,
                              const char *text, size_t length)
{
    struct word *word = *bucket_of(ix, hash);
    while (word != NULL && (word->hash != hash || word->length != length ||
                            memcmp(word->text, text, length) != 0)) {
        word = word->next;
    }
    return word;
}

/* Without memory for it the table stays as it is, and gets slower. */
static void grow_table(struct index *ix)
{
    size_t count = 2 * ix->bucket_count;
    struct word **old = ix->buckets;
    size_t old_count = ix->bucket_count;
    ix->grow_at *= 2;
    struct word **buckets =
        memkind_calloc(ix->kind, count, sizeof(struct word *));
    if (buckets == NULL) {
        return;
    }
    (void)count_taken(ix, buckets, count * sizeof(struct word *));
    ix->buckets = buckets;
    ix->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        struct word *word = old[i];
        while (word != NULL) {
            struct word *next = word->next;
            struct word **bucket = bucket_of(ix, word->hash);
            word->next = *bucket;
            *bucket = word;
            word = next;
        }
    }
    give_back(ix, old, old_count * sizeof(struct word *));
}

static struct word *new_word(struct index *ix, uint64_t hash, const char *text,
                             size_t length)
{
    struct word *word = take(ix, sizeof(*word) + length);
    if (word == NULL) {
        return NULL;
    }
    *word = (struct word){.hash = hash, .length = length};
    memcpy(word->text, text, length);
    return word;
}

/* Changes nothing if there is no memory. */
static bool add_word(struct index *ix, const char *text, size_t length,
                     struct place place)
{
    uint64_t hash = hash_text(text, length);
    struct word *word = find_word(ix, hash, text, length);
    if (word != NULL) {
        return add_place(ix, word, place);
    }
    word = new_word(ix, hash, text, length);
    if (word == NULL) {
        return false;
    }
    if (!add_place(ix, word, place)) {
        give_back(ix, word, sizeof(*word) + length);
        return false;
    }
    if (ix->distinct >= ix->grow_at) {
        grow_table(ix);
    }
    struct word **bucket = bucket_of(ix, hash);
    word->next = *bucket;
    *bucket = word;
    ix->distinct++;
    return true;
}

/* ---- finding files ---- */

static bool add_file(struct index *ix, const char *path, off_t size)
{
    if (ix->file_count == ix->file_room) {
        size_t room = 2 * ix->file_room;
        struct file *files =
            take_more(ix, ix->files, ix->file_room * sizeof(*files),
                      room * sizeof(*files));
        if (files == NULL) {
            return false;
        }
        ix->files = files;
        ix->file_room = room;
    }
    size_t length = strlen(path) + 1;
    char *copy = take(ix, length);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, path, length);
    ix->files[ix->file_count++] = (struct file){.path = copy};
    ix->tree_bytes += (uint64_t)size;
    return true;
}

static int not_a_dot(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void walk(struct index *ix, const char *path);

static void walk_entry(struct index *ix, const char *dir, const char *name)
{
    size_t length = strlen(dir);
    const char *slash = length > 0 && dir[length - 1] == '/' ? "" : "/";
    size_t size = length + strlen(name) + 2;
    char *path = malloc(size);
    if (path == NULL) {
        ix->unreadable++;
        return;
    }
    (void)snprintf(path, size, "%s%s%s", dir, slash, name);
    walk(ix, path);
    free(path);
}

static void walk_directory(struct index *ix, const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, not_a_dot, alphasort);
    if (count < 0) {
        ix->unreadable++;
        return;
    }
    for (int i = 0; i < count; i++) {
        if (!ix->full) {
            walk_entry(ix, path, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
}

static void walk_found(struct index *ix, const char *path,
                       const struct stat *found)
{
    if (S_ISDIR(found->st_mode)) {
        walk_directory(ix, path);
    } else if (S_ISREG(found->st_mode)) {
        (void)add_file(ix, path, found->st_size);
        progress_walking(ix->file_count);
    } else if (S_ISLNK(found->st_mode)) {
        ix->links++;
    } else {
        ix->specials++;
    }
}

static void walk(struct index *ix, const char *path)
{
    struct stat found;
    if (lstat(path, &found) != 0) {
        ix->unreadable++;
        return;
    }
    walk_found(ix, path, &found);
}

/* A path of the command line has to be there, and may be a symbolic link. */
static bool walk_argument(struct index *ix, const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0) {
        progress_clear();
        (void)fail_errno(path);
        return false;
    }
    walk_found(ix, path, &found);
    return true;
}

/* ---- reading files ---- */

/*
 * Adds the words of a piece of a file. Gives how much of it is done with: a
 * word at the end may go on in the next piece, unless this is the last.
 */
static size_t index_piece(struct index *ix, size_t size, bool last,
                          struct place *place)
{
    const char *text = ix->buffer;
    size_t i = 0;
    while (i < size) {
        if (!is_word_byte(text[i])) {
            place->line += text[i] == '\n';
            i++;
            continue;
        }
        size_t start = i;
        while (i < size && is_word_byte(text[i])) {
            i++;
        }
        if (i == size && !last) {
            return start;
        }
        if (!is_digit(text[start]) &&
            !add_word(ix, text + start, i - start, *place)) {
            return start;
        }
    }
    return i;
}

static bool make_buffer_room(struct index *ix, size_t used)
{
    if (used < ix->buffer_size) {
        return true;
    }
    char *buffer =
        take_more(ix, ix->buffer, ix->buffer_size, 2 * ix->buffer_size);
    if (buffer == NULL) {
        return false;
    }
    ix->buffer = buffer;
    ix->buffer_size *= 2;
    return true;
}

enum outcome {
    OUTCOME_DONE,
    OUTCOME_BINARY,
    OUTCOME_UNREADABLE,
    OUTCOME_FULL,
};

static enum outcome index_text(struct index *ix, int fd, struct place *place,
                               uint64_t *bytes)
{
    size_t kept = 0; /* the beginning of a word from the piece before */
    bool ends_line = true;
    for (;;) {
        if (!make_buffer_room(ix, kept)) {
            return OUTCOME_FULL;
        }
        ssize_t got = read(fd, ix->buffer + kept, ix->buffer_size - kept);
        if (got < 0) {
            return OUTCOME_UNREADABLE;
        }
        size_t size = kept + (size_t)got;
        size_t checked = size < BINARY_CHECK ? size : BINARY_CHECK;
        if (*bytes == 0 && memchr(ix->buffer, '\0', checked) != NULL) {
            return OUTCOME_BINARY;
        }
        *bytes += (uint64_t)got;
        if (got > 0) {
            ends_line = ix->buffer[size - 1] == '\n';
        }
        size_t done = index_piece(ix, size, got == 0, place);
        if (ix->full) {
            *bytes -= size - done;
            return OUTCOME_FULL;
        }
        if (got == 0) {
            /* a last line without its newline is a line too */
            place->line -= ends_line;
            return OUTCOME_DONE;
        }
        kept = size - done;
        memmove(ix->buffer, ix->buffer + done, kept);
    }
}

static void index_file(struct index *ix, size_t number)
{
    struct file *file = &ix->files[number];
    struct place place = {number, 1};
    uint64_t bytes = 0;
    enum outcome outcome = OUTCOME_UNREADABLE;
    /* it may have become something else since it was found */
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0) {
        if (fstat(fd, &file->seen) == 0 && S_ISREG(file->seen.st_mode)) {
            outcome = index_text(ix, fd, &place, &bytes);
        }
        (void)close(fd);
    }
    if (outcome == OUTCOME_BINARY) {
        ix->binaries++;
        return;
    }
    if (outcome == OUTCOME_UNREADABLE) {
        ix->unreadable++;
    } else {
        ix->indexed_files += outcome == OUTCOME_DONE;
    }
    /* also of a file that could be read in part only */
    file->indexed = true;
    file->lines = place.line;
    ix->lines += place.line;
    ix->bytes += bytes;
}

static void index_files(struct index *ix)
{
    double start = now();
    uint64_t done = 0;
    for (size_t i = 0; i < ix->file_count && !ix->full; i++) {
        index_file(ix, i);
        done += (uint64_t)ix->files[i].seen.st_size;
        progress_indexing(done, ix->tree_bytes, start);
    }
    ix->seconds = now() - start;
}

/* ---- lookups ---- */

/* The word after `word` in the table, or the first one for NULL. */
static struct word *next_word(const struct index *ix, const struct word *word)
{
    size_t bucket = 0;
    if (word != NULL) {
        if (word->next != NULL) {
            return word->next;
        }
        bucket = (word->hash & (ix->bucket_count - 1)) + 1;
    }
    while (bucket < ix->bucket_count && ix->buckets[bucket] == NULL) {
        bucket++;
    }
    return bucket < ix->bucket_count ? ix->buckets[bucket] : NULL;
}

static bool more_frequent(const struct word *a, const struct word *b)
{
    if (a->count != b->count) {
        return a->count > b->count;
    }
    size_t common = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->text, b->text, common);
    return order != 0 ? order < 0 : a->length < b->length;
}

static void find_top(struct index *ix)
{
    for (struct word *word = next_word(ix, NULL); word != NULL;
         word = next_word(ix, word)) {
        size_t at = ix->top_count;
        while (at > 0 && more_frequent(word, ix->top[at - 1])) {
            at--;
        }
        if (at == ix->top_room) {
            continue;
        }
        if (ix->top_count < ix->top_room) {
            ix->top_count++;
        }
        memmove(&ix->top[at + 1], &ix->top[at],
                (ix->top_count - at - 1) * sizeof(ix->top[0]));
        ix->top[at] = word;
    }
}

static bool line_has_word(const char *line, size_t size,
                          const struct word *word)
{
    size_t i = 0;
    while (i < size) {
        size_t start = i;
        while (i < size && is_word_byte(line[i])) {
            i++;
        }
        if (i - start == word->length &&
            memcmp(line + start, word->text, word->length) == 0) {
            return true;
        }
        i += i == start;
    }
    return false;
}

/* Reads a line of a file; to be freed. NULL if there is no such line. */
static char *read_line(const char *path, uint64_t number, size_t *size)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        return NULL;
    }
    char *line = NULL;
    size_t room = 0;
    ssize_t got = 0;
    for (uint64_t i = 0; i < number && got >= 0; i++) {
        got = getline(&line, &room, stream);
    }
    (void)fclose(stream);
    if (got <= 0) {
        free(line);
        return NULL;
    }
    *size = (size_t)got;
    return line;
}

static bool file_changed(const struct file *file)
{
    struct stat current;
    return stat(file->path, &current) != 0 ||
           current.st_size != file->seen.st_size ||
           current.st_mtim.tv_sec != file->seen.st_mtim.tv_sec ||
           current.st_mtim.tv_nsec != file->seen.st_mtim.tv_nsec;
}

/* Nothing that a file holds may reach the terminal as a control character. */
static void print_plain(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\t') {
            c = ' ';
        }
        (void)putchar(c < ' ' || c == 127 ? '?' : c);
    }
}

static void print_line(const char *line, size_t size)
{
    const size_t most = 60;
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r')) {
        size--;
    }
    while (size > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        size--;
    }
    if (size > most) {
        size = most;
        /* not within a character of UTF-8 */
        while (size > 0 && ((unsigned char)line[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    print_plain(line, size);
}

static void print_place(const struct index *ix, struct place place)
{
    const struct file *file = &ix->files[place.file];
    (void)printf("    ");
    print_plain(file->path, strlen(file->path));
    (void)printf(":%" PRIu64 ": ", place.line);
    size_t size = 0;
    char *line = read_line(file->path, place.line, &size);
    if (line != NULL) {
        print_line(line, size);
    }
    free(line);
    (void)printf("\n");
}

static void print_lookup(const struct index *ix, const struct word *word)
{
    (void)printf("  ");
    print_plain(word->text, word->length);
    (void)printf(": %" PRIu64 " times, first at\n", word->count);
    struct reader reader = read_places(word);
    for (int i = 0; i < SHOWN_PLACES && next_place(&reader); i++) {
        print_place(ix, reader.place);
    }
}

/* Without words to look up: the top word, and rare ones for variety. */
static void print_default_lookups(const struct index *ix)
{
    if (ix->top_count > 0) {
        print_lookup(ix, ix->top[0]);
    }
    int left = DEFAULT_LOOKUPS - 1;
    for (const struct word *word = next_word(ix, NULL);
         word != NULL && left > 0; word = next_word(ix, word)) {
        if (word->count == SHOWN_PLACES) {
            print_lookup(ix, word);
            left--;
        }
    }
}

static void print_lookups(const struct index *ix, const struct options *options)
{
    (void)printf("lookups:\n");
    if (options->query_count == 0) {
        print_default_lookups(ix);
    }
    for (size_t i = 0; i < options->query_count; i++) {
        const char *text = options->queries[i];
        size_t length = strlen(text);
        const struct word *word =
            find_word(ix, hash_text(text, length), text, length);
        if (word == NULL) {
            (void)printf("  %s: not found\n", text);
        } else {
            print_lookup(ix, word);
        }
    }
}

/* ---- checks ---- */

struct check {
    size_t samples;  /* places that were looked up in their files */
    size_t changed;  /* of files that have changed since */
    size_t failures; /* things that are not as they have to be */
};

static void check_true(struct check *check, bool condition, const char *what)
{
    if (!condition) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "check failed: %s\n", what);
        check->failures++;
    }
}

/* All places of a word, against its count and the list of files. */
static uint64_t check_places(const struct index *ix, const struct word *word,
                             struct check *check)
{
    uint64_t count = 0;
    bool good = true;
    struct place before = {0, 0};
    struct reader reader = read_places(word);
    while (good && next_place(&reader)) {
        struct place place = reader.place;
        good = place.file < ix->file_count && ix->files[place.file].indexed &&
               place.line >= 1 && place.line <= ix->files[place.file].lines &&
               (place.file > before.file ||
                (place.file == before.file && place.line >= before.line));
        before = place;
        count++;
    }
    check_true(check, good, "a word's places are lines of files, in order");
    check_true(check, count == word->count,
               "a word has as many places as "
               "were counted");
    check_true(check,
               before.file == word->last.file && before.line == word->last.line,
               "a word's last place is the one that was added last");
    return count;
}

/* A place, against the file itself. */
static void check_sample(const struct index *ix, const struct word *word,
                         struct place place, struct check *check)
{
    if (place.file >= ix->file_count) {
        return; /* already reported */
    }
    const struct file *file = &ix->files[place.file];
    size_t size = 0;
    char *line = read_line(file->path, place.line, &size);
    bool good = line != NULL && line_has_word(line, size, word);
    free(line);
    if (!good && file_changed(file)) {
        check->changed++;
        return;
    }
    check_true(check, good, "a word is on the line that the index names");
    check->samples++;
}

static void check_samples(const struct index *ix, const struct word *word,
                          struct check *check)
{
    struct reader reader = read_places(word);
    for (int i = 0; i < SHOWN_PLACES && next_place(&reader); i++) {
        check_sample(ix, word, reader.place, check);
    }
    check_sample(ix, word, word->last, check);
}

static void check_words(const struct index *ix, struct check *check)
{
    uint64_t places = 0;
    uint64_t counts = 0;
    size_t distinct = 0;
    size_t step = ix->distinct / SAMPLES + 1;
    for (const struct word *word = next_word(ix, NULL);
         word != NULL && check->failures == 0; word = next_word(ix, word)) {
        places += check_places(ix, word, check);
        counts += word->count;
        if (distinct++ % step == 0) {
            check_samples(ix, word, check);
        }
        check_true(check,
                   find_word(ix, hash_text(word->text, word->length),
                             word->text, word->length) == word,
                   "a word is found by its text");
    }
    if (check->failures == 0) {
        check_true(check, places == ix->words && counts == ix->words,
                   "there are as many places as words");
        check_true(check, distinct == ix->distinct,
                   "the table holds all distinct words");
    }
}

static void check_queries(const struct index *ix, const struct options *options,
                          struct check *check)
{
    for (size_t i = 0; i < options->query_count; i++) {
        const char *text = options->queries[i];
        size_t length = strlen(text);
        const struct word *word =
            find_word(ix, hash_text(text, length), text, length);
        if (word != NULL) {
            check_samples(ix, word, check);
        }
    }
    for (size_t i = 0; i < ix->top_count && i < SAMPLES; i++) {
        check_samples(ix, ix->top[i], check);
    }
}

/* ---- the report ---- */

static void print_counts(const struct index *ix)
{
    (void)printf("files:      %zu of %zu, %.1f MB\n", ix->indexed_files,
                 ix->file_count, (double)ix->bytes / 1e6);
    (void)printf("skipped:    %zu binary, %zu symbolic links, %zu special, "
                 "%zu unreadable\n",
                 ix->binaries, ix->links, ix->specials, ix->unreadable);
    (void)printf("lines:      %" PRIu64 "\n", ix->lines);
    (void)printf("words:      %" PRIu64 "\n", ix->words);
    (void)printf("distinct:   %zu\n", ix->distinct);
    (void)printf("top words:\n");
    for (size_t i = 0; i < ix->top_count; i++) {
        (void)printf("  %10" PRIu64 "  ", ix->top[i]->count);
        print_plain(ix->top[i]->text, ix->top[i]->length);
        (void)printf("\n");
    }
}

/* What the kind holds, and that this agrees with what was asked of it. */
static int print_space(const struct index *ix, const struct options *options,
                       struct check *check)
{
    size_t resident = 0;
    size_t allocated = 0;
    int err = memkind_update_cached_stats();
    if (err == MEMKIND_SUCCESS) {
        err = memkind_get_stat(ix->kind, MEMKIND_STAT_TYPE_RESIDENT, &resident);
    }
    if (err == MEMKIND_SUCCESS) {
        err =
            memkind_get_stat(ix->kind, MEMKIND_STAT_TYPE_ALLOCATED, &allocated);
    }
    if (err != MEMKIND_SUCCESS) {
        return err;
    }
    double mib = (double)MIB;
    (void)printf("file space: %.1f MiB, of which %.1f MiB allocated, %.1f MiB "
                 "asked for\n",
                 (double)resident / mib, (double)allocated / mib,
                 (double)ix->requested / mib);
    if (ix->words > 0) {
        (void)printf("            %.1f bytes for each place of a word, %.1f "
                     "for each distinct word\n",
                     (double)resident / (double)ix->words,
                     (double)resident / (double)ix->distinct);
    }
    check_true(check, ix->requested <= allocated,
               "the kind has allocated what was asked for");
    check_true(check, allocated <= resident,
               "what is allocated has file space");
    check_true(check, options->limit == 0 || resident <= options->limit,
               "the kind stays within its limit");
    return MEMKIND_SUCCESS;
}

static void print_speed(const struct index *ix)
{
    double seconds = ix->seconds > 0 ? ix->seconds : 1e-9;
    (void)printf("speed:      %.2f s: %.1f MB/s, %.0f words/s, %.0f "
                 "allocations/s (%" PRIu64 " allocations)\n",
                 ix->seconds, (double)ix->bytes / 1e6 / seconds,
                 (double)ix->words / seconds, (double)ix->allocations / seconds,
                 ix->allocations);
}

static void print_full(const struct index *ix, const struct options *options)
{
    if (options->limit > 0) {
        (void)fprintf(stderr, "The limit of %zu MiB is reached",
                      options->limit / MIB);
    } else {
        (void)fprintf(stderr, "The file system of %s is full", options->dir);
    }
    (void)fprintf(stderr,
                  ": %zu files fitted in whole. What follows is about what "
                  "fitted.\n",
                  ix->indexed_files);
}

static int report(struct index *ix, const struct options *options)
{
    struct check check = {0, 0, 0};
    if (ix->full) {
        print_full(ix, options);
    }
    find_top(ix);
    print_counts(ix);
    print_lookups(ix, options);
    int err = print_space(ix, options, &check);
    if (err != MEMKIND_SUCCESS) {
        (void)fail("reading the statistics", err);
        return EXIT_FAILED;
    }
    print_speed(ix);
    check_words(ix, &check);
    check_queries(ix, options, &check);
    if (check.failures > 0) {
        return EXIT_FAILED;
    }
    (void)printf("checked:    all %" PRIu64
                 " places counted again, %zu of them "
                 "found in their files",
                 ix->words, check.samples);
    if (check.changed > 0) {
        (void)printf(" (%zu more files have changed since)", check.changed);
    }
    (void)printf("\n");
    return ix->full ? EXIT_FULL : EXIT_INDEXED;
}

/* ---- the program ---- */

static bool make_index(struct index *ix, const struct options *options)
{
    ix->bucket_count = FIRST_BUCKETS;
    ix->grow_at = FIRST_BUCKETS;
    ix->file_room = FIRST_FILES;
    ix->buffer_size = READ_SIZE;
    ix->top_room = options->top;
    ix->buckets = take_cleared(ix, ix->bucket_count, sizeof(ix->buckets[0]));
    ix->files = take(ix, ix->file_room * sizeof(ix->files[0]));
    ix->buffer = take(ix, ix->buffer_size);
    ix->top = take(ix, (ix->top_room + 1) * sizeof(ix->top[0]));
    if (ix->full) {
        (void)fail_errno("not even an empty index fits");
    }
    return !ix->full;
}

static int run(struct index *ix, const struct options *options)
{
    if (!make_index(ix, options)) {
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < options->path_count && !ix->full; i++) {
        if (!walk_argument(ix, options->paths[i])) {
            return EXIT_FAILED;
        }
    }
    index_files(ix);
    progress_clear();
    give_back(ix, ix->buffer, ix->buffer_size);
    return report(ix, options);
}

static void print_help(const char *program)
{
    (void)printf(
        "usage: %s [-d DIR] [-l LIMIT_MIB] [-n N] [-q WORD]... [PATH]...\n"
        "\n"
        "Indexes all words of the text files at PATH (default: /usr/include)\n"
        "in file-backed memory.\n"
        "\n"
        "  -d DIR        where that memory lies ($PMEM_DIR, else /dev/shm)\n"
        "  -l LIMIT_MIB  its limit in MiB, 16 or more; 0: no limit (default)\n"
        "  -n N          how many of the most frequent words to print (10)\n"
        "  -q WORD       a word to look up; may be given several times\n"
        "  -h, --help    print this and exit\n"
        "\n"
        "Exit status: 0 done, 1 failed, 2 the memory was too small.\n",
        program);
}

static bool parse_number(const char *text, size_t most, size_t *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!is_digit(text[0]) || *end != '\0' || errno != 0 || value > most) {
        (void)fprintf(stderr, "not a number from 0 to %zu: %s\n", most, text);
        return false;
    }
    *number = (size_t)value;
    return true;
}

/* Gives false if the program has to end, with *status. */
static bool parse_options(int argc, char *argv[], struct options *options,
                          int *status)
{
    static const struct option longs[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *status = EXIT_FAILED;
    for (;;) {
        int c = getopt_long(argc, argv, "d:l:n:q:h", longs, NULL);
        switch (c) {
        case -1:
            options->paths = argv + optind;
            options->path_count = (size_t)(argc - optind);
            return true;
        case 'd':
            options->dir = optarg;
            break;
        case 'l':
            if (!parse_number(optarg, SIZE_MAX / MIB, &options->limit)) {
                return false;
            }
            options->limit *= MIB;
            if (options->limit > 0 && options->limit < MEMKIND_PMEM_MIN_SIZE) {
                (void)fprintf(stderr, "the least limit is %zu MiB\n",
                              MEMKIND_PMEM_MIN_SIZE / MIB);
                return false;
            }
            break;
        case 'n':
            if (!parse_number(optarg, MAX_TOP, &options->top)) {
                return false;
            }
            break;
        case 'q':
            options->queries[options->query_count++] = optarg;
            break;
        case 'h':
            print_help(argv[0]);
            *status = EXIT_INDEXED;
            return false;
        default:
            (void)fprintf(stderr, "try: %s --help\n", argv[0]);
            return false;
        }
    }
}

static int run_in_kind(const struct options *options)
{
    struct index ix = {0};
    errno = 0;
    int err = memkind_create_pmem(options->dir, options->limit, &ix.kind);
    if (err != MEMKIND_SUCCESS) {
        int reason = errno;
        (void)fail("memkind_create_pmem", err);
        (void)fprintf(stderr, "no file-backed memory in %s%s%s\n", options->dir,
                      reason != 0 ? ": " : "",
                      reason != 0 ? strerror(reason) : "");
        return EXIT_FAILED;
    }
    if (options->limit > 0) {
        (void)printf("kind:       %s, limit %zu MiB\n", options->dir,
                     options->limit / MIB);
    } else {
        (void)printf("kind:       %s, no limit\n", options->dir);
    }
    (void)fflush(stdout);
    int status = run(&ix, options);
    progress_clear();
    err = memkind_destroy_kind(ix.kind);
    if (err != MEMKIND_SUCCESS) {
        (void)fail("memkind_destroy_kind", err);
        status = EXIT_FAILED;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fail_errno("standard output");
        status = EXIT_FAILED;
    }
    return status;
}

/* $PMEM_DIR, else /dev/shm; the default of the examples. */
static const char *default_dir(void)
{
    const char *dir = getenv("PMEM_DIR");
    return (dir != NULL && dir[0] != '\0') ? dir : "/dev/shm";
}

int main(int argc, char *argv[])
{
    static char *default_paths[] = {"/usr/include"};
    struct options options = {.dir = default_dir(), .top = 10};
    options.queries = malloc((size_t)argc * sizeof(options.queries[0]));
    if (options.queries == NULL) {
        return fail_errno("malloc");
    }
    int status = EXIT_FAILED;
    if (parse_options(argc, argv, &options, &status)) {
        if (options.path_count == 0) {
            options.paths = default_paths;
            options.path_count = 1;
        }
        prepare_word_bytes();
        progress.on = isatty(STDERR_FILENO) == 1;
        status = run_in_kind(&options);
    }
    free(options.queries);
    return status;
}
