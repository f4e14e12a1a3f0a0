/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers that the kernel tells in files of its own, such as those of /sys. */
#ifndef KERNEL_NUMBER_H
#define KERNEL_NUMBER_H

#include <stdbool.h>

/* Reads a file whose first line is a decimal number; false if there is none. */
bool kernel_number_read(const char *path, long long *number);

#endif
