# System calls that fail. See fault_calls.h.
add_test(NAME test_sys_layer COMMAND bash
  ${CMAKE_CURRENT_SOURCE_DIR}/fault/sys_layer.sh ${PROJECT_BINARY_DIR})
memkind_set_test(test_sys_layer fault)
foreach(suite test_region_faults test_kind_faults test_fork_faults)
  memkind_suite(${suite} fault INTERNAL TIMEOUT 2400
    ENVIRONMENT MEMKIND_HBW_NODES=all)
  target_sources(memkind_${suite} PRIVATE fault/fault_calls.c)
  target_include_directories(memkind_${suite} PRIVATE unit)
endforeach()
