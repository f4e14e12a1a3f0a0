# SPDX-License-Identifier: BSD-2-Clause
"""Uses the library from Python:  dropin_ctypes.py LIBRARY DIRECTORY"""
import ctypes
import json
import sys
import threading

if len(sys.argv) != 3:
    sys.exit(__doc__)
memkind = ctypes.CDLL(sys.argv[1])
memkind.memkind_malloc.restype = ctypes.c_void_p
memkind.memkind_malloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
memkind.memkind_free.restype = None
memkind.memkind_free.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
memkind.memkind_detect_kind.restype = ctypes.c_void_p
memkind.memkind_detect_kind.argtypes = [ctypes.c_void_p]
memkind.memkind_get_stat.argtypes = [
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_size_t),
]
memkind.memkind_destroy_kind.argtypes = [ctypes.c_void_p]
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
memkind.memkind_stats_print.argtypes = [WRITE, ctypes.c_void_p, ctypes.c_int]
ALLOCATED, JSON = 2, 1


def check(truth, what):
    if not truth:
        sys.exit(f"wrong: {what}")


def allocated(kind):
    value = ctypes.c_size_t()
    check(memkind.memkind_update_cached_stats() == 0, "statistics")
    check(memkind.memkind_get_stat(kind, ALLOCATED, value) == 0, "a statistic")
    return value.value


def use(kind, failures):
    objects = []
    for size in range(1, 20000, 37):
        address = memkind.memkind_malloc(kind, size)
        ctypes.memset(address, size % 256, size)
        objects.append((address, size))
    for address, size in objects:
        if ctypes.string_at(address, size) != bytes([size % 256]) * size:
            failures.append(size)
        memkind.memkind_free(None, address)


kind = ctypes.c_void_p()
error = memkind.memkind_create_pmem(
    sys.argv[2].encode(), ctypes.c_size_t(64 << 20), ctypes.byref(kind)
)
check(error == 0, f"memkind_create_pmem: {error}")
text = memkind.memkind_malloc(kind, 1 << 20)
check(memkind.memkind_detect_kind(text) == kind.value, "memkind_detect_kind")
check(allocated(kind) == 1 << 20, "what is allocated")
memkind.memkind_free(kind, text)
check(allocated(kind) == 0, "nothing is allocated")
failures = []
threads = [threading.Thread(target=use, args=(kind, failures)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
check(not failures, f"contents: {failures}")

pieces = []
write = WRITE(lambda _, piece: pieces.append(piece))
check(memkind.memkind_stats_print(write, None, JSON) == 0, "statistics")
check("jemalloc" in json.loads(b"".join(pieces)), "statistics as JSON")
check(memkind.memkind_destroy_kind(kind) == 0, "memkind_destroy_kind")

version = memkind.memkind_get_version()
print(
    "libmemkind {}.{}.{} from Python: 4 threads, no failures".format(
        version // 1000000, version // 1000 % 1000, version % 1000
    )
)
