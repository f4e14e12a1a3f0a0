#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the library and its examples, installing what that takes, and indexes
# all words of /usr/include in file-backed memory (see word_index.c).
#
# Usage: examples/run.sh [DIR]
#
#   DIR  where the file-backed memory lies (default: $PMEM_DIR, else /dev/shm)
#
# Exit status: that of word_index (2 where DIR is too small for all of it), or
# 1 where it did not come to that.
set -euo pipefail

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

case ${1-} in
-h | --help)
    sed -n '4,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
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

exec "$build/examples/word_index" -d "$dir" /usr/include
