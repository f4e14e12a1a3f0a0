# Programs as users of the library write them, which check their own results.
memkind_program(word_index application/word_index.c)
target_link_libraries(memkind_word_index PRIVATE memkind_warnings memkind::memkind
  Threads::Threads)
add_test(NAME test_word_index
  COMMAND memkind_word_index -d ${MEMKIND_TEST_DIR} -q memkind_malloc -q memkind_free
    ${PROJECT_SOURCE_DIR}/include)
memkind_set_test(test_word_index application)
