/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of memkind_memtier.h that put tiers together. */
#include <memkind_memtier.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <memkind/internal/memkind_private.h>

#include "call_result.h"
#include "kind_tally.h"
#include "last_error.h"
#include "tier_properties.h"
#include "tier_struct.h"

#define CACHE_LINE ((size_t)64)

/* ---- the builder -------------------------------------------------------- */

static void *refuse_to_make(const char *function, int error, const char *reason)
{
    last_error_begin();
    last_error_reason("%s", reason);
    (void)call_finish(function, error == ENOMEM ? MEMKIND_ERROR_MALLOC
                                                : MEMKIND_ERROR_INVALID);
    errno = error;
    return NULL;
}

struct memtier_builder *memtier_builder_new(memtier_policy_t policy)
{
    if ((unsigned)policy >= MEMTIER_POLICY_MAX_VALUE)
        return refuse_to_make(__func__, EINVAL, "there is no such policy");
    struct memtier_builder *builder = malloc(sizeof *builder);
    if (builder == NULL)
        return refuse_to_make(__func__, ENOMEM, "no DRAM for it");
    *builder = (struct memtier_builder){
        .policy = policy,
        .settings = tier_default_settings,
    };
    return builder;
}

void memtier_builder_delete(struct memtier_builder *builder)
{
    if (builder == NULL)
        return;
    free(builder->tiers);
    free(builder->thresholds);
    free(builder);
}

static bool has_kind(const struct memtier_builder *builder,
                     const struct memkind *kind)
{
    for (unsigned i = 0; i < builder->count; i++)
        if (builder->tiers[i].kind == kind)
            return true;
    return false;
}

/* Makes room for one more of both. */
static bool grow_lists(struct memtier_builder *builder)
{
    const size_t count = (size_t)builder->count + 1;
    struct tier *tiers = realloc(builder->tiers, count * sizeof *tiers);
    if (tiers == NULL)
        return false;
    builder->tiers = tiers;
    struct tier_threshold *thresholds =
        realloc(builder->thresholds, count * sizeof *thresholds);
    if (thresholds == NULL)
        return false;
    builder->thresholds = thresholds;
    return true;
}

int memtier_builder_add_tier(struct memtier_builder *builder, memkind_t kind,
                             unsigned kind_ratio)
{
    const int saved_errno = errno;
    if (builder == NULL)
        return call_refuse_argument(__func__, "there is no builder");
    if (kind == NULL || kind->ops == NULL)
        return call_refuse_argument(__func__, "not a kind");
    if (kind_ratio == 0)
        return call_refuse_argument(__func__, "the ratio is 0");
    if (has_kind(builder, kind))
        return call_refuse_argument(__func__, "another tier has the kind");
    last_error_begin();
    if (!grow_lists(builder))
        return call_finish(__func__, MEMKIND_ERROR_MALLOC);
    builder->thresholds[builder->count] =
        tier_default_threshold(builder->count);
    builder->tiers[builder->count++] = (struct tier){kind, kind_ratio};
    errno = saved_errno;
    return MEMKIND_SUCCESS;
}

int memtier_ctl_set(struct memtier_builder *builder, const char *name,
                    const void *val)
{
    if (builder == NULL || name == NULL || val == NULL)
        return call_refuse_argument(
            __func__, "the builder, the name or the value is NULL");
    last_error_begin();
    return call_finish(__func__, tier_property_set(builder, name, val)
                                     ? MEMKIND_SUCCESS
                                     : MEMKIND_ERROR_INVALID);
}

/* ---- the tiered memory -------------------------------------------------- */

static bool is_complete(const struct memtier_builder *builder)
{
    const unsigned least =
        builder->policy == MEMTIER_POLICY_DYNAMIC_THRESHOLD ? 2 : 1;
    if (builder->count < least) {
        last_error_reason("the policy needs %u tiers, and there are %u", least,
                          builder->count);
        return false;
    }
    return builder->policy != MEMTIER_POLICY_DYNAMIC_THRESHOLD ||
           tier_thresholds_are_valid(builder);
}

static void *copied(const void *from, size_t size)
{
    void *to = malloc(size);
    return to != NULL ? memcpy(to, from, size) : NULL;
}

static struct memtier_memory *construct(const struct memtier_builder *builder)
{
    const size_t count = builder->count;
    struct memtier_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return NULL;
    memory->policy = builder->policy;
    memory->count = builder->count;
    memory->settings = builder->settings;
    memory->view_size =
        (sizeof(struct tier_view) + count * sizeof(int64_t) + CACHE_LINE - 1) &
        ~(CACHE_LINE - 1);
    memory->tiers = copied(builder->tiers, count * sizeof *builder->tiers);
    memory->limits =
        copied(builder->thresholds, count * sizeof *builder->thresholds);
    memory->thresholds = calloc(count, sizeof *memory->thresholds);
    memory->views =
        aligned_alloc(CACHE_LINE, TALLY_STRIPES * memory->view_size);
    if (memory->tiers == NULL || memory->limits == NULL ||
        memory->thresholds == NULL || memory->views == NULL) {
        memtier_delete_memtier_memory(memory);
        return NULL;
    }
    memset(memory->views, 0, TALLY_STRIPES * memory->view_size);
    for (unsigned i = 0; i < count; i++)
        atomic_init(&memory->thresholds[i], builder->thresholds[i].value);
    return memory;
}

struct memtier_memory *
memtier_builder_construct_memtier_memory(struct memtier_builder *builder)
{
    const int saved_errno = errno;
    if (builder == NULL)
        return refuse_to_make(__func__, EINVAL, "there is no builder");
    last_error_begin();
    if (!is_complete(builder)) {
        (void)call_finish(__func__, MEMKIND_ERROR_INVALID);
        errno = EINVAL;
        return NULL;
    }
    struct memtier_memory *memory = construct(builder);
    if (memory == NULL)
        return refuse_to_make(__func__, ENOMEM, "no DRAM for it");
    errno = saved_errno;
    return memory;
}

void memtier_delete_memtier_memory(struct memtier_memory *memory)
{
    if (memory == NULL)
        return;
    free(memory->tiers);
    free(memory->limits);
    free(memory->thresholds);
    free(memory->views);
    free(memory);
}
