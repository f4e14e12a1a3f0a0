/* SPDX-License-Identifier: BSD-2-Clause */
/* A program with a malloc of its own, which a preloaded one does not replace.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(16) unsigned char arena[1 << 22];
static size_t used;

void *malloc(size_t size)
{
    const size_t taken = (size + 15) / 16 * 16;
    if (size > sizeof arena || taken > sizeof arena - used)
        return NULL;
    used += taken;
    return arena + used - taken;
}

void free(void *ptr)
{
    (void)ptr;
}

void *calloc(size_t num, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(num, size, &total) ? NULL : malloc(total);
}

void *realloc(void *ptr, size_t size)
{
    void *moved = malloc(size);
    if (ptr != NULL && moved != NULL)
        memmove(moved, ptr, size);
    return moved;
}

int main(void)
{
    unsigned char *object = malloc(100);
    const uintptr_t offset = (uintptr_t)object - (uintptr_t)arena;
    free(object);
    return offset >= sizeof arena;
}
