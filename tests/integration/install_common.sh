# What the install_*.sh and dropin_*.sh scripts share. To be sourced:
#
#   script BUILD-DIRECTORY
#
# CC, CXX, CFLAGS, CXXFLAGS  compilers and what they always get   [cc, c++]
# MEMKIND_TEST_DIR           directory for the kinds              [/dev/shm]
#
# Gives $root, $build, $here (this folder), $cc and $cxx (command lines as
# arrays), $work (a directory that goes when the script ends).
# shellcheck shell=bash disable=SC2034,SC2206
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(cd "${1:?usage: $0 BUILD-DIRECTORY}" && pwd)
cc=(${CC:-cc} ${CFLAGS:-}) cxx=(${CXX:-c++} ${CXXFLAGS:-})
export LC_ALL=C MEMKIND_TEST_DIR=${MEMKIND_TEST_DIR:-/dev/shm}

work=$(mktemp -d "${TMPDIR:-/tmp}/memkind-${0##*/}.XXXXXX")
trap 'rm -rf "$work"' EXIT
failures=0

pass() { echo "ok       $*"; }
skipped() { echo "skipped  $*"; }
fail() { echo "FAILED   $*"; failures=$((failures + 1)); }
# advise LINE...: what to do about the failure before it.
advise() { printf '    to do: %s\n' "$1"; shift; [ $# = 0 ] || printf '           %s\n' "$@"; }
skip_all() { skipped "$*"; [ "$failures" = 0 ] || finish; exit 77; }

# installs: whether the build has rules for installing (MEMKIND_INSTALL)
installs() { ! grep -qE '^MEMKIND_INSTALL:[A-Z]+=(OFF|0|FALSE|NO|N)$' "$build/CMakeCache.txt"; }

# The first program of README.md, with another directory if one is given.
readme_program() {
    awk '/^```c$/ { inside = 1; next } inside && /^```$/ { exit } inside' "$root/README.md" |
        sed "s,\"/mnt/pmem\",\"${1:-/mnt/pmem}\","
}

# says_missing DIRECTORY COMMAND...: a program that cannot have it ends by itself,
# with a message that names it.
says_missing() {
    local said status=0 directory=$1
    shift
    said=$("$@" 2>&1) || status=$?
    [[ $status = 1 && $said == *"$directory"*"No such file or directory"* ]] || {
        echo "status $status: $said"
        return 1
    }
}

# check NAME COMMAND...: what the command prints is shown if it fails.
check() {
    local name=$1 status=0
    shift
    : >"$work/log"
    "$@" >>"$work/log" 2>&1 </dev/null || status=$?
    if [ $status = 0 ]; then
        pass "$name"
    else
        fail "$name: exit status $status: $*"
        tail -n 40 "$work/log" | sed 's/^/    /'
        return 1
    fi
}

. "$here/../support/need_space.sh"
# has_space DIRECTORY MIB: skips the rest of the script if so much is not free there.
has_space() {
    local reason
    reason=$(need_space "$@") || skip_all "${reason#skipped: }"
}

# The last line of every script.
finish() {
    [ "$failures" = 0 ] || { echo "$failures failures"; exit 1; }
    exit 0
}
