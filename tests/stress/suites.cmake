# memkind_suite() and add_test() calls of this folder.
