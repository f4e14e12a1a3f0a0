// SPDX-License-Identifier: BSD-2-Clause
// C++'s operators new and delete in a program with a preloaded heap of 64 MiB.
//
//   test_preload_cpp dram|null: what an allocation gets if the heap is full
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

// The sized operators, which clang declares if it is asked to only.
void delete_sized(void *ptr, std::size_t size) __asm__("_ZdlPvm");
void delete_sized_aligned(
    void *ptr, std::size_t size,
    std::align_val_t alignment) __asm__("_ZdlPvmSt11align_val_t");

namespace
{

int failures;
int handler_calls;

void check(bool holds, const char *what)
{
    if (!holds) {
        std::printf("not so: %s\n", what);
        failures++;
    }
}

// Whether an address lies in a mapping of a file that has no name any more.
bool is_in_heap(const void *ptr)
{
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line)) {
        unsigned long start = 0, end = 0;
        const auto address = reinterpret_cast<std::uintptr_t>(ptr);
        if (std::sscanf(line.c_str(), "%lx-%lx", &start, &end) == 2 &&
            address >= start && address < end)
            return line.find("(deleted)") != std::string::npos;
    }
    return false;
}

struct alignas(256) Aligned {
    char bytes[512];
};

void *volatile kept; // so that no pair of new and delete is left out

void use_operators()
{
    kept = ::operator new(100);
    check(is_in_heap(kept), "operator new is in the heap");
    ::operator delete(kept);
    kept = ::operator new(100);
    delete_sized(kept, 100);
    kept = ::operator new[](100, std::nothrow);
    check(is_in_heap(kept), "operator new[](nothrow) is in the heap");
    ::operator delete[](kept, std::nothrow);
    kept = ::operator new (100, std::align_val_t{512});
    check(reinterpret_cast<std::uintptr_t>(kept) % 512 == 0, "alignment");
    check(is_in_heap(kept), "operator new(align_val_t) is in the heap");
    delete_sized_aligned(kept, 100, std::align_val_t{512});
    kept = ::operator new[](100, std::align_val_t{64}, std::nothrow);
    ::operator delete[](kept, std::align_val_t{64}, std::nothrow);
    kept = ::operator new(0);
    check(kept != nullptr, "zero bytes are an object");
    ::operator delete(kept);
    auto aligned = std::make_unique<Aligned[]>(5);
    check(reinterpret_cast<std::uintptr_t>(aligned.get()) % 256 == 0,
          "make_unique of an aligned type");
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([] {
            std::vector<std::string> texts;
            for (int n = 0; n < 10000; n++)
                texts.emplace_back(static_cast<std::size_t>(n % 300), 'x');
            check(texts[299].size() == 299, "strings");
        });
    for (auto &thread : threads)
        thread.join();
}

void give_up()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

// More than the heap has.
void use_up(bool full_is_null)
{
    const std::size_t large = std::size_t{80} << 20;
    bool thrown = false;
    std::set_new_handler(give_up);
    try {
        kept = ::operator new(large);
        check(!is_in_heap(kept), "what has no room is in DRAM");
        ::operator delete(kept);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    check(thrown == full_is_null, "std::bad_alloc");
    check(handler_calls == (full_is_null ? 3 : 0), "the new handler");
    kept = ::operator new(large, std::nothrow);
    check((kept == nullptr) == full_is_null, "nothrow");
    ::operator delete(kept, std::nothrow);
    thrown = false;
    try {
        kept = ::operator new[](large, std::align_val_t{128});
        ::operator delete[](kept, std::align_val_t{128});
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    check(thrown == full_is_null, "std::bad_alloc of an aligned operator");
}

} // namespace

int main(int argc, char **argv)
{
    use_operators();
    use_up(argc > 1 && std::strcmp(argv[1], "null") == 0);
    return failures != 0;
}
