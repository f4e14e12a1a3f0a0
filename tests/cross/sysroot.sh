#!/usr/bin/env bash
# sysroot.sh ARCH FOLDER: unpacks Debian's packages of another architecture that
# the library, its tests and a guest need. Nothing is installed, and apt's own
# lists stay as they are.
#
# ARCH: arm64, ppc64el, riscv64. Its packages are taken from this system's
# release, or from the next one if this one does not have the architecture.
# Exits with 77 if packages are lacking, and prints which.
#
# MEMKIND_CROSS_CACHE  folder of downloads
#                      [${XDG_CACHE_HOME:-$HOME/.cache}/memkind-pmem-cross]
set -euo pipefail
arch=$1 folder=$2
cache=${MEMKIND_CROSS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/memkind-pmem-cross}/$arch

packages=(libc6 libc6-dev linux-libc-dev libgcc-s1 libstdc++6 libatomic1 libcrypt1
          libpmem1 libpmem-dev libjemalloc2 libjemalloc-dev libcunit1 libcunit1-dev
          libndctl6 libdaxctl1 libkmod2 libudev1 libcap2 libuuid1 liblzma5 libzstd1 zlib1g busybox-static)
# libkmod's package, whose name depends on the release
either=(libssl3 libssl3t64)

lack() {
    echo "skipped: no packages of $arch: $*"
    exit 77
}
command -v apt-get >/dev/null || lack "there is no apt-get"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || lack "no keys of Debian's archive (debian-archive-keyring)"
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" \
    "Codename: $codename" "Component: main" 2>/dev/null | sort -u | head -n 1)
[ -n "$mirror" ] || lack "apt has no sources of $codename"

mkdir -p "$cache/lists/partial" "$cache/archives/partial"
exec 9>"$cache/.lock"
flock 9
: >"$cache/status"
apt() { # apt COMMAND...: of that architecture, with lists of its own
    local command=$1
    shift
    "$command" -q -o APT::Architecture="$arch" -o APT::Architectures="$arch" \
        -o Dir::Etc::sourcelist="$cache/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$cache/lists" -o Dir::State::status="$cache/status" \
        -o Dir::Cache="$cache" -o Dir::Cache::archives="$cache/archives" \
        -o APT::Sandbox::User="" -o Acquire::Languages=none "$@"
}
has() { [ -n "$(apt apt-cache show --no-all-versions "$1" 2>/dev/null)" ]; }

# The suites that have it: this one, or the one after bookworm.
for suite in "$codename" trixie; do
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$cache/sources.list"
    apt apt-get update >"$cache/update.log" 2>&1 || continue
    ! has libpmem-dev || break
done
missing=()
for package in "${packages[@]}"; do
    has "$package" || missing+=("$package")
done
[ ${#missing[@]} = 0 ] || lack "$mirror $suite has no ${missing[*]}"
for package in "${either[@]}"; do
    ! has "$package" || packages+=("$package")
done

# The kernel: one for virtual machines, if there is one. (No kernel of riscv64 or
# ppc64el is booted.)
if [ "$arch" = arm64 ]; then
    kernel=$(apt apt-cache depends linux-image-cloud-arm64 | awk '/Depends: linux-image/ { print $2; exit }')
    [ -z "$kernel" ] || packages+=("$kernel")
fi

stamp=$(cd "$cache" && { echo "$suite"; apt apt-cache show --no-all-versions "${packages[@]}" | grep -E '^(Package|SHA256):'; } | sha256sum)
if [ "$(cat "$folder/.stamp" 2>/dev/null || true)" != "$stamp" ]; then
    echo "fetching packages of $arch ($suite)" >&2
    (cd "$cache/archives" && apt apt-get download "${packages[@]}" >"$cache/download.log" 2>&1) ||
        lack "apt-get download: $(tail -n 1 "$cache/download.log")"
    rm -rf "$folder"
    mkdir -p "$folder"
    for package in "${packages[@]}"; do
        # The newest one that was ever fetched.
        dpkg-deb -x "$(ls -t "$cache/archives/${package}"_*.deb | head -n 1)" "$folder"
    done
    # Programs name their loader in /lib, but newer packages have nothing there.
    [ -e "$folder/lib" ] || ln -s usr/lib "$folder/lib"
    # Links from /usr/lib to /lib are to lead to the folder's own.
    find "$folder" -type l -lname '/*' | while read -r link; do
        ln -sfn "$(realpath -ms --relative-to="$(dirname "$link")" "$folder$(readlink "$link")")" "$link"
    done
    echo "$stamp" >"$folder/.stamp"
fi
