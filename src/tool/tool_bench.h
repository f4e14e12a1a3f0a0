/* SPDX-License-Identifier: BSD-2-Clause */
/* memkind-pmem bench */
#ifndef TOOL_BENCH_H
#define TOOL_BENCH_H

#include "tool_exit.h"
#include "tool_options.h"

enum tool_exit tool_bench(const struct tool_options *options);

#endif /* TOOL_BENCH_H */
