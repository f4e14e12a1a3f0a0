#!/usr/bin/env bash
# Programs that load the library at run time: one of ours, Python's ctypes and
# LLVM's OpenMP runtime. With a jemalloc that was built from source, as packages
# have it, they load it in any state; with Debian's archive of jemalloc embedded,
# whose TLS is of the initial-exec kind, they have to leave room for that.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

room=glibc.rtld.optional_static_tls=4096
# What libraries that were loaded before may have left of the room: nothing.
none=glibc.rtld.optional_static_tls=0:glibc.rtld.nns=1
# Whether the library loads as it is.
loads=no
! grep -qE '^MEMKIND_JEMALLOC_(SOURCE_DIR:PATH=.|SOURCE_PACKAGE:BOOL=ON)' "$build/CMakeCache.txt" || loads=yes

# with TUNABLES COMMAND...
with() { env "GLIBC_TUNABLES=${GLIBC_TUNABLES:+$GLIBC_TUNABLES:}$1" "${@:2}"; }

# both NAME REFUSAL COMMAND...: as it is and without any room, or with room for
# TLS. What a refusal looks like is an extended regular expression.
both() {
    local name=$1 refusal=$2 status=0 said
    shift 2
    if [ $loads = yes ]; then
        check "$name as it is" "$@" || true
        check "$name with GLIBC_TUNABLES=$none" with $none "$@" || true
        return
    fi
    check "$name with GLIBC_TUNABLES=$room" with $room "$@" || true
    said=$(timeout 60 "$@" 2>&1) || status=$?
    if [ $status = 0 ]; then
        pass "$name as it is"
    elif [[ $said =~ $refusal ]]; then
        pass "$name as it is fails, as it has to with Debian's jemalloc: ${said##*: }"
    else
        fail "$name as it is: exit status $status: $said"
    fi
}

# ---- what it asks for -------------------------------------------------------------------
needs_none() { ! readelf -d "$build/src/libmemkind.so" | grep STATIC_TLS; }
if [ $loads = yes ]; then
    check "the library asks for no place in the static TLS block" needs_none || true
fi

# ---- one of ours ----------------------------------------------------------------------
check "build" "${cc[@]}" -D_GNU_SOURCE -I"$root/include" -pthread \
    "$here/dropin_dlopen.c" -o "$work/program" -ldl || finish
both "dlopen()" "static TLS block" "$work/program" "$build/src/libmemkind.so" "$MEMKIND_TEST_DIR"

# The other hosts have no sanitizer's runtime in them.
if [[ ${CFLAGS:-} == *-fsanitize* ]]; then
    skipped "Python and libomp (not with sanitizers)"
    finish
fi

# ---- Python ---------------------------------------------------------------------------
if command -v python3 >/dev/null; then
    both "Python's ctypes" "static TLS block" \
        python3 "$here/dropin_ctypes.py" "$build/src/libmemkind.so" "$MEMKIND_TEST_DIR"
else
    skipped "Python's ctypes (no python3)"
fi

# ---- LLVM's OpenMP --------------------------------------------------------------------
printf '#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n' >"$work/none.c"
if ! clang -fopenmp "$work/none.c" -o "$work/none" >"$work/log" 2>&1; then
    skipped "libomp (no clang with OpenMP: $(head -n 1 "$work/log"))"
    finish
fi
check "libomp: build" clang -fopenmp -D_GNU_SOURCE -Wall -Wextra -Werror \
    "$here/dropin_openmp.c" -o "$work/openmp" -ldl || finish
export LD_LIBRARY_PATH=$build/src
both "libomp" "has not loaded libmemkind.so" "$work/openmp"
check "libomp has the library that was built" bash -c \
    '[ $4 = yes ] || export GLIBC_TUNABLES=$1; "$2" | grep -F "libomp has loaded $3/"' - "$room" "$work/openmp" "$build/src" $loads || true
finish
