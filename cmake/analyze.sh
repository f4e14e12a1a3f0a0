#!/usr/bin/env bash
# Static analysis of the library and its headers: clang-tidy (.clang-tidy chooses
# its checks), cppcheck, and gcc's -fanalyzer. Any finding fails.
#
#   cmake/analyze.sh [--installed] [FILE...]     of src/*/*.c and include; without: all
#
# --installed: installs nothing, and leaves out, by name, what is not there.
# MEMKIND_BUILD   build directory, for compile_commands.json; configured unless it
#                 is already                                   [build/analyze]
# What is suppressed, here or in the source, has its reason beside it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
. cmake/packages.sh
installed=
if [ "${1-}" = --installed ]; then
    installed=1
    shift
else
    install_packages build analyze
fi
# there TOOL: whether to run it
there() {
    [ -z "$installed" ] || command -v "$1" >/dev/null || {
        echo "skipped: $1 (not installed)"
        return 1
    }
}
build=${MEMKIND_BUILD:-$root/build/analyze}
[ -n "${MEMKIND_BUILD:-}" ] && [ -f "$build/compile_commands.json" ] ||
    cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMEMKIND_BUILD_TESTS=OFF >/dev/null
jobs=$(nproc)
sources=() public=
if [ $# -gt 0 ]; then
    for file in "$@"; do
        case $file in
            include/*) public=1 ;;
            *) sources+=("$file") ;;
        esac
    done
else
    public=1
    mapfile -t sources < <(git ls-files 'src/*.c')
fi
failed=()

echo "---- clang-tidy: ${#sources[@]} files"
# One file at a time: with several, it loses track of va_list (an old bug).
[ ${#sources[@]} = 0 ] || ! there clang-tidy || printf '%s\0' "${sources[@]}" |
    xargs -0 -n 1 -P "$jobs" clang-tidy -p "$build" --quiet 2>/dev/null || failed+=(clang-tidy)
# The C++ headers, in a translation unit that uses all of them.
[ -z "$public" ] || ! there clang-tidy || clang-tidy --quiet tests/integration/install_program.cpp \
    --checks='-*,bugprone-*,clang-analyzer-*,misc-*,performance-*,portability-*' \
    --header-filter='.*/include/.*' --line-filter='[
        {"name":"memkind_allocator_base.hpp"},{"name":"pmem_memory_resource.hpp"},
        {"name":"pmem_allocator.h"},{"name":"fixed_allocator.h"},{"name":"memkind_allocator.h"},
        {"name":"kind_allocator.h"}]' \
    -- -std=c++17 -Iinclude 2>/dev/null || failed+=(clang-tidy-c++)

echo "---- cppcheck"
# constParameter*: the types of hooks and operations are jemalloc's and
# libmemkind's. returnDanglingLifetime: takes what a function gives back for the
# local variable that was passed to it. variableScope: buffers stand at the start
# of a function. negativeIndex: below a magazine's first place there is a NULL.
folders=(src/*/)
[ ${#sources[@]} = 0 ] || ! there cppcheck || cppcheck --quiet --error-exitcode=1 -j "$jobs" --std=c11 --inline-suppr \
    --enable=warning,style,performance,portability \
    --suppress=constParameter --suppress=constParameterCallback \
    --suppress=constParameterPointer --suppress=returnDanglingLifetime \
    --suppress=variableScope --suppress=negativeIndex \
    -D_GNU_SOURCE -DMEMKIND_JEMALLOC_EMBEDDED -DMEMKIND_TLS_INITIAL_EXEC \
    -Iinclude "${folders[@]/#/-I}" '-DElfW(type)=Elf64_##type' "${sources[@]}" || failed+=(cppcheck)

echo "---- gcc -fanalyzer"
export build
analyze() {
    gcc -std=gnu11 -O2 -fanalyzer -Wall -Wextra -Werror -D_GNU_SOURCE \
        -DMEMKIND_JEMALLOC_EMBEDDED -DMEMKIND_TLS_INITIAL_EXEC -Iinclude \
        '-DMEMKIND_TOOL_VERSION="0"' '-DMEMKIND_TOOL_LIBPMEM_VERSION="0"' \
        '-DMEMTIER_LIBRARY_FOLDER="/"' -DPRELOAD_HAS_FAST_WAYS \
        $(printf -- '-I%s ' src/*/) -c "$1" -o /dev/null
}
export -f analyze
[ ${#sources[@]} = 0 ] || ! there gcc || printf '%s\0' "${sources[@]}" |
    xargs -0 -n 1 -P "$jobs" bash -c 'analyze "$1"' - || failed+=(gcc)

[ ${#failed[@]} = 0 ] || { echo "findings of: ${failed[*]}"; exit 1; }
echo "no findings"
