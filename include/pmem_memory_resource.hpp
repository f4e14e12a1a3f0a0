/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file pmem_memory_resource.hpp
 * @brief A std::pmr memory resource on a file-backed kind. C++17.
 *
 *     libmemkind::pmem::memory_resource files{"/mnt/pmem"};
 *     std::pmr::vector<int> v{&files};
 */
#ifndef PMEM_MEMORY_RESOURCE_HPP
#define PMEM_MEMORY_RESOURCE_HPP

#if __cplusplus < 201703L
#error "pmem_memory_resource.hpp needs C++17"
#endif

#include <cstddef>
#include <memory_resource>
#include <string>

#include "memkind.h"
#include "pmem_allocator.h"

namespace libmemkind
{
namespace pmem
{

/** Allocates in a kind. Threads may share a resource. */
class memory_resource : public std::pmr::memory_resource
{
  public:
    /**
     * Makes a file-backed kind, which is destroyed together with the resource.
     * @param dir      directory for the kind's files
     * @param max_size limit in bytes, at least MEMKIND_PMEM_MIN_SIZE; 0: none
     * @param policy   how eagerly freed space is given back
     * @throw std::invalid_argument for a bad directory, size or policy
     * @throw std::runtime_error if the kind cannot be made otherwise
     */
    explicit memory_resource(
        const char *dir, std::size_t max_size = 0,
        allocation_policy policy = allocation_policy::DEFAULT)
        : kind_(detail::create_pmem(dir, max_size, policy)), owned_(true)
    {
    }

    explicit memory_resource(
        const std::string &dir, std::size_t max_size = 0,
        allocation_policy policy = allocation_policy::DEFAULT)
        : memory_resource(dir.c_str(), max_size, policy)
    {
    }

    /**
     * Uses a kind, of any sort, that has to outlive the resource.
     * @throw std::invalid_argument if it is null, or of a destroyed kind
     * @throw std::runtime_error if the kind cannot be had on this machine
     */
    explicit memory_resource(memkind_t kind)
        : kind_(detail::usable_kind(kind)), owned_(false)
    {
    }

    memory_resource(const memory_resource &) = delete;
    memory_resource &operator=(const memory_resource &) = delete;

    ~memory_resource() override
    {
        if (owned_) {
            memkind_destroy_kind(kind_);
        }
    }

    /** @return the kind, for use with the functions of memkind.h */
    memkind_t get() const noexcept
    {
        return kind_;
    }

  protected:
    /** @throw std::bad_alloc if there is no space */
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        return detail::allocate_bytes(kind_, bytes, alignment);
    }

    void do_deallocate(void *p, std::size_t, std::size_t) override
    {
        memkind_free(kind_, p);
    }

    /** Two resources are equal if they use one kind. */
    bool
    do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
#ifdef __cpp_rtti
        const auto *same = dynamic_cast<const memory_resource *>(&other);
        return same != nullptr && same->kind_ == kind_;
#else
        return this == &other;
#endif
    }

  private:
    memkind_t kind_;
    bool owned_;
};

} // namespace pmem
} // namespace libmemkind

#endif /* PMEM_MEMORY_RESOURCE_HPP */
