#!/usr/bin/env bash
# many_cpus.sh, packed and run for a moment: its table has a figure in each cell.
# The figures say nothing.
#   many_cpus_test.sh BUILD
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
export MEMKIND_BUILD=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*"
    cat "$work"/pack/table.md "$work"/pack/table.tsv 2>/dev/null || true
    exit 1
}

# Nothing is built or installed: what is tested is there.
"$here/many_cpus.sh" --pack "$work/pack" --no-build --peers own,glibc
# As on the other machine: from its own folder, and without this environment.
(cd / && env -i PATH="$PATH" "$work/pack/many_cpus.sh" --quick --threads 3 --size 64 --dir "${MEMKIND_TEST_DIR:-/dev/shm}") >"$work/out"
cmp "$work/out" "$work/pack/table.md" || fail "what is printed is not what is written"

# Columns: what, threads, own, own_huge (which not every machine has), glibc, memory.
awk -F '|' '
    function is_figure(cell) { return cell ~ /^ [0-9]+(\.[0-9]+)?( \([0-9]+\.[0-9]+\))? $/ }
    function bad(text) { print text ": " $0; status = 1 }
    /^\| \| threads/ { columns = NF; huge = $0 ~ /own_huge/ }
    /^\|/ && !/^\| \| threads/ && !/^\|---/ {
        rows++
        if (NF != columns) bad("not as many cells as the head")
        fills = $2 ~ /GiB|freed by|purged|again|destroyed/ && $2 !~ /pass/
        if (!is_figure($4)) bad("own")
        if (huge && is_figure($5) != fills) bad("own_huge")
        if (!is_figure($(columns - 2))) bad("glibc")
        if ($2 ~ /filled|destroyed/ && !is_figure($(columns - 1))) bad("memory only")
    }
    END {
        # four patterns by one and by three threads, pass by two and three, six steps
        if (rows != 8 + 2 + 6) { print rows " rows"; status = 1 }
        exit status
    }' "$work/out" || fail "a cell is not as it should be"
grep -q ' | 3 | ' "$work/out" || fail "no three threads"

# It says what is wrong.
! "$here/many_cpus.sh" --run "$work" --quick 2>"$work/err" && grep -q 'no pack' "$work/err" || fail "no pack"
! "$work/pack/many_cpus.sh" --seconds 0 2>"$work/err" && grep -q 'no whole number' "$work/err" || fail "no time"
# A peer that crashes has that in its cells; one that is not there is missed.
cat >"$work/pack/bin/bench_malloc" <<'SH'
#!/bin/sh
[ "$1" = --list ] || kill -SEGV $$
SH
"$work/pack/many_cpus.sh" --quick --threads 1 --size 64 --dir "${MEMKIND_TEST_DIR:-/dev/shm}" >"$work/out"
[ "$(grep -c '| crashed |' "$work/out")" = $((4 + 1 + 6)) ] || { cat "$work/out"; fail "a peer that crashes"; }
rm "$work/pack/own/libmemkind.so.0"
"$work/pack/many_cpus.sh" --quick --threads 1 --size 64 --peers own --dir "${MEMKIND_TEST_DIR:-/dev/shm}" >"$work/out"
grep -qE '\| (status [0-9]+|other library) \|' "$work/out" || { cat "$work/out"; fail "a library that is missing"; }
echo "many_cpus: the table has all its cells"
