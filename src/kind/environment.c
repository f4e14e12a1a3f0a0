/* SPDX-License-Identifier: BSD-2-Clause */
#include "environment.h"

#include <ctype.h>
#include <errno.h>
#include <memkind.h>
#include <stdlib.h>
#include <string.h>

#include "debug_log.h"

int environment_number(const char *name, size_t least, size_t most, bool *set,
                       size_t *value)
{
    const char *text = secure_getenv(name);
    *set = text != NULL;
    if (text == NULL)
        return MEMKIND_SUCCESS;
    char *end;
    int saved_errno = errno;
    errno = 0;
    /* strtoul() would take a sign, and wrap a negative number around. */
    unsigned long number = strtoul(text, &end, 10);
    bool valid = errno == 0 && isdigit((unsigned char)text[0]) &&
                 *end == '\0' && number >= least && number <= most;
    errno = saved_errno;
    if (!valid) {
        debug_log("%s=%s is not a number from %zu to %zu", name, text, least,
                  most);
        return MEMKIND_ERROR_ENVIRON;
    }
    *value = number;
    return MEMKIND_SUCCESS;
}

static bool is_one(const char *name)
{
    const char *text = secure_getenv(name);
    return text != NULL && strcmp(text, "1") == 0;
}

bool environment_hog_memory(void)
{
    return is_one("MEMKIND_HOG_MEMORY");
}

bool environment_core_dump(void)
{
    return is_one("MEMKIND_CORE_DUMP");
}
