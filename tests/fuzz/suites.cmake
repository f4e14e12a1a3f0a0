# Fuzz targets. Their corpora are run through without an engine by ctest; with
# -DMEMKIND_BUILD_FUZZERS=ON, which needs clang, there are also programs for
# libFuzzer: fuzz_TARGET tests/fuzz/corpus/TARGET.
foreach(target sequence config)
  memkind_program(replay_${target} fuzz/fuzz_${target}.c fuzz/fuzz_target.c
    fuzz/fuzz_replay.c)
  target_link_libraries(memkind_replay_${target} PRIVATE memkind_model)
  add_test(NAME replay_${target}
    COMMAND memkind_replay_${target} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${target})
  memkind_set_test(replay_${target} fuzz)
  if(MEMKIND_BUILD_FUZZERS)
    memkind_program(fuzz_${target} fuzz/fuzz_${target}.c fuzz/fuzz_target.c)
    target_link_libraries(memkind_fuzz_${target} PRIVATE memkind_model)
    target_link_options(memkind_fuzz_${target} PRIVATE -fsanitize=fuzzer)
  endif()
endforeach()
