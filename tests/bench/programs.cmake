# Benchmark programs: the same sources for a kind and for malloc, each also
# with the objects' contents checked. run.sh compares; CTest runs every pattern
# for a moment with the checks.

# memkind_bench(NAME DEFINITIONS...)
function(memkind_bench name)
  memkind_program(${name} bench/bench_main.c bench/bench_support.c
    bench/bench_heap.c bench/patterns_basic.c bench/patterns_threads.c
    bench/patterns_kinds.c bench/patterns_space.c bench/patterns_full.c
    bench/patterns_latency.c bench/patterns_brief.c bench/patterns_fill.c bench/bench_times.c
    bench/bench_idlers.c)
  target_compile_definitions(memkind_${name} PRIVATE _GNU_SOURCE ${ARGN})
  # A compiler that knows malloc leaves out objects that are freed at once.
  foreach(function malloc calloc realloc posix_memalign free)
    target_compile_options(memkind_${name} PRIVATE -fno-builtin-${function})
  endforeach()
  # The places of loops must not decide: programs for kinds and for malloc differ.
  target_compile_options(memkind_${name} PRIVATE -falign-functions=64 -falign-loops=64)
  # new dtags: LD_LIBRARY_PATH chooses the library.
  target_link_options(memkind_${name} PRIVATE -Wl,-z,now -Wl,--enable-new-dtags)
  target_link_libraries(memkind_${name} PRIVATE memkind_warnings Threads::Threads m
    ${CMAKE_DL_LIBS})
endfunction()

memkind_bench(bench_malloc)
memkind_bench(bench_malloc_check BENCH_CHECK)
memkind_bench(bench_memkind BENCH_MEMKIND)
memkind_bench(bench_memkind_check BENCH_MEMKIND BENCH_CHECK)
target_link_libraries(memkind_bench_memkind PRIVATE memkind::memkind)
target_link_libraries(memkind_bench_memkind_check PRIVATE memkind::memkind)

set(_moment --seconds 0.02 --warmup 0 --wait 0.1 --size 8388608 --phases 6
  --idle 16 --bulk 8388608
  --dir ${MEMKIND_TEST_DIR})
if(MEMKIND_SANITIZE MATCHES thread)
  # which leaves too little of the address space for 512 unlimited kinds
  list(APPEND _moment --kinds 128)
endif()
add_test(NAME bench_memkind
  COMMAND memkind_bench_memkind_check ${_moment} --threads 2 --defrag all)
add_test(NAME bench_memkind_free_null
  COMMAND memkind_bench_memkind_check ${_moment} --threads 3 --free-null all)
# The patterns themselves, under a sanitizer that sees what they do.
add_test(NAME bench_malloc
  COMMAND memkind_bench_malloc_check ${_moment} --threads 2 all)
foreach(test bench_memkind bench_memkind_free_null bench_malloc)
  memkind_set_test(${test} bench ENVIRONMENT ${memkind_forks})
endforeach()

# What programs.sh runs besides Debian's programs: with the C library's malloc, or
# with one that is preloaded.
foreach(program malloc_programs text_load)
  memkind_program(${program} bench/${program}.c)
  target_compile_definitions(memkind_${program} PRIVATE _GNU_SOURCE)
  target_link_libraries(memkind_${program} PRIVATE memkind_warnings Threads::Threads)
endforeach()
target_compile_options(memkind_malloc_programs PRIVATE -fno-builtin-malloc
  -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free)
foreach(pattern numbers cubes server stress rpmix handover scratch replace)
  add_test(NAME bench_program_${pattern} COMMAND memkind_malloc_programs ${pattern})
  memkind_set_test(bench_program_${pattern} bench)
endforeach()

# What fork() means for a heap, and costs: fork.sh makes a table of it.
memkind_program(bench_fork bench/bench_fork.c bench/bench_heap.c)
memkind_program(bench_fork_malloc bench/bench_fork.c bench/bench_heap.c)
foreach(program bench_fork bench_fork_malloc)
  target_compile_definitions(memkind_${program} PRIVATE _GNU_SOURCE)
  target_link_options(memkind_${program} PRIVATE -Wl,--enable-new-dtags)
  target_link_libraries(memkind_${program} PRIVATE memkind_warnings ${CMAKE_DL_LIBS})
endforeach()
target_compile_definitions(memkind_bench_fork PRIVATE BENCH_MEMKIND)
target_link_libraries(memkind_bench_fork PRIVATE memkind::memkind)
add_test(NAME bench_fork
  COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/bench/fork.sh -m 16 -n 2
    ${CMAKE_CURRENT_BINARY_DIR} ${MEMKIND_TEST_DIR})
memkind_set_test(bench_fork bench ENVIRONMENT ${memkind_forks})
set_tests_properties(bench_fork PROPERTIES PASS_REGULAR_EXPRESSION
  "private [|] [0-9]+ wrong [|] right [|].*snapshot [|] right [|] right [|].*copy [|] right [|] right [|].*malloc [|] right [|] right [|]")

# How steps grow with sizes, threads and kinds that no machine here has.
if(TARGET memkind_internal)
  memkind_program(bench_scale bench/bench_scale.c bench/fake_space.c
    bench/scale_space.c bench/scale_table.c bench/scale_threads.c)
  target_compile_definitions(memkind_bench_scale PRIVATE _GNU_SOURCE)
  target_link_libraries(memkind_bench_scale PRIVATE memkind_warnings memkind_internal
    Threads::Threads m)
  add_test(NAME bench_scale
    COMMAND memkind_bench_scale --quick --dir ${MEMKIND_TEST_DIR})
  memkind_set_test(bench_scale bench ENVIRONMENT ${memkind_forks})
endif()

# The comparison itself, with as little as there is to compare: its figures say
# nothing, but all tables and files are made.
find_program(MEMKIND_PYTHON python3)
mark_as_advanced(MEMKIND_PYTHON)
if(MEMKIND_PYTHON AND PROJECT_IS_TOP_LEVEL)
  add_test(NAME bench_compare
    COMMAND ${MEMKIND_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/bench/compare.py
      --build ${PROJECT_BINARY_DIR} --quick --runs 1 --seconds 0.01 --size 16
      --limit 16 --idle 8 --bulk 16 --wait 0.2 --peers own,null,glibc
      --dir ${MEMKIND_TEST_DIR})
  memkind_set_test(bench_compare scripts)
  set_tests_properties(bench_compare PROPERTIES PASS_REGULAR_EXPRESSION
    "At the limit.*Payload.*longest call.*Time of single calls.*Threads that come and go.*With 500 kinds.*Until nine tenths.*What this library is meant to reach.*written: [^ ]*json"
    FAIL_REGULAR_EXPRESSION "Not measured:")
  # The one for machines with many CPUs: its table has all its cells. (A sanitizer's
  # run-time library is no peer's.)
  if(NOT MEMKIND_SANITIZE)
    add_test(NAME bench_many_cpus
      COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/bench/many_cpus_test.sh ${PROJECT_BINARY_DIR})
    memkind_set_test(bench_many_cpus bench
      ENVIRONMENT MEMKIND_TEST_DIR=${MEMKIND_TEST_DIR})
  endif()
endif()
