#!/bin/sh
# What fork() means for a kind with each policy, and costs, as a table: beside
# libmemkind 1.14, if it is there, and the C library's malloc. CPU times.
#
#   fork.sh [-m MIB] [-n LOOPS] [-l FOLDER] PROGRAMS PLACE...
#
#   -m MIB      of the heap that is forked                            [256]
#   -n LOOPS    programs that are started, for each figure            [200]
#   -l FOLDER   where libmemkind 1.14 is  [Debian's, if it is installed]
#   PROGRAMS    where bench_fork and bench_fork_malloc are: build/dev/tests
#   PLACE       a directory, or a device DAX
#
# For busybox's sh, too: tests/pmem/run.sh fork runs it in guests.
set -eu
mib=256 loops=200 old=
while getopts m:n:l: option; do
    case $option in
        m) mib=$OPTARG ;;
        n) loops=$OPTARG ;;
        l) old=$OPTARG ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || { sed -n '2,/^set/p' "$0" | sed '$d;s/^# \{0,1\}//'; exit 2; }
programs=$1
shift
if [ -z "$old" ]; then
    for folder in /usr/lib/*-linux-gnu; do
        [ -e "$folder/libmemkind.so.0" ] && old=$folder
    done
fi

# row PLACE NAME PROGRAM
row() {
    lines=$("$programs/$3" all "$1" "$mib" "$loops" 2>/dev/null) || lines=failed=1
    printf '%s\n' "$lines" | awk -v name="$2" '
        { for (i = 1; i <= NF; i++) { split($i, pair, "="); v[pair[1]] = pair[2] } }
        function seen(x) { return x == "" ? "?" : x == 0 ? "right" : x ~ /^[0-9]+$/ ? x " wrong" : x }
        function four(name, a, b, c, d) {
            if (name in v) return v[name]
            return a == "" ? "-" : a " / " b " / " c (d == "" ? "" : " / " d) }
        END {
            if ("result" in v) { print "| " name " | refused | | | | |"; exit }
            child = seen(v["child"]); parent = seen(v["parent"])
            if (v["its_child"] ~ /SIG/) parent = parent ", its child " v["its_child"]
            else if (v["its_child"] ~ /ended/) parent = parent ", its child gets no memory"
            print "| " name " | " child " | " parent \
                " | " four("pause", v["pause_first"], v["pause_again"], v["pause_tenth"], v["pause_all"]) \
                " | " four("dram", v["dram_during"], v["dram_after"], v["dram_renewed"], v["dram_attached"]) \
                " | " four("loop", v["loop_fork"], v["loop_spawn"], v["loop_store"], "") " |" }'
}

heading() {
    echo
    echo "| $1 | 20,000 objects in the child | in the parent | fork(), ms: first / again / a tenth stored to / all | DRAM, MiB: with a child / after / allocated again / attached | fork+exec / posix_spawn / fork+exec with stores, us |"
    echo "|---|---|---|--:|--:|--:|"
}

echo "heaps of $mib MiB, $loops programs started; $(uname -r)"
for place in "$@"; do
    heading "$place"
    for policy in private snapshot copy unavailable shared; do
        # A device cannot have it, and is as with "private".
        [ $policy != snapshot ] || [ ! -c "$place" ] || continue
        MEMKIND_FORK=$policy row "$place" "$policy" bench_fork
    done
    [ -z "$old" ] || (LD_LIBRARY_PATH=$old && export LD_LIBRARY_PATH && row "$place" "libmemkind 1.14" bench_fork)
done
heading DRAM
row / malloc bench_fork_malloc
