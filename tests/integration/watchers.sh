#!/usr/bin/env bash
# A program built with ThreadSanitizer or with leak checks, on a library that
# was built without: no false alarms, and true ones are given.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

case ${CFLAGS:-} in
    *-fsanitize*) skip_all "a library built with a sanitizer" ;;
esac

build_with() { # NAME FLAG
    check "build with $2" "${cc[@]}" "$2" -g -O1 -D_GNU_SOURCE -I"$root/include" -pthread \
        "$here/watchers_program.c" -o "$work/$1" -L"$build/src" -lmemkind \
        -Wl,-rpath,"$build/src"
}
can_build() { # FLAG
    echo 'int main(void) { return 0; }' >"$work/empty.c"
    "${cc[@]}" "$1" "$work/empty.c" -o "$work/empty" 2>/dev/null && "$work/empty"
}
# expect WHAT STATUS TEXT PROGRAM ARGUMENT: exit status, and what is printed
expect() {
    local status=0
    timeout 200 "$work/$4" "$MEMKIND_TEST_DIR" "$5" >"$work/log" 2>&1 </dev/null || status=$?
    if [ $status = "$2" ] && { [ -z "$3" ] || grep -Eq -- "$3" "$work/log"; }; then
        pass "$1"
    else
        fail "$1: exit status $status, \"$3\" expected"
        head -n 40 "$work/log" | sed 's/^/    /'
    fi
}

export TSAN_OPTIONS=exitcode=66 ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=exitcode=23
if can_build -fsanitize=thread; then
    build_with tsan -fsanitize=thread && expect "no race" 0 "" tsan threads
else
    echo "skipped: ThreadSanitizer does not work here"
fi
if can_build -fsanitize=address; then
    build_with asan -fsanitize=address
    expect "nothing leaks" 0 "" asan leaks
    expect "one leak is found" 23 "LeakSanitizer: detected memory leaks" asan leak
    grep -q "1 allocation(s)\|37 byte(s) leaked in 1" "$work/log" || fail "more than one leak"
else
    echo "skipped: AddressSanitizer does not work here"
fi
finish
