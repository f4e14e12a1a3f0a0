/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind-pmem version */
#ifndef TOOL_VERSION_H
#define TOOL_VERSION_H

#include "tool_exit.h"
#include "tool_options.h"

enum tool_exit tool_version(const struct tool_options *options);

#endif /* TOOL_VERSION_H */
