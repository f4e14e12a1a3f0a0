/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_probe.h"

#include "tool_units.h"

static uint64_t large_units(uint64_t touched, uint64_t faults)
{
    const uint64_t pages = LARGE_PAGE / page_size();
    uint64_t units = touched / LARGE_PAGE;
    /* A unit with a mapping of 2 MiB takes one fault, any other one `pages`. */
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
