/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Containers of the C++ library in a file-backed kind, in two ways: with
 * libmemkind::pmem::allocator as their allocator type, and as std::pmr
 * containers over a libmemkind::pmem::memory_resource.
 *
 * Run: pmem_cpp_allocator [DIR]
 */
#include "example.h"

#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <memory_resource>
#include <numeric>
#include <pmem_allocator.h>
#include <pmem_memory_resource.hpp>
#include <scoped_allocator>
#include <string>
#include <utility>
#include <vector>

namespace
{

template <typename T>
using allocator = libmemkind::pmem::allocator<T>;

/* hands its allocator on to the elements, so that these are in the kind too */
template <typename T>
using scoped = std::scoped_allocator_adaptor<allocator<T>>;

using text = std::basic_string<char, std::char_traits<char>, allocator<char>>;
using texts = std::vector<text, scoped<text>>;
using entry = std::pair<const int, text>;
using dictionary = std::map<int, text, std::less<int>, scoped<entry>>;

/* Whether an address is file-backed memory: of some kind, but not DRAM. */
bool in_pmem(const void *address)
{
    memkind_t kind = memkind_detect_kind(const_cast<void *>(address));
    return kind != nullptr && kind != MEMKIND_DEFAULT;
}

void use_vector(const char *dir)
{
    allocator<long> alloc(dir, 32 * EXAMPLE_MIB);
    std::vector<long, allocator<long>> numbers(alloc);
    for (long i = 1; i <= 100000; i++) {
        numbers.push_back(i);
    }
    long sum = std::accumulate(numbers.begin(), numbers.end(), 0L);
    std::cout << "vector: " << numbers.size() << " numbers, sum " << sum
              << '\n';
    example_check(sum == 5000050000L, "the vector holds the numbers");
    example_check(in_pmem(numbers.data()), "the vector's array is in the kind");

    /* the kind lives as long as the last allocator that refers to it */
    std::vector<long, allocator<long>> moved(std::move(numbers));
    example_check(moved.back() == 100000, "a moved vector keeps its numbers");
}

void use_nested(const char *dir)
{
    /* one kind for both: allocators made from each other share it */
    allocator<char> alloc(dir, 0, libmemkind::allocation_policy::CONSERVATIVE);
    texts lines{scoped<text>(alloc)};
    dictionary words{scoped<entry>(alloc)};

    lines.emplace_back("a text that is too long to be kept in the string");
    lines.emplace_back("another text, long enough to have memory of its own");
    for (int i = 0; i < 1000; i++) {
        words.emplace(i, "entry of the map, with number " +
                             text(std::to_string(i).c_str(), alloc));
    }
    std::cout << "vector of strings: " << lines.size()
              << " texts; map: " << words.size() << " entries, the last is \""
              << words.rbegin()->second << "\"\n";
    example_check(words.size() == 1000, "the map holds its entries");
    example_check(words.at(17) == "entry of the map, with number 17",
                  "the map finds an entry");
    memkind_t kind = memkind_detect_kind(lines.data());
    example_check(in_pmem(lines.data()), "the strings are in the kind");
    example_check(memkind_detect_kind(lines[1].data()) == kind,
                  "the strings' texts are in the same kind");
    example_check(memkind_detect_kind(&*words.begin()) == kind,
                  "the map's nodes are in the same kind");
    example_check(memkind_detect_kind(words.begin()->second.data()) == kind,
                  "the texts in the map are in the same kind");
}

void use_resource(const char *dir)
{
    libmemkind::pmem::memory_resource resource(dir, 32 * EXAMPLE_MIB);
    std::pmr::vector<std::pmr::string> lines(&resource);
    for (int i = 0; i < 1000; i++) {
        lines.emplace_back("a line of text that needs memory, number " +
                           std::to_string(i));
    }
    std::cout << "std::pmr::vector of std::pmr::string: " << lines.size()
              << " texts\n";
    example_check(in_pmem(lines.data()), "the pmr strings are in the kind");
    example_check(memkind_detect_kind(lines[999].data()) ==
                      memkind_detect_kind(lines.data()),
                  "the pmr strings' texts are in the same kind");
    example_check(lines[999] == "a line of text that needs memory, number 999",
                  "the pmr strings hold their texts");

    /* too much for the limit: the C++ way of saying so */
    bool refused = false;
    try {
        std::pmr::vector<char> large(64 * EXAMPLE_MIB, &resource);
    } catch (const std::bad_alloc &) {
        refused = true;
    }
    example_check(refused, "std::bad_alloc at the limit");
}

/* A resource over a kind that the program made, and has to destroy. */
void use_borrowed_kind(const char *dir)
{
    memkind_t kind = nullptr;
    int err = memkind_create_pmem(dir, 0, &kind);
    example_expect_success(err);
    bool found = false;
    {
        libmemkind::pmem::memory_resource resource(kind);
        std::pmr::vector<int> numbers({1, 2, 3}, &resource);
        found = memkind_detect_kind(numbers.data()) == kind;
    }
    /* the resource is gone, the kind is not */
    void *object = memkind_malloc(kind, 1000);
    memkind_free(kind, object);
    err = memkind_destroy_kind(kind);
    example_check(found, "the resource allocates from the kind it was given");
    example_check(object != nullptr, "the kind outlives the resource");
    example_check(err == MEMKIND_SUCCESS, "the kind is destroyed by its owner");
    std::cout << "resource over a kind that it does not own: done\n";
}

} // namespace

int main(int argc, char *argv[])
{
    const char *dir = example_dir(argc, argv);
    try {
        use_vector(dir);
        use_nested(dir);
        use_resource(dir);
        use_borrowed_kind(dir);
    } catch (const std::exception &e) {
        std::cerr << e.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
