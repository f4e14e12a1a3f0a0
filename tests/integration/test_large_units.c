/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * That a kind on persistent memory gets blocks which large pages can map: not
 * now and then, but one kind after another, on an empty file system and on one
 * with files of others and pieces of free space.
 *
 *   test_large_units FILE-SYSTEM [TEST...]
 *
 * makes and mounts one in a file (ext4, ext4-stride, xfs, xfs-stripe), makes
 * libpmem take it for persistent memory, and looks at the places of blocks.
 * Without an argument, the suite's directory is on persistent memory, and page
 * faults are counted as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <memkind.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "test_child.h"
#include "test_kinds.h"

#define UNIT (2 * MIB)
#define OBJECT (64 * MIB)
#define UNITS (OBJECT / UNIT)
#define KINDS 100
#define TOUCHES 32 /* of a unit: so many faults if it is not mapped at once */

static bool is_real;      /* persistent memory: faults are counted */
static bool is_exact;     /* the file system has all that is asked for */
static bool places_holes; /* also in a file's holes */

/* ---- places of blocks -------------------------------------------------- */

/* A mapping of a file, which was opened once more. */
struct mapped {
    uintptr_t start, end;
    size_t from;
    int fd;
    size_t device_start; /* of the file system on its device, bytes */
};

static size_t partition_start(int fd)
{
    struct stat st;
    char path[100];
    unsigned long sectors = 0;
    if (fstat(fd, &st) != 0)
        return 0;
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/start", major(st.st_dev),
             minor(st.st_dev));
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%lu", &sectors) != 1)
        sectors = 0;
    fclose(file);
    return sectors * 512;
}

static void open_mapped(struct mapped *mapped, uintptr_t address)
{
    unsigned long start, end, from;
    char line[512], path[100];
    FILE *maps = fopen("/proc/self/maps", "r");
    *mapped = (struct mapped){.fd = -1};
    if (maps == NULL)
        return;
    while (mapped->fd < 0 && fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &from) != 3 ||
            address < start || address >= end)
            continue;
        snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", start, end);
        mapped->start = start;
        mapped->end = end;
        mapped->from = from;
        mapped->fd = open(path, O_RDONLY | O_CLOEXEC);
        mapped->device_start = partition_start(mapped->fd);
        break;
    }
    fclose(maps);
}

/* Bytes of a unit of the file at places at which a large page can map them. */
static size_t aligned_bytes(const struct mapped *mapped, size_t offset)
{
    _Alignas(struct fiemap) char
        room[sizeof(struct fiemap) + 8 * sizeof(struct fiemap_extent)] = {0};
    struct fiemap *map = (struct fiemap *)(void *)room;
    size_t bytes = 0;
    map->fm_start = offset;
    map->fm_length = UNIT;
    map->fm_extent_count = 8;
    if (ioctl(mapped->fd, FS_IOC_FIEMAP, map) != 0)
        return 0;
    for (unsigned i = 0; i < map->fm_mapped_extents; i++) {
        const struct fiemap_extent *extent = &map->fm_extents[i];
        size_t from = extent->fe_logical, to = from + extent->fe_length;
        if ((extent->fe_physical + mapped->device_start - from) % UNIT != 0)
            continue;
        from = from < offset ? offset : from;
        to = to > offset + UNIT ? offset + UNIT : to;
        bytes += to > from ? to - from : 0;
    }
    return bytes;
}

/* How many of the 2 MiB units of an object are such. */
static size_t count_aligned(const char *object, size_t size)
{
    struct mapped mapped = {.fd = -1};
    size_t count = 0;
    for (size_t at = 0; at < size; at += UNIT) {
        uintptr_t address = (uintptr_t)object + at;
        if (address < mapped.start || address >= mapped.end) {
            if (mapped.fd >= 0)
                close(mapped.fd);
            open_mapped(&mapped, address);
        }
        if (mapped.fd >= 0)
            count +=
                aligned_bytes(&mapped,
                              mapped.from + (address - mapped.start)) == UNIT;
    }
    if (mapped.fd >= 0)
        close(mapped.fd);
    return count;
}

/* ---- page faults ------------------------------------------------------- */

static size_t fault_count(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (size_t)(usage.ru_minflt + usage.ru_majflt);
}

/* How many units of an object are mapped at once when it is touched for the
 * first time. */
static size_t count_large(char *object, size_t size)
{
    size_t before = fault_count(), units = size / UNIT;
    for (size_t at = 0; at < size; at += UNIT / TOUCHES)
        ((volatile char *)object)[at] = 1;
    size_t faults = fault_count() - before;
    if (faults <= units + units / 16)
        return units;
    size_t missed = (faults - units) / (TOUCHES - 1);
    return missed < units ? units - missed : 0;
}

/* ---- files of others --------------------------------------------------- */

#define FILES_MOST 4000

static char *other_path(unsigned number)
{
    char name[40];
    snprintf(name, sizeof name, "other.%u", number);
    return (char *)test_path(name);
}

static size_t random_size(unsigned long long *random)
{
    static const size_t sizes[] = {4096,   20000,   100000,
                                   700000, 3 * MIB, 9 * MIB};
    size_t size = sizes[test_random(random) % 6];
    return size / 2 + test_random(random) % size;
}

/* Fills most of the file system with files, and removes every other one at
 * random. Returns how many numbers there are. */
static unsigned make_others(void)
{
    unsigned long long random = 11;
    unsigned count = 0;
    size_t left = test_free_space() / 20 * 19;
    while (count < FILES_MOST) {
        size_t size = random_size(&random);
        if (size > left)
            break;
        int fd = open(other_path(count), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        REQUIRE_GE(fd, 0);
        count++;
        int error = posix_fallocate(fd, 0, (off_t)size);
        close(fd);
        if (error != 0)
            break;
        left -= size;
    }
    for (unsigned i = 0; i < count; i++)
        if (test_random(&random) % 2 != 0)
            unlink(other_path(i));
    sync();
    return count;
}

static void remove_others(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        unlink(other_path(i));
    sync();
}

/* ---- tests ------------------------------------------------------------- */

/* Kinds one after another; `least` of them have every unit, and all together
 * at least so many units. */
static void count_kinds(size_t least, size_t least_units)
{
    size_t complete = 0, large = 0, units = 0;
    for (int i = 0; i < KINDS; i++) {
        memkind_t kind = kind_make_limited(0);
        void *object = NULL;
        REQUIRE_EQ(memkind_posix_memalign(kind, &object, UNIT, OBJECT), 0);
        size_t aligned = count_aligned(object, OBJECT);
        complete += aligned == UNITS;
        units += aligned;
        if (is_real)
            large += count_large(object, OBJECT) == UNITS;
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
    }
    printf("%zu of %d kinds, %zu of %zu units ", complete, KINDS, units,
           KINDS * UNITS);
    CHECK_GE(complete, least);
    CHECK_GE(units, least_units);
    if (is_real) {
        printf("(by page faults: %zu kinds) ", large);
        CHECK_GE(large, least);
    }
}

/* Without a stripe, xfs gives back the blocks of the kinds before in its own
 * time, and goes on behind whatever that leaves. */
static void test_fresh(void)
{
    count_kinds(is_exact ? KINDS : KINDS - KINDS / 20,
                is_exact ? KINDS * UNITS : KINDS * UNITS / 100 * 99);
}

/* Without a stripe, xfs leads to few of the aligned pieces that there are. */
static void test_aged(void)
{
    unsigned others = make_others();
    count_kinds(is_exact ? KINDS - KINDS / 20 : 0,
                KINDS * UNITS / 100 * (is_exact ? 99 : 10));
    remove_others(others);
}

struct object {
    struct object *next;
};

/* Objects of a size until there is none, or `most` bytes; their units (as long
 * as each is whole). */
static size_t fill(memkind_t kind, size_t size, size_t most,
                   struct object **list)
{
    size_t total = 0;
    while (total + size <= most) {
        struct object *object = memkind_malloc(kind, size);
        if (object == NULL)
            break;
        object->next = *list;
        *list = object;
        total += size;
    }
    return total;
}

/* Space comes before large pages: all there is can be had, and is given back
 * to the last block. */
static void test_full(void)
{
    unsigned others = make_others();
    for (size_t size = MIB; size <= 4 * MIB; size *= 4) {
        struct object *list = NULL;
        sync();
        const size_t room = test_free_space();
        memkind_t kind = kind_make_limited(0);
        size_t total = fill(kind, size, SIZE_MAX / 2, &list);
        printf("%.1f %% of %zu MiB ", 100. * (double)total / (double)room,
               room / MIB);
        CHECK_GE(total, test_least_filled(room, size));
        CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
        size_t now = test_free_space();
        for (int i = 0; i < 600 && now + MIB < room; i++) {
            usleep(100000); /* xfs takes its time */
            now = test_free_space();
        }
        CHECK_GE(now + MIB, room);
    }
    remove_others(others);
}

/* Kinds that grow at the same time come between each other's blocks. On xfs
 * without a stripe, searches end in vain now and then (29 of 192 objects were
 * misplaced on a busy machine, 6 in one of 100 runs), and after each some units
 * are taken as they come. */
enum { GROWING = 4 };
static memkind_t growing[GROWING];
static struct object *grown[GROWING];

static void *grow(void *number)
{
    size_t i = (size_t)(uintptr_t)number;
    (void)fill(growing[i], MIB, 48 * MIB, &grown[i]);
    return NULL;
}

/* How many objects of a list lie in such units. */
static size_t count_of_list(const struct object *list)
{
    size_t count = 0;
    for (; list != NULL; list = list->next)
        count +=
            count_aligned((const char *)list - (uintptr_t)list % UNIT, UNIT);
    return count;
}

static void test_growing_at_once(void)
{
    pthread_t threads[GROWING];
    size_t aligned = 0, objects = 0;
    for (uintptr_t i = 0; i < GROWING; i++) {
        growing[i] = kind_make_limited(0);
        grown[i] = NULL;
    }
    for (uintptr_t i = 0; i < GROWING; i++)
        REQUIRE_EQ(pthread_create(&threads[i], NULL, grow, (void *)i), 0);
    for (size_t i = 0; i < GROWING; i++) {
        pthread_join(threads[i], NULL);
        aligned += count_of_list(grown[i]);
        objects += 48;
        CHECK_EQ(memkind_destroy_kind(growing[i]), MEMKIND_SUCCESS);
    }
    printf("%zu of %zu objects ", aligned, objects);
    CHECK_GE(aligned, objects - objects / (is_exact ? 20 : 2));
}

/* Units that were given back, and are taken again. xfs keeps to its stripe at
 * the end of a file, not in holes: if the blocks that a hole had are not free
 * again (they wait for the log for a moment), it takes the nearest ones, and a
 * search ends in vain at times. In 3 of 100 runs a third of the units were
 * misplaced. */
static void test_given_back(void)
{
    enum { OBJECTS = 48 };
    static char *objects[OBJECTS];
    unsigned long long random = 3;
    size_t aligned = 0, held = 0;
    memkind_t kind = kind_make(.usage = MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE);
    for (int i = 0; i < 1000; i++) {
        size_t slot = test_random(&random) % OBJECTS;
        if (objects[slot] != NULL) {
            memkind_free(kind, objects[slot]);
            objects[slot] = NULL;
        } else {
            void *object = NULL;
            REQUIRE_EQ(memkind_posix_memalign(kind, &object, UNIT, 2 * UNIT),
                       0);
            objects[slot] = object;
        }
    }
    for (size_t slot = 0; slot < OBJECTS; slot++)
        if (objects[slot] != NULL) {
            aligned += count_aligned(objects[slot], 2 * UNIT);
            held += 2;
            objects[slot] = NULL;
        }
    printf("%zu of %zu units ", aligned, held);
    CHECK_GT(held, 20);
    CHECK_GE(aligned, held - held / (places_holes ? 20 : 2));
    CHECK_EQ(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

static const struct test_case tests[] = {
    {"fresh", test_fresh},
    {"growing at once", test_growing_at_once},
    {"given back and taken again", test_given_back},
    {"full", test_full},
    {"aged", test_aged},
    {NULL, NULL},
};

/* ---- file systems ------------------------------------------------------ */

static const struct {
    const char *name, *make;
    bool is_exact, places_holes;
} file_systems[] = {
    {"ext4", "mkfs.ext4 -q -b 4096", true, true},
    {"ext4-stride", "mkfs.ext4 -q -b 4096 -E stride=512,stripe_width=512", true,
     true},
    {"xfs", "mkfs.xfs -q -m reflink=0", false, false},
    {"xfs-stripe", "mkfs.xfs -q -m reflink=0 -d su=2m,sw=1", true, false},
};

#define FILE_SYSTEMS (sizeof file_systems / sizeof file_systems[0])

static int run_on(size_t which, int argc, char **argv)
{
    char base[4000], image[sizeof base + 8], place[sizeof base + 8];
    const char *dir = getenv("MEMKIND_TEST_DIR");
    snprintf(base, sizeof base, "%s/large_units.XXXXXX",
             dir != NULL ? dir : "/dev/shm");
    if (mkdtemp(base) == NULL)
        return TEST_SKIPPED;
    snprintf(image, sizeof image, "%s/image", base);
    snprintf(place, sizeof place, "%s/mounted", base);
    bool made = mkdir(place, 0700) == 0;
    fflush(NULL);
    pid_t child = made ? fork() : -1;
    if (child == 0) {
        if (!test_has_space_in(base, 128 * MIB) || !mounts_become_own() ||
            !mount_image(file_systems[which].make, image, 1024 * MIB, "",
                         place)) {
            printf("skipped: %s cannot be made and mounted\n",
                   file_systems[which].name);
            fflush(NULL);
            _exit(TEST_SKIPPED);
        }
        setenv("MEMKIND_TEST_DIR", place, 1);
        setenv("PMEM_IS_PMEM_FORCE", "1", 1);
        is_exact = file_systems[which].is_exact;
        places_holes = file_systems[which].places_holes;
        exit(test_main("large units", tests, argc, argv));
    }
    const int status = child_wait(child);
    unlink(image);
    rmdir(place);
    rmdir(base);
    return status >= 0 && status < CHILD_KILLED ? status : EXIT_FAILURE;
}

static bool is_on_xfs(void)
{
    const char *dir = getenv("MEMKIND_TEST_DIR");
    struct statfs fs;
    return dir != NULL && statfs(dir, &fs) == 0 && fs.f_type == XFS_SUPER_MAGIC;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < FILE_SYSTEMS; i++)
        if (strcmp(argv[1], file_systems[i].name) == 0)
            return run_on(i, argc - 1, argv + 1);
    const char *memory = getenv("MEMKIND_TEST_MEMORY");
    if (memory == NULL || strcmp(memory, "dax") != 0) {
        puts("skipped: no persistent memory, and no file system is named");
        return TEST_SKIPPED;
    }
    is_real = is_exact = true;
    places_holes = !is_on_xfs();
    return test_main("large units", tests, argc, argv);
}
