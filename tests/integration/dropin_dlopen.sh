#!/usr/bin/env bash
# Programs that load the library at run time: one of ours, Python's ctypes and
# LLVM's OpenMP runtime. With Debian's jemalloc embedded, whose TLS is of the
# initial-exec kind, they have to leave room for that; with a jemalloc of our
# own building they do not.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

room=glibc.rtld.optional_static_tls=4096
# Whether the library loads as it is.
loads=no
! grep -q '^MEMKIND_JEMALLOC_SOURCE_DIR:PATH=.' "$build/CMakeCache.txt" || loads=yes

# both NAME REFUSAL COMMAND...: with room for TLS, and as it is. What a refusal
# looks like is an extended regular expression.
both() {
    local name=$1 refusal=$2 status=0 said
    shift 2
    check "$name with GLIBC_TUNABLES=$room" \
        env "GLIBC_TUNABLES=${GLIBC_TUNABLES:+$GLIBC_TUNABLES:}$room" "$@" || true
    said=$(timeout 60 "$@" 2>&1) || status=$?
    if [ $status = 0 ]; then
        pass "$name as it is"
    elif [ $loads = yes ]; then
        fail "$name as it is, with a jemalloc of our own building: exit status $status: $said"
    elif [[ $said =~ $refusal ]]; then
        pass "$name as it is fails, as it has to with Debian's jemalloc: ${said##*: }"
    else
        fail "$name as it is: exit status $status: $said"
    fi
}

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
    'GLIBC_TUNABLES=$1 "$2" | grep -F "libomp has loaded $3/"' - "$room" "$work/openmp" "$build/src" || true
finish
