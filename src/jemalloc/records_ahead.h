/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for jemalloc's records of extents (edata_t), which is taken ahead of
 * need. jemalloc reads a fresh record before it stores to it. In memory that is
 * untouched, that costs two faults for each page, and the second one, which
 * replaces the kernel's page of zeros, interrupts all CPUs that run threads of
 * the process.
 */
#ifndef RECORDS_AHEAD_H
#define RECORDS_AHEAD_H

#include <stddef.h>

#ifdef MEMKIND_JEMALLOC_EMBEDDED

/* Called by whatever maps memory for jemalloc. An arena's first block of data
 * is mapped when the arena is made. If it needs another one for records, it has
 * many of them, and the block gets huge pages, if the kernel has them for those
 * who ask. */
void records_ahead_note_mapping(void *base, size_t size);

#endif

#endif
