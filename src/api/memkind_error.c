/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of errors. */
#include <memkind.h>

#include <stdio.h>

#include "kind_error.h"
#include "last_error.h"

/* Programs look for it, as it is what libmemkind's messages begin with. */
#define PREFIX "<memkind> "

void memkind_error_message(int err, char *msg, size_t size)
{
    if (msg == NULL || size == 0)
        return;
    const char *text = kind_error_text(err);
    if (text != NULL)
        snprintf(msg, size, PREFIX "%s", text);
    else
        snprintf(msg, size, PREFIX "Undefined error number: %d", err);
}

const char *memkind_last_error(void)
{
    return last_error_text();
}
