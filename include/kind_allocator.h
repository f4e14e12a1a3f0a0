/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file kind_allocator.h
 * @brief A C++ allocator on a kind that the program has made.
 *
 *     memkind_t kind;
 *     if (memkind_create_pmem("/mnt/pmem", 0, &kind) == MEMKIND_SUCCESS)
 *         std::vector<int, libmemkind::kind_allocator<int>>(kind).resize(9);
 */
#ifndef KIND_ALLOCATOR_H
#define KIND_ALLOCATOR_H

#include "memkind.h"
#include "memkind/internal/memkind_allocator_base.hpp"

namespace libmemkind
{

/**
 * Allocates objects in a kind of any sort, which has to outlive all allocators
 * and containers on it: an allocator does not destroy its kind. It is as large
 * as the handle and is copied like it, without the count of copies that
 * pmem::allocator and fixed::allocator share. Threads may share an allocator.
 */
template <typename T>
class kind_allocator : public detail::allocator_base<T, detail::borrowed_handle>
{
    using base = detail::allocator_base<T, detail::borrowed_handle>;

  public:
    template <class U>
    struct rebind {
        using other = kind_allocator<U>;
    };

    /**
     * Not explicit, so that a container can be made from the handle.
     * @param kind handle from memkind_create_pmem() and its like, a static one,
     *             or what get() of another allocator or resource returns
     * @throw std::invalid_argument if it is null, or of a destroyed kind
     * @throw std::runtime_error if the kind cannot be had on this machine
     */
    kind_allocator(memkind_t kind)
        : base(detail::borrowed_handle(detail::usable_kind(kind)))
    {
    }

    kind_allocator(std::nullptr_t) = delete;

    /** Uses the kind of an allocator for another type. */
    template <typename U>
    kind_allocator(const kind_allocator<U> &other) noexcept : base(other)
    {
    }
};

} // namespace libmemkind

#endif /* KIND_ALLOCATOR_H */
