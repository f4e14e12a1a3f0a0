/* SPDX-License-Identifier: BSD-2-Clause */
/* Operator new in a heap that is full: it throws, and what was allocated can be
 * deleted. reduced.sh runs this with another malloc behind the preloaded one.
 */
#include <cstddef>
#include <new>
#include <vector>

int main()
{
    std::vector<char *> objects;
    bool thrown = false;
    objects.reserve(100000);
    try {
        while (objects.size() < objects.capacity())
            objects.push_back(new char[4096]);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    const bool none = new (std::nothrow) char[1 << 20] == nullptr;
    for (char *object : objects)
        delete[] object;
    return thrown && none && objects.size() > 1000 ? 0 : 1;
}
