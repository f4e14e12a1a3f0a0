# What depends on the memory that kinds lie in: here in the directory that all
# tests use; run.sh runs it on emulated persistent memory.
memkind_suite(test_pmem pmem ENVIRONMENT ${memkind_forks})
set_tests_properties(test_pmem PROPERTIES RUN_SERIAL ON)

# For tool_in_guest.sh: marks a device, to see that nothing else writes to it.
add_executable(device_mark pmem/device_mark.c)
target_compile_definitions(device_mark PRIVATE _GNU_SOURCE)
target_link_libraries(device_mark PRIVATE memkind_warnings)
# The suite without any shared library: libpmem then has the stand-ins for
# libndctl.
find_library(_cunit_archive libcunit.a HINTS ${CUNIT_LIBRARY_DIRS})
mark_as_advanced(_cunit_archive)
if(_cunit_archive AND NOT MEMKIND_SANITIZE)
  add_executable(test_pmem_static pmem/test_pmem.c)
  target_include_directories(test_pmem_static PRIVATE support
    ${CUNIT_INCLUDE_DIRS})
  target_compile_definitions(test_pmem_static PRIVATE _GNU_SOURCE)
  target_link_libraries(test_pmem_static PRIVATE -static
    $<TARGET_FILE:memkind_test_support> memkind::memkind_static
    ${_cunit_archive} memkind_warnings)
  add_dependencies(test_pmem_static memkind_test_support)
  add_test(NAME test_pmem_static COMMAND test_pmem_static)
  memkind_set_test(test_pmem_static pmem)
  set_tests_properties(test_pmem_static PROPERTIES RUN_SERIAL ON)
endif()
