/* SPDX-License-Identifier: BSD-2-Clause */
#include "place_node.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "kernel_number.h"
#include "sys_calls.h"

/* ---- /proc/self/mountinfo ---- */

/* A line names the file system's device in its third field, and the options in
 * its last one: "36 35 0:31 / /mnt rw - tmpfs none rw,size=1024k,mpol=bind:2".
 */
#define DEVICE_FIELD 3

#define FIELD_MOST 512

/* What has been read of a line. */
struct mount_line {
    unsigned number;        /* of the field, from 1 on */
    size_t length;          /* of the field, as far as it is kept */
    char field[FIELD_MOST]; /* a longer one is of no interest */
    bool is_wanted;         /* the device is the right one */
};

static void begin_line(struct mount_line *line)
{
    line->number = 1;
    line->length = 0;
    line->is_wanted = false;
}

static void end_field(struct mount_line *line, const char *device)
{
    line->field[line->length] = '\0';
    if (line->number == DEVICE_FIELD)
        line->is_wanted = strcmp(line->field, device) == 0;
}

/* Takes a line on by a character. True at the end of the line of the device:
 * the field is the last one then. */
static bool read_on(struct mount_line *line, char c, const char *device)
{
    if (c != ' ' && c != '\n') {
        if (line->length < sizeof line->field - 1)
            line->field[line->length++] = c;
        return false;
    }
    end_field(line, device);
    if (c == '\n' && line->is_wanted)
        return true;
    if (c == '\n') {
        begin_line(line);
    } else {
        line->number++;
        line->length = 0;
    }
    return false;
}

/* Finds the line of a device. */
static bool find_mount(int mounts, const char *device, struct mount_line *line)
{
    char buffer[1024];
    ssize_t count;
    begin_line(line);
    for (off_t at = 0;
         (count = sys.pread(mounts, buffer, sizeof buffer, at)) > 0;
         at += count)
        for (ssize_t i = 0; i < count; i++)
            if (read_on(line, buffer[i], device))
                return true;
    return false;
}

/* Copies the value of an option; "" if it is not there. */
static void copy_option(char *options, const char *name, char *value,
                        size_t size)
{
    const size_t length = strlen(name);
    char *rest = NULL;
    value[0] = '\0';
    for (const char *option = strtok_r(options, ",", &rest); option != NULL;
         option = strtok_r(NULL, ",", &rest))
        /* A list of nodes has commas, too: "bind:0,2". */
        if (strncmp(option, name, length) == 0)
            snprintf(value, size, "%s", option + length);
        else if (value[0] != '\0' && option[0] >= '0' && option[0] <= '9')
            snprintf(value + strlen(value), size - strlen(value), ",%s",
                     option);
        else if (value[0] != '\0')
            break;
}

bool place_policy(int fd, char *policy, size_t size)
{
    struct statfs fs;
    struct stat st;
    struct mount_line line;
    char device[32];
    policy[0] = '\0';
    if (sys.fstatfs(fd, &fs) != 0 || sys.fstat(fd, &st) != 0)
        return false;
    if (fs.f_type != TMPFS_MAGIC)
        return true;
    int mounts = sys.open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC, 0);
    if (mounts < 0)
        return false;
    snprintf(device, sizeof device, "%u:%u", major(st.st_dev),
             minor(st.st_dev));
    const bool found = find_mount(mounts, device, &line);
    sys.close(mounts);
    if (found)
        copy_option(line.field, "mpol=", policy, size);
    return found;
}

/* ---- nodes ---- */

/* The node of a policy that allows for one only, such as "bind:2" or
 * "bind=static:2". What is preferred is meant, too. */
static int node_of_policy(const char *policy)
{
    const char *nodes = strchr(policy, ':');
    char *end;
    if (nodes == NULL || nodes[1] < '0' || nodes[1] > '9')
        return -1;
    const long node = strtol(nodes + 1, &end, 10);
    return *end == '\0' && node <= INT_MAX ? (int)node : -1;
}

/* The node of a device, by its number. */
static int node_of_device(const char *sort, dev_t device)
{
    static const char *const places[] = {
        "device/numa_node",
        "../device/numa_node", /* a partition */
        "numa_node",
    };
    char path[80];
    long long node;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, sizeof path, "/sys/dev/%s/%u:%u/%s", sort, major(device),
                 minor(device), places[i]);
        if (kernel_number_read(path, &node))
            return node >= 0 && node <= INT_MAX ? (int)node : -1;
    }
    return -1;
}

int place_node(int fd)
{
    char policy[64];
    struct stat st;
    if (sys.fstat(fd, &st) != 0)
        return -1;
    if (S_ISCHR(st.st_mode))
        return node_of_device("char", st.st_rdev);
    if (place_policy(fd, policy, sizeof policy) && policy[0] != '\0')
        return node_of_policy(policy);
    return node_of_device("block", st.st_dev);
}
