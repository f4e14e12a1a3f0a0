# memkind_suite() and add_test() calls of this folder.
# What libpmem says of a mapping decides the unit of file space: suites that
# count it say so themselves, wherever they are run.
memkind_suite(test_address_table unit INTERNAL)
memkind_suite(test_region_file unit INTERNAL)
memkind_suite(test_region_pool unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_page_map unit INTERNAL)
memkind_suite(test_region_grains unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1)
memkind_suite(test_region_fork unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0 ${memkind_forks})
add_test(NAME test_region_fork_grains COMMAND test_region_fork)
memkind_set_test(test_region_fork_grains unit
  ENVIRONMENT PMEM_IS_PMEM_FORCE=1 ${memkind_forks})
memkind_suite(test_extent_hooks unit INTERNAL
  ENVIRONMENT PMEM_IS_PMEM_FORCE=0)
memkind_suite(test_fork_gate unit INTERNAL ENVIRONMENT ${memkind_forks})
memkind_suite(test_arena_set unit INTERNAL)
memkind_suite(test_size_class unit INTERNAL)
memkind_suite(test_magazine unit INTERNAL)
