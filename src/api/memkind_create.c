/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of memkind.h that give out and destroy kinds. */
#include <memkind.h>

#include <errno.h>
#include <stdio.h>

#include <memkind/internal/memkind_fixed.h>
#include <memkind/internal/memkind_pmem.h>

#include "allocator_gate.h"
#include "call_result.h"
#include "kind_fork_policy.h"
#include "kind_reclaim.h"
#include "kind_registry.h"
#include "last_error.h"
#include "memkind_config.h"
#include "misuse.h"
#include "numa_kinds.h"
#include "numa_places.h"
#include "static_kinds.h"

/* The caller is an extent hook, or a signal handler that has interrupted the
 * library: the thread may hold locks that come after the registry's. */
static bool is_called_inside(void)
{
    if (!allocator_is_inside())
        return false;
    last_error_reason(REASON_REENTERED);
    errno = EDEADLK;
    return true;
}

/* Makes a kind of the library's own storage by an operation table. */
static int create_kind(struct memkind_ops *ops, const char *name_prefix,
                       const void *source, memkind_t *kind)
{
    if (is_called_inside())
        return MEMKIND_ERROR_OPERATION_FAILED;
    struct memkind *created = kind_storage_get();
    if (created == NULL) {
        last_error_reason("%d kinds exist already, the most that there can be "
                          "(MEMKIND_MAX_KIND)",
                          MEMKIND_MAX_KIND);
        return MEMKIND_ERROR_TOOMANY;
    }
    char name[MEMKIND_NAME_LENGTH_PRIV];
    snprintf(name, sizeof name, "%s%u", name_prefix, created->partition);
    created->priv = (void *)source;
    int saved_errno = errno;
    int err = ops->create(created, ops, name);
    if (err != MEMKIND_SUCCESS) {
        saved_errno = errno;
        kind_storage_put(created);
        errno = saved_errno;
        return err;
    }
    errno = saved_errno;
    *kind = created;
    return MEMKIND_SUCCESS;
}

/* No handle is given out by a call that fails. Returns whether there is a place
 * for one. */
static bool begin_creation(memkind_t *kind)
{
    last_error_begin();
    if (kind != NULL)
        *kind = NULL;
    else
        last_error_reason("the pointer that the kind is stored to is NULL");
    return kind != NULL;
}

/* Something is wrong with an argument; the reason is known. */
static int refuse_creation(const char *function)
{
    errno = EINVAL;
    return call_finish(function, MEMKIND_ERROR_INVALID);
}

static int create_pmem(struct memkind_pmem_source *source, memkind_t *kind)
{
    if (source->dir != NULL && source->fork_policy == FORK_UNSET) {
        int err = kind_fork_policy_default(source->dir, &source->fork_policy);
        if (err != MEMKIND_SUCCESS)
            return err;
    }
    if (source->dir != NULL)
        return create_kind(&MEMKIND_PMEM_OPS, "pmem", source, kind);
    last_error_reason("the directory is NULL");
    errno = EINVAL;
    return MEMKIND_ERROR_INVALID;
}

int memkind_create_pmem(const char *dir, size_t max_size, memkind_t *kind)
{
    struct memkind_pmem_source source = {
        .dir = dir, .fd = -1, .max_size = max_size, .fork_policy = FORK_UNSET};
    if (begin_creation(kind))
        return call_finish(__func__, create_pmem(&source, kind));
    return refuse_creation(__func__);
}

static int create_by_config(const struct memkind_config *cfg, memkind_t *kind)
{
    struct memkind_pmem_source source = {
        .dir = cfg->pmem_dir,
        .fd = -1,
        .max_size = cfg->pmem_size,
        .fork_policy = cfg->fork_policy,
        .dump_objects = cfg->dump_objects,
        .background_destroy = cfg->background_destroy,
        .further_dirs = (const char *const *)cfg->further_dirs,
        .further_count = cfg->further_count,
    };
    int err = create_pmem(&source, kind);
    if (err != MEMKIND_SUCCESS)
        return err;
    if (cfg->decay_ms != DECAY_UNSET_MS)
        kind_set_decay(*kind, cfg->decay_ms);
    err = (*kind)->ops->update_memory_usage_policy(*kind, cfg->policy);
    if (err == MEMKIND_SUCCESS)
        return err;
    (void)memkind_destroy_kind(*kind);
    *kind = NULL;
    return err;
}

int memkind_create_pmem_with_config(struct memkind_config *cfg, memkind_t *kind)
{
    const int saved_errno = errno;
    bool has_arguments = begin_creation(kind);
    if (cfg == NULL) {
        last_error_reason("the configuration is NULL");
        has_arguments = false;
    }
    if (has_arguments && config_is_valid(cfg))
        return call_finish_keeping(__func__, create_by_config(cfg, kind),
                                   saved_errno);
    return refuse_creation(__func__);
}

int memkind_create_fixed(void *addr, size_t size, memkind_t *kind)
{
    const struct memkind_fixed_source source = {addr, size};
    bool has_arguments = begin_creation(kind);
    if (addr == NULL) {
        last_error_reason("the area is NULL");
        has_arguments = false;
    }
    if (has_arguments)
        return call_finish(
            __func__, create_kind(&MEMKIND_FIXED_OPS, "fixed", &source, kind));
    return refuse_creation(__func__);
}

/* The static kind that one of such memory is like; NULL if there is none. */
static struct memkind *model_of(unsigned types, memkind_policy_t policy,
                                unsigned flags)
{
    enum {
        ordinary = MEMKIND_MEMTYPE_DEFAULT,
        fast = MEMKIND_MEMTYPE_HIGH_BANDWIDTH,
        huge = MEMKIND_MASK_PAGE_SIZE_2MB,
    };
    static const struct {
        unsigned types;
        memkind_policy_t policy;
        unsigned flags;
        int partition;
    } known[] = {
#define KNOWN(TYPES, POLICY, FLAGS, NAME)                                      \
    {(TYPES), MEMKIND_POLICY_##POLICY, (FLAGS), MEMKIND_PARTITION_##NAME}
        KNOWN(ordinary, PREFERRED_LOCAL, 0, DEFAULT),
        KNOWN(ordinary, PREFERRED_LOCAL, huge, HUGETLB),
        KNOWN(fast, BIND_LOCAL, 0, HBW),
        KNOWN(fast, BIND_LOCAL, huge, HBW_HUGETLB),
        KNOWN(fast, BIND_ALL, 0, HBW_ALL),
        KNOWN(fast, BIND_ALL, huge, HBW_ALL_HUGETLB),
        KNOWN(fast, PREFERRED_LOCAL, 0, HBW_PREFERRED),
        KNOWN(fast, PREFERRED_LOCAL, huge, HBW_PREFERRED_HUGETLB),
        KNOWN(fast, INTERLEAVE_ALL, 0, HBW_INTERLEAVE),
        KNOWN(ordinary | fast, INTERLEAVE_ALL, 0, INTERLEAVE),
#undef KNOWN
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].types == types && known[i].policy == policy &&
            known[i].flags == flags)
            return static_kind(known[i].partition);
    return NULL;
}

int memkind_create_kind(memkind_memtype_t memtype_flags,
                        memkind_policy_t policy, memkind_bits_t flags,
                        memkind_t *kind)
{
    const unsigned types = (unsigned)memtype_flags;
    if (!begin_creation(kind))
        return call_finish(__func__, MEMKIND_ERROR_INVALID);
    struct memkind *model = model_of(types, policy, (unsigned)flags);
    if (model == NULL)
        return call_refuse_argument(
            __func__, "no such combination of type, policy and flags");
    if (model == MEMKIND_DEFAULT)
        return call_finish(
            __func__, create_kind(&static_kind_dram_ops, "dram", NULL, kind));
    const struct numa_place *place = NULL;
    if (types != MEMKIND_MEMTYPE_DEFAULT &&
        numa_kind_find(MEMKIND_HBW, &place) != MEMKIND_SUCCESS)
        return call_finish(__func__, MEMKIND_ERROR_MEMTYPE_NOT_AVAILABLE);
    int err = numa_kind_find(model, &place);
    if (err == MEMKIND_SUCCESS)
        err = create_kind(&numa_created_ops, "numa", place, kind);
    return call_finish(__func__, err);
}

int memkind_destroy_kind(memkind_t kind)
{
    if (kind == NULL)
        return call_refuse_argument(__func__, "the kind is NULL");
    /* As with libmemkind: programs end with this call whichever kind they
     * use. */
    if (static_kind_owns(kind))
        return MEMKIND_SUCCESS;
    last_error_begin();
    if (is_called_inside())
        return call_finish(__func__, MEMKIND_ERROR_OPERATION_FAILED);
    if (!kind_registry_contains(kind)) {
        misuse_report(MEMKIND_MISUSE_DEAD_KIND, kind, NULL);
        last_error_reason(REASON_DEAD_KIND);
        return call_finish(__func__, MEMKIND_ERROR_OPERATION_FAILED);
    }
    int saved_errno = errno;
    int err =
        call_finish_keeping(__func__, kind->ops->destroy(kind), saved_errno);
    if (kind_storage_owns(kind))
        kind_storage_put(kind);
    return err;
}

int memkind_get_kind_by_partition(int partition, memkind_t *kind)
{
    if (!begin_creation(kind))
        return call_finish(__func__, MEMKIND_ERROR_INVALID);
    *kind = static_kind(partition);
    if (*kind == NULL)
        last_error_reason("%d is the partition of no static kind", partition);
    return call_finish(__func__, *kind != NULL ? MEMKIND_SUCCESS
                                               : MEMKIND_ERROR_UNAVAILABLE);
}
