/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_probe.h"

#include "tool_probe_files.h"
#include "tool_probe_kind.h"
#include "tool_units.h"

static uint64_t large_units(uint64_t touched, uint64_t faults)
{
    const uint64_t pages = LARGE_PAGE / page_size();
    uint64_t units = touched / LARGE_PAGE;
    /* One fault for a unit that has a mapping of 2 MiB, `pages` for another. */
    if (faults <= units)
        return units;
    uint64_t missed = (faults - units) / (pages - 1);
    return missed < units ? units - missed : 0;
}

uint64_t probe_large_units(const struct probe *probe)
{
    return large_units(probe->touched, probe->faults);
}

uint64_t probe_least_units(const struct probe *probe)
{
    return large_units(probe->touched, probe->most_faults);
}

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
    }
}
