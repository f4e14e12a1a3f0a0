# Run by CPack between installing the components into its folders and packing
# those: adds /usr/share/doc/PACKAGE and lintian's overrides, compresses, strips
# what CPack does not. cpack.cmake sets the variables.
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  set(_usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr)
  string(TOUPPER ${component} _name)
  set(_package ${CPACK_DEBIAN_${_name}_PACKAGE_NAME})
  set(_doc ${_usr}/share/doc/${_package})

  file(MAKE_DIRECTORY ${_doc})
  file(COPY_FILE ${MEMKIND_DEBIAN_FILES}/copyright ${_doc}/copyright)
  file(COPY_FILE ${MEMKIND_DEBIAN_CHANGES} ${_doc}/changelog)
  # Follows SOURCE_DATE_EPOCH.
  string(TIMESTAMP _date "%a, %d %b %Y %H:%M:%S +0000" UTC)
  file(WRITE ${_doc}/changelog.Debian
    "memkind-pmem (${MEMKIND_DEBIAN_VERSION}) unstable; urgency=medium\n\n"
    "  * Built by CPack. What changed is in changelog.gz.\n\n"
    " -- ${MEMKIND_DEBIAN_MAINTAINER}  ${_date}\n")

  # The folder is named after the project, as the tool's package is.
  if(EXISTS ${_usr}/${MEMKIND_DEBIAN_DOCDIR}/examples)
    file(RENAME ${_usr}/${MEMKIND_DEBIAN_DOCDIR}/examples ${_doc}/examples)
    if(NOT _doc STREQUAL "${_usr}/${MEMKIND_DEBIAN_DOCDIR}")
      file(REMOVE_RECURSE ${_usr}/${MEMKIND_DEBIAN_DOCDIR})
    endif()
  endif()

  # Findings of lintian that are meant so, with their reasons.
  set(_overrides "")
  if(component STREQUAL memkind_runtime)
    string(APPEND _overrides
      "# libmemkind0 is Debian's package of the library whose place this one takes:\n"
      "# the same soname, by purpose.\n"
      "${_package}: package-name-doesnt-match-sonames libmemkind0 libmemtier0\n"
      "# libmemtier.so.0 is preloaded, and no program is linked with it.\n"
      "${_package}: ships-undeclared-shared-library *\n"
      "${_package}: shared-library-symbols-not-tracked *\n")
  endif()
  if(MEMKIND_DEBIAN_VERSION MATCHES "-1$")
    string(APPEND _overrides
      "# This is no upload to Debian, so there is no request to package it to close.\n"
      "${_package}: initial-upload-closes-no-bugs *\n")
  endif()
  if(_overrides)
    file(WRITE ${_usr}/share/lintian/overrides/${_package} "${_overrides}")
  endif()

  file(GLOB_RECURSE _texts ${_usr}/share/man/*.[1-9])
  execute_process(COMMAND gzip -9nf ${_texts} ${_doc}/changelog
    ${_doc}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
  # The modes do not depend on the umask.
  execute_process(COMMAND chmod -R u=rwX,go=rX ${_usr}
    COMMAND_ERROR_IS_FATAL ANY)
  file(GLOB_RECURSE _binaries LIST_DIRECTORIES OFF ${_usr}/lib/*.so.*.*.* ${_usr}/lib/*_preload.so
    ${_usr}/bin/*)
  if(_binaries)
    execute_process(COMMAND ${MEMKIND_STRIP} --strip-unneeded
      --remove-section=.comment --remove-section=.note ${_binaries}
      COMMAND_ERROR_IS_FATAL ANY)
  endif()
  file(GLOB_RECURSE _archives ${_usr}/*.a)
  if(_archives)
    execute_process(COMMAND ${MEMKIND_STRIP} --strip-debug
      --remove-section=.comment --enable-deterministic-archives ${_archives}
      COMMAND_ERROR_IS_FATAL ANY)
  endif()
endforeach()
