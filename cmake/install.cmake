# What is installed: both libraries, the headers, the man pages, a pkg-config
# file, a CMake package and the examples. All of it works after the prefix is moved.
include(CMakePackageConfigHelpers)

# Components: memkind_runtime (the shared library), memkind_dev, memkind_tools
# (programs).
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME memkind_dev)

# Two exports, as only users of the static library need libpmem.
install(TARGETS memkind EXPORT memkindTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  COMPONENT memkind_runtime NAMELINK_COMPONENT memkind_dev)
install(TARGETS memkind_static memkind_ndctl EXPORT memkindStaticTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

if(MEMKIND_BUILD_TOOL)
  install(TARGETS memkind_pmem_tool memkind_hbw_nodes memkind_dax_nodes
    COMPONENT memkind_tools)
endif()
# In a folder beside the library, where the tool looks for it: nobody links with it.
if(MEMKIND_BUILD_PRELOAD)
  install(TARGETS memkind_preload
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/memkind-pmem COMPONENT memkind_tools)
endif()

# libmemtier.so is found by its name, with and without its number.
if(MEMKIND_BUILD_PRELOAD)
  install(TARGETS memkind_memtier
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT memkind_runtime
    NAMELINK_COMPONENT memkind_dev)
  install(TARGETS memkind_memtier_command COMPONENT memkind_tools)
  install(FILES ${PROJECT_SOURCE_DIR}/man/memtier.1
    DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT memkind_tools)
endif()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

# A project of their own as well, which find_package() leads to the library.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples/
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples
  FILES_MATCHING PATTERN "*.c" PATTERN "*.cpp" PATTERN "*.h"
  PATTERN "CMakeLists.txt" PATTERN "README.md")

include(${CMAKE_CURRENT_LIST_DIR}/man_redirects.cmake)
# A program's page is in the program's component.
if(MEMKIND_BUILD_TOOL)
  install(FILES ${PROJECT_SOURCE_DIR}/man/memkind-pmem.1
    ${PROJECT_SOURCE_DIR}/man/memkind-hbw-nodes.1
    ${PROJECT_SOURCE_DIR}/man/memkind-auto-dax-kmem-nodes.1
    DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT memkind_tools)
endif()
if(MEMKIND_BUILD_PRELOAD)
  install(FILES ${PROJECT_SOURCE_DIR}/man/libmemkind_preload.7
    DESTINATION ${CMAKE_INSTALL_MANDIR}/man7 COMPONENT memkind_tools)
endif()
foreach(section IN ITEMS 3 7)
  file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.${section})
  list(FILTER pages EXCLUDE REGEX "/libmemkind_preload\\.7$")
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
file(GLOB pages ${PROJECT_SOURCE_DIR}/man/*.3)
memkind_man_redirects(${PROJECT_BINARY_DIR}/man ${PROJECT_SOURCE_DIR}/include
  ${pages})
# (Their many names are not worth a line each.)
install(DIRECTORY ${PROJECT_BINARY_DIR}/man/
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 MESSAGE_NEVER)

# ---- pkg-config -----------------------------------------------------------------
# The prefix is found from the file's own place, unless the directories are
# absolute ones.
set(_pc_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(MEMKIND_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH _to_prefix /prefix/${_pc_folder} /prefix)
  string(REGEX REPLACE "/$" "" MEMKIND_PC_PREFIX "\${pcfiledir}/${_to_prefix}")
endif()
foreach(dir IN ITEMS LIBDIR INCLUDEDIR)
  set(MEMKIND_PC_${dir} ${CMAKE_INSTALL_${dir}})
  if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_${dir}})
    string(PREPEND MEMKIND_PC_${dir} "\${prefix}/")
  endif()
endforeach()
# In the order in which a static linker needs them: libpmem.a calls what is in
# libmemkind_ndctl.a.
set(MEMKIND_PC_LIBS_PRIVATE "-lpmem -lmemkind_ndctl ${CMAKE_THREAD_LIBS_INIT} -lm")
if(NOT MEMKIND_ATOMICS_ARE_INLINE)
  string(APPEND MEMKIND_PC_LIBS_PRIVATE " -latomic")
endif()
foreach(_dir IN LISTS MEMKIND_PMEM_LIBRARY_DIRS)
  string(PREPEND MEMKIND_PC_LIBS_PRIVATE "-L${_dir} ")
endforeach()
foreach(library IN LISTS CMAKE_DL_LIBS)
  string(APPEND MEMKIND_PC_LIBS_PRIVATE " -l${library}")
endforeach()
if(MEMKIND_JEMALLOC_LIBRARIES)
  string(PREPEND MEMKIND_PC_LIBS_PRIVATE "-ljemalloc ")
endif()
string(STRIP "${MEMKIND_PC_LIBS_PRIVATE}" MEMKIND_PC_LIBS_PRIVATE)
# Two files, of which the script installs one, when the prefix is known.
set(MEMKIND_PC_RUN_PATH_FLAG "")
configure_file(${CMAKE_CURRENT_LIST_DIR}/memkind.pc.in
  ${PROJECT_BINARY_DIR}/memkind.pc @ONLY)
set(MEMKIND_PC_RUN_PATH_FLAG "-Wl,-rpath,\${libdir}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/memkind.pc.in
  ${PROJECT_BINARY_DIR}/memkind_run_path.pc @ONLY)
string(CONFIGURE [[
set(MEMKIND_PC_RUN_PATH "@MEMKIND_PC_RUN_PATH@")
set(MEMKIND_PC_BUILD "@PROJECT_BINARY_DIR@")
set(MEMKIND_PC_LIBDIR "@CMAKE_INSTALL_LIBDIR@")
include("@CMAKE_CURRENT_LIST_DIR@/install_pc.cmake")]] _script @ONLY)
install(CODE "${_script}")

# ---- find_package(memkind) ------------------------------------------------------
set(_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/memkind)
install(EXPORT memkindTargets NAMESPACE memkind::
  DESTINATION ${_package_folder})
install(EXPORT memkindStaticTargets NAMESPACE memkind::
  DESTINATION ${_package_folder})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/memkindConfig.cmake.in
  ${PROJECT_BINARY_DIR}/memkindConfig.cmake
  INSTALL_DESTINATION ${_package_folder}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/memkindConfigVersion.cmake
  VERSION ${MEMKIND_INTERFACE_VERSION} COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/memkindConfig.cmake
              ${PROJECT_BINARY_DIR}/memkindConfigVersion.cmake
  DESTINATION ${_package_folder})
