#!/usr/bin/env bash
# Builds the library and runs all its tests. Installs what is missing.
#
#   tests/run.sh [CTEST-ARGUMENT...]
#
# MEMKIND_BUILD    build directory                        [build/test]
# MEMKIND_CMAKE    more arguments for cmake, for example -DMEMKIND_SANITIZE=thread
# PMEM_DIR         directory that the kinds are made in   [/dev/shm]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/cmake/packages.sh"
install_packages build test

build=${MEMKIND_BUILD:-$root/build/test}
directory=${PMEM_DIR:-/dev/shm}
# shellcheck disable=SC2086 # a list of arguments
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
    -DMEMKIND_WERROR=ON "-DMEMKIND_TEST_DIR=$directory" ${MEMKIND_CMAKE:-} >/dev/null
cmake --build "$build" -- -k 0
exec ctest --test-dir "$build" --output-on-failure --no-tests=error "$@"
