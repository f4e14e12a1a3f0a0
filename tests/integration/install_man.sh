#!/usr/bin/env bash
# The man pages have no mistakes that man or mandoc can find, and the example of
# each compiles as it stands in the page, and runs.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

renders() { [ -z "$(man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null | tee -a /dev/stderr)" ]; }
lint() { mandoc -Tlint "$1"; }
# With the test directory as argument; some need none.
runs() { LD_LIBRARY_PATH=$build/src timeout 60 "$work/example" "$MEMKIND_TEST_DIR"; }

for page in "$root"/man/*.[137]; do
    name=${page##*/}
    if command -v man >/dev/null; then
        check "$name: man" renders "$page" || true
    else
        skipped "$name: man (not installed)"
    fi
    if command -v mandoc >/dev/null; then
        check "$name: mandoc" lint "$page" || true
    else
        skipped "$name: mandoc (not installed)"
    fi
    # Pages of commands have no program.
    [[ $name != *.1 ]] || continue
    if ! sh "$here/extract_man_example.sh" "$page" >"$work/example.c" 2>"$work/errors"; then
        fail "$name: $(cat "$work/errors")"
        continue
    fi
    compile=("${cc[@]}" -x c)
    ! grep -qE '#include <.*(_allocator\.h|\.hpp)>' "$work/example.c" ||
        compile=("${cxx[@]}" -std=c++17 -x c++)
    check "$name: the example compiles" "${compile[@]}" -Wall -Wextra -Werror \
        -I"$root/include" "$work/example.c" -o "$work/example" \
        -L"$build/src" -lmemkind -pthread &&
        check "$name: the example runs" runs || true
done
finish
