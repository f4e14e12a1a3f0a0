# memkind_man_redirects(FOLDER INCLUDE-FOLDER PAGES...)
# Writes a page into FOLDER for each public name, which leads to the page that
# describes it: "man memkind_malloc" and "man MEMKIND_DEFAULT" find memkind(3),
# "man pmem_allocator" finds pmemallocator(3). The names are
# - functions and C++ classes in the SYNOPSIS of a page, and variables in its
#   section ENVIRONMENT;
# - headers that the SYNOPSIS includes, and what else is named memkind_ or
#   MEMKIND_ in them. A header that no page includes goes with the first one that
#   includes it.
# If several pages have a name, the first one gets it. A name that is a page's
# own needs none.
function(memkind_man_redirects folder include)
  file(REMOVE_RECURSE ${folder})
  # In the order of the pages: names, and headers as PAGE=HEADER.
  set(headers "")
  foreach(page IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
    get_filename_component(target ${page} NAME)
    file(READ ${page} text)
    string(REGEX MATCH "\n\\.SH SYNOPSIS\n.*\n\\.SH DESCRIPTION\n" synopsis "${text}")
    string(REGEX MATCH "\n\\.SH ENVIRONMENT\n.*" environment "${text}")
    string(REGEX REPLACE "\n\\.SH [^E].*" "" environment "${environment}")
    string(REGEX MATCHALL "\n\\.B MEMKIND_[A-Z_]+\n" variables "${environment}")
    string(REGEX MATCHALL "(memkind|memtier|hbw)_[a-z0-9_]+\\(" functions "${synopsis}")
    string(REGEX MATCHALL "(libmemkind|hbw)(::[a-z_]+)+" classes "${synopsis}")
    foreach(name IN LISTS variables functions classes)
      string(REGEX REPLACE "\n|\\.B |\\(" "" name "${name}")
      _memkind_man_redirect(${folder} ${name} ${target})
      # A class, also if the SYNOPSIS has only its members; and namespace_class.
      if(name MATCHES "^(libmemkind::([a-z_]+)::([a-z_]+))")
        _memkind_man_redirect(${folder} ${CMAKE_MATCH_1} ${target})
        _memkind_man_redirect(${folder} ${CMAKE_MATCH_2}_${CMAKE_MATCH_3} ${target})
      endif()
    endforeach()
    string(REGEX MATCHALL "#include <[a-z_/.]+>" includes "${synopsis}")
    list(TRANSFORM includes REPLACE "#include <(.*)>" "${target}=\\1")
    list(APPEND headers ${includes})
  endforeach()

  set(seen "")
  while(headers)
    list(POP_FRONT headers header)
    string(REGEX MATCH "^(.*)=(.*)$" header "${header}")
    set(target ${CMAKE_MATCH_1})
    set(header ${CMAKE_MATCH_2})
    if(header IN_LIST seen OR NOT EXISTS ${include}/${header})
      continue()
    endif()
    list(APPEND seen ${header})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${include}/${header})
    file(READ ${include}/${header} text)
    string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/" "" text "${text}")
    string(REGEX MATCHALL "#include [<\"][a-z_/.]+" includes "${text}")
    list(TRANSFORM includes REPLACE "#include ." "${target}=")
    list(APPEND headers ${includes})
    string(REGEX REPLACE "#include [^\n]*" "" text "${text}")
    string(REGEX MATCHALL "((memkind|MEMKIND|memtier|MEMTIER|hbw)_|HBW_(PAGE|POLICY|TOUCH))[A-Za-z0-9_]+" names "${text}")
    list(FILTER names EXCLUDE REGEX "^(MEMKIND|HBW)_([A-Z_]+_)?H(PP)?$")
    get_filename_component(file ${header} NAME)
    get_filename_component(base ${header} NAME_WE)
    list(REMOVE_DUPLICATES names)
    foreach(name IN LISTS file base names)
      _memkind_man_redirect(${folder} ${name} ${target})
    endforeach()
  endwhile()
endfunction()

# Unless there is one, or NAME is that of a page.
function(_memkind_man_redirect folder name target)
  get_filename_component(section ${target} LAST_EXT)
  string(SUBSTRING ${section} 1 -1 section)
  if(NOT EXISTS ${folder}/${name}.${section} AND
     NOT EXISTS ${PROJECT_SOURCE_DIR}/man/${name}.${section})
    file(WRITE ${folder}/${name}.${section} ".so man${section}/${target}\n")
  endif()
endfunction()
