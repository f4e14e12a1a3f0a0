/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file pmem_allocator.h
 * @brief A C++ allocator on files, usually of a persistent memory file system.
 *
 *     libmemkind::pmem::allocator<int> alloc{"/mnt/pmem", 1 << 30};
 *     std::vector<int, libmemkind::pmem::allocator<int>> v{alloc};
 */
#ifndef PMEM_ALLOCATOR_H
#define PMEM_ALLOCATOR_H

#include "memkind.h"
#include "memkind/internal/memkind_allocator_base.hpp"

namespace libmemkind
{

/** How eagerly freed file space is given back: memkind_mem_usage_policy. */
enum class allocation_policy {
    DEFAULT = MEMKIND_MEM_USAGE_POLICY_DEFAULT,
    CONSERVATIVE = MEMKIND_MEM_USAGE_POLICY_CONSERVATIVE,
    MAX
};

namespace detail
{

/** Makes a file-backed kind, or throws; see pmem::allocator. */
inline memkind_t create_pmem(const char *dir, std::size_t max_size,
                             allocation_policy policy)
{
    memkind_t kind = nullptr;
    struct memkind_config *config = memkind_config_new();
    if (config == nullptr) {
        check_created(MEMKIND_ERROR_MALLOC, "file-backed");
    }
    memkind_config_set_path(config, dir);
    memkind_config_set_size(config, max_size);
    memkind_config_set_memory_usage_policy(
        config, static_cast<memkind_mem_usage_policy>(policy));
    const int status = memkind_create_pmem_with_config(config, &kind);
    memkind_config_delete(config);
    check_created(status, "file-backed");
    return kind;
}

} // namespace detail

namespace pmem
{

/**
 * Allocates objects in a file-backed kind. Each allocator that is constructed
 * from a directory makes a kind; its copies, for whatever type, share that
 * kind, and the last of them destroys it. Threads may share an allocator.
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
     * @param dir      directory for the kind's files
     * @param max_size limit in bytes, at least MEMKIND_PMEM_MIN_SIZE; 0: none
     * @param policy   how eagerly freed space is given back
     * @throw std::invalid_argument for a bad directory, size or policy
     * @throw std::runtime_error if the kind cannot be made otherwise
     */
    explicit allocator(const char *dir, std::size_t max_size,
                       allocation_policy policy = allocation_policy::DEFAULT)
        : base(detail::shared_handle::make(
              [=] { return detail::create_pmem(dir, max_size, policy); }))
    {
    }

    explicit allocator(const std::string &dir, std::size_t max_size,
                       allocation_policy policy = allocation_policy::DEFAULT)
        : allocator(dir.c_str(), max_size, policy)
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

} // namespace pmem
} // namespace libmemkind

#endif /* PMEM_ALLOCATOR_H */
