/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pages of a private mapping are the process's own. */
#include "own_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "layer_test.h"
#include "page_bits.h"
#include "page_size.h"
#include "sys_calls.h"

#define PAGES OWN_PAGES_MOST

static struct sys_calls real;
static volatile char *pages;
static uint64_t own[PAGES / PAGE_BITS_WORD];

static void begin(void)
{
    int fd = open(test_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    const size_t size = PAGES * region_page_size();
    REQUIRE_EQ(ftruncate(fd, (off_t)size), 0);
    pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    REQUIRE(pages != MAP_FAILED);
    close(fd);
    real = sys;
}

static void end(void)
{
    sys = real;
    munmap((void *)pages, PAGES * region_page_size());
}

static volatile char *page_at(size_t i)
{
    return pages + i * region_page_size();
}

static bool find(size_t first, size_t count)
{
    const int fd = own_pages_open();
    REQUIRE(fd >= 0);
    const bool known =
        own_pages_find(fd, (const void *)page_at(first), count, own);
    close(fd);
    return known;
}

static size_t count_own(size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += page_bits_has(own, i);
    return sum;
}

static void test_what_was_stored_to(void)
{
    begin();
    CHECK(find(0, PAGES));
    CHECK_EQ(count_own(PAGES), 0);
    for (size_t i = 0; i < PAGES; i += 7)
        *page_at(i) = 1;
    CHECK(find(0, PAGES));
    for (size_t i = 0; i < PAGES; i++)
        CHECK_EQ(page_bits_has(own, i), i % 7 == 0);
    /* From any page on. */
    CHECK(find(3, 100));
    for (size_t i = 0; i < 100; i++)
        CHECK_EQ(page_bits_has(own, i), (i + 3) % 7 == 0);
    end();
}

/* Pages of the file that are read are the file's. */
static void test_what_was_read(void)
{
    char sum = 0;
    begin();
    for (size_t i = 0; i < PAGES; i++)
        sum = (char)(sum + *page_at(i));
    CHECK_EQ(sum, 0);
    CHECK(find(0, PAGES));
    /* Some kernels take pages on DAX for the process's own. */
    CHECK(count_own(PAGES) == 0 || count_own(PAGES) == PAGES);
    end();
}

static void test_what_was_dropped(void)
{
    begin();
    *page_at(0) = *page_at(5) = 1;
    REQUIRE_EQ(madvise((void *)page_at(5), region_page_size(), MADV_DONTNEED),
               0);
    CHECK(find(0, PAGES));
    CHECK(page_bits_has(own, 0));
    CHECK(!page_bits_has(own, 5));
    end();
}

static ssize_t reads_less(int fd, void *buf, size_t count, off_t offset)
{
    return real.pread(fd, buf, count - sizeof(uint64_t), offset);
}

static ssize_t reads_nothing(int fd, void *buf, size_t count, off_t offset)
{
    (void)fd, (void)buf, (void)count, (void)offset;
    errno = EIO;
    return -1;
}

static int opens_nothing(const char *path, int flags, mode_t mode)
{
    (void)path, (void)flags, (void)mode;
    errno = EACCES;
    return -1;
}

static void test_it_is_not_known(void)
{
    begin();
    *page_at(0) = 1;
    sys.pread = reads_less;
    CHECK(!find(0, PAGES));
    sys.pread = reads_nothing;
    CHECK(!find(0, PAGES));
    sys.open = opens_nothing;
    CHECK_EQ(own_pages_open(), -EACCES);
    end();
}

static const struct test_case tests[] = {
    {"what was stored to", test_what_was_stored_to},
    {"what was read", test_what_was_read},
    {"what was dropped", test_what_was_dropped},
    {"it is not known", test_it_is_not_known},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("pages of one's own", tests, argc, argv);
}
