#!/usr/bin/env bash
# Builds the library and runs all its tests, on ordinary memory and on emulated
# persistent memory. Installs what is missing.
#
#   tests/run.sh [CTEST-ARGUMENT...]     with arguments: without the guests
#
# MEMKIND_BUILD          build directory                        [build/test]
# MEMKIND_CMAKE          more arguments for cmake, for example -DMEMKIND_SANITIZE=thread
# CTEST_PARALLEL_LEVEL   tests at once                          [CPUs, 4 at most]
# PMEM_DIR               directory that the kinds are made in   [/dev/shm]
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
# Some tests have many threads, and some take gigabytes: not one for each CPU.
jobs=$(nproc)
[ "$jobs" -le 4 ] || jobs=4
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$jobs}
ctest --test-dir "$build" --output-on-failure --no-tests=error "$@"
[ $# = 0 ] || exit 0

status=0
"$root/tests/pmem/run.sh" || status=$?
case $status in
    0) ;;
    77) echo "skipped: emulated persistent memory" ;;
    *) exit $status ;;
esac
