# To be sourced by the scripts of this folder, each of which runs one program as it
# is, without and with its malloc in files:
#
#   NAME.sh BUILD      BUILD has the tool and the preloaded library
#
# PROGRAMS_LONG      not empty: as much as makes sense by hand    [a few seconds' worth]
# PROGRAMS_FORK      --fork of memkind-pmem run                   [snapshot]
# MEMKIND_TEST_DIR   directory of the heaps                       [/dev/shm]
#
# All files are in $work, the current directory; servers listen there or on 127.0.0.1,
# are stopped by their own process's number, and do not outlive the script.
# shellcheck shell=bash
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/programs
build=$(realpath "${1:?the build directory}")
long=${PROGRAMS_LONG:-}
fork_policy=${PROGRAMS_FORK:-snapshot}
heap_dir=${MEMKIND_TEST_DIR:-/dev/shm}
. "$root/tests/support/need_space.sh"
# Debian's programs, and no others that $PATH may have before them.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
unset LD_PRELOAD "${!MEMKIND_PRELOAD_@}" MAKEFLAGS

skip() {
    echo "skipped: $*"
    exit 77
}
[ -e "$build/src/libmemkind_preload.so" ] || skip "the build has no libmemkind_preload.so"

# need PROGRAM...: the script is skipped if one is not installed.
need() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || skip "$name is not installed"
    done
}

# Other users may have to reach a server's files.
work=$(mktemp -d "${TMPDIR:-/tmp}/memkind-programs.XXXXXX")
chmod 755 "$work"
cd "$work"
stats=$work/stats
: >"$stats"
chmod 666 "$stats"
servers=()
# shellcheck disable=SC2329 # at exit
clean() {
    local status=$? pid
    trap - EXIT
    for pid in "${servers[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ $status != 0 ] && [ $status != 77 ] && [ -n "${PROGRAMS_KEEP:-}" ]; then
        echo "kept: $work"
    else
        rm -rf "$work"
    fi
    exit $status
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "failed: $*" >&2
    exit 1
}

# What starts a program with its malloc in files. (An array, so that a server's process
# is the one that the shell knows.)
tool=$build/src/tool/memkind-pmem
heap=("$tool" run --dir "$heap_dir" --fork "$fork_policy" "--stats=$stats" --)

# ---- programs that end by themselves --------------------------------------------

# most PROGRAM: the largest "file space at most" of all processes of that name, in bytes.
most() {
    awk -v program="$1" '
        /report of process/ { named = $NF == program }
        named && /file space:/ { if ($NF > most) most = $NF }
        END { print most + 0 }' "$stats"
}

# reports PROGRAM: how many processes of that name have reported a heap.
reports() {
    awk -v program="$1" '
        /report of process/ { named = $NF == program }
        named && /file space:/ { count++ }
        END { print count + 0 }' "$stats"
}

# holds PROGRAM BYTES: a process of that name had at least so much in the heap's file.
holds() {
    local found
    found=$(most "$1")
    [ "$found" -ge "$2" ] || {
        tail -20 "$stats" >&2
        fail "$1 had at most $found bytes of file space, expected $2"
    }
    echo "$1: $(reports "$1") processes, at most $((found / 1024)) KiB in files"
}

# same WHAT COMMAND...: runs the command without and with the heap, at the same time, each
# in an empty directory ($work/plain and $work/heap), and compares standard output, exit
# status and the files that it made byte for byte; what it writes to stderr as well if
# WHAT does not begin with "~".
same() {
    local what=${1#\~} stderr=compared side other
    [ "$what" = "$1" ] || stderr=ignored
    shift
    for side in plain heap; do
        rm -rf "$side" "$side".out "$side".err
        mkdir "$side"
    done
    one_side plain "$@" &
    other=$!
    one_side heap "${heap[@]}" "$@"
    wait "$other"
    for side in plain heap; do
        ! grep -qx 'exit status 124' $side.status || fail "$what ($side): no end after ${limit:-120} s"
    done
    compare "$what" plain.out heap.out
    compare "$what" plain.status heap.status
    [ $stderr = ignored ] || compare "$what, stderr" plain.err heap.err
    diff -r plain heap >differences || {
        head -20 differences >&2
        fail "$what: the files that it made differ"
    }
    count=$((${count:-0} + 1))
}
one_side() {
    local side=$1 status=0
    shift
    (cd "$side" && exec timeout -k 5 "${limit:-120}" "$@") >"$side.out" 2>"$side.err" </dev/null || status=$?
    echo "exit status $status" >"$side.status"
}

compare() {
    cmp -s "$2" "$3" || {
        diff -a "$2" "$3" | head -20 >&2 || true
        tail -n 5 plain.err heap.err >&2 || true
        fail "$1: the output differs"
    }
}

# ended_well: the last `same` had exit status 0.
ended_well() { grep -qx 'exit status 0' heap.status || { tail -n 20 heap.out heap.err >&2; fail "it failed, with and without the heap"; }; }

# passed: the last line of a script.
passed() { echo "passed: ${count:-0} comparisons${*:+, $*}"; }

# ---- servers --------------------------------------------------------------------

# start LOG COMMAND...: in the background; its process is $server. It ends with the
# script, whatever ends that.
start() {
    local log=$1
    shift
    setpriv --pdeathsig KILL "$@" >>"$log" 2>&1 </dev/null &
    server=$!
    servers+=("$server")
}

# await SECONDS COMMAND...: until the command succeeds.
await() {
    local tries=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

# ended PID: waits for a server that was sent a signal to stop; returns its exit status.
ended() {
    local status=0 pid
    gone() { ! kill -0 "$1"; }
    await 60 gone "$1" || fail "process $1 does not stop"
    wait "$1" 2>/dev/null || status=$?
    local left=()
    for pid in "${servers[@]}"; do [ "$pid" = "$1" ] || left+=("$pid"); done
    servers=("${left[@]}")
    return $status
}

# python SCRIPT ARGUMENT...: a script of this folder, without the heap.
python() {
    local script=$1
    shift
    timeout -k 5 "${limit:-240}" /usr/bin/python3 "$here/$script" "$@"
}
