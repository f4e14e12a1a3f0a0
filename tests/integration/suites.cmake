# memkind_suite() and add_test() calls of this folder.
memkind_suite(test_heap integration)
memkind_suite(test_kinds integration)
memkind_suite(test_environment integration)
memkind_suite(test_limits integration)
add_executable(test_full_file_system integration/test_full_file_system.c)
target_link_libraries(test_full_file_system PRIVATE memkind_test_support
  memkind::memkind Threads::Threads)
foreach(file_system tmpfs ext4)
  add_test(NAME test_full_${file_system}
    COMMAND test_full_file_system ${file_system})
  memkind_set_test(test_full_${file_system} integration)
endforeach()
