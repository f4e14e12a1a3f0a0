#!/usr/bin/env bash
# The benchmark for a machine with many CPUs and nothing installed: filling and
# emptying large kinds, objects that go from thread to thread, and the patterns
# of single threads, on as many threads as there are CPUs.
#
#   many_cpus.sh --pack DIR [OPTION...]   here: builds, and puts all that is needed
#                                         into DIR (some MiB)
#   DIR/many_cpus.sh [OPTION...]          there: measures; --run DIR does it here
#
# To pack:
#   --library NAME=DIR   one more kind: the libmemkind.so.0 in DIR (the last release)
#   --malloc NAME=FILE   one more malloc: a shared library
#   --peers A,B          only these, of own libmemkind jemalloc mimalloc tcmalloc glibc
#   --no-build           installs and builds nothing: what is there
# To measure:
#   --seconds N          for all of it                     [420]
#   --dir PLACE          for the kinds' files              [as root, a tmpfs that is
#                        mounted for this; otherwise /dev/shm, or /tmp if that is larger]
#   --threads N          at most                           [one for each CPU]
#   --size MIB           filled at most                    [49152, or what fits]
#   --peers A,B          only these
#   --output FILE        the table, in Markdown            [table.md in DIR]
#   --quick              each cell for a moment, once: to see that all is there
#
# It needs bash, coreutils and awk, and a glibc that is no older than the one that
# the pack was made with. As root, kinds are filled in a tmpfs with huge=advise as
# well (own_huge). All that it mounts is its own, and is gone when it ends.
#
# MEMKIND_BUILD    build directory, to pack   [build/bench]
set -euo pipefail
export LC_ALL=C
self=$(realpath "${BASH_SOURCE[0]}")
here=$(dirname "$self")

die() { echo "many_cpus: $*" >&2; exit 2; }
usage() {
    sed -n '2,/^set -e/p' "$self" | sed '$d;s/^# \{0,1\}//'
    exit "${1:-0}"
}

mode= folder=
if [ -f "$here/peers" ]; then
    mode=run folder=$here
fi
seconds=420 dir= threads= size_most=49152 wanted= output= quick=no own_mounts=no builds=yes
to_pack=()
[ $# -gt 0 ] || [ -n "$mode" ] || usage 2 >&2
arguments=("$@")
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage ;;
        --quick) quick=yes; shift; continue ;;
        --own-mounts) own_mounts=yes; shift; continue ;; # by itself
        --no-build) builds=no; shift; continue ;;
        --pack | --run | --library | --malloc | --peers | --seconds | --dir | --threads | --size | --output) ;;
        *) die "unknown option $1 (--help has them)" ;;
    esac
    [ $# -ge 2 ] || die "$1: a value is missing"
    case $1 in
        --pack | --run) mode=${1#--} folder=$2 ;;
        --library | --malloc) to_pack+=("$1" "$2") ;;
        --peers) wanted=$2 ;;
        --seconds) seconds=$2 ;;
        --dir) dir=$2 ;;
        --threads) threads=$2 ;;
        --size) size_most=$2 ;;
        --output) output=$2 ;;
    esac
    shift 2
done
for number in "$seconds" "$size_most" "${threads:-1}"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || die "'$number' is no whole number from 1 on"
done

# ---- to pack ---------------------------------------------------------------------
# libraries FILE...: the shared libraries that these need, but for glibc's.
libraries() {
    LD_LIBRARY_PATH=$folder/own ldd "$@" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
        grep -vE '/(libc|libm|libdl|libpthread|librt|libresolv|ld-linux[^/]*)\.so' || true
}

pack() {
    local root build name program library place lister=("$here/run.sh")
    root=$(cd "$here/../.." && pwd)
    build=${MEMKIND_BUILD:-$root/build/bench}
    [ -z "$wanted" ] || to_pack+=(--peers "$wanted")
    # run.sh installs and builds; the list is all that it does besides.
    [ $builds = yes ] || lister=(python3 "$here/compare.py" --build "$build")
    "${lister[@]}" --list-peers "${to_pack[@]}" >"$build.peers" || die "the benchmark cannot be built"
    rm -rf "$folder"
    mkdir -p "$folder/bin" "$folder/lib"
    folder=$(realpath "$folder")
    cp "$build/tests/bench_memkind" "$build/tests/bench_malloc" "$folder/bin"
    while IFS=$'\t' read -r name program library; do
        place=-
        if [ "$library" != - ]; then
            mkdir "$folder/$name"
            cp -L "$library" "$folder/$name"
            place=$name/$(basename "$library")
        fi
        printf '%s\t%s\t%s\n' "$name" "$program" "$place" >>"$folder/peers"
    done <"$build.peers"
    rm -f "$build.peers"
    mapfile -t files < <(find "$folder" -mindepth 2 -type f)
    for library in $(libraries "${files[@]}"); do
        case $library in
            "$folder"/* | */libmemkind.so*) ;;
            *) cp -L "$library" "$folder/lib" ;;
        esac
    done
    find "$folder" -mindepth 2 -type f -exec strip -g {} + 2>/dev/null || true
    cp "$self" "$folder/many_cpus.sh"
    git -C "$root" log -1 --format='%h %s' >"$folder/commit" 2>/dev/null || true
    [ "$(du -sm "$folder" | cut -f 1)" -lt 64 ] || die "$folder has $(du -sh "$folder" | cut -f 1): more than 64 MiB"
    echo "packed: $folder ($(du -sh "$folder" | cut -f 1)); copy it, and run many_cpus.sh in it"
}

# ---- to measure ------------------------------------------------------------------
# Of the monotonic clock.
now_ms() { awk '{ printf "%d", $1 * 1000 }' /proc/uptime; }

# What is free for files, in MiB: of the file system, of memory, of control groups.
free_mib() {
    local fits group=/sys/fs/cgroup used most
    fits=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
    most=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
    [ "$most" -ge "$fits" ] || fits=$most
    group+=$(sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null || true)
    while [[ $group == /sys/fs/cgroup* ]]; do
        if read -r most <"$group/memory.max" && [ "$most" != max ] && read -r used <"$group/memory.current"; then
            most=$(((most - used) >> 20))
            [ "$most" -ge "$fits" ] || fits=$most
        fi 2>/dev/null
        group=${group%/*}
    done
    if read -r most </sys/fs/cgroup/memory/memory.limit_in_bytes; then
        [ $((most >> 20)) -ge "$fits" ] || fits=$((most >> 20))
    fi 2>/dev/null
    echo $((fits > 0 ? fits : 0))
}

# run PEER LIMIT-MS PATTERN OPTION...: one process; prints its line of JSON, or
# "PEER PATTERN failed WHY". Never longer than to the deadline.
run() {
    local name=$1 limit=$2 pattern=$3 left status=0 program library place=$dir
    shift 3
    left=$((deadline - $(now_ms)))
    [ "$limit" -le "$left" ] || limit=$left
    [ "$limit" -ge 200 ] || { echo "failed no time"; return; }
    program=${program_of[$name]} library=${library_of[$name]}
    [ "$name" != own_huge ] || place=$huge
    local environment=("LD_LIBRARY_PATH=$folder/lib")
    case $program:$library in
        bench_memkind:*) environment=("LD_LIBRARY_PATH=$folder/$(dirname "$library"):$folder/lib") ;;
        *:-) ;;
        *) environment+=("LD_PRELOAD=$folder/$library") ;;
    esac
    # (The loader of another program must not see what is meant for this one.)
    timeout -s KILL "$((limit / 1000)).$(printf %03d $((limit % 1000)))" env -i "PATH=$PATH" \
        "${environment[@]}" "$folder/bin/$program" --dir "$place" "$@" "$pattern" \
        >"$work/out" 2>"$work/err" </dev/null || status=$?
    case $status in
        0) ;;
        124 | 137) echo "failed over $((limit / 1000)) s"; return ;;
        *) [ $status -lt 128 ] && echo "failed status $status" || echo "failed crashed"; return ;;
    esac
    if [ "$library" != - ] && ! grep -qF "\"library\": \"$folder/$library\"" "$work/out"; then
        echo "failed other library"
        return
    fi
    cat "$work/out"
}

# cell PEER LIMIT-MS PATTERN THREADS OPTION...: appends a line to the results.
cell() {
    local name=$1 limit=$2 pattern=$3 count=$4 line
    shift 4
    [ ! -t 2 ] || printf '\r\033[K%d s left: %s, %d threads, %s' \
        $(((deadline - $(now_ms)) / 1000)) "$pattern" "$count" "$name" >&2
    line=$(run "$name" "$limit" "$pattern" --threads "$count" "$@" 2>/dev/null)
    printf '%s\t%s\t%s\t%s\n' "$pattern" "$count" "$name" "$line" >>"$work/results"
}

# powers: 1, 2, 4 and so on, and the number of threads.
powers() {
    local n
    for ((n = 1; n < threads; n *= 2)); do echo "$n"; done
    echo "$threads"
}

# Sizes and times of the cells that fill a heap: so large that all fit into their
# part of the time. A small run of each peer says how long they take.
plan_fills() {
    local budget=$1 most started took=0 least=$((threads * 32)) name
    most=$(($(free_mib "$dir") * 2 / 5))
    if [ -n "$huge" ] && [ $(($(free_mib "$huge") * 2 / 5)) -lt "$most" ]; then
        most=$(($(free_mib "$huge") * 2 / 5))
    fi
    [ "$most" -le "$size_most" ] || most=$size_most
    [ "$least" -ge 64 ] || least=64
    [ "$least" -le "$most" ] || least=$most
    [ "$least" -ge 16 ] || die "too little is free in $dir"
    if [ $quick = yes ]; then
        fill_size=$least fill_rounds=1 fill_limit=60000
        return
    fi
    for name in "${peers[@]}"; do
        started=$(now_ms)
        run "$name" $((budget / 4)) fill --threads "$threads" --size $((least << 20)) >/dev/null 2>&1
        took=$((took + $(now_ms) - started))
    done
    # `cold` has a quarter of the objects' bytes, but small ones: as long again.
    [ $took -gt 0 ] || took=1
    budget=$((budget - took))
    fill_size=$((least * budget / (2 * took)))
    fill_rounds=1
    if [ "$fill_size" -gt "$most" ]; then
        fill_rounds=$((fill_size / most))
        fill_size=$most
        [ $fill_rounds -le 5 ] || fill_rounds=5
    fi
    [ "$fill_size" -ge "$least" ] || fill_size=$least
    # A peer that takes far more than its part is stopped.
    fill_limit=$((3 * budget / fill_rounds / (${#peers[@]} + 1) + 2000))
}

# What each run of the other patterns may take, so that all rounds fit.
plan_speed() {
    local budget=$1 cells=$2 start_ms=120 each
    if [ $quick = yes ]; then
        speed_rounds=1 speed_seconds=0.02 speed_limit=60000
        return
    fi
    speed_rounds=3
    each=$((budget / (cells * ${#peers[@]} * speed_rounds) - start_ms))
    if [ $each -lt 150 ]; then
        speed_rounds=1
        each=$((budget / (cells * ${#peers[@]}) - start_ms))
    fi
    [ $each -ge 20 ] || each=20
    [ $each -le 600 ] || each=600
    speed_seconds=$(awk -v ms=$each 'BEGIN { printf "%.3f", ms * 0.75 / 1000 }')
    speed_limit=$((4 * each + 3000))
}

measure() {
    local cells=() one pattern count name round started
    local -a timing
    for count in 1 "$threads"; do
        for pattern in pair batch_cold churn big; do
            cells+=("$pattern $count")
        done
        [ "$threads" -gt 1 ] || break
    done
    for count in $(powers); do
        [ "$count" = 1 ] && [ "$threads" -gt 1 ] || cells+=("pass $count")
    done
    plan_speed $((seconds * 400)) ${#cells[@]}
    started=$(now_ms)
    for ((round = 0; round < speed_rounds; round++)); do
        for one in "${cells[@]}"; do
            read -r pattern count <<<"$one"
            timing=(--seconds "$speed_seconds" --warmup "$(awk -v s="$speed_seconds" 'BEGIN { print s / 4 }')")
            for name in "${peers[@]}"; do
                [ "$name" != own_huge ] || continue
                cell "$name" "$speed_limit" "$pattern" "$count" "${timing[@]}"
            done
        done
    done
    # What is left of the time, but for a tenth.
    plan_fills $(((deadline - $(now_ms)) * 9 / 10))
    for ((round = 0; round < fill_rounds; round++)); do
        for pattern in fill cold; do
            local size=$fill_size
            [ $pattern = fill ] || size=$(((fill_size + 3) / 4))
            for name in "${peers[@]}"; do
                cell "$name" "$fill_limit" $pattern "$threads" --size $((size << 20))
            done
        done
    done
    [ ! -t 2 ] || printf '\r\033[K' >&2
    took=$(($(now_ms) - started))
}

# The table: medians, and the ratio of this library's time to the peer's (below 1:
# this library is faster).
write_table() {
    local columns=${peers[*]}
    cat <<MD
$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo), $(nproc) CPUs, $(awk '/^MemTotal:/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), Linux $(uname -r), glibc $(ldd --version 2>/dev/null | awk 'NR == 1 { print $NF }'); files in $([ "$dir" = "$work/plain" ] && echo a tmpfs || echo "$dir ($(stat -f -c %T "$dir"))")
Commit: $(cat "$folder/commit" 2>/dev/null || echo unknown). $((took / 1000)) s; medians of $speed_rounds rounds ($fill_rounds of fill and cold), libraries by turns.
In parentheses: this library's time divided by the peer's; below 1, this library is faster.

MD
    awk -F '\t' -v columns="$columns" -v size="$fill_size" -v threads="$threads" '
        function metric(line, name,   at, rest) {
            at = index(line, "\"" name "\": ")
            if (at == 0) return ""
            rest = substr(line, at + length(name) + 4)
            sub(/[,}].*/, "", rest)
            return rest + 0
        }
        function keep(key, value) {
            if (value == "") return
            count[key]++
            values[key, count[key]] = value
        }
        function median(key,   n, i, j, t) {
            n = count[key] + 0
            if (n == 0) return ""
            for (i = 2; i <= n; i++)
                for (j = i; j > 1 && values[key, j] < values[key, j - 1]; j--) {
                    t = values[key, j]; values[key, j] = values[key, j - 1]; values[key, j - 1] = t
                }
            return n % 2 ? values[key, (n + 1) / 2] : (values[key, n / 2] + values[key, n / 2 + 1]) / 2
        }
        function show(v) { return v >= 99.95 ? sprintf("%.0f", v) : v >= 9.995 ? sprintf("%.1f", v) : sprintf("%.2f", v) }
        # One row. times: what is shown is a time, and no rate.
        function row(title, pattern, n, name, scale, times,   i, key, own, v, line) {
            own = median(pattern SUBSEP n SUBSEP "own" SUBSEP name)
            line = "| " title " | " n " |"
            for (i = 1; i <= peers; i++) {
                key = pattern SUBSEP n SUBSEP peer[i]
                v = median(key SUBSEP name)
                if (v == "" || bad[key] > count[key SUBSEP name])
                    line = line " " (why[key] != "" ? why[key] : "-") " |"
                else if (v == 0)
                    line = line " 0 |"
                else
                    line = line " " show(times ? v / scale : scale / v) \
                        (peer[i] != "own" && own != "" ? sprintf(" (%.2f)", own / v) : "") " |"
            }
            # Memory that is only touched, or unmapped: in the processes of all peers.
            v = name == "fill_ns" || name == "refill_ns" ? median(pattern SUBSEP n SUBSEP "raw_ns") : \
                name == "destroy_ns" ? median(pattern SUBSEP n SUBSEP "raw_drop_ns") : ""
            print line " " (v == "" ? "-" : show(scale / v) (own != "" ? sprintf(" (%.2f)", own / v) : "")) " |"
        }
        BEGIN { peers = split(columns, peer, " ") }
        {
            key = $1 SUBSEP $2 SUBSEP $3
            if (!(($1, $2) in seen)) { seen[$1, $2] = 1; order[++rows] = $1 SUBSEP $2 }
            if ($4 ~ /^failed/) { bad[key]++; why[key] = substr($4, 8); next }
            keep(key SUBSEP "ns", $1 == "pass" ? 1e3 / metric($4, "mops") : metric($4, "ns"))
            split("fill_ns free_ns purge_ns refill_ns destroy_ns", names, " ")
            for (i in names) keep(key SUBSEP names[i], metric($4, names[i]))
            split("raw_ns raw_drop_ns", names, " ")
            for (i in names) keep($1 SUBSEP $2 SUBSEP names[i], metric($4, names[i]))
        }
        END {
            about["pair"] = "pair: 64 B, freed at once; ns"
            about["batch_cold"] = "batch_cold: 10,000 of 16 B to 1 KiB, shuffled, ten rounds in a new heap; ns"
            about["churn"] = "churn: such objects, replaced by chance; ns"
            about["big"] = "big: 64 KiB to 1 MiB, every page written; ns"
            about["pass"] = "pass: freed by other threads than make them; million a second"
            line = "| | threads |"; rule = "|---|--:|"
            for (i = 1; i <= peers; i++) { line = line " " (peer[i] == "own" ? "**own**" : peer[i]) " |"; rule = rule "--:|" }
            print line " memory only |"
            print rule "--:|"
            gib = size / 1024 * 1e9
            for (r = 1; r <= rows; r++) {
                split(order[r], part, SUBSEP)
                p = part[1]; n = part[2]
                if (p == "fill") {
                    what = sprintf("%.3g GiB of 32 B to 128 KiB, ", size / 1024)
                    row(what "filled; GiB/s", p, n, "fill_ns", gib, 0)
                    row("freed by other threads; GiB/s", p, n, "free_ns", gib, 0)
                    row("purged; GiB/s", p, n, "purge_ns", gib, 0)
                    row("filled again; GiB/s", p, n, "refill_ns", gib, 0)
                    row("destroyed; GiB/s", p, n, "destroy_ns", gib, 0)
                } else if (p == "cold") {
                    quarter = int((size + 3) / 4) / 1024
                    row(sprintf("%.3g GiB of 16 B to 1 KiB, filled; GiB/s", quarter), p, n, "fill_ns", quarter * 1e9, 0)
                } else {
                    row(about[p], p, n, "ns", p == "pass" ? 1e3 : 1, p != "pass")
                }
            }
        }' "$work/results"
}

run_all() {
    local name program library
    folder=$(realpath "$folder")
    [ -f "$folder/peers" ] || die "$folder is no pack"
    threads=${threads:-$(nproc)}
    [ "$threads" -le 256 ] || threads=256
    # A tmpfs with huge pages, in mounts of its own that end with this.
    if [ $own_mounts = no ] && unshare -m true 2>/dev/null; then
        exec unshare -m bash "$self" "${arguments[@]}" --own-mounts
    fi
    # $work, huge, dir, deadline: of the whole run.
    work=$(mktemp -d) huge=
    trap 'umount "$work/huge" "$work/plain" 2>/dev/null || true; rm -rf "$work"' EXIT
    mkdir "$work/huge" "$work/plain"
    if [ $own_mounts = yes ] && mount -t tmpfs -o huge=advise,size=90% none "$work/huge" 2>/dev/null; then
        huge=$work/huge
    fi
    # (/dev/shm has half of the memory, or next to nothing in a container.)
    if [ -z "$dir" ] && [ -n "$huge" ] && mount -t tmpfs -o size=90% none "$work/plain" 2>/dev/null; then
        dir=$work/plain
    elif [ -z "$dir" ]; then
        dir=/dev/shm
        if [ "$(free_mib /dev/shm)" -lt 1024 ] && [ "$(free_mib /dev/shm)" -lt "$(free_mib /tmp)" ]; then
            dir=/tmp
        fi
    fi
    "$folder/bin/bench_malloc" --list >/dev/null 2>"$work/err" || die "this system cannot run it: $(head -n 1 "$work/err")"
    declare -gA program_of=() library_of=()
    peers=()
    while IFS=$'\t' read -r name program library; do
        [ -z "$wanted" ] || [[ ,$wanted, == *,$name,* ]] || continue
        peers+=("$name")
        program_of[$name]=$program library_of[$name]=$library
        if [ "$name" = own ] && [ -n "$huge" ]; then
            peers+=(own_huge)
            program_of[own_huge]=$program library_of[own_huge]=$library
        fi
    done <"$folder/peers"
    [ ${#peers[@]} -gt 0 ] || die "no such peers in $folder"
    [ $quick = no ] || seconds=3600
    # The last seconds are for what is under way, and for the table.
    deadline=$(($(now_ms) + seconds * 1000 - 5000))
    ulimit -c 0
    measure
    output=${output:-$folder/table.md}
    write_table >"$work/table"
    if ! cp "$work/table" "$output" 2>/dev/null; then
        echo "many_cpus: $output cannot be written" >&2
    fi
    cp "$work/results" "${output%.md}.tsv" 2>/dev/null || true
    cat "$work/table"
}

case $mode in
    pack) pack ;;
    run) run_all ;;
    *) usage 2 >&2 ;;
esac
