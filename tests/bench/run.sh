#!/usr/bin/env bash
# The benchmark: this library's pmem kind beside libmemkind 1.14's and the
# mallocs of jemalloc, mimalloc, tcmalloc and glibc. Installs what is missing,
# builds, runs in interleaved rounds, prints tables, writes JSON, CSV and a plot.
#
#   tests/bench/run.sh [OPTION...]      about 16 minutes; --help has the options
#   tests/bench/run.sh --quick          about two
#   tests/bench/run.sh --scaling        threads 1, 2, 4, 8, 16
#   tests/bench/run.sh --memory         DRAM, file space and fragmentation
#   tests/bench/run.sh --patterns full,full_lru     kinds at their limit
#   tests/bench/run.sh --read F --plot G    of a run's JSON, without another run
#
# MEMKIND_BUILD    build directory                        [build/bench]
# PMEM_DIR         directory that the kinds are made in   [/dev/shm]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${MEMKIND_BUILD:-$root/build/bench}
compare=(python3 "$root/tests/bench/compare.py" --build "$build" "$@")
# What measures nothing needs nothing, and leaves a run that is under way alone.
case " $* " in
    *" --help "* | *" -h "* | *" --read"[\ =]*) exec "${compare[@]}" ;;
esac

. "$root/cmake/packages.sh"
install_packages build test
if ! install_packages bench; then
    # A peer that this system has no package of is left out.
    for package in ${memkind_packages[bench]}; do
        memkind_packages[one]=$package
        install_packages one || echo "not installed: $package" >&2
    done
fi
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" --target memkind_bench_memkind memkind_bench_malloc >/dev/null
exec "${compare[@]}"
