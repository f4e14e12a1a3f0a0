/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system whose space is only counted: sys_calls.h's table answers
 * fallocate(2), holes, fstat(2) and statvfs(3) from numbers here, so that a
 * kind of terabytes takes no space at all as long as its pages are not touched.
 * Files are without a name, in memory, and as large as they say. What is noted
 * about them lies in shared memory, so that RssAnon of the process is that of
 * the library.
 */
#ifndef FAKE_SPACE_H
#define FAKE_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Replaces and restores the table. No other thread runs, and there is no file.
 * is_dax: libpmem takes each file for persistent memory, else for none
 * size: bytes of the file system */
void fake_space_install(bool is_dax, size_t size);
void fake_space_remove(void);

/* Changes the size while there are files. */
void fake_space_resize(size_t size);

/* Around fork(2): the child's calls do not change what is noted, which is the
 * parent's. */
void fake_space_freeze(bool freeze);

/* Bytes that all files hold, and how many files there are. */
size_t fake_space_held(void);
unsigned fake_space_files(void);

/* What has been asked since the program began. */
struct fake_calls {
    uint64_t allocations, punches, barriers, others;
    uint64_t ns; /* of all of them, in here */
};
struct fake_calls fake_calls_made(void);

/* Memory that is not counted as the library's; it stays. Zeroed. */
void *fake_memory(size_t size);

uint64_t fake_now_ns(void);

/* CPU time of this thread, and of all threads. A call takes a microsecond on
 * some machines. */
uint64_t fake_cpu_ns(void);
uint64_t fake_cpu_of_all_ns(void);

#endif
