/* SPDX-License-Identifier: BSD-2-Clause */
/* All probes of one place. */
#ifndef TOOL_PROBE_PLACE_H
#define TOOL_PROBE_PLACE_H

#include "tool_probe.h"

void probe_place(struct probe *probe, const char *path);

#endif /* TOOL_PROBE_PLACE_H */
