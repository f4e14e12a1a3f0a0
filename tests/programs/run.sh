#!/usr/bin/env bash
# Runs programs as Debian ships them with their malloc in files, and compares with runs
# without. Installs what is missing.
#
#   tests/programs/run.sh [--long] [NAME...]     without names: all, which are
#                                                reduced, redis, redis_cluster, ...
#
# --long         as much as makes sense by hand: millions of keys, all modules
#
# MEMKIND_BUILD      build directory                                    [build/programs]
# PMEM_DIR           directory of the heaps                             [/dev/shm]
# PROGRAMS_FORK      what the heap is in forked children                [snapshot]
# PROGRAMS_KEEP      not empty: the files of a program that failed stay
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/cmake/packages.sh"
names=()
while [ $# -gt 0 ]; do
    case $1 in
        --long) export PROGRAMS_LONG=1 ;;
        -h | --help) sed -n '2,/^set -e/p' "$0" | sed '$d;s/^# \{0,1\}//'; exit 0 ;;
        -*) echo "run.sh: no such option: $1" >&2; exit 2 ;;
        *)
            [ -e "$root/tests/programs/$1.sh" ] || { echo "run.sh: no such program: $1" >&2; exit 2; }
            names+=("$1")
            ;;
    esac
    shift
done
if [ ${#names[@]} = 0 ]; then
    for path in "$root"/tests/programs/*.sh; do
        name=$(basename "$path" .sh)
        case $name in run | common) ;; *) names+=("$name") ;; esac
    done
fi
install_packages build test
install_packages programs || echo "some programs cannot be installed, and are skipped" >&2
build=${MEMKIND_BUILD:-$root/build/programs}
export MEMKIND_TEST_DIR=${PMEM_DIR:-/dev/shm}
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" --target memkind_preload memkind-pmem memkind_reduced_programs memkind_reduced_new >/dev/null

limit=300
[ -z "${PROGRAMS_LONG:-}" ] || limit=3600
failed=() skipped=()
for name in "${names[@]}"; do
    printf '==== %s\n' "$name"
    status=0
    timeout -k 10 "$limit" bash "$root/tests/programs/$name.sh" "$build" || status=$?
    case $status in
        0) ;;
        77) skipped+=("$name") ;;
        *) failed+=("$name") ;;
    esac
done
printf '\n%d programs: %d failed%s, %d skipped%s\n' ${#names[@]} ${#failed[@]} "${failed[*]:+ (${failed[*]})}" \
    ${#skipped[@]} "${skipped[*]:+ (${skipped[*]})}"
[ ${#failed[@]} = 0 ]
