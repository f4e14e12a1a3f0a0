/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_allocator.h
 * @brief A C++ allocator on the static kinds, such as MEMKIND_DEFAULT.
 */
#ifndef MEMKIND_ALLOCATOR_H
#define MEMKIND_ALLOCATOR_H

/* <cmath> and <map> are for programs that expect to get them here. */
#include <cmath>
#include <map>

#include "memkind.h"
#include "memkind/internal/memkind_allocator_base.hpp"

namespace libmemkind
{

/** The static kinds: `X` stands for MEMKIND_X. */
enum class kinds {
    DEFAULT = 0,
    HUGETLB = 1,
    INTERLEAVE = 2,
    HBW = 3,
    HBW_ALL = 4,
    HBW_HUGETLB = 5,
    HBW_ALL_HUGETLB = 6,
    HBW_PREFERRED = 7,
    HBW_PREFERRED_HUGETLB = 8,
    HBW_INTERLEAVE = 9,
    REGULAR = 10,
    DAX_KMEM = 11,
    DAX_KMEM_ALL = 12,
    DAX_KMEM_PREFERRED = 13,
    DAX_KMEM_INTERLEAVE = 14,
    HIGHEST_CAPACITY = 15,
    HIGHEST_CAPACITY_PREFERRED = 16,
    HIGHEST_CAPACITY_LOCAL = 17,
    HIGHEST_CAPACITY_LOCAL_PREFERRED = 18,
    LOWEST_LATENCY_LOCAL = 19,
    LOWEST_LATENCY_LOCAL_PREFERRED = 20,
    HIGHEST_BANDWIDTH_LOCAL = 21,
    HIGHEST_BANDWIDTH_LOCAL_PREFERRED = 22
};

namespace detail
{

/** @throw std::runtime_error for a value that no kind has */
inline memkind_t static_kind_handle(kinds which)
{
    /* in the order of the enumeration */
    static const memkind_t *const handles[] = {
        &MEMKIND_DEFAULT,
        &MEMKIND_HUGETLB,
        &MEMKIND_INTERLEAVE,
        &MEMKIND_HBW,
        &MEMKIND_HBW_ALL,
        &MEMKIND_HBW_HUGETLB,
        &MEMKIND_HBW_ALL_HUGETLB,
        &MEMKIND_HBW_PREFERRED,
        &MEMKIND_HBW_PREFERRED_HUGETLB,
        &MEMKIND_HBW_INTERLEAVE,
        &MEMKIND_REGULAR,
        &MEMKIND_DAX_KMEM,
        &MEMKIND_DAX_KMEM_ALL,
        &MEMKIND_DAX_KMEM_PREFERRED,
        &MEMKIND_DAX_KMEM_INTERLEAVE,
        &MEMKIND_HIGHEST_CAPACITY,
        &MEMKIND_HIGHEST_CAPACITY_PREFERRED,
        &MEMKIND_HIGHEST_CAPACITY_LOCAL,
        &MEMKIND_HIGHEST_CAPACITY_LOCAL_PREFERRED,
        &MEMKIND_LOWEST_LATENCY_LOCAL,
        &MEMKIND_LOWEST_LATENCY_LOCAL_PREFERRED,
        &MEMKIND_HIGHEST_BANDWIDTH_LOCAL,
        &MEMKIND_HIGHEST_BANDWIDTH_LOCAL_PREFERRED,
    };
    const std::size_t index = static_cast<std::size_t>(which);
    if (index >= sizeof(handles) / sizeof(handles[0])) {
        throw std::runtime_error("libmemkind: no such static kind");
    }
    return *handles[index];
}

} // namespace detail

namespace static_kind
{

/**
 * Allocates objects in a static kind. If the machine lacks that kind,
 * allocate() throws std::bad_alloc. Threads may share an allocator.
 */
template <typename T>
class allocator : public detail::allocator_base<T, detail::borrowed_handle>
{
    using base = detail::allocator_base<T, detail::borrowed_handle>;

  public:
    template <class U>
    struct rebind {
        using other = allocator<U>;
    };

    /** @throw std::runtime_error for a value that no kind has */
    explicit allocator(kinds kind)
        : base(detail::borrowed_handle(detail::static_kind_handle(kind)))
    {
    }

    /** Uses the kind of an allocator for another type. */
    template <typename U>
    allocator(const allocator<U> &other) noexcept : base(other)
    {
    }

    /** Uses the kind of `other` from now on. */
    template <typename U>
    allocator &operator=(const allocator<U> &other) noexcept
    {
        this->share(other);
        return *this;
    }
};

} // namespace static_kind
} // namespace libmemkind

#endif /* MEMKIND_ALLOCATOR_H */
