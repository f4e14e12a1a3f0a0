/* SPDX-License-Identifier: BSD-2-Clause */
/* What each kind has in each of its directories, as a part of the statistics.
 */
#ifndef STATS_PLACES_H
#define STATS_PLACES_H

#include <stdbool.h>

#include "stats_text.h"

/* A line for each directory of a kind, or elements of an array in JSON. */
void stats_places_add(struct stats_text *text, bool is_json);

#endif
