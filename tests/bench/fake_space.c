/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "sys_calls.h"

/* Headers may not have it. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* A file is a tree of chunks, of units, of pages. What is empty or full as a
 * whole has no part of its own. */
#define PAGE ((size_t)4096)
#define PAGES_PER_UNIT ((size_t)512) /* 2 MiB */
#define WORDS_PER_UNIT (PAGES_PER_UNIT / 64)
#define UNITS_PER_CHUNK ((size_t)512) /* 1 GiB */
#define PAGES_PER_CHUNK (PAGES_PER_UNIT * UNITS_PER_CHUNK)
#define CHUNKS ((size_t)1 << 16)
#define FILES_MOST 4096 /* by descriptor */

struct unit {
    union {
        uint64_t bits[WORDS_PER_UNIT];
        struct unit *next_free;
    };
};

struct chunk {
    size_t pages;
    union {
        struct unit *units[UNITS_PER_CHUNK];
        struct chunk *next_free;
    };
};

struct file {
    bool is_open;
    size_t end; /* page behind the last that has ever had space */
    struct chunk **chunks;
};

/* A shared mapping of a file, sorted by address. */
struct view {
    uintptr_t base;
    size_t size, offset;
    struct file *file;
};

static struct unit full_unit;
static struct chunk full_chunk;
static struct unit *free_units;
static struct chunk *free_chunks;
static struct file files[FILES_MOST];
static struct view views[FILES_MOST];
static size_t view_count;

static struct sys_calls real;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool dax, frozen;
static size_t size_in_all, held;
static _Atomic uint64_t allocations, punches, barriers, others, spent_ns;

/* ---- memory ------------------------------------------------------------- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t fake_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t fake_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t fake_cpu_of_all_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void *fake_memory(size_t size)
{
    static char *at, *end;
    const size_t step = (size_t)1 << 30;
    size = (size + 63) & ~(size_t)63;
    if (size >= step / 4 || size > (size_t)(end - at)) {
        const size_t mapped = size >= step / 4 ? size : step;
        void *map = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED) {
            perror("mmap");
            exit(4);
        }
        if (mapped == size)
            return map;
        at = map;
        end = at + mapped;
    }
    void *found = at;
    at += size;
    return found;
}

static struct unit *unit_get(void)
{
    struct unit *unit = free_units;
    if (unit != NULL)
        free_units = unit->next_free;
    else
        unit = fake_memory(sizeof *unit);
    memset(unit, 0, sizeof *unit);
    return unit;
}

static void unit_put(struct unit *unit)
{
    if (unit == NULL || unit == &full_unit)
        return;
    unit->next_free = free_units;
    free_units = unit;
}

static struct chunk *chunk_get(void)
{
    struct chunk *chunk = free_chunks;
    if (chunk != NULL)
        free_chunks = chunk->next_free;
    else
        chunk = fake_memory(sizeof *chunk);
    memset(chunk, 0, sizeof *chunk);
    return chunk;
}

static void chunk_put(struct chunk *chunk)
{
    if (chunk == NULL || chunk == &full_chunk)
        return;
    for (size_t i = 0; i < UNITS_PER_CHUNK; i++)
        unit_put(chunk->units[i]);
    chunk->next_free = free_chunks;
    free_chunks = chunk;
}

/* ---- ranges of pages ---------------------------------------------------- */

static size_t unit_pages(const struct unit *unit)
{
    size_t pages = 0;
    if (unit == &full_unit)
        return PAGES_PER_UNIT;
    for (size_t i = 0; unit != NULL && i < WORDS_PER_UNIT; i++)
        pages += (size_t)__builtin_popcountll(unit->bits[i]);
    return pages;
}

/* The bits of word `i` that lie in [from, to). */
static uint64_t word_mask(size_t i, size_t from, size_t to)
{
    const size_t first = i * 64, end = first + 64;
    if (to <= first || from >= end)
        return 0;
    const size_t low = from > first ? from - first : 0;
    const size_t high = to < end ? to - first : 64;
    return (high == 64 ? ~(uint64_t)0 : ((uint64_t)1 << high) - 1) &
           ~(((uint64_t)1 << low) - 1);
}

static size_t unit_count(const struct unit *unit, size_t from, size_t to)
{
    size_t pages = 0;
    if (unit == NULL || unit == &full_unit)
        return unit == NULL ? 0 : to - from;
    for (size_t i = 0; i < WORDS_PER_UNIT; i++)
        pages += (size_t)__builtin_popcountll(unit->bits[i] &
                                              word_mask(i, from, to));
    return pages;
}

static void unit_set(struct unit **place, size_t from, size_t to, bool value)
{
    struct unit *unit = *place;
    if (from == 0 && to == PAGES_PER_UNIT) {
        unit_put(unit);
        *place = value ? &full_unit : NULL;
        return;
    }
    if (unit == (value ? &full_unit : NULL))
        return;
    if (unit == NULL || unit == &full_unit) {
        const int fill = unit == NULL ? 0 : 0xff;
        *place = unit = unit_get();
        memset(unit->bits, fill, sizeof unit->bits);
    }
    for (size_t i = 0; i < WORDS_PER_UNIT; i++) {
        const uint64_t mask = word_mask(i, from, to);
        unit->bits[i] = value ? unit->bits[i] | mask : unit->bits[i] & ~mask;
    }
    const size_t pages = unit_pages(unit);
    if (pages == 0 || pages == PAGES_PER_UNIT) {
        *place = pages == 0 ? NULL : &full_unit;
        unit_put(unit);
    }
}

static size_t chunk_count(const struct chunk *chunk, size_t from, size_t to)
{
    size_t pages = 0;
    if (chunk == NULL || chunk == &full_chunk)
        return chunk == NULL ? 0 : to - from;
    for (size_t at = from, end; at < to; at = end) {
        const size_t unit = at / PAGES_PER_UNIT, start = unit * PAGES_PER_UNIT;
        end = start + PAGES_PER_UNIT < to ? start + PAGES_PER_UNIT : to;
        pages += unit_count(chunk->units[unit], at - start, end - start);
    }
    return pages;
}

static void chunk_set(struct chunk **place, size_t from, size_t to, bool value)
{
    struct chunk *chunk = *place;
    if (from == 0 && to == PAGES_PER_CHUNK) {
        chunk_put(chunk);
        *place = value ? &full_chunk : NULL;
        return;
    }
    if (chunk == (value ? &full_chunk : NULL))
        return;
    if (chunk == NULL || chunk == &full_chunk) {
        const bool was_full = chunk != NULL;
        *place = chunk = chunk_get();
        for (size_t i = 0; was_full && i < UNITS_PER_CHUNK; i++)
            chunk->units[i] = &full_unit;
        chunk->pages = was_full ? PAGES_PER_CHUNK : 0;
    }
    const size_t before = chunk_count(chunk, from, to);
    for (size_t at = from, end; at < to; at = end) {
        const size_t unit = at / PAGES_PER_UNIT, start = unit * PAGES_PER_UNIT;
        end = start + PAGES_PER_UNIT < to ? start + PAGES_PER_UNIT : to;
        unit_set(&chunk->units[unit], at - start, end - start, value);
    }
    chunk->pages += (value ? to - from : 0) - before;
    if (chunk->pages == 0 || chunk->pages == PAGES_PER_CHUNK) {
        *place = chunk->pages == 0 ? NULL : &full_chunk;
        chunk_put(chunk);
    }
}

static size_t file_count(const struct file *file, size_t from, size_t to)
{
    size_t pages = 0;
    for (size_t at = from, end; at < to; at = end) {
        const size_t i = at / PAGES_PER_CHUNK, start = i * PAGES_PER_CHUNK;
        end = start + PAGES_PER_CHUNK < to ? start + PAGES_PER_CHUNK : to;
        pages += chunk_count(file->chunks[i], at - start, end - start);
    }
    return pages;
}

static void file_set(struct file *file, size_t from, size_t to, bool value)
{
    for (size_t at = from, end; at < to; at = end) {
        const size_t i = at / PAGES_PER_CHUNK, start = i * PAGES_PER_CHUNK;
        end = start + PAGES_PER_CHUNK < to ? start + PAGES_PER_CHUNK : to;
        chunk_set(&file->chunks[i], at - start, end - start, value);
    }
}

/* ---- files -------------------------------------------------------------- */

static struct file *file_of(int fd)
{
    return !frozen && fd >= 0 && fd < FILES_MOST && files[fd].is_open
               ? &files[fd]
               : NULL;
}

/* Bounds in pages; false if the file cannot be so large. */
static bool page_bounds(off_t offset, off_t size, size_t *from, size_t *to)
{
    if (offset < 0 || size <= 0)
        return false;
    *from = (size_t)offset / PAGE;
    *to = ((size_t)offset + (size_t)size + PAGE - 1) / PAGE;
    return *to <= CHUNKS * PAGES_PER_CHUNK;
}

static int allocate(struct file *file, size_t from, size_t to)
{
    const size_t missing = to - from - file_count(file, from, to);
    if (missing * PAGE > size_in_all - held) {
        errno = ENOSPC;
        return -1;
    }
    file_set(file, from, to, true);
    held += missing * PAGE;
    if (to > file->end)
        file->end = to;
    return 0;
}

static void punch(struct file *file, size_t from, size_t to)
{
    if (to > file->end)
        to = file->end;
    held -= file_count(file, from, to) * PAGE;
    file_set(file, from, to, false);
}

/* ---- calls -------------------------------------------------------------- */

static uint64_t begin(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return fake_now_ns();
}

static void end(uint64_t since)
{
    atomic_fetch_add_explicit(&spent_ns, fake_now_ns() - since,
                              memory_order_relaxed);
}

static int fake_create(void)
{
    int fd = memfd_create("scale", MFD_CLOEXEC);
    if (fd < 0 || fd >= FILES_MOST)
        return fd;
    pthread_mutex_lock(&mutex);
    struct file *file = &files[fd];
    if (file->chunks == NULL)
        file->chunks = fake_memory(CHUNKS * sizeof file->chunks[0]);
    file->is_open = true;
    file->end = 0;
    pthread_mutex_unlock(&mutex);
    return fd;
}

static int fake_open(const char *path, int flags, mode_t mode)
{
    return (flags & O_TMPFILE) == O_TMPFILE ? fake_create()
                                            : real.open(path, flags, mode);
}

static int fake_openat(int dir, const char *name, int flags, mode_t mode)
{
    return (flags & O_TMPFILE) == O_TMPFILE
               ? fake_create()
               : real.openat(dir, name, flags, mode);
}

static int fake_close(int fd)
{
    const uint64_t since = begin(&others);
    pthread_mutex_lock(&mutex);
    struct file *file = file_of(fd);
    if (file != NULL) {
        punch(file, 0, CHUNKS * PAGES_PER_CHUNK);
        file->is_open = false;
    }
    pthread_mutex_unlock(&mutex);
    int result = real.close(fd);
    end(since);
    return result;
}

static int fake_ftruncate(int fd, off_t length)
{
    const uint64_t since = begin(&others);
    pthread_mutex_lock(&mutex);
    struct file *file = file_of(fd);
    if (file != NULL && length >= 0)
        punch(file, ((size_t)length + PAGE - 1) / PAGE,
              CHUNKS * PAGES_PER_CHUNK);
    pthread_mutex_unlock(&mutex);
    int result = real.ftruncate(fd, length);
    end(since);
    return result;
}

static int fake_fallocate(int fd, int mode, off_t offset, off_t len)
{
    const bool punches_hole = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
    const uint64_t since = begin(punches_hole ? &punches : &allocations);
    size_t from, to;
    int result = 0;
    pthread_mutex_lock(&mutex);
    struct file *file = file_of(fd);
    if (file == NULL || !page_bounds(offset, len, &from, &to)) {
        errno = file == NULL ? EBADF : EFBIG;
        result = -1;
    } else if (punches_hole) {
        punch(file, from, to);
    } else {
        result = allocate(file, from, to);
    }
    pthread_mutex_unlock(&mutex);
    /* What the program has touched must be zero when it is there again. */
    if (result == 0 && punches_hole)
        result = real.fallocate(fd, mode, offset, len);
    end(since);
    return result;
}

static int fake_fstat(int fd, struct stat *st)
{
    const uint64_t since = begin(&others);
    int result = real.fstat(fd, st);
    pthread_mutex_lock(&mutex);
    const struct file *file = file_of(fd);
    if (result == 0 && file != NULL && st->st_size <= (off_t)PAGE * 512)
        st->st_blocks =
            (blkcnt_t)(file_count(file, 0, PAGES_PER_UNIT) * PAGE / 512);
    pthread_mutex_unlock(&mutex);
    end(since);
    return result;
}

static int fake_fstatvfs(int fd, struct statvfs *fs)
{
    const uint64_t since = begin(&others);
    int result = real.fstatvfs(fd, fs);
    pthread_mutex_lock(&mutex);
    fs->f_frsize = fs->f_bsize = PAGE;
    fs->f_blocks = size_in_all / PAGE;
    fs->f_bfree = fs->f_bavail = (size_in_all - held) / PAGE;
    pthread_mutex_unlock(&mutex);
    end(since);
    return result;
}

/* Blocks lie on the device as they lie in the file. */
static int fake_fiemap(int fd, struct file_extents *extents)
{
    const uint64_t since = begin(&others);
    (void)fd;
    extents->mapped = 1;
    extents->list[0] = (struct fiemap_extent){.fe_logical = extents->start,
                                              .fe_physical = extents->start,
                                              .fe_length = extents->length,
                                              .fe_flags = FIEMAP_EXTENT_LAST};
    end(since);
    return 0;
}

static int fake_membarrier(int command)
{
    const uint64_t since = begin(&barriers);
    int result = real.membarrier(command);
    end(since);
    return result;
}

/* ---- mappings ----------------------------------------------------------- */

/* The first view that ends behind the address. */
static size_t view_at(uintptr_t at)
{
    size_t low = 0, high = view_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (views[middle].base + views[middle].size <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void forget_views(void *addr, size_t size)
{
    const uintptr_t base = (uintptr_t)addr;
    size_t i = view_at(base);
    while (i < view_count && views[i].base < base + size) {
        memmove(&views[i], &views[i + 1],
                (view_count - i - 1) * sizeof views[0]);
        view_count--;
    }
}

static void note_view(void *addr, size_t size, int fd, size_t offset)
{
    pthread_mutex_lock(&mutex);
    forget_views(addr, size);
    struct file *file = file_of(fd);
    if (file != NULL && view_count < sizeof views / sizeof views[0]) {
        size_t i = view_at((uintptr_t)addr);
        memmove(&views[i + 1], &views[i], (view_count - i) * sizeof views[0]);
        views[i] = (struct view){(uintptr_t)addr, size, offset, file};
        view_count++;
    }
    pthread_mutex_unlock(&mutex);
}

static void *fake_mmap(void *addr, size_t len, int prot, int flags, int fd,
                       off_t offset)
{
    void *map = real.mmap(addr, len, prot, flags, fd, offset);
    if (map != MAP_FAILED && fd >= 0)
        note_view(map, len, fd, (size_t)offset);
    return map;
}

static int fake_munmap(void *addr, size_t len)
{
    pthread_mutex_lock(&mutex);
    forget_views(addr, len);
    pthread_mutex_unlock(&mutex);
    return real.munmap(addr, len);
}

static void *fake_pmem_map_file(const char *path, size_t len, int flags,
                                mode_t mode, size_t *mapped_len, int *is_pmem)
{
    void *map = real.pmem_map_file(path, len, flags, mode, mapped_len, is_pmem);
    const char *name = strrchr(path, '/');
    if (map != NULL && name != NULL)
        note_view(map, *mapped_len, atoi(name + 1), 0);
    *is_pmem = dax;
    return map;
}

static int fake_pmem_unmap(void *addr, size_t len)
{
    pthread_mutex_lock(&mutex);
    forget_views(addr, len);
    pthread_mutex_unlock(&mutex);
    return real.pmem_unmap(addr, len);
}

static int fake_madvise(void *addr, size_t len, int advice)
{
    /* Nothing is there to be mapped. */
    if (advice == MADV_POPULATE_WRITE) {
        errno = EINVAL;
        return -1;
    }
    if (advice != MADV_REMOVE)
        return real.madvise(addr, len, advice);
    const uint64_t since = begin(&punches);
    const uintptr_t at = (uintptr_t)addr;
    pthread_mutex_lock(&mutex);
    const size_t i = view_at(at);
    if (i < view_count && views[i].base <= at) {
        const size_t from = (at - views[i].base + views[i].offset) / PAGE;
        punch(views[i].file, from, from + len / PAGE);
    }
    pthread_mutex_unlock(&mutex);
    int result = real.madvise(addr, len, advice);
    end(since);
    return result;
}

/* ---- the table ---------------------------------------------------------- */

void fake_space_install(bool is_dax, size_t size)
{
    real = sys;
    dax = is_dax;
    size_in_all = size;
    sys.open = fake_open;
    sys.openat = fake_openat;
    sys.close = fake_close;
    sys.ftruncate = fake_ftruncate;
    sys.fallocate = fake_fallocate;
    sys.fstat = fake_fstat;
    sys.fstatvfs = fake_fstatvfs;
    sys.fiemap = fake_fiemap;
    sys.membarrier = fake_membarrier;
    sys.mmap = fake_mmap;
    sys.munmap = fake_munmap;
    sys.madvise = fake_madvise;
    sys.pmem_map_file = fake_pmem_map_file;
    sys.pmem_unmap = fake_pmem_unmap;
}

void fake_space_remove(void)
{
    sys = real;
}

void fake_space_freeze(bool freeze)
{
    frozen = freeze;
}

void fake_space_resize(size_t size)
{
    pthread_mutex_lock(&mutex);
    size_in_all = size > held ? size : held;
    pthread_mutex_unlock(&mutex);
}

size_t fake_space_held(void)
{
    pthread_mutex_lock(&mutex);
    const size_t bytes = held;
    pthread_mutex_unlock(&mutex);
    return bytes;
}

unsigned fake_space_files(void)
{
    unsigned count = 0;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < FILES_MOST; i++)
        count += files[i].is_open;
    pthread_mutex_unlock(&mutex);
    return count;
}

struct fake_calls fake_calls_made(void)
{
    return (struct fake_calls){.allocations = atomic_load(&allocations),
                               .punches = atomic_load(&punches),
                               .barriers = atomic_load(&barriers),
                               .others = atomic_load(&others),
                               .ns = atomic_load(&spent_ns)};
}
