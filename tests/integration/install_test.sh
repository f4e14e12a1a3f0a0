#!/usr/bin/env bash
# Installs the library and uses it as another project would: by find_package()
# and by pkg-config, shared and static, before and after the prefix is moved.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

# runs PROGRAM shared|static: the program works, says the package's version, and
# has our shared library in it, or none.
runs() {
    local libraries said
    libraries=$(ldd "$1" 2>&1 || true)
    echo "$libraries"
    case $2 in
        shared) [[ $libraries == *"libmemkind.so.0 => $prefix/"* ]] || return 1 ;;
        static) [[ $libraries != *libmemkind* ]] || return 1 ;;
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
            -DPROGRAMS="$here" -DCMAKE_PREFIX_PATH="$prefix" || continue
        check "$where: find_package in a $language project: build" \
            cmake --build "$folder" || continue
        for linkage in shared static; do
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
        for linkage in shared static; do
            if [ $linkage = shared ]; then
                flags="$(pkg-config --cflags --libs memkind) -Wl,-rpath,$prefix_libs"
            else
                flags=$(pkg-config --static --cflags --libs memkind)
                # with both libraries there, the linker would take the shared one
                flags=${flags/-lmemkind/-l:libmemkind.a}
            fi
            # shellcheck disable=SC2086 # flags is a list
            check "$where: pkg-config, $language, $linkage: build" "${compile[@]}" \
                "$here/install_program.$language" -o "$work/program" $flags &&
                check "$where: pkg-config, $language, $linkage" \
                    runs "$work/program" $linkage || true
        done
    done
}

# A program with no shared library at all. Debian's libpmem.a calls libndctl and
# libdaxctl, of which Debian has no static libraries: with those functions
# failing, as where there is no NVDIMM, we can at least see that ours works.
fully_static() {
    local name="$where: full -static executable" missing flags
    if [[ ${CFLAGS:-} == *-fsanitize* ]]; then
        skipped "$name (sanitizers do not go with it)"
        return
    fi
    flags=$(pkg-config --static --cflags --libs memkind)
    # shellcheck disable=SC2206
    local link=("${cc[@]}" -static "$here/install_program.c" -o "$work/program" $flags)
    if "${link[@]}" 2>"$work/errors"; then
        check "$name" runs "$work/program" static || true
        return
    fi
    missing=$(sed -n "s/.*undefined reference to [\`']\\(.*\\)'.*/\\1/p" "$work/errors" | sort -u)
    if [ -z "$missing" ] || grep -qvE '^(nd|dax)ctl_' <<<"$missing"; then
        fail "$name"
        sed 's/^/    /' "$work/errors"
        return
    fi
    skipped "$name (libpmem.a needs libndctl.a and libdaxctl.a, which are not there)"
    sed 's/.*/int &(void); int &(void) { return -1; }/' <<<"$missing" >"$work/no_nvdimm.c"
    check "$name without libndctl: build" "${link[@]}" "$work/no_nvdimm.c" &&
        check "$name without libndctl" runs "$work/program" static || true
}

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
END

prefix=$work/first
check "cmake --install" cmake --install "$build" --prefix "$prefix" || finish
folder=$(dirname "$(find "$prefix" -name libmemkind.so)")
check "the public headers" diff -r "$root/include" "$prefix/include" || true
for page in "$root"/man/*.[0-9]; do
    check "${page##*/}" cmp "$page" "$prefix/share/man/man${page##*.}/${page##*/}" || true
done
check "soname" grep -qF "[libmemkind.so.0]" <(readelf -d "$folder/libmemkind.so") || true
check "the static library's names" bash -c \
    '! nm -g --defined-only "$1" | grep -E "^[0-9a-f]+ " | grep -vE " (memkind|MEMKIND)_"' - \
    "$folder/libmemkind.a" || true
check "no absolute path in the package files" bash -c '! grep -rnE "$@"' - \
    "$root|$build|$work" "$prefix" --include='*.cmake' --include='*.pc' || true

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
    fully_static
done
finish
