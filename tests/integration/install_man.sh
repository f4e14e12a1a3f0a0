#!/usr/bin/env bash
# The man pages have no mistakes that man or mandoc can find; they describe each
# function, handle and constant of the library, and nothing else; man finds one
# for each public name; the examples compile as they stand in the page, and run.
# Without the directory for their kind, these and the example programs say so.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

renders() { [ -z "$(man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null | tee -a /dev/stderr)" ]; }
lint() { mandoc -Tlint "$1"; }
export LD_LIBRARY_PATH=$build/src
# With the test directory as argument; some need none.
runs() { timeout 60 "$work/example" "$MEMKIND_TEST_DIR"; }

# All examples of a page: at least one.
examples() {
    local page=$1 number=1 name compile
    while sh "$here/extract_man_example.sh" "$page" $number >"$work/example.c" 2>"$work/errors"; do
        name="${page##*/}: example $number"
        compile=("${cc[@]}" -x c)
        ! grep -qE '#include <(.*_allocator\.h|.*\.hpp|iostream)>' "$work/example.c" ||
            compile=("${cxx[@]}" -std=c++17 -x c++)
        check "$name compiles" "${compile[@]}" -Wall -Wextra -Werror \
            -I"$root/include" "$work/example.c" -o "$work/example" \
            -L"$build/src" -lmemkind -pthread &&
            check "$name runs" runs || true
        ! grep -q argv "$work/example.c" || check "$name, without the directory" \
            says_missing "$work/missing" timeout 60 "$work/example" "$work/missing" || true
        number=$((number + 1))
    done
    if ! grep -q "no example $number\$" "$work/errors" || [ $number = 1 ]; then
        fail "${page##*/}: $(cat "$work/errors")"
    fi
}

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
    # Pages of commands, and of libraries that are preloaded, have no program.
    [[ $name == *.1 || $name == lib* ]] || examples "$page"
done

for program in "$build"/examples/*; do
    [ ! -f "$program" ] || [ ! -x "$program" ] ||
        check "${program##*/}, without the directory" \
            says_missing "$work/missing" timeout 60 "$program" "$work/missing" || true
done

covers() { python3 "$here/man_coverage.py" "$root/src/libmemkind.abi" "$root"/man/*.[137] >"$work/declarations.c"; }
check "the pages are about the binary interface" covers &&
    check "prototypes are those of the headers" "${cc[@]}" -Wall -Werror \
        -Wno-deprecated-declarations -I"$root/include" -fsyntax-only "$work/declarations.c" || true
if ! installs; then
    skipped "man finds each public name (this build has no rules for installing)"
elif command -v man >/dev/null; then
    check "cmake --install" cmake --install "$build" --prefix "$work/prefix" &&
        check "man finds each public name" \
            python3 "$here/man_names.py" "$root" "$work/prefix/share/man" || true
    lost() {
        rm "$work/prefix/share/man/man3/MEMKIND_DEFAULT.3"
        ! python3 "$here/man_names.py" "$root" "$work/prefix/share/man" 2>"$work/lost" &&
            grep -q '^man MEMKIND_DEFAULT: no page$' "$work/lost"
    }
    check "a name that man does not find is noticed" lost || true
else
    skipped "man finds each public name (not installed)"
fi
# A function that is added, and forgotten here, is noticed.
forgotten() {
    ! python3 "$here/man_coverage.py" <(cat "$root/src/libmemkind.abi" && printf '%s\n' \
        "function memkind_forgotten" "constant MEMKIND_ERROR_FORGOTTEN") \
        "$root"/man/*.[37] >/dev/null 2>"$work/forgotten" &&
        grep -q 'memkind_forgotten() is in the SYNOPSIS of no page' "$work/forgotten" &&
        grep -q 'memkind_forgotten is not under DIFFERENCES, Added' "$work/forgotten" &&
        grep -q 'MEMKIND_ERROR_FORGOTTEN is not under ERRORS' "$work/forgotten"
}
check "what is not described is noticed" forgotten || true
# So is one that is described, but was not entered in the list.
not_entered() {
    ! python3 "$here/man_coverage.py" <(grep -vx 'function memkind_purge_kind' "$root/src/libmemkind.abi") \
        "$root"/man/*.[37] >/dev/null 2>"$work/not_entered" &&
        grep -q 'memkind_purge_kind() is declared in memkind.h, and not in src/libmemkind.abi: .* --update' "$work/not_entered" &&
        grep -qE '\.[37]: memkind_purge_kind\(\) is not in src/libmemkind.abi' "$work/not_entered"
}
check "what is not in src/libmemkind.abi is said to be so" not_entered || true
finish
