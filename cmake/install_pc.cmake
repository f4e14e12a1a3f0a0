# Run by "cmake --install": installs memkind.pc, with a run path if the loader does
# not look into the library's folder by itself. A program that is built by
# pkg-config then loads this library, not a libmemkind that the system has. What
# goes to /usr or / has none: that is for packages, and Debian wants no run path to
# a folder of the loader's own. (glibc does not start a program that is linked with
# -static-pie and has a run path: such a one needs --define-variable=run_path= .)
set(_libdir ${MEMKIND_PC_LIBDIR})
cmake_path(ABSOLUTE_PATH _libdir BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}/" NORMALIZE)
set(_file memkind.pc)
if(MEMKIND_PC_RUN_PATH AND
   NOT _libdir MATCHES "^(/usr)?/lib(32|64|x32)?(/[^/]+-linux-[^/]+)?/?$")
  set(_file memkind_run_path.pc)
endif()
file(INSTALL DESTINATION ${_libdir}/pkgconfig TYPE FILE RENAME memkind.pc
  FILES ${MEMKIND_PC_BUILD}/${_file})
