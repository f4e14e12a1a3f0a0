/* SPDX-License-Identifier: BSD-2-Clause */
/* What one call gives back of the space that a region owes: pages of
 * region_owed.h, or bytes in grains of grain_split.h. */
#ifndef PAYMENT_H
#define PAYMENT_H

#include <stdbool.h>
#include <stddef.h>

struct payment {
    size_t most, paid;
    unsigned failures, failures_most;
    bool insists; /* failures end it only after something was paid */
    bool is_kept; /* no space can ever be given back */
};

static inline bool payment_goes_on(const struct payment *payment)
{
    return payment->paid < payment->most && !payment->is_kept &&
           (payment->failures < payment->failures_most ||
            (payment->insists && payment->paid == 0));
}

#endif
