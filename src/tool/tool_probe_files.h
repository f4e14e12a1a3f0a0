/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes that need a file of their own. */
#ifndef TOOL_PROBE_FILES_H
#define TOOL_PROBE_FILES_H

#include "tool_probe.h"

/* Fills in file, holes, fallocate, punch and largest_file. */
void probe_files(struct probe *probe);

#endif /* TOOL_PROBE_FILES_H */
