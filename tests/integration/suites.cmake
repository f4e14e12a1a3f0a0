# memkind_suite() and add_test() calls of this folder.
memkind_suite(test_heap integration)
memkind_suite(test_kinds integration)
memkind_suite(test_directories integration ENVIRONMENT ${memkind_forks})
set_tests_properties(test_kinds PROPERTIES RUN_SERIAL ON)
memkind_suite(test_environment integration)
memkind_suite(test_config_decay integration)
memkind_suite(test_background_destroy integration INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_last_error integration)
memkind_suite(test_limits integration)
memkind_suite(test_process_limits integration)
memkind_suite(test_security integration INTERNAL)
target_sources(memkind_test_security PRIVATE fault/fault_calls.c)
target_include_directories(memkind_test_security PRIVATE unit fault)
memkind_suite(test_fixed_places integration INTERNAL)
target_sources(memkind_test_fixed_places PRIVATE fault/fault_calls.c)
target_include_directories(memkind_test_fixed_places PRIVATE unit fault)
memkind_suite(test_tebibytes integration INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
target_include_directories(memkind_test_tebibytes PRIVATE unit)
add_test(NAME test_tebibytes_grains COMMAND memkind_test_tebibytes)
memkind_set_test(test_tebibytes_grains integration
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1)
memkind_program(test_full_file_system integration/test_full_file_system.c)
target_link_libraries(memkind_test_full_file_system PRIVATE memkind_test_support
  memkind::memkind Threads::Threads)
foreach(file_system tmpfs tmpfs-huge ext4)
  add_test(NAME test_full_${file_system}
    COMMAND memkind_test_full_file_system ${file_system})
  memkind_set_test(test_full_${file_system} integration
    ENVIRONMENT ${memkind_forks})
endforeach()
memkind_program(test_large_units integration/test_large_units.c)
target_link_libraries(memkind_test_large_units PRIVATE memkind_test_support
  memkind::memkind Threads::Threads)
foreach(file_system ext4 ext4-stride xfs xfs-stripe)
  add_test(NAME test_large_units_${file_system}
    COMMAND memkind_test_large_units ${file_system})
  memkind_set_test(test_large_units_${file_system} integration)
endforeach()
memkind_program(disk_scenario integration/disk_scenario.c)
target_link_libraries(memkind_disk_scenario PRIVATE memkind_test_support
  memkind::memkind)
foreach(file_system ext4 xfs btrfs ext2 tmpfs)
  add_test(NAME test_disk_${file_system}
    COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/integration/disk_test.sh
      ${file_system} $<TARGET_FILE:memkind_disk_scenario>)
  memkind_set_test(test_disk_${file_system} integration TIMEOUT 600)
endforeach()
memkind_suite(test_detect integration)
memkind_suite(test_memtier integration ENVIRONMENT ${memkind_forks})
memkind_suite(test_hbwmalloc integration ENVIRONMENT ${memkind_forks})
memkind_suite(test_high_address integration)
memkind_suite(test_stats integration)
memkind_suite(test_defrag integration)

# Scripts that use the library from outside the build, as other projects do. They
# need a build of this project alone.
if(PROJECT_IS_TOP_LEVEL)
# memkind_outside(NAME SCRIPT [TIMEOUT s])
function(memkind_outside name script)
  add_test(NAME ${name} COMMAND bash
    ${CMAKE_CURRENT_SOURCE_DIR}/integration/${script} ${PROJECT_BINARY_DIR})
  set(flags "")
  if(MEMKIND_SANITIZE)
    set(flags "-fsanitize=${MEMKIND_SANITIZE}")
  endif()
  memkind_set_test(${name} scripts ${ARGN} ENVIRONMENT
    "CC=${CMAKE_C_COMPILER}" "CXX=${CMAKE_CXX_COMPILER}"
    "CFLAGS=${flags}" "CXXFLAGS=${flags}")
endfunction()
memkind_outside(test_install install_test.sh)
memkind_outside(test_install_subproject install_subproject.sh TIMEOUT 1200)
memkind_outside(test_headers install_headers.sh)
memkind_outside(test_man install_man.sh)
memkind_outside(test_readme readme_session.sh)
add_test(NAME test_option_tables COMMAND python3
  ${CMAKE_CURRENT_SOURCE_DIR}/integration/option_tables.py ${PROJECT_SOURCE_DIR})
memkind_set_test(test_option_tables scripts)
if(MEMKIND_BUILD_TOOL)
  memkind_outside(test_tool tool_test.sh)
endif()
memkind_outside(test_libmemtier libmemtier_test.sh TIMEOUT 600)
memkind_outside(test_preload_load preload_load_test.sh)
memkind_outside(test_dropin dropin_test.sh TIMEOUT 600)
memkind_outside(test_abi dropin_abi.sh)
memkind_outside(test_packages packages_test.sh TIMEOUT 900)
# Both fetch packages. (What takes longest starts first, beside the others.)
set_tests_properties(test_dropin test_packages PROPERTIES RESOURCE_LOCK apt)
set_tests_properties(test_packages PROPERTIES COST 200)
memkind_outside(test_dlopen dropin_dlopen.sh)
memkind_outside(test_watchers watchers.sh TIMEOUT 600)
memkind_outside(test_fallback fallback_test.sh TIMEOUT 1200)
# Tests of the sources: circles and names in src, and the language of comments.
add_test(NAME test_structure COMMAND python3
  ${CMAKE_CURRENT_SOURCE_DIR}/integration/structure_test.py
  ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
memkind_set_test(test_structure scripts
  ENVIRONMENT "CC=${CMAKE_C_COMPILER}" "NM=${CMAKE_NM}")
add_test(NAME test_prose COMMAND python3
  ${PROJECT_SOURCE_DIR}/cmake/prose.py --check)
memkind_set_test(test_prose scripts)
memkind_outside(test_small_space small_space.sh)
# The command of CONTRIBUTING.md, on mistakes.
memkind_outside(test_check_command check_test.sh)
# Under sanitizers as well; other scripts are left out there.
memkind_outside(test_misuse_tools misuse_tools.sh)
set_tests_properties(test_misuse_tools PROPERTIES LABELS integration)
endif()
# (LeakSanitizer finds no /proc in a jail.)
memkind_suite(test_odd_processes integration
  ENVIRONMENT ${memkind_forks} ASAN_OPTIONS=detect_leaks=0)
memkind_suite(test_failed_punch integration INTERNAL)
memkind_suite(test_internal_kind integration)
memkind_suite(test_signals integration ENVIRONMENT ${memkind_forks})
memkind_suite(test_cancel integration ENVIRONMENT ${memkind_forks})
memkind_suite(test_sandbox integration ENVIRONMENT ${memkind_forks})
memkind_suite(test_key_destructors integration)
memkind_suite(test_alignment integration)
memkind_suite(test_errno integration INTERNAL)
target_sources(memkind_test_errno PRIVATE fault/fault_calls.c)
target_include_directories(memkind_test_errno PRIVATE unit fault)
memkind_suite(test_threads integration)
memkind_suite(test_fork integration ENVIRONMENT ${memkind_forks})
# By pages, by grains, and on a disk.
memkind_suite(test_kept_descriptors integration ENVIRONMENT ${memkind_forks})
memkind_suite(test_fork_snapshot integration ENVIRONMENT ${memkind_forks})
add_test(NAME test_fork_snapshot_grains COMMAND memkind_test_fork_snapshot)
memkind_set_test(test_fork_snapshot_grains integration
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1 ${memkind_forks})
memkind_program(test_cpp integration/test_cpp.cpp)
target_link_libraries(memkind_test_cpp PRIVATE memkind_test_support memkind::memkind
  Threads::Threads)
add_test(NAME test_cpp COMMAND memkind_test_cpp)
memkind_set_test(test_cpp integration)
memkind_suite(test_cache integration)
foreach(suite test_misuse test_misuse_handler test_exit test_checked_objects)
  memkind_suite(${suite} integration ENVIRONMENT ${memkind_forks})
  target_sources(memkind_${suite} PRIVATE integration/misuse_reports.c)
endforeach()
# Any build can be hardened by a variable. (An ASan build is always hardened.)
if(NOT MEMKIND_HARDENED AND NOT MEMKIND_SANITIZE MATCHES address)
  foreach(suite test_misuse test_misuse_handler test_exit test_checked_objects
      test_heap test_threads test_defrag)
    add_test(NAME ${suite}_hardened COMMAND memkind_${suite})
    memkind_set_test(${suite}_hardened integration
      ENVIRONMENT MEMKIND_HARDENED=1 ${memkind_forks})
  endforeach()
endif()
# AddressSanitizer would end this program for what it does.
if(NOT MEMKIND_SANITIZE MATCHES address)
  memkind_suite(test_fork_hardened integration
  ENVIRONMENT MEMKIND_HARDENED=1 ${memkind_forks})
endif()
# Every other page free: a child's mappings, by pages and by grains.
memkind_suite(test_fork_arenas integration ENVIRONMENT ${memkind_forks})
memkind_suite(test_fork_pieces integration ENVIRONMENT ${memkind_forks})
add_test(NAME test_fork_pieces_grains COMMAND memkind_test_fork_pieces)
memkind_set_test(test_fork_pieces_grains integration
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1 ${memkind_forks})
memkind_suite(test_core_dump integration ENVIRONMENT ${memkind_forks})
add_test(NAME test_core_dump_grains COMMAND memkind_test_core_dump)
memkind_set_test(test_core_dump_grains integration
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1 ${memkind_forks})
# Both may set core_pattern.
set_tests_properties(test_core_dump test_core_dump_grains PROPERTIES
  RESOURCE_LOCK core_pattern)

if(TARGET memkind_preload)
  # A program with a malloc of its own, which test_preload starts.
  memkind_program(preload_own_malloc integration/preload_own_malloc.c)
  memkind_suite(test_preload integration ENVIRONMENT ${memkind_forks})
  add_dependencies(memkind_test_preload memkind_preload memkind_preload_own_malloc)
  target_compile_definitions(memkind_test_preload PRIVATE
    TEST_PRELOAD="$<TARGET_FILE:memkind_preload>"
    TEST_OWN_MALLOC="$<TARGET_FILE:memkind_preload_own_malloc>")
  memkind_program(test_preload_cpp integration/test_preload_cpp.cpp)
  target_link_libraries(memkind_test_preload_cpp PRIVATE memkind_warnings)
  add_dependencies(memkind_test_preload_cpp memkind_preload)
  foreach(full dram null)
    add_test(NAME test_preload_cpp_${full} COMMAND memkind_test_preload_cpp ${full})
    memkind_set_test(test_preload_cpp_${full} integration ENVIRONMENT
      LD_PRELOAD=$<TARGET_FILE:memkind_preload>
      MEMKIND_PRELOAD_DIR=${MEMKIND_TEST_DIR}
      MEMKIND_PRELOAD_SIZE=64M MEMKIND_PRELOAD_FULL=${full})
  endforeach()
endif()
