#!/usr/bin/env bash
# Enough before a change is sent: looks at what has changed, and runs what that can
# touch. Says at the end what failed, and what to do about it.
#
#   tests/check.sh [OPTION...] [FILE...]     FILE: instead of what has changed
#
# --no-build       only the checks that need nothing built: format, language, options,
#                  directions of includes, binary interface of the headers, manual
# --list           prints the tests that would run, for a build that is there
# --since COMMIT   what has changed since then     [the commit that this branch has in
#                  common with its upstream, origin's default branch, main or master]
#
# Then, besides: the build, with gcc, warnings as errors; the changed sources by clang;
# static analysis of them (cmake/analyze.sh); the tests (affected_tests.py), without those
# that take minutes. What is not installed is skipped by name. tests/run.sh runs all.
#
# MEMKIND_BUILD          build directory                        [build/check]
# CTEST_PARALLEL_LEVEL   tests at once                          [CPUs, 4 at most]
# PMEM_DIR               directory that the kinds are made in   [/dev/shm]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
usage() { sed -n '2,/^set -e/p' "$root/tests/check.sh" | sed '$d;s/^# \{0,1\}//'; }

build_wanted=1 list_only='' since='' files=()
while [ $# -gt 0 ]; do
    case $1 in
        --no-build) build_wanted='' ;;
        --list) list_only=1 ;;
        --since) since=${2:?--since: which commit?}; shift ;;
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
        *) files+=("$(realpath -m --relative-to="$root" -- "$1")") ;;
    esac
    shift
done
cd "$root"
. cmake/packages.sh

# ---- what has changed -------------------------------------------------------------
merge_base() {
    local name
    for name in '@{upstream}' origin/HEAD origin/main origin/master main master; do
        git merge-base HEAD "$name" 2>/dev/null && return
    done
    git rev-parse HEAD
}
whence="as named"
if [ ${#files[@]} = 0 ]; then
    git rev-parse -q --verify HEAD >/dev/null 2>&1 || {
        echo "check: this is no git repository: name the FILEs that have changed" >&2
        exit 2
    }
    since=$(git rev-parse -q --verify "${since:-$(merge_base)}^{commit}") || {
        echo "check: --since: there is no such commit" >&2
        exit 2
    }
    mapfile -t files < <({
        git -c core.quotePath=off diff --name-only --no-renames "$since"
        git -c core.quotePath=off ls-files --others --exclude-standard
    } | sort -u)
    whence="since $(git log -1 --format='%h (%s)' "$since")"
fi
if [ ${#files[@]} = 0 ]; then
    echo "nothing has changed $whence"
    exit 0
fi

# those PATTERN: the changed files that match and exist
those() {
    local file
    for file in "${files[@]}"; do
        [[ ! $file =~ $1 ]] || [ ! -f "$file" ] || echo "$file"
    done
}
mapfile -t c_files < <(those '\.(c|h|cpp|hpp)$')
mapfile -t sources < <(those '\.(c|cpp)$')
# A header is analysed in its module's source.
mapfile -t analysed < <({
    those '^src/[a-z_]+/.*\.c$'
    those '^include/.*\.(h|hpp)$'
    those '^src/.*\.h$' | sed 's/h$/c/' | while read -r file; do [ ! -f "$file" ] || echo "$file"; done
} | sort -u)

build=$(realpath -m "${MEMKIND_BUILD:-build/check}")
tests=()
choose_tests() { mapfile -t tests < <(python3 tests/affected_tests.py "$root" "$build" "${files[@]}"); }
if [ -n "$list_only" ]; then
    [ -f "$build/CTestTestfile.cmake" ] || {
        echo "check: --list: there is no build in $build: run tests/check.sh first" >&2
        exit 2
    }
    choose_tests
    printf '%s\n' "${tests[@]}"
    exit 0
fi
echo "${#files[@]} files changed $whence"
printf '    %s\n' "${files[@]:0:20}"
[ ${#files[@]} -le 20 ] || echo "    ..."

# ---- checks -----------------------------------------------------------------------
failed=() log=$(mktemp)
trap 'rm -f "$log"' EXIT
started=$SECONDS

# step NAME TO-DO COMMAND...: shows what the command prints if it fails.
step() {
    local name=$1 todo=$2 status=0 from=$SECONDS
    shift 2
    "$@" >"$log" 2>&1 </dev/null || status=$?
    case $status in
        0) echo "ok       $name ($((SECONDS - from)) s)"
           grep '^skipped' "$log" | sed 's/^/         /' || true ;;
        77) sed -n 's/^skipped:* */skipped  /p' "$log" | head -n 1 ;;
        *) echo "FAILED   $name"
           tail -n 60 "$log" | sed 's/^/    /'
           failed+=("$name: $todo")
           return 1 ;;
    esac
}
# with TOOL NAME TO-DO COMMAND...: skipped if TOOL is not installed
with() {
    if command -v "$1" >/dev/null; then
        shift
        step "$@" || true
    else
        echo "skipped  $2 ($1 is not installed)"
    fi
}
changes_are_noted() {
    git diff --quiet "$since" -- src/libmemkind.abi || ! git diff --quiet "$since" -- CHANGELOG.md || {
        echo "src/libmemkind.abi has changed, and CHANGELOG.md has not"
        return 1
    }
}

[ ${#c_files[@]} = 0 ] ||
    with clang-format "format" "cmake/format.sh" cmake/format.sh --check "${c_files[@]}"
# without the table before it
language() { python3 cmake/prose.py --check | sed '1,/^all /d'; }
with python3 "language of comments and texts" "reword what is listed" language
with python3 "tables of options" "as the lines above say" python3 tests/integration/option_tables.py .
with python3 "directions of includes, names" "as the lines above say" python3 tests/integration/structure_test.py .
with gcc "binary interface of the headers" "build, then tests/integration/dropin_abi.sh BUILD --update" \
    bash tests/integration/dropin_abi.sh . --headers
manual() { python3 tests/integration/man_coverage.py src/libmemkind.abi man/*.[37] >/dev/null; }
with python3 "manual" "as the lines above say (CONTRIBUTING.md, Adding a function)" manual
[ "$whence" = "as named" ] || with git "CHANGELOG.md" "add a line to CHANGELOG.md" changes_are_noted

finish() {
    echo "$((SECONDS - started)) s"
    if [ ${#failed[@]} -gt 0 ]; then
        echo "failed:"
        printf '    %s\n' "${failed[@]}"
        exit 1
    fi
    echo "$1"
    exit 0
}
[ -n "$build_wanted" ] || finish "passed, as far as can be seen without a build"

# ---- the build --------------------------------------------------------------------
install_packages build test || true
configure=(-DCMAKE_BUILD_TYPE=Debug -DMEMKIND_WERROR=ON "-DMEMKIND_TEST_DIR=${PMEM_DIR:-/dev/shm}")
if [ ! -f "$build/CMakeCache.txt" ]; then
    ! command -v gcc >/dev/null || configure+=(-DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++)
    ! command -v ccache >/dev/null ||
        configure+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
step "cmake" "as the lines above say" cmake -S . -B "$build" -G Ninja "${configure[@]}" || finish
step "build, warnings are errors" \
    "mend them (an include that is not found points up the layers: src/README.md)" \
    cmake --build "$build" -- -k 0 || finish

# by_clang: as compile_commands.json has it, without what is gcc's alone
by_clang() { python3 - "$build/compile_commands.json" "$@" <<'PY'
import json, os, shlex, subprocess, sys
wanted, failed = {os.path.realpath(path) for path in sys.argv[2:]}, False
for entry in json.load(open(sys.argv[1], encoding="utf-8")):
    path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
    if path not in wanted:
        continue
    wanted.remove(path)
    words = shlex.split(entry["command"])
    while not words[0].endswith(("cc", "c++", "g++", "clang", "clang++")) or words[0].endswith("ccache"):
        words.pop(0)
    output = words.index("-o")
    words = [word for word in words[1:output] + words[output + 2:]
             if not word.startswith(("-mtls-dialect=", "-falign-loops=", "-falign-functions="))]
    compiler = "clang++" if path.endswith(".cpp") else "clang"
    failed |= subprocess.run([compiler, *words, "-fsyntax-only"], cwd=entry["directory"]).returncode != 0
sys.exit(failed)
PY
}
[ ${#sources[@]} = 0 ] ||
    with clang "changed sources by clang" "mend them" by_clang "${sources[@]}"
[ ${#analysed[@]} = 0 ] ||
    step "static analysis" "mend it, or suppress it with the reason beside it" \
        env MEMKIND_BUILD="$build" cmake/analyze.sh --installed "${analysed[@]}" || true

# ---- the tests --------------------------------------------------------------------
jobs=$(nproc)
[ "$jobs" -le 4 ] || jobs=4
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$jobs}
choose_tests
regex='' left_out=()
for test in "${tests[@]}"; do
    case $test in
        long\ *) left_out+=("${test#long }") ;;
        *) regex+="${regex:+|}$test" ;;
    esac
done
if [ -n "$regex" ]; then
    status=0
    ctest --test-dir "$build" --output-on-failure --no-tests=error -R "^($regex)\$" || status=$?
    [ $status = 0 ] || failed+=("tests: see above; again: ctest --test-dir ${build#"$root/"} --rerun-failed --output-on-failure")
fi
[ ${#left_out[@]} = 0 ] || {
    echo "left out, as they take long:"
    printf '%s ' "${left_out[@]}" | fold -s -w 76 | sed 's/^/    /'
    echo
}
finish "passed"
