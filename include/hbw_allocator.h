/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file hbw_allocator.h
 * @brief A C++ allocator for containers in memory of high bandwidth.
 *
 * hbw::allocator<T> takes memory by hbw_malloc(), as the policy of hbwmalloc.h
 * says. It has no state, so all such allocators are equal. Needs C++11.
 */
#ifndef HBW_ALLOCATOR_H
#define HBW_ALLOCATOR_H

#include <hbwmalloc.h>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace hbw
{

template <class T>
class allocator
{
  public:
    typedef std::size_t size_type;
    typedef std::ptrdiff_t difference_type;
    typedef T *pointer;
    typedef const T *const_pointer;
    typedef T &reference;
    typedef const T &const_reference;
    typedef T value_type;

    /** The allocator for objects of another type. */
    template <class U>
    struct rebind {
        typedef allocator<U> other;
    };

    allocator() noexcept
    {
    }

    template <class U>
    allocator(const allocator<U> &) noexcept
    {
    }

    pointer address(reference object) const
    {
        return std::addressof(object);
    }

    const_pointer address(const_reference object) const
    {
        return std::addressof(object);
    }

    /** Room for `count` objects, which is at least one.
     * @throw std::bad_alloc if there is none, or `count` is 0 */
    pointer allocate(size_type count, const void * = nullptr)
    {
        static_assert(alignof(T) <= alignof(std::max_align_t),
                      "hbw_malloc() gives no such alignment");
        void *room =
            count <= max_size() ? hbw_malloc(count * sizeof(T)) : nullptr;
        if (room == nullptr)
            throw std::bad_alloc();
        return static_cast<pointer>(room);
    }

    void deallocate(pointer room, size_type)
    {
        hbw_free(room);
    }

    size_type max_size() const noexcept
    {
        return static_cast<size_type>(-1) / sizeof(T);
    }

    /** Makes an object in a place. */
    template <class U, class... Arguments>
    void construct(U *place, Arguments &&...arguments)
    {
        ::new (static_cast<void *>(place))
            U(std::forward<Arguments>(arguments)...);
    }

    template <class U>
    void destroy(U *object)
    {
        object->~U();
    }
};

template <class T, class U>
bool operator==(const allocator<T> &, const allocator<U> &) noexcept
{
    return true;
}

template <class T, class U>
bool operator!=(const allocator<T> &, const allocator<U> &) noexcept
{
    return false;
}

} // namespace hbw

#endif /* HBW_ALLOCATOR_H */
