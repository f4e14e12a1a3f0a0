#!/usr/bin/env bash
# Takes libmemkind's place: Debian's examples of it, built with our headers and
# library, and built with Debian's and then run on our library; the interface
# compared. Debian's packages are unpacked, not installed, and kept in the build
# directory. Skipped if they cannot be fetched.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

library=$build/src/libmemkind.so
ours=(-I"$root/include" -L"$build/src")

# ---- what can be seen without Debian's ------------------------------------------------
exported() { nm -D --defined-only "$1" | awk '$2 != "A" { sub("@.*", "", $3); print $3 }' | sort -u; }
exported "$library" >"$work/exported"
nothing_else() { ! grep -vE '^(memkind|MEMKIND|memtier|hbw)_' "$work/exported"; }
right_soname() { readelf -d "$library" | tee -a /dev/stderr | grep -E "SONAME.*\[libmemkind\.so\.0\]"; }
check "nothing but memkind_*, MEMKIND_*, memtier_* and hbw_* is exported" nothing_else || true
check "soname" right_soname || true

if readelf -d "$library" | grep 'NEEDED.*libjemalloc' >/dev/null; then
    skipped "malloc is the C library's (this build uses the shared jemalloc)"
else
    from=libc.so
    [[ ${CFLAGS:-} != *-fsanitize* ]] || from=
    check "malloc: build" "${cc[@]}" -D_GNU_SOURCE "$here/dropin_malloc.c" \
        -o "$work/program" "${ours[@]}" -lmemkind -ldl &&
        check "malloc is the C library's" env LD_LIBRARY_PATH="$build/src" \
            "$work/program" "$from" || true
fi

# ---- Debian's packages --------------------------------------------------------------
packages=(libmemkind-dev libmemkind0 libmemkind-progs)
debs=$build/tests/debian
. "$root/cmake/apt_sources.sh"
if [ -z "$(find "$debs" -name 'libmemkind-progs*' 2>/dev/null)" ]; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        skip_all "no apt-get and dpkg-deb to get Debian's libmemkind with"
    apt_download "$work/apt" "$work/debs" "${packages[@]}" >"$work/log" 2>&1 ||
        skip_all "Debian's libmemkind cannot be downloaded: $(tail -n 1 "$work/log")"
    mkdir -p "${debs%/*}"
    rm -rf "$debs"
    mv "$work/debs" "$debs"
fi
echo "beside $(basename "$debs"/libmemkind0_*)"
debian=$work/debian
for deb in "$debs"/*.deb; do
    dpkg-deb -x "$deb" "$debian"
done
debian_libs=$(dirname "$(find "$debian" -name libmemkind.so)")
examples=$debian/usr/share/doc/libmemkind-dev/examples
gunzip -q "$examples"/*.gz 2>/dev/null || true

# ---- the examples -------------------------------------------------------------------
# Leaks are the examples' own.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
# Its own dependencies need not be there to link, as they are not used.
theirs=(-I"$debian/usr/include" -L"$debian_libs"
    -Wl,--unresolved-symbols=ignore-in-shared-libs)

# runs PROGRAM: on our library, within a minute.
runs() {
    LD_LIBRARY_PATH=$build/src ldd "$1" | grep -F "libmemkind.so.0 => $build/src/" || return
    LD_LIBRARY_PATH=$build/src timeout 60 "$1" "$MEMKIND_TEST_DIR"
}
# There is no persistent memory that is a NUMA node.
refuses_dax_kmem() {
    local status=0
    runs "$1" || status=$?
    [ $status = 1 ] && grep -q "Unable allocate .* in persistent memory NUMA node" "$work/log"
}

# ends_with STATUS TEXT PROGRAM: as it does with Debian's library on such a machine.
ends_with() {
    local expected=$1 text=$2 status=0
    shift 2
    runs "$1" || status=$?
    [ $status = "$expected" ] && tail -n 1 "$work/log" | grep -F "$text"
}
# There are no huge pages to be had.
no_huge_pages() { ends_with 234 "hugetlb string" "$1"; }
# Calls malloc() alone, and is for autohbw: it is not even linked with the library.
no_autohbw() {
    local status=0
    LD_LIBRARY_PATH=$build/src timeout 60 "$1" || status=$?
    [ $status = 255 ] && tail -n 1 "$work/log" | grep -F "Free after posix_memalign failed!"
}
# Any node will do for one of high bandwidth, if there are nodes at all.
on_any_node() {
    [ -e /sys/devices/system/node/has_memory ] || ends_with 234 "Unable to allocate filter" "$1"
    [ ! -e /sys/devices/system/node/has_memory ] || MEMKIND_HBW_NODES=all runs "$1"
}

number=0
for example in "$examples"/*.c*; do
    name=${example##*/} how=runs number=$((number + 1))
    case $name in
        pmem_and_dax_kmem_kind.c) how=refuses_dax_kmem ;;
        hello_hbw_example.c | hello_memkind_example.c) how=no_huge_pages ;;
        filter_example.c) how=on_any_node ;;
        autohbw_candidates.c) how=no_autohbw ;;
        # No program, and one whose header is not in the package.
        memkind_decorator_debug.c | memkind_allocated_example.cpp) continue ;;
        pmem_and_default_kind.c)
            if [[ ${CFLAGS:-} == *-fsanitize* ]]; then
                skipped "$name (sets a limit that sanitizers cannot live with)"
                continue
            fi ;;
    esac
    compile=("${cc[@]}")
    [[ $name != *.cpp ]] || compile=("${cxx[@]}")
    for from in ours theirs; do
        declare -n options=$from
        for pie in -pie -no-pie; do
            mode=(-fPIE -pie)
            [ $pie = -pie ] || mode=(-fno-pie -no-pie)
            # Debian's is linked with a warning for each missing dependency
            check "$name, $from, $pie: build" "${compile[@]}" "${mode[@]}" "$example" \
                -o "$work/program" "${options[@]}" -lmemkind -pthread &&
                check "$name, $from, $pie" $how "$work/program" || true
        done
    done
done
[ $number -ge 23 ] || fail "only $number examples in libmemkind-dev"

# ---- a client that uses tiers and high-bandwidth memory ------------------------------
client_says() { runs "$1" && grep -qE '^tiers: 1:(2.9[89]|3.0[01])' "$work/log"; }
for from in ours theirs; do
    declare -n options=$from
    check "a client of tiers and hbwmalloc, $from: build" "${cc[@]}" -D_GNU_SOURCE "$here/dropin_client.c" \
        -o "$work/program" "${options[@]}" -lmemkind -pthread &&
        check "a client of tiers and hbwmalloc, $from" client_says "$work/program" || true
    if [ -e /sys/devices/system/node/has_memory ]; then
        check "a client of tiers and hbwmalloc, $from, any node" \
            env MEMKIND_HBW_NODES=all LD_LIBRARY_PATH="$build/src" "$work/program" "$MEMKIND_TEST_DIR" || true
    fi
done

# ---- programs ------------------------------------------------------------------------
# both_print STATUS OUTPUT VARIABLE=VALUE NAME [ARGUMENT...]: this library's program, and
# Debian's with this library if it finds what it needs besides.
both_print() {
    local expected=$1 output=$2 setting=$3 name=$4 program status printed
    shift 4
    for program in "$build/src/tool/$name" "$debian/usr/bin/$name"; do
        ! LD_LIBRARY_PATH=$build/src ldd "$program" | grep 'not found' || continue
        status=0
        printed=$(env LD_LIBRARY_PATH="$build/src" "$setting" timeout 60 "$program" "$@" 2>"$work/errors") || status=$?
        echo "$program: $status, '$printed', $(head -n 1 "$work/errors")"
        [ "$status" = "$expected" ] && [[ $printed == $output ]] || return
    done
}
if [ -x "$build/src/tool/memkind-hbw-nodes" ]; then
    nodes=$(cat /sys/devices/system/node/has_memory 2>/dev/null || true)
    for program in memkind-hbw-nodes memkind-auto-dax-kmem-nodes; do
        check "$program: an option that is none" both_print 2 "*" LC_ALL=C $program -x || true
        prints_help() { "$build/src/tool/$program" "$1" | grep -F "usage: $program"; }
        check "$program -h" prints_help -h || true
        check "$program --help" prints_help --help || true
    done
    if [ -z "$nodes" ]; then
        skipped "which nodes there are (none)"
    else
        check "memkind-hbw-nodes: one" both_print 0 0 MEMKIND_HBW_NODES=0 memkind-hbw-nodes || true
        check "memkind-auto-dax-kmem-nodes: one" both_print 0 0 MEMKIND_DAX_KMEM_NODES=0 memkind-auto-dax-kmem-nodes || true
    fi
    if [ "$nodes" = 0 ]; then
        check "memkind-hbw-nodes: none" both_print 1 "" LC_ALL=C memkind-hbw-nodes || true
        check "memkind-auto-dax-kmem-nodes: none" both_print 3 "" LC_ALL=C memkind-auto-dax-kmem-nodes || true
    fi
fi

# ---- the interface ------------------------------------------------------------------
headers() { printf '#include <%s>\n' memkind.h memkind_memtier.h hbwmalloc.h; }
# preprocessed INCLUDE-DIRECTORY: the headers and what they include of their own.
preprocessed() { headers | "${cc[@]}" -E -P -I"$1" -x c -; }
declared() {
    preprocessed "$1" | grep -v 'static inline' |
        grep -oE '\b(memkind|memtier|hbw)_\w+ *\(|extern memkind_t \w+' |
        sed 's/ *($//; s/.* //' | sort -u
}
everything_declared() {
    local missing
    missing=$(declared "$debian/usr/include" | comm -23 - "$work/exported")
    echo "missing: ${missing:-nothing}"
    [ -z "$missing" ]
}

# Every constant of Debian's header has the same value in ours.
values() {
    local names
    names=$(preprocessed "$debian/usr/include" | sed 's/extern memkind_t [^;]*;//g' |
        grep -oE '\b(MEMKIND|MEMTIER|HBW)_\w+' | sort -u)
    {
        headers
        printf '#include <stdio.h>\nint main(void) {\n'
        printf 'printf("%%s %%lld\\n", "%s", (long long)(%s));\n' $(for n in $names; do echo "$n" "$n"; done)
        echo 'return 0; }'
    } >"$work/values.c"
    "${cc[@]}" -I"$1" -o "$work/values" "$work/values.c" && "$work/values"
}
same_values() {
    values "$debian/usr/include" >"$work/values.theirs" &&
        [ "$(wc -l <"$work/values.theirs")" -gt 50 ] &&
        values "$root/include" >"$work/values.ours" &&
        diff <(no_numbers <"$work/values.theirs") <(no_numbers <"$work/values.ours")
}
# There is one statistic more than in libmemkind, so that their number differs.
no_numbers() { grep -v '^MEMKIND_STAT_TYPE_MAX_VALUE '; }
# ... and every function the same type (-aux-info is gcc's).
types() {
    headers >"$work/types.c"
    "${cc[@]}" -I"$1" -aux-info "$work/types" -fsyntax-only "$work/types.c" &&
        sed 's,^/\*[^*]*\*/ ,,; s,(/\* ??? \*/),(void),' "$work/types" |
        grep -E '\b(memkind|memtier|hbw)_' | grep -v inline | sort -u
}
same_types() {
    types "$debian/usr/include" >"$work/types.theirs" && types "$root/include" >"$work/types.ours" &&
        [ "$(wc -l <"$work/types.theirs")" -gt 25 ] &&
        [ -z "$(comm -23 "$work/types.theirs" "$work/types.ours" | tee -a /dev/stderr)" ]
}
# What is not in this list of Debian's symbols is what the manual calls added.
missing() { grep -v '^#' "$here/dropin_missing.txt"; }
listed_missing() {
    LC_ALL=C comm -23 "$here/dropin_exports.txt" <(LC_ALL=C sort "$work/exported") | diff <(missing | LC_ALL=C sort) -
}
# No header, page of the manual or program of Debian's names what is missing.
nobody_needs_missing() {
    local pages
    missing >"$work/missing" && [ -s "$work/missing" ] || return
    mapfile -t pages < <(find "$debian/usr/share/man" -name '*.gz')
    [ ${#pages[@]} -gt 15 ] || return
    ! { gunzip -c "${pages[@]}" && cat "$debian"/usr/include/*.h && nm -D "$debian"/usr/bin/*; } |
        grep -wFf "$work/missing"
}
same_exports() { exported "$debian_libs/libmemkind.so" | LC_ALL=C sort | diff "$here/dropin_exports.txt" -; }
check "all that Debian's headers declare is exported" everything_declared || true
check "dropin_missing.txt is what is not exported" listed_missing || true
check "no program can have that from Debian's headers" nobody_needs_missing || true
check "dropin_exports.txt is what Debian's library exports" same_exports || true
check "the constants' values" same_values || true
if "${cc[@]}" -dM -E -x c /dev/null | grep __clang__ >/dev/null; then
    skipped "the functions' types (clang cannot list them)"
else
    check "the functions' types" same_types || true
fi
finish
