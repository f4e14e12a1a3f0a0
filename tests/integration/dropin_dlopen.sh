#!/usr/bin/env bash
# A program that loads the library at run time. With Debian's jemalloc embedded,
# whose TLS is of the initial-exec kind, it has to leave room for that; with a
# jemalloc of our own building it does not.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

check "build" "${cc[@]}" -D_GNU_SOURCE -I"$root/include" -pthread \
    "$here/dropin_dlopen.c" -o "$work/program" -ldl || finish
load=("$work/program" "$build/src/libmemkind.so" "$MEMKIND_TEST_DIR")
room=glibc.rtld.optional_static_tls=4096

check "dlopen() with GLIBC_TUNABLES=$room" \
    env "GLIBC_TUNABLES=${GLIBC_TUNABLES:+$GLIBC_TUNABLES:}$room" "${load[@]}" || true
status=0
said=$(timeout 60 "${load[@]}" 2>&1) || status=$?
if [ $status = 0 ]; then
    pass "dlopen() as it is"
elif grep -q '^MEMKIND_JEMALLOC_SOURCE_DIR:PATH=.' "$build/CMakeCache.txt"; then
    fail "dlopen() as it is, with a jemalloc of our own building: exit status $status: $said"
elif [ $status = 2 ] && [[ $said == *"static TLS block"* ]]; then
    pass "dlopen() as it is fails, as it has to with Debian's jemalloc: ${said##*: }"
else
    fail "dlopen() as it is: exit status $status: $said"
fi
finish
