#!/bin/sh
# In the guest: what memkind-pmem says about the memory that the kernel made,
# against what is known about it.
#   tool_in_guest.sh NAME PLACE MEMORY
# MEMORY: dax, device, no-fallocate, no-holes as for test_pmem; or ext4, xfs:
# /dev/pmem0 is made anew in several ways, and mounted at PLACE.
name=$1 place=$2 memory=$3
tool=./memkind-pmem
failed=0

# result NAME STATUS: prints the line, and the tool's last output on failure.
result() {
    if [ "$2" = 0 ]; then
        printf '%s: tool: %s: passed\n' "$name" "$1"
    else
        failed=$((failed + 1))
        printf '%s: tool: %s: FAILED\n' "$name" "$1"
        sed 's/^/    /' /tmp/tool.json /tmp/tool.err
    fi
}

# The answer to one question in the JSON. (There is no JSON parser here; the
# tool_test.sh of the integration tests has one.)
answer() { sed -n "/\"id\": \"$1\"/,/\"answer\"/s/.*\"answer\": \"\\(.*\\)\".*/\\1/p" /tmp/tool.json; }

number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" /tmp/tool.json; }

# says NAME STATUS ID=ANSWER...: what a check of the place says.
says() {
    what=$1 expected=$2 wrong=0
    shift 2
    $tool check --json "$place" >/tmp/tool.json 2>/tmp/tool.err
    status=$?
    [ $status = "$expected" ] || { wrong=1; echo "exit status $status, not $expected" >>/tmp/tool.err; }
    for pair in "$@"; do
        got=$(answer "${pair%%=*}")
        [ "$got" = "${pair#*=}" ] || { wrong=1; echo "$got, not $pair" >>/tmp/tool.err; }
    done
    # "rw" is both the mount's and the file system's, and is shown once.
    case $(sed -n 's/.*"options": "\(.*\)".*/,\1,/p' /tmp/tool.json) in
        *,rw,rw,* | *,rw,*,rw,*) wrong=1; echo "an option is shown twice" >>/tmp/tool.err ;;
    esac
    result "check: $what" $wrong
}

shows() { $tool check "$place" | sed "s/^/    /"; }

benchmark() {
    $tool bench --seconds 0.1 --json "$@" "$place" >/tmp/tool.json 2>/tmp/tool.err
    result "bench" $?
}

# remade MKFS-COMMAND... -- MOUNT-OPTIONS
remade() {
    command=
    while [ "$1" != -- ]; do command="$command $1"; shift; done
    umount "$place" || exit 1
    [ -z "$command" ] || $command /dev/pmem0 >/dev/null 2>&1 || { echo "$command failed"; exit 1; }
    mount -t "$memory" $2 /dev/pmem0 "$place" || exit 1
}

# Every other MiB of the file system is a file.
break_free_space() {
    number=0
    while fallocate -l 1048576 "$place/piece.$number" 2>/dev/null; do
        number=$((number + 1))
    done
    while [ $number -ge 0 ]; do
        rm -f "$place/piece.$number"
        number=$((number - 2))
    done
    sync
}

# Neither a check nor a refused benchmark may change what the device holds.
device_is_left_alone() {
    ./device_mark write "$place" || exit 1
    says "a device" 0 kind=yes dax=yes holes=n/a fallocate=n/a punch=no mappings=yes space=yes
    $tool bench "$place" >/tmp/tool.json 2>/tmp/tool.err
    [ $? = 2 ]
    result "bench: not without --overwrite" $?
    ./device_mark verify "$place" >/tmp/tool.err 2>&1
    result "the device's contents are left alone" $?
}

# While another kind has the device. A check takes the device for a moment, and
# one that is too early would keep the other kind from it: so its mapping is
# waited for.
device_is_busy() {
    $tool bench --overwrite --seconds 600 "$place" >/dev/null 2>&1 &
    holder=$!
    tries=0
    until grep -q "$place" /proc/$holder/maps || [ $tries = 300 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
    says "a device in use" 1 kind=no dax=yes mappings=yes
    grep -q 'busy' /tmp/tool.json
    result "check: it says that the device is busy" $?
    { kill $holder; wait $holder; } 2>/dev/null
    says "a device that is free again" 0 kind=yes
}

case $memory in
    dax)
        says "DAX" 0 kind=yes dax=yes holes=yes fallocate=yes punch=yes mappings=yes space=yes limits=yes
        benchmark ;;
    device)
        device_is_left_alone
        device_is_busy
        benchmark --overwrite ;;
    no-fallocate)
        # (ext4's driver, which does ext2 there, punches holes nevertheless.)
        says "no fallocate" 1 kind=yes dax=no holes=yes fallocate=no mappings=no
        benchmark ;;
    no-holes)
        says "no holes" 1 kind=yes dax=no holes=no punch=no mappings=no
        benchmark
        # A kind takes at least 16 MiB there, which would be half of it.
        dd if=/dev/zero of="$place/fill" bs=1M count=$(($(df -m "$place" | awk 'END { print $4 }') - 32)) 2>/dev/null
        says "no holes, and little free" 1 kind=unknown holes=no space=yes
        rm "$place/fill" ;;
    ext4)
        says "ext4 with a stride of 2 MiB" 0 dax=yes mappings=yes
        export PMEM_IS_PMEM_FORCE=0
        says "a variable says that it is none" 1 kind=yes dax=no
        unset PMEM_IS_PMEM_FORCE
        grep -q 'mounted with DAX, but.*PMEM_IS_PMEM_FORCE' /tmp/tool.json
        result "check: it names the variable" $?
        remade -- -orw
        says "persistent memory without DAX" 1 kind=yes dax=no
        grep -q 'mount -o dax /dev/pmem0' /tmp/tool.json
        result "check: it says how to mount" $?
        remade /usr/sbin/mke2fs -q -F -t ext4 -b 1024 -- -orw
        says "blocks of 1 KiB" 1 kind=yes dax=no
        grep -q 'mkfs.ext4 -b 4096' /tmp/tool.json
        result "check: it says what size of blocks to use" $?
        # What it was made with does not matter, nor how often it is asked.
        remade /usr/sbin/mke2fs -q -F -t ext4 -b 4096 -- -odax
        for _ in 1 2 3 4; do
            says "a plain ext4" 0 dax=yes mappings=yes
        done
        [ "$(number large_pages_least)" = "$(number large_pages_possible)" ]
        result "check: the worst kind has all large pages" $?
        break_free_space
        says "free space in small pieces" 1 kind=yes dax=yes mappings=no
        grep -q 'free space is in pieces' /tmp/tool.json
        result "check: it says why" $? ;;
    xfs)
        says "xfs with a stripe of 2 MiB" 0 dax=yes mappings=yes
        remade /usr/sbin/mkfs.xfs -q -f -m reflink=0 -- -odax
        says "a plain xfs" 0 kind=yes dax=yes punch=yes mappings=yes
        break_free_space
        says "free space in small pieces" 1 kind=yes dax=yes mappings=no
        grep -q 'mkfs.xfs -m reflink=0 -d su=2m,sw=1 /dev/pmem0' /tmp/tool.json
        result "check: it says how to make the file system" $? ;;
esac
[ "${SHOW:-}" = "" ] || shows
[ $failed = 0 ]
