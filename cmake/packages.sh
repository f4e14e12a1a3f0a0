# Everything that is installed to build and test, in one place (names of Debian
# and Ubuntu; a|b: the first one that this release has).
# To be sourced:  install_packages GROUP...

declare -A memkind_packages=(
    # to build the library and the examples
    [build]="gcc g++ libc6-dev binutils make ninja-build cmake pkg-config
             libpmem-dev libjemalloc-dev"
    # to build and run all tests
    [test]="libcunit1-dev valgrind python3 man-db mandoc e2fsprogs
            xfsprogs btrfs-progs util-linux mount"
    # to boot a guest with emulated persistent memory
    [pmem]="qemu-system-x86 busybox-static cpio lz4 xz-utils zstd kmod python3 gcc
            libc6-dev e2fsprogs xfsprogs dosfstools ndctl"
    # to build for other processors, and run there: tests/cross/run.sh
    [cross]="gcc-aarch64-linux-gnu g++-aarch64-linux-gnu gcc-powerpc64le-linux-gnu
             g++-powerpc64le-linux-gnu gcc-riscv64-linux-gnu g++-riscv64-linux-gnu
             pkg-config make ninja-build cmake qemu-user-static qemu-system-arm
             qemu-system-x86 busybox-static cpio file"
    # what the library is compared with, and the plot
    [bench]="libmemkind0 libjemalloc2 libmimalloc2.0|libmimalloc3
             libtcmalloc-minimal4|libtcmalloc-minimal4t64 gnuplot-nox python3"
    # to analyse the sources: cmake/analyze.sh
    [analyze]="gcc clang-tidy cppcheck git"
    # to make Debian packages, and to try them in a root of their own
    [deb]="dpkg-dev file debootstrap lintian"
    # to run the tests in a root with nothing else in it: tests/bare.sh
    [bare]="debootstrap util-linux mount git"
    # what is run as it is, with its malloc in files: tests/programs/run.sh
    [programs]="redis-server redis-tools memcached sqlite3 python3
                libpython3.11-testsuite|libpython3.13-testsuite gcc g++ clang perl nodejs
                default-jdk-headless postgresql nginx-light|nginx git tcl zstd bzip2 bc m4
                libjemalloc2 libmimalloc2.0|libmimalloc3
                libtcmalloc-minimal4|libtcmalloc-minimal4t64 util-linux"
    # what CI does besides: a second compiler and its OpenMP, a debug jemalloc
    [ci]="clang clang-format libclang-rt-dev|libclang-rt-18-dev libomp-dev autoconf
          dpkg-dev git"
)

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

# known_package A|B...: the first one that apt knows; if it knows none, the first.
known_package() {
    local name
    for name in ${1//|/ }; do
        if apt-cache policy "$name" 2>/dev/null | grep -q 'Candidate: [^(]'; then
            echo "$name"
            return
        fi
    done
    echo "${1%%|*}"
}

# Installs what is missing of the groups, through sudo if we are not root.
install_packages() {
    local group package name missing=() as_root=()
    for group in "$@"; do
        for package in ${memkind_packages[$group]}; do
            for name in ${package//|/ }; do
                ! is_installed "$name" || continue 2
            done
            missing+=("$package")
        done
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "not installed: ${missing[*]} (and there is no apt-get to install them with)" >&2
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "not installed: ${missing[*]} (run this as root, or with sudo installed)" >&2
            return 1
        }
        as_root=(sudo)
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update >&2
    for package in "${!missing[@]}"; do
        missing[package]=$(known_package "${missing[package]}")
    done
    echo "installing: ${missing[*]}" >&2
    # Servers among them are not started.
    local policy=/usr/sbin/policy-rc.d status=0
    [ ! -e $policy ] || policy=''
    [ -z "$policy" ] || printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        --no-install-recommends install "${missing[@]}" >&2 || status=$?
    [ -z "$policy" ] || "${as_root[@]}" rm -f "$policy"
    return $status
}
