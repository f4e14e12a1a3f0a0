# Read by CPack before anything else, in a build whose jemalloc is Debian's archive.
if(CPACK_GENERATOR STREQUAL "DEB")
  message(FATAL_ERROR "No packages of this build: programs could not load its library by dlopen(), "
    "as the jemalloc in it is Debian's. Configure with -DMEMKIND_JEMALLOC_SOURCE_PACKAGE=ON "
    "or -DMEMKIND_JEMALLOC_SOURCE_DIR=PATH; \"cmake --workflow --preset deb\" does.")
endif()
