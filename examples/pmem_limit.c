/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens at the limit of a kind: an allocation gives NULL with errno
 * ENOMEM, everything that was allocated stays usable, and what is freed can be
 * allocated again.
 *
 * Run: pmem_limit [DIR]
 */
#include "example.h"

#define LIMIT (24 * EXAMPLE_MIB)
#define OBJECT_SIZE (48 * EXAMPLE_KIB)

/* Each object begins with this, so that no list of them is needed. */
struct object {
    struct object *next;
    size_t seed;
};

static void fill_rest(struct object *object)
{
    example_fill(object + 1, OBJECT_SIZE - sizeof(*object), object->seed);
}

static bool verify_rest(const struct object *object)
{
    return example_verify(object + 1, OBJECT_SIZE - sizeof(*object),
                          object->seed);
}

/* Allocates until nothing is left; gives the list and its length. */
static struct object *fill_kind(memkind_t kind, size_t *count)
{
    struct object *list = NULL;
    *count = 0;
    for (;;) {
        errno = 0;
        struct object *object = memkind_malloc(kind, OBJECT_SIZE);
        if (object == NULL) {
            return list;
        }
        object->next = list;
        object->seed = (*count)++;
        fill_rest(object);
        list = object;
    }
}

/* Frees the list; gives false where an object is not as it was written. */
static bool free_all(memkind_t kind, struct object *list)
{
    bool good = true;
    while (list != NULL) {
        struct object *next = list->next;
        good = verify_rest(list) && good;
        memkind_free(kind, list);
        list = next;
    }
    return good;
}

static int use_kind(memkind_t kind)
{
    size_t first = 0;
    struct object *list = fill_kind(kind, &first);
    int reason = errno;
    printf("full after %zu objects of %zu KiB (%zu KiB in all): %s\n", first,
           OBJECT_SIZE / EXAMPLE_KIB, first * OBJECT_SIZE / EXAMPLE_KIB,
           strerror(reason));
    if (reason != ENOMEM) {
        (void)free_all(kind, list);
        return example_fail_check("a full kind says ENOMEM");
    }
    if (first == 0 || first * OBJECT_SIZE > LIMIT) {
        (void)free_all(kind, list);
        return example_fail_check("the kind holds something, within its limit");
    }
    errno = 0;
    if (memkind_malloc(kind, 2 * LIMIT) != NULL || errno != ENOMEM) {
        (void)free_all(kind, list);
        return example_fail_check("more than the limit cannot be allocated");
    }
    if (!free_all(kind, list)) {
        return example_fail_check("a full kind keeps what was written");
    }

    size_t second = 0;
    list = fill_kind(kind, &second);
    printf("freed them all, and got %zu objects again\n", second);
    if (!free_all(kind, list)) {
        return example_fail_check("the second filling is kept as well");
    }
    if (second < first - first / 10) {
        return example_fail_check("freed space can be allocated again");
    }
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int err = memkind_create_pmem(dir, MEMKIND_PMEM_MIN_SIZE - 1, &kind);
    if (err != MEMKIND_ERROR_INVALID) {
        return example_fail_check("a limit below the least size is refused");
    }
    err = memkind_create_pmem(dir, LIMIT, &kind);
    if (err != MEMKIND_SUCCESS) {
        return example_fail("memkind_create_pmem", err);
    }
    printf("a kind of %zu KiB in %s\n", LIMIT / EXAMPLE_KIB, dir);
    return example_destroy(kind, use_kind(kind));
}
