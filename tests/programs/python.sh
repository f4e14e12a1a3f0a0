#!/usr/bin/env bash
# python3: modules of its own tests that stress memory, threads, fork and other
# processes; also with every object of Python's from malloc.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need /usr/bin/python3
/usr/bin/python3 --version
/usr/bin/python3 -c 'import test.support' 2>/dev/null || skip "Python's own tests are not installed (libpython3-testsuite)"
need_space "$heap_dir" 512 || exit 77
modules=(test_thread test_list test_dict test_memoryview test_mmap test_popen test_generators
    test_threadedtempfile test_ctypes)
if [ -n "$long" ]; then
    modules+=(test_wait4 test_gc test_fork1 test_threading test_subprocess test_array test_weakref test_queue
        test_zlib test_posix test_os test_pickle test_bytes test_re test_io test_json test_set
        test_deque test_bz2 test_hashlib test_compile test_ast test_threadsignals test_faulthandler)
    limit=900
fi
# This one counts all descriptors of a process: the heap's are among them.
export PYTHON_TESTS_EXCEPT=test_pass_fds_redirected
tests=0
run_modules() {
    same "~$*" env ${allocator:+PYTHONMALLOC=$allocator} PYTHONDONTWRITEBYTECODE=1 \
        /usr/bin/python3 "$here/python_tests.py" "$@"
    ended_well
    tests=$((tests + $(wc -l <heap.out)))
}
if [ -n "$long" ]; then
    for module in "${modules[@]}"; do run_modules "$module"; done
else
    run_modules "${modules[@]}"
fi
allocator=malloc run_modules test_list test_memoryview test_mmap test_generators
holds python3 $((8 << 20))
passed "$tests of Python's own tests"
