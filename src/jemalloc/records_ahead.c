/* SPDX-License-Identifier: BSD-2-Clause */
#include "records_ahead.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "jemalloc_private.h"
#include "sys_calls.h"
#include "tls_model.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

#define RECORD_SIZE ((uintptr_t)128)
#define STEP ((uintptr_t)64 << 10)
/* The blocks that records are cut from begin and end at multiples of it. At
 * such an address another one may follow, or none. */
#define BLOCK_UNIT ((uintptr_t)2 << 20)

/* What cmake/embed_jemalloc.sh makes of jemalloc's base_alloc_edata(); calls of
 * that come to our own. */
void *JE_NAME(real_base_alloc_edata)(void *tsdn, void *base);
void *JE_NAME(base_alloc_edata)(void *tsdn, void *base);

/* Whether the thread is about to have a record made. */
static __thread bool needs_record TLS_MODEL;

/* Advice that the kernel need not follow; the caller does not see that. */
static void advise(void *base, size_t size, int advice)
{
    const int saved_errno = errno;
    (void)sys.madvise(base, size, advice);
    errno = saved_errno;
}

void records_ahead_note_mapping(void *base, size_t size)
{
    if (needs_record && base != MAP_FAILED)
        advise(base, size, MADV_HUGEPAGE);
}

void *JE_NAME(base_alloc_edata)(void *tsdn, void *base)
{
    const bool outer = needs_record;
    needs_record = true;
    void *record = JE_NAME(real_base_alloc_edata)(tsdn, base);
    needs_record = outer;
    if (record == NULL)
        return NULL;
    char *next = (char *)record + RECORD_SIZE;
    /* Records come in the order of their addresses: the next ones will be
     * there. If the kernel is too old or has no memory, each page is taken when
     * it is used. */
    if ((uintptr_t)next % STEP == 0 && (uintptr_t)next % BLOCK_UNIT != 0)
        advise(next, STEP, MADV_POPULATE_WRITE);
    return record;
}

#endif
