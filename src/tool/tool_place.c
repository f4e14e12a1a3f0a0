/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "tool_text.h"

#define SECTOR 512

/* The number in /sys/dev/KIND/MAJOR:MINOR/NAME. */
static bool read_sysfs(const char *kind, dev_t device, const char *name,
                       uint64_t *value)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/sys/dev/%s/%u:%u/%s", kind, major(device),
             minor(device), name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool found = fscanf(file, "%" SCNu64, value) == 1;
    fclose(file);
    return found;
}

/* A device may have its node itself, or the one that it belongs to has it. */
static int read_node(const char *kind, dev_t device)
{
    static const char *const names[] = {"numa_node", "device/numa_node",
                                        "../device/numa_node", NULL};
    for (const char *const *name = names; *name != NULL; name++) {
        /* (-1 stands for one that is not known, and is read as a number that is
         * too large.) */
        uint64_t node;
        if (read_sysfs(kind, device, *name, &node) && node <= INT_MAX)
            return (int)node;
    }
    return -1;
}

/* Looks at the class, not at the name. The device is not opened: that may have
 * effects on a device of another sort (a watchdog starts, a tape rewinds). */
static bool is_of_dax_class(dev_t device)
{
    char path[64], target[PATH_MAX];
    snprintf(path, sizeof path, "/sys/dev/char/%u:%u/subsystem", major(device),
             minor(device));
    if (realpath(path, target) == NULL)
        return false;
    const char *name = strrchr(target, '/');
    return name != NULL && strcmp(name, "/dax") == 0;
}

static void look_at_block_device(struct place *place, dev_t device)
{
    uint64_t has_dax = 0, start = 0;
    place->device_known = read_sysfs("block", device, "queue/dax", &has_dax) ||
                          read_sysfs("block", device, "../queue/dax", &has_dax);
    place->device_has_dax = has_dax == 1;
    if (read_sysfs("block", device, "start", &start))
        place->partition_start = start * SECTOR;
    place->device_node = read_node("block", device);
}

/* Undoes the \040 in which the kernel writes blanks. */
static void copy_field(char *to, size_t size, const char *from)
{
    size_t length = 0;
    for (; *from != '\0' && length + 1 < size; length++) {
        unsigned code;
        if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
            to[length] = (char)code;
            from += 4;
        } else {
            to[length] = *from++;
        }
    }
    to[length] = '\0';
}

/* Whether a list, with commas between its items, has this item. */
static bool has_item(const char *list, const char *item, size_t length)
{
    while (*list != '\0') {
        size_t at = strcspn(list, ",");
        if (at == length && strncmp(list, item, length) == 0)
            return true;
        list += at;
        list += *list == ',';
    }
    return false;
}

/* Adds the items that the list does not have yet; all but "ro" and "rw". */
static const char *add_items(const char *list, const char *items)
{
    while (*items != '\0') {
        size_t length = strcspn(items, ",");
        if (length != 0 && !has_item("ro,rw", items, length) &&
            !has_item(list, items, length))
            list = text_format("%s,%.*s", list, (int)length, items);
        items += length;
        items += *items == ',';
    }
    return list;
}

/* Those of the mount, then those of the file system, each once. Files can be
 * written if both allow it. */
static const char *all_options(const char *of_mount, const char *of_fs)
{
    bool read_only = has_item(of_mount, "ro", 2) || has_item(of_fs, "ro", 2);
    return add_items(add_items(read_only ? "ro" : "rw", of_mount), of_fs);
}

/* Reads a line of mountinfo: ID PARENT DEVICE ROOT MOUNT-POINT OPTIONS
 * [TAG...] - TYPE SOURCE SUPER-OPTIONS. Takes the line apart. A source can be
 * empty. */
static bool is_mount(struct place *place, char *line, uint64_t id)
{
    enum { ID, MOUNT_POINT = 4, OPTIONS = 5, FIELDS_BEFORE = 6 };
    char *fields[FIELDS_BEFORE], *rest = strstr(line, " - ");
    if (rest == NULL)
        return false;
    *rest = '\0';
    rest += strlen(" - ");
    for (int i = 0; i < FIELDS_BEFORE; i++) {
        fields[i] = strsep(&line, " ");
        if (fields[i] == NULL)
            return false;
    }
    if (strtoull(fields[ID], NULL, 10) != id)
        return false;
    const char *type = strsep(&rest, " ");
    const char *source = strsep(&rest, " ");
    /* (The last field: blanks in "mpol=prefer (many):0" are not escaped.) */
    const char *super_options = strsep(&rest, "\n");
    if (source == NULL || super_options == NULL)
        return false;
    copy_field(place->fs_type, sizeof place->fs_type, type);
    copy_field(place->fs_source, sizeof place->fs_source, source);
    copy_field(place->mount_point, sizeof place->mount_point,
               fields[MOUNT_POINT]);
    place->mount_options = all_options(fields[OPTIONS], super_options);
    return true;
}

static void look_at_mount(struct place *place, const char *path)
{
    struct statx found;
    if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &found) != 0 ||
        (found.stx_mask & STATX_MNT_ID) == 0)
        return;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (file == NULL)
        return;
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0)
        if (is_mount(place, line, found.stx_mnt_id))
            break;
    free(line);
    fclose(file);
}

static void look_at_directory(struct place *place, const struct stat *st)
{
    struct statvfs fs;
    if (statvfs(place->path, &fs) == 0)
        place->block_size = fs.f_bsize;
    look_at_mount(place, place->path);
    look_at_block_device(place, st->st_dev);
}

void place_look(struct place *place, const char *path)
{
    struct stat st;
    *place = (struct place){.path = path,
                            .type = PLACE_OTHER,
                            .mount_options = "",
                            .device_node = -1};
    if (stat(path, &st) != 0) {
        place->type = PLACE_UNREACHABLE;
        place->error = errno;
    } else if (S_ISDIR(st.st_mode)) {
        place->type = PLACE_DIRECTORY;
        look_at_directory(place, &st);
    } else if (S_ISCHR(st.st_mode) && is_of_dax_class(st.st_rdev)) {
        place->type = PLACE_DEVICE_DAX;
        (void)read_sysfs("char", st.st_rdev, "size", &place->device_size);
        (void)read_sysfs("char", st.st_rdev, "align", &place->device_align);
        place->device_node = read_node("char", st.st_rdev);
    } else if (S_ISCHR(st.st_mode)) {
        place->type = PLACE_OTHER_DEVICE;
    } else if (S_ISBLK(st.st_mode)) {
        place->type = PLACE_BLOCK_DEVICE;
        look_at_block_device(place, st.st_rdev);
    } else if (S_ISREG(st.st_mode)) {
        place->type = PLACE_FILE;
    }
}

bool place_has_option(const struct place *place, const char *option)
{
    return has_item(place->mount_options, option, strlen(option));
}

const char *place_type_name(enum place_type type)
{
    static const char *const names[] = {
        [PLACE_UNREACHABLE] = "unreachable",
        [PLACE_DIRECTORY] = "directory",
        [PLACE_DEVICE_DAX] = "device-dax",
        [PLACE_OTHER_DEVICE] = "character-device",
        [PLACE_BLOCK_DEVICE] = "block-device",
        [PLACE_FILE] = "file",
        [PLACE_OTHER] = "other",
    };
    return names[type];
}

bool place_is_on(const struct place *place, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(place->fs_type, *names) == 0)
            return true;
    return false;
}

bool place_is_memory(const struct place *place)
{
    static const char *const names[] = {"tmpfs", "ramfs", "devtmpfs",
                                        "hugetlbfs", NULL};
    return place_is_on(place, names);
}
