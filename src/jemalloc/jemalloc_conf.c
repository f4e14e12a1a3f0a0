/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of the private jemalloc, and what cmake/embed_jemalloc.sh has it call
 * in place of functions of its own or of libc.
 */
#include <sys/mman.h>
#include <sys/types.h>

#include "debug_log.h"
#include "jemalloc_private.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

extern const char *JE_NAME(malloc_conf_2_conf_harder);
extern void (*JE_NAME(malloc_message))(void *, const char *);
extern bool JE_NAME(opt_cache_oblivious);
extern bool JE_NAME(opt_disable_large_size_classes) __attribute__((weak));
char *JE_NAME(getenv)(const char *name);
ssize_t JE_NAME(readlink)(const char *path, char *buffer, size_t size);
bool JE_NAME(unmap_base)(void *addr, size_t size);

const char *JE_NAME(malloc_conf_2_conf_harder) =
    /* No message, no abort, no filling, no profiling: we are a library. */
    "abort:false,abort_conf:false,confirm_conf:false,stats_print:false,"
    "junk:false,zero:false,prof:false,"
    /* Blocks are kept for ever; see extent_hooks.h. */
    "retain:true,"
    /* Freed pages wait in the dirty list only; the muzzy one is for memory
     * that madvise(2) can take away. */
    "dirty_decay_ms:10000,muzzy_decay_ms:0,"
    /* Objects over 8 MiB are reused like any other. */
    "oversize_threshold:0,"
    /* Automatic arenas hold the library's own data alone. */
    "narenas:1,percpu_arena:disabled,"
    "tcache:true,tcache_max:32768,"
    "hpa:false,san_guard_small:0,san_guard_large:0,background_thread:false";

static void report_message(void *opaque, const char *message)
{
    (void)opaque;
    debug_log("%s", message);
}

/* Before jemalloc's own constructor, which has no priority. */
__attribute__((constructor(101))) static void configure(void)
{
    JE_NAME(malloc_message) = report_message;
    /* Large objects start at a page, and take no page more than they need:
     * file space is what users count. 5.3.0 has no option for it, only the
     * variable. */
    JE_NAME(opt_cache_oblivious) = false;
    /* Since 5.3.1, objects over 32 KiB would have any number of pages; caches
     * are for size classes. */
    if (&JE_NAME(opt_disable_large_size_classes) != NULL)
        JE_NAME(opt_disable_large_size_classes) = false;
}

/* For secure_getenv() and readlink(): MALLOC_CONF and /etc/malloc.conf are
 * meant for the process's own malloc. */
char *JE_NAME(getenv)(const char *name)
{
    (void)name;
    return NULL;
}

ssize_t JE_NAME(readlink)(const char *path, char *buffer, size_t size)
{
    (void)path, (void)buffer, (void)size;
    return -1;
}

/* For extent_dalloc_mmap() where the data of a destroyed arena goes: that
 * would keep the address space. False is success. */
bool JE_NAME(unmap_base)(void *addr, size_t size)
{
    return munmap(addr, size) != 0;
}

#endif
