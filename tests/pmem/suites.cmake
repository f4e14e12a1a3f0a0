# What depends on the memory that kinds lie in: here in the directory that all
# tests use; run.sh runs it on emulated persistent memory.
memkind_suite(test_pmem pmem ENVIRONMENT ${memkind_forks})
set_tests_properties(test_pmem PROPERTIES RUN_SERIAL ON)

# Kinds in memory of one NUMA node, which has no CPUs in the guest of run.sh.
memkind_suite(test_nodes pmem)
# In the guest hmat of run.sh; it is skipped elsewhere.
memkind_suite(test_node_kinds pmem ENVIRONMENT ${memkind_forks})

# For tool_in_guest.sh: marks a device, to see that nothing else writes to it.
memkind_program(device_mark pmem/device_mark.c)
target_compile_definitions(memkind_device_mark PRIVATE _GNU_SOURCE)
target_link_libraries(memkind_device_mark PRIVATE memkind_warnings)
# The suite without any shared library: libpmem then has the stand-ins for
# libndctl.
find_library(MEMKIND_CUNIT_ARCHIVE libcunit.a HINTS ${MEMKIND_CUNIT_LIBRARY_DIRS})
mark_as_advanced(MEMKIND_CUNIT_ARCHIVE)
if(MEMKIND_CUNIT_ARCHIVE AND NOT MEMKIND_SANITIZE)
  memkind_program(test_pmem_static pmem/test_pmem.c)
  target_include_directories(memkind_test_pmem_static PRIVATE support
    ${MEMKIND_CUNIT_INCLUDE_DIRS})
  target_compile_definitions(memkind_test_pmem_static PRIVATE _GNU_SOURCE)
  target_link_libraries(memkind_test_pmem_static PRIVATE -static
    $<TARGET_FILE:memkind_test_support> memkind::memkind_static
    ${MEMKIND_CUNIT_ARCHIVE} memkind_warnings)
  add_dependencies(memkind_test_pmem_static memkind_test_support)
  add_test(NAME test_pmem_static COMMAND memkind_test_pmem_static)
  memkind_set_test(test_pmem_static pmem)
  set_tests_properties(test_pmem_static PROPERTIES RUN_SERIAL ON)
endif()
