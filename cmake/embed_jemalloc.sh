#!/usr/bin/env bash
# embed_jemalloc.sh ARCHIVE OBJECT AR LD OBJCOPY NM CC
# Turns a jemalloc archive into one object whose public names start with mkje_
# and whose other names are local.
set -euo pipefail
archive=$1 object=$2 ar=$3 ld=$4 objcopy=$5 nm=$6 cc=$7

public=(aligned_alloc calloc dallocx free mallctl mallctlbymib mallctlnametomib
        malloc malloc_conf malloc_conf_2_conf_harder malloc_message
        malloc_stats_print malloc_usable_size mallocx memalign nallocx
        posix_memalign pvalloc rallocx realloc sallocx sdallocx valloc xallocx)

work=$(mktemp -d "$object.XXXXXX")
trap 'rm -rf "$work"' EXIT
work=$(realpath "$work")
cp "$archive" "$work/copy.a"
# The C++ operators would take part in the program's own new and delete.
for member in $("$ar" t "$work/copy.a" | grep jemalloc_cpp || true); do
    "$ar" d "$work/copy.a" "$member"
done
# redirect MEMBER OLD NEW: the calls that one object file makes
redirect() {
    local member
    for member in $("$ar" t "$work/copy.a" | grep "^$1\."); do
        (cd "$work" && "$ar" x copy.a "$member" &&
            "$objcopy" --redefine-sym "$2=$3" "$member" &&
            "$ar" r copy.a "$member")
    done
}
# With retain:true, the memory of an arena's own data stays mapped for ever after
# the arena is destroyed. Kinds come and go, so it has to be unmapped.
redirect base je_extent_dalloc_mmap mkje_unmap_base
# See lost_arenas.h.
redirect ctl je_arena_init mkje_arena_init
# See page_traffic.h.
redirect arena je_pa_alloc mkje_pa_alloc
redirect arena je_pa_dalloc mkje_pa_dalloc
redirect large je_pa_dalloc mkje_pa_dalloc
redirect arena je_pac_decay_all mkje_pac_decay_all
redirect arena je_pac_maybe_decay_purge mkje_pac_maybe_decay_purge
# See records_ahead.c.
redirect edata_cache je_base_alloc_edata mkje_base_alloc_edata
# The size of its thread-local variable, which cannot be passed in any other way:
# as a text in an object of its own; see jemalloc_thread.c.
size=$("$nm" -S "$work/copy.a" 2>/dev/null | awk '$4 == "je_tsd_tls" && !found { print $2; found = 1 }')
[ -n "$size" ] || { echo "jemalloc has no thread-local je_tsd_tls" >&2; exit 1; }
printf '.section .rodata\n.globl mkje_tsd_size_text\nmkje_tsd_size_text: .asciz "%d"\n' "0x$size" >"$work/size.s"
printf '.section .note.GNU-stack,"",%%progbits\n' >>"$work/size.s"
"$cc" -c "$work/size.s" -o "$work/size.o"
"$ld" -r --whole-archive "$work/copy.a" "$work/size.o" -o "$work/all.o"
printf '%s mkje_%s\n' $(for name in "${public[@]}"; do echo "$name" "$name"; done) >"$work/names"
# Options that cannot be set in any other way (the second one since 5.3.1); see
# jemalloc_conf.c.
for option in cache_oblivious disable_large_size_classes; do
    echo "je_opt_$option mkje_opt_$option" >>"$work/names"
done
printf '%s\n' 'je_arena_init mkje_real_arena_init' 'je_pa_alloc mkje_real_pa_alloc' \
    'je_pa_dalloc mkje_real_pa_dalloc' 'je_pac_decay_all mkje_real_pac_decay_all' \
    'je_pac_maybe_decay_purge mkje_real_pac_maybe_decay_purge' \
    'je_base_alloc_edata mkje_real_base_alloc_edata' \
    'je_arena_basic_stats_merge mkje_arena_basic_stats_merge' \
    'je_ecache_prefork mkje_ecache_prefork' \
    'je_ecache_postfork_parent mkje_ecache_postfork_parent' 'je_tsd_tls mkje_tsd_tls' \
    'je_tsd_cleanup mkje_tsd_cleanup' >>"$work/names"
# See jemalloc_fork.h.
printf '%s\n' 'je_tsd_postfork_child mkje_tsd_postfork_child' 'je_arenas mkje_arenas' \
    'je_arena_postfork_child mkje_arena_postfork_child' >>"$work/names"
# See jemalloc_batch.h.
printf '%s\n' 'je_arena_cache_bin_fill_small mkje_arena_cache_bin_fill_small' \
    'je_tcache_bin_flush_small mkje_tcache_bin_flush_small' \
    'je_tcache_bin_info mkje_tcache_bin_info' >>"$work/names"
# MALLOC_CONF and /etc/malloc.conf are for the process's own malloc.
printf '%s\n' 'secure_getenv mkje_getenv' 'readlink mkje_readlink' >>"$work/names"
# Memory and threads come by the library's own table of system calls.
for name in mmap munmap madvise mprotect pthread_create pthread_key_create pthread_atfork \
    dlsym; do
    echo "$name mkje_$name"
done >>"$work/names"
"$objcopy" --redefine-syms="$work/names" "$work/all.o" "$work/renamed.o"
"$objcopy" --wildcard --keep-global-symbol='mkje_*' "$work/renamed.o" "$object"
