#!/usr/bin/env bash
# A build for machines that have no jemalloc to embed: on the shared library.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

case ${CFLAGS:-} in
    *-fsanitize*) skip_all "a library built with a sanitizer" ;;
esac
grep -q '^MEMKIND_JEMALLOC_SOURCE_DIR:PATH=.' "$build/CMakeCache.txt" &&
    skip_all "a jemalloc of our own"
suites=(test_alignment test_heap test_cancel test_signals)
check "configure" cmake -S "$root" -B "$work/build" -DCMAKE_BUILD_TYPE=Debug \
    -DMEMKIND_JEMALLOC_PIC_ARCHIVE= -DMEMKIND_WERROR=ON \
    -DMEMKIND_BUILD_TOOL=OFF -DMEMKIND_BUILD_EXAMPLES=OFF \
    "-DMEMKIND_TEST_DIR=$MEMKIND_TEST_DIR" || finish
cp "$work/log" "$work/configured"
check "is built on the shared library" grep -q "linking with" "$work/configured"
check "build" cmake --build "$work/build" -j 2 --target memkind "${suites[@]/#/memkind_}" || finish
for suite in "${suites[@]}"; do
    check "$suite" env MEMKIND_TEST_DIR="$MEMKIND_TEST_DIR" "$work/build/tests/$suite"
done
finish
