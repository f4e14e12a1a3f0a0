/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind-pmem check */
#ifndef TOOL_CHECK_H
#define TOOL_CHECK_H

#include "tool_exit.h"
#include "tool_options.h"

enum tool_exit tool_check(const struct tool_options *options);

#endif /* TOOL_CHECK_H */
