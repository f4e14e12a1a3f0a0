# System calls that fail. See fault_calls.h.
add_test(NAME test_sys_layer COMMAND bash
  ${CMAKE_CURRENT_SOURCE_DIR}/fault/sys_layer.sh ${PROJECT_BINARY_DIR})
memkind_set_test(test_sys_layer fault)
memkind_suite(test_kind_faults fault INTERNAL TIMEOUT 900)
target_sources(test_kind_faults PRIVATE fault/fault_calls.c)
target_include_directories(test_kind_faults PRIVATE unit)
