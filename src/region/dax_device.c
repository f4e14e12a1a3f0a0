/* SPDX-License-Identifier: BSD-2-Clause */
#include "dax_device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "descriptor.h"
#include "sys_calls.h"

/* Finds a path below a device's folder in sysfs, without its links. */
static bool sysfs_path(const struct stat *st, const char *name,
                       char target[PATH_MAX])
{
    char path[64];
    snprintf(path, sizeof path, "/sys/dev/char/%u:%u/%s", major(st->st_rdev),
             minor(st->st_rdev), name);
    return sys.realpath(path, target) != NULL;
}

/*
 * Whether a device DAX is no NVDIMM's, but memory that the firmware has set
 * aside, say. libpmem 1.12 asks libndctl for its namespace, is given none, and
 * crashes with it in libndctl.
 */
static bool is_unknown_to_libndctl(int fd)
{
    struct stat st;
    char path[PATH_MAX];
    return sys.fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
           sysfs_path(&st, ".", path) && strstr(path, "/ndbus") == NULL;
}

static size_t device_size(int fd)
{
    struct stat st;
    char path[PATH_MAX];
    unsigned long long size = 0;
    char text[32];
    if (sys.fstat(fd, &st) != 0 || !sysfs_path(&st, "size", path))
        return 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof text, file) != NULL)
        size = strtoull(text, NULL, 10);
    fclose(file);
    return (size_t)size;
}

static int map_device_directly(int fd, struct mapping *mapping)
{
    /* libpmem reads the variable like this. */
    const char *force = getenv("PMEM_IS_PMEM_FORCE");
    size_t size = device_size(fd);
    if (size == 0)
        return -ENODEV;
    void *base =
        sys.mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    mapping->base = base;
    mapping->size = size;
    mapping->is_pmem = force == NULL || strtol(force, NULL, 10) != 0;
    return 0;
}

int dax_device_map(int fd, struct mapping *mapping)
{
    *mapping = (struct mapping){0};
    if (is_unknown_to_libndctl(fd))
        return map_device_directly(fd, mapping);
    return file_mapping_map_whole(fd, 0, mapping);
}

bool region_file_is_device(const char *path)
{
    struct stat st;
    return sys.stat(path, &st) == 0 && S_ISCHR(st.st_mode);
}

/* Only a device DAX has this in sysfs. */
static bool is_device_dax(const struct stat *st)
{
    char target[PATH_MAX];
    if (!sysfs_path(st, "subsystem", target))
        return false;
    const char *name = strrchr(target, '/');
    return name != NULL && strcmp(name, "/dax") == 0;
}

static int open_device_shared(const char *path)
{
    struct stat named, opened;
    /* A path is looked at before it is opened: to open a device of another sort
     * can do things (rewind a tape, start a watchdog). */
    if (sys.stat(path, &named) != 0)
        return -errno;
    if (!is_device_dax(&named))
        return -ENOTDIR; /* as for anything else that is no directory */
    int fd = sys.open(path, O_RDWR | O_CLOEXEC | O_NOCTTY, 0);
    if (fd < 0)
        return -errno;
    fd = descriptor_above_standard(fd);
    if (fd < 0)
        return fd;
    if (sys.fstat(fd, &opened) == 0 && S_ISCHR(opened.st_mode) &&
        opened.st_rdev == named.st_rdev)
        return fd;
    sys.close(fd);
    return -ENOTDIR;
}

int dax_device_open(const char *path)
{
    int fd = open_device_shared(path);
    if (fd < 0 || sys.flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
    sys.close(fd);
    return error;
}

static int probe_device(const char *path, bool *is_dax)
{
    struct mapping mapping;
    int fd = open_device_shared(path);
    if (fd < 0)
        return fd;
    int result = dax_device_map(fd, &mapping);
    if (result == 0) {
        *is_dax = mapping.is_pmem;
        (void)file_mapping_unmap(&mapping);
    }
    sys.close(fd);
    return result;
}

int region_file_probe_dax(const char *path, bool *is_dax)
{
    if (region_file_is_device(path))
        return probe_device(path, is_dax);
    int directory = descriptor_open_directory(path);
    if (directory < 0)
        return directory;
    int fd = descriptor_create_file(directory);
    int result = fd;
    if (fd >= 0) {
        result = file_mapping_is_pmem(fd, is_dax);
        sys.close(fd);
    }
    sys.close(directory);
    return result;
}
