# memkind_suite() and add_test() calls of this folder.
add_executable(stress_threads stress/stress_threads.c)
target_link_libraries(stress_threads PRIVATE memkind_test_support
  memkind::memkind Threads::Threads)
add_test(NAME stress_threads
  COMMAND stress_threads 10 ${MEMKIND_TEST_DIR} 4)
memkind_set_test(stress_threads stress)

add_executable(soak stress/soak.c)
target_include_directories(soak PRIVATE unit)
target_link_libraries(soak PRIVATE memkind_test_support memkind_internal
  Threads::Threads)
add_test(NAME soak COMMAND soak 20 ${MEMKIND_TEST_DIR} 3)
memkind_set_test(soak stress ENVIRONMENT ${memkind_forks})
