# What depends on the memory that kinds lie in: here in the directory that all
# tests use; run.sh runs it on emulated persistent memory.
memkind_suite(test_pmem pmem)

# For tool_in_guest.sh: marks a device, to see that nothing else writes to it.
add_executable(device_mark pmem/device_mark.c)
target_compile_definitions(device_mark PRIVATE _GNU_SOURCE)
target_link_libraries(device_mark PRIVATE memkind_warnings)
