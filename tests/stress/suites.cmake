# memkind_suite() and add_test() calls of this folder.
memkind_program(stress_threads stress/stress_threads.c)
target_link_libraries(memkind_stress_threads PRIVATE memkind_test_support
  memkind::memkind Threads::Threads)
add_test(NAME stress_threads
  COMMAND memkind_stress_threads 10 ${MEMKIND_TEST_DIR} 4)
memkind_set_test(stress_threads stress)

memkind_program(soak stress/soak.c)
target_include_directories(memkind_soak PRIVATE unit)
target_link_libraries(memkind_soak PRIVATE memkind_test_support memkind_internal
  Threads::Threads)
add_test(NAME soak COMMAND memkind_soak 20 ${MEMKIND_TEST_DIR} 3)
memkind_set_test(soak stress ENVIRONMENT ${memkind_forks})
