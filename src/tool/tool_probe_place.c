/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_probe_place.h"

#include "tool_probe_files.h"
#include "tool_probe_kind.h"

void probe_place(struct probe *probe, const char *path)
{
    *probe = (struct probe){0};
    place_look(&probe->place, path);
    limits_find(&probe->limits, &probe->place);
    if (probe->place.type == PLACE_DIRECTORY) {
        probe_files(probe);
        probe_kind_in_directory(probe);
    } else if (probe->place.type == PLACE_DEVICE_DAX) {
        probe->holes.answer = probe->fallocate.answer = ANSWER_NONE;
        probe->punch.answer = ANSWER_NO;
        probe_kind_on_device(probe);
    } else {
        probe->kind.answer = ANSWER_NO;
        probe->kind.error = probe->place.error;
        return;
    }
    nodes_find(&probe->nodes, &probe->place, probe->dax.answer == ANSWER_YES);
}
