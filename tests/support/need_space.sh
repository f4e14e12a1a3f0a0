# To be sourced:
#
#   need_space DIRECTORY MIB    whether so much space is free in a directory; on tmpfs,
#                               which is made of memory, so much memory, too
#   need_memory MIB             whether so much memory is available
#
# If not, prints "skipped: needs N MiB free in DIRECTORY, has M".
# shellcheck shell=bash
enough() {
    [ "$3" -ge "$2" ] || {
        echo "skipped: needs $2 MiB free in $1, has $3"
        return 1
    }
}
available_memory() { awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo; }
need_memory() { enough memory "$1" "$(available_memory)"; }
need_space() {
    local found memory
    found=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
    if [ "$(stat -f -c %T "$1")" = tmpfs ]; then
        memory=$(available_memory)
        [ "$memory" -ge "$found" ] || found=$memory
    fi
    enough "$1" "$2" "$found"
}
