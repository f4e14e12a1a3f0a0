/* SPDX-License-Identifier: BSD-2-Clause */
/* All of operator new and delete, in a program whose malloc is libmemtier's. */
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

struct alignas(256) aligned_object {
    char bytes[300];
};

int main()
{
    std::map<std::string, std::vector<int>> objects;
    for (int i = 0; i < 1000; i++)
        objects["number " + std::to_string(i)].assign(100, i);
    long sum = 0;
    for (const auto &object : objects)
        sum += object.second.back();
    aligned_object *one = new aligned_object, *many = new aligned_object[3];
    const bool is_aligned = reinterpret_cast<std::uintptr_t>(one) % 256 == 0 &&
                            reinterpret_cast<std::uintptr_t>(many) % 256 == 0;
    delete one;
    delete[] many;
    int *number = new (std::nothrow) int(5);
    operator delete(number, std::nothrow);
    std::size_t most = static_cast<std::size_t>(-1) / 2;
    bool is_thrown = false;
    try {
        std::unique_ptr<char[]> none(new char[most]);
    } catch (const std::bad_alloc &) {
        is_thrown = true;
    }
    std::printf("%ld %d %d\n", sum, is_aligned, is_thrown);
    return 0;
}
