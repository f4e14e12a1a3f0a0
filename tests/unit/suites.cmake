# memkind_suite() and add_test() calls of this folder.
memkind_suite(test_address_table unit INTERNAL)
