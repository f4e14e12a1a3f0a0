/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_limits.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/quota.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tool_units.h"

static uint64_t smaller_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t minus_or_0(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* The soft limit, which children inherit. */
static uint64_t resource_limit(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return NO_LIMIT;
    return limit.rlim_cur;
}

static uint64_t address_space_left(void)
{
    uint64_t limit = resource_limit(RLIMIT_AS), pages = 0;
    if (limit == NO_LIMIT)
        return NO_LIMIT;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%" SCNu64, &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return minus_or_0(limit, pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

/* The number in a file of a control group; NO_LIMIT if the file has "max" or
 * does not exist. */
static uint64_t read_group(const char *group, const char *name)
{
    char path[PATH_MAX * 2];
    uint64_t value;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NO_LIMIT;
    if (fscanf(file, "%" SCNu64, &value) != 1)
        value = NO_LIMIT;
    fclose(file);
    return value;
}

/* What the control groups (version 2) leave to the process: the least of its
 * own group and of all groups above. */
static uint64_t group_memory_left(void)
{
    char line[PATH_MAX] = "", *group = NULL;
    uint64_t left = NO_LIMIT;
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL)
        return NO_LIMIT;
    while (group == NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "0::/", 4) == 0)
            group = line + 3;
    fclose(file);
    if (group == NULL)
        return NO_LIMIT;
    group[strcspn(group, "\n")] = '\0';
    for (char *end = group + strlen(group); end >= group;
         end = strrchr(group, '/')) {
        *end = '\0';
        uint64_t max = read_group(group, "memory.max");
        uint64_t current = read_group(group, "memory.current");
        if (max != NO_LIMIT && current != NO_LIMIT)
            left = smaller_of(left, minus_or_0(max, current));
        if (end == group)
            break;
    }
    return left;
}

static uint64_t memory_left(void)
{
    char line[256];
    uint64_t kib, sum = 0;
    bool known = false;
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL)
        return group_memory_left();
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1 ||
            sscanf(line, "SwapFree: %" SCNu64, &kib) == 1) {
            sum += kib * KIB;
            known = true;
        }
    fclose(file);
    return smaller_of(known ? sum : NO_LIMIT, group_memory_left());
}

#ifdef SYS_quotactl_fd
/* What is left of a user's or a group's quota in the file system that `fd` is
 * open on. */
static uint64_t quota_left(int fd, int type, unsigned id)
{
    struct dqblk quota;
    if (syscall(SYS_quotactl_fd, fd, QCMD(Q_GETQUOTA, type), id, &quota) != 0 ||
        (quota.dqb_valid & QIF_BLIMITS) == 0 || quota.dqb_bhardlimit == 0)
        return NO_LIMIT;
    return minus_or_0(quota.dqb_bhardlimit * KIB, quota.dqb_curspace);
}
#endif

static uint64_t quotas_left(const char *path)
{
    uint64_t left = NO_LIMIT;
#ifdef SYS_quotactl_fd
    /* Quotas do not hold for root. */
    int fd = geteuid() == 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        left = smaller_of(quota_left(fd, USRQUOTA, geteuid()),
                          quota_left(fd, GRPQUOTA, getegid()));
        close(fd);
    }
#else
    (void)path;
#endif
    return left;
}

static void find_free_space(struct limits *limits, const struct place *place)
{
    struct statvfs fs;
    if (place->type == PLACE_DEVICE_DAX) {
        limits->total = limits->available = place->device_size;
        limits->known = place->device_size != 0;
        return;
    }
    if (place->type != PLACE_DIRECTORY || statvfs(place->path, &fs) != 0)
        return;
    if (place_is_memory(place))
        limits->memory = memory_left();
    limits->quota = quotas_left(place->path);
    if (fs.f_blocks == 0) {
        /* A file system in memory that has no limit of its own. */
        limits->known = limits->memory != NO_LIMIT;
        limits->total = limits->available = limits->memory;
        return;
    }
    limits->known = true;
    limits->total = (uint64_t)fs.f_blocks * fs.f_frsize;
    limits->available =
        (uint64_t)(geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
}

void limits_find(struct limits *limits, const struct place *place)
{
    *limits = (struct limits){
        .memory = NO_LIMIT,
        .quota = NO_LIMIT,
        .address_space = address_space_left(),
        .file_size = resource_limit(RLIMIT_FSIZE),
    };
    find_free_space(limits, place);
    limits->fits = smaller_of(smaller_of(limits->available, limits->memory),
                              smaller_of(limits->quota, limits->address_space));
}
