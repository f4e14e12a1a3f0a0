#!/usr/bin/env bash
# tests/check.sh says what is wrong with a change, and what to do about it: in a clone, to
# which mistakes are made. What it runs for a change is seen by --list.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

for tool in git gcc python3; do
    command -v $tool >/dev/null || skip_all "tests/check.sh ($tool is not installed)"
done
git -C "$root" ls-files -z --cached --others --exclude-standard >"$work/files" 2>/dev/null ||
    skip_all "tests/check.sh (the sources are in no git repository)"

# In a git hook, variables lead git to the repository whose hook it is.
# shellcheck disable=SC2046 # a list
unset $(git rev-parse --local-env-vars)
clone=$work/clone
mkdir "$clone"
(cd "$root" && while IFS= read -r -d '' file; do
    [ ! -f "$file" ] || printf '%s\0' "$file"
done <"$work/files" | tar -cf - --null -T -) | tar -C "$clone" -xf -
cd "$clone"
git=(git -c user.name=test -c user.email=test@localhost -c commit.gpgsign=false -c core.hooksPath=/dev/null)
git init -q -b main
"${git[@]}" add -A
"${git[@]}" commit -q -m "what there is"
git checkout -q -b change

# says_since COMMIT STATUS TEXT...: ("": since the branch began) the status and texts of tests/check.sh --no-build
says_since() {
    local since=$1 wanted=$2 status=0 text
    shift 2
    tests/check.sh --no-build ${since:+--since "$since"} >"$work/said" 2>&1 || status=$?
    [ $status = "$wanted" ] || { echo "status $status"; cat "$work/said"; return 1; }
    for text in "$@"; do
        grep -qF -- "$text" "$work/said" || { echo "not said: $text"; cat "$work/said"; return 1; }
    done
}
says() { says_since "" "$@"; }

check "nothing has changed" says 0 "nothing has changed since" || true
echo >>README.md
check "a change without a mistake" says 0 "1 files changed since" "README.md" "passed" || true

# Mistakes of each sort, at once.
printf '#include "heap.h"\n' | cat - src/sys/options.c >"$work/options.c"
cp "$work/options.c" src/sys/options.c
sed -i 's/OPTION(DEBUG,/OPTION(FORGOTTEN, FLAG, 0, 1, "0", "x") OPTION(DEBUG,/' src/sys/options.h
printf '/* The same of it. */\nint  spaced( int a);\n' >src/sys/new_file.h
sed -i 's/^int memkind_purge_kind(/void memkind_new_function(int level);\n&/' include/memkind.h
texts=(
    "FAILED   language of comments and texts" "src/sys/new_file.h:1: opening" "to do: begin the comment so"
    "FAILED   directions of includes" 'src/sys/options.c:1: #include "heap.h"'
    "to do: one of these points up the layers"
    "FAILED   binary interface of the headers" "+extern void memkind_new_function (int);"
    "tests/integration/dropin_abi.sh BUILD --update"
    "FAILED   manual" "memkind_new_function() is declared in memkind.h, and not in src/libmemkind.abi"
    "memkind_new_function() is in the SYNOPSIS of no page"
    "FAILED   tables of options" "memkind.3: ENVIRONMENT: there is no MEMKIND_FORGOTTEN: describe it there")
if command -v clang-format >/dev/null; then
    texts+=("FAILED   format" "src/sys/new_file.h:" "format: cmake/format.sh")
else
    skipped "format (clang-format is not installed)"
fi
check "each mistake is noticed, with what to do" says 1 "${texts[@]}" || true
if command -v clang-format >/dev/null; then
    cmake/format.sh src/sys/new_file.h
    check "cmake/format.sh lays it out" grep -qx 'int spaced(int a);' src/sys/new_file.h || true
fi
"${git[@]}" reset -q --hard main
git clean -qfd

# The list is up to date, but the function comes after a release, and is in no CHANGELOG.
sed -i 's/^int memkind_purge_kind(/void memkind_new_function(int level);\n&/' include/memkind.h
sed -i 's/^extern void memkind_set_allow_zero/extern void memkind_new_function (int);\n&/
    s/^function memkind_purge_kind$/function memkind_new_function\n&/' src/libmemkind.abi
sed -i '0,/ (unreleased)/s// (2026-01-01)/' CHANGELOG.md
git add CHANGELOG.md
"${git[@]}" commit -q --allow-empty -m "a release" # it may be one already
check "a function after a release, and not in CHANGELOG.md" says_since HEAD 1 \
    "memkind_new_function: exported, but not in src/libmemkind.since" \
    "is released, with libmemkind.so.0." " in src/CMakeLists.txt" \
    "FAILED   CHANGELOG.md" "CHANGELOG.md: add a line" || true

# ---- which tests -------------------------------------------------------------------
cd "$root"
# runs "FILE..." PRESENT... -- ABSENT...: what is listed for a change of the files
runs() {
    local files=$1 wanted=1 name
    shift
    # shellcheck disable=SC2086 # a list
    MEMKIND_BUILD=$build tests/check.sh --list $files >"$work/list"
    cat "$work/list"
    for name in "$@"; do
        if [ "$name" = -- ]; then
            wanted=0
        else
            [ "$(grep -cx -- "$name" "$work/list")" = $wanted ] || { echo "$name"; return 1; }
        fi
    done
}
if [ -f "$build/build.ninja" ] && command -v ninja >/dev/null; then
    check "a page: scripts" runs man/memkind.3 test_man test_prose -- test_heap test_magazine || true
    check "suites: themselves, even if they take long" \
        runs "tests/unit/test_magazine.c tests/integration/test_process_limits.c" \
        test_magazine test_process_limits test_structure -- test_heap test_fork || true
    check "a header of a layer: its suites, and the library's" runs src/cache/magazine.h \
        test_magazine test_heap test_fork "long test_process_limits" -- "long test_heap" || true
else
    skipped "which tests (the build is not by ninja)"
fi
finish
