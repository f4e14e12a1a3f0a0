# jemalloc, as one object file that goes into the library.
#
# Sets:
#   MEMKIND_JEMALLOC_OBJECT    the object, or empty if the shared library
#                              has to be used
#   MEMKIND_JEMALLOC_LIBRARIES what else to link with
#   MEMKIND_JEMALLOC_FROM_SOURCE whether it is built here: it then has no
#                              initial-exec TLS, and dlopen() of the library works
#   target memkind_jemalloc_object, to depend on
#
# The object holds all of jemalloc except its C++ part. Its public names carry the
# prefix mkje_, all others are local to it: the process's own malloc is left
# alone, and a second jemalloc in the process never meets ours.

set(MEMKIND_JEMALLOC_SOURCE_DIR "" CACHE PATH
    "Source tree of jemalloc (or its .tar.gz) to build and embed; empty: Debian's libjemalloc_pic.a")
option(MEMKIND_JEMALLOC_SOURCE_PACKAGE
  "Build jemalloc from the distribution's source package, which apt-get fetches" OFF)
set(MEMKIND_JEMALLOC_CONFIGURE_ARGS "" CACHE STRING
    "More arguments for jemalloc's configure, for example --enable-debug")

set(MEMKIND_JEMALLOC_OBJECT "")
set(MEMKIND_JEMALLOC_LIBRARIES "")
set(_work ${PROJECT_BINARY_DIR}/jemalloc)
file(MAKE_DIRECTORY ${_work})

set(_source ${MEMKIND_JEMALLOC_SOURCE_DIR})
if(MEMKIND_JEMALLOC_SOURCE_PACKAGE AND NOT _source)
  execute_process(
    COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/jemalloc_source.sh ${_work}/package
    OUTPUT_VARIABLE _source ERROR_VARIABLE _why RESULT_VARIABLE _status
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_STRIP_TRAILING_WHITESPACE)
  if(NOT _status EQUAL 0)
    message(FATAL_ERROR "${_why}\n"
      "Without apt-get, give a source tree of jemalloc: -DMEMKIND_JEMALLOC_SOURCE_DIR=PATH")
  endif()
endif()

if(_source)
  set(MEMKIND_JEMALLOC_FROM_SOURCE ON)
  set(_archive ${_work}/libjemalloc_pic.a)
  string(JOIN " " _cc ${CMAKE_C_COMPILER_LAUNCHER} ${CMAKE_C_COMPILER})
  add_custom_command(
    OUTPUT ${_archive}
    COMMAND ${CMAKE_COMMAND} -E env "CC=${_cc}" bash
            ${CMAKE_CURRENT_LIST_DIR}/build_jemalloc.sh
            ${_source} ${_work} ${_archive}
            ${MEMKIND_JEMALLOC_CONFIGURE_ARGS}
    DEPENDS ${CMAKE_CURRENT_LIST_DIR}/build_jemalloc.sh
    COMMENT "Building jemalloc from ${_source}"
    VERBATIM)
  message(STATUS "jemalloc: private copy, built from ${_source}; dlopen() of the library works")
else()
  set(MEMKIND_JEMALLOC_FROM_SOURCE OFF)
  find_library(MEMKIND_JEMALLOC_PIC_ARCHIVE libjemalloc_pic.a)
  set(_archive ${MEMKIND_JEMALLOC_PIC_ARCHIVE})
endif()

if(_archive)
  set(MEMKIND_JEMALLOC_OBJECT ${_work}/jemalloc_private.o)
  if(NOT MEMKIND_JEMALLOC_FROM_SOURCE)
    message(STATUS "jemalloc: private copy of ${_archive}; a program that dlopen()s the library needs "
                   "GLIBC_TUNABLES=glibc.rtld.optional_static_tls=4096, unless it is configured "
                   "with -DMEMKIND_JEMALLOC_SOURCE_PACKAGE=ON")
  endif()
  add_custom_command(
    OUTPUT ${MEMKIND_JEMALLOC_OBJECT}
    COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/embed_jemalloc.sh ${_archive}
            ${MEMKIND_JEMALLOC_OBJECT} ${CMAKE_AR} ${CMAKE_LINKER}
            ${CMAKE_OBJCOPY} ${CMAKE_NM} ${CMAKE_C_COMPILER}
    DEPENDS ${CMAKE_CURRENT_LIST_DIR}/embed_jemalloc.sh ${_archive}
    COMMENT "Embedding jemalloc"
    VERBATIM)
else()
  find_library(MEMKIND_JEMALLOC_SHARED NAMES jemalloc libjemalloc.so.2)
  if(NOT MEMKIND_JEMALLOC_SHARED)
    message(FATAL_ERROR "No jemalloc: install libjemalloc-dev, or give MEMKIND_JEMALLOC_SOURCE_DIR")
  endif()
  message(WARNING "jemalloc: no libjemalloc_pic.a to embed; linking with ${MEMKIND_JEMALLOC_SHARED}, "
                  "which replaces the malloc of every program that uses the library")
  set(MEMKIND_JEMALLOC_LIBRARIES ${MEMKIND_JEMALLOC_SHARED})
endif()

add_custom_target(memkind_jemalloc_object DEPENDS ${MEMKIND_JEMALLOC_OBJECT})
