/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file memkind_allocator_base.hpp
 * @brief What the C++ allocators of this library have in common.
 *
 * Not to be included by programs: use pmem_allocator.h, fixed_allocator.h,
 * kind_allocator.h, memkind_allocator.h or pmem_memory_resource.hpp. C++11.
 */
#ifndef MEMKIND_INTERNAL_MEMKIND_ALLOCATOR_BASE_HPP
#define MEMKIND_INTERNAL_MEMKIND_ALLOCATOR_BASE_HPP

/* <atomic> and <exception> are for programs that expect to get them here. */
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <memkind.h>

namespace libmemkind
{
namespace detail
{

/** Turns the status of a memkind_create_*() function into an exception, with
 * the words of memkind_last_error(). */
inline void check_created(int status, const char *what)
{
    if (status == MEMKIND_SUCCESS) {
        return;
    }
    const std::string text = std::string("libmemkind: no ") + what +
                             " kind: " + memkind_last_error() + " (" +
                             std::to_string(status) + ")";
    if (status == MEMKIND_ERROR_INVALID) {
        throw std::invalid_argument(text);
    }
    throw std::runtime_error(text);
}

/** A kind that the caller has, or an exception; see kind_allocator. */
inline memkind_t usable_kind(memkind_t kind)
{
    if (kind == nullptr) {
        throw std::invalid_argument(
            "libmemkind: the handle of the kind is null");
    }
    check_created(memkind_check_available(kind), "usable");
    return kind;
}

/**
 * Allocates at least one byte, so that every result is an object of its own.
 * A heap may align an object no further than its size asks for, hence the
 * rounding up.
 */
inline void *allocate_bytes(memkind_t kind, std::size_t size,
                            std::size_t alignment)
{
    void *result = nullptr;
    if (size < alignment) {
        size = alignment;
    }
    if (alignment <= alignof(std::max_align_t)) {
        result = memkind_malloc(kind, size);
    } else if (memkind_posix_memalign(kind, &result, alignment, size) != 0) {
        result = nullptr;
    }
    if (result == nullptr) {
        throw std::bad_alloc();
    }
    return result;
}

/** Destroys a kind when the last allocator that shares it has gone. */
class owned_kind
{
  public:
    /** @param create makes the kind, or throws */
    template <typename Create>
    explicit owned_kind(const Create &create) : kind_(create())
    {
    }

    owned_kind(const owned_kind &) = delete;
    owned_kind &operator=(const owned_kind &) = delete;

    ~owned_kind()
    {
        memkind_destroy_kind(kind_);
    }

    memkind_t get() const noexcept
    {
        return kind_;
    }

  private:
    memkind_t kind_;
};

/**
 * A share in an owned_kind. It can be copied but is never emptied by a move:
 * the standard wants an allocator that was moved from to be as good as before.
 */
class shared_handle
{
  public:
    template <typename Create>
    static shared_handle make(const Create &create)
    {
        return shared_handle(std::make_shared<owned_kind>(create));
    }

    shared_handle(const shared_handle &) = default;
    shared_handle &operator=(const shared_handle &) = default;
    ~shared_handle() = default;

    memkind_t get() const noexcept
    {
        return owner_->get();
    }

  private:
    explicit shared_handle(const std::shared_ptr<owned_kind> &owner) noexcept
        : owner_(owner)
    {
    }

    std::shared_ptr<owned_kind> owner_;
};

/** A kind that belongs to somebody else. */
class borrowed_handle
{
  public:
    explicit borrowed_handle(memkind_t kind) noexcept : kind_(kind)
    {
    }

    memkind_t get() const noexcept
    {
        return kind_;
    }

  private:
    memkind_t kind_;
};

/**
 * All of an allocator but its constructors. The handle is its only member:
 * libmemkind's own allocators have the same layout, so that objects compiled
 * with either header can be linked together.
 */
template <typename T, typename Handle>
class allocator_base
{
  public:
    using value_type = T;
    using pointer = value_type *;
    using const_pointer = const value_type *;
    /* (As traits, so that there can be an allocator of void, to be rebound.) */
    using reference = typename std::add_lvalue_reference<T>::type;
    using const_reference = typename std::add_lvalue_reference<const T>::type;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;

    /* Containers on two kinds keep their elements where they are. */
    using propagate_on_container_swap = std::true_type;
    /* What a container is assigned goes to the container's own kind. */
    using propagate_on_container_copy_assignment = std::false_type;
    using propagate_on_container_move_assignment = std::false_type;
    using is_always_equal = std::false_type;

    /** @return the kind, for use with the functions of memkind.h */
    memkind_t get() const noexcept
    {
        return handle_.get();
    }

    /**
     * @return room for `n` objects, aligned for T
     * @throw std::bad_array_new_length if the size cannot be expressed
     * @throw std::bad_alloc if there is no space
     */
    pointer allocate(size_type n) const
    {
        if (n > SIZE_MAX / sizeof(T)) {
            throw std::bad_array_new_length();
        }
        return static_cast<pointer>(
            allocate_bytes(handle_.get(), n * sizeof(T), alignof(T)));
    }

    /** Gives back what allocate() returned. */
    void deallocate(pointer p, size_type) const noexcept
    {
        memkind_free(handle_.get(), p);
    }

    /** Makes a U in room that has been allocated. */
    template <class U, class... Args>
    void construct(U *p, Args &&...args) const
    {
        void *room = const_cast<void *>(static_cast<const volatile void *>(p));
        ::new (room) U(std::forward<Args>(args)...);
    }

    /** Ends the life of a U; its room stays allocated. */
    template <class U>
    void destroy(U *p) const
    {
        p->~U();
    }

  protected:
    explicit allocator_base(const Handle &handle) noexcept : handle_(handle)
    {
    }

    template <typename U>
    explicit allocator_base(const allocator_base<U, Handle> &other) noexcept
        : handle_(other.handle_)
    {
    }

    template <typename U>
    void share(const allocator_base<U, Handle> &other) noexcept
    {
        handle_ = other.handle_;
    }

  private:
    template <typename, typename>
    friend class allocator_base;

    template <typename U, typename V, typename H>
    friend bool operator==(const allocator_base<U, H> &a,
                           const allocator_base<V, H> &b) noexcept;

    Handle handle_;
};

/** Allocators are equal if they share one kind. */
template <typename U, typename V, typename H>
bool operator==(const allocator_base<U, H> &a,
                const allocator_base<V, H> &b) noexcept
{
    return a.handle_.get() == b.handle_.get();
}

template <typename U, typename V, typename H>
bool operator!=(const allocator_base<U, H> &a,
                const allocator_base<V, H> &b) noexcept
{
    return !(a == b);
}

} // namespace detail
} // namespace libmemkind

#endif /* MEMKIND_INTERNAL_MEMKIND_ALLOCATOR_BASE_HPP */
