/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes that make a kind: what kinds get is what counts. */
#ifndef TOOL_PROBE_KIND_H
#define TOOL_PROBE_KIND_H

#include "tool_probe.h"

/* Both fill in kind, kind_status, dax, large, touched and faults. The first one
 * needs what probe_files() has found. */
void probe_kind_in_directory(struct probe *probe);
void probe_kind_on_device(struct probe *probe);

#endif /* TOOL_PROBE_KIND_H */
