/* SPDX-License-Identifier: BSD-2-Clause */
#include "stats_places.h"

#include "kind_heap.h"
#include "kind_registry.h"
#include "pool_place_use.h"

struct places_text {
    struct stats_text *text;
    bool is_json, has_kinds;
};

static void add_line(struct stats_text *text, const struct memkind *kind,
                     const struct pool_place_use *use)
{
    stats_text_add(text, "Kind ");
    stats_text_add_string(text, kind->name);
    stats_text_add(text, " in ");
    stats_text_add_string(text, use->path);
    stats_text_addf(text, ": %zu bytes of file space, %u file%s\n", use->space,
                    use->files, use->files == 1 ? "" : "s");
}

static void add_element(struct stats_text *text,
                        const struct pool_place_use *use, bool is_first)
{
    stats_text_add(text, is_first ? "{\"path\":" : ",{\"path\":");
    stats_text_add_string(text, use->path);
    stats_text_addf(text, ",\"files\":%u,\"space\":%zu}", use->files,
                    use->space);
}

static void add_kind(struct memkind *kind, void *context)
{
    struct places_text *places = context;
    struct pool_place_use use;
    const struct memkind_region_pool *pool = kind_regions_of(kind);
    unsigned index = 0;
    if (pool == NULL || !pool_place_use(pool, 0, &use))
        return;
    if (places->is_json) {
        stats_text_add(places->text,
                       places->has_kinds ? ",{\"name\":" : "{\"name\":");
        stats_text_add_string(places->text, kind->name);
        stats_text_add(places->text, ",\"directories\":[");
        places->has_kinds = true;
    }
    for (; pool_place_use(pool, index, &use); index++) {
        if (places->is_json)
            add_element(places->text, &use, index == 0);
        else
            add_line(places->text, kind, &use);
    }
    if (places->is_json)
        stats_text_add(places->text, "]}");
}

void stats_places_add(struct stats_text *text, bool is_json)
{
    struct places_text places = {.text = text, .is_json = is_json};
    kind_registry_lock();
    kind_registry_visit(add_kind, &places);
    kind_registry_unlock();
}
