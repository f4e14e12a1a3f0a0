# What depends on the memory that kinds lie in: here in the directory that all
# tests use; run.sh runs it on emulated persistent memory.
memkind_suite(test_pmem pmem)
