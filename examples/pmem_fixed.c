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

static void use_kind(memkind_t kind, const char *area)
{
    static char *objects[MAX_OBJECTS + 1];
    size_t count = 0;
    for (;;) {
        errno = 0;
        char *object = memkind_malloc(kind, OBJECT_SIZE);
        if (object == NULL) {
            break;
        }
        example_check(count <= MAX_OBJECTS && object >= area &&
                          object + OBJECT_SIZE <= area + AREA,
                      "all objects lie in the area");
        example_fill(object, OBJECT_SIZE, count);
        objects[count++] = object;
    }
    example_check(errno == ENOMEM && count > 0,
                  "the area is used, and then full");
    for (size_t i = 0; i < count; i++) {
        example_check(example_verify(objects[i], OBJECT_SIZE, i),
                      "the objects keep what was written");
        memkind_free(kind, objects[i]);
    }
    printf("  %zu objects of %zu KiB fitted, all within the area\n", count,
           OBJECT_SIZE / EXAMPLE_KIB);
}

static void use_area(const char *what, char *area)
{
    printf("%s of %zu MiB:\n", what, AREA / EXAMPLE_MIB);
    /* twice: the area can be used again after the kind is destroyed */
    for (int round = 0; round < 2; round++) {
        memkind_t kind = NULL;
        int err = memkind_create_fixed(area, AREA, &kind);
        example_expect_success(err);
        use_kind(kind, area);
        err = memkind_destroy_kind(kind);
        example_expect_success(err);
        memset(area, 0, AREA);
    }
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
    use_area("a static array", array);

    const char *dir = example_dir(argc, argv);
    int fd = make_file(dir);
    example_expect(fd >= 0, dir);
    void *mapping = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    example_expect(mapping != MAP_FAILED, "mmap");
    (void)close(fd);
    use_area("a mapped file", mapping);
    example_expect(munmap(mapping, AREA) == 0, "munmap");
    return EXIT_SUCCESS;
}
