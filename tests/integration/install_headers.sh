#!/usr/bin/env bash
# Each public header compiles on its own, twice, without a warning: C headers
# as C11 and as C++17, C++ headers as C++17 and, if they say so, as C++11. Programs
# that use the allocators compile with each standard up to C++23.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)

# alone COMPILER STANDARD HEADER
alone() {
    local language=c
    [[ $2 != c++* ]] || language=c++
    printf '#include <%s>\n#include <%s>\n' "$3" "$3" >"$work/alone"
    check "$1 $2 $3" "$1" -x $language "-std=$2" "${warnings[@]}" \
        -I"$root/include" -fsyntax-only "$work/alone" || true
}

for compilers in "gcc g++" "clang clang++"; do
    read -r c cpp <<<"$compilers"
    if ! command -v "$c" >/dev/null || ! command -v "$cpp" >/dev/null; then
        skipped "$c and $cpp (not installed)"
        continue
    fi
    while read -r header; do
        if grep -q 'extern "C"' "$root/include/$header"; then
            alone "$c" c11 "$header"
        fi
        alone "$cpp" c++17 "$header"
        [ "$header" = pmem_memory_resource.hpp ] || alone "$cpp" c++11 "$header"
    done < <(cd "$root/include" && find . -name '*.h*' -printf '%P\n' | sort)
    # the compiler only checks templates that are used
    for standard in c11 c++17; do
        program=$here/install_program.c compiler=$c
        [ $standard = c11 ] || program=$here/install_program.cpp compiler=$cpp
        check "$compiler $standard ${program##*/}" "$compiler" "-std=$standard" \
            -D_GNU_SOURCE "${warnings[@]}" -I"$root/include" -fsyntax-only "$program" || true
    done
    for standard in c++11 c++14 c++17 c++20 c++2b; do
        if ! "$cpp" "-std=$standard" -x c++ -fsyntax-only /dev/null 2>/dev/null; then
            skipped "$cpp $standard (it does not know that)"
            continue
        fi
        check "$cpp $standard install_standards.cpp" "$cpp" "-std=$standard" "${warnings[@]}" \
            -I"$root/include" -fsyntax-only "$here/install_standards.cpp" || true
    done
done
finish
