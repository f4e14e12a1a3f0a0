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
        example_fill(object + 1, OBJECT_SIZE - sizeof(*object), object->seed);
        list = object;
    }
}

/* Frees the list; gives false if an object is not as it was written. */
static bool free_all(memkind_t kind, struct object *list)
{
    bool good = true;
    while (list != NULL) {
        struct object *next = list->next;
        good =
            example_verify(list + 1, OBJECT_SIZE - sizeof(*list), list->seed) &&
            good;
        memkind_free(kind, list);
        list = next;
    }
    return good;
}

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    memkind_t kind = NULL;
    int too_small = memkind_create_pmem(dir, MEMKIND_PMEM_MIN_SIZE - 1, &kind);
    int err = memkind_create_pmem(dir, LIMIT, &kind);
    example_expect_success(err);
    printf("a kind of %zu KiB in %s\n", LIMIT / EXAMPLE_KIB, dir);

    size_t first = 0;
    struct object *list = fill_kind(kind, &first);
    int full = errno;
    printf("full after %zu objects of %zu KiB (%zu KiB in all): %s\n", first,
           OBJECT_SIZE / EXAMPLE_KIB, first * OBJECT_SIZE / EXAMPLE_KIB,
           strerror(full));
    errno = 0;
    void *too_large = memkind_malloc(kind, 2 * LIMIT);
    int refused = errno;
    bool first_kept = free_all(kind, list);

    size_t second = 0;
    bool second_kept = free_all(kind, fill_kind(kind, &second));
    printf("freed them all, and got %zu objects again\n", second);
    err = memkind_destroy_kind(kind);
    example_expect_success(err);

    example_check(too_small == MEMKIND_ERROR_INVALID,
                  "a limit below the least size is refused");
    example_check(full == ENOMEM, "a full kind says ENOMEM");
    example_check(first > 0 && first * OBJECT_SIZE <= LIMIT,
                  "the kind holds something, within its limit");
    example_check(too_large == NULL && refused == ENOMEM,
                  "more than the limit cannot be allocated");
    example_check(first_kept, "a full kind keeps what was written");
    example_check(second_kept, "the second filling is kept as well");
    example_check(second >= first - first / 10,
                  "freed space can be allocated again");
    return EXIT_SUCCESS;
}
