/* SPDX-License-Identifier: BSD-2-Clause */
/* The properties of a builder that have names (memtier_ctl_set()). */
#ifndef TIER_PROPERTIES_H
#define TIER_PROPERTIES_H

#include <stdbool.h>

#include "tier_struct.h"

extern const struct tier_settings tier_default_settings;

/* What the threshold behind the tier of that number is without a setting. */
struct tier_threshold tier_default_threshold(unsigned number);

/* Sets one; false, with the reason (last_error.h), if there is no such
 * property, or the text is no value of it. */
bool tier_property_set(struct memtier_builder *builder, const char *name,
                       const char *text);

/* Whether all thresholds lie within their limits, and these do not overlap;
 * otherwise the reason is said. */
bool tier_thresholds_are_valid(const struct memtier_builder *builder);

#endif
