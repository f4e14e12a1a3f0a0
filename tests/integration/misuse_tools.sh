#!/usr/bin/env bash
# Errors with a kind's objects are reported by AddressSanitizer, if the library is
# built with it, and otherwise by valgrind.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

case ${CFLAGS:-} in
    *-fsanitize*address*) tool=asan ;;
    *-fsanitize*) skip_all "a library built with another sanitizer" ;;
    *) tool=valgrind ;;
esac
if [ $tool = valgrind ]; then
    command -v valgrind >/dev/null || skip_all "valgrind is not installed"
    grep -q '^MEMKIND_HAVE_VALGRIND:INTERNAL=1' "$build/CMakeCache.txt" ||
        skip_all "the library was built without valgrind's headers"
    run=(valgrind -q --error-exitcode=77 --leak-check=full --errors-for-leak-kinds=definite)
else
    run=(env ASAN_OPTIONS=exitcode=77:detect_leaks=0)
fi

check "build" "${cc[@]}" -g -O0 -D_GNU_SOURCE -I"$root/include" -pthread \
    "$here/misuse_program.c" -o "$work/program" -L"$build/src" -lmemkind \
    -Wl,-rpath,"$build/src" || finish

# expect WHAT TEXT: the tool reports the error with TEXT; if TEXT is empty, it
# reports none.
expect() {
    local what=$1 text=$2 status=0 wanted=77
    [ -n "$text" ] || wanted=0
    timeout 100 "${run[@]}" "$work/program" "$MEMKIND_TEST_DIR" "$what" \
        >"$work/log" 2>&1 </dev/null || status=$?
    if [ $status = $wanted ] && { [ -z "$text" ] || grep -Eq -- "$text" "$work/log"; }; then
        pass "$tool: $what"
    else
        fail "$tool: $what: exit status $status, \"$text\" expected"
        head -n 40 "$work/log" | sed 's/^/    /'
    fi
}

expect nothing ""
if [ $tool = valgrind ]; then
    expect overrun "is 0 bytes after a block of size 100 (alloc|client)"
    expect underrun "is 1 bytes before a block of size 100 (alloc|client)"
    expect after-free "is 10 bytes inside a block of size 100 free"
    expect after-realloc "is 10 bytes inside a block of size 100 free"
    expect double-free "Invalid free"
    expect leak "100 bytes in 1 blocks are definitely lost"
else
    for what in overrun underrun after-free after-realloc double-free; do
        expect $what "AddressSanitizer: use-after-poison"
    done
fi
finish
