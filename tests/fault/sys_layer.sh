#!/usr/bin/env bash
# sys_layer.sh BUILD: only src/sys makes the system calls that are in its table,
# so that a test can make each of them fail.
set -euo pipefail
build=$1
calls='open|open64|openat|mkostemp|unlink|unlinkat|close|dup|fcntl|fcntl64|flock|fchmod|stat|fstat|fstatfs|statvfs|fstatvfs|realpath|getrlimit|sysconf|ftruncate|fallocate|posix_fallocate|fsync|ioctl|memfd_create|pwrite|mmap|mmap64|mremap|munmap|madvise|mprotect|pthread_create|pmem_map_file|pmem_unmap|pmem_msync'
# jemalloc opens files of /proc and /sys for itself, when it is loaded.
jemalloc='mmap|mmap64|mremap|munmap|madvise|mprotect|pthread_create|dlsym'

status=0
# check ALLOWED-NOWHERE OBJECT...
check() {
    local pattern=$1 object found
    shift
    for object in "$@"; do
        found=$(nm -u "$object" | awk '{ print $NF }' | sed 's/@.*//' | grep -xE "$pattern" | tr '\n' ' ' || true)
        [ -z "$found" ] || {
            echo "$object calls $found"
            status=1
        }
    done
}

mapfile -t objects < <(find "$build/src/CMakeFiles" -path '*/memkind_*.dir/*' -name '*.o' ! -path '*/memkind_sys.dir/*')
[ ${#objects[@]} -gt 10 ] || { echo "no objects in $build"; exit 1; }
# jemalloc_conf.c stands in for dlsym() as well as for the calls.
check "$calls" "${objects[@]}"
[ ! -e "$build/jemalloc/jemalloc_private.o" ] || check "$jemalloc" "$build/jemalloc/jemalloc_private.o"
# And the table does make them: the names above are not misspelt.
made=$(nm -u "$(find "$build/src/CMakeFiles" -name 'sys_calls.c.o')" | awk '{ print $NF }')
for name in open mmap munmap madvise fallocate ftruncate pthread_create; do
    grep -qx "${name}\(64\)\?" <<<"$made" || { echo "sys_calls.c does not call $name"; status=1; }
done
exit $status
