#!/usr/bin/env bash
# Static analysis of the library and its headers: clang-tidy (.clang-tidy chooses
# its checks), cppcheck, and gcc's -fanalyzer. Any finding fails.
#
#   cmake/analyze.sh [FILE...]     of src/*/*.c; without: all
#
# MEMKIND_BUILD   build directory, for compile_commands.json   [build/analyze]
# What is suppressed, here or in the source, has its reason beside it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
. cmake/packages.sh
install_packages build analyze
build=${MEMKIND_BUILD:-$root/build/analyze}
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMEMKIND_BUILD_TESTS=OFF >/dev/null
jobs=$(nproc)
if [ $# -gt 0 ]; then
    sources=("$@")
else
    mapfile -t sources < <(git ls-files 'src/*.c')
fi
failed=()

echo "---- clang-tidy: ${#sources[@]} files"
# One file at a time: with several, it loses track of va_list (an old bug).
printf '%s\0' "${sources[@]}" |
    xargs -0 -n 1 -P "$jobs" clang-tidy -p "$build" --quiet 2>/dev/null || failed+=(clang-tidy)
# The C++ headers, in a translation unit that uses all of them.
clang-tidy --quiet tests/integration/install_program.cpp \
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
cppcheck --quiet --error-exitcode=1 -j "$jobs" --std=c11 --inline-suppr \
    --enable=warning,style,performance,portability \
    --suppress=constParameter --suppress=constParameterCallback \
    --suppress=constParameterPointer --suppress=returnDanglingLifetime \
    --suppress=variableScope --suppress=negativeIndex \
    -D_GNU_SOURCE -DMEMKIND_JEMALLOC_EMBEDDED -DMEMKIND_TLS_INITIAL_EXEC \
    -Iinclude "${folders[@]/#/-I}" "${sources[@]}" || failed+=(cppcheck)

echo "---- gcc -fanalyzer"
export build
analyze() {
    gcc -std=gnu11 -O2 -fanalyzer -Wall -Wextra -Werror -D_GNU_SOURCE \
        -DMEMKIND_JEMALLOC_EMBEDDED -DMEMKIND_TLS_INITIAL_EXEC -Iinclude \
        '-DMEMKIND_TOOL_VERSION="0"' '-DMEMKIND_TOOL_LIBPMEM_VERSION="0"' \
        $(printf -- '-I%s ' src/*/) -c "$1" -o /dev/null
}
export -f analyze
printf '%s\0' "${sources[@]}" | xargs -0 -n 1 -P "$jobs" bash -c 'analyze "$1"' - || failed+=(gcc)

[ ${#failed[@]} = 0 ] || { echo "findings of: ${failed[*]}"; exit 1; }
echo "no findings"
