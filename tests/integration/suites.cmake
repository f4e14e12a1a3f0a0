# memkind_suite() and add_test() calls of this folder.
memkind_suite(test_heap integration)
