/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device_mark write|verify DEVICE
 *
 * Writes a pattern all over a device DAX, or looks whether it is there still.
 * For tests of what must not write to a device.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNIT ((size_t)2 << 20)

/* All that the device has: a mapping has to be a multiple of its alignment,
 * and one that is too long is made, but not readable. The size is in sysfs. */
static size_t size_of(const char *device)
{
    char path[256];
    size_t size = 0;
    const char *name = strrchr(device, '/');
    snprintf(path, sizeof path, "/sys/bus/dax/devices/%s/size",
             name != NULL ? name + 1 : device);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%zu", &size) != 1)
            size = 0;
        fclose(file);
    }
    return size & ~(UNIT - 1);
}

static uint64_t mark_at(size_t word)
{
    return word * 0x9e3779b97f4a7c15u + 1;
}

int main(int argc, char **argv)
{
    if (argc != 3 ||
        (strcmp(argv[1], "write") != 0 && strcmp(argv[1], "verify") != 0)) {
        fprintf(stderr, "usage: device_mark write|verify DEVICE\n");
        return 2;
    }
    size_t size = size_of(argv[2]);
    int fd = open(argv[2], O_RDWR | O_CLOEXEC);
    uint64_t *words = MAP_FAILED;
    if (fd >= 0 && size > 0)
        words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (words == MAP_FAILED) {
        perror(argv[2]);
        return 2;
    }
    bool write = strcmp(argv[1], "write") == 0;
    for (size_t i = 0; i < size / sizeof *words; i++) {
        if (write)
            words[i] = mark_at(i);
        else if (words[i] != mark_at(i)) {
            printf("changed at %zu of %zu\n", i * sizeof *words, size);
            return 1;
        }
    }
    munmap(words, size);
    close(fd);
    return 0;
}
