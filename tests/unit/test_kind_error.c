/* SPDX-License-Identifier: BSD-2-Clause */
/* What the lower layers' errors are to a program. */
#include <errno.h>
#include <memkind.h>

#include "kind_error.h"
#include "test_support.h"

#define UNTOUCHED 4711

static const struct {
    int error, status;
} of_region[] =
    {
        {ENOMEM, MEMKIND_ERROR_MMAP},
        {EAGAIN, MEMKIND_ERROR_MMAP},
        {ENODEV, MEMKIND_ERROR_MMAP},
        {EFBIG, MEMKIND_ERROR_MMAP},
        {EOVERFLOW, MEMKIND_ERROR_MMAP},
        {ENOSPC, MEMKIND_ERROR_MMAP},
        {EDQUOT, MEMKIND_ERROR_MMAP},
        {EBUSY, MEMKIND_ERROR_UNAVAILABLE},
        /* All that is wrong with the place. */
        {EINVAL, MEMKIND_ERROR_INVALID},
        {ENOENT, MEMKIND_ERROR_INVALID},
        {ENOTDIR, MEMKIND_ERROR_INVALID},
        {EACCES, MEMKIND_ERROR_INVALID},
        {EMFILE, MEMKIND_ERROR_INVALID},
        {EROFS, MEMKIND_ERROR_INVALID},
        {ENAMETOOLONG, MEMKIND_ERROR_INVALID},
},
  of_heap[] = {
      {ENOMEM, MEMKIND_ERROR_MALLOC},
      {ENOSPC, MEMKIND_ERROR_TOOMANY},
      {EAGAIN, MEMKIND_ERROR_ARENAS_CREATE},
      {EINVAL, MEMKIND_ERROR_ARENAS_CREATE},
      {EDEADLK, MEMKIND_ERROR_ARENAS_CREATE},
};

static void test_errors_of_regions(void)
{
    for (size_t i = 0; i < sizeof of_region / sizeof of_region[0]; i++) {
        errno = UNTOUCHED;
        CHECK_EQ(kind_error_of_region(-of_region[i].error),
                 of_region[i].status);
        /* The reason is in errno. */
        CHECK_EQ(errno, of_region[i].error);
    }
}

static void test_errors_of_heaps(void)
{
    for (size_t i = 0; i < sizeof of_heap / sizeof of_heap[0]; i++)
        CHECK_EQ(kind_error_of_heap(-of_heap[i].error), of_heap[i].status);
}

static void test_no_error(void)
{
    errno = UNTOUCHED;
    CHECK_EQ(kind_error_of_region(0), MEMKIND_SUCCESS);
    CHECK_EQ(kind_error_of_heap(0), MEMKIND_SUCCESS);
    CHECK_EQ(errno, UNTOUCHED);
}

static const struct test_case tests[] = {
    {"errors of regions", test_errors_of_regions},
    {"errors of heaps", test_errors_of_heaps},
    {"no error", test_no_error},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("kind error", tests, argc, argv);
}
