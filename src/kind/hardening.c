/* SPDX-License-Identifier: BSD-2-Clause */
#include "hardening.h"

#include <stdlib.h>
#include <string.h>

#include "memory_marks.h"

static bool is_on;

static bool is_wanted(void)
{
#ifdef MEMKIND_HARDENED
    return true;
#else
    const char *text = secure_getenv("MEMKIND_HARDENED");
    return (text != NULL && strcmp(text, "1") == 0) ||
           memory_marks_are_wanted();
#endif
}

/* Before any kind is made, and never changed after that. */
__attribute__((constructor(101))) static void decide(void)
{
    is_on = is_wanted();
}

bool hardening_is_on(void)
{
    return is_on;
}
