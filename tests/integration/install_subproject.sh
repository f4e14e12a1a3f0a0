#!/usr/bin/env bash
# The library as a part of another project, which has settings, targets, tests and
# packages of its own: by FetchContent, with what such a project gets unasked, and
# by add_subdirectory() with all that there is turned on. Nothing of the other
# project changes, and both libraries serve its programs.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"
# (The library has its own switch for sanitizers.)
unset CFLAGS CXXFLAGS

parent=$work/parent
mkdir "$parent"
echo 'int main(void) { return 0; }' >"$parent/own.c"
cat >"$parent/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.22)
project(parent VERSION 7.0 LANGUAGES C)

# Settings that the library's sources could not be built with.
set(CMAKE_C_STANDARD 99)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
set(CMAKE_UNITY_BUILD ON)
set(CMAKE_REQUIRED_LIBRARIES -lnot-there)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
option(BUILD_TESTING "The parent's" OFF)
enable_testing()
set(CPACK_PACKAGE_NAME parent)
include(CPack)
file(READ ${CMAKE_BINARY_DIR}/CPackConfig.cmake own_config)
include(FetchContent)

# Loads into OUT a text with all settings of this folder and of CMake as a whole.
macro(settings out)
  set(${out} "")
  get_directory_property(names VARIABLES)
  get_directory_property(cached CACHE_VARIABLES)
  list(REMOVE_ITEM names ${cached} known known_cached names cached name value line
    property policy before after)
  foreach(name IN LISTS names)
    # Arguments of macros, and what FetchContent says.
    if(NOT name MATCHES "^(ARG|FETCHCONTENT|__|_cmake)|^memkind_(SOURCE_DIR|BINARY_DIR|POPULATED)$")
      string(APPEND ${out} "variable ${name}=${${name}}\n")
    endif()
  endforeach()
  foreach(property COMPILE_OPTIONS COMPILE_DEFINITIONS INCLUDE_DIRECTORIES
      LINK_OPTIONS LINK_DIRECTORIES TESTS CMAKE_CONFIGURE_DEPENDS IMPORTED_TARGETS)
    get_directory_property(value ${property})
    string(APPEND ${out} "property ${property}=${value}\n")
  endforeach()
  foreach(property ENABLED_LANGUAGES USE_FOLDERS RULE_LAUNCH_COMPILE
      RULE_LAUNCH_LINK TARGET_SUPPORTS_SHARED_LIBS FIND_LIBRARY_USE_LIB64_PATHS
      JOB_POOLS)
    get_property(value GLOBAL PROPERTY ${property})
    if(NOT (ALL AND property STREQUAL ENABLED_LANGUAGES))
      string(APPEND ${out} "global property ${property}=${value}\n")
    endif()
  endforeach()
  foreach(policy CMP0126 CMP0128 CMP0135 CMP0077)
    cmake_policy(GET ${policy} value)
    string(APPEND ${out} "policy ${policy}=${value}\n")
  endforeach()
endmacro()

get_directory_property(known CACHE_VARIABLES)
foreach(name IN LISTS known)
  set(known_${name} "${${name}}")
endforeach()
settings(before)
if(ALL)
  add_subdirectory(${LIBRARY} memkind)
else()
  FetchContent_Declare(memkind SOURCE_DIR ${LIBRARY})
  FetchContent_MakeAvailable(memkind)
endif()
settings(after)
string(REGEX REPLACE "variable known_[^\n]*\n" "" before "${before}")
string(REGEX REPLACE "variable known_[^\n]*\n" "" after "${after}")
file(WRITE ${CMAKE_BINARY_DIR}/before "${before}")
file(WRITE ${CMAKE_BINARY_DIR}/after "${after}")

# The cache is one for all: values stay, and new names say whose they are, except
# those of CMake's own modules for threads, pkg-config and C++.
get_directory_property(names CACHE_VARIABLES)
set(new "")
foreach(name IN LISTS names)
  if(NOT name IN_LIST known)
    list(APPEND new ${name})
  elseif(NOT "${known_${name}}" STREQUAL "${${name}}")
    message(SEND_ERROR "cache: ${name} was ${known_${name}}, is ${${name}}")
  endif()
endforeach()
list(FILTER new EXCLUDE REGEX MEMKIND)
list(FILTER new EXCLUDE REGEX "^memkind-pmem_(BINARY_DIR|SOURCE_DIR|IS_TOP_LEVEL)$")
list(FILTER new EXCLUDE REGEX
  "^(CMAKE_HAVE_LIBC_PTHREAD|PKG_CONFIG_(ARGN|EXECUTABLE)|prefix_result|FIND_PACKAGE_MESSAGE_DETAILS_(Threads|PkgConfig))$")
if(ALL)
  # C++ and GNUInstallDirs
  list(FILTER new EXCLUDE REGEX
    "^(_?CMAKE_CXX_.*|_?CMAKE_(INSTALL|LINKER|.*_COMPILER)_?.*|_GNUInstallDirs.*)$")
endif()
if(new)
  message(SEND_ERROR "cache: new are ${new}")
endif()

# targets_of(FOLDER): all of that folder and below are called memkind...
function(targets_of folder)
  get_property(names DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(name IN LISTS names)
    if(NOT name MATCHES "^memkind(_|$)")
      message(SEND_ERROR "target ${name} of ${folder}")
    endif()
  endforeach()
  get_property(folders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  foreach(inner IN LISTS folders)
    targets_of(${inner})
  endforeach()
endfunction()
targets_of(${LIBRARY})

file(READ ${CMAKE_BINARY_DIR}/CPackConfig.cmake config)
if(NOT config STREQUAL own_config)
  message(SEND_ERROR "CPackConfig.cmake is another one")
endif()

# Names that the library's own targets, programs and libraries have.
foreach(name test_threads test_heap soak examples check bench_memkind m pmem atomic)
  add_executable(${name} own.c)
endforeach()
add_test(NAME test_threads COMMAND test_threads)
install(TARGETS test_threads)

foreach(linkage shared static)
  add_executable(${linkage} ${PROGRAM})
  set_target_properties(${linkage} PROPERTIES C_STANDARD 11 UNITY_BUILD OFF
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endforeach()
target_link_libraries(shared PRIVATE memkind::memkind)
target_link_libraries(static PRIVATE memkind::memkind_static)
END

launcher=$(sed -n 's/^CMAKE_C_COMPILER_LAUNCHER:[^=]*=//p' "$build/CMakeCache.txt")
# configured FOLDER ARGUMENT...: without a warning about what is ours
configured() {
    local folder=$1
    shift
    cmake -S "$parent" -B "$folder" "-DLIBRARY=$root" "-DPROGRAM=$here/install_program.c" \
        ${launcher:+"-DCMAKE_C_COMPILER_LAUNCHER=$launcher"} "$@" 2>&1 &&
        diff "$folder/before" "$folder/after"
}
# runs PROGRAM shared|static
runs() {
    local libraries said
    libraries=$(ldd "$1") && said=$("$1") || return
    echo "$libraries"
    case $2 in
        shared) [[ $libraries == *"libmemkind.so.0 => ${1%/*}/"* ]] ;;
        static) [[ $libraries != *libmemkind* ]] ;;
    esac && [ "$said" = 1.14.0 ]
}

# ---- what is there unasked ----------------------------------------------------------
folder=$work/fetched
check "FetchContent: configure" configured "$folder" || finish
off() { ! grep -E '^(MEMKIND_(BUILD_\w*|INSTALL|PACKAGES):BOOL=ON|BUILD_TESTING:BOOL=ON)' "$folder/CMakeCache.txt"; }
check "FetchContent: everything but the library is off" off || true
[ ! -e "$folder/compile_commands.json" ] || fail "FetchContent: there is compile_commands.json"
check "FetchContent: build" cmake --build "$folder" --parallel 2 || finish
for linkage in shared static; do
    check "FetchContent: a $linkage program" runs "$folder/$linkage" $linkage || true
done
one_test() { ctest --test-dir "$folder" -N | tee -a /dev/stderr | grep -qx 'Total Tests: 1'; }
check "FetchContent: the parent's tests" one_test || true
check "FetchContent: the parent's test passes" ctest --test-dir "$folder" -R '^test_threads$' || true
installs_its_own() {
    cmake --install "$folder" --prefix "$work/prefix" &&
        [ "$(cd "$work/prefix" && find . -type f -o -type l)" = ./bin/test_threads ]
}
check "FetchContent: the parent installs what is its own" installs_its_own || true

# ---- with all that there is ---------------------------------------------------------
if ! grep -q '^MEMKIND_BUILD_TESTS:BOOL=ON' "$build/CMakeCache.txt"; then
    skipped "add_subdirectory(), with the tests (this build has none)"
    finish
fi
for switch in BUILD_TESTS BUILD_BENCHMARKS BUILD_TOOL BUILD_EXAMPLES INSTALL; do
    check "add_subdirectory(), MEMKIND_$switch alone: configure" \
        configured "$work/$switch" -DALL=ON -DMEMKIND_$switch=ON || true
done
folder=$work/all
# With ninja, for several configurations at once, as in an IDE.
several=() in_config=
if command -v ninja >/dev/null; then
    several=(-G "Ninja Multi-Config") in_config=/Debug
else
    skipped "several configurations at once (no ninja)"
fi
check "add_subdirectory(), everything on: configure" configured "$folder" "${several[@]}" -DALL=ON \
    -DMEMKIND_BUILD_TESTS=ON -DMEMKIND_BUILD_EXAMPLES=ON -DMEMKIND_BUILD_TOOL=ON -DMEMKIND_INSTALL=ON || finish
[ ! -e "$folder/compile_commands.json" ] || fail "everything on: there is compile_commands.json"
check "add_subdirectory(), everything on: build" cmake --build "$folder" --parallel 2 ${in_config:+--config Debug} \
    --target memkind_test_size_class memkind_example_pmem_malloc memkind_static test_threads || finish
check "add_subdirectory(), everything on: an own test" "$folder/memkind/tests$in_config/test_size_class" || true
joined() { ctest --test-dir "$folder" -N | tee -a /dev/stderr | grep -E '^ *Test *#[0-9]+: test_size_class$'; }
check "add_subdirectory(), everything on: the tests join" joined || true
if [ -n "$in_config" ]; then
    # Only the debug library has debugging information.
    debugging() { readelf -S "$folder/memkind/src/$1/libmemkind.a" | grep debug_info; }
    has_none() { ! debugging "$1"; }
    check "Debug and Release: build for Release, too" cmake --build "$folder" --parallel 2 \
        --config Release --target memkind_static &&
        check "Debug and Release: a library for Debug" debugging Debug &&
        check "Debug and Release: another for Release" has_none Release || true
fi
finish
