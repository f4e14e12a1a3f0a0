/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes that make kinds and look at what these get. */
#ifndef TOOL_PROBE_KIND_H
#define TOOL_PROBE_KIND_H

#include "tool_probe.h"

/* Both functions fill in kind, reason, dax, large, touched and faults. The
 * first one needs the results of probe_files(). */
void probe_kind_in_directory(struct probe *probe);
void probe_kind_on_device(struct probe *probe);

#endif /* TOOL_PROBE_KIND_H */
