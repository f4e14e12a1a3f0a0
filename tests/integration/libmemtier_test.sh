#!/usr/bin/env bash
# libmemtier.so and memtier: programs run with them as they are, each beside a run
# without; what is wrong with the settings is said.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

library=$build/src/preload/libmemtier.so.0
memtier=$build/src/preload/memtier
[ -e "$library" ] || skip_all "no libmemtier.so (MEMKIND_BUILD_PRELOAD)"
if grep -q '^MEMKIND_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
    skip_all "a sanitizer has a malloc of its own"
fi
dir=$MEMKIND_TEST_DIR
files="KIND:FS_DAX,PATH:$dir,RATIO:4"
quarter="KIND:DRAM,RATIO:1;$files;POLICY:STATIC_RATIO"
by_size="KIND:DRAM,RATIO:1;$files;POLICY:DYNAMIC_THRESHOLD"

# preloaded TIERS COMMAND...
preloaded() {
    local tiers=$1
    shift
    LD_LIBRARY_PATH=$build/src LD_PRELOAD=$library MEMKIND_MEM_TIERS=$tiers timeout 300 "$@"
}

# ---- exports ------------------------------------------------------------------------
nothing_else() {
    nm -D --defined-only "$library" | awk '{ print $3 }' | tee "$work/exports" |
        grep -vxE 'malloc|calloc|realloc|reallocarray|free|cfree|free_sized|free_aligned_sized|posix_memalign|aligned_alloc|memalign|valloc|pvalloc|malloc_usable_size|close|closefrom|close_range|__register_atfork' >&2 && return 1
    [ "$(wc -l <"$work/exports")" = 18 ]
}
soname() { readelf -d "$library" | grep -E "SONAME.*\[libmemtier\.so\.0\]"; }
check "nothing but malloc and its family, close and its, and what registers handlers is exported" nothing_else || true
check "soname" soname || true

# ---- a program of ours --------------------------------------------------------------
check "the program: build" "${cc[@]}" -O1 -fno-builtin -D_GNU_SOURCE -I"$root/include" "$here/libmemtier_program.c" \
    -o "$work/program" -pthread -ldl || finish
says_ok() { [ "$(preloaded "$@")" = ok ]; }
check "1:4, threads, fork, thread and process exit" says_ok "$quarter" "$work/program" 4 || true
check "4:1" says_ok "KIND:FS_DAX,PATH:$dir,PMEM_SIZE_LIMIT:1G,RATIO:1;KIND:DRAM,RATIO:4;POLICY:STATIC_RATIO" \
    "$work/program" 0.25 || true
check "by size" says_ok "$by_size" "$work/program" 0 || true
check "one tier, in DRAM" says_ok "KIND:DRAM,RATIO:1;POLICY:STATIC_RATIO" "$work/program" 0 || true
check "one tier, in files" says_ok "KIND:FS_DAX,PATH:$dir,RATIO:1;POLICY:STATIC_RATIO" "$work/program" 0 || true
thresholds() {
    MEMKIND_MEM_THRESHOLDS=$1 says_ok "$by_size" "$work/program" 0
}
check "thresholds" thresholds "MAX_VAL:10000,MIN_VAL:1,INIT_VAL:64" || true
check "no thresholds" thresholds "" || true
check "C++: build" "${cxx[@]}" -std=c++17 "$here/libmemtier_new.cpp" -o "$work/new" || finish
operators() { [ "$(preloaded "$quarter" "$work/new")" = "499500 1 1" ]; }
check "operator new and delete" operators || true

# ---- programs of others -------------------------------------------------------------
# same COMMAND...: output, messages and status are those of a run without.
same() {
    local expected=0 status=0
    "$@" >"$work/out" 2>"$work/err" </dev/null || expected=$?
    preloaded "$quarter" "$@" >"$work/out.tiers" 2>"$work/err.tiers" </dev/null || status=$?
    [ "$status" = "$expected" ] && diff "$work/out" "$work/out.tiers" && diff "$work/err" "$work/err.tiers"
}
# try NAME COMMAND...
try() {
    local name=$1
    shift
    if command -v "$1" >/dev/null; then
        check "$name" same "$@" || true
    else
        skipped "$name (no $1)"
    fi
}
echo 'int main(void) { return 0; }' >"$work/empty.c"
try "python3 -c 'print(1)'" python3 -c 'print(1)'
try "python3: threads, a subprocess, fork" python3 -c '
import os, subprocess, threading
def work():
    assert len([str(i) for i in range(100000)]) == 100000
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(subprocess.run(["echo", "a child"], capture_output=True).stdout)
child = os.fork()
if child == 0: os._exit(sum(range(10)))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))'
try "g++ --version" g++ --version
try "gcc: compile" gcc -O2 -S "$work/empty.c" -o -
try "redis-server --version" redis-server --version
try "ls" ls -l /usr
try "sort" sort "$root/CHANGELOG.md"
try "bash: pipes and subshells" bash -c 'x=$(printf "b\na\n" | sort); echo "$x"; (exit 3)'
try "perl" perl -e 'my %h = map { $_ => "x" x $_ } 1 .. 1000; print join(",", sort keys %h), "\n"'
try "git" git --version
try "awk" awk 'BEGIN { for (i = 0; i < 100000; i++) a[i] = i ""; print length(a) }'
try "an error" ls /nowhere-at-all

# ---- wrong settings -----------------------------------------------------------------
# refuses TEXT TIERS [THRESHOLDS]: status 1, a message with the text, no output.
refuses() {
    local text=$1 tiers=$2 status=0
    shift 2
    [ $# = 0 ] || export MEMKIND_MEM_THRESHOLDS=$1
    preloaded "$tiers" echo ran >"$work/out" 2>"$work/err" || status=$?
    unset MEMKIND_MEM_THRESHOLDS
    cat "$work/err"
    [ "$status" = 1 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" = 1 ] &&
        grep -F "libmemtier: MEMKIND_MEM_" "$work/err" | grep -F -- "$text" >/dev/null
}
wrong() { check "refused: $2 ${3:-}" refuses "$@" || true; }
static="POLICY:STATIC_RATIO"
wrong "is at the end" ""
wrong "is at the end" "KIND:DRAM,RATIO:1"
wrong "is at the end" "KIND:DRAM,RATIO:1;"
wrong "is at the end" "KIND:DRAM,RATIO:1;$static;"
wrong "is at the end" "$static;KIND:DRAM,RATIO:1"
wrong "is at the end" "KIND:DRAM,RATIO:1;POLICY:STATIC"
wrong "no tier" "$static"
wrong "no parameter" ";$static"
wrong "no parameter" "KIND:DRAM,,RATIO:1;$static"
wrong "no parameter" " KIND:DRAM,RATIO:1;$static"
wrong "no parameter" "KIND,RATIO:1;$static"
wrong "no value" "KIND:,RATIO:1;$static"
wrong "twice" "KIND:DRAM,KIND:DRAM,RATIO:1;$static"
wrong "no KIND" "RATIO:1;$static"
wrong "none of DRAM" "KIND:dram,RATIO:1;$static"
wrong "no RATIO" "KIND:DRAM;$static"
wrong "no number" "KIND:DRAM,RATIO:0;$static"
wrong "no number" "KIND:DRAM,RATIO:-1;$static"
wrong "no number" "KIND:DRAM,RATIO:4294967296;$static"
wrong "no number" "KIND:DRAM,RATIO:1x;$static"
wrong "another tier" "KIND:DRAM,RATIO:1;KIND:DRAM,RATIO:1;$static"
wrong "needs a PATH" "KIND:FS_DAX,RATIO:1;$static"
wrong "No such file" "KIND:FS_DAX,PATH:/nowhere-at-all,RATIO:1;$static"
wrong "for FS_DAX only" "KIND:DRAM,PATH:$dir,RATIO:1;$static"
wrong "for FS_DAX only" "KIND:DRAM,PMEM_SIZE_LIMIT:1G,RATIO:1;$static"
wrong "no size" "KIND:FS_DAX,PATH:$dir,PMEM_SIZE_LIMIT:100MB,RATIO:1;$static"
wrong "no size" "KIND:FS_DAX,PATH:$dir,PMEM_SIZE_LIMIT:G,RATIO:1;$static"
wrong "no size" "KIND:FS_DAX,PATH:$dir,PMEM_SIZE_LIMIT:99999999999G,RATIO:1;$static"
wrong "less than" "KIND:FS_DAX,PATH:$dir,PMEM_SIZE_LIMIT:1M,RATIO:1;$static"
wrong "needs 2 tiers" "KIND:DRAM,RATIO:1;POLICY:DYNAMIC_THRESHOLD"
wrong "POLICY:STATIC_RATIO" "$quarter" "INIT_VAL:64"
wrong "no value of" "$by_size" "INIT_VAL:x"
wrong "no parameter" "$by_size" "INIT_VAL=64"
wrong "twice" "$by_size" "INIT_VAL:600,INIT_VAL:700"
wrong "not within" "$by_size" "INIT_VAL:64"
wrong "more than lie" "$by_size" "INIT_VAL:600;INIT_VAL:1700"
unset_tiers() {
    local status=0
    LD_LIBRARY_PATH=$build/src LD_PRELOAD=$library env -u MEMKIND_MEM_TIERS true 2>"$work/err" || status=$?
    [ "$status" = 1 ] && grep -F "MEMKIND_MEM_TIERS is not set" "$work/err"
}
check "refused: no settings" env -u MEMKIND_MEM_TIERS bash -c "$(declare -f unset_tiers); build=$build library=$library work=$work unset_tiers" || true

# ---- memtier ------------------------------------------------------------------------
command_runs() {
    [ "$(LD_LIBRARY_PATH=$build/src "$memtier" -d "$dir" "$@")" = ok ]
}
check "memtier: a ratio" command_runs -r 1:4 "$work/program" 4 || true
check "memtier: thresholds" command_runs -t INIT_VAL=64,MIN_VAL=1,MAX_VAL=2000 "$work/program" 0 || true
check "memtier: what there is" command_runs "$work/program" 0 || true
shows_settings() {
    LD_LIBRARY_PATH=$build/src LD_PRELOAD=$build/src/libmemkind.so.0 "$memtier" -v -d "$dir" -r 2:3 \
        --thresholds MAX_VAL:2000 true 2>"$work/err"
    diff - "$work/err" <<-END
		LD_PRELOAD=$library:$build/src/libmemkind.so.0
		MEMKIND_MEM_TIERS=KIND:DRAM,RATIO:2;KIND:FS_DAX,PATH:$dir,RATIO:3;POLICY:DYNAMIC_THRESHOLD
		MEMKIND_MEM_THRESHOLDS=MAX_VAL:2000
		END
}
check "memtier -v" shows_settings || true
# command_fails STATUS TEXT ARGUMENTS...
command_fails() {
    local expected=$1 text=$2 status=0
    shift 2
    LD_LIBRARY_PATH=$build/src "$memtier" "$@" >"$work/out" 2>&1 || status=$?
    cat "$work/out"
    [ "$status" = "$expected" ] && grep -F -- "$text" "$work/out" >/dev/null
}
check "memtier -h" command_fails 0 "usage: memtier" -h || true
# A program's directory need not be memtier's.
elsewhere() {
    mkdir -p "$work/a" "$work/b"
    (cd "$work" && LD_LIBRARY_PATH=$build/src "$memtier" -d "$1" -r 1:1 sh -c 'cd / && sort </dev/null')
}
check "memtier -d with a relative path" elsewhere a || true
check "memtier -d with two of them" elsewhere a:b || true
check "memtier without a program" command_fails 1 "usage: memtier" -d "$dir" || true
check "memtier: no such option" command_fails 1 "usage: memtier" -x true || true
for ratio in 1 1: :1 0:1 1:0 1:4x -1:4 4294967296:1 1,4; do
    check "memtier -r $ratio" command_fails 1 "the ratio '$ratio'" -d "$dir" -r "$ratio" true || true
done
check "memtier: no such program" command_fails 127 "No such file" -d "$dir" -r 1:1 /nowhere-at-all || true
check "memtier: no program" command_fails 126 "ermission denied" -d "$dir" -r 1:1 / || true
check "memtier: the program's status" command_fails 5 "said" -d "$dir" -r 1:1 sh -c 'echo said; exit 5' || true
finish
