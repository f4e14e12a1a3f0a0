/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of the private jemalloc, and what cmake/embed_jemalloc.sh has it call
 * in place of functions of its own or of libc. For threads and fork() see
 * jemalloc_thread.c and jemalloc_fork.c.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "debug_log.h"
#include "jemalloc_conf.h"
#include "jemalloc_private.h"
#include "records_ahead.h"
#include "retention.h"
#include "sys_calls.h"

#ifdef MEMKIND_JEMALLOC_EMBEDDED

extern const char *JE_NAME(malloc_conf_2_conf_harder);
extern void (*JE_NAME(malloc_message))(void *, const char *);
extern bool JE_NAME(opt_cache_oblivious);
extern bool JE_NAME(opt_disable_large_size_classes) __attribute__((weak));
char *JE_NAME(getenv)(const char *name);
ssize_t JE_NAME(readlink)(const char *path, char *buffer, size_t size);
bool JE_NAME(unmap_base)(void *addr, size_t size);
void *JE_NAME(mmap)(void *addr, size_t size, int prot, int flags, int fd,
                    off_t offset);
int JE_NAME(munmap)(void *addr, size_t size);
int JE_NAME(madvise)(void *addr, size_t size, int advice);
int JE_NAME(mprotect)(void *addr, size_t size, int prot);

#define TEXT_OF(number) #number
#define DECAYS(dirty, muzzy)                                                   \
    "dirty_decay_ms:" TEXT_OF(dirty) ",muzzy_decay_ms:" TEXT_OF(muzzy) ","

const char *JE_NAME(malloc_conf_2_conf_harder) =
    /* No message, no abort, no filling: we are a library. Profiling is off by
     * default; a jemalloc that was built without it complains about the option.
     */
    "abort:false,abort_conf:false,confirm_conf:false,stats_print:false,"
    "junk:false,zero:false,"
    /* Blocks are kept for ever; see extent_hooks.h. */
    "retain:true,"
    /* Freed pages wait in the dirty list only; the muzzy one is for memory
     * that madvise(2) can take away. */
    DECAYS(DECAY_DEFAULT_MS, MUZZY_DECAY_MS)
    /* Objects over 8 MiB are reused like any other. */
    "oversize_threshold:0,"
    /* The program's break is its own malloc's. */
    "dss:disabled,"
    /* Automatic arenas hold the library's own data alone. */
    "narenas:1,percpu_arena:disabled,"
    /* Caches of jemalloc's would serve the library's own data alone, and take
     * 28 KiB of each thread, which fork() has to copy. */
    "tcache:false,"
    "hpa:false,san_guard_small:0,san_guard_large:0,background_thread:false";

static void report_message(void *opaque, const char *message)
{
    (void)opaque;
    debug_log("%s", message);
}

void jemalloc_conf_init(void)
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

/* In place of extent_dalloc_mmap() for the data of a destroyed arena: that
 * would keep the address space. False is success. */
bool JE_NAME(unmap_base)(void *addr, size_t size)
{
    /* A failure is not reported to jemalloc: it would try other ways, and if
     * none of them works, run into code that it takes to be unreachable. */
    if (sys.munmap(addr, size) != 0) {
        debug_log("%zu bytes of an arena's data cannot be unmapped", size);
        (void)sys.madvise(addr, size, MADV_DONTNEED);
    }
    return false;
}

/* What jemalloc's memory comes from. It may be called before any constructor
 * has run: the table is filled by the loader. */
void *JE_NAME(mmap)(void *addr, size_t size, int prot, int flags, int fd,
                    off_t offset)
{
    void *base = sys.mmap(addr, size, prot, flags, fd, offset);
    records_ahead_note_mapping(base, size);
    return base;
}

int JE_NAME(munmap)(void *addr, size_t size)
{
    return sys.munmap(addr, size);
}

int JE_NAME(madvise)(void *addr, size_t size, int advice)
{
    return sys.madvise(addr, size, advice);
}

int JE_NAME(mprotect)(void *addr, size_t size, int prot)
{
    return sys.mprotect(addr, size, prot);
}

#else

void jemalloc_conf_init(void)
{
}

#endif
