# Debian packages, one for each component of install.cmake that has files:
#
#   libmemkind-pmem0      memkind_runtime: the shared library
#   libmemkind-pmem-dev   memkind_dev: headers, static library, man pages, CMake,
#                         pkg-config, examples
#   memkind-pmem          memkind_tools: the tool, and memtier
#
# They take the place of Debian's libmemkind0 and libmemkind-dev: the same
# soname cannot be installed twice. "cmake --workflow --preset deb" makes them.
# Any program may load an installed library, at any time: packages are only made
# with a jemalloc that is built from source (jemalloc.cmake).
#
# The maintainer is the person who makes the packages, named by the variables that
# Debian's tools look at, too. The domain "invalid" has no addresses (RFC 2606).
set(_maintainer "The memkind-pmem authors <nowhere@memkind-pmem.invalid>")
if(NOT "$ENV{DEBFULLNAME}" STREQUAL "" AND NOT "$ENV{DEBEMAIL}" STREQUAL "")
  set(_maintainer "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(MEMKIND_PACKAGE_MAINTAINER "${_maintainer}" CACHE STRING
  "Maintainer that the Debian packages name: Name <address> [DEBFULLNAME, DEBEMAIL]")
set(MEMKIND_PACKAGE_RELEASE 1
  CACHE STRING "Debian revision: to be raised where the same version is built anew")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME memkind-pmem)
# Each package has a summary of its own.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_PACKAGE_VENDOR "the memkind-pmem authors")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)

get_cmake_property(_components COMPONENTS)
set(CPACK_COMPONENTS_ALL "")
foreach(component IN ITEMS memkind_runtime memkind_dev memkind_tools)
  if(component IN_LIST _components)
    list(APPEND CPACK_COMPONENTS_ALL ${component})
  endif()
endforeach()
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${MEMKIND_PACKAGE_MAINTAINER})
set(CPACK_DEBIAN_PACKAGE_RELEASE ${MEMKIND_PACKAGE_RELEASE})
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/src)

set(_version "${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
# What a program for libmemkind 1.14 depends on.
set(_interface ${MEMKIND_INTERFACE_VERSION})
set(_about "Memory that lies in memory-mapped files on persistent memory (or on any file
system), used like malloc. It is the file-backed part of libmemkind written
anew, with the same interface and soname: programs that were built for
libmemkind run with it as they are.

")

set(CPACK_DEBIAN_MEMKIND_RUNTIME_PACKAGE_NAME libmemkind-pmem0)
set(CPACK_DEBIAN_MEMKIND_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_MEMKIND_RUNTIME_PACKAGE_PROVIDES "libmemkind0 (= ${_interface})")
# Programs that are packaged get their dependency from symbols, which says since
# which version each function has been there; shlibs is for tools that do not know
# such files. ldconfig runs by a trigger.
file(WRITE ${PROJECT_BINARY_DIR}/debian/shlibs
  "libmemkind 0 libmemkind-pmem0 (>= ${PROJECT_VERSION})\n")
set(_since ${PROJECT_SOURCE_DIR}/src/libmemkind.since)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${_since})
file(STRINGS ${_since} _symbols REGEX "^(memkind|MEMKIND|memtier|hbw)_")
list(TRANSFORM _symbols REPLACE "^(.*) (.*)$" " \\1@Base \\2")
list(JOIN _symbols "\n" _symbols)
file(WRITE ${PROJECT_BINARY_DIR}/debian/symbols
  "libmemkind.so.0 libmemkind-pmem0 #MINVER#\n"
  "* Build-Depends-Package: libmemkind-pmem-dev\n${_symbols}\n")
file(WRITE ${PROJECT_BINARY_DIR}/debian/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_MEMKIND_RUNTIME_PACKAGE_CONTROL_EXTRA
  ${PROJECT_BINARY_DIR}/debian/shlibs ${PROJECT_BINARY_DIR}/debian/triggers
  ${PROJECT_BINARY_DIR}/debian/symbols)
# Those programs call functions that are in no header.
set(CPACK_DEBIAN_MEMKIND_RUNTIME_PACKAGE_CONFLICTS "libmemkind0, libmemkind-progs")
set(CPACK_DEBIAN_MEMKIND_RUNTIME_PACKAGE_REPLACES "libmemkind0")
set(CPACK_DEBIAN_MEMKIND_RUNTIME_DESCRIPTION "malloc for memory-mapped files on persistent memory
${_about}This package has the shared library, and libmemtier, which is preloaded.")

set(CPACK_DEBIAN_MEMKIND_DEV_PACKAGE_NAME libmemkind-pmem-dev)
set(CPACK_DEBIAN_MEMKIND_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_MEMKIND_DEV_PACKAGE_DEPENDS
  "libmemkind-pmem0 (= ${_version}), libpmem-dev")
set(CPACK_DEBIAN_MEMKIND_DEV_PACKAGE_PROVIDES "libmemkind-dev (= ${_interface})")
set(CPACK_DEBIAN_MEMKIND_DEV_PACKAGE_CONFLICTS "libmemkind-dev")
set(CPACK_DEBIAN_MEMKIND_DEV_PACKAGE_REPLACES "libmemkind-dev")
set(CPACK_DEBIAN_MEMKIND_DEV_DESCRIPTION "malloc for memory-mapped files on persistent memory: development
${_about}This package has what is needed to build programs with the library, examples of
such programs, and the link by which LLVM's OpenMP runtime finds it.")

set(CPACK_DEBIAN_MEMKIND_TOOLS_PACKAGE_NAME memkind-pmem)
set(CPACK_DEBIAN_MEMKIND_TOOLS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_MEMKIND_TOOLS_PACKAGE_DEPENDS "libmemkind-pmem0 (>= ${PROJECT_VERSION})")
# Both have the same programs, but for memkind-pmem.
set(CPACK_DEBIAN_MEMKIND_TOOLS_PACKAGE_CONFLICTS "libmemkind-progs")
set(CPACK_DEBIAN_MEMKIND_TOOLS_PACKAGE_REPLACES "libmemkind-progs")
set(CPACK_DEBIAN_MEMKIND_TOOLS_DESCRIPTION "malloc for memory-mapped files on persistent memory: command-line tool
${_about}This package has the program memkind-pmem. Its commands:
  check DIR  what such memory gets from a directory or a DAX device, such as
             2 MiB pages, DAX, file space given back, limits, and how to get
             what is missing: format, mount options, limits
  bench DIR  measures malloc and free there, beside the process's own malloc
  run        starts a program that is not changed with its malloc in files
  version    which library, jemalloc and libpmem programs get
All of them but run also print JSON.
The program memtier runs other programs with their memory in two tiers;
memkind-hbw-nodes and memkind-auto-dax-kmem-nodes print which NUMA nodes there
are.")

# What Debian wants in /usr/share/doc, and its compression.
set(MEMKIND_DEBIAN_FILES ${PROJECT_SOURCE_DIR}/cmake/debian)
set(MEMKIND_DEBIAN_CHANGES ${PROJECT_SOURCE_DIR}/CHANGELOG.md)
set(MEMKIND_DEBIAN_VERSION ${_version})
string(CONFIGURE [[
set(MEMKIND_DEBIAN_FILES "@MEMKIND_DEBIAN_FILES@")
set(MEMKIND_DEBIAN_CHANGES "@MEMKIND_DEBIAN_CHANGES@")
set(MEMKIND_DEBIAN_VERSION "@MEMKIND_DEBIAN_VERSION@")
set(MEMKIND_DEBIAN_DOCDIR "@CMAKE_INSTALL_DOCDIR@")
set(MEMKIND_DEBIAN_MAINTAINER "@MEMKIND_PACKAGE_MAINTAINER@")
set(MEMKIND_STRIP "@CMAKE_STRIP@")
include("@PROJECT_SOURCE_DIR@/cmake/cpack_debian.cmake")
]] _script @ONLY)
file(WRITE ${PROJECT_BINARY_DIR}/cpack_debian.cmake "${_script}")
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_BINARY_DIR}/cpack_debian.cmake)
set(CPACK_POST_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/cpack_scripts.cmake)
if(NOT MEMKIND_JEMALLOC_FROM_SOURCE)
  set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/cpack_refuse.cmake)
endif()
include(CPack)
