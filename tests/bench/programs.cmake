# Benchmarks: built with the tests, run by hand.
add_executable(bench_batch bench/bench_batch.c)
target_link_libraries(bench_batch PRIVATE memkind::memkind memkind_warnings)
target_compile_definitions(bench_batch PRIVATE _GNU_SOURCE)
