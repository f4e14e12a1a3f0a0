/* SPDX-License-Identifier: BSD-2-Clause */
#include "mapping_count.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

#include "sys_calls.h"

/* One in so many of the mappings that a process may have. */
#define SHARE_LITTLE 32
#define SHARE_MUCH 8
#define MAPPINGS_DEFAULT 65530

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t count;
static size_t most_mappings; /* 0: not known yet */

void mapping_count_lock(void)
{
    pthread_mutex_lock(&lock);
}

void mapping_count_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void mapping_count_renew(void)
{
    pthread_mutex_init(&lock, NULL);
}

/* Where somebody has set it to a billion, the usual number will do as well. */
static size_t read_most(void)
{
    char text[32] = "";
    int fd = sys.open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return MAPPINGS_DEFAULT;
    ssize_t length = sys.pread(fd, text, sizeof text - 1, 0);
    sys.close(fd);
    size_t most = length > 0 ? strtoul(text, NULL, 10) : 0;
    return most != 0 && most < MAPPINGS_DEFAULT ? most : MAPPINGS_DEFAULT;
}

bool mapping_count_allows(enum mapping_need need)
{
    if (most_mappings == 0) {
        int saved_errno = errno;
        most_mappings = read_most();
        errno = saved_errno;
    }
    size_t share = need == MAPPING_NEED_MUCH ? SHARE_MUCH : SHARE_LITTLE;
    return count < most_mappings / share;
}

void mapping_count_add(size_t pieces)
{
    count += pieces;
}

void mapping_count_remove(size_t pieces)
{
    count -= pieces;
}
