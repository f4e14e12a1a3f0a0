#!/usr/bin/env bash
# Runs the suites and examples on persistent memory: on $PMEM_DIR if that is
# set, and otherwise in guests whose memory is made persistent by the kernel.
#
#   tests/pmem/run.sh [NAME...]     of: ext4 xfs device set-aside no-fallocate no-holes overcommit tool numa programs hmat
#   tests/pmem/run.sh bench         patterns of tests/bench on DAX, beside libmemkind 1.14
#   tests/pmem/run.sh fork          what fork() means there with each policy, and costs
#
# MEMKIND_BUILD    build directory   [build/pmem]
# MEMKIND_BEFORE   build directory of an earlier state, which `bench` measures as well
# Exits with 77 if no guest can be booted.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/pmem
. "$root/cmake/packages.sh"
install_packages build test
build=${MEMKIND_BUILD:-$root/build/pmem}
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" >/dev/null

# On real persistent memory nothing has to be emulated.
if [ -n "${PMEM_DIR:-}" ]; then
    memory=plain
    "$build/examples/pmem_check_dax" "$PMEM_DIR" | grep -q 'are mapped with DAX' && memory=dax
    echo "suites on $PMEM_DIR ($memory)"
    cmake -S "$root" -B "$build" "-DMEMKIND_TEST_DIR=$PMEM_DIR" >/dev/null
    MEMKIND_TEST_MEMORY=$memory exec ctest --test-dir "$build" --output-on-failure -LE scripts
fi

if ! install_packages pmem || ! command -v qemu-system-x86_64 >/dev/null; then
    echo "skipped: suites on emulated persistent memory (no qemu-system-x86_64)"
    exit 77
fi

payload=$(mktemp -d)
trap 'rm -rf "$payload"' EXIT
"$here/guest.sh" -f none -t 120 "$payload" -- true || {
    echo "skipped: suites on emulated persistent memory (no guest can be booted)"
    exit 77
}
# The suites of the public interface, and those of layers that depend on the
# memory. (The others replace what they are about.)
suites=(test_pmem test_heap test_kinds test_limits test_detect test_stats
        test_defrag test_internal_kind test_threads test_cpp
        test_fork test_fork_snapshot test_cache test_region_grains test_large_units test_core_dump)
cp "${suites[@]/#/$build/tests/}" "$build/tests/test_process_limits" "$build/tests/test_nodes" \
    "$build/tests/bench_memkind" "$payload"
# Only if it was built.
static=()
if [ -x "$build/tests/test_pmem_static" ]; then
    static=(test_pmem_static)
    cp "$build/tests/test_pmem_static" "$payload"
fi
find "$build/examples" -maxdepth 1 -type f -name 'pmem_*' -perm -u+x -exec cp {} "$payload" \;
cp -L "$build/src/libmemkind.so.0" "$payload"
cp "$build/tests/"{test_directories,test_node_kinds,test_hbwmalloc,test_memtier} "$build/src/preload/memtier" "$payload"
cp -L "$build/src/preload/libmemtier.so.0" "$payload"
cp "$build/src/tool/memkind-pmem" "$build/tests/device_mark" "$payload"
cp "$here/in_guest.sh" "$here/tool_in_guest.sh" "$here/numa_in_guest.sh" "$payload"
strip -g "$payload"/test_* "$payload"/pmem_* "$payload"/memkind-pmem "$payload"/libmemkind.so.0 2>/dev/null || true

# As for 2 MiB mappings on a file system that ages.
ext4_options='-E stride=512,stripe_width=512'
xfs_options='-d su=2m,sw=1'

# guest NAME FS MKFS-OPTIONS MEMORY PLACE SUITE...
guest() {
    local name=$1 fs=$2 mkfs=$3 memory=$4 place=$5
    shift 5
    # The library's folder: the test programs were built to find it elsewhere.
    "$here/guest.sh" -s 768M -m ${memory_size:-1536M} -t 2400 -f "$fs" --mkfs-opts "$mkfs" \
        -e "MEMKIND_TEST_MEMORY=$memory" -e "MEMKIND_TEST_DIR=/mnt/pmem" \
        -e "OVERCOMMIT=${overcommit:-0}" -e "MEMKIND_TEST_DEVICE=/dev/dax0.0" -e LD_LIBRARY_PATH=/payload \
        "$payload" -- sh in_guest.sh "$name" "$place" "$@"
}

run_ext4() { guest "DAX ext4" ext4 "$ext4_options" dax /mnt/pmem "${suites[@]}" "${static[@]}"; }
# What xfs does in its own way: file space, holes, faults.
run_xfs() {
    guest "DAX xfs" xfs "$xfs_options" dax /mnt/pmem test_pmem test_heap test_limits test_stats \
        test_fork_snapshot test_region_grains test_large_units
}
run_device() { guest "device DAX" devdax "" device /dev/dax0.0 test_pmem "${static[@]}"; }
run_set-aside() { guest "device DAX, no NVDIMM" hmem "" device /dev/dax0.0 test_pmem "${static[@]}"; }
run_no-fallocate() { guest "no fallocate (ext2)" ext2 "" no-fallocate /mnt/pmem test_pmem; }
# Every mapping of DRAM counts with this setting. (It is one of the whole machine:
# not outside a guest.)
run_overcommit() {
    overcommit=2 memory_size=3072M guest "overcommit_memory=2" ext4 "$ext4_options" dax /mnt/pmem \
        test_process_limits test_limits test_detect test_stats test_fork_snapshot
}
# Kinds of NUMA nodes, and tiers of them: three nodes, as the firmware describes them.
run_hmat() {
    "$here/guest.sh" -m 1536M -t 900 -f hmat -e MEMKIND_TEST_MEMORY=hmat -e MEMKIND_TEST_DIR=/mnt/pmem \
        -e LD_LIBRARY_PATH=/payload "$payload" -- sh in_guest.sh "NUMA nodes" "" test_node_kinds test_hbwmalloc test_memtier
}
run_no-holes() { guest "no holes (vfat)" vfat "" no-holes /mnt/pmem test_pmem; }
# What the tool says about file systems that are made and mounted in other ways.
run_tool() {
    local fs status=0
    for fs in ext4 xfs; do
        local options=${fs}_options
        "$here/guest.sh" -s 768M -m 1536M -t 900 -f $fs --mkfs-opts "${!options}" \
            -e LD_LIBRARY_PATH=/payload \
            "$payload" -- sh tool_in_guest.sh "the tool on $fs" /mnt/pmem $fs || status=$?
    done
    return $status
}

# A node without CPUs, as memory on CXL is: kinds in a tmpfs that is bound to it, and
# over two namespaces of persistent memory, one on each node.
run_numa() {
    "$here/guest.sh" -s 192M -m 1024M --far 1024M --far-pmem 192M -t 900 -f none \
        -e MEMKIND_TEST_DIR=/tmp -e LD_LIBRARY_PATH=/payload \
        "$payload" -- sh numa_in_guest.sh
}

# Programs of Debian's, as far as they are installed, with their malloc on DAX.
run_programs() {
    local folder name found status=0
    [ -e "$build/src/libmemkind_preload.so" ] || { echo "skipped: no libmemkind_preload.so"; return 0; }
    folder=$(mktemp -d)
    cp "$build/src/tool/memkind-pmem" "$here/programs_in_guest.sh" "$folder"
    cp -L "$build/src/libmemkind.so.0" "$build/src/libmemkind_preload.so" "$folder"
    for name in sqlite3 redis-server redis-cli redis-benchmark; do
        found=$(command -v $name) && cp -L "$found" "$folder" || echo "not installed: $name"
    done
    strip -g "$folder"/*.so* "$folder/memkind-pmem"
    "$here/guest.sh" -s 512M -m 1024M -t 600 -f ext4 --mkfs-opts "$ext4_options" -e LD_LIBRARY_PATH=/payload \
        "$folder" -- sh programs_in_guest.sh /mnt/pmem || status=$?
    rm -rf "$folder"
    return $status
}

# fetch_old FOLDER: libmemkind 1.14, and what it needs.
fetch_old() {
    local debs status=0
    debs=$(mktemp -d)
    . "$root/cmake/apt_sources.sh"
    (apt_download "$debs/apt" "$debs/debs" libmemkind0 libnuma1 libhwloc15 libdaxctl1 >/dev/null 2>&1 &&
        for deb in "$debs"/debs/*.deb; do dpkg-deb -x "$deb" "$debs"; done) || status=77
    mkdir -p "$1"
    find "$debs" -name 'lib*.so.*' -exec cp -L {} "$1" \;
    rm -rf "$debs"
    [ $status = 0 ] || echo "libmemkind 1.14 cannot be fetched"
    return $status
}

# What fork() means with each policy, and costs: tables.
run_fork() {
    local folder fs place status=0
    folder=$(mktemp -d)
    cp "$build/tests/"{bench_fork,bench_fork_malloc} "$root/tests/bench/fork.sh" "$folder"
    cp -L "$build/src/libmemkind.so.0" "$folder"
    fetch_old "$folder/libmemkind-1.14" || true
    for fs in ext4 xfs devdax; do
        local options=${fs}_options place=/mnt/pmem
        [ $fs != devdax ] || place=/dev/dax0.0
        echo "---- $fs"
        "$here/guest.sh" -s 768M -m 1024M -t 900 -f $fs --mkfs-opts "${!options:-}" -e LD_LIBRARY_PATH=/payload \
            "$folder" -- sh fork.sh -m 64 -n 20 -l /payload/libmemkind-1.14 . $place || status=$?
    done
    rm -rf "$folder"
    return $status
}

# The libraries by turns, in one guest.
run_bench() {
    fetch_old "$payload/libmemkind-1.14" || return $?
    mkdir "$payload/here"
    cp -L "$build/src/libmemkind.so.0" "$payload/here"
    if [ -n "${MEMKIND_BEFORE:-}" ]; then
        mkdir "$payload/before"
        cp -L "$MEMKIND_BEFORE/src/libmemkind.so.0" "$payload/before"
    fi
    cat >"$payload/bench.sh" <<'SH'
# Who comes first may have it harder: in turns.
for libraries in 'here before libmemkind-1.14' 'libmemkind-1.14 before here' \
    'before here libmemkind-1.14' 'here libmemkind-1.14 before' 'before libmemkind-1.14 here'; do
    for pattern in pair batch churn big; do
        for library in $libraries; do
            [ -d /payload/$library ] || continue
            line=$(LD_LIBRARY_PATH=/payload/$library ./bench_memkind --dir /mnt/pmem --warmup 0.3 \
                --seconds 0.7 $pattern) || line=
            ns=$(echo "$line" | sed -n 's/.*"ns": \([^,]*\),.*/\1/p')
            echo "$pattern $library ${ns:-failed}"
        done
    done
done | tee /tmp/lines
awk '{ w = $1 " " $2; n[w]++; v[w, n[w]] = $3 + 0; if ($3 == "failed") bad[w] = 1 }
     function median(w,   i, j, t) {
         for (i = 1; i <= n[w]; i++) for (j = i + 1; j <= n[w]; j++)
             if (v[w, j] < v[w, i]) { t = v[w, i]; v[w, i] = v[w, j]; v[w, j] = t }
         return v[w, int((n[w] + 1) / 2)] }
     function compare(p, peer,   h, o) {
           h = median(p " here"); o = median(p " " peer)
           if (bad[p " here"] || bad[p " " peer]) print p " on DAX ext4: failed"
           else printf "%s on DAX ext4: %.0f ns here, %.0f ns %s: %.2f times as fast\n", p, h, o, peer, o / h }
     END { count = split("pair batch churn big", names, " ")
           for (i = 1; i <= count; i++) {
               if (names[i] " before" in n) compare(names[i], "before")
               compare(names[i], "libmemkind-1.14") } }' /tmp/lines
SH
    "$here/guest.sh" -s 512M -t 300 --mkfs-opts "$ext4_options" "$payload" -- sh bench.sh
}

# A guest keeps one CPU busy.
at_once=1
if [ "$(nproc)" -ge 2 ] && [ "$(awk '/MemAvailable/ { print $2 }' /proc/meminfo)" -ge $((8 << 20)) ]; then
    at_once=2
fi

[ $# -gt 0 ] || set -- ext4 overcommit xfs tool numa programs device set-aside no-fallocate no-holes hmat
logs=$(mktemp -d)
# Jobs of a script do not hear of ^C.
stop() {
    local job
    for job in $(jobs -p); do
        # shellcheck disable=SC2046 # a list
        kill "$job" $(cat "/proc/$job/task/$job/children") 2>/dev/null || true
    done
    rm -rf "$payload" "$logs"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for name in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge $at_once ]; do
        wait -n || true
    done
    echo "started: $name"
    {
        "run_$name" && echo passed >"$logs/$name.result"
    } >"$logs/$name" 2>&1 &
done
wait
failed=()
for name in "$@"; do
    echo "---- emulated persistent memory: $name"
    cat "$logs/$name"
    [ -f "$logs/$name.result" ] || failed+=("$name")
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
