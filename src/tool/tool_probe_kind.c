/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_probe_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <memkind.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tool_units.h"

#define AREA_MOST (64 * MIB)
/* Without holes, a kind takes its whole limit at once. */
#define AREA_WITHOUT_HOLES (4 * MIB)
/* At most this part of the free space is used. */
#define FREE_PART 4
/* On DAX, mappings depend on the blocks that the file system chooses for a
 * file: the next kind may not get what this one got. */
#define KINDS_ON_DAX 9

static uint64_t fault_count(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static void judge_large(struct probe *probe)
{
    uint64_t units = probe->touched / LARGE_PAGE;
    /* The kind may have other data in the last unit. */
    bool nearly_all = probe_large_units(probe) + units / 16 >= units;
    probe->large.answer = nearly_all ? ANSWER_YES : ANSWER_NO;
}

static void judge_dax(struct probe *probe)
{
    errno = 0;
    switch (memkind_check_dax_path(probe->place.path)) {
    case MEMKIND_SUCCESS:
        probe->dax.answer = ANSWER_YES;
        break;
    case MEMKIND_ERROR_MMAP:
        probe->dax.answer = ANSWER_NO;
        break;
    default:
        probe->dax = (struct trial){ANSWER_UNKNOWN, errno};
        break;
    }
}

static bool make_kind(struct probe *probe, size_t max_size, memkind_t *kind)
{
    if (!reason_make_kind(&probe->reason, &probe->place, max_size, kind)) {
        probe->kind = (struct trial){ANSWER_NO, probe->reason.error};
        return false;
    }
    probe->kind.answer = ANSWER_YES;
    return true;
}

/* The largest object of up to *size bytes; *size becomes its size. */
static char *take_area(memkind_t kind, size_t *size)
{
    void *area = NULL;
    for (; *size >= LARGE_PAGE; *size /= 2)
        if (memkind_posix_memalign(kind, &area, LARGE_PAGE, *size) == 0)
            return area;
    return NULL;
}

/* Touches an object of up to *size bytes, page by page. Returns false if there
 * is no space for one. */
static bool touch_area(memkind_t kind, size_t *size, uint64_t *faults)
{
    uint64_t before = fault_count();
    volatile char *area = take_area(kind, size);
    if (area == NULL)
        return false;
    for (size_t at = 0; at < *size; at += page_size())
        area[at] = 1;
    *faults = fault_count() - before;
    memkind_free(kind, (void *)area);
    return true;
}

static void touch_area_of_kind(struct probe *probe, memkind_t kind, size_t size)
{
    /* With the first object, the kind allocates its ordinary memory. */
    void *first = memkind_malloc(kind, 64);
    if (first == NULL) {
        probe->kind = (struct trial){ANSWER_NO, errno};
        return;
    }
    memkind_free(kind, first);
    if (!touch_area(kind, &size, &probe->faults)) {
        probe->large = (struct trial){ANSWER_UNKNOWN, ENOSPC};
        return;
    }
    probe->touched = size;
    probe->most_faults = probe->faults;
    probe->kinds = 1;
}

/* Makes one more kind of that size; returns false if it does not get one. */
static bool touch_area_again(const struct probe *probe, size_t max_size,
                             uint64_t *faults)
{
    memkind_t kind;
    size_t size = probe->touched;
    if (memkind_create_pmem(probe->place.path, max_size, &kind) !=
        MEMKIND_SUCCESS)
        return false;
    void *first = memkind_malloc(kind, 64);
    memkind_free(kind, first);
    bool touched = touch_area(kind, &size, faults);
    (void)memkind_destroy_kind(kind);
    return touched && size == probe->touched;
}

static int compare_faults(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Makes further kinds, to find what a typical one gets. */
static void touch_areas(struct probe *probe, size_t max_size)
{
    uint64_t faults[KINDS_ON_DAX];
    unsigned count = 1;
    if (probe->touched == 0)
        return;
    faults[0] = probe->faults;
    while (probe->dax.answer == ANSWER_YES && count < KINDS_ON_DAX &&
           touch_area_again(probe, max_size, &faults[count]))
        count++;
    qsort(faults, count, sizeof faults[0], compare_faults);
    probe->faults = faults[count / 2];
    probe->most_faults = faults[count - 1];
    probe->kinds = count;
    judge_large(probe);
}

void probe_kind_in_directory(struct probe *probe)
{
    const struct limits *limits = &probe->limits;
    bool no_holes = probe->holes.answer == ANSWER_NO;
    uint64_t area = no_holes ? AREA_WITHOUT_HOLES : AREA_MOST;
    uint64_t max_size = MEMKIND_PMEM_MIN_SIZE;
    memkind_t kind;
    probe->dax.answer = probe->large.answer = ANSWER_UNKNOWN;
    if (probe->file.answer == ANSWER_NO) {
        if (make_kind(probe, max_size, &kind))
            (void)memkind_destroy_kind(kind);
        return;
    }
    judge_dax(probe);
    if (no_holes && limits->known && limits->fits / FREE_PART < max_size) {
        probe->kind = (struct trial){
            limits->fits < max_size ? ANSWER_NO : ANSWER_UNKNOWN, ENOSPC};
        return;
    }
    if (limits->known && area > limits->fits / FREE_PART)
        area = limits->fits / FREE_PART;
    area -= area % LARGE_PAGE;
    /* The limit takes nothing by itself; with less, a tmpfs gives a kind no
     * huge pages. */
    if (!no_holes)
        max_size = HUGE_PAGES_LEAST + 2 * area;
    if (!make_kind(probe, max_size, &kind))
        return;
    touch_area_of_kind(probe, kind, area);
    (void)memkind_destroy_kind(kind);
    touch_areas(probe, max_size);
}

/*
 * The pages of a device are mapped, but not even read: a bad block would raise
 * SIGBUS, and the device may hold data of another program.
 */
static void map_device_pages(struct probe *probe, int fd)
{
    uint64_t size =
        probe->limits.total < AREA_MOST ? probe->limits.total : AREA_MOST;
    size -= size % LARGE_PAGE;
    if (size == 0)
        return;
    char *base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        probe->large.error = errno;
        return;
    }
    uint64_t before = fault_count();
    for (uint64_t at = 0; at < size; at += page_size())
        if (madvise(base + at, page_size(), MADV_POPULATE_READ) != 0) {
            probe->large.error = errno;
            goto unmap;
        }
    probe->faults = probe->most_faults = fault_count() - before;
    probe->touched = size;
    judge_large(probe);
unmap:
    munmap(base, size);
}

void probe_kind_on_device(struct probe *probe)
{
    memkind_t kind;
    probe->large.answer = ANSWER_UNKNOWN;
    judge_dax(probe);
    int fd = open(probe->place.path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        map_device_pages(probe, fd);
        close(fd);
    } else {
        probe->large.error = errno;
    }
    /* Nothing is allocated from the kind, so nothing is written. */
    if (!make_kind(probe, 0, &kind))
        return;
    ssize_t capacity = memkind_get_capacity(kind);
    if (capacity > 0) {
        probe->limits.known = true;
        probe->limits.total = probe->limits.available = (uint64_t)capacity;
        if (probe->limits.fits > (uint64_t)capacity)
            probe->limits.fits = (uint64_t)capacity;
    }
    (void)memkind_destroy_kind(kind);
}
