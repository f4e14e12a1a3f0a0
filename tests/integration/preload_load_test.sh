#!/usr/bin/env bash
# What a process loads with the libraries to be preloaded, in which order that starts, that
# no report ends it, and that programs find the descriptors that they expect.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

library=$build/src/libmemkind_preload.so
[ -e "$library" ] || skip_all "no libmemkind_preload.so (MEMKIND_BUILD_PRELOAD)"

# ---- a library that starts earlier ----------------------------------------------------
# It asks for the size of an object of the C library's.
cat >"$work/early.c" <<'END'
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void early(void)
{
    void *volatile object = malloc(100);
    if (malloc_usable_size(object) < 100 || write(1, "early", 5) != 5)
        _exit(9);
    free(object);
}
END
check "a library: build" "${cc[@]}" -fPIC -shared -fno-builtin "$work/early.c" -o "$work/early.so" || finish
asks_early() { [ "$(env "${@:2}" "LD_PRELOAD=$1:$work/early.so" /bin/true)" = early ]; }
check "the size of an early object" asks_early "$library" \
    "MEMKIND_PRELOAD_DIR=$MEMKIND_TEST_DIR" || true
check "the size of an early object: libmemtier" asks_early "$build/src/preload/libmemtier.so.0" \
    LD_LIBRARY_PATH="$build/src" "MEMKIND_MEM_TIERS=KIND:DRAM,RATIO:1;POLICY:STATIC_RATIO" || true

# ---- descriptors ----------------------------------------------------------------------
check "a daemon: build" "${cc[@]}" -O1 -D_GNU_SOURCE "$here/preload_daemon.c" -o "$work/daemon" -pthread || finish
tiers="KIND:DRAM,RATIO:1;KIND:FS_DAX,PATH:$MEMKIND_TEST_DIR,RATIO:4;POLICY:STATIC_RATIO"
# same_with VARIABLES... -- COMMAND...: what it prints is what it prints without a library.
same_with() {
    local variables=()
    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    shift
    "$@" >"$work/without" && env "${variables[@]}" "$@" >"$work/with" && diff "$work/without" "$work/with"
}
with_heap=("LD_PRELOAD=$library" "MEMKIND_PRELOAD_DIR=$MEMKIND_TEST_DIR")
with_tiers=("LD_PRELOAD=$build/src/preload/libmemtier.so.0" "LD_LIBRARY_PATH=$build/src" "MEMKIND_MEM_TIERS=$tiers")
fixed_number='exec 5<"$0"; x=$(head -n 1 <&5); echo "$x"'
# With few descriptors, those of the heap are among the lowest.
few() { [ "$(ulimit -n 64 && env "${with_heap[@]}" "$work/daemon" "$1" | cut -d ' ' -f 4-)" = "1 3 1" ]; }
for way in close closefrom close_range listed; do
    check "a daemon: $way" same_with "${with_heap[@]}" -- "$work/daemon" $way || true
    check "a daemon: $way, no heap" same_with "${with_heap[0]}" -- "$work/daemon" $way || true
    for policy in copy private; do
        check "a daemon: $way, $policy" same_with "${with_heap[@]}" MEMKIND_PRELOAD_FORK=$policy -- "$work/daemon" $way || true
    done
    check "a daemon: $way, few descriptors" few $way || true
    check "a daemon: $way, libmemtier" same_with "${with_tiers[@]}" -- "$work/daemon" $way || true
done
check "a script gives a number" same_with "${with_heap[@]}" -- sh -c "$fixed_number" "$root/LICENSE" || true
check "a script gives a number: libmemtier" same_with "${with_tiers[@]}" -- sh -c "$fixed_number" "$root/LICENSE" || true

# ---- libraries with handlers of fork() ------------------------------------------------
for part in LOCK KINDS; do
    with=(-fPIC -shared -D$part -I"$root/include" -o "$work/lib$part.so")
    [ "$part" != KINDS ] || with+=(-L"$build/src" -lmemkind)
    check "a library with handlers: $part: build" "${cc[@]}" -fno-builtin "$here/preload_forks.c" -pthread "${with[@]}" &&
        check "a program that forks: $part: build" "${cc[@]}" "$here/preload_forks.c" -o "$work/forks$part" -pthread \
            -L"$work" -l:"lib$part.so" -Wl,-rpath,"$work" -Wl,-rpath-link,"$build/src" || finish
done
all_children() { [ "$(env LD_LIBRARY_PATH="$build/src" "${@:2}" timeout 100 "$1")" = "60 of 60" ]; }
for part in LOCK KINDS; do
    check "forks: $part" all_children "$work/forks$part" || true
    check "forks: $part, preloaded" all_children "$work/forks$part" "${with_heap[@]}" || true
    check "forks: $part, preloaded, no heap" all_children "$work/forks$part" "${with_heap[0]}" || true
    check "forks: $part, libmemtier" all_children "$work/forks$part" "${with_tiers[@]}" || true
done

# ---- reports that cannot be written ---------------------------------------------------
# with_stats FILE: the exit status of a program that reports there.
with_stats() {
    local status=0
    env "MEMKIND_PRELOAD_DIR=$MEMKIND_TEST_DIR" "MEMKIND_PRELOAD_STATS=$1" \
        "LD_PRELOAD=$library" timeout 60 /bin/true || status=$?
    echo $status
}
nobody_reads() {
    {
        trap '' PIPE
        while echo; do :; done 2>/dev/null
        trap - PIPE
        with_stats 1 2>&1 >"$work/status"
    } | :
    [ "$(cat "$work/status")" = 0 ]
}
no_room() { echo report >"$work/report" && [ "$(ulimit -f 0 && with_stats "$work/report")" = 0 ]; }
no_reader() { mkfifo "$work/fifo" && [ "$(with_stats "$work/fifo")" = 0 ]; }
check "nobody reads the report" nobody_reads || true
check "the report's file is as large as it may be" no_room || true
check "the report's file is a pipe without a reader" no_reader || true

# ---- libpmem ----------------------------------------------------------------------
grep -q '^MEMKIND_PMEM_ARCHIVE_IS_SHAREABLE:INTERNAL=1$' "$build/CMakeCache.txt" ||
    skip_all "no libpmem.a that can be in a shared library"

# Each process that is started would load what libpmem.so takes along.
few_libraries() {
    ldd "$library"
    ! ldd "$library" | grep -E 'libpmem|libndctl|libdaxctl|libudev|libkmod|libcrypto'
}

# The functions of .init_array, in their order.
constructors() {
    local start size
    read -r start size < <(readelf -SW "$library" |
        sed -n 's/.* \.init_array  *INIT_ARRAY  *\([0-9a-f]*\) [0-9a-f]* \([0-9a-f]*\) .*/\1 \2/p')
    readelf -rW "$library" | while read -r offset _ type addend _; do
        [[ $type == R_*_RELATIV* ]] && ((16#$offset >= 16#$start &&
            16#$offset < 16#$start + 16#$size)) && printf '%s %016x\n' "$offset" "$((16#$addend))"
    done | sort | while read -r _ address; do
        nm "$library" | awk -v address="$address" '$1 == address { print $3 }'
    done
}
# A kind is made by functions of libpmem's.
pmem_first() {
    constructors | grep -xE 'libpmem_init|library_init|preload_init' | tee "$work/order"
    [ "$(tail -n 1 "$work/order")" = preload_init ] && grep -qx libpmem_init "$work/order" &&
        grep -qx library_init "$work/order"
}
check "no libraries for devices" few_libraries || true
if nm "$library" 2>&1 | grep ' t preload_init$' >"$work/symbols"; then
    check "libpmem starts before the heap is made" pmem_first || true
else
    skipped "the library's own symbols are not there"
fi
finish
