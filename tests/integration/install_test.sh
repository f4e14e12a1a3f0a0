#!/usr/bin/env bash
# Installs the library and uses it as another project would: by find_package()
# and by pkg-config, shared, static, and with no shared library at all, before
# and after the prefix is moved; beside another libmemkind, which the system has.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"
installs || skip_all "installing (this build has no rules for it)"

# runs PROGRAM shared|static: the program works, says the package's version, and
# has our shared library in it, or none.
runs() {
    local libraries said
    libraries=$(ldd "$1" 2>&1 || true)
    echo "$libraries"
    case $2 in
        shared) [[ $libraries == *"libmemkind.so.0 => $prefix/"* ]] || return 1 ;;
        static)
            [[ $libraries != *libmemkind* ]] || return 1
            # The real libndctl is there, so that ours must not be.
            [[ $libraries != *libndctl* ]] || ! nm "$1" | grep -E ' [TW] (nd|dax)ctl_' || return 1 ;;
        full*) ! readelf -d "$1" | grep NEEDED || return 1 ;;
    esac
    said=$("$1") || return
    [ "$said" = "$version" ] || { echo "$said is not $version"; return 1; }
}

by_cmake() {
    local language linkage folder
    for language in C CXX; do
        folder=$work/by_cmake_$language
        rm -rf "$folder"
        check "$where: find_package in a $language project: configure" \
            cmake -S "$work/project" -B "$folder" -DLANGUAGE=$language \
            -DPROGRAMS="$here" -DCMAKE_PREFIX_PATH="$prefix" "-DFULL=${full[*]}" || continue
        check "$where: find_package in a $language project: build" \
            cmake --build "$folder" || continue
        for linkage in shared static "${full[@]}"; do
            check "$where: find_package, $language, $linkage" \
                runs "$folder/$linkage" $linkage || true
        done
    done
}

by_pkg_config() {
    local language linkage flags compile
    for language in c cpp; do
        compile=("${cc[@]}" -std=c11)
        [ $language = c ] || compile=("${cxx[@]}" -std=c++17)
        for linkage in shared static "${full[@]}"; do
            # shellcheck disable=SC2046,SC2086 # lists
            case $linkage in
                shared) flags=$(pkg-config --cflags --libs memkind) ;;
                # with both libraries there, the linker would take the shared one
                static) flags=$(pkg-config --static --cflags --libs memkind)
                        flags=${flags/-lmemkind /-l:libmemkind.a } ;;
                full) flags="-static $(pkg-config --static --cflags --libs memkind)" ;;
                # glibc starts no such program that has a run path
                full-pie) flags="-static-pie -fPIE $(pkg-config --define-variable=run_path= \
                    --static --cflags --libs memkind)" ;;
            esac
            # shellcheck disable=SC2086 # flags is a list
            check "$where: pkg-config, $language, $linkage: build" "${compile[@]}" \
                "$here/install_program.$language" -o "$work/program" $flags &&
                check "$where: pkg-config, $language, $linkage" \
                    runs "$work/program" $linkage || true
        done
    done
}

# The README's program and those examples that have several kinds and threads.
more_full() {
    local program flags
    flags=$(pkg-config --static --cflags --libs memkind)
    readme_program "$MEMKIND_TEST_DIR" >"$work/quick_start.c"
    readme_program "$work/missing" >"$work/quick_start_missing.c"
    # shellcheck disable=SC2046 # a list
    check "$where: the README's program: build" "${cc[@]}" "$work/quick_start.c" -o "$work/program" \
        $(pkg-config --cflags --libs memkind) &&
        check "$where: the README's program" grep -qx '100 bytes, in a file' <("$work/program") || true
    # shellcheck disable=SC2046 # a list
    check "$where: the README's program, without the directory: build" "${cc[@]}" \
        "$work/quick_start_missing.c" -o "$work/program" \
        $(pkg-config --cflags --libs memkind) &&
        check "$where: the README's program, without the directory" \
            says_missing "$work/missing" "$work/program" || true
    for program in "$work/quick_start.c" "$root"/examples/pmem_{several_kinds,threads_many_kinds,threads_one_kind,limit,defragment}.c; do
        # shellcheck disable=SC2086 # flags is a list
        check "$where: -static, ${program##*/}: build" "${cc[@]}" -static "$program" \
            -D_GNU_SOURCE -o "$work/program" $flags -pthread &&
            check "$where: -static, ${program##*/}" timeout 60 "$work/program" "$MEMKIND_TEST_DIR" || true
    done
}

# ---- beside another libmemkind ------------------------------------------------------
# A stub, which the linker, pkg-config and the loader find as they would find the
# system's: the loader by a cache that is put over the system's in a namespace.
make_other() {
    mkdir -p "$work/other/pkgconfig"
    printf '%s\n' '#include <stdio.h>' \
        '__attribute__((constructor)) static void said(void) { puts("the other libmemkind"); }' \
        'int memkind_get_version(void) { return 1014000; }' >"$work/other/other.c"
    "${cc[@]}" -shared -fPIC -Wl,-soname,libmemkind.so.0 "$work/other/other.c" -o "$work/other/libmemkind.so.0" &&
        ln -s libmemkind.so.0 "$work/other/libmemkind.so" &&
        printf '%s\n' "Name: memkind" "Description: another one" "Version: 1.14.0" \
            "Libs: -lmemkind" "Cflags:" >"$work/other/pkgconfig/memkind.pc" &&
        printf '%s\n' "$work/other" "include /etc/ld.so.conf" >"$work/other/ld.so.conf" &&
        PATH=$PATH:/usr/sbin:/sbin ldconfig -X -f "$work/other/ld.so.conf" -C "$work/other/ld.so.cache"
}
with_other() {
    local way=(--mount)
    [ "$(id -u)" = 0 ] || way+=(--map-root-user)
    # shellcheck disable=SC2016
    unshare "${way[@]}" sh -ec 'mount --bind "$1" /etc/ld.so.cache; shift; exec "$@"' - \
        "$work/other/ld.so.cache" "$@"
}
# loads PROGRAM FOLDER: whose libmemkind it is
loads() { with_other ldd "$1" | tee -a /dev/stderr | grep -F "libmemkind.so.0 => $2/"; }
beside_another() {
    local flags said
    [ -d "$work/other" ] || check "$where, beside another libmemkind: a stub of one" make_other || return 0
    with_other true 2>"$work/log" || {
        skipped "$where, beside another libmemkind: no mounts here: $(tail -n 1 "$work/log")"
        return 0
    }
    flags=$(PKG_CONFIG_LIBDIR=$work/other/pkgconfig:$(pkg-config --variable pc_path pkg-config) \
        pkg-config --cflags --libs memkind)
    # shellcheck disable=SC2086 # flags is a list
    check "$where, beside another libmemkind: build" env LIBRARY_PATH="$work/other" \
        "${cc[@]}" "$here/install_program.c" -o "$work/program" $flags || return 0
    check "$where, beside another libmemkind: ours is loaded" loads "$work/program" "$prefix" || true
    said=$(with_other "$work/program" 2>&1) || true
    [ "$said" = "$version" ] || fail "$where, beside another libmemkind: the program says $said"
    # Is the other one there? Without the run path it is loaded.
    # shellcheck disable=SC2001,SC2046 # a list
    check "$where, beside another libmemkind: build without a run path" \
        "${cc[@]}" "$here/install_program.c" -o "$work/program" $(sed 's/-Wl,-rpath[^ ]*//g' <<<"$flags") &&
        check "$where, beside another libmemkind: that one loads the other" loads "$work/program" "$work/other" || true
}
# pc_below PREFIX: the run path of memkind.pc if the library is installed there
pc_below() {
    DESTDIR=$work/destination cmake --install "$build" --prefix "$1" >/dev/null &&
        sed -n 's/^run_path=//p' "$(find "$work/destination" -name memkind.pc)" &&
        rm -r "$work/destination"
}
run_paths() {
    local place flags
    for place in /usr / /opt/memkind; do
        flags=$(pc_below $place) || return
        echo "$place: $flags"
        case $place in
            /opt/*) [[ $flags == *-Wl,-rpath,* ]] || return 1 ;;
            *) [ -z "$flags" ] || return 1 ;;
        esac
    done
}

# The installed examples are a project: one command, and no path but its own.
examples() {
    local folder file
    folder=$(find "$prefix/share/doc" -type d -name examples)
    for file in "$root"/examples/*.{c,cpp,h,md} "$root/examples/CMakeLists.txt"; do
        cmp "$file" "$folder/${file##*/}" || return
    done
    rm -rf "$work/examples"
    cmake -S "$folder" -B "$work/examples" "-DMEMKIND_TEST_DIR=$MEMKIND_TEST_DIR" &&
        cmake --build "$work/examples" --parallel 2 &&
        [[ $(ldd "$work/examples/pmem_malloc") == *"libmemkind.so.0 => $prefix/"* ]] &&
        ctest --test-dir "$work/examples" --output-on-failure
}

full=(full full-pie)
if [[ ${CFLAGS:-} == *-fsanitize* ]]; then
    skipped "executables without shared libraries (sanitizers do not go with it)"
    full=()
fi

mkdir "$work/project"
cat >"$work/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.22)
project(outside LANGUAGES ${LANGUAGE})
set(CMAKE_CXX_STANDARD 17)
find_package(memkind 1.14 REQUIRED COMPONENTS shared static)
set(source ${PROGRAMS}/install_program.c)
if(LANGUAGE STREQUAL CXX)
  set(source ${PROGRAMS}/install_program.cpp)
endif()
add_executable(shared ${source})
target_link_libraries(shared PRIVATE memkind::memkind)
add_executable(static ${source})
target_link_libraries(static PRIVATE memkind::memkind_static)
if(FULL)
  add_executable(full ${source})
  target_link_libraries(full PRIVATE -static memkind::memkind_static)
  add_executable(full-pie ${source})
  target_compile_options(full-pie PRIVATE -fPIE)
  target_link_libraries(full-pie PRIVATE -static-pie memkind::memkind_static)
endif()
END

prefix=$work/first
check "cmake --install" cmake --install "$build" --prefix "$prefix" || finish
folder=$(dirname "$(find "$prefix" -name libmemkind.so)")
check "the public headers" diff -r "$root/include" "$prefix/include" || true
for page in "$root"/man/*.[0-9]; do
    [[ $page != *.1 ]] || [ -x "$prefix/bin/memkind-pmem" ] || continue
    check "${page##*/}" cmp "$page" "$prefix/share/man/man${page##*.}/${page##*/}" || true
done
if [ -x "$prefix/bin/memkind-pmem" ]; then
    for program in memkind-hbw-nodes memkind-auto-dax-kmem-nodes; do
        check "$program finds the library" "$prefix/bin/$program" --help || true
    done
fi
# "man memkind_malloc" finds memkind(3); the function is in that page.
leads() {
    local function page
    for function in $(awk '$1 == "function" { print $2 }' "$root/src/libmemkind.abi"); do
        page=$(sed -n 's/^\.so man3\///p' "$prefix/share/man/man3/$function.3") || return
        grep -q "$function(" "$prefix/share/man/man3/$page" || { echo "$function: $page"; return 1; }
    done
}
check "a page for each function" leads || true
check "soname" grep -qF "[libmemkind.so.0]" <(readelf -d "$folder/libmemkind.so") || true
check "the static library's names" bash -c \
    '! nm -g --defined-only "$1" | grep -E "^[0-9a-f]+ " | grep -vE " (memkind|MEMKIND|memtier|hbw)_"' - \
    "$folder/libmemkind.a" || true
check "the stand-ins' names" bash -c \
    '! nm -g --defined-only "$1" | grep -E "^[0-9a-f]+ " | grep -vE " (ndctl|daxctl)_"' - \
    "$folder/libmemkind_ndctl.a" || true
check "no absolute path in the package files" bash -c '! grep -rnE "$@"' - \
    "$root|$build|$work" "$prefix" --include='*.cmake' --include='*.pc' || true

check "memkind.pc has a run path, but not in /usr" run_paths || true

for where in "as installed" "moved"; do
    if [ "$where" = moved ]; then
        mv "$prefix" "$work/second"
        prefix=$work/second
    fi
    prefix_libs=$(dirname "$(find "$prefix" -name libmemkind.so)")
    export PKG_CONFIG_PATH=$prefix_libs/pkgconfig
    version=$(pkg-config --modversion memkind)
    by_cmake
    by_pkg_config
    beside_another
    check "$where: the examples" examples || true
    [ ${#full[@]} = 0 ] || [ "$where" = moved ] || more_full
done
finish
