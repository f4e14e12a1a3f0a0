#!/usr/bin/env bash
# Runs the README's two commands as on a machine with nothing installed: in
# a bare root of a release, in a fresh clone of what is committed here.
#
#   tests/bare.sh [RELEASE] [COMMAND]
#
# RELEASE    bookworm, trixie, or another one that the machine's mirror has and
#            debootstrap knows                                 [the machine's own]
# COMMAND    a shell command line, run in the clone   [examples/run.sh && tests/run.sh]
#
# MEMKIND_BARE_CACHE   keeps roots and packages, so that the next run is
#                      quick                           [~/.cache/memkind-pmem-bare]
# TMPDIR               holds the root while it is used (some 4 GiB)     [/tmp]
# CTEST_PARALLEL_LEVEL, and variables that name proxies, are passed on.
#
# Processes and mounts are in namespaces of their own, which end with this
# script, however it ends. Exits with 77 if no such root can be made.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/cmake/packages.sh"
. "$root/cmake/apt_sources.sh"
. "$root/tests/support/need_space.sh"
export PATH=$PATH:/usr/sbin:/sbin

case ${1-} in
-h | --help)
    sed -n '2,/^set -e/p' "${BASH_SOURCE[0]}" | sed '$d;s/^# \{0,1\}//'
    exit 0
    ;;
esac
skip() {
    echo "skipped: a bare root${release:+ of $release} ($*)"
    exit 77
}
release=
[ "$(id -u)" = 0 ] || skip "not root"
need_space "${TMPDIR:-/tmp}" 4096 || exit 77
install_packages bare || skip "debootstrap cannot be installed"
release=$(os_release VERSION_CODENAME)
if [ $# -gt 0 ] && [ -e "/usr/share/debootstrap/scripts/$1" ]; then
    release=$1
    shift
elif [[ ${1-} =~ ^[a-z]+$ ]] && ! command -v "$1" >/dev/null; then
    skip "debootstrap knows no release $1"
fi
command=${*:-examples/run.sh && tests/run.sh}

# ---- the root -------------------------------------------------------------------
cache=${MEMKIND_BARE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/memkind-pmem-bare}
machine=$release-$(dpkg --print-architecture)
mkdir -p "$cache"
# What runs that were killed have left. (Who uses a folder holds its lock.)
for old in "${TMPDIR:-/tmp}"/memkind-bare.*; do
    [ ! -d "$old" ] || flock -n "$old" rm -rf --one-file-system "$old" || true
done
work=$(mktemp -d "${TMPDIR:-/tmp}/memkind-bare.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
exec 8<"$work"
flock 8
bare=$work/root log=$work/log
mkdir "$bare"

apt_sources deb "$release" >"$work/sources.list"
# The release itself, not its updates.
mirror=$(awk -v release="$release" '$(NF - 1) == release { print $(NF - 2); exit }' "$work/sources.list")
[ -n "$mirror" ] || skip "apt has no sources of this distribution"
find "$cache" -maxdepth 1 -name "$machine.tar" -mtime +30 -delete
if [ ! -f "$cache/$machine.tar" ]; then
    more=()
    [[ $mirror != https:* ]] || more=(--include=ca-certificates)
    debootstrap --variant=minbase "${more[@]}" "$release" "$bare" "$mirror" >"$log" 2>&1 8<&- ||
        skip "debootstrap: $(tail -n 1 "$log")"
    rm -rf "$bare"/var/cache/apt/archives/*.deb
    tar -C "$bare" --one-file-system -cf "$cache/$machine.tar.$$" . && mv "$cache/$machine.tar.$$" "$cache/$machine.tar"
else
    tar -C "$bare" -xf "$cache/$machine.tar"
fi

# The way to the packages is the machine's.
rm -f "$bare"/etc/apt/sources.list "$bare"/etc/apt/sources.list.d/*
cp "$work/sources.list" "$bare/etc/apt/sources.list"
for key in $(sed -n 's/.*signed-by=\([^] ]*\).*/\1/p' "$work/sources.list" | sort -u); do
    [ -e "$bare$key" ] || install -D -m 644 "$key" "$bare$key"
done
apt-config dump Acquire | grep -v '::Languages' >"$bare/etc/apt/apt.conf.d/99outside"
for file in resolv.conf hosts; do
    cp -L "/etc/$file" "$bare/etc/$file" 2>/dev/null || true
done
# It is thrown away anyway.
printf 'force-unsafe-io\npath-exclude=/usr/share/locale/*\n' >"$bare/etc/dpkg/dpkg.cfg.d/bare"

# Two at once would wait for each other's lock for as long as they install.
archives=$cache/archives-$machine
mkdir -p "$archives/partial"
exec 9<"$archives"
flock -n 9 || archives=

clone=/root/memkind-pmem
git -c safe.directory='*' clone -q "file://$root" "$bare$clone" 8<&- 9<&-
[ -z "$(git -c safe.directory='*' -C "$root" status --porcelain --untracked-files=no)" ] ||
    echo "bare: without the changes that are not committed" >&2

# ---- the command ----------------------------------------------------------------
pass=()
for name in CTEST_PARALLEL_LEVEL TERM {http,https,ftp,no}_proxy {HTTP,HTTPS,FTP,NO}_PROXY; do
    [ -z "${!name-}" ] || pass+=("$name=${!name}")
done
# inside COMMAND...: as the first process of its namespace, so that all others end
# with it; and it with this script.
inside() {
    # shellcheck disable=SC2016
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child sh -ec '
        root=$1 archives=$2; shift 2
        # A root that is no mount of its own has no mounts made in it by tests.
        mount --bind "$root" "$root"
        mount --bind /dev "$root/dev"
        mount --bind /dev/pts "$root/dev/pts" 2>/dev/null || true
        mount -t tmpfs -o mode=1777 none "$root/dev/shm"
        mount -t proc none "$root/proc"
        mount -t sysfs none "$root/sys" 2>/dev/null || mount --rbind /sys "$root/sys"
        [ -z "$archives" ] || mount --bind "$archives" "$root/var/cache/apt/archives"
        exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            HOME=/root LANG=C.UTF-8 "$@"' - "$bare" "$archives" "${pass[@]}" "$@" 8<&- 9<&- &
    # A job, for which a signal need not wait.
    local job=$! status=0
    trap 'kill -KILL $job 2>/dev/null; exit 143' TERM
    trap 'kill -KILL $job 2>/dev/null; exit 130' INT
    wait "$job" || status=$?
    return $status
}
inside true >"$log" 2>&1 || skip "no mounts or namespaces here: $(tail -n 1 "$log")"
inside sh -c 'apt-get -q update && apt-get -q autoclean' >"$log" 2>&1 ||
    skip "no packages: $(grep -m 1 ^E: "$log" || tail -n 1 "$log")"
echo "bare: $release, $(du -sxh "$bare" | cut -f 1): $command"
status=0
# shellcheck disable=SC2016
inside bash -c 'cd "$1" && eval "$2"' - "$clone" "$command" || status=$?
# 77 is said of roots that cannot be made.
[ $status != 77 ] || status=1
exit $status
