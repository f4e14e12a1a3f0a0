#!/usr/bin/env bash
# Builds the library for other processors, and runs suites on emulated ones.
#
#   tests/cross/run.sh [ARCH...]      of: arm64 ppc64el riscv64      [all]
#   tests/cross/run.sh arm64-guest    the guest alone, of what was built
#   tests/cross/run.sh la57           x86-64 with 57-bit addresses
#
# Each is a cross build from Debian's packages of that architecture, which are
# unpacked and not installed (sysroot.sh), with suites in QEMU's emulation of
# single programs; arm64, moreover, has Debian's kernel booted in QEMU
# (boot.sh), to run the suites of the layers and some of the interface.
#
# MEMKIND_BUILD      build directory                         [build/cross]
# MEMKIND_NATIVE     build directory of this machine's own,  [amd64/build in that]
#                    for la57
# Exits with 77 if nothing could be done for want of packages.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/cross
. "$root/cmake/packages.sh"
work=${MEMKIND_BUILD:-$root/build/cross}

# Suites that run in an emulated process. Others run in the guest: suites that
# reserve hundreds of gigabytes (QEMU notes each page of a mapping:
# the suites of region pools take minutes), that flush persistent memory (QEMU
# 7.2 does not know arm's instruction there: test_region_grains), that look at
# pages that were given back (MADV_REMOVE does nothing there, and reports
# success: test_extent_hooks), and that count the process's own mappings or fork
# with threads (QEMU has mappings and threads of its own).
in_process=(test_address_table test_size_class test_region_file test_high_address
            test_cpp)
# Suites for architectures that are built and hardly tested.
in_process_short=(test_address_table test_size_class test_high_address)

# Suites in the guest: those of the layers and some of the interface. Left out:
# test_magazine, whose random walks take minutes there, and a heap with all 4,094
# arenas, which takes more memory than the guest has.
in_guest=(test_high_address test_address_table test_size_class test_region_file
          test_region_grains test_pool_stores test_pool_commit test_pool_blocks
          test_pool_growth test_extent_hooks test_allocator_gate
          "test_heap_create '-all arenas'" test_stats)

triplet_of() {
    case $1 in
        arm64) echo aarch64-linux-gnu ;;
        ppc64el) echo powerpc64le-linux-gnu ;;
        riscv64) echo riscv64-linux-gnu ;;
        *) echo "no such architecture: $1" >&2; exit 1 ;;
    esac
}
processor_of() {
    case $1 in arm64) echo aarch64 ;; ppc64el) echo ppc64le ;; *) echo "$1" ;; esac
}

# build ARCH: 77 if there are no packages
build() {
    local arch=$1 triplet processor emulator link system=$work/$1/system launcher=() static=()
    triplet=$(triplet_of "$arch")
    processor=$(processor_of "$arch")
    command -v "$triplet-g++" >/dev/null || { echo "skipped: $arch (no $triplet-g++)"; return 77; }
    "$here/sysroot.sh" "$arch" "$system" || return
    emulator=$(command -v "qemu-$processor-static" || command -v "qemu-$processor" || true)
    ! command -v ccache >/dev/null ||
        launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    # Debian 12's linker crashes on riscv64's static libc of Debian 13.
    [ "$arch" != riscv64 ] || static=(-DMEMKIND_CUNIT_ARCHIVE=OFF)
    # The compiler's own libc may be older than that of the packages.
    link="-L$system/usr/lib/$triplet -Wl,-rpath-link,$system/usr/lib/$triplet:$system/lib/$triplet"
    link+=" -Wl,--unresolved-symbols=ignore-in-shared-libs"
    PKG_CONFIG_LIBDIR=$system/usr/lib/$triplet/pkgconfig:$system/usr/share/pkgconfig \
    PKG_CONFIG_SYSROOT_DIR=$system \
        cmake -S "$root" -B "$work/$arch/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DMEMKIND_WERROR=ON \
            -DCMAKE_SYSTEM_NAME=Linux "-DCMAKE_SYSTEM_PROCESSOR=$processor" \
            "-DCMAKE_C_COMPILER=$triplet-gcc" "-DCMAKE_CXX_COMPILER=$triplet-g++" \
            "-DCMAKE_EXE_LINKER_FLAGS=$link" "-DCMAKE_SHARED_LINKER_FLAGS=$link" \
            "-DCMAKE_SYSROOT=$system" -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER \
            -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY \
            "-DCMAKE_CROSSCOMPILING_EMULATOR=${emulator:+$emulator;-L;$system}" \
            "${launcher[@]}" "${static[@]}" >"$work/$arch.cmake" || { cat "$work/$arch.cmake"; return 1; }
    cmake --build "$work/$arch/build" >"$work/$arch.log" || { tail -n 50 "$work/$arch.log"; return 1; }
    echo "built for $arch"
}

# run_in_process ARCH SUITE...
run_in_process() {
    local arch=$1 processor pattern
    processor=$(processor_of "$arch")
    shift
    command -v "qemu-$processor-static" >/dev/null || command -v "qemu-$processor" >/dev/null || {
        echo "skipped: suites of $arch in QEMU's emulation of programs (no qemu-$processor)"
        return 0
    }
    pattern=$(IFS='|'; echo "$*")
    MEMKIND_TEST_EMULATED=1 ctest --test-dir "$work/$arch/build" --output-on-failure \
        --no-tests=error -j "$(nproc)" -R "^($pattern)\$"
}

# guest NAME MACHINE KERNEL BUSYBOX ROOT: runs in_guest
guest() {
    local name=$1 suite
    shift
    {
        echo 'uname -srm; getconf PAGESIZE 2>/dev/null; failed=; export MEMKIND_TEST_DIR=/dev/shm'
        for suite in "${in_guest[@]}"; do
            echo "run $suite"
        done
        echo '[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }'
    } >"$work/commands"
    cat - "$work/commands" >"$4/payload/command.sh" <<'SH'
run() {
    name=$1; shift
    force=0; [ $name != test_region_grains ] || force=1
    read -r before _ </proc/uptime
    if PMEM_IS_PMEM_FORCE=$force ./$name "$@" >/tmp/log 2>&1; then status=ok; else status="FAILED ($?)"; fi
    read -r after _ </proc/uptime
    echo "$name: $status, ${before%.*} to ${after%.*} s"
    [ "$name" != test_high_address ] || grep 'Test:' /tmp/log
    [ "$status" = ok ] || { failed="$failed $name"; grep -vE 'passed$|^$' /tmp/log | tail -n 40; }
}
SH
    echo "---- $name"
    "$here/boot.sh" "$@" 900
}

# Programs and libraries of a build in a folder that becomes the guest's root.
fill() {
    local folder=$1 build=$2 suite
    for suite in "${in_guest[@]}"; do
        cp "$build/tests/${suite%% *}" "$folder/payload" || return 1
    done
    cp -L "$build/src/libmemkind.so.0" "$folder/lib"
}

boot_arm64() {
    local system=$work/arm64/system folder=$work/arm64/guest kernel library
    command -v qemu-system-aarch64 >/dev/null || { echo "skipped: arm64 guest (no qemu-system-aarch64)"; return 0; }
    kernel=$(ls "$system"/boot/vmlinuz-* 2>/dev/null | head -n 1)
    [ -n "$kernel" ] || { echo "skipped: arm64 guest (no linux-image-cloud-arm64)"; return 0; }
    rm -rf "$folder"
    mkdir -p "$folder/payload" "$folder/lib/aarch64-linux-gnu"
    cp -L "$system/lib/ld-linux-aarch64.so.1" "$folder/lib"
    for library in "$system"/{lib,usr/lib}/aarch64-linux-gnu/lib*.so.*; do
        [ ! -f "$library" ] || cp -L "$library" "$folder/lib/aarch64-linux-gnu"
    done
    fill "$folder" "$work/arm64/build" || return 1
    aarch64-linux-gnu-strip -g "$folder"/payload/test_* "$folder/lib/libmemkind.so.0"
    guest "arm64, Debian's kernel" arm64 "$kernel" "$system/bin/busybox" "$folder"
}

# The kernel that tests/pmem/guest.sh fetches, entered so that it can have five
# levels of page tables.
boot_la57() {
    local build=${MEMKIND_NATIVE:-$work/amd64/build} folder=$work/amd64/guest kernel
    kernel=$(ls "${PMEM_GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memkind-pmem-guest}"/kernel-cloud-amd64/boot/vmlinuz-* 2>/dev/null | head -n 1)
    [ -n "$kernel" ] || { echo "skipped: 57-bit addresses (tests/pmem/guest.sh has fetched no kernel)"; return 0; }
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DMEMKIND_WERROR=ON >/dev/null &&
        cmake --build "$build" --target memkind memkind_test_high_address memkind_test_address_table >/dev/null || return 1
    in_guest=(test_high_address test_address_table)
    rm -rf "$folder"
    mkdir -p "$folder/payload" "$folder/lib"
    ldd "$build/tests/test_high_address" | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\// && $i !~ /libmemkind/) print $i }' |
        while read -r library; do
            mkdir -p "$folder$(dirname "$library")"
            cp -L "$library" "$folder$library"
        done
    fill "$folder" "$build" || return 1
    guest "x86-64, 57-bit addresses" la57 "$kernel" "$(command -v busybox)" "$folder"
}

one() {
    case $1 in
        la57) boot_la57 ;;
        arm64-guest) boot_arm64 ;;
        arm64) build arm64 && run_in_process arm64 "${in_process[@]}" && boot_arm64 ;;
        *) build "$1" && run_in_process "$1" "${in_process_short[@]}" ;;
    esac
}

[ $# -gt 0 ] || set -- arm64 ppc64el riscv64
mkdir -p "$work"
install_packages cross || true
done=0 failed=()
for arch in "$@"; do
    status=0
    (one "$arch") || status=$?
    case $status in
        0) done=1 ;;
        77) ;;
        *) failed+=("$arch") ;;
    esac
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
[ $done = 1 ] || exit 77
