/* SPDX-License-Identifier: BSD-2-Clause */
#include "hardening.h"

#include "memory_marks.h"
#include "options.h"

static bool hardening;

static bool is_built_in(void)
{
#ifdef MEMKIND_HARDENED
    return true;
#else
    return false;
#endif
}

void hardening_init(void)
{
    hardening = is_built_in() || option_is_on(OPTION_HARDENED) ||
                memory_marks_are_wanted();
}

bool hardening_is_on(void)
{
    return hardening;
}
