#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the library and its examples, installing what that takes, and indexes
# all words of /usr/include in file-backed memory (text_index.c). The program
# checks its index at the end; the last line says whether all is well.
#
# Usage: examples/run.sh [DIR]
#
#   DIR  where the file-backed memory lies (default: $PMEM_DIR, else /dev/shm)
#
# Exit status: that of text_index (2 if DIR is too small for all of it), or 1 if
# something failed before it was started.
set -euo pipefail

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

case ${1-} in
-h | --help)
    sed -n '4,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac
[ $# -le 1 ] || die "at most one argument: the directory"
dir=${1:-${PMEM_DIR:-/dev/shm}}
case $dir in
-*) dir=./$dir ;;
esac

hint="name another one: examples/run.sh DIR"
[ -d "$dir" ] || die "$dir is not a directory; $hint"
probe=$(mktemp "$dir/memkind-run.XXXXXX" 2>/dev/null) ||
    die "no file can be made in $dir; $hint"
rm -f -- "$probe"

# shellcheck source=../cmake/packages.sh
. "$root/cmake/packages.sh"
install_packages build

build=$root/build/release
cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release \
    -DMEMKIND_BUILD_TESTS=OFF -DMEMKIND_BUILD_EXAMPLES=ON
cmake --build "$build" --parallel "$(nproc)"

status=0
"$build/examples/text_index" "$dir" < <(find /usr/include -type f -print0) || status=$?
case $status in
0) echo "run.sh: done: the index was built in $dir, checked, and is gone again" ;;
2) echo "run.sh: $dir is too small for all of /usr/include; $hint" >&2 ;;
*) echo "run.sh: failed (status $status)" >&2 ;;
esac
exit $status
