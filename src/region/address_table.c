/* SPDX-License-Identifier: BSD-2-Clause */
#include "address_table.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "ranked_lock.h"
#include "sys_calls.h"

/* Five levels of page tables: x86-64 and riscv64. arm64 and ppc64 have 52 bits
 * at most, s390x 53. */
#define ADDRESS_BITS 57
#define SLOT_BITS 30
#define SLOT_SIZE ((uintptr_t)1 << SLOT_BITS)
/* Near is what mmap() gives to those that do not ask for more. */
#ifdef __aarch64__
#define NEAR_BITS 48
#else
#define NEAR_BITS 47
#endif
#define NEAR_SLOTS ((size_t)1 << (NEAR_BITS - SLOT_BITS))
#define TABLE_BITS 47
#define TABLE_SLOTS ((size_t)1 << (TABLE_BITS - SLOT_BITS))
#define TABLE_COUNT ((size_t)1 << (ADDRESS_BITS - TABLE_BITS))
#define NODE_BLOCK_SIZE ((size_t)64 << 10)

/* A range that covers a part of a slot. `next` also links the free nodes. */
struct node {
    _Atomic uintptr_t base;
    _Atomic uintptr_t end;
    _Atomic(void *) owner;
    _Atomic(struct node *) next;
};

struct slot {
    _Atomic(void *) whole;
    _Atomic(struct node *) parts;
};

_Static_assert(NODE_BLOCK_SIZE % sizeof(struct node) == 0,
               "a block of nodes has a rest");
_Static_assert(NEAR_BITS >= SLOT_BITS && TABLE_BITS >= SLOT_BITS &&
                   TABLE_BITS <= NEAR_BITS,
               "tables of slots do not join");

static struct slot near_slots[NEAR_SLOTS]; /* pages of it are touched only when
                                              they are used */
/* Slots of all other addresses. A table is mapped with the first range in it,
 * and stays, as readers may be in it. */
static _Atomic(struct slot *) far_slots[TABLE_COUNT];
static _Atomic unsigned long sequence; /* odd while a writer is at work */
static struct ranked_lock writer_lock =
    RANKED_LOCK_INITIALIZER(RANK_ADDRESS_TABLE);
static struct node *free_nodes; /* guarded by writer_lock */

/* Whether this thread is the writer. A signal handler that looks an address up
 * may have interrupted the writer: it must not wait, and need not. Each link is
 * whole at any time, and no other thread writes. */
static __thread bool is_writer;

/* NULL if there is no table. */
static struct slot *slot_of(uintptr_t at)
{
    if (__builtin_expect(at >> NEAR_BITS == 0, 1))
        return &near_slots[at >> SLOT_BITS];
    if (at >> ADDRESS_BITS != 0)
        return NULL;
    struct slot *table = atomic_load_explicit(&far_slots[at >> TABLE_BITS],
                                              memory_order_acquire);
    return table != NULL ? &table[at >> SLOT_BITS & (TABLE_SLOTS - 1)] : NULL;
}

/* Makes the tables that a range lacks. */
static int make_tables(uintptr_t base, uintptr_t last)
{
    const size_t size = TABLE_SLOTS * sizeof(struct slot);
    for (uintptr_t i = base >> TABLE_BITS; i <= last >> TABLE_BITS; i++) {
        if (i << TABLE_BITS >> NEAR_BITS == 0 ||
            atomic_load_explicit(&far_slots[i], memory_order_relaxed) != NULL)
            continue;
        void *table =
            sys.mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (table == MAP_FAILED)
            return -ENOMEM;
        atomic_store_explicit(&far_slots[i], table, memory_order_release);
    }
    return 0;
}

static struct node *node_get(void)
{
    ranked_lock_assert_held(&writer_lock);
    if (free_nodes == NULL) {
        struct node *block =
            sys.mmap(NULL, NODE_BLOCK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED)
            return NULL;
        for (size_t i = 0; i < NODE_BLOCK_SIZE / sizeof *block; i++) {
            atomic_store_explicit(&block[i].next, free_nodes,
                                  memory_order_relaxed);
            free_nodes = &block[i];
        }
    }
    struct node *node = free_nodes;
    free_nodes = atomic_load_explicit(&node->next, memory_order_relaxed);
    return node;
}

static void node_put(struct node *node)
{
    ranked_lock_assert_held(&writer_lock);
    atomic_store_explicit(&node->next, free_nodes, memory_order_release);
    free_nodes = node;
}

static bool slot_overlaps(const struct slot *slot, uintptr_t base,
                          uintptr_t end)
{
    if (atomic_load_explicit(&slot->whole, memory_order_relaxed) != NULL)
        return true;
    for (struct node *node = atomic_load(&slot->parts); node != NULL;
         node = atomic_load(&node->next))
        if (base < atomic_load(&node->end) && atomic_load(&node->base) < end)
            return true;
    return false;
}

static void slot_remove(struct slot *slot, uintptr_t base, uintptr_t end)
{
    if (end - base == SLOT_SIZE) {
        atomic_store_explicit(&slot->whole, NULL, memory_order_release);
        return;
    }
    _Atomic(struct node *) *link = &slot->parts;
    for (struct node *node; (node = atomic_load(link)) != NULL;
         link = &node->next) {
        if (atomic_load(&node->base) == base) {
            atomic_store_explicit(link, atomic_load(&node->next),
                                  memory_order_release);
            node_put(node);
            return;
        }
    }
}

static int slot_add(struct slot *slot, uintptr_t base, uintptr_t end,
                    void *owner)
{
    if (end - base == SLOT_SIZE) {
        atomic_store_explicit(&slot->whole, owner, memory_order_release);
        return 0;
    }
    struct node *node = node_get();
    if (node == NULL)
        return -ENOMEM;
    atomic_store_explicit(&node->base, base, memory_order_release);
    atomic_store_explicit(&node->end, end, memory_order_release);
    atomic_store_explicit(&node->owner, owner, memory_order_release);
    atomic_store_explicit(&node->next, atomic_load(&slot->parts),
                          memory_order_release);
    atomic_store_explicit(&slot->parts, node, memory_order_release);
    return 0;
}

static uintptr_t piece_end(uintptr_t at, uintptr_t end)
{
    uintptr_t slot_end = (at & ~(SLOT_SIZE - 1)) + SLOT_SIZE;
    return slot_end < end ? slot_end : end;
}

static void remove_pieces(uintptr_t base, uintptr_t end)
{
    for (uintptr_t at = base; at < end; at = piece_end(at, end))
        slot_remove(slot_of(at), at, piece_end(at, end));
}

static bool range_overlaps(uintptr_t base, uintptr_t end)
{
    for (uintptr_t at = base; at < end; at = piece_end(at, end))
        if (slot_overlaps(slot_of(at), at, piece_end(at, end)))
            return true;
    return false;
}

static void write_begin(void)
{
    ranked_lock_take(&writer_lock);
    is_writer = true;
    atomic_signal_fence(memory_order_seq_cst);
    atomic_fetch_add_explicit(&sequence, 1, memory_order_acq_rel);
}

static void write_end(void)
{
    atomic_fetch_add_explicit(&sequence, 1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    is_writer = false;
    ranked_lock_release(&writer_lock);
}

int address_table_add(const void *base_addr, size_t size, void *owner)
{
    uintptr_t base = (uintptr_t)base_addr;
    uintptr_t end = base + size;
    if (size == 0 || end < base || (end - 1) >> ADDRESS_BITS != 0)
        return -EINVAL;

    write_begin();
    int result = make_tables(base, end - 1);
    if (result == 0 && range_overlaps(base, end))
        result = -EEXIST;
    for (uintptr_t at = base; result == 0 && at < end;
         at = piece_end(at, end)) {
        result = slot_add(slot_of(at), at, piece_end(at, end), owner);
        if (result != 0)
            remove_pieces(base, at);
    }
    write_end();
    return result;
}

void address_table_remove(const void *base_addr, size_t size)
{
    uintptr_t base = (uintptr_t)base_addr;
    write_begin();
    remove_pieces(base, base + size);
    write_end();
}

void *address_table_find(const void *addr)
{
    uintptr_t at = (uintptr_t)addr;
    const struct slot *slot = slot_of(at);
    if (__builtin_expect(slot == NULL, 0))
        return NULL;
    void *owner = atomic_load_explicit(&slot->whole, memory_order_acquire);
    if (owner != NULL)
        return owner;

    if (atomic_load_explicit(&slot->parts, memory_order_acquire) == NULL)
        return NULL;

    for (;;) {
        unsigned long before =
            atomic_load_explicit(&sequence, memory_order_acquire);
        bool torn = before % 2 != 0 && !is_writer;
        owner = NULL;
        struct node *node =
            atomic_load_explicit(&slot->parts, memory_order_acquire);
        while (node != NULL && !torn) {
            uintptr_t base =
                atomic_load_explicit(&node->base, memory_order_acquire);
            uintptr_t end =
                atomic_load_explicit(&node->end, memory_order_acquire);
            if (base <= at && at < end) {
                owner =
                    atomic_load_explicit(&node->owner, memory_order_acquire);
                break;
            }
            node = atomic_load_explicit(&node->next, memory_order_acquire);
            torn =
                atomic_load_explicit(&sequence, memory_order_relaxed) != before;
        }
        if (!torn &&
            atomic_load_explicit(&sequence, memory_order_relaxed) == before)
            return owner;
    }
}

void address_table_lock(void)
{
    ranked_lock_take(&writer_lock);
}

void address_table_unlock(void)
{
    ranked_lock_release(&writer_lock);
}

void address_table_renew_lock(void)
{
    (void)ranked_lock_renew(&writer_lock, RANK_ADDRESS_TABLE);
    if (atomic_load(&sequence) % 2 != 0)
        atomic_fetch_add(&sequence, 1);
}
