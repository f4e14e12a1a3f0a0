#!/bin/sh
# In a guest whose node 1 has memory and no CPUs: kinds in a tmpfs that is bound
# to it, and what the tool says of that one and of others.
failed=0
tool=./memkind-pmem
place=/mnt/far

# result NAME STATUS: prints the line, and what there is to see on failure.
result() {
    if [ "$2" = 0 ]; then
        printf 'numa: %s: passed\n' "$1"
    else
        failed=$((failed + 1))
        printf 'numa: %s: FAILED\n' "$1"
        sed 's/^/    /' /tmp/log | tail -n 60
    fi
}

# shows NAME TEXT...: what a check of the place says, one line of the JSON each.
shows() {
    what=$1 wrong=0
    shift
    $tool check --json "$place" >/tmp/log 2>&1 || wrong=1
    for text in "$@"; do
        grep -qF "$text" /tmp/log || { wrong=1; echo "not there: $text" >>/tmp/log; }
    done
    result "check: $what" $wrong
}

load() {
    for module in $(cat /modules/"$1".list); do
        insmod /modules/"$module" 2>/dev/null
    done
}

# The node is what the rest relies on.
nodes=/sys/devices/system/node
cat $nodes/has_memory $nodes/has_cpu $nodes/node1/cpulist >/tmp/log 2>&1
printf '0-1\n0\n\n' | cmp -s - /tmp/log
result "node 1 has memory and no CPUs" $?

# Skipped would be failed here.
timeout -s KILL 500 ./test_nodes >/tmp/log 2>&1
result "test_nodes" $?
grep -q skipped /tmp/log
result "test_nodes: all tests were run" $((! $?))

mkdir -p $place
mount -t tmpfs -o mpol=bind:1,huge=advise,size=400m none $place
shows "bound to node 1" '"source": "mount"' '"policy": "bind"' '"node": 1' '"cpus": ""' \
    "node 1 (the mount's mpol=bind): memory without CPUs of its own"
$tool check $place >/tmp/log 2>&1
grep -q '^  nodes have CPUs       no ' /tmp/log
result "check: as text" $?
mount -o remount,mpol=interleave:0-1 $place
shows "over both nodes" '"policy": "interleave"' '"node": 0' '"node": 1' 'nodes 0 and 1' 'no CPUs: node 1'
umount $place
mount -t tmpfs -o size=400m none $place
shows "no policy" '"source": "process"' '"policy": "default"' 'node 0 (the policy of the process: default): CPUs 0-1'
grep -q '"node": 1' /tmp/log
result "check: no policy: not node 1" $((! $?))
umount $place
# What a device says of itself.
/usr/sbin/mke2fs -q -F -t ext4 -b 4096 /dev/pmem0 >/tmp/log 2>&1
result "mke2fs" $?
load ext4
mount -t ext4 -o dax /dev/pmem0 $place
shows "DAX" '"source": "device"' '"policy": null' '"node": 0'
umount $place

# Two namespaces, on a node each: a kind over both.
near=/mnt/near
place=/mnt/far
mkdir -p $near
{
    /usr/sbin/mke2fs -q -F -t ext4 -b 4096 -m 0 /dev/pmem0 64M &&
        /usr/sbin/mke2fs -q -F -t ext4 -b 4096 -m 0 /dev/pmem1
} >/tmp/log 2>&1
result "mke2fs of two namespaces" $?
mount -t ext4 -o dax /dev/pmem0 $near && mount -t ext4 -o dax /dev/pmem1 $place
shows "DAX on the other node" '"source": "device"' '"node": 1' '"cpus": ""'
$tool check --json $near $place >/tmp/log 2>&1
tr -d ' \n' </tmp/log | grep -q '"together":{"ok":true,"reason":null}'
result "check: both" $?
MEMKIND_TEST_DIRECTORIES=$near:$place timeout -s KILL 500 ./test_directories >/tmp/log 2>&1
result "test_directories" $?
grep -q skipped /tmp/log
result "test_directories: all tests were run" $((! $?))
umount $near $place

load devdax
/usr/sbin/ndctl create-namespace -f -e namespace0.0 -m devdax >/tmp/log 2>&1
result "ndctl" $?
place=/dev/dax0.0
shows "a device DAX" '"source": "device"' '"policy": null' '"node": 0' 'node 0 (the place of its device): CPUs 0-1'
[ $failed = 0 ]
