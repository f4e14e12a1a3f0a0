/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that compiles with each standard from C++11 on: the allocators,
 * with the parts of containers that ask them for most. */
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <fixed_allocator.h>
#include <forward_list>
#include <iostream>
#include <kind_allocator.h>
#include <list>
#include <map>
#include <memkind_allocator.h>
#include <memory>
#include <pmem_allocator.h>
#include <scoped_allocator>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

template <template <typename> class Allocator>
static bool works(const Allocator<int> &allocator)
{
    using traits = std::allocator_traits<Allocator<int>>;
    static_assert(std::is_same<typename traits::value_type, int>::value, "");
    static_assert(std::is_same<typename traits::pointer, int *>::value, "");
    static_assert(std::is_same<typename traits::template rebind_alloc<char>,
                               Allocator<char>>::value,
                  "");
    static_assert(traits::propagate_on_container_swap::value, "");
    static_assert(!traits::propagate_on_container_copy_assignment::value, "");
    static_assert(!traits::propagate_on_container_move_assignment::value, "");
    static_assert(!Allocator<int>::is_always_equal::value, "");
    static_assert(std::is_nothrow_copy_constructible<Allocator<int>>::value,
                  "");
    static_assert(!std::is_default_constructible<Allocator<int>>::value, "");

    using text =
        std::basic_string<char, std::char_traits<char>, Allocator<char>>;
    using texts =
        std::vector<text, std::scoped_allocator_adaptor<Allocator<text>>>;
    using entry = std::pair<const int, int>;
    std::vector<int, Allocator<int>> vector(allocator);
    std::vector<bool, Allocator<bool>> bits(100, true,
                                            Allocator<bool>(allocator));
    std::deque<int, Allocator<int>> deque(allocator);
    std::list<int, Allocator<int>> list(allocator);
    std::forward_list<int, Allocator<int>> forward_list(allocator);
    std::set<int, std::less<int>, Allocator<int>> set(allocator);
    const Allocator<entry> of_entries(allocator);
    const Allocator<text> of_texts(allocator);
    std::map<int, int, std::less<int>, Allocator<entry>> map{std::less<int>{},
                                                             of_entries};
    std::unordered_map<int, int, std::hash<int>, std::equal_to<int>,
                       Allocator<entry>>
        hashes{10, std::hash<int>{}, std::equal_to<int>{}, of_entries};
    texts all{typename texts::allocator_type{of_texts}};
    for (int i = 0; i < 100; i++) {
        vector.insert(vector.begin(), i);
        deque.push_front(i);
        list.push_back(i);
        forward_list.push_front(i);
        set.insert(i);
        map[i] = i;
        hashes[i] = i;
        all.emplace_back("a text that is too long to be stored in place");
    }
    auto copy = vector;
    auto moved = std::move(vector);
    vector = copy;
    vector = std::move(moved);
    vector.swap(copy);
    vector.shrink_to_fit();
    list.splice(list.begin(), list, std::prev(list.end()));
    map.erase(map.begin());
    auto shared = std::allocate_shared<std::pair<int, int>>(allocator, 1, 2);
    auto other = std::allocate_shared<int>(Allocator<void>(allocator), 3);
    const Allocator<char> chars(allocator);
    const memkind_t kind = allocator.get();
    return vector == copy && bits[99] && deque.size() == 100 &&
           list.front() == 99 && forward_list.front() == 99 &&
           set.size() == 100 && map.size() == 99 && hashes.size() == 100 &&
           all.back() == all.front() && shared->second == 2 && *other == 3 &&
           chars == allocator && !(allocator != chars) &&
           memkind_detect_kind(vector.data()) == kind &&
           memkind_detect_kind(&all.front()[0]) == kind &&
           memkind_detect_kind(other.get()) == kind;
}

static_assert(
    std::is_trivially_destructible<libmemkind::kind_allocator<int>>::value &&
        sizeof(libmemkind::kind_allocator<int>) == sizeof(memkind_t),
    "a handle, and no more");

alignas(4096) static char area[1 << 22];

int main()
{
    using namespace libmemkind;
    const char *dir = std::getenv("MEMKIND_TEST_DIR");
    const pmem::allocator<int> files(dir, 1 << 26);
    const bool good = works(files) && works(kind_allocator<int>(files.get())) &&
                      works(fixed::allocator<int>(area, sizeof(area))) &&
                      works(static_kind::allocator<int>(kinds::DEFAULT));
    std::cout << __cplusplus << (good ? " works\n" : " fails\n");
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
