/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file fixed_allocator.h
 * @brief A C++ allocator on memory that the program owns.
 */
#ifndef FIXED_ALLOCATOR_H
#define FIXED_ALLOCATOR_H

#include "memkind.h"
#include "memkind/internal/memkind_allocator_base.hpp"

namespace libmemkind
{
namespace detail
{

/** Makes a kind on an area, or throws; see fixed::allocator. */
inline memkind_t create_fixed(void *addr, std::size_t size)
{
    memkind_t kind = nullptr;
    check_created(memkind_create_fixed(addr, size, &kind), "fixed");
    return kind;
}

} // namespace detail

namespace fixed
{

/**
 * Allocates objects in an area of memory, which has to outlive all allocators
 * that share it. Copies, for whatever type, share the area's kind; the last of
 * them destroys it. Threads may share an allocator.
 */
template <typename T>
class allocator : public detail::allocator_base<T, detail::shared_handle>
{
    using base = detail::allocator_base<T, detail::shared_handle>;

  public:
    template <class U>
    struct rebind {
        using other = allocator<U>;
    };

    /**
     * @param addr start of the area
     * @param size its size in bytes
     * @throw std::invalid_argument if memkind_create_fixed() refuses it
     * @throw std::runtime_error if the kind cannot be made otherwise
     */
    explicit allocator(void *addr, std::size_t size)
        : base(detail::shared_handle::make(
              [=] { return detail::create_fixed(addr, size); }))
    {
    }

    /** Shares the kind of an allocator for another type. */
    template <typename U>
    allocator(const allocator<U> &other) noexcept : base(other)
    {
    }

    /** Leaves its kind, and shares that of `other`. */
    template <typename U>
    allocator &operator=(const allocator<U> &other) noexcept
    {
        this->share(other);
        return *this;
    }
};

} // namespace fixed
} // namespace libmemkind

#endif /* FIXED_ALLOCATOR_H */
