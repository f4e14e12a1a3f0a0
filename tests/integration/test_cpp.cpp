// SPDX-License-Identifier: BSD-2-Clause
// The C++ headers, with the containers of the standard library.
#include <CUnit/Basic.h>

extern "C" {
#include "test_support.h"
}

#include <cstdint>
#include <cstring>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <scoped_allocator>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fixed_allocator.h"
#include "kind_allocator.h"
#include "memkind_allocator.h"
#include "pmem_allocator.h"
#include "pmem_memory_resource.hpp"

namespace pmem = libmemkind::pmem;
namespace fixed = libmemkind::fixed;
using libmemkind::kind_allocator;
namespace static_kind = libmemkind::static_kind;

namespace
{

std::size_t open_files()
{
    test_resources resources;
    test_resources_take(&resources);
    return resources.fds;
}

template <typename Exception, typename Action>
bool throws(Action action)
{
    try {
        action();
    } catch (const Exception &) {
        return true;
    } catch (...) {
    }
    return false;
}

// Fills and empties the containers of the standard library.
template <template <typename> class Allocator>
void use_containers(const Allocator<int> &allocator)
{
    using pair = std::pair<const int, std::string>;
    std::vector<int, Allocator<int>> vector{allocator};
    std::list<int, Allocator<int>> list{allocator};
    std::forward_list<int, Allocator<int>> forward_list{allocator};
    std::deque<int, Allocator<int>> deque{allocator};
    std::set<int, std::less<int>, Allocator<int>> set{allocator};
    std::map<int, std::string, std::less<int>, Allocator<pair>> map{
        Allocator<pair>{allocator}};
    std::unordered_map<int, std::string, std::hash<int>, std::equal_to<int>,
                       Allocator<pair>>
        hashes{Allocator<pair>{allocator}};
    std::basic_string<char, std::char_traits<char>, Allocator<char>> text{
        Allocator<char>{allocator}};
    for (int i = 0; i < 2000; i++) {
        vector.push_back(i);
        list.push_back(i);
        forward_list.push_front(i);
        deque.push_front(i);
        set.insert(i * 7919 % 2000);
        map[i] = std::to_string(i);
        hashes[i] = std::to_string(i);
        text += static_cast<char>('a' + i % 26);
    }
    CU_ASSERT_EQUAL(vector.size(), 2000);
    CU_ASSERT_EQUAL(list.back(), 1999);
    CU_ASSERT_EQUAL(forward_list.front(), 1999);
    CU_ASSERT_EQUAL(deque.front(), 1999);
    CU_ASSERT_EQUAL(set.size(), 2000);
    CU_ASSERT(map[1234] == "1234");
    CU_ASSERT(hashes[1234] == "1234");
    CU_ASSERT(text.compare(26, 26, "abcdefghijklmnopqrstuvwxyz") == 0);
    memkind_t kind = memkind_detect_kind(vector.data());
    CU_ASSERT_PTR_NOT_NULL(kind);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(&list.back()), kind);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(&map[7]), kind);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(&hashes[7]), kind);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(&text[0]), kind);

    auto copy = vector;
    auto moved = std::move(vector);
    CU_ASSERT(copy == moved);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(copy.data()), kind);
    copy.clear();
    copy.shrink_to_fit();
    list.remove_if([](int i) { return i % 2 == 0; });
    CU_ASSERT_EQUAL(list.size(), 1000);
}

void test_containers_in_files()
{
    const std::size_t before = open_files();
    {
        pmem::allocator<int> limited{test_dir(), 64 * MIB};
        pmem::allocator<int> unlimited{std::string{test_dir()}, 0};
        pmem::allocator<int> conservative{
            test_dir(), 64 * MIB, libmemkind::allocation_policy::CONSERVATIVE};
        CU_ASSERT(limited != unlimited);
        CU_ASSERT(open_files() >= before + 3);
        use_containers(limited);
        use_containers(unlimited);
        use_containers(conservative);
    }
    CU_ASSERT_EQUAL(open_files(), before);
}

void test_containers_on_dram()
{
    use_containers(static_kind::allocator<int>{libmemkind::kinds::DEFAULT});
    use_containers(static_kind::allocator<int>{libmemkind::kinds::REGULAR});
    static_kind::allocator<int> one{libmemkind::kinds::DEFAULT};
    int *object = one.allocate(10);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(object), MEMKIND_DEFAULT);
    one.deallocate(object, 10);
    static_kind::allocator<int> none{libmemkind::kinds::HBW};
    CU_ASSERT(throws<std::bad_alloc>([&] { (void)none.allocate(1); }));
    CU_ASSERT(one != none);
    CU_ASSERT(throws<std::runtime_error>([] {
        static_kind::allocator<int> bad{static_cast<libmemkind::kinds>(100)};
    }));
    CU_ASSERT(throws<std::runtime_error>([] {
        static_kind::allocator<int> bad{static_cast<libmemkind::kinds>(-1)};
    }));
}

void test_containers_in_an_area()
{
    const std::size_t size = 32 * MIB;
    void *area = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(area != MAP_FAILED);
    for (int i = 0; i < 2; i++) {
        fixed::allocator<int> allocator{area, size};
        use_containers(allocator);
        int *object = allocator.allocate(1000);
        CU_ASSERT(static_cast<void *>(object) >= area &&
                  reinterpret_cast<char *>(object + 1000) <=
                      static_cast<char *>(area) + size);
        allocator.deallocate(object, 1000);
        CU_ASSERT(throws<std::bad_alloc>(
            [&] { (void)allocator.allocate(size / sizeof(int) + 1); }));
        CU_ASSERT(throws<std::invalid_argument>([&] {
            fixed::allocator<int> second{area, size};
        }));
    }
    CU_ASSERT(throws<std::invalid_argument>([] {
        fixed::allocator<int> bad{nullptr, 1000};
    }));
    CU_ASSERT(throws<std::invalid_argument>([] {
        fixed::allocator<int> bad{nullptr, 0};
    }));
    CU_ASSERT(throws<std::invalid_argument>([&] {
        fixed::allocator<int> bad{area, 100};
    }));
    munmap(area, size);
}

void test_bad_arguments()
{
    const std::size_t before = open_files();
    CU_ASSERT(throws<std::invalid_argument>([] {
        pmem::allocator<int> bad{"/nowhere", 0};
    }));
    CU_ASSERT(throws<std::invalid_argument>([] {
        pmem::allocator<int> bad{std::string{"/nowhere"}, 0};
    }));
    CU_ASSERT(throws<std::invalid_argument>([] {
        pmem::allocator<int> bad{test_dir(), 1000};
    }));
    CU_ASSERT(throws<std::invalid_argument>([] {
        pmem::allocator<int> bad{test_dir(), 0,
                                 libmemkind::allocation_policy::MAX};
    }));
    CU_ASSERT(throws<std::invalid_argument>(
        [] { pmem::memory_resource bad{"/nowhere"}; }));
    CU_ASSERT(throws<std::invalid_argument>([] {
        pmem::memory_resource bad{test_dir(), 1};
    }));
    const char *no_path = nullptr;
    CU_ASSERT(throws<std::invalid_argument>([=] {
        pmem::allocator<int> bad{no_path, 0};
    }));
    CU_ASSERT(throws<std::invalid_argument>(
        [=] { pmem::memory_resource bad{no_path}; }));
    CU_ASSERT_EQUAL(open_files(), before);
    try {
        pmem::allocator<int> bad{"/nowhere", 0};
    } catch (const std::exception &error) {
        CU_ASSERT_PTR_NOT_NULL(
            std::strstr(error.what(), "/nowhere: No such file or directory"));
    }
}

// An allocator or a resource on a kind that gives nothing is not made at all:
// what is wrong is the handle, not that memory has run out.
template <typename User>
void refuse_handles()
{
    memkind_t none = nullptr, destroyed = nullptr;
    CU_ASSERT(throws<std::invalid_argument>([=] { User bad(none); }));
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem(test_dir(), 0, &destroyed),
                          MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(memkind_destroy_kind(destroyed), MEMKIND_SUCCESS);
    CU_ASSERT(throws<std::invalid_argument>([=] { User bad(destroyed); }));
    for (memkind_t missing : {MEMKIND_HBW, MEMKIND_GBTLB, MEMKIND_DAX_KMEM})
        CU_ASSERT(throws<std::runtime_error>([=] { User bad(missing); }));
    User good(MEMKIND_REGULAR);
    CU_ASSERT_PTR_EQUAL(good.get(), MEMKIND_REGULAR);
    try {
        User bad(none);
    } catch (const std::exception &error) {
        CU_ASSERT_PTR_NOT_NULL(std::strstr(error.what(), "null"));
    }
}

void test_bad_handles()
{
    refuse_handles<pmem::memory_resource>();
    refuse_handles<kind_allocator<int>>();
}

void test_sizes()
{
    pmem::allocator<double> allocator{test_dir(), 16 * MIB};
    CU_ASSERT(throws<std::bad_array_new_length>(
        [&] { (void)allocator.allocate(SIZE_MAX / sizeof(double) + 1); }));
    CU_ASSERT(throws<std::bad_alloc>(
        [&] { (void)allocator.allocate(SIZE_MAX / sizeof(double)); }));
    CU_ASSERT(
        throws<std::bad_alloc>([&] { (void)allocator.allocate(3 * MIB); }));
    double *nothing = allocator.allocate(0);
    double *nothing_else = allocator.allocate(0);
    CU_ASSERT_PTR_NOT_NULL(nothing);
    CU_ASSERT(nothing != nothing_else);
    allocator.deallocate(nothing, 0);
    allocator.deallocate(nothing_else, 0);
}

template <std::size_t Alignment>
void check_alignment()
{
    struct alignas(Alignment) wide {
        char byte;
    };
    pmem::allocator<wide> allocator{test_dir(), 32 * MIB};
    std::vector<wide, pmem::allocator<wide>> several{5, allocator};
    CU_ASSERT_EQUAL(
        reinterpret_cast<std::uintptr_t>(several.data()) % Alignment, 0);
    wide *single = allocator.allocate(1);
    CU_ASSERT_EQUAL(reinterpret_cast<std::uintptr_t>(single) % Alignment, 0);
    allocator.deallocate(single, 1);
}

void test_alignments()
{
    check_alignment<1>();
    check_alignment<8>();
    check_alignment<16>();
    check_alignment<32>();
    check_alignment<64>();
    check_alignment<4096>();
    check_alignment<65536>();
}

void test_copies_share_a_kind()
{
    const std::size_t before = open_files();
    auto *first = new pmem::allocator<int>{test_dir(), 16 * MIB};
    const std::size_t with_one = open_files();
    pmem::allocator<std::string> other_type{*first};
    pmem::allocator<int> copy = *first;
    CU_ASSERT(copy == *first);
    CU_ASSERT(other_type == *first);
    CU_ASSERT_EQUAL(open_files(), with_one);
    delete first;
    // The kind lives on.
    int *object = copy.allocate(100);
    std::memset(object, 1, 100 * sizeof(int));
    pmem::allocator<int> moved = std::move(copy);
    moved.deallocate(object, 100);
    // A moved-from allocator is as good as before.
    object = copy.allocate(1);
    copy.deallocate(object, 1);

    pmem::allocator<int> another{test_dir(), 16 * MIB};
    CU_ASSERT(another != moved);
    CU_ASSERT(open_files() > with_one);
    another = other_type;
    CU_ASSERT(another == moved);
    CU_ASSERT_EQUAL(open_files(), with_one);
    auto &same = another;
    another = same;
    CU_ASSERT(another == moved);
    (void)before;
}

// Makes and destroys a kind for the allocators that borrow it.
class program_kind
{
  public:
    explicit program_kind(std::size_t max_size = 64 * MIB)
    {
        CU_ASSERT_EQUAL_FATAL(memkind_create_pmem(test_dir(), max_size, &kind_),
                              MEMKIND_SUCCESS);
    }

    program_kind(const program_kind &) = delete;
    program_kind &operator=(const program_kind &) = delete;

    // All that containers had is free again.
    ~program_kind()
    {
        std::size_t allocated = 1;
        CU_ASSERT_EQUAL(memkind_update_cached_stats(), MEMKIND_SUCCESS);
        CU_ASSERT_EQUAL(
            memkind_get_stat(kind_, MEMKIND_STAT_TYPE_ALLOCATED, &allocated),
            MEMKIND_SUCCESS);
        CU_ASSERT_EQUAL(allocated, 0);
        CU_ASSERT_EQUAL(memkind_destroy_kind(kind_), MEMKIND_SUCCESS);
    }

    memkind_t get() const
    {
        return kind_;
    }

  private:
    memkind_t kind_ = nullptr;
};

void test_containers_on_a_kind()
{
    const std::size_t size = 32 * MIB;
    void *area = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(area != MAP_FAILED);
    memkind_t in_area = nullptr;
    CU_ASSERT_EQUAL_FATAL(memkind_create_fixed(area, size, &in_area),
                          MEMKIND_SUCCESS);
    {
        program_kind limited, unlimited{0};
        use_containers(kind_allocator<int>{limited.get()});
        use_containers(kind_allocator<int>{unlimited.get()});
        use_containers(kind_allocator<int>{in_area});
        use_containers(kind_allocator<int>{MEMKIND_DEFAULT});
        // It allocates in the kind that it is given, and leaves that alone.
        kind_allocator<int> allocator{limited.get()};
        CU_ASSERT_PTR_EQUAL(allocator.get(), limited.get());
        int *object = allocator.allocate(10);
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(object), limited.get());
        allocator.deallocate(object, 10);
        CU_ASSERT(throws<std::bad_array_new_length>(
            [&] { (void)allocator.allocate(SIZE_MAX); }));
        CU_ASSERT(throws<std::bad_alloc>(
            [&] { (void)allocator.allocate(64 * MIB); }));
        struct alignas(4096) wide {
            char byte;
        };
        std::vector<wide, kind_allocator<wide>> several{5, limited.get()};
        CU_ASSERT_EQUAL(reinterpret_cast<std::uintptr_t>(several.data()) % 4096,
                        0);
    }
    CU_ASSERT_EQUAL(memkind_destroy_kind(in_area), MEMKIND_SUCCESS);
    munmap(area, size);
}

// What makes it cheap: a handle, and nothing that counts.
using on_kind = kind_allocator<int>;
using traits = std::allocator_traits<on_kind>;
static_assert(sizeof(on_kind) == sizeof(memkind_t));
static_assert(std::is_trivially_copyable_v<on_kind>);
static_assert(std::is_trivially_destructible_v<on_kind>);
static_assert(std::is_nothrow_copy_constructible_v<on_kind>);
static_assert(std::is_nothrow_constructible_v<kind_allocator<char>, on_kind &>);
static_assert(std::is_convertible_v<memkind_t, on_kind>);
static_assert(!std::is_constructible_v<on_kind, std::nullptr_t>);
static_assert(!std::is_default_constructible_v<on_kind>);
static_assert(std::is_same_v<traits::rebind_alloc<char>, kind_allocator<char>>);
// Moving is copying: what was moved from is as good as before.
static_assert(!traits::is_always_equal::value);
static_assert(!traits::propagate_on_container_copy_assignment::value);
static_assert(!traits::propagate_on_container_move_assignment::value);
static_assert(traits::propagate_on_container_swap::value);
// Those that own a kind say so by their type: none becomes the other unasked.
static_assert(!std::is_convertible_v<pmem::allocator<int>, on_kind>);
static_assert(!std::is_convertible_v<memkind_t, pmem::allocator<int>>);

void test_allocators_on_a_kind_are_equal()
{
    program_kind one, other;
    kind_allocator<int> allocator{one.get()};
    kind_allocator<std::string> of_texts{allocator};
    CU_ASSERT(allocator == kind_allocator<int>{one.get()});
    CU_ASSERT(allocator == of_texts);
    CU_ASSERT_FALSE(allocator != of_texts);
    CU_ASSERT(allocator != kind_allocator<int>{other.get()});
    CU_ASSERT(kind_allocator<int>{MEMKIND_DEFAULT} ==
              static_kind::allocator<int>{libmemkind::kinds::DEFAULT});
    kind_allocator<int> moved = std::move(allocator);
    CU_ASSERT(moved == allocator);
    allocator = kind_allocator<char>{other.get()};
    CU_ASSERT(moved != allocator);
    int *object = allocator.allocate(1);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(object), other.get());
    kind_allocator<int>{other.get()}.deallocate(object, 1);
    // One that owns its kind lends it, and so does a resource.
    pmem::allocator<int> owner{test_dir(), 16 * MIB};
    std::vector<int, on_kind> borrowed{{1, 2, 3}, owner.get()};
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(borrowed.data()), owner.get());
    pmem::memory_resource resource{one.get()};
    CU_ASSERT(kind_allocator<int>{resource.get()} == moved);
}

// Copies stay in the kind, a container that is assigned to keeps its own, and
// swapped ones exchange theirs.
template <typename Vector>
void assign_between_kinds(Vector &left, Vector &right)
{
    const memkind_t in_left = memkind_detect_kind(left.data());
    const memkind_t in_right = memkind_detect_kind(right.data());
    CU_ASSERT_PTR_NOT_EQUAL(in_left, in_right);
    const auto *first = left.data();
    Vector copy{left};
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(copy.data()), in_left);
    Vector moved{std::move(left)};
    CU_ASSERT_PTR_EQUAL(moved.data(), first);
    left.assign(5, 5);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(left.data()), in_left);
    Vector placed{copy, right.get_allocator()};
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(placed.data()), in_right);
    right = copy;
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(right.data()), in_right);
    CU_ASSERT(right == copy);
    right = std::move(copy);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(right.data()), in_right);
    CU_ASSERT(right == moved);
    first = left.data();
    left.swap(right);
    CU_ASSERT_PTR_EQUAL(right.data(), first);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(left.data()), in_right);
    left.push_back(6);
    right.resize(1000);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(left.data()), in_right);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(right.data()), in_left);
}

void test_containers_of_two_kinds()
{
    program_kind one, other;
    std::vector<int, on_kind> left{{1, 2, 3}, one.get()};
    std::vector<int, on_kind> right{{4, 5}, other.get()};
    assign_between_kinds(left, right);
    // The allocators that own their kinds do the same.
    using owner = pmem::allocator<int>;
    std::vector<int, owner> in_one{{1, 2, 3}, owner{test_dir(), 16 * MIB}};
    std::vector<int, owner> in_other{{4, 5}, owner{test_dir(), 16 * MIB}};
    assign_between_kinds(in_one, in_other);
    // The node containers, too, move their elements between kinds.
    std::map<int, int, std::less<int>,
             kind_allocator<std::pair<const int, int>>>
        from{one.get()}, to{other.get()};
    for (int i = 0; i < 100; i++)
        from[i] = i;
    to = std::move(from);
    CU_ASSERT_EQUAL(to.size(), 100);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(&to[50]), other.get());
}

// An allocator of void is only there to be rebound.
void test_allocators_of_void()
{
    program_kind kind;
    kind_allocator<void> any{kind.get()};
    auto number = std::allocate_shared<int>(any, 7);
    CU_ASSERT_EQUAL(*number, 7);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(number.get()), kind.get());
    std::vector<int, on_kind> vector{{1, 2}, any};
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(vector.data()), kind.get());
    pmem::allocator<void> owner{test_dir(), 16 * MIB};
    pmem::allocator<long> of_longs{owner};
    CU_ASSERT(owner == of_longs);
}

// Each level gets the allocator, without a count in any of them.
void test_scoped_containers_on_a_kind()
{
    using text =
        std::basic_string<char, std::char_traits<char>, kind_allocator<char>>;
    using texts =
        std::vector<text, std::scoped_allocator_adaptor<kind_allocator<text>>>;
    using entry = std::pair<const text, texts>;
    using scoped = std::scoped_allocator_adaptor<kind_allocator<entry>>;
    program_kind kind;
    std::map<text, texts, std::less<text>, scoped> map{scoped{kind.get()}};
    static_assert(sizeof(text) <= sizeof(std::string) + sizeof(memkind_t));
    for (int i = 0; i < 200; i++) {
        const std::string key = "a key too long to be stored in place: ";
        auto place = map.emplace(
            std::piecewise_construct,
            std::forward_as_tuple((key + std::to_string(i)).c_str()),
            std::forward_as_tuple());
        for (int j = 0; j < 5; j++)
            place.first->second.emplace_back(
                "a text that is too long to be stored in place");
    }
    CU_ASSERT_EQUAL_FATAL(map.size(), 200);
    bool inside = true;
    for (auto &item : map)
        for (auto &value : item.second)
            inside = inside && memkind_detect_kind(&value[0]) == kind.get() &&
                     memkind_detect_kind(&value) == kind.get();
    CU_ASSERT(inside);
    CU_ASSERT_PTR_EQUAL(
        memkind_detect_kind(const_cast<char *>(map.begin()->first.data())),
        kind.get());
}

void test_nothing_is_left()
{
    const std::size_t before = open_files();
    for (int i = 0; i < 50; i++) {
        pmem::allocator<int> allocator{test_dir(), 16 * MIB};
        std::vector<int, pmem::allocator<int>> vector{allocator};
        vector.resize(1000);
        pmem::memory_resource resource{test_dir(), 16 * MIB};
        std::pmr::vector<int> other{&resource};
        other.resize(1000);
    }
    CU_ASSERT_EQUAL(open_files(), before);
}

// A container that fills its kind gets an exception, and keeps its elements.
void test_a_full_kind()
{
    pmem::allocator<int> allocator{test_dir(), 16 * MIB};
    std::vector<int, pmem::allocator<int>> vector{allocator};
    CU_ASSERT(throws<std::bad_alloc>([&] {
        for (int i = 0;; i++)
            vector.push_back(i);
    }));
    CU_ASSERT(vector.size() > MIB / 2);
    bool intact = true;
    for (std::size_t i = 0; i < vector.size(); i++)
        intact = intact && vector[i] == static_cast<int>(i);
    CU_ASSERT(intact);
    vector.clear();
    vector.shrink_to_fit();
    vector.resize(3 * MIB);
    CU_ASSERT_EQUAL(vector.size(), 3 * MIB);
}

void test_containers_within_containers()
{
    using text =
        std::basic_string<char, std::char_traits<char>, pmem::allocator<char>>;
    using texts =
        std::vector<text, std::scoped_allocator_adaptor<pmem::allocator<text>>>;
    pmem::allocator<text> allocator{test_dir(), 64 * MIB};
    texts all{std::scoped_allocator_adaptor<pmem::allocator<text>>{allocator}};
    for (int i = 0; i < 200; i++)
        all.emplace_back("a text that is too long to be stored in place");
    CU_ASSERT_PTR_NOT_NULL(memkind_detect_kind(all.data()));
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(&all[100][0]),
                        memkind_detect_kind(all.data()));
    CU_ASSERT(all[199] == all[0]);
}

void test_threads_share_an_allocator()
{
    pmem::allocator<int> allocator{test_dir(), 64 * MIB};
    std::vector<std::thread> threads;
    std::vector<int> sums(4);
    for (std::size_t t = 0; t < 4; t++)
        threads.emplace_back([&allocator, &sums, t] {
            for (int round = 0; round < 20; round++) {
                std::list<int, pmem::allocator<int>> list{allocator};
                for (int i = 0; i < 500; i++)
                    list.push_back(1);
                for (int i : list)
                    sums[t] += i;
            }
        });
    for (auto &thread : threads)
        thread.join();
    for (int sum : sums)
        CU_ASSERT_EQUAL(sum, 20 * 500);
}

void test_memory_resource()
{
    pmem::memory_resource one{test_dir(), 32 * MIB};
    pmem::memory_resource other{std::string{test_dir()}};
    pmem::memory_resource same{one.get()};
    CU_ASSERT(one.is_equal(one));
    CU_ASSERT(one.is_equal(same));
    CU_ASSERT(same.is_equal(one));
    CU_ASSERT_FALSE(one.is_equal(other));
    CU_ASSERT_FALSE(one.is_equal(*std::pmr::new_delete_resource()));
    {
        std::pmr::vector<std::pmr::string> texts{&one};
        for (int i = 0; i < 1000; i++)
            texts.emplace_back("a text that is too long to be stored in place");
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(texts.data()), one.get());
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(&texts[500][0]), one.get());
        std::pmr::map<int, int> map{&other};
        for (int i = 0; i < 1000; i++)
            map[i] = -i;
        CU_ASSERT_EQUAL(map[999], -999);
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(&map[5]), other.get());
    }
    for (std::size_t alignment = 1; alignment <= MIB; alignment *= 2) {
        void *object = one.allocate(100, alignment);
        CU_ASSERT_EQUAL(reinterpret_cast<std::uintptr_t>(object) % alignment,
                        0);
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(object), one.get());
        one.deallocate(object, 100, alignment);
    }
    CU_ASSERT(throws<std::bad_alloc>([&] { (void)one.allocate(33 * MIB); }));
    void *nothing = one.allocate(0);
    CU_ASSERT_PTR_NOT_NULL(nothing);
    one.deallocate(nothing, 0);
    static_assert(!std::is_copy_constructible_v<pmem::memory_resource>, "");
}

// A borrowed kind outlives the resource.
void test_memory_resource_on_a_kind()
{
    memkind_t kind = nullptr;
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem(test_dir(), 0, &kind),
                          MEMKIND_SUCCESS);
    {
        pmem::memory_resource resource{kind};
        std::pmr::vector<int> vector{1000, 7, &resource};
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(vector.data()), kind);
    }
    void *object = memkind_malloc(kind, 10);
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(object), kind);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

// The object and its control block lie in the kind, which the last pointer
// keeps alive.
void test_smart_pointers()
{
    const std::size_t before = open_files();
    std::weak_ptr<std::vector<int>> weak;
    {
        std::shared_ptr<std::vector<int>> shared;
        {
            pmem::allocator<int> allocator{test_dir(), 16 * MIB};
            shared =
                std::allocate_shared<std::vector<int>>(allocator, 1000u, 7);
        }
        weak = shared;
        CU_ASSERT_PTR_NOT_NULL(memkind_detect_kind(shared.get()));
        CU_ASSERT_EQUAL(shared->at(999), 7);
        std::vector<std::shared_ptr<std::vector<int>>> copies(100, shared);
        CU_ASSERT_EQUAL(shared.use_count(), 101);
        CU_ASSERT(open_files() > before);
    }
    CU_ASSERT(weak.expired());
    CU_ASSERT(open_files() > before);
    weak.reset();
    CU_ASSERT_EQUAL(open_files(), before);

    memkind_t kind = nullptr;
    CU_ASSERT_EQUAL_FATAL(memkind_create_pmem(test_dir(), 0, &kind),
                          MEMKIND_SUCCESS);
    {
        auto release = [kind](char *ptr) { memkind_free(kind, ptr); };
        std::unique_ptr<char, decltype(release)> unique{
            static_cast<char *>(memkind_malloc(kind, 100)), release};
        std::shared_ptr<char> shared{std::move(unique)};
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(shared.get()), kind);
    }
    CU_ASSERT_EQUAL(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    std::size_t allocated = 1;
    CU_ASSERT_EQUAL(
        memkind_get_stat(kind, MEMKIND_STAT_TYPE_ALLOCATED, &allocated),
        MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(allocated, 0);
    CU_ASSERT_EQUAL(memkind_destroy_kind(kind), MEMKIND_SUCCESS);
}

// The standard library's own resources, on top of ours.
void test_memory_resources_on_top()
{
    pmem::memory_resource files{test_dir(), 64 * MIB};
    {
        std::pmr::monotonic_buffer_resource buffer{&files};
        std::pmr::synchronized_pool_resource pool{&files};
        std::pmr::unordered_map<int, std::pmr::string> map{&buffer};
        std::pmr::list<std::pmr::vector<int>> list{&pool};
        for (int i = 0; i < 1000; i++) {
            map.emplace(i, "a text that is too long to be stored in place");
            list.emplace_back(10, i);
        }
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(map.at(500).data()),
                            files.get());
        CU_ASSERT_PTR_EQUAL(memkind_detect_kind(list.back().data()),
                            files.get());
        CU_ASSERT_EQUAL(list.back().at(9), 999);
    }
    std::pmr::polymorphic_allocator<std::byte> bytes{&files};
    std::pmr::string text{100, 'x', bytes};
    CU_ASSERT_PTR_EQUAL(memkind_detect_kind(text.data()), files.get());
    std::pmr::string copy{text};
    CU_ASSERT_PTR_NULL(memkind_detect_kind(copy.data()));
    text.clear();
    text.shrink_to_fit();
    CU_ASSERT_EQUAL(memkind_update_cached_stats(), MEMKIND_SUCCESS);
    std::size_t allocated = 1;
    CU_ASSERT_EQUAL(
        memkind_get_stat(files.get(), MEMKIND_STAT_TYPE_ALLOCATED, &allocated),
        MEMKIND_SUCCESS);
    CU_ASSERT_EQUAL(allocated, 0);
}

// Each level of a nested container gets the allocator: a map's keys and values.
void test_scoped_maps()
{
    using text =
        std::basic_string<char, std::char_traits<char>, pmem::allocator<char>>;
    using numbers = std::vector<int, pmem::allocator<int>>;
    using pair = std::pair<const text, numbers>;
    using scoped = std::scoped_allocator_adaptor<pmem::allocator<pair>>;
    pmem::allocator<pair> allocator{test_dir(), 64 * MIB};
    std::map<text, numbers, std::less<text>, scoped> map{scoped{allocator}};
    for (int i = 0; i < 500; i++) {
        const std::string key = "a key too long to be stored in place: ";
        map.emplace(
            std::piecewise_construct,
            std::forward_as_tuple((key + std::to_string(1000 + i)).c_str()),
            std::forward_as_tuple(100, i));
    }
    CU_ASSERT_EQUAL_FATAL(map.size(), 500);
    const auto &last = *map.rbegin();
    memkind_t kind = memkind_detect_kind(&map.begin()->second);
    CU_ASSERT_PTR_NOT_NULL(kind);
    CU_ASSERT_PTR_EQUAL(
        memkind_detect_kind(const_cast<char *>(last.first.data())), kind);
    CU_ASSERT_PTR_EQUAL(
        memkind_detect_kind(const_cast<int *>(last.second.data())), kind);
    CU_ASSERT_EQUAL(last.second[99], 499);
}

const test_case tests[] = {
    {"containers in files", test_containers_in_files},
    {"containers on DRAM", test_containers_on_dram},
    {"containers in an area", test_containers_in_an_area},
    {"containers on a kind", test_containers_on_a_kind},
    {"allocators on a kind are equal", test_allocators_on_a_kind_are_equal},
    {"containers of two kinds", test_containers_of_two_kinds},
    {"allocators of void", test_allocators_of_void},
    {"scoped containers on a kind", test_scoped_containers_on_a_kind},
    {"bad arguments", test_bad_arguments},
    {"bad handles", test_bad_handles},
    {"sizes", test_sizes},
    {"alignments", test_alignments},
    {"copies share a kind", test_copies_share_a_kind},
    {"nothing is left", test_nothing_is_left},
    {"a full kind", test_a_full_kind},
    {"containers within containers", test_containers_within_containers},
    {"threads share an allocator", test_threads_share_an_allocator},
    {"memory resource", test_memory_resource},
    {"memory resource on a kind", test_memory_resource_on_a_kind},
    {"smart pointers", test_smart_pointers},
    {"memory resources on top", test_memory_resources_on_top},
    {"scoped maps", test_scoped_maps},
    {nullptr, nullptr},
};

} // namespace

int main(int argc, char **argv)
{
    return test_main("C++", tests, argc, argv);
}
