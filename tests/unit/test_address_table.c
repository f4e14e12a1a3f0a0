/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#include "address_table.h"
#include "sys_calls.h"
#include "test_support.h"

/* Nothing is mapped at these addresses; the table does not touch them. */
static void *at(uintptr_t address)
{
    return (void *)address;
}

static int owner_a, owner_b;

static void test_finds_ranges_of_every_shape(void)
{
    static const struct {
        uintptr_t base;
        size_t size;
    } shapes[] = {
        {64 * GIB, GIB},               /* a slot */
        {64 * GIB, 3 * GIB},           /* several */
        {64 * GIB + 4096, 4096},       /* a part */
        {64 * GIB - 4096, 8192},       /* over a border */
        {64 * GIB - 4096, GIB + 8192}, /* a slot and two parts */
        {64 * GIB + 4096, 4 * GIB},    /* parts and slots */
        {0, 4096},                     /* the lowest */
        {(1ul << 47) - 4096, 4096},    /* the highest of 47 bits */
        {(1ul << 48) - 4096, 4096},    /* of 48: arm64 */
        {(1ul << 52) - GIB, GIB},      /* of 52: arm64 */
        {(1ul << 56) - 4096, 4096},    /* x86-64 with five levels */
        {(1ul << 57) - 2 * GIB, GIB},  /* as high as anything goes */
        {(1ul << 47) - 4096, 8192},    /* over a border of tables */
        {(1ul << 47) - GIB, 3 * GIB},  /* a border of slots */
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        uintptr_t base = shapes[i].base;
        size_t size = shapes[i].size;
        CHECK_EQ(address_table_add(at(base), size, &owner_a), 0);
        CHECK_EQ(address_table_find(at(base)), &owner_a);
        CHECK_EQ(address_table_find(at(base + size / 2)), &owner_a);
        CHECK_EQ(address_table_find(at(base + size - 1)), &owner_a);
        CHECK_NULL(address_table_find(at(base + size)));
        CHECK_NULL(address_table_find(at(base - 1)));
        address_table_remove(at(base), size);
        CHECK_NULL(address_table_find(at(base)));
        CHECK_NULL(address_table_find(at(base + size - 1)));
    }
}

static void test_neighbours_keep_apart(void)
{
    CHECK_EQ(address_table_add(at(GIB), 4096, &owner_a), 0);
    CHECK_EQ(address_table_add(at(GIB + 4096), 4096, &owner_b), 0);
    CHECK_EQ(address_table_find(at(GIB + 4095)), &owner_a);
    CHECK_EQ(address_table_find(at(GIB + 4096)), &owner_b);
    address_table_remove(at(GIB), 4096);
    CHECK_NULL(address_table_find(at(GIB + 4095)));
    CHECK_EQ(address_table_find(at(GIB + 4096)), &owner_b);
    address_table_remove(at(GIB + 4096), 4096);
}

static void test_overlaps_are_refused(void)
{
    CHECK_EQ(address_table_add(at(2 * GIB), 2 * GIB, &owner_a), 0);
    CHECK_EQ(address_table_add(at(3 * GIB), 4096, &owner_b), -EEXIST);
    CHECK_EQ(address_table_add(at(GIB), 8 * GIB, &owner_b), -EEXIST);
    CHECK_EQ(address_table_add(at(2 * GIB - 4096), 4097, &owner_b), -EEXIST);
    /* What was refused has left nothing. */
    CHECK_NULL(address_table_find(at(2 * GIB - 1)));
    CHECK_NULL(address_table_find(at(5 * GIB)));
    CHECK_EQ(address_table_find(at(3 * GIB)), &owner_a);
    address_table_remove(at(2 * GIB), 2 * GIB);
}

static void test_bad_ranges_are_refused(void)
{
    CHECK_EQ(address_table_add(at(GIB), 0, &owner_a), -EINVAL);
    CHECK_EQ(address_table_add(at(1ul << 57), 4096, &owner_a), -EINVAL);
    CHECK_EQ(address_table_add(at((1ul << 57) - 4096), 8192, &owner_a),
             -EINVAL);
    CHECK_EQ(address_table_add(at(UINTPTR_MAX - 4095), 8192, &owner_a),
             -EINVAL);
    CHECK_NULL(address_table_find(NULL));
    CHECK_NULL(address_table_find(at(UINTPTR_MAX)));
    CHECK_NULL(address_table_find(at(1ul << 57)));
}

/* No range lies there, and none ever did: a bit above what there is, kernel
 * space, pointers with something in their upper bits. */
static void test_any_address_may_be_asked_for(void)
{
    unsigned found = 0;
    for (unsigned bit = 12; bit < 64; bit++)
        for (uintptr_t step = 0; step < 3; step++) {
            uintptr_t address = ((uintptr_t)1 << bit) + (step - 1) * 8;
            found += address_table_find(at(address)) != NULL;
            found += address_table_find(at(~address)) != NULL;
            found += address_table_find(at(address << 8)) != NULL;
        }
    CHECK_EQ(found, 0);
}

/* If there is no memory for the table, the range is not added, and can be added
 * later. */
static void *no_mmap(void *addr, size_t len, int prot, int flags, int fd,
                     off_t offset)
{
    (void)addr, (void)len, (void)prot, (void)flags, (void)fd, (void)offset;
    errno = ENOMEM;
    return MAP_FAILED;
}

static void test_tables_without_memory(void)
{
    /* A border of tables; nothing else here needs the upper one. */
    const uintptr_t border = 5ul << 47;
    const struct sys_calls real = sys;
    sys.mmap = no_mmap;
    int result = address_table_add(at(border - GIB), 2 * GIB, &owner_a);
    sys = real;
    CHECK_EQ(result, -ENOMEM);
    CHECK_NULL(address_table_find(at(border - GIB)));
    CHECK_NULL(address_table_find(at(border)));
    CHECK_EQ(address_table_add(at(border - GIB), 2 * GIB, &owner_a), 0);
    CHECK_EQ(address_table_find(at(border - 1)), &owner_a);
    CHECK_EQ(address_table_find(at(border)), &owner_a);
    address_table_remove(at(border - GIB), 2 * GIB);
    CHECK_NULL(address_table_find(at(border)));
}

/* A range that stays is found while other ranges come and go in its slot. */
#define CHURN_ROUNDS 20000
static atomic_bool churning;
static atomic_size_t misses;

static void *look_up(void *unused)
{
    (void)unused;
    while (atomic_load(&churning)) {
        if (address_table_find(at(9 * GIB + 8192)) != &owner_a)
            atomic_fetch_add(&misses, 1);
        if (address_table_find(at(9 * GIB + 4096)) != NULL)
            atomic_fetch_add(&misses, 1);
    }
    return NULL;
}

static void test_readers_meet_writers(void)
{
    pthread_t reader;
    CHECK_EQ(address_table_add(at(9 * GIB + 8192), 4096, &owner_a), 0);
    atomic_store(&churning, true);
    REQUIRE_EQ(pthread_create(&reader, NULL, look_up, NULL), 0);
    for (uintptr_t i = 0; i < CHURN_ROUNDS; i++) {
        uintptr_t base = 9 * GIB + (4 + i % 64) * 4096;
        uintptr_t other = 10 * GIB + i % 64 * 4096;
        if (address_table_add(at(base), 4096, &owner_b) != 0 ||
            address_table_add(at(other), 4096, &owner_b) != 0)
            atomic_fetch_add(&misses, 1);
        address_table_remove(at(base), 4096);
        address_table_remove(at(other), 4096);
    }
    atomic_store(&churning, false);
    pthread_join(reader, NULL);
    CHECK_EQ(atomic_load(&misses), 0);
    address_table_remove(at(9 * GIB + 8192), 4096);
}

/* A signal handler may look an address up while its own thread writes. */
static atomic_size_t looks;

static void look_up_in_handler(int signal)
{
    (void)signal;
    atomic_fetch_add(&looks, 1);
    if (address_table_find(at(9 * GIB + 8192)) != &owner_a)
        atomic_fetch_add(&misses, 1);
}

static void test_handler_meets_writer(void)
{
    struct sigaction action = {.sa_handler = look_up_in_handler}, before;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGUSR1};
    const struct itimerspec often = {{0, 20000}, {0, 20000}};
    timer_t timer;
    CHECK_EQ(address_table_add(at(9 * GIB + 8192), 4096, &owner_a), 0);
    atomic_store(&misses, 0);
    REQUIRE_EQ(sigaction(SIGUSR1, &action, &before), 0);
    REQUIRE_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    REQUIRE_EQ(timer_settime(timer, 0, &often, NULL), 0);
    while (atomic_load(&looks) < 2000) {
        if (address_table_add(at(9 * GIB + 4096), 4096, &owner_b) != 0)
            atomic_fetch_add(&misses, 1);
        address_table_remove(at(9 * GIB + 4096), 4096);
    }
    timer_delete(timer);
    CHECK_EQ(sigaction(SIGUSR1, &before, NULL), 0);
    CHECK_EQ(atomic_load(&misses), 0);
    address_table_remove(at(9 * GIB + 8192), 4096);
}

static const struct test_case tests[] = {
    {"finds ranges of every shape", test_finds_ranges_of_every_shape},
    {"neighbours keep apart", test_neighbours_keep_apart},
    {"overlaps are refused", test_overlaps_are_refused},
    {"bad ranges are refused", test_bad_ranges_are_refused},
    {"any address may be asked for", test_any_address_may_be_asked_for},
    {"tables without memory", test_tables_without_memory},
    {"readers meet writers", test_readers_meet_writers},
    {"a handler meets its own thread's write", test_handler_meets_writer},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return test_main("address table", tests, argc, argv);
}
