/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds by their size, and by the number of their objects. */
#include "scale_steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "page_size.h"
#include "region_pool.h"
#include "rounding.h"

/* More than all kinds here hold together. */
#define FILE_SYSTEM (64 * TIB)

/* ---- kinds of terabytes, full of large objects -------------------------- */

enum { FILL_PARTS = 64 };

#define OF_SIZE(name)                                                          \
    {                                                                          \
        (name), "bytes", TARGET_SIZE                                           \
    }

struct size_steps {
    struct scale_step create, empty, half, nearly, fill, first_null, null,
        evict, stats, free_all, purge, purge_again, destroy_empty, destroy_full;
    struct scale_fork_steps fork;
};

#define SIZE_STEPS(place)                                                      \
    {                                                                          \
        OF_SIZE(place ": create"), OF_SIZE(place ": malloc, kind empty"),      \
            OF_SIZE(place ": malloc, kind half full"),                         \
            OF_SIZE(place ": malloc, 98 % full"),                              \
            OF_SIZE(place ": fill with large objects"),                        \
            OF_SIZE(place ": first malloc that fails"),                        \
            OF_SIZE(place ": next malloc that fails"),                         \
            OF_SIZE(place ": free and malloc in a full kind"),                 \
            OF_SIZE(place ": statistics"), OF_SIZE(place ": free all"),        \
            OF_SIZE(place ": purge after that"),                               \
            OF_SIZE(place ": purge again"), OF_SIZE(place ": destroy, empty"), \
            OF_SIZE(place ": destroy, full"),                                  \
        {                                                                      \
            OF_SIZE(place ": fork of a full kind, parent"),                    \
                OF_SIZE(place ": fork of a full kind, child")                  \
        }                                                                      \
    }

/* What is asked for to get an object of that size also if checks add to it. */
static size_t large_size(const struct scale_effort *effort)
{
    return effort->large_object / 16 * 15;
}

static const struct size_steps size_steps[] = {SIZE_STEPS("pages"),
                                               SIZE_STEPS("DAX")};

struct filled {
    const struct scale_effort *effort;
    const struct size_steps *steps;
    memkind_t kind;
    double size;
    void **objects;
    size_t count, most;
};

/* Objects up to a number, or until there is no more room. */
static void add_objects(struct filled *filled, size_t until)
{
    while (filled->count < until && filled->count < filled->most) {
        void *object = memkind_malloc(filled->kind, large_size(filled->effort));
        if (object == NULL)
            break;
        filled->objects[filled->count++] = object;
    }
}

static void add_part(struct filled *filled, const struct scale_step *step,
                     size_t from)
{
    const size_t part = filled->most / FILL_PARTS;
    add_objects(filled, from);
    const size_t before = filled->count;
    const struct scale_mark mark = scale_begin();
    add_objects(filled, before + part);
    scale_end(step, filled->size, &mark, (double)part);
    EXPECT(filled->count == before + part);
}

static void fill(struct filled *filled)
{
    const struct size_steps *steps = filled->steps;
    const struct scale_mark start = scale_begin();
    const size_t most = filled->most, part = most / FILL_PARTS;
    struct scale_mark mark;
    void *object;
    add_part(filled, &steps->empty, 0);
    add_part(filled, &steps->half, most / 2);
    add_part(filled, &steps->nearly, most - 2 * part);
    for (;;) {
        mark = scale_begin();
        object = memkind_malloc(filled->kind, large_size(filled->effort));
        if (object == NULL)
            break;
        EXPECT(filled->count < most);
        if (filled->count == most)
            exit(1);
        filled->objects[filled->count++] = object;
    }
    EXPECT(errno == ENOMEM);
    scale_end(&steps->first_null, filled->size, &mark, 1);
    scale_end(&steps->fill, filled->size, &start, 1);
    EXPECT(filled->count >= most - 1 - most / 64);
    EXPECT(fake_space_held() == scale_charged(filled->kind));
    EXPECT((double)fake_space_held() <= filled->size);
}

static void use_full(const struct filled *filled)
{
    const struct size_steps *steps = filled->steps;
    const size_t size = large_size(filled->effort);
    const unsigned calls = filled->effort->calls;
    size_t value = 0;
    struct scale_mark mark;
    for (int batch = 0; batch < SCALE_BATCHES; batch++) {
        mark = scale_begin();
        for (unsigned i = 0; i < calls; i++)
            EXPECT(memkind_malloc(filled->kind, size) == NULL);
        scale_end(&steps->null, filled->size, &mark, calls);
        mark = scale_begin();
        for (unsigned i = 0; i < calls; i++) {
            void **object = &filled->objects[i * 7919 % filled->count];
            memkind_free(filled->kind, *object);
            *object = memkind_malloc(filled->kind, size);
            EXPECT(*object != NULL);
        }
        scale_end(&steps->evict, filled->size, &mark, calls);
    }
    mark = scale_begin();
    EXPECT(memkind_update_cached_stats() == MEMKIND_SUCCESS);
    EXPECT(memkind_get_stat(filled->kind, MEMKIND_STAT_TYPE_RESIDENT, &value) ==
           MEMKIND_SUCCESS);
    scale_end(&steps->stats, filled->size, &mark, 1);
    EXPECT(value >= filled->count * size);
    EXPECT(memkind_detect_kind(filled->objects[0]) == filled->kind);
    scale_fork(&steps->fork, filled->size, filled->kind, filled->objects[0]);
    EXPECT(fake_space_held() == scale_charged(filled->kind));
}

static void empty(struct filled *filled)
{
    const struct size_steps *steps = filled->steps;
    struct scale_mark mark = scale_begin();
    for (size_t i = 0; i < filled->count; i++)
        memkind_free(filled->kind, filled->objects[i]);
    scale_end(&steps->free_all, filled->size, &mark, 1);
    mark = scale_begin();
    EXPECT(memkind_purge_kind(filled->kind) == MEMKIND_SUCCESS);
    scale_end(&steps->purge, filled->size, &mark, 1);
    mark = scale_begin();
    EXPECT(memkind_purge_kind(filled->kind) == MEMKIND_SUCCESS);
    scale_end(&steps->purge_again, filled->size, &mark, 1);
    EXPECT(fake_space_held() == scale_charged(filled->kind));
    EXPECT(fake_space_held() <= 16 * MIB);
}

static void destroy(const struct filled *filled, const struct scale_step *step)
{
    const struct scale_mark mark = scale_begin();
    EXPECT(memkind_destroy_kind(filled->kind) == MEMKIND_SUCCESS);
    scale_end(step, filled->size, &mark, 1);
    EXPECT(fake_space_held() == 0 && fake_space_files() == 0);
}

static void measure_size(struct filled *filled, size_t size, bool empties)
{
    const struct size_steps *steps = filled->steps;
    const struct scale_mark mark = scale_begin();
    filled->kind = scale_make_kind(filled->effort, size);
    filled->size = (double)size;
    filled->count = 0;
    filled->most = size / filled->effort->large_object;
    scale_end(&steps->create, filled->size, &mark, 1);
    fill(filled);
    use_full(filled);
    if (empties)
        empty(filled);
    destroy(filled, empties ? &steps->destroy_empty : &steps->destroy_full);
}

void scale_sizes(const struct scale_effort *effort, bool is_dax)
{
    struct filled filled = {.effort = effort, .steps = &size_steps[is_dax]};
    size_t size = effort->least_size;
    const size_t largest = size << 2 * (effort->points - 1);
    static void **objects;
    if (objects == NULL)
        objects = fake_memory(largest / effort->large_object * sizeof(void *));
    filled.objects = objects;
    fake_space_install(is_dax, FILE_SYSTEM);
    for (; size <= largest; size *= SCALE_FACTOR) {
        measure_size(&filled, size, false);
        measure_size(&filled, size, true);
    }
    fake_space_remove();
}

/* ---- a pool ------------------------------------------------------------- */

static struct memkind_region_pool pool;
static int owner;

static char *open_pool(const struct scale_effort *effort, size_t size,
                       size_t block_size)
{
    bool commit = false, zeroed = false;
    char *block = NULL;
    if (region_pool_open_files(&pool, effort->dir, size, &owner) == 0)
        block = region_pool_alloc(&pool, block_size, 2 * MIB, &commit, &zeroed);
    if (block == NULL) {
        fprintf(stderr, "bench_scale: no block in a pool: %s\n",
                strerror(errno));
        exit(4);
    }
    return block;
}

static void close_pool(void)
{
    region_pool_close(&pool);
    EXPECT(fake_space_held() == 0 && fake_space_files() == 0);
}

#define COMMIT_STEP (2 * MIB)

struct pool_steps {
    struct scale_step open, first, half, last, fails, again, decommit_all,
        close;
};

#define POOL_STEPS(place)                                                      \
    {                                                                          \
        OF_SIZE(place ": pool, open"),                                         \
            OF_SIZE(place ": commit of 2 MiB, first"),                         \
            OF_SIZE(place ": commit of 2 MiB, half full"),                     \
            OF_SIZE(place ": commit of 2 MiB, last"),                          \
            OF_SIZE(place ": commit that fails"),                              \
            OF_SIZE(place ": decommit and commit of 2 MiB, full"),             \
            OF_SIZE(place ": decommit of all by 2 MiB"),                       \
            OF_SIZE(place ": pool, close")                                     \
    }

static const struct pool_steps pool_steps[] = {POOL_STEPS("pages"),
                                               POOL_STEPS("DAX")};

/* Commits what lies before `from`, then a number of steps with the clock. */
static size_t commit_part(const struct scale_step *step, char *block,
                          size_t size, size_t done, size_t from, unsigned count)
{
    if (done < from)
        EXPECT(region_pool_commit(&pool, block + done, from - done) == 0);
    if (done < from)
        done = from;
    const struct scale_mark mark = scale_begin();
    for (unsigned i = 0; i < count && done < size; i++, done += COMMIT_STEP)
        EXPECT(region_pool_commit(&pool, block + done, COMMIT_STEP) == 0);
    scale_end(step, (double)size, &mark, count);
    return done;
}

static void measure_pool(const struct scale_effort *effort,
                         const struct pool_steps *steps, size_t size)
{
    const unsigned count = effort->calls < 100 ? 8 : effort->calls;
    const double n = (double)size;
    struct scale_mark mark = scale_begin();
    char *block = open_pool(effort, size, size + size / 4);
    scale_end(&steps->open, n, &mark, 1);
    size_t done = commit_part(&steps->first, block, size, 0, 0, count);
    done = commit_part(&steps->half, block, size, done, size / 2, count);
    done = commit_part(&steps->last, block, size, done,
                       size - count * COMMIT_STEP, count);
    EXPECT(done == size && region_pool_charged(&pool) == size &&
           fake_space_held() == size);
    mark = scale_begin();
    for (unsigned i = 0; i < count; i++)
        EXPECT(region_pool_commit(&pool, block + size + i * COMMIT_STEP / 64,
                                  region_page_size()) == -ENOMEM);
    scale_end(&steps->fails, n, &mark, count);
    mark = scale_begin();
    for (unsigned i = 0; i < count; i++) {
        char *at = block + i * (size / count / COMMIT_STEP) * COMMIT_STEP;
        EXPECT(region_pool_decommit(&pool, at, COMMIT_STEP) == 0);
        EXPECT(region_pool_commit(&pool, at, COMMIT_STEP) == 0);
    }
    scale_end(&steps->again, n, &mark, count);
    EXPECT(fake_space_held() == size);
    mark = scale_begin();
    for (size_t at = 0; at < size; at += COMMIT_STEP)
        EXPECT(region_pool_decommit(&pool, block + at, COMMIT_STEP) == 0);
    scale_end(&steps->decommit_all, n, &mark, 1);
    EXPECT(region_pool_charged(&pool) == 0 && fake_space_held() == 0);
    mark = scale_begin();
    close_pool();
    scale_end(&steps->close, n, &mark, 1);
}

void scale_pools(const struct scale_effort *effort, bool is_dax)
{
    size_t size = effort->least_size;
    fake_space_install(is_dax, FILE_SYSTEM);
    for (unsigned i = 0; i < effort->points; i++, size *= SCALE_FACTOR)
        measure_pool(effort, &pool_steps[is_dax], size);
    fake_space_remove();
}

/* ---- grains that are split ---------------------------------------------- */

static const struct scale_step
    grains_touch = OF_SIZE("DAX: commit of a page in each grain"),
    grains_split = OF_SIZE("DAX: commit of a page that splits a grain"),
    grains_again = OF_SIZE("DAX: decommit and commit of a page, full"),
    grains_hopeless = OF_SIZE("DAX: commit of 6 TiB, no split can help"),
    grains_close = OF_SIZE("DAX: pool of split grains, close");

/* The budget is used up by grains of which one page is committed. */
static void measure_grains(const struct scale_effort *effort, size_t size)
{
    const size_t page = region_page_size(), grain = 2 * MIB;
    const unsigned count = effort->calls < 100 ? 8 : effort->calls;
    const double n = (double)size;
    char *block = open_pool(effort, size, 2 * size);
    struct scale_mark mark = scale_begin();
    for (size_t at = 0; at < size; at += grain)
        EXPECT(region_pool_commit(&pool, block + at, page) == 0);
    scale_end(&grains_touch, n, &mark, 1);
    EXPECT(pool.grain == grain && region_pool_charged(&pool) == size);
    mark = scale_begin();
    for (unsigned i = 0; i < count; i++)
        EXPECT(region_pool_commit(&pool, block + size + i * page, page) == 0);
    scale_end(&grains_split, n, &mark, count);
    EXPECT(region_pool_charged(&pool) <= size &&
           fake_space_held() == region_pool_charged(&pool));
    mark = scale_begin();
    for (unsigned i = 0; i < count; i++) {
        char *at = block + size + i * page;
        EXPECT(region_pool_decommit(&pool, at, page) == 0);
        EXPECT(region_pool_commit(&pool, at, page) == 0);
    }
    scale_end(&grains_again, n, &mark, count);
    /* More than all idle pages together. */
    char *next = block + size + round_up(count * page, grain);
    mark = scale_begin();
    for (unsigned i = 0; i < count; i++)
        EXPECT(region_pool_commit(&pool, next, size - size / 1024) == -ENOMEM);
    scale_end(&grains_hopeless, n, &mark, count);
    EXPECT(fake_space_held() == region_pool_charged(&pool));
    mark = scale_begin();
    close_pool();
    scale_end(&grains_close, n, &mark, 1);
}

void scale_grains(const struct scale_effort *effort)
{
    size_t size = effort->least_size;
    fake_space_install(true, FILE_SYSTEM);
    for (unsigned i = 0; i < effort->points; i++, size *= SCALE_FACTOR)
        measure_grains(effort, size);
    fake_space_remove();
}

/* ---- many objects ------------------------------------------------------- */

enum { OBJECT_SIZE = 600 };

#define OF_OBJECTS(name)                                                       \
    {                                                                          \
        (name), "objects", TARGET_OBJECTS                                      \
    }

static const struct scale_step
    objects_malloc = OF_OBJECTS("objects of 600 B: malloc of all"),
    objects_half = OF_OBJECTS("objects of 600 B: free of every second one"),
    objects_refill = OF_OBJECTS("objects of 600 B: malloc of as many"),
    objects_free = OF_OBJECTS("objects of 600 B: free of all, in no order"),
    objects_purge = OF_OBJECTS("objects of 600 B: purge after that"),
    objects_destroy = OF_OBJECTS("objects of 600 B: destroy with all of them");

/* As many as fill 6 TiB. */
static const struct scale_step objects_of_64 = {
    "objects of 64 B: malloc of all", "objects", TARGET_SIZE / 64};
static const struct scale_step objects_of_4096 = {
    "objects of 4 KiB: malloc of all", "objects", TARGET_SIZE / 4096};

struct many {
    memkind_t kind;
    void **objects;
    size_t count, size;
};

/* A walk over all numbers below n, which is no multiple of the stride. */
static size_t shuffled(size_t i, size_t n)
{
    return i * 1000003 % n;
}

static void make_many(const struct scale_effort *effort,
                      const struct scale_step *step, struct many *many)
{
    many->kind = scale_make_kind(effort, effort->objects_limit);
    const struct scale_mark mark = scale_begin();
    for (size_t i = 0; i < many->count; i++)
        many->objects[i] = memkind_malloc(many->kind, many->size);
    scale_end(step, (double)many->count, &mark, 1);
    for (size_t i = 0; i < many->count; i += many->count / 100) {
        EXPECT(memkind_detect_kind(many->objects[i]) == many->kind);
        EXPECT(memkind_malloc_usable_size(many->kind, many->objects[i]) >=
               many->size);
    }
    EXPECT(fake_space_held() >= many->count * many->size);
    EXPECT(fake_space_held() == scale_charged(many->kind));
}

static void destroy_many(const struct many *many)
{
    const struct scale_mark mark = scale_begin();
    EXPECT(memkind_destroy_kind(many->kind) == MEMKIND_SUCCESS);
    if (many->size == OBJECT_SIZE)
        scale_end(&objects_destroy, (double)many->count, &mark, 1);
}

static void exchange_many(const struct many *many)
{
    const double n = (double)many->count;
    struct scale_mark mark = scale_begin();
    for (size_t i = 0; i < many->count; i += 2)
        memkind_free(many->kind, many->objects[i]);
    scale_end(&objects_half, n, &mark, 1);
    mark = scale_begin();
    for (size_t i = 0; i < many->count; i += 2)
        many->objects[i] = memkind_malloc(many->kind, many->size);
    scale_end(&objects_refill, n, &mark, 1);
    EXPECT(many->objects[0] != NULL);
}

static void free_many(const struct many *many)
{
    const double n = (double)many->count;
    struct scale_mark mark = scale_begin();
    for (size_t i = 0; i < many->count; i++)
        memkind_free(many->kind, many->objects[shuffled(i, many->count)]);
    scale_end(&objects_free, n, &mark, 1);
    mark = scale_begin();
    EXPECT(memkind_purge_kind(many->kind) == MEMKIND_SUCCESS);
    scale_end(&objects_purge, n, &mark, 1);
    EXPECT(fake_space_held() == scale_charged(many->kind));
    EXPECT(fake_space_held() <= 16 * MIB);
}

void scale_objects(const struct scale_effort *effort)
{
    struct many many = {.count = effort->least_objects};
    const size_t most = many.count << 2 * (effort->points - 1);
    many.objects = fake_memory(most * sizeof *many.objects);
    memset(many.objects, 0xff, most * sizeof *many.objects);
    fake_space_install(false, FILE_SYSTEM);
    for (; many.count <= most; many.count *= SCALE_FACTOR) {
        for (int i = 0; i < 2 && many.count * SCALE_FACTOR <= most; i++) {
            many.size = i == 0 ? 64 : 4096;
            make_many(effort, i == 0 ? &objects_of_64 : &objects_of_4096,
                      &many);
            destroy_many(&many);
        }
        many.size = OBJECT_SIZE;
        make_many(effort, &objects_malloc, &many);
        destroy_many(&many);
        make_many(effort, &objects_malloc, &many);
        exchange_many(&many);
        free_many(&many);
        EXPECT(memkind_destroy_kind(many.kind) == MEMKIND_SUCCESS);
    }
    fake_space_remove();
}
