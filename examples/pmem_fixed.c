/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kind on memory that the program has already: here a static array, and a
 * file that the program itself has mapped. Nothing is taken from elsewhere,
 * and the memory stays the program's when the kind is destroyed.
 *
 * Run: pmem_fixed [DIR]
 */
#define _XOPEN_SOURCE 700
#include "example.h"
#include <fcntl.h>
#include <stdalign.h>
#include <sys/mman.h>
#include <unistd.h>

#define AREA (20 * EXAMPLE_MIB)
#define OBJECT_SIZE (100 * EXAMPLE_KIB)
#define MAX_OBJECTS (AREA / OBJECT_SIZE)

static int use_kind(memkind_t kind, const char *area)
{
    static char *objects[MAX_OBJECTS + 1];
    size_t count = 0;
    for (;;) {
        errno = 0;
        char *object = memkind_malloc(kind, OBJECT_SIZE);
        if (object == NULL) {
            break;
        }
        if (count > MAX_OBJECTS || object < area ||
            object + OBJECT_SIZE > area + AREA) {
            return example_fail_check("all objects lie in the area");
        }
        example_fill(object, OBJECT_SIZE, count);
        objects[count++] = object;
    }
    if (errno != ENOMEM || count == 0) {
        return example_fail_check("the area is used, and then full");
    }
    for (size_t i = 0; i < count; i++) {
        if (!example_verify(objects[i], OBJECT_SIZE, i)) {
            return example_fail_check("the objects keep what was written");
        }
        memkind_free(kind, objects[i]);
    }
    printf("  %zu objects of %zu KiB fitted, all within the area\n", count,
           OBJECT_SIZE / EXAMPLE_KIB);
    return EXIT_SUCCESS;
}

static int use_area(const char *what, char *area)
{
    printf("%s of %zu MiB:\n", what, AREA / EXAMPLE_MIB);
    /* twice: the area can be used again after the kind is destroyed */
    for (int round = 0; round < 2; round++) {
        memkind_t kind = NULL;
        int err = memkind_create_fixed(area, AREA, &kind);
        if (err != MEMKIND_SUCCESS) {
            return example_fail("memkind_create_fixed", err);
        }
        if (example_destroy(kind, use_kind(kind, area)) != EXIT_SUCCESS) {
            return EXIT_FAILURE;
        }
        memset(area, 0, AREA);
    }
    return EXIT_SUCCESS;
}

/* An unnamed file in the directory, of the area's size. */
static int make_file(const char *dir)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/pmem_fixed.XXXXXX", dir);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkstemp(path);
    if (fd < 0) {
        return -1;
    }
    int err = unlink(path) != 0 ? errno : posix_fallocate(fd, 0, (off_t)AREA);
    if (err != 0) {
        (void)close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

int main(int argc, char *argv[])
{
    static alignas(4096) char array[AREA];
    if (use_area("a static array", array) != EXIT_SUCCESS) {
        return EXIT_FAILURE;
    }

    int fd = make_file(example_dir(argc, argv));
    if (fd < 0) {
        return example_fail_errno("making a file");
    }
    void *mapping = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (mapping == MAP_FAILED) {
        return example_fail_errno("mmap");
    }
    int status = use_area("a mapped file", mapping);
    if (munmap(mapping, AREA) != 0) {
        status = example_fail_errno("munmap");
    }
    return status;
}
