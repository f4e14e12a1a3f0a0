/* SPDX-License-Identifier: BSD-2-Clause */
#include "page_bits.h"

#include <sys/mman.h>

#include "sys_calls.h"

uint64_t *page_bits_new(size_t pages)
{
    void *bits = sys.mmap(NULL, page_bits_bytes(pages), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bits == MAP_FAILED)
        return NULL;
    (void)sys.madvise(bits, page_bits_bytes(pages), MADV_DONTDUMP);
    return bits;
}

void page_bits_drop(uint64_t **bits, size_t pages)
{
    if (*bits != NULL)
        sys.munmap(*bits, page_bits_bytes(pages));
    *bits = NULL;
}
