#!/usr/bin/env bash
# The command-line tool: its usage, exit statuses and JSON, and what it says
# about places that are known: good ones, bad ones, and file systems that are
# mounted for this (in a mount namespace of their own, if that is allowed).
set -euo pipefail
if [ -z "${TOOL_TEST_PRIVATE:-}" ]; then
    export TOOL_TEST_PRIVATE=no
    if unshare -m true 2>/dev/null; then
        TOOL_TEST_PRIVATE=yes exec unshare -m bash "$0" "$@"
    fi
fi
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

# A copy that other users may run.
chmod 755 "$work"
mkdir "$work/bin" "$work/place" "$work/mounted"
cp "$build/src/tool/memkind-pmem" "$work/bin"
cp -L "$build/src/libmemkind.so.0" "$work/bin"
[ ! -e "$build/src/libmemkind_preload.so" ] || cp "$build/src/libmemkind_preload.so" "$work/bin"
[ ! -e "$build/src/preload/libmemtier.so.0" ] || cp "$build/src/preload/libmemtier.so.0" "$work/bin"
export LD_LIBRARY_PATH=$work/bin
unset COLUMNS # as shells have it
tool=$work/bin/memkind-pmem
place=$work/place mounted=$work/mounted out=$work/out errors=$work/errors

# exits STATUS COMMAND...: keeps what the command prints in $out and $errors.
exits() {
    local expected=$1 status=0
    shift
    timeout 60 "$@" >"$out" 2>"$errors" </dev/null || status=$?
    [ $status = "$expected" ] || {
        echo "exit status $status, not $expected: $*"
        cat "$out" "$errors"
        return 1
    }
}

# holds EXPRESSION...: true of the JSON in $out, where `d` is the object, `a` has
# the answers of a check, `detail` their details and `advice` all its advice.
holds() {
    python3 - "$out" "$@" <<'PY' || { echo "in:"; head -c 3000 "$out"; return 1; }
import json, sys
d = json.load(open(sys.argv[1], encoding='utf-8'))
a = {c['id']: c['answer'] for c in d.get('checks', [])}
advice = '\n'.join(t for c in d.get('checks', []) for t in c['advice'])
detail = {c['id']: c['detail'] for c in d.get('checks', [])}
def has_each_once(options):
    items = (options or 'rw').split(',')
    return len(set(items)) == len(items) and items[0] in ('ro', 'rw') and not {'ro', 'rw'} <= set(items)
for expression in sys.argv[2:]:
    if not eval(f'({expression})'):
        sys.exit(f'not so: {expression}')
PY
}

# checks STATUS EXPRESSION DIR [COMMAND-BEFORE...]: of a check in JSON, which
# has to agree with itself and with the text.
checks() {
    local status=$1 expression=$2 dir=$3
    shift 3
    exits "$status" "$@" "$tool" check "$dir" || return
    [ ! -s "$errors" ] || { cat "$errors"; return 1; }
    exits "$status" "$@" "$tool" check --json "$dir" || return
    holds "d['ok'] == ($status == 0) and len(d['checks']) == 9" \
        "d['ok'] == (not any(c['matters'] for c in d['checks']))" \
        "all(c['answer'] == 'no' and c['advice'] for c in d['checks'] if c['matters'])" \
        "not d['file_system'] or has_each_once(d['file_system']['options'])" \
        "$expression"
}

# What was printed is UTF-8, and has nothing that acts on a terminal but ends of
# lines.
is_safe() {
    python3 - "$out" "$errors" <<'PY'
import sys
for path in sys.argv[1:]:
    for line in open(path, 'rb').read().decode('utf-8').split('\n'):
        if not line.isprintable():
            sys.exit(f'not printable: {line!r}')
PY
}

# The JSON in $out has the members that the manual lists, of the types listed.
is_as_in_manual() { python3 "$here/tool_manual.py" "$root/man/memkind-pmem.1" "$out"; }

is_empty() { [ -z "$(ls -A "$1")" ] || { ls -A "$1"; return 1; }; }
used_blocks() { stat -f -c '%b %f' "$1" | awk '{ print $1 - $2 }'; }

# ---- the command line
wrong_usage() {
    exits 2 "$tool" "$@" || return
    [ ! -s "$out" ] || { echo "something on stdout"; return 1; }
    grep -q -- "--help" "$errors"
}
usage() {
    local value
    wrong_usage && wrong_usage chek "$place" && wrong_usage check &&
        wrong_usage check / / / / / / / / / && wrong_usage check "" && wrong_usage check "$place" "" &&
        wrong_usage bench "$place" "$place" &&
        wrong_usage version "$place" && wrong_usage check --jsn "$place" &&
        wrong_usage check --seconds 1 "$place" && wrong_usage bench &&
        wrong_usage check --overwrite "$place" && wrong_usage bench "$place" --seconds &&
        wrong_usage run && wrong_usage run --dir && wrong_usage run --nonsense true &&
        wrong_usage run --stats-signal=1 true && wrong_usage run --dir '' true &&
        wrong_usage run --size 3Q true && wrong_usage run --min-size -1 true &&
        wrong_usage run --full maybe true && wrong_usage run --fork fork true &&
        wrong_usage -x || return
    # The message names the option, wherever it stands.
    wrong_usage check -jx / && grep -q '^memkind-pmem: -x: no such option' "$errors" || return
    wrong_usage check --json=3 / && grep -q '^memkind-pmem: --json=3: it takes no value' "$errors" || return
    for value in 0 -1 nan inf abc 1x '' 99999; do
        wrong_usage bench --seconds "$value" "$place" || return
    done
}
help() {
    local word
    exits 0 "$tool" --help && cp "$out" "$work/help" || return
    for word in check bench run version --json --seconds --overwrite --help 'Exit status'; do
        grep -q -- "$word" "$work/help" || { echo "no $word"; return 1; }
    done
    for word in help -h; do
        exits 0 "$tool" $word && cmp "$out" "$work/help" || return
    done
    exits 0 "$tool" check --help && cmp "$out" "$work/help"
}
# The man page names every option and every member of the JSON.
manual() {
    local page=$root/man/memkind-pmem.1 word
    exits 0 "$tool" check --json "$place" && cp "$out" "$work/all" || return
    exits 0 "$tool" version --json && cat "$out" >>"$work/all" || return
    exits 0 "$tool" bench --json --seconds 0.01 "$place" && cat "$out" >>"$work/all" || return
    for word in $(sed -n 's/^ *"\([a-z_]*\)":.*/\1/p' "$work/all" | sort -u) \
        $(grep -oE -- '--[a-z]+' "$work/help" | sed 's/^--/\\\\-\\\\-/' | sort -u); do
        grep -qE -- "(^|[^a-z_])$word([^a-z_]|$)" "$page" || { echo "no $word in the page"; return 1; }
    done
}
# Every member that the page lists, in outputs of all sorts; null after errors.
manual_types() {
    local path
    : >"$work/no-directory"
    exits 0 "$tool" version --json && is_as_in_manual || return
    for path in "$place" /dev/null /proc "$work/no-directory" "$work/missing" "$work/no-directory/below"; do
        "$tool" check --json "$path" >"$out" || [ "$path" != "$place" ] || return
        is_as_in_manual || return
        [ "$path" = "$place" ] || [ "$path" = /proc ] ||
            holds "d['file_system'] is d['mappings'] is None and set(d['space'].values()) == {None}" || return
        "$tool" bench --seconds 0.01 --json "$path" >"$out" 2>"$errors" || [ "$path" != "$place" ] || return
        is_as_in_manual || return
        if [ "$path" = "$place" ]; then
            holds "d['error'] is None and None not in [v for k, v in d.items() if k != 'error']" || return
        else
            holds "all(d[k] is None for k in ('kind_limit', 'rounds', 'seconds', 'precise'))" \
                "d['patterns'] == [] and d['error'] and d['ok'] is False" || return
        fi
    done
    # The test notices what is not as promised.
    echo '{"command": "version", "tool": 1, "other": 2}' >"$out"
    ! is_as_in_manual >"$errors" 2>&1 && grep -q '^tool: 1 is no string' "$errors" &&
        grep -q '^other: not in' "$errors" && grep -q '^library: missing' "$errors"
}
unwritable_output() {
    local command
    for command in version "check $place" "check --json $place" "bench --seconds 0.01 $place" --help; do
        # shellcheck disable=SC2086 # a list of arguments
        exits 3 bash -c '"$@" >/dev/full' - "$tool" $command || return
    done
}
version() {
    local project
    project=$(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
    exits 0 "$tool" version && grep -q "^memkind-pmem $project\$" "$out" || return
    exits 0 "$tool" --version && grep -q "^memkind-pmem $project\$" "$out" || return
    exits 0 "$tool" version --json || return
    holds "d['tool'] == '$project' and d['interface'].startswith('1.14.')" \
        "d['library']['path'] == '$(realpath "$work/bin/libmemkind.so.0")'" \
        "d['jemalloc']['version'].startswith('5.') and 'libpmem.so' in d['libpmem']['path']"
}

# ---- places
# On persistent memory it may lack 2 MiB mappings: then "no" is right.
test_directory() {
    local status=0
    "$tool" check "$MEMKIND_TEST_DIR" >/dev/null || status=$?
    checks $status "a['kind'] == a['space'] == 'yes' and d['type'] == 'directory'" "$MEMKIND_TEST_DIR" || return
    [ $status = 0 ] || holds "a['dax'] == 'yes' or a['punch'] == 'no' or 'mount -o dax' in advice"
}
shared_memory() {
    checks 0 "d['file_system']['type'] == 'tmpfs' and a['dax'] == 'no' and
              a['kind'] == a['holes'] == a['punch'] == a['fallocate'] == a['space'] == 'yes' and
              d['limits']['largest_file'] >= 2**40" /dev/shm
}
odd_places() {
    mkdir "$work/real" && ln -s real "$work/link" && ln -s nowhere "$work/broken" || return
    mkfifo "$work/pipe" && : >"$work/file" || return
    checks 0 "a['kind'] == 'yes'" "$work/link" || return
    checks 1 "d['type'] == 'unreachable' and 'mkdir' in advice" "$work/missing" || return
    checks 1 "d['type'] == 'unreachable'" "$work/broken" || return
    checks 1 "d['type'] == 'unreachable'" "$work/file/below" || return
    checks 1 "d['type'] == 'file'" "$work/file" || return
    checks 1 "d['type'] == 'other'" "$work/pipe" || return
    checks 1 "d['type'] == 'character-device' and a['dax'] == 'n/a'" /dev/null || return
    checks 1 "a['kind'] == 'no'" /proc || return
    if [ -b /dev/loop0 ]; then
        checks 1 "d['type'] == 'block-device'" /dev/loop0
    fi
}
# Each place is checked, and then a kind over all of them is made.
several_places() {
    mkdir "$work/here" "$work/there" || return
    exits 0 "$tool" check "$work/here" "$work/there" && [ "$(grep -c "kinds can be made *yes" "$out")" = 2 ] &&
        grep -qx "One kind can lie in all of them." "$out" || return
    exits 0 "$tool" check --json "$work/here" "$work/there" "$work/here" && is_as_in_manual &&
        holds "d['ok'] and d['together'] == {'ok': True, 'reason': None}" \
            "[p['path'] for p in d['places']] == ['$work/' + n for n in ('here', 'there', 'here')]" \
            "all(p['ok'] and len(p['checks']) == 9 for p in d['places'])" || return
    # One that is none takes the kind from all.
    exits 1 "$tool" check "$work/here" "$work/none" && grep -q "^NO kind can lie in all of them: .*none" "$out" || return
    exits 1 "$tool" check --json "$work/none" "$work/here" && is_as_in_manual &&
        holds "not d['ok'] and not d['together']['ok'] and 'none' in d['together']['reason']" \
            "[p['ok'] for p in d['places']] == [False, True]" || return
    exits 1 "$tool" check --json "$work/here" /dev/null && is_as_in_manual &&
        holds "[p['ok'] for p in d['places']] == [True, False]"
}
strange_names() {
    local name
    for name in $'new\nline' 'quo"te\' $'bad\xff\xc0\x80\xed\xa0\x80utf' $'\x01\x1f\x7f' 'ü€😀' ' '; do
        mkdir "$work/$name" || return
        checks 0 "a['kind'] == 'yes' and d['path'].startswith('$work/')" "$work/$name" || return
    done
    holds "d['path'] == '$work/ '" || return
    checks 0 "d['path'].endswith('ü€😀')" "$work/ü€😀" || return
    checks 0 "d['path'].endswith('bad' + 6 * '\ufffd' + 'utf')" "$work/"$'bad\xff\xc0\x80\xed\xa0\x80utf'
}
# In text, names are escaped; a name that an advice has in a command is quoted.
escaped_names() {
    local name
    for name in $'new\nline, red\e[31m\a\b\x7f' $'\xff\xc0\x80 \xc2\x9b\xe2\x80\xae ü€😀' "back\\slash, it's; a"; do
        exits 1 "$tool" check "$work/none/$name" && is_safe || return
        exits 1 "$tool" check --json "$work/none/$name" && is_safe || return
        python3 -c "import json; print(json.load(open('$out'))['checks'][0]['advice'][0].split('make it: ')[1])" >"$work/command" &&
            bash "$work/command" && [ -d "$work/none/$name" ] || return
        exits 0 "$tool" check "$work/none/$name" && is_safe || return
        exits 0 "$tool" bench --seconds 0.0001 "$work/none/$name" && is_safe || return
        rm -r "$work/none" || return
        exits 1 "$tool" bench "$work/none/$name" && is_safe || return
        exits 1 "$tool" bench --json "$work/none/$name" && is_safe || return
        ln -s "/none/$name" "$work/link-$name" && exits 1 "$tool" check "$work/link-$name" && is_safe || return
        wrong_usage "$name" && is_safe || return
        wrong_usage check "--$name" && is_safe || return
        wrong_usage check "-$name" && is_safe || return
        wrong_usage version "$name" && is_safe || return
        wrong_usage bench --seconds "$name" / && is_safe || return
        mkdir "$work/lib-$name" && cp "$work/bin/libmemkind.so.0" "$work/lib-$name" || return
        exits 0 env "LD_LIBRARY_PATH=$work/lib-$name" "$tool" version && is_safe || return
        exits 0 env "LD_LIBRARY_PATH=$work/lib-$name" "$tool" version --json && is_safe || return
        MEMKIND_DECAY=$name exits 1 "$tool" bench "$place" && is_safe || return
    done
    exits 1 "$tool" check $'x\n\t\r\e\\\xff\xc2\x9b€ü' && grep -qF 'x\n\t\r\033\\\377\302\233€ü: No such' "$out"
}

# ---- reasons
# reason STATUS TEXT PATH [COMMAND-BEFORE...]: check and bench both name the path
# and the reason.
reason() {
    local status=$1 text=$2 path=$3
    shift 3
    exits "$status" "$@" "$tool" check "$path" && grep -qF -- "NO   $text" "$out" &&
        grep -qF -- "$path: " "$out" || { cat "$out"; return 1; }
    exits 1 "$@" "$tool" bench "$path" && [ ! -s "$out" ] &&
        grep -qF -- "$text" "$errors" && grep -qF -- "memkind-pmem: $path: " "$errors" || { cat "$errors"; return 1; }
}
long_name=$(printf 'x%.0s' {1..300})
reasons() {
    local dir=$work/reasons
    mkdir -p "$dir/real" && : >"$dir/file" && mkfifo "$dir/pipe" || return
    ln -s nowhere "$dir/dangling" && ln -s loop "$dir/loop" && ln -s file "$dir/to-file" || return
    reason 1 "proc cannot hold a kind's files (O_TMPFILE: " /proc || return
    reason 1 "proc cannot hold a kind's files (O_TMPFILE: " /proc/self || return
    reason 1 "Not a directory: it is a character device, but no device DAX" /dev/null || return
    reason 1 "Not a directory: it is a file" "$dir/file" || return
    reason 1 "Not a directory: it is a file" "$dir/to-file" || return
    reason 1 "Not a directory: it is a pipe or a socket" "$dir/pipe" || return
    reason 1 "Not a directory: $dir/file is none" "$dir/file/below" || return
    reason 1 "Not a directory: $dir/file is none" "$dir/file/" || return
    reason 1 "No such file or directory" "$dir/missing" || return
    reason 1 "No such file or directory: $dir/missing does not exist" "$dir/missing/below" || return
    reason 1 "No such file or directory: $dir/dangling is a symbolic link to nowhere, which does not exist" \
        "$dir/dangling" || return
    reason 1 "No such file or directory: $dir/dangling is a symbolic link to nowhere" "$dir/dangling/below" || return
    reason 1 "Too many levels of symbolic links" "$dir/loop" || return
    reason 1 "File name too long: a name of 300 bytes, the most is 255" "$dir/$long_name" || return
    reason 1 "File name too long: a path of 6000 bytes, the most is 4095" "$(printf '/xxxxx%.0s' {1..1000})" || return
    exits 2 "$tool" check "" && grep -qF "empty ('')" "$errors" || return
    exits 2 "$tool" bench "" && grep -qF "empty ('')" "$errors" || return
    reason 1 "No such file or directory: the directory has been removed" . bash -c '
        mkdir "$0/gone" && cd "$0/gone" && rmdir "$0/gone" && exec "$@"' "$dir" || return
    reason 1 "MEMKIND_DECAY is 'abc', which is no time in milliseconds from -1 to 2147483647" "$dir/real" \
        env -u MEMKIND_TEST_DIR MEMKIND_DECAY=abc || return
}
reasons_of_permission() {
    local dir=$work/permission uid
    uid=$("${as_nobody[@]}" id -u)
    mkdir -m 555 -p "$dir/read-only" && mkdir -p "$dir/closed/below" && ln -s closed/below "$dir/link" &&
        mkdir "$dir/unsearchable" && chmod 0 "$dir/closed" && chmod 666 "$dir/unsearchable" && chmod 755 "$dir" || return
    reason 1 "Permission denied: this user (uid $uid) may not write to it" "$dir/read-only" "${as_nobody[@]}" || return
    reason 1 "Permission denied: this user (uid $uid) may not search it" "$dir/unsearchable" "${as_nobody[@]}" || return
    reason 1 "Permission denied: this user (uid $uid) may not search $dir/closed" "$dir/closed/below" "${as_nobody[@]}" || return
    reason 1 "Permission denied: $dir/link is a symbolic link to closed/below, which this user (uid $uid)" \
        "$dir/link" "${as_nobody[@]}" || return
    reason 1 "proc cannot hold a kind's files" /proc "${as_nobody[@]}" || return
    chmod 700 "$dir/closed" "$dir/unsearchable"
}
# Neither other permissions nor another mount would help.
kernel_file_system() {
    reason 1 "sysfs cannot hold a kind's files" "$mounted" || return
    checks 1 "'chmod' not in advice and 'remount' not in advice and 'ext4' in advice" "$mounted"
}
unmappable() { reason 1 "files of hugetlbfs have pages of" "$mounted"; }

# By a user who is not root, for whom permissions count.
as_nobody=()
[ "$(id -u)" != 0 ] || as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
read_only_directory() {
    mkdir -m 555 "$work/read-only" || return
    checks 1 "a['kind'] == 'no' and 'chmod' in advice" "$work/read-only" "${as_nobody[@]}" || return
    exits 1 "${as_nobody[@]}" "$tool" bench --seconds 0.01 "$work/read-only" || return
    grep -q "Permission denied" "$errors"
}
unreachable_directory() {
    mkdir -p "$work/closed/below" && chmod 0 "$work/closed" || return
    checks 1 "d['type'] == 'unreachable'" "$work/closed/below" "${as_nobody[@]}" || return
    chmod 700 "$work/closed"
}
limited_files() {
    checks 1 "a['kind'] == a['limits'] == 'no' and d['limits']['file_size'] == 1 << 20 and
              d['limits']['largest_file'] <= 1 << 20 and 'ulimit -f' in advice" \
        "$place" bash -c 'ulimit -f 1024; exec "$@"' -
}
limited_addresses() {
    checks 0 "a['kind'] == 'yes' and a['limits'] == 'no' and 'ulimit -v' in advice and
              0 < d['limits']['address_space'] < 300 << 20 and
              d['space']['fits'] <= d['limits']['address_space']" \
        "$place" bash -c 'ulimit -v 300000; exec "$@"' -
}

# ---- the benchmark
benchmark() {
    exits 0 "$tool" bench --seconds 0.05 "$place" || return
    [ ! -s "$errors" ] || { echo "a progress bar, and no terminal"; return 1; }
    for pattern in pair batch churn big xthread; do
        grep -qE "^$pattern +[0-9]+\.[0-9] +[0-9]+\.[0-9]" "$out" || return
    done
    exits 0 "$tool" bench --json --seconds 0.05 "$place" || return
    holds "[p['name'] for p in d['patterns']] == ['pair', 'batch', 'churn', 'big', 'xthread']" \
        "all(p['kind_ns'] > 0 and p['malloc_ns'] > 0 for p in d['patterns'])" \
        "d['ok'] and d['error'] is None and d['seconds'] > 0 and d['kind_limit'] >= 1 << 24"
}
failed_benchmark() {
    exits 1 "$tool" bench --json --seconds 0.05 "$work/missing" || return
    holds "not d['ok'] and 'No such file' in d['error'] and d['patterns'] == []" || return
    grep -q "No such file" "$errors" || return
    exits 1 "$tool" bench --seconds 0.05 /dev/null && [ ! -s "$out" ]
}
progress_bar() {
    exits 0 script -qec "'$tool' bench --seconds 0.05 '$place' >/dev/null" /dev/null || return
    grep -q '##.*%' "$out"
}

# Two microseconds for a round of a pattern are too few.
rough_figures() {
    exits 0 "$tool" bench --seconds 0.0001 "$place" || return
    grep -qE '^Rough figures:.* big \([0-9]+ objects? in a round\)' "$out" || return
    exits 0 "$tool" bench --json --seconds 0.0001 "$place" || return
    holds "d['precise'] is False and [p['precise'] for p in d['patterns'] if p['name'] == 'big'] == [False]" || return
    exits 0 "$tool" bench --json --seconds 0.5 "$place" || return
    # (A spread is printed with two decimals.)
    holds "d['precise'] == all(p['precise'] for p in d['patterns'])" \
        "all(p['precise'] == (min(p['kind_objects'], p['malloc_objects']) >= 100 and
                              max(p['kind_spread'], p['malloc_spread']) <= 10) for p in d['patterns']
             if 10 not in (p['kind_spread'], p['malloc_spread']))"
}

# ---- terminals
terminal() { exits 0 python3 "$here/tool_terminal.py" "$@"; }
words_of() { tr -s '[:space:]' '\n' <"$1" | sed '/^$/d'; }
# The words are those that a pipe gets. (Below 32 columns, a check has colons.)
narrow_texts() {
    local width
    exits 0 "$tool" --help && cp "$out" "$work/in-pipe" || return
    exits 1 "$tool" check /dev/null && cp "$out" "$work/check-in-pipe" || return
    exits 0 "$tool" version && cp "$out" "$work/version-in-pipe" || return
    for width in 1 10 20 39 40 60 79 80 100 300; do
        terminal $width "$tool" --help && cmp <(words_of "$work/in-pipe") <(words_of "$out") || return
        [ $width -lt 80 ] || cmp "$out" <(grep . "$work/in-pipe") || return
        exits 1 python3 "$here/tool_terminal.py" $width "$tool" check /dev/null || return
        [ $width -lt 32 ] || cmp <(words_of "$work/check-in-pipe") <(words_of "$out") || return
        # (Its paths can be wider than any terminal.)
        python3 "$here/tool_terminal.py" $width "$tool" version >"$out" 2>/dev/null || [ $? = 99 ] || return
        cmp <(words_of "$work/version-in-pipe") <(words_of "$out") || return
    done
    for width in 40 80; do
        (cd "$place" && terminal $width "$tool" check .) || return
    done
}
narrow_bench() {
    local width
    for width in 1 2 5 6 10 11 12 20 30 35 36 40 65 66 80 200; do
        (cd "$place" && terminal $width "$tool" bench --seconds 0.001 .) || return
        grep -q '^big' "$out" || return
        case $width in
            1 | 2 | 5) ! grep -q '^bar: .*[0-9]' "$out" || return ;;
            6 | 10 | 11) grep -q '^bar:  98 %$' "$out" || return ;;
            12 | 20) grep -q '^bar: \[#*\.*\]  98 %' "$out" || return ;;
            *) grep -q '^bar: \[#*\.*\]  98 % xthread' "$out" || return ;;
        esac
        # At the end, the bar is gone.
        [ $width -lt 6 ] || [ -z "$(grep '^bar: ' "$out" | tail -n 1 | tr -d ' ' | cut -c 5-)" ] || return
    done
}
wanted_width() {
    exits 0 "$tool" --help && cp "$out" "$work/in-pipe" || return
    exits 0 env COLUMNS=40 "$tool" --help && cmp "$out" "$work/in-pipe" || return
    terminal 100 env COLUMNS=40 "$tool" --help && [ "$(wc -L <"$out")" -le 40 ] || return
    terminal 40 env COLUMNS=100 "$tool" --help && [ "$(wc -L <"$out")" -le 40 ] || return
    terminal 0 env COLUMNS=40 "$tool" --help && [ "$(wc -L <"$out")" -le 40 ] || return
    for width in 0 abc -5 4x ''; do
        terminal 80 env COLUMNS="$width" "$tool" --help && cmp "$out" <(grep . "$work/in-pipe") || return
    done
    (cd "$place" && terminal 100 env COLUMNS=30 "$tool" bench --seconds 0.001 .) && [ "$(wc -L <"$out")" -le $((30 + 5)) ]
}
# A bar of 69 columns becomes one of 29, and the other way round.
changing_width() {
    (cd "$place" && terminal 80:30 "$tool" bench --seconds 2 .) &&
        sed '/the window changes/,$d' "$out" | grep -qE '^bar: \[.{40}\]' &&
        sed '1,/the window changes/d' "$out" | grep -q '^bar: \[.\{12\}\]  98 %' || return
    (cd "$place" && terminal 30:80 "$tool" bench --seconds 2 .) &&
        sed '1,/the window changes/d' "$out" | grep -q '^bar: \[.\{40\}\]  98 %'
}
# Scripts read it.
text_in_pipe() {
    exits 1 "$tool" check /dev/null && cmp "$out" - <<'EOF'
/dev/null: character device

  kinds can be made     NO   Not a directory: it is a character device, but no device DAX
     -> name a device DAX (daxctl list shows them: /dev/daxX.Y) or a directory

1 answer in capitals: no kind can be made there.
EOF
}

# ---- file systems
# on NAME FUNCTION MOUNT-ARGUMENT...: whatever the function did, the file system
# has its space again.
on() {
    local name=$1 run=$2 before
    shift 2
    if [ $TOOL_TEST_PRIVATE != yes ] || ! mount "$@" "$mounted" 2>/dev/null; then
        skipped "$name (it cannot be mounted)"
        return
    fi
    before=$(used_blocks "$mounted")
    if check "$name" $run && [ "$(used_blocks "$mounted")" != "$before" ]; then
        fail "$name: $before blocks in use before, $(used_blocks "$mounted") afterwards"
    fi
    umount -R "$mounted"
}
image() {
    rm -f "$work/image"
    truncate -s 128M "$work/image"
    command -v "$1" >/dev/null && "$@" "$work/image" >/dev/null 2>&1
}
small_tmpfs() {
    checks 0 "d['space']['total'] == d['space']['available'] == 64 << 20 and
              d['file_system']['mount_point'] == '$mounted' and
              0 < d['mappings']['touched'] <= d['space']['fits'] / 4 and
              a['kind'] == a['punch'] == a['holes'] == 'yes'" "$mounted" && is_empty "$mounted"
}
huge_tmpfs() {
    checks 0 "a['mappings'] == 'yes' and d['mappings']['large_pages'] == 8 ==
              d['mappings']['large_pages_possible'] == d['mappings']['large_pages_least'] and
              d['mappings']['kinds'] == 1" "$mounted"
}
advised_tmpfs() {
    checks 0 "a['mappings'] == 'yes' and d['mappings']['large_pages'] == 32 ==
              d['mappings']['large_pages_possible']" "$mounted"
}
unhuge_tmpfs() {
    checks 0 "a['mappings'] == 'no' and d['mappings']['large_pages'] == 0 and
              'huge=advise' in advice" "$mounted"
}
# The mount decides on the node, however the process is set.
bound_tmpfs() {
    local cpus
    cpus=$(cat /sys/devices/system/node/node0/cpulist)
    checks 0 "d['nodes'] == {'source': 'mount', 'policy': 'bind', 'list': [{'node': 0, 'cpus': '$cpus'}]} and
              a['nodes'] == ('yes' if '$cpus' else 'no') and 'mpol=bind)' in detail['nodes']" "$mounted" || return
    mount -o remount,mpol=interleave=static:0 "$mounted" &&
        checks 0 "d['nodes']['policy'] == 'interleave' and [n['node'] for n in d['nodes']['list']] == [0]" "$mounted" || return
    mount -o remount,mpol='prefer (many):0' "$mounted" 2>/dev/null ||
        mount -o remount,mpol=prefer:0 "$mounted" || return
    checks 0 "d['nodes']['policy'].startswith('prefer') and [n['node'] for n in d['nodes']['list']] == [0]" "$mounted" || return
    mount -o remount,mpol=local "$mounted" &&
        checks 0 "d['nodes']['source'] == 'mount' and d['nodes']['policy'] == 'local' and d['nodes']['list']" "$mounted"
}
# Without a policy of the mount, the one that the process was started with counts.
process_nodes() {
    checks 0 "d['nodes']['source'] == 'process' and d['nodes']['policy'] == 'default' and
              all(n['cpus'] for n in d['nodes']['list']) and a['nodes'] == 'yes'" /dev/shm || return
    # MPOL_BIND of node 0, by set_mempolicy(2)
    checks 0 "d['nodes']['source'] == 'process' and d['nodes']['policy'] == 'bind' and
              [n['node'] for n in d['nodes']['list']] == [0] and 'process: bind' in detail['nodes']" \
        /dev/shm python3 -c '
import ctypes, os, platform, sys
number = {"x86_64": 238, "aarch64": 237, "riscv64": 237, "ppc64le": 261}[platform.machine()]
nodes = ctypes.c_ulong(1)
if ctypes.CDLL(None, use_errno=True).syscall(number, 2, ctypes.byref(nodes), ctypes.c_ulong(65)) != 0:
    sys.exit("set_mempolicy: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])'
}
nearly_full() {
    local mib
    for mib in 60 63; do
        dd if=/dev/zero of="$mounted/file" bs=1M count=$mib status=none || return
        checks 1 "a['space'] == 'no' and a['kind'] == 'yes' and a['punch'] == 'yes' and
                  d['space']['fits'] == (64 - $mib) << 20" "$mounted" || return
    done
    dd if=/dev/zero of="$mounted/file" bs=1M status=none 2>/dev/null || true
    checks 1 "a['space'] == a['kind'] == 'no' and a['punch'] == 'unknown'" "$mounted" || return
    exits 1 "$tool" bench --seconds 0.01 "$mounted" && grep -q "too little" "$errors" || return
    rm "$mounted/file" && is_empty "$mounted"
}
# A place that is taken for persistent memory. Kinds can differ there: several are
# made, and the output is about the typical one.
several_kinds() {
    checks 1 "a['dax'] == 'yes' and d['mappings']['kinds'] == 9 and
              d['mappings']['large_pages_least'] <= d['mappings']['large_pages'] <=
              d['mappings']['large_pages_possible'] and
              'the middle one of 9 kinds' in [c for c in d['checks'] if c['id'] == 'mappings'][0]['detail']" \
        "$mounted" env PMEM_IS_PMEM_FORCE=1
}
read_only() {
    checks 1 "a['kind'] == 'no' and 'remount,rw' in advice" "$mounted" || return
    holds "d['file_system']['options'].split(',')[0] == 'ro'" && reason 1 "no file can be made there: Read-only file system" "$mounted"
}
# The mount is read-only, and the file system is not: it counts what can be done.
read_only_mount() {
    mount -o remount,bind,ro "$mounted" &&
        checks 1 "d['file_system']['options'].split(',')[0] == 'ro'" "$mounted" || return
    mount -o remount,bind,rw "$mounted" &&
        checks 0 "d['file_system']['options'].split(',')[:2] == ['rw', 'relatime'] and
                  'size=65536k' in d['file_system']['options'].split(',')" "$mounted"
}
# A source and a mount point with what acts on a terminal; then none at all.
strange_mount() {
    local name=$'mount\n\e[31m \xff'
    mkdir -p "$mounted/$name" && mount -t tmpfs -o size=64m $'source\e[7m\n' "$mounted/$name" || return
    exits 0 "$tool" check "$mounted/$name" && is_safe && grep -qF '(source\033[7m\n, mounted at ' "$out" &&
        checks 0 "d['file_system']['source'] == 'source\x1b[7m\n'" "$mounted/$name" && is_safe || return
    mount -o remount,ro "$mounted/$name" && exits 1 "$tool" check "$mounted/$name" && is_safe || return
    umount "$mounted/$name" && mount -t tmpfs -o size=64m "" "$mounted/$name" || return
    exits 0 "$tool" check "$mounted/$name" && grep -qF 'directory on tmpfs (mounted at ' "$out" &&
        checks 0 "d['file_system']['source'] is None and d['file_system']['type'] == 'tmpfs'" "$mounted/$name" || return
    umount "$mounted/$name" && rmdir "$mounted/$name"
}
ext4() {
    checks 0 "a['kind'] == a['holes'] == a['punch'] == a['fallocate'] == 'yes' and a['dax'] == 'no' and
              d['file_system']['type'] == 'ext4' and d['file_system']['source'].startswith('/dev/') and
              d['limits']['largest_file'] >= 2**40" "$mounted" || return
    exits 0 "$tool" bench --seconds 0.05 "$mounted"
}
vfat() {
    checks 1 "a['kind'] == 'yes' and a['holes'] == a['punch'] == 'no'" "$mounted" && is_empty "$mounted"
}
# A kind takes at least 16 MiB there, which would be nearly all.
nearly_full_vfat() {
    dd if=/dev/zero of="$mounted/file" bs=1M count=100 status=none || return
    checks 1 "a['kind'] == 'unknown' and a['holes'] == 'no'" "$mounted" || return
    rm "$mounted/file"
}

# ---- as installed, before and after the prefix is moved
installed() {
    local prefix=$work/prefix
    (unset LD_LIBRARY_PATH
     cmake --install "$build" --prefix "$prefix" && "$prefix/bin/memkind-pmem" version &&
         mv "$prefix" "$work/moved" && "$work/moved/bin/memkind-pmem" version --json >"$out") || return
    holds "d['library']['path'].startswith('$(realpath "$work/moved")/')"
}

# ---- run
runs_programs() {
    local report=$work/report word
    exits 0 "$tool" run --dir "$place" -- sh -c 'echo $MEMKIND_PRELOAD_DIR $MEMKIND_PRELOAD_SIZE-' &&
        grep -qx -- "$place -" "$out" && [ ! -s "$errors" ] || return
    # Options end at the program's name; what was set before is not taken over.
    MEMKIND_PRELOAD_SIZE=77 exits 0 "$tool" run --size 32M sh -c 'echo "$0 $MEMKIND_PRELOAD_SIZE"' --dir &&
        grep -qx -- "--dir 32M" "$out" || return
    PMEM_DIR=$place exits 0 "$tool" run sh -c 'echo $MEMKIND_PRELOAD_DIR' && grep -qx "$place" "$out" || return
    (cd "$work" && exits 0 "$tool" run --dir place sh -c 'cd / && sort </dev/null; echo $MEMKIND_PRELOAD_DIR') &&
        grep -qx "$work/place" "$out" || return
    mkdir -p "$work/second" && (cd "$work" && exits 0 "$tool" run --dir place:second --verbose \
        sh -c 'cd / && sort </dev/null') &&
        grep -q "sort .* lie in $work/place:$work/second" "$errors" || return
    mkdir -p "$work/a:b" && (cd "$work" && exits 0 "$tool" run --dir a:b sh -c 'echo $MEMKIND_PRELOAD_DIR') &&
        grep -qx "$work/a:b" "$out" || return
    exits 0 "$tool" run --dir "$place" --stats="$report" --min-size 1K --full null --fork copy \
        sort "$root/README.md" && cmp "$out" <(sort "$root/README.md") || return
    for word in "report of process" ", sort" "  in $place: " "  file space: [1-9]" "no room in it: 0 times" \
        "  detached by fork: 0 bytes in DRAM"; do
        grep -q -- "$word" "$report" || { echo "no \"$word\" in:"; cat "$report"; return 1; }
    done
    exits 0 "$tool" run --dir "$place" --stats true && grep -q "report of process" "$errors" || return
    exits 0 "$tool" run --verbose true && grep -q "lie in /dev/shm" "$errors" || return
    exits 3 "$tool" run --dir "$place" sh -c 'exit 3' || return
    exits 127 "$tool" run --dir "$place" "$work/no-program" && grep -q "no-program: No such file" "$errors" || return
    exits 126 "$tool" run --dir "$place" "$place" && grep -q "Permission denied" "$errors" || return
    exits 1 "$tool" run --dir "$work/missing" echo started && grep -q "missing: No such file" "$errors" &&
        [ ! -s "$out" ] || return
    exits 1 "$tool" run --dir "$place" --size 1M echo started && grep -q "16 MiB" "$errors" && [ ! -s "$out" ] || return
    exits 0 env LD_PRELOAD=libm.so.6 "$tool" run sh -c 'echo $LD_PRELOAD' &&
        grep -qx ".*/bin/libmemkind_preload.so:libm.so.6" "$out" || return
    exits 0 "$tool" run --help && for word in $(grep -oE -- '--[a-z]+(-[a-z]+)?' "$out" | sort -u); do
        grep -qF -- "${word//-/\\-}" "$root/man/memkind-pmem.1" || { echo "no $word in the page"; return 1; }
    done
    # Tiers of the program's own stay.
    MEMKIND_MEM_TIERS=mine MEMKIND_MEM_THRESHOLDS=own exits 0 "$tool" run --dir "$place" -- env &&
        grep -qx MEMKIND_MEM_TIERS=mine "$out" && grep -qx MEMKIND_MEM_THRESHOLDS=own "$out" || return
    # In tiers.
    if [ -e "$work/bin/libmemtier.so.0" ]; then
        MEMKIND_MEM_THRESHOLDS=x exits 0 "$tool" run --dir "$place" --size 64M --tiers 1:4 -- \
            sh -c 'sort "$0" && env' "$root/README.md" &&
            grep -qx "MEMKIND_MEM_TIERS=KIND:DRAM,RATIO:1;KIND:FS_DAX,PATH:$place,PMEM_SIZE_LIMIT:67108864,RATIO:4;POLICY:STATIC_RATIO" "$out" &&
            grep -q "^LD_PRELOAD=.*/bin/libmemtier.so.0" "$out" && ! grep -q "MEMKIND_PRELOAD\|THRESHOLDS" "$out" &&
            grep -qFx "# memkind-pmem" "$out" && [ ! -s "$errors" ] || return
        # A program that makes kinds itself: this one.
        exits 0 "$tool" run --dir "$place" --tiers 1:4 -- "$tool" run --dir "$place" -- echo inner && grep -qx inner "$out" || return
        exits 0 "$tool" run --dir "$place" --tiers 1:4 -- "$tool" run --dir "$place" --tiers 2:1 -- echo inner && grep -qx inner "$out" || return
        for word in 1 1:0 0:1 :1 1: 1:2:3 1:-2 1:4294967296 a:b; do
            wrong_usage run --tiers $word true && grep -qF -- "'$word'" "$errors" || return
        done
        for word in --stats --full=null --fork=copy --min-size=1K --verbose --stats-signal; do
            wrong_usage run $word --tiers 1:4 true && grep -q -- "--tiers: not together with ${word%=*}" "$errors" || return
        done
        wrong_usage run --tiers 1:4 --dir "$place:$work/second" true && grep -q "not one directory" "$errors" || return
        exits 1 "$tool" run --tiers 1:4 --dir "$work/missing" echo started && grep -q "missing: No such file" "$errors" &&
            [ ! -s "$out" ] || return
    else
        skipped "run --tiers, as this build has no libmemtier"
    fi
    # Without the library, or where the dynamic linker could not name it.
    mkdir "$work/bare" "$work/with blank" || return
    cp "$work/bin/memkind-pmem" "$work/bin/libmemkind.so.0" "$work/bare" || return
    cp "$work"/bin/* "$work/with blank" || return
    LD_LIBRARY_PATH=$work/bare exits 1 "$work/bare/memkind-pmem" run true && grep -q "no libmemkind_preload.so" "$errors" || return
    LD_LIBRARY_PATH="$work/with blank" exits 1 "$work/with blank/memkind-pmem" run true && grep -q "blank" "$errors"
}

check "usage errors" usage || true
check "help" help || true
check "version" version || true
if [ -e "$work/bin/libmemkind_preload.so" ]; then
    check "run" runs_programs || true
else
    echo "skipped: run, as this build has no preloaded library"
fi
check "the manual names all there is" manual || true
check "the JSON is what the manual promises" manual_types || true
check "output that cannot be written" unwritable_output || true
check "the test directory" test_directory || true
if [ "$(stat -f -c %T /dev/shm)" = tmpfs ]; then
    check "/dev/shm" shared_memory || true
else
    skipped "/dev/shm (no tmpfs)"
fi
if [ -r /sys/devices/system/node/has_cpu ] && grep -qE '^0([-,]|$)' /sys/devices/system/node/has_cpu &&
    [ "$(stat -f -c %T /dev/shm)" = tmpfs ]; then
    check "nodes that the process chooses" process_nodes || true
else
    skipped "nodes that the process chooses (a kernel without NUMA)"
fi
check "places of other types" odd_places || true
check "several places" several_places || true
check "names that JSON cannot hold as they are" strange_names || true
check "names that a terminal must not get as they are" escaped_names || true
check "reasons" reasons || true
check "reasons: permissions" reasons_of_permission || true
check "a read-only directory" read_only_directory || true
check "a directory that cannot be reached" unreachable_directory || true
check "RLIMIT_FSIZE" limited_files || true
check "RLIMIT_AS" limited_addresses || true
check "bench" benchmark || true
check "bench where it cannot be" failed_benchmark || true
check "bench says which figures are rough" rough_figures || true
check "text in a pipe" text_in_pipe || true
if python3 -c 'import pty; pty.openpty()' 2>/dev/null; then
    check "texts on terminals of any width" narrow_texts || true
    check "bench on terminals of any width" narrow_bench || true
    check "COLUMNS" wanted_width || true
    check "a terminal that changes its width" changing_width || true
else
    skipped "terminals of any width (there are none)"
fi
if script -qec true /dev/null >/dev/null 2>&1; then
    check "bench: a progress bar on a terminal" progress_bar || true
else
    skipped "bench: a progress bar on a terminal (no script command, or no terminals)"
fi
check "nothing is left behind" is_empty "$place" || true

on "a small tmpfs" small_tmpfs -t tmpfs -o size=64m none
on "a tmpfs with large pages" huge_tmpfs -t tmpfs -o size=64m,huge=always none
on "a tmpfs with large pages when asked" advised_tmpfs -t tmpfs -o size=300m,huge=advise none
on "a tmpfs without large pages" unhuge_tmpfs -t tmpfs -o size=300m,huge=never none
on "a tmpfs taken for persistent memory" several_kinds -t tmpfs -o size=64m none
if [ -r /sys/devices/system/node/node0/cpulist ]; then
    on "a tmpfs that is bound to a node" bound_tmpfs -t tmpfs -o size=64m,mpol=bind:0 none
else
    skipped "a tmpfs that is bound to a node (a kernel without NUMA)"
fi
on "a tmpfs that is nearly full" nearly_full -t tmpfs -o size=64m none
on "a tmpfs mounted read-only" read_only -t tmpfs -o size=64m,ro none
on "a tmpfs, and a mount of it that is read-only" read_only_mount -t tmpfs -o size=64m none
on "mounts with strange names" strange_mount -t tmpfs -o size=64m none
on "sysfs" kernel_file_system -t sysfs none
on "sysfs mounted read-only" kernel_file_system -t sysfs -o ro none
on "hugetlbfs" unmappable -t hugetlbfs none
if image mkfs.ext4 -q; then on "ext4" ext4 -o loop "$work/image"; else skipped "ext4 (no mkfs.ext4)"; fi
if image mkfs.vfat -F 32; then
    on "vfat" vfat -o loop "$work/image"
    on "vfat that is nearly full" nearly_full_vfat -o loop "$work/image"
else
    skipped "vfat (no mkfs.vfat)"
fi
if installs; then
    check "as installed, in a prefix that is moved" installed || true
else
    skipped "as installed (this build has no rules for it)"
fi
finish
