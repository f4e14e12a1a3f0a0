/* SPDX-License-Identifier: BSD-2-Clause */
/* Another project's C++ program: every allocator, and the memory resource. */
#include <cstdlib>
#include <fixed_allocator.h>
#include <iostream>
#include <kind_allocator.h>
#include <map>
#include <memkind/internal/memkind_pmem.h>
#include <memkind_allocator.h>
#include <memory_resource>
#include <pmem_allocator.h>
#include <pmem_memory_resource.hpp>
#include <string>
#include <utility>
#include <vector>

template <typename Allocator>
static bool works(const Allocator &allocator)
{
    std::vector<int, Allocator> numbers(allocator);
    for (int i = 0; i < 1000; i++)
        numbers.push_back(i);
    return numbers.size() == 1000 && numbers[999] == 999 &&
           memkind_detect_kind(numbers.data()) != nullptr;
}

alignas(4096) static char area[1 << 22];

int main()
{
    const char *dir = std::getenv("MEMKIND_TEST_DIR");
    bool good = works(libmemkind::pmem::allocator<int>(dir, 1 << 26)) &&
                works(libmemkind::fixed::allocator<int>(area, sizeof(area))) &&
                works(libmemkind::static_kind::allocator<int>(
                    libmemkind::kinds::DEFAULT));
    libmemkind::pmem::memory_resource files{dir};
    good = good && works(libmemkind::kind_allocator<int>(files.get()));
    std::pmr::map<int, std::pmr::string> names{&files};
    for (int i = 0; i < 1000; i++)
        names.emplace(i, std::string(100, 'x'));
    good = good && memkind_detect_kind(&names.at(999)) != nullptr &&
           memkind_detect_kind(names.at(999).data()) != nullptr;
    const int version = memkind_get_version();
    std::cout << version / 1000000 << '.' << version / 1000 % 1000 << '.'
              << version % 1000 << '\n';
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
