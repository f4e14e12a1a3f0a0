#!/usr/bin/env bash
# The binary interface is what src/libmemkind.abi says: exported symbols, types
# of functions, values of constants, layout of structures; src/libmemkind.since says
# which release each symbol came with. What is added or changed deliberately is put
# into both with
#
#   tests/integration/dropin_abi.sh BUILD-DIRECTORY --update
#
# --headers instead looks at the headers alone (needs gcc, but nothing built):
# BUILD-DIRECTORY is then any directory.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

list=$root/src/libmemkind.abi
what=${2:-}
update="tests/integration/dropin_abi.sh ${build#"$root/"} --update"
[ "$what" != --headers ] || update="tests/integration/dropin_abi.sh BUILD --update"
library=$build/src/libmemkind.so
headers=(memkind.h memkind_memtier.h hbwmalloc.h)
for header in "$root"/include/memkind/internal/*.h; do
    headers+=("memkind/internal/${header##*/}")
done
printf '#include <%s>\n' "${headers[@]}" >"$work/all.c"

symbols() {
    nm -D --defined-only "$library" | awk '$2 != "A" {
        print ($2 ~ /[TWi]/ ? "function" : "object"), $3 }' | sort -u
}
# -aux-info is gcc's; inline functions are not in the library.
types() {
    gcc -D_GNU_SOURCE -I"$root/include" -aux-info "$work/types" -fsyntax-only "$work/all.c" &&
        sed 's,^/\*[^*]*\*/ ,,; s,(/\* ??? \*/),(void),' "$work/types" |
        grep -E '^extern .*\b(memkind|memtier|hbw)_' | grep -v inline | sort -u
}
values() {
    local names structures
    echo '#include <stdint.h>' | cat - "$work/all.c" >"$work/values.c"
    gcc -D_GNU_SOURCE -I"$root/include" -E -P "$work/all.c" >"$work/preprocessed"
    names=$(sed 's/extern [^;]*;//g' "$work/preprocessed" | grep -oE '\b(MEMKIND|MEMTIER|HBW)_\w+' | sort -u)
    structures=$(grep -oE 'struct memkind\w* *\{' "$work/preprocessed" | grep -oE 'memkind\w*' | sort -u)
    {
        printf '#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n'
        # shellcheck disable=SC2046
        printf 'printf("constant %%s %%lld\\n", "%s", (long long)(%s));\n' $(for n in $names; do echo "$n" "$n"; done)
        # shellcheck disable=SC2046
        printf 'printf("size struct %%s %%zu\\n", "%s", sizeof(struct %s));\n' $(for n in $structures; do echo "$n" "$n"; done)
        echo 'return 0; }'
    } >>"$work/values.c"
    gcc -D_GNU_SOURCE -I"$root/include" -o "$work/values" "$work/values.c" && "$work/values"
    # one line for each structure, with its members
    tr -s ' \n' '  ' <"$work/preprocessed" | grep -oE 'struct memkind\w* \{[^}]*\}' | sort -u
}

# differs LIST: what to do about it.
differs() {
    if diff "$1" "$work/now" | grep -q '^<'; then
        advise "what is gone or changed breaks programs that are built for it: keep it." \
            "If no release had it yet, or its type is what programs see already:" "    $update"
    else
        advise "what is new is entered by" "    $update"
    fi
}
same() { diff -u --label src/libmemkind.abi --label "the library" "$1" "$work/now"; }
: >"$work/now"
[ "$what" = --headers ] || symbols >"$work/now"
if command -v gcc >/dev/null; then
    types >>"$work/now"
    values >>"$work/now"
elif [ "$what" = --update ]; then
    echo "needs gcc" >&2
    exit 1
elif [ "$what" = --headers ]; then
    skip_all "the headers' binary interface (no gcc)"
fi
if [ "$what" = --update ]; then
    cp "$work/now" "$list"
    python3 "$here/abi_releases.py" "$root" --update
    exit
elif [ "$what" = --headers ]; then
    grep -vE '^(function|object) ' "$list" >"$work/headers"
    check "the headers' binary interface" same "$work/headers" || differs "$work/headers"
elif command -v gcc >/dev/null; then
    check "the binary interface" same "$list" || differs "$list"
else
    skipped "types and values (no gcc)"
    grep -E '^(function|object) ' "$list" >"$work/symbols"
    check "the exported symbols" same "$work/symbols" || differs "$work/symbols"
fi
if command -v python3 >/dev/null; then
    check "releases and their numbers" python3 "$here/abi_releases.py" "$root" || true
else
    skipped "releases and their numbers (no python3)"
fi
[ "$what" != --headers ] || finish

# ---- can it fail? -------------------------------------------------------------------
sed '0,/^function/{/^function/d}' "$list" >"$work/less"
check "an added symbol is noticed" bash -c '! diff -q "$1" "$2"' - "$work/less" "$work/now" || true
finish
