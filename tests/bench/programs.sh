#!/usr/bin/env bash
# The benchmark of programs as they are: servers, interpreters, compilers, and short
# programs whose time is malloc's, with glibc, jemalloc, mimalloc, tcmalloc and this
# library's heap (libmemkind_preload.so). Installs what is missing, builds, prints a table.
#
#   tests/bench/programs.sh [OPTION...]      --help has the options; --quick: a tenth
#
# MEMKIND_BUILD    build directory              [build/bench]
# PMEM_DIR         directory of the heaps       [/dev/shm]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${MEMKIND_BUILD:-$root/build/bench}
compare=(python3 "$root/tests/bench/programs_compare.py" --build "$build" --dir "${PMEM_DIR:-/dev/shm}" "$@")
case " $* " in
    *" --help "* | *" -h "*) exec "${compare[@]}" ;;
esac
. "$root/cmake/packages.sh"
install_packages build
install_packages programs || echo "some programs cannot be installed, and are left out" >&2
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" --target memkind_preload memkind_malloc_programs memkind_text_load >/dev/null
exec "${compare[@]}"
