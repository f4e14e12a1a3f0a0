# memkind_suite() and add_test() calls of this folder.
# What libpmem says of a mapping decides the unit of file space: suites that
# count it say so themselves, wherever they are run.
memkind_suite(test_address_table unit INTERNAL)
memkind_suite(test_numa_nodes unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_huge_kinds unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_region_file unit INTERNAL)
memkind_suite(test_file_system unit INTERNAL)
memkind_suite(test_place_node unit INTERNAL)
memkind_suite(test_pool_stores unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_pool_commit unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_pool_blocks unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_pool_growth unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_pool_stripes unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
add_test(NAME test_pool_stripes_grains COMMAND memkind_test_pool_stripes)
memkind_set_test(test_pool_stripes_grains unit
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1)
memkind_suite(test_page_map unit INTERNAL)
memkind_suite(test_region_grains unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1)
memkind_suite(test_region_align unit INTERNAL)
memkind_suite(test_huge_pages unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_region_fork unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0 ${memkind_forks})
add_test(NAME test_region_fork_grains COMMAND memkind_test_region_fork)
memkind_set_test(test_region_fork_grains unit
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1 ${memkind_forks})
memkind_suite(test_region_detach unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0 ${memkind_forks})
add_test(NAME test_region_detach_grains COMMAND memkind_test_region_detach)
memkind_set_test(test_region_detach_grains unit
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1 ${memkind_forks})
memkind_suite(test_fork_mark unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_own_pages unit INTERNAL)
memkind_suite(test_mapping_reserve unit INTERNAL)
memkind_suite(test_region_descriptors unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0 ${memkind_forks})
memkind_suite(test_region_outlived unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0 ${memkind_forks})
memkind_suite(test_region_directory unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_region_scarce unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_region_replaced unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_region_write unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_region_owed unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
add_test(NAME test_region_owed_grains COMMAND memkind_test_region_owed)
memkind_set_test(test_region_owed_grains unit ENVIRONMENT PMEM_IS_PMEM_FORCE=1)
memkind_suite(test_extent_hooks unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_allocator_gate unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_heap_create unit INTERNAL)
memkind_suite(test_thread_cache unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_exhaustion unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_exhausted_space unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_arena_guess unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_pages_ahead unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_records_ahead unit INTERNAL ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_spare_caches unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_depot unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_heap_fork unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_size_class unit INTERNAL)
memkind_suite(test_jemalloc_batch unit INTERNAL)
memkind_suite(test_options unit INTERNAL)
memkind_suite(test_last_error_text unit INTERNAL)
memkind_suite(test_magazine unit INTERNAL)
# The layer below jemalloc with pages larger than this system's.
memkind_suite(test_page_size unit INTERNAL
  ENVIRONMENT TEST_PAGE_SIZE=4096 PMEM_IS_PMEM_FORCE=1)
# memkind_with_pages(SUITE PMEM SIZE...)
function(memkind_with_pages suite pmem)
  target_sources(memkind_${suite} PRIVATE unit/larger_pages.c)
  foreach(size IN LISTS ARGN)
    add_test(NAME ${suite}_${size} COMMAND memkind_${suite})
    memkind_set_test(${suite}_${size} unit ENVIRONMENT TEST_PAGE_SIZE=${size}
      PMEM_IS_PMEM_FORCE=${pmem} ${memkind_forks})
  endforeach()
endfunction()
memkind_with_pages(test_page_size 1 16384 65536)
memkind_with_pages(test_pool_stores 0 65536)
memkind_with_pages(test_pool_commit 0 65536)
memkind_with_pages(test_pool_blocks 0 65536)
memkind_with_pages(test_pool_growth 0 65536)
memkind_with_pages(test_region_grains 1 16384)
memkind_with_pages(test_region_fork 1 65536)
memkind_suite(test_checks unit INTERNAL)
memkind_suite(test_ranked_lock unit INTERNAL)
memkind_suite(test_object_records unit INTERNAL)
memkind_suite(test_heap_registry unit INTERNAL)
memkind_suite(test_upkeep unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_kind_registry unit INTERNAL)
memkind_suite(test_kind_error unit INTERNAL)
memkind_suite(test_misuse_report unit INTERNAL ENVIRONMENT ${memkind_forks})
