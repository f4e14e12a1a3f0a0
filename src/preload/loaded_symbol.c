/* SPDX-License-Identifier: BSD-2-Clause */
#include "loaded_symbol.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct search {
    const char *library, *name;
    void *found;
};

/* The name may have a version behind it. */
static bool is_named(const struct dl_phdr_info *info, const char *library)
{
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : info->dlpi_name;
    const size_t length = strlen(library);
    return strncmp(name, library, length) == 0 &&
           (name[length] == '\0' || name[length] == '.');
}

/* Where a segment lies, or what is at an address that the dynamic section
 * names: some linkers leave those relative to the library's start. */
static const void *loaded_place(const struct dl_phdr_info *info,
                                ElfW(Addr) address)
{
    const ElfW(Addr) start = info->dlpi_addr;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): addresses in an ELF file */
    return (const void *)(address < start ? start + address : address);
}

/* What of the dynamic section a search needs. */
struct tables {
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *hashes;
};

static struct tables tables_of(const struct dl_phdr_info *info)
{
    struct tables tables = {NULL, NULL, NULL};
    const ElfW(Dyn) *entry = NULL;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            entry = loaded_place(info,
                                 info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        const void *place = loaded_place(info, entry->d_un.d_ptr);
        if (entry->d_tag == DT_SYMTAB)
            tables.symbols = place;
        else if (entry->d_tag == DT_STRTAB)
            tables.strings = place;
        else if (entry->d_tag == DT_GNU_HASH)
            tables.hashes = place;
    }
    return tables;
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t hash = 5381;
    for (; *name != '\0'; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* A lookup in the table DT_GNU_HASH: its head, a filter, buckets, and chains
 * that run in step with the symbols. */
static const ElfW(Sym) *
    find_symbol(const struct tables *tables, const char *name)
{
    enum { BUCKETS, FIRST_SYMBOL, FILTER_WORDS, FILTER_SHIFT, HEAD };
    const uint32_t *head = tables->hashes, hash = gnu_hash(name);
    if (head == NULL || tables->symbols == NULL || tables->strings == NULL ||
        head[BUCKETS] == 0)
        return NULL;
    const uint32_t *buckets =
        head + HEAD + head[FILTER_WORDS] * (sizeof(ElfW(Addr)) / sizeof *head);
    const uint32_t *chains = buckets + head[BUCKETS];
    uint32_t i = buckets[hash % head[BUCKETS]];
    if (i < head[FIRST_SYMBOL])
        return NULL;
    for (;; i++) {
        const uint32_t other = chains[i - head[FIRST_SYMBOL]];
        const ElfW(Sym) *symbol = &tables->symbols[i];
        if ((other | 1) == (hash | 1) && symbol->st_shndx != SHN_UNDEF &&
            ELF64_ST_TYPE(symbol->st_info) == STT_FUNC &&
            strcmp(tables->strings + symbol->st_name, name) == 0)
            return symbol;
        if ((other & 1) != 0)
            return NULL;
    }
}

static int look_for_symbol(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *search = data;
    (void)size;
    if (!is_named(info, search->library))
        return 0;
    const struct tables tables = tables_of(info);
    const ElfW(Sym) *symbol = find_symbol(&tables, search->name);
    if (symbol != NULL)
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): as above */
        search->found = (void *)(info->dlpi_addr + symbol->st_value);
    return symbol != NULL;
}

void *loaded_symbol_find(const char *library, const char *name)
{
    struct search search = {library, name, NULL};
    (void)dl_iterate_phdr(look_for_symbol, &search);
    return search.found;
}

struct range_search {
    uintptr_t address;
    struct loaded_range found;
};

static int look_for_range(struct dl_phdr_info *info, size_t size, void *data)
{
    struct range_search *search = data;
    struct loaded_range range = {UINTPTR_MAX, 0};
    bool is_in = false;
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD)
            continue;
        if (start < range.start)
            range.start = start;
        if (start + segment->p_memsz > range.end)
            range.end = start + segment->p_memsz;
        is_in |= search->address >= start &&
                 search->address - start < segment->p_memsz;
    }
    if (is_in)
        search->found = range;
    return is_in;
}

struct loaded_range loaded_range_of(const void *address)
{
    struct range_search search = {(uintptr_t)address, {0, 0}};
    (void)dl_iterate_phdr(look_for_range, &search);
    return search.found;
}
