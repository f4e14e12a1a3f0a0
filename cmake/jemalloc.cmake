# jemalloc, as one object file that goes into the library.
#
# Sets:
#   MEMKIND_JEMALLOC_OBJECT    the object, or empty where the shared library
#                              has to do
#   MEMKIND_JEMALLOC_LIBRARIES what else to link with
#   target memkind_jemalloc_object, to depend on
#
# The object holds all of jemalloc but its C++ part. Its public names carry the
# prefix mkje_, all others are local to it: the process's own malloc is left
# alone, and a second jemalloc in the process never meets ours.

set(MEMKIND_JEMALLOC_SOURCE_DIR "" CACHE PATH
    "Source tree of jemalloc (or its .tar.gz) to build and embed; empty: Debian's libjemalloc_pic.a")
set(MEMKIND_JEMALLOC_CONFIGURE_ARGS "" CACHE STRING
    "More arguments for jemalloc's configure, for example --enable-debug")

set(MEMKIND_JEMALLOC_OBJECT "")
set(MEMKIND_JEMALLOC_LIBRARIES "")
set(_work ${CMAKE_BINARY_DIR}/jemalloc)
file(MAKE_DIRECTORY ${_work})

if(MEMKIND_JEMALLOC_SOURCE_DIR)
  # Built without initial-exec TLS: the library can then be dlopen()ed.
  set(_archive ${_work}/libjemalloc_pic.a)
  add_custom_command(
    OUTPUT ${_archive}
    COMMAND ${CMAKE_COMMAND} -E env "CC=${CMAKE_C_COMPILER}" bash
            ${CMAKE_CURRENT_LIST_DIR}/build_jemalloc.sh
            ${MEMKIND_JEMALLOC_SOURCE_DIR} ${_work} ${_archive}
            ${MEMKIND_JEMALLOC_CONFIGURE_ARGS}
    DEPENDS ${CMAKE_CURRENT_LIST_DIR}/build_jemalloc.sh
    COMMENT "Building jemalloc from ${MEMKIND_JEMALLOC_SOURCE_DIR}"
    VERBATIM)
  message(STATUS "jemalloc: private copy, built from ${MEMKIND_JEMALLOC_SOURCE_DIR}; dlopen() of the library works")
else()
  find_library(MEMKIND_JEMALLOC_PIC_ARCHIVE libjemalloc_pic.a)
  set(_archive ${MEMKIND_JEMALLOC_PIC_ARCHIVE})
endif()

if(_archive)
  set(MEMKIND_JEMALLOC_OBJECT ${_work}/jemalloc_private.o)
  if(NOT MEMKIND_JEMALLOC_SOURCE_DIR)
    message(STATUS "jemalloc: private copy of ${_archive}; a program that dlopen()s the library needs "
                   "GLIBC_TUNABLES=glibc.rtld.optional_static_tls=4096")
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
