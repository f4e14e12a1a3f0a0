# Run by CPack on the packages that it has made: takes out the scripts that it puts
# beside a shared library, which call ldconfig. The trigger does that (see
# cpack.cmake), once for all packages, and Debian's policy wants no calls.
foreach(_package IN LISTS CPACK_PACKAGE_FILES)
  set(_folder ${_package}.folder)
  file(REMOVE_RECURSE ${_folder})
  execute_process(COMMAND dpkg-deb --raw-extract ${_package} ${_folder}
    COMMAND_ERROR_IS_FATAL ANY)
  if(EXISTS ${_folder}/DEBIAN/postinst OR EXISTS ${_folder}/DEBIAN/postrm)
    file(REMOVE ${_folder}/DEBIAN/postinst ${_folder}/DEBIAN/postrm)
    execute_process(
      COMMAND dpkg-deb --root-owner-group --build ${_folder} ${_package}
      OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  endif()
  file(REMOVE_RECURSE ${_folder})
endforeach()
