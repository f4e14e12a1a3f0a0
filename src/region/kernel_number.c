/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel_number.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>

#include "sys_calls.h"

bool kernel_number_read(const char *path, long long *number)
{
    char text[32] = "";
    char *end;
    int fd = sys.open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ssize_t length = sys.pread(fd, text, sizeof text - 1, 0);
    sys.close(fd);
    if (length <= 0)
        return false;
    *number = strtoll(text, &end, 10);
    return end != text;
}
