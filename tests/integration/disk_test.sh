#!/usr/bin/env bash
# disk_test.sh TYPE PROGRAM - the scenarios of disk_scenario on file systems of
# one type, made in files and mounted for the test alone. With little and with
# much readahead, since that decides how large the pieces are that a kind takes.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../support/need_space.sh"

type=$1 program=$2
if [ "${3:-}" != inside ]; then
    unshare -m --propagation private true 2>/dev/null ||
        { echo "skipped: no mount namespace can be made here"; exit 77; }
    exec unshare -m --propagation private bash "$0" "$type" "$program" inside
fi

work=$(mktemp -d "${MEMKIND_TEST_DIR:-/dev/shm}/memkind-disk-XXXXXX")
image=$work/image there=$work/there device=
mkdir "$there"
clean_up() {
    ! mountpoint -q "$there" || umount "$there" || umount -l "$there"
    [ -z "$device" ] || losetup -d "$device" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

skip() { echo "skipped: $*"; exit 77; }

# make SIZE READAHEAD [OPTION...]: of mkfs; mounts it.
make() {
    local size=$1 readahead=$2
    shift 2
    if mountpoint -q "$there"; then umount "$there"; fi
    [ -z "$device" ] || losetup -d "$device"
    device=
    rm -f "$image"
    truncate -s "$size" "$image"
    need_space "$work" "${size%M}" || exit 77
    command -v "mkfs.$type" >/dev/null || skip "there is no mkfs.$type"
    "mkfs.$type" "$@" "$image" >/dev/null 2>&1
    device=$(losetup -f --show "$image" 2>/dev/null) || { device=; skip "no loop device"; }
    echo "$readahead" >"/sys/block/${device#/dev/}/queue/read_ahead_kb" ||
        skip "readahead cannot be set"
    mount -t "$type" "$device" "$there" 2>/dev/null || skip "no $type can be mounted here"
}

scenario() {
    echo "-- $type: $*"
    "$program" "$there" "$@"
}

case $type in
    ext4)
        make 64M 128 -q -m 0 -b 4096
        scenario rewrite-full 0 3
        scenario rewrite-limited 20
        scenario read-in-order 32
        make 160M 1024 -q -m 0 -b 4096
        scenario rewrite-full 0 2
        # Clusters of 64 KiB: space is what the disk has less of.
        make 64M 16 -q -m 0 -b 4096 -O bigalloc -C 65536
        scenario rewrite-limited 20
        scenario rewrite-full 0 2
        ;;
    xfs)
        make 320M 128 -q -f
        scenario rewrite-limited 20
        scenario read-in-order 64
        make 320M 2560 -q -f
        scenario rewrite-full 0 2
        ;;
    btrfs)
        make 128M 128 -q -f
        scenario store-full
        scenario rewrite-limited 20 3
        scenario read-in-order 32
        # Compressed, what is stored again cannot stay.
        umount "$there"
        mount -o compress-force "$device" "$there"
        scenario store-full
        ;;
    ext2)
        make 64M 128 -q -m 0
        scenario lower-limit
        scenario rewrite-limited 20 3
        scenario rewrite-full 0 2
        ;;
    tmpfs)
        need_memory 448 || exit 77
        mount -t tmpfs -o size=0 none "$there" 2>/dev/null || skip "no tmpfs can be mounted"
        scenario large-objects 256
        umount "$there"
        mount -t tmpfs -o size=48m none "$there"
        scenario rewrite-full 0 2
        scenario rewrite-limited 20 3
        scenario lower-limit
        ;;
esac
