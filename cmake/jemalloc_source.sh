#!/usr/bin/env bash
# jemalloc_source.sh DIRECTORY
# Fetches the distribution's source package of jemalloc, with its patches, by
# apt-get, and prints the path of its tree: DIRECTORY/jemalloc-VERSION. What is
# there already is not fetched again.
#
# Needs apt-get, tar, bzip2, xz and patch (dpkg-dev brings them), not root. A list
# of sources is made for this alone: the machine's own need have no deb-src lines,
# and are left as they are. apt-get compares what it fetches with the signed index.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/apt_sources.sh"
directory=${1:?usage: $0 DIRECTORY}
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)

tree() { find "$directory" -mindepth 2 -maxdepth 2 -path '*/jemalloc-*/.unpacked' -printf '%h\n' | sort | tail -n 1; }
if [ -n "$(tree)" ]; then
    tree
    exit 0
fi
die() {
    echo "jemalloc's source package cannot be had: $*" >&2
    exit 1
}
for tool in apt-get tar bzip2 xz patch; do
    command -v $tool >/dev/null || die "no $tool (installed with package dpkg-dev)"
done
work=$(mktemp -d "$directory/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
apt_apart_list "$work" deb-src >"$work/log" 2>&1 || die "$(tail -n 1 "$work/log")"
# The two archives, without the description that dpkg-source wants and mirrors
# may lack.
mkdir "$work/files" "$work/tree"
for part in --tar-only --diff-only; do
    (cd "$work/files" && apt_apart "$work" apt-get -q source $part jemalloc) >"$work/log" 2>&1 ||
        die "$(grep -m 1 ^E: "$work/log" || tail -n 1 "$work/log")"
done
original=$(ls "$work"/files/jemalloc_*.orig.tar.* 2>/dev/null) || die "it has no archive of the original"
changes=$(ls "$work"/files/jemalloc_*.debian.tar.* 2>/dev/null) || die "it has no archive of changes"
tar -xf "$original" -C "$work/tree" --strip-components=1
tar -xf "$changes" -C "$work/tree"
for change in $(sed 's/#.*//' "$work/tree/debian/patches/series" 2>/dev/null); do
    patch -s -p1 -d "$work/tree" <"$work/tree/debian/patches/$change" >"$work/log" 2>&1 ||
        die "$change does not apply: $(tail -n 1 "$work/log")"
done
[ -f "$work/tree/src/jemalloc.c" ] || die "no sources in it"
version=${original##*/jemalloc_}
unpacked=$work/jemalloc-${version%.orig.tar.*}
mv "$work/tree" "$unpacked"
touch "$unpacked/.unpacked"
rm -rf "${directory:?}/${unpacked##*/}"
mv "$unpacked" "$directory/"
tree
