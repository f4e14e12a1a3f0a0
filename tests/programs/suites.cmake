# Programs as Debian ships them, run as they are with their malloc in files, in the
# short form of tests/programs/run.sh. Those that are not installed are skipped.
if(NOT TARGET memkind_preload OR NOT MEMKIND_BUILD_TOOL OR NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
memkind_program(reduced_programs programs/reduced_programs.c)
memkind_program(reduced_new programs/reduced_new.cpp)
foreach(program reduced_programs reduced_new)
  target_link_libraries(memkind_${program} PRIVATE memkind_warnings)
endforeach()
foreach(name reduced redis redis_cluster memcached sqlite python compilers perl
    node java postgres nginx git shell_tools)
  add_test(NAME program_${name} COMMAND bash
    ${CMAKE_CURRENT_SOURCE_DIR}/programs/${name}.sh ${PROJECT_BINARY_DIR})
  memkind_set_test(program_${name} scripts TIMEOUT 600)
  set_property(TEST program_${name} APPEND PROPERTY LABELS programs long)
endforeach()
