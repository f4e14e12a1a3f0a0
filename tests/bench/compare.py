#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares a pmem kind with other allocators; started by run.sh.

Each measurement is a process of its own, so that one that crashes or hangs is
reported as such. Rounds are interleaved: within a round each pattern is run on
one peer after the other, and the tables show the median over the rounds. A
ratio is this library's time divided by the peer's: below 1 it is the faster.
The patterns of full kinds count operations a second instead, and what the longest
call took is shown for the worst round.
"""
import argparse
import csv
import glob
import json
import math
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time

# Patterns measured in ns for each operation, in the order of the tables.
SPEED = ["pair", "batch", "batch_cold", "churn", "big", "bigger", "xthread", "pass", "realloc",
         "vector", "calloc", "calloc_big", "align", "larson", "sh6", "sh8", "scratch",
         "rptest", "mstress", "kinds64", "kinds512"]
# Patterns that measure by themselves, in one thread.
SINGLE = ["bulk", "create", "destroy"]
# Kinds that are full, in operations a second; the first three with idle threads, too.
FULL = ["full", "full_mixed", "full_lru", "full_fs"]
WITH_IDLE = FULL[:3]
# Times of single calls.
LATENCY = ["latency", "latency_other"]
# Threads that come and go, in ns for each thread; what many threads and kinds make slow.
BRIEF = ["brief", "brief16", "brief_none"]
MANY = ["brief_alive", "brief_kinds"]
# Memory that is used for the first time, by steps.
FILL = ["cold", "fill"]
ALL = SPEED + SINGLE + FULL + LATENCY + BRIEF + MANY + FILL
KIND_ONLY = ["create", "destroy", "latency_other", "brief_kinds"] + FULL
SCALING = ["pair", "batch", "churn", "xthread", "pass", "larson", "sh8", "scratch", "mstress"]
MEMORY = ["memory_64", "memory_mixed", "memory_churn", "memory_8k", "memory_big"]

OWN, OLD = "own", "libmemkind"
MIB = 1 << 20
SKIPPED = 77  # the status of a pattern that the machine does not allow


class Peer:
    def __init__(self, name, program, about, library=None, options=()):
        """`library`: which one allocates; None stands for the C library."""
        self.name, self.program, self.about = name, program, about
        self.library, self.options = library, list(options)

    @property
    def env(self):
        if self.is_kind:
            return {"LD_LIBRARY_PATH": os.path.dirname(self.library)}
        return {"LD_PRELOAD": self.library} if self.library else {}

    def is_what_ran(self, path):
        if self.library:
            return os.path.realpath(path) == os.path.realpath(self.library)
        return os.path.basename(path).startswith("libc.so")

    @property
    def is_kind(self):
        return self.program == "bench_memkind"


def find_library(soname):
    """A system library's path, or None."""
    for folder in ("/usr/lib/*-linux-gnu*", "/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib",
                   "/usr/local/lib"):
        for path in sorted(glob.glob(f"{folder}/{soname}")):
            return path
    return None


def find_old_library():
    """libmemkind itself, not this library if that was installed instead."""
    path = find_library("libmemkind.so.0")
    if path:
        with open(path, "rb") as file:
            if b"libpmem.so" in file.read():
                return None
    return path


def all_peers(build, kinds, mallocs):
    """Every peer that can be had here, and the names of those that cannot."""
    soname = "libmemkind.so.0"
    own = os.path.join(build, "src", soname)
    peers = [Peer(OWN, "bench_memkind", "this library's pmem kind", own),
             Peer("null", "bench_memkind", "the same, freed with kind NULL", own, ["--free-null"])]
    missing = []
    for item in kinds:
        name, _, folder = item.partition("=")
        path = os.path.abspath(os.path.join(folder, soname))
        if not os.path.exists(path):
            sys.exit(f"--library {item}: no {soname} there")
        peers.append(Peer(name, "bench_memkind", path, path))
    old = find_old_library()
    if old:
        peers.append(Peer(OLD, "bench_memkind", f"pmem kind of {os.path.realpath(old)}", old))
    else:
        missing.append(OLD)
    for name, soname in (("jemalloc", "libjemalloc.so.2"), ("mimalloc", "libmimalloc.so.[23]*"),
                         ("tcmalloc", "libtcmalloc_minimal.so.4")):
        path = find_library(soname)
        if path:
            peers.append(Peer(name, "bench_malloc", os.path.realpath(path), path))
        else:
            missing.append(name)
    for item in mallocs:
        name, _, path = item.partition("=")
        if not os.path.isfile(path):
            sys.exit(f"--malloc {item}: no file {path}")
        peers.append(Peer(name, "bench_malloc", path, os.path.abspath(path)))
    peers.append(Peer("glibc", "bench_malloc", "malloc of " + " ".join(platform.libc_ver())))
    return peers, missing


# ---- running ---------------------------------------------------------------------

class Runner:
    """Runs programs, and keeps what they said: results[pattern, threads, peer]."""

    def __init__(self, args, programs):
        self.args, self.programs = args, programs
        self.results = {}
        self.total, self.done, self.started = 0, 0, time.monotonic()

    def command(self, peer, pattern, threads, options):
        return [os.path.join(self.programs, peer.program), "--threads", str(threads),
                "--dir", self.args.dir, *peer.options, *options, pattern]

    @staticmethod
    def environment(peer):
        # Nothing that changes what an allocator does comes from outside.
        own = ("LD_", "MALLOC_", "MEMKIND_", "MIMALLOC_", "TCMALLOC_", "GLIBC_TUNABLES")
        env = {k: v for k, v in os.environ.items() if not k.startswith(own)}
        return {**env, **peer.env}

    @staticmethod
    def outcome(peer, returncode, out, err):
        if returncode < 0:
            return {"outcome": "crashed", "why": signal.Signals(-returncode).name}
        try:
            record = json.loads(out.strip().splitlines()[-1])
        except (IndexError, ValueError):
            record = {}
        if returncode == 0 and record.get("status") == SKIPPED:
            return {"outcome": "skipped", "why": (err.strip().splitlines() or ["?"])[-1]}
        if returncode != 0 or record.get("status") != 0:
            lines = err.strip().splitlines()
            why = lines[-1] if lines else f"status {record.get('status', returncode)}"
            return {"outcome": "failed", "why": why}
        if not peer.is_what_ran(record["library"]):
            return {"outcome": "failed", "why": f"{record['library']} was loaded"}
        return {"outcome": "ok", **record}

    def start(self, peer, pattern, threads, options):
        return subprocess.Popen(self.command(peer, pattern, threads, options), text=True,
                                env=self.environment(peer), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, peer, process, timeout):
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return {"outcome": "hung", "why": f"killed after {timeout:.0f} s"}
        return self.outcome(peer, process.returncode, out, err)

    def run(self, peer, pattern, threads=1, options=(), timeout=None, key=None):
        progress(f"{self.done + 1}/{self.total} {key or pattern} {threads} {peer.name}")
        record = self.finish(peer, self.start(peer, pattern, threads, options),
                             timeout or self.args.timeout)
        self.keep(key or pattern, threads, peer, record)

    def keep(self, pattern, threads, peer, record):
        self.done += 1
        self.results.setdefault((pattern, threads, peer.name), []).append(record)

    # What was measured, over the rounds.
    def values(self, pattern, threads, name, metric):
        return [r[metric] for r in self.results.get((pattern, threads, name), [])
                if metric in r]

    def trouble(self, pattern, threads, name):
        """'' if each round gave a figure; otherwise what went wrong, how often."""
        records = self.results.get((pattern, threads, name), [])
        if not records:
            return "-"
        bad = [r["outcome"] for r in records if r["outcome"] != "ok"]
        if not bad:
            return ""
        return f"{max(set(bad), key=bad.count)} {len(bad)}/{len(records)}"

    def median(self, pattern, threads, name, metric):
        """The median; None if any round failed."""
        values = self.values(pattern, threads, name, metric)
        if self.trouble(pattern, threads, name) or not values:
            return None
        return statistics.median(values)


def progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def variants(args, pattern, threads):
    """How a pattern is run: (key of the results, threads, options)."""
    timing = ["--seconds", str(args.seconds), "--warmup", str(args.warmup)]
    if pattern in SPEED + BRIEF:
        return [(pattern, n, timing) for n in threads]
    if pattern in FULL:
        # until objects of mixed sizes have been replaced a few times
        options = ["--size", str(args.limit), "--seconds", str(5 * args.seconds),
                   "--warmup", str(10 * args.warmup)]
        runs = [(pattern, n, options) for n in args.full_threads]
        if pattern in WITH_IDLE:
            runs.append((f"{pattern}+idle", max(args.full_threads),
                         [*options, "--idle", str(args.idle)]))
        return runs
    if pattern in LATENCY:
        # with the thread that frees, one for each CPU at most
        n = max(1, min(max(threads), (os.cpu_count() or 1) - 1))
        return [(pattern, n, timing + (["--bulk", str(args.bulk)] if args.bulk else []))]
    if pattern in FILL:
        return [(pattern, max(threads), ["--size", str(args.size)])]
    if pattern in MANY:
        return [(pattern, 1, ["--size", str(args.limit), "--idle", str(4 * args.idle)])]
    return [(pattern, 1, ["--size", str(args.size), *timing])]


def run_speed(runner, patterns, threads, peers, rounds):
    jobs = [(pattern, key, n, options,
             [p for p in peers if p.is_kind or pattern not in KIND_ONLY])
            for pattern in patterns for key, n, options in variants(runner.args, pattern, threads)]
    runner.total += sum(len(takers) for *_, takers in jobs) * rounds
    for turn in range(rounds):
        for pattern, key, n, options, takers in jobs:
            # The first one finds the caches, and the memory that is free, as another
            # pattern has left them.
            first = turn % max(1, len(takers))
            for peer in takers[first:] + takers[:first]:
                runner.run(peer, pattern, n, options, key=key)


def run_memory(runner, peers):
    """Once: what is held hardly differs from one round to the next."""
    args = runner.args
    fragments = [(p, d) for p in peers for d in ([False, True] if p.is_kind else [False])]
    runner.total += (len(MEMORY) * len(args.memory_threads) * len(peers) +
                     len(fragments) + (len(peers) if args.wait else 0))
    live = ["--size", str(args.live)]
    for pattern in MEMORY:
        for n in args.memory_threads:
            for peer in peers:
                runner.run(peer, pattern, n, live)
    for peer, defrag in fragments:
        options = live + ["--minimum", str(args.frag_seconds)]
        runner.run(peer, "fragments", 1, options + (["--defrag"] if defrag else []),
                   timeout=300 + 4 * args.frag_seconds,
                   key="fragments_defrag" if defrag else "fragments")
    if args.wait:
        # They sleep nearly all of the time, so they can do that together.
        progress("giveback")
        options = ["--size", str(min(args.size, 256 * MIB)), "--wait", str(args.wait)]
        started = [(p, runner.start(p, "giveback", 1, options)) for p in peers]
        for peer, process in started:
            runner.keep("giveback", 1, peer, runner.finish(peer, process, 90 + args.wait))


# ---- tables ----------------------------------------------------------------------

def figure(value):
    if value is None:
        return "-"
    if value >= 9999.5:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def significant(value):
    """Three digits, for what ranges over orders of magnitude."""
    if value is None or value >= 99.95:
        return figure(value)
    return f"{value:.3g}"


def ratio(value):
    return "-" if value is None else f"{value:.2f}" if value < 9.995 else f"{value:.1f}"


def table(title, head, rows):
    widths = [max(len(str(r[i])) for r in [head] + rows) for i in range(len(head))]
    print(f"\n{title}")
    for row in [head] + rows:
        cells = [str(c).ljust(w) if i == 0 else str(c).rjust(w)
                 for i, (c, w) in enumerate(zip(row, widths))]
        print("  " + "  ".join(cells).rstrip())


def divided(a, b):
    return a / b if a is not None and b else None


def cell(runner, pattern, threads, name, metric, show=figure):
    trouble = runner.trouble(pattern, threads, name)
    if trouble:
        return trouble
    values = runner.values(pattern, threads, name, metric)
    if not values:
        return "-"
    median = statistics.median(values)
    spread = (max(values) - min(values)) / 2 / median * 100 if median else 0
    if len(values) == 1:
        return show(median)
    return f"{show(median)} ±{spread:.0f}%" if spread < 1000 else f"{show(median)} ±>999%"


def worst(runner, pattern, threads, name, metric, scale=1):
    """The longest of all rounds: a call that takes so long once is too many."""
    trouble = runner.trouble(pattern, threads, name)
    values = runner.values(pattern, threads, name, metric)
    return trouble or (significant(max(values) / scale) if values else "-")


def rows_run(runner, patterns):
    """(key, threads) of what was run of these patterns, in their order."""
    keys = [p for pattern in patterns for p in (pattern, f"{pattern}+idle")]
    return sorted({k[:2] for k in runner.results if k[0] in keys},
                  key=lambda row: (keys.index(row[0]), row[1]))


def compared(peers):
    """The peers that ratios are taken to."""
    return [p.name for p in peers if p.name != OWN]


def ratio_rows(runner, rows, peers, value_of, show=ratio):
    """value_of(pattern, threads, peer) for each, or what went wrong there."""
    return [[p, n] + [runner.trouble(p, n, name).split(" ")[0] or show(value_of(p, n, name))
                      for name in compared(peers)] for p, n in rows]


def speed_tables(runner, patterns, threads, peers, metric):
    names = [p.name for p in peers]
    speed = [(p, n) for p in patterns if p in SPEED for n in threads]
    if not speed:
        return
    clock = "CPU time" if metric == "cpu_ns" else "time"
    table(f"{clock} for each operation in ns: median, half the range",
          ["pattern", "threads"] + names,
          [[p, n] + [cell(runner, p, n, name, metric) for name in names] for p, n in speed])
    if OWN not in names or len(names) == 1:
        return
    rows = ratio_rows(runner, speed, peers, lambda p, n, name: divided(
        runner.median(p, n, OWN, metric), runner.median(p, n, name, metric)))
    table(f"{clock} of this library divided by the peer's (below 1: faster)",
          ["pattern", "threads"] + compared(peers), rows)


def stored(runner, pattern, threads, name, metric):
    """Thousand objects a second: in all threads, or of the process's CPU time."""
    if metric == "cpu_ns":
        return divided(1e6, runner.median(pattern, threads, name, metric))
    return divided(runner.median(pattern, threads, name, "mops"), 1e-3)


def full_tables(runner, patterns, peers, metric):
    rows = rows_run(runner, [p for p in patterns if p in FULL])
    peers = [p for p in peers if p.is_kind]
    names = [p.name for p in peers]
    if not rows or not names:
        return
    args = runner.args
    head = ["pattern", "threads"]

    def shown(what, show):
        return [[p, n] + [cell(runner, p, n, name, what, show) for name in names]
                for p, n in rows]

    second = "second of CPU time" if metric == "cpu_ns" else "second"
    table(f"At the limit ({args.limit // MIB} MiB; +idle: {args.idle} more threads wait): "
          f"thousand objects stored a {second}, median, half the range", head + names,
          shown("cpu_ns", lambda v: significant(1e6 / v)) if metric == "cpu_ns" else
          shown("mops", lambda v: significant(v * 1e3)))
    if OWN in names and len(names) > 1:
        table(f"Objects stored a {second}, times the peer's (above 1: faster)",
              head + compared(peers), ratio_rows(runner, rows, peers, lambda p, n, name: divided(
                  stored(runner, p, n, OWN, metric), stored(runner, p, n, name, metric)),
                  significant))
    table("Payload: bytes live for each byte of the limit", head + names,
          shown("payload", lambda v: f"{v:.3f}"))
    table("What the thread that has least has of an equal share", head + names,
          shown("poorest", lambda v: f"{v:.2f}"))
    table("Calls that fail, for each object stored", head + names, shown("fails", ratio))
    table("The longest call at the limit, in ms: of all rounds", head + names,
          [[p, n] + [worst(runner, p, n, name, "longest_ns", 1e6) for name in names]
           for p, n in rows])
    table("The longest call at the limit without waits for a CPU, in ms: of all rounds",
          head + names,
          [[p, n] + [worst(runner, p, n, name, "stall_ns", 1e6) for name in names]
           for p, n in rows])
    table("The longest that a call at the limit was running, in ms: of all rounds",
          head + names,
          [[p, n] + [worst(runner, p, n, name, "ran_ns", 1e6) for name in names]
           for p, n in rows])


def latency_tables(runner, patterns, peers):
    for pattern, n in rows_run(runner, [p for p in patterns if p in LATENCY]):
        names = [p.name for p in peers if p.is_kind or pattern not in KIND_ONLY]
        sizes = [v for name in names for v in runner.values(pattern, n, name, "bytes")]
        freed = f"{max(sizes) / MIB:,.0f} MiB" if sizes else "a lot"
        rows = []
        for call, prefix in (("malloc", "malloc"), ("free", "free"),
                             ("free of what goes", "bulk")):
            for part, metric in (("p50", "p50_ns"), ("p99", "p99_ns"), ("p99.9", "p999_ns")):
                rows.append([f"{call}, {part}, ns"] + [
                    cell(runner, pattern, n, name, f"{prefix}_{metric}") for name in names])
            rows.append([f"{call}, longest of all rounds, ms"] + [
                worst(runner, pattern, n, name, f"{prefix}_longest_ns", 1e6) for name in names])
            rows.append([f"{call}, longest without waits for a CPU, ms"] + [
                worst(runner, pattern, n, name, f"{prefix}_stall_ns", 1e6) for name in names])
            rows.append([f"{call}, longest that one was running, ms"] + [
                worst(runner, pattern, n, name, f"{prefix}_ran_ns", 1e6) for name in names])
        rows.append(["all of that freed, ms"] + [
            cell(runner, pattern, n, name, "seconds", lambda v: figure(v * 1e3))
            for name in names])
        where = "another kind" if pattern == "latency_other" else "the heap"
        table(f"Time of single calls while {freed} of {where} are freed by one thread and {n} "
              f"other{'s replace' if n > 1 else ' replaces'} objects", [pattern] + names, rows)


def brief_tables(runner, patterns, peers, metric):
    names = [p.name for p in peers]
    clock = "CPU time" if metric == "cpu_ns" else "time"
    rows = rows_run(runner, [p for p in patterns if p in BRIEF])
    if rows:
        table(f"Threads that come and go: {clock} for each in us",
              ["pattern", "threads"] + names,
              [[p, n] + [cell(runner, p, n, name, metric, lambda v: figure(v / 1e3))
                         for name in names] for p, n in rows])
    if rows and OWN in names and len(names) > 1:
        table(f"{clock} of this library divided by the peer's (below 1: faster)",
              ["pattern", "threads"] + compared(peers),
              ratio_rows(runner, rows, peers, lambda p, n, name: divided(
                  runner.median(p, n, OWN, metric), runner.median(p, n, name, metric))))
    if rows_run(runner, [p for p in patterns if p == "brief_alive"]):
        counts = [v for name in names for v in runner.values("brief_alive", 1, name, "idle")]
        table(f"With {min(counts, default=0):,.0f} threads alive that used the heap",
              ["brief_alive"] + names,
              [[text] + [cell(runner, "brief_alive", 1, name, m,
                              lambda v, s=scale: significant(v / s)) for name in names]
               for text, m, scale in (
                   ("one starts and uses it, us", "start_ns", 1e3),
                   ("one ends, us", "end_ns", 1e3),
                   ("fork and wait, ms", "fork_ns", 1e6),
                   ("the explicit purge, ms", "trim_ns", 1e6),
                   ("the first one, ms", "trim_first_ns", 1e6),
                   ("a malloc that fails, ms", "fail_ns", 1e6),
                   ("the first one, ms", "fail_first_ns", 1e6))])
    if rows_run(runner, [p for p in patterns if p == "brief_kinds"]):
        names = [p.name for p in peers if p.is_kind]
        table("With 500 kinds", ["brief_kinds"] + names,
              [["fork and wait, ms"] + [cell(runner, "brief_kinds", 1, name, "fork_ns",
                                             lambda v: significant(v / 1e6))
                                        for name in names]])


def single_tables(runner, patterns, peers):
    names = [p.name for p in peers]

    def rows_of(pattern, metrics):
        return [[text] + [cell(runner, pattern, 1, name, metric,
                               lambda v, s=scale: figure(v / s)) for name in names]
                for metric, scale, text in metrics]

    size = f"{runner.args.size // MIB} MiB"
    if "bulk" in patterns:
        table(f"{size} of 8 KiB objects, all freed", ["bulk"] + names, rows_of("bulk", [
            ("ns", 1, "each call, ns"), ("longest_ns", 1e3, "the longest call, us"),
            ("punch_ns", 1e3, "the file system's punch, us"),
            ("freed_anonymous", MIB, "DRAM held after, MiB"),
            ("freed_file", MIB, "file space held after, MiB"),
            ("trim_ns", 1e3, "the explicit purge, us"),
            ("trimmed_anonymous", MIB, "DRAM held then, MiB"),
            ("trimmed_file", MIB, "file space held then, MiB")]))
    names = [p.name for p in peers if p.is_kind]
    if "create" in patterns and names:
        table("A kind created, used once and destroyed", ["create"] + names,
              rows_of("create", [("ns", 1e3, "time, us"), ("cpu_ns", 1e3, "CPU time, us"),
                                 ("dram", 1024, "DRAM, KiB"),
                                 ("file", 1024, "file space, KiB")]))
    if "destroy" in patterns and names:
        table(f"A kind with {size} in it destroyed", ["destroy"] + names,
              rows_of("destroy", [("ns", 1e6, "time, ms"),
                                  ("file_ns", 1e6, "munmap and close of a file, ms"),
                                  ("ratio", 1, "ratio")]))


def fill_tables(runner, patterns, peers, metric):
    """Steps in ms, each beside anonymous memory that was only touched."""
    size = f"{runner.args.size // MIB} MiB"
    steps = {"cold": [("fill", "filled"), ("raw", "anonymous memory touched"),
                      ("raw_huge", "huge pages of it touched")],
             "fill": [("fill", "filled"), ("free", "freed by other threads"),
                      ("purge", "purged"), ("refill", "filled again"),
                      ("destroy", "destroyed"), ("raw", "anonymous memory touched"),
                      ("raw_drop", "anonymous memory unmapped"),
                      ("raw_huge", "huge pages of it touched"),
                      ("raw_huge_drop", "unmapped")]}
    text = {"cold": "objects of 16-1024 bytes", "fill": "objects of 32 bytes to 128 KiB"}
    clock = "CPU time" if metric == "cpu_ns" else "time"
    names = [p.name for p in peers]
    for pattern, threads in rows_run(runner, [p for p in patterns if p in FILL]):
        table(f"{size} of {text[pattern]} by {threads} threads, {clock} in ms",
              [pattern] + names,
              [[title] + [cell(runner, pattern, threads, name, f"{step}_{metric}",
                               lambda v: figure(v / 1e6)) for name in names]
               for step, title in steps[pattern]])


def memory_tables(runner, peers):
    def held(record_of, prefix):
        anonymous, files, payload = (record_of(m) for m in (prefix + "anonymous",
                                                            prefix + "file", "payload"))
        if None in (anonymous, files, payload):
            return None
        return anonymous / payload, files / payload

    args = runner.args
    for prefix, what in (("", "held for each live byte"),
                         ("freed_", "held after all was freed, for each byte that was live"),
                         ("trimmed_", "held after the explicit purge, for each byte that was live")):
        rows = []
        for pattern in MEMORY:
            for n in args.memory_threads:
                row = [pattern, n]
                for peer in peers:
                    parts = held(lambda m, p=peer: runner.median(pattern, n, p.name, m), prefix)
                    row.append(runner.trouble(pattern, n, peer.name) or
                               ("-" if parts is None else f"{parts[0]:.3f} + {parts[1]:.3f}"
                                if peer.is_kind else f"{parts[0]:.3f}"))
                rows.append(row)
        table(f"Memory {what} (kinds: DRAM + file space)",
              ["pattern", "threads"] + [p.name for p in peers], rows)

    rows = []
    for peer in peers:
        for key, text in (("fragments", peer.name), ("fragments_defrag", peer.name + ", defrag")):
            if (key, 1, peer.name) not in runner.results:
                continue
            trouble = runner.trouble(key, 1, peer.name)
            rows.append([text] + ([trouble] + [""] * 8 if trouble else
                        [ratio(runner.median(key, 1, peer.name, m))
                         for m in ("mean", "peak", "last", "active", "trimmed", "dram")] +
                        [figure(runner.median(key, 1, peer.name, m))
                         for m in ("ns", "moved", "phases")]))
    table("Fragmentation: space (file space of a kind, DRAM of a malloc) for each live byte, "
          "while the distribution of sizes shifts",
          ["peer", "mean", "peak", "last", "active", "purged", "DRAM", "ns", "moved", "phases"],
          rows)

    if args.wait:
        row = []
        for peer in peers:
            seconds = runner.median("giveback", 1, peer.name, "seconds")
            kept = divided(runner.median("giveback", 1, peer.name, "held"),
                           runner.median("giveback", 1, peer.name, "bytes"))
            row.append(runner.trouble("giveback", 1, peer.name) or f"{seconds:.1f} s" +
                       (f", holds {kept:.0%}" if kept > 0.1 else ""))
        table("Until nine tenths of what was freed is given back, in a program that allocates a "
              "little", ["giveback"] + [p.name for p in peers], [["until then"] + row])


def scaling_tables(runner, patterns, threads, peers, metric):
    """Throughput; by the CPU clock, what an operation costs: the same ideally."""
    shown, what = "mops", "million operations a second in all threads"
    if metric == "cpu_ns":
        shown, what = metric, "CPU time for each operation in ns"
    for pattern in patterns:
        rows = []
        for peer in peers:
            row, first = [peer.name], None
            for n in threads:
                trouble = runner.trouble(pattern, n, peer.name)
                value = runner.median(pattern, n, peer.name, shown)
                first = value if n == threads[0] else first
                row.append(trouble or f"{figure(value)} ({ratio(divided(value, first))})")
            rows.append(row)
        table(f"{pattern}: {what} (times that of {threads[0]})",
              ["threads"] + [str(n) for n in threads], rows)


def targets(runner, threads, metric):
    """What the library is meant to reach, beside what it did: (text, goal, measured, ok)."""
    rows = []

    def add(text, goal, measured, ok, unit=""):
        rows.append((text, goal, "not measured" if measured is None else f"{measured:.3g}{unit}",
                     "-" if measured is None else "pass" if ok(measured) else "miss"))

    def to_peer(pattern, n, name):
        return divided(runner.median(pattern, n, OWN, metric),
                       runner.median(pattern, n, name, metric))

    for pattern, most in (("pair", 1.1), ("churn", 1.0), ("xthread", 1.0), ("batch", 1.15),
                          ("big", 1.2)):
        for n in threads:
            add(f"{pattern}, {n} thread{'s' * (n > 1)}: time, to jemalloc's", f"<= {most}",
                to_peer(pattern, n, "jemalloc"), lambda v, m=most: v <= m)
    if 1 in threads:
        for pattern, least in (("pair", 12), ("churn", 4), ("xthread", 12), ("batch", 3),
                               ("big", 1)):
            times = divided(1, to_peer(pattern, 1, OLD))
            add(f"{pattern}, 1 thread: times as fast as libmemkind", f">= {least}", times,
                lambda v, m=least: v >= m)
    for pattern in ("pair", "batch", "churn", "big", "xthread"):
        for n in threads:
            add(f"{pattern}, {n} thread{'s' * (n > 1)}: time, to mimalloc's", "1.0",
                to_peer(pattern, n, "mimalloc"), lambda v: v <= 1.0)
    for n in [n for n in threads if n > 1]:
        add(f"pass, {n} threads: time, to mimalloc's", "<= 1.1",
            to_peer("pass", n, "mimalloc"), lambda v: v <= 1.1)
    for p, n in rows_run(runner, ["fill"]):
        add(f"fill, {n} thread{'s' * (n > 1)}: time, to jemalloc's", "<= 1.1", divided(
            runner.median(p, n, OWN, f"fill_{metric}"),
            runner.median(p, n, "jemalloc", f"fill_{metric}")), lambda v: v <= 1.1)
    if 1 in threads and 2 in threads:
        add("pair: time in 2 threads, to that in 1", "<= 1.1",
            divided(runner.median("pair", 2, OWN, metric), runner.median("pair", 1, OWN, metric)),
            lambda v: v <= 1.1)
    create = runner.median("create", 1, OWN, metric)
    dram = runner.median("create", 1, OWN, "dram")
    add("a kind created, used once, destroyed", "<= 150 us",
        create and create / 1e3, lambda v: v <= 150, " us")
    add("its DRAM", "<= 200 KiB", dram and dram / 1024, lambda v: v <= 200, " KiB")
    size = f"{runner.args.size // MIB} MiB"
    add(f"{size} destroyed: time, to munmap and close of a file", "<= 1.2",
        runner.median("destroy", 1, OWN, "ratio"), lambda v: v <= 1.2)
    # never: the worst of all rounds counts
    longest = max(runner.values("bulk", 1, OWN, "longest_ns"), default=None)
    add(f"{size} of 8 KiB objects freed: the longest call ever, to a punch", "<= 1.0",
        divided(longest, runner.median("bulk", 1, OWN, "punch_ns")), lambda v: v <= 1.0)
    add("file space after the explicit purge, of what was freed", "<= 0.01",
        divided(runner.median("bulk", 1, OWN, "trimmed_file"),
                runner.median("bulk", 1, OWN, "bytes")), lambda v: v <= 0.01)
    for key, n in rows_run(runner, FULL):
        what = f"{key}, {n} thread{'s' * (n > 1)}: "
        add(what + "objects stored, to libmemkind's", ">= 1.0",
            divided(stored(runner, key, n, OWN, metric), stored(runner, key, n, OLD, metric)),
            lambda v: v >= 1.0)
        add(what + "payload", ">= 0.9", runner.median(key, n, OWN, "payload"), lambda v: v >= 0.9)
        add(what + "the longest call ever", "<= 5 ms", divided(
            max(runner.values(key, n, OWN, "longest_ns"), default=None), 1e6),
            lambda v: v <= 5, " ms")
    for key, n in rows_run(runner, LATENCY):
        add(f"{key}: the longest call ever", "<= 10 ms", divided(max(
            (v for call in ("malloc", "free", "bulk")
             for v in runner.values(key, n, OWN, f"{call}_longest_ns")), default=None), 1e6),
            lambda v: v <= 10, " ms")
    kept = divided(runner.median("giveback", 1, OWN, "held"),
                   runner.median("giveback", 1, OWN, "bytes"))
    add("file space 30 s after, while a little is allocated", "<= 0.1", kept, lambda v: v <= 0.1)
    return rows


# ---- files -----------------------------------------------------------------------

def machine(args):
    info = {"cpus": os.cpu_count(), "kernel": platform.release(), "directory": args.dir,
            "load": os.getloadavg()[0], "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                info["cpu"] = line.split(":", 1)[1].strip()
                break
    best = ""
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in file:
            _, place, kind = line.split()[:3]
            path = os.path.realpath(args.dir) + "/"
            if path.startswith(place.rstrip("/") + "/") and len(place) > len(best):
                best, info["file_system"] = place, kind
    return info


def write_json(path, runner, peers, info, rows):
    data = {"machine": info, "arguments": vars(runner.args),
            "peers": {p.name: {"program": p.program, "about": p.about} for p in peers},
            "results": [{"pattern": k[0], "threads": k[1], "peer": k[2], "rounds": records}
                        for k, records in runner.results.items()],
            "targets": [dict(zip(("what", "goal", "measured", "result"), r)) for r in rows]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.write("\n")


def write_csv(path, runner):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["pattern", "threads", "peer", "metric", "median", "lowest", "highest",
                         "rounds", "not_ok", "own_to_peer"])
        for (pattern, n, peer), records in runner.results.items():
            metrics = list(dict.fromkeys(
                k for r in records for k, v in r.items()
                if isinstance(v, (int, float)) and k not in ("threads", "status")))
            bad = sum(r["outcome"] != "ok" for r in records)
            for metric in metrics or [""]:
                values = runner.values(pattern, n, peer, metric) if not bad else []
                own = runner.median(pattern, n, OWN, metric) if values and metric else None
                median = statistics.median(values) if values else ""
                writer.writerow([pattern, n, peer, metric, median,
                                 min(values, default=""), max(values, default=""), len(records),
                                 runner.trouble(pattern, n, peer) if bad else "",
                                 f"{own / median:.4f}" if own is not None and median else ""])


# What is drawn of the patterns by steps, with as many threads as they are run with.
FILL_BARS = [("cold", "fill", "cold"), ("fill", "fill", "fill"), ("fill", "refill", "fill_again"),
             ("fill", "destroy", "destroy")]

COLOURS = {"null": "#9ecae1", OLD: "#bdbdbd", "jemalloc": "#d95f02", "mimalloc": "#1b9e77",
           "tcmalloc": "#7570b3", "glibc": "#666666"}


def draw(path, runner, patterns, threads, peers, metric):
    """How many times as fast as each peer: bars from 1 up or down, in powers of two."""
    # (title, pattern, metric)
    shown = [(p, p, metric) for p in patterns if p in SPEED]
    fills = [(title, p, f"{step}_{metric}") for p, step, title in FILL_BARS if p in patterns]
    others = compared(peers)
    if not shown + fills or not others or OWN not in [p.name for p in peers]:
        return False
    # From 1/16 to 64 times; what is beyond is cut, so that the rest can be read.
    low, high = -4, 6
    ticks = ", ".join(f"'{2 ** i if i >= 0 else f'1/{2 ** -i}'}' {i}" for i in range(low, high + 1))
    terminal = ("pngcairo size 1200,{h} font 'sans,10'" if path.endswith(".png") else
                "svg size 1200,{h} dynamic background '#ffffff' font 'sans,13'")
    text = [f"set terminal {terminal.format(h=60 + 330 * len(threads))}",
            f"set output '{path}'", f"set multiplot layout {len(threads)},1",
            "set style data histograms", "set style histogram clustered gap 1",
            "set style fill solid 0.9 noborder", "set boxwidth 0.9 relative",
            "set grid ytics lc rgb '#dddddd'", "set key outside right top noenhanced",
            "set xtics rotate by -35 scale 0 noenhanced", "set datafile missing '?'",
            f"set ytics ({ticks})", f"set yrange [{low}:{high}]", "set xzeroaxis lt -1 lw 1.5"]
    for n in threads:
        text += [f"$data{n} << EOD", "pattern " + " ".join(others)]
        for title, pattern, what in shown + (fills if n == max(threads) else []):
            own = runner.median(pattern, n, OWN, what)
            times = [divided(runner.median(pattern, n, name, what), own) for name in others]
            text.append(title + " " + " ".join(
                "?" if t is None else f"{min(max(math.log2(t), low), high):.3f}" for t in times))
        text.append("EOD")
        text.append(f"set title 'Times as fast as each peer, {n} thread{'s' * (n > 1)} "
                    "(above 1: this library is faster; no bar: crashed or failed)' noenhanced")
        text.append("plot " + ", ".join(
            f"$data{n} using {i + 2}:xtic(1) title '{name}'"
            f" lc rgb '{COLOURS.get(name, '#aa4499')}'" for i, name in enumerate(others)))
    text.append("unset multiplot")
    try:
        subprocess.run(["gnuplot"], input="\n".join(text) + "\n", text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no plot: {error}", file=sys.stderr)
        return False
    return True


# ---- the command -----------------------------------------------------------------

def numbers(text):
    return [int(n) for n in text.split(",")]


def what_fits(directory):
    """1 GiB, or a quarter of what is free if that is less; in whole MiB."""
    stat = os.statvfs(directory)
    fits = min(1 << 30, stat.f_bavail * stat.f_frsize // 4)
    with open("/proc/meminfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                fits = min(fits, int(line.split()[1]) * 1024 // 4)
    return max(fits // MIB, 16) * MIB


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="tests/bench/run.sh", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Compares this library's pmem kind with libmemkind 1.14's and with malloc of\n"
                    "jemalloc, mimalloc, tcmalloc and glibc, in interleaved rounds.",
        epilog="patterns: " + " ".join(ALL) +
               "\npeers: own libmemkind jemalloc mimalloc tcmalloc glibc, and null: own, freed "
               "with kind NULL")
    add = parser.add_argument
    add("--quick", action="store_true", help="short measurements, three rounds: about two minutes")
    add("--runs", type=int, help="rounds [5]")
    add("--patterns", help="only these, separated by commas")
    add("--threads", type=numbers, help="numbers of threads [1,2]")
    add("--peers", help="only these, separated by commas")
    add("--library", action="append", default=[], metavar="NAME=DIR",
        help="one more peer: the libmemkind.so.0 in DIR")
    add("--malloc", action="append", default=[], metavar="NAME=FILE",
        help="one more peer: the malloc of a shared library")
    add("--list-peers", action="store_true",
        help="measures nothing: a line for each peer, with its name, program and library")
    add("--scaling", action="store_true", help="only the table of threads 1, 2, 4, 8, 16")
    add("--memory", action="store_true", help="only the memory report")
    add("--no-memory", action="store_true", help="without the memory report")
    add("--frag-seconds", type=float, default=0, metavar="S",
        help="the fragmentation test lasts at least so long [0: twelve phases]")
    add("--wait", type=float, metavar="S",
        help="at most, until freed memory is given back; 0: not measured [30, quick: 0]")
    add("--dir", default=os.environ.get("PMEM_DIR") or "/dev/shm",
        help="where the kinds' files are [$PMEM_DIR or /dev/shm]")
    add("--seconds", type=float, help="that each measurement takes [0.2]")
    add("--size", type=int, metavar="MIB", help="of a full kind [1024, or what fits]")
    add("--limit", type=int, metavar="MIB", help="of a kind at its limit [64, quick: 32]")
    add("--idle", type=int, metavar="N",
        help="threads that wait beside those that use a full kind; brief_alive has four times as "
             "many [1000, quick: 100]")
    add("--bulk", type=int, metavar="MIB",
        help="that the latency patterns free [3072, or an eighth of what is free; quick: 256]")
    add("--clock", choices=["wall", "cpu"], default="wall",
        help="what tables and targets are about: wall time, or the process's CPU time, which a "
             "busy machine disturbs less [wall]")
    add("--json", metavar="FILE", help="[results.json in the build directory]")
    add("--csv", metavar="FILE", help="[results.csv there]")
    add("--plot", metavar="FILE", help="an .svg or .png [results.svg there]")
    add("--read", metavar="FILE",
        help="measures nothing: tables and plot of the JSON of an earlier run")
    add("--build", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)

    args.runs = args.runs or (3 if args.quick else 5)
    args.seconds = args.seconds or (0.04 if args.quick else 0.2)
    args.warmup = 0.015 if args.quick else 0.05
    args.full_threads = args.threads or sorted({1, 2, min(os.cpu_count() or 1, 256)})
    args.threads = args.threads or ([1, 2, 4, 8, 16] if args.scaling else [1, 2])
    fits = what_fits(args.dir)
    args.size = args.size * MIB if args.size else min(fits, 128 * MIB) if args.quick else fits
    args.limit = (args.limit or (32 if args.quick else 64)) * MIB
    args.bulk = (args.bulk or (256 if args.quick else 0)) * MIB
    if args.idle is None:
        args.idle = 100 if args.quick else 1000
    args.live = min(fits, (16 if args.quick else 64) * MIB)
    if args.wait is None:
        args.wait = 0 if args.quick else 30
    args.memory_threads = [1] if args.quick else [1, 4]
    args.timeout = 30 + 20 * (args.seconds + args.warmup) + args.size / (64 * MIB)
    if args.patterns:
        args.patterns = args.patterns.split(",")
        unknown = set(args.patterns) - set(ALL)
        if unknown:
            parser.error("no pattern " + ", ".join(sorted(unknown)))
    return args


def read_run(args):
    """An earlier run: its results and peers; its arguments take the place of ours."""
    with open(args.read, encoding="utf-8") as file:
        data = json.load(file)
    kept = {k: getattr(args, k) for k in ("clock", "json", "csv", "plot", "build", "read")}
    for key, value in {**data["arguments"], **kept}.items():
        setattr(args, key, value)
    runner = Runner(args, None)
    for result in data["results"]:
        runner.results[result["pattern"], result["threads"], result["peer"]] = result["rounds"]
    peers = [Peer(name, what["program"], what["about"]) for name, what in data["peers"].items()]
    return runner, peers, data["machine"]


def choose(args):
    peers, missing = all_peers(args.build, args.library, args.malloc)
    names = {p.name: p for p in peers}
    if args.peers:
        wanted = args.peers.split(",")
        for name in wanted:
            if name not in names:
                sys.exit(f"no peer {name}" + (" on this machine" if name in missing else ""))
        return [names[name] for name in wanted]
    for name in missing:
        print(f"left out, as it is not installed: {name}", file=sys.stderr)
    return [p for p in peers if p.name != "null"]


def print_reasons(runner):
    """What gave no figure, and why; what the machine does not allow is no failure."""
    grouped = {}
    for (pattern, _, name), records in runner.results.items():
        for r in records:
            if r["outcome"] != "ok":
                grouped.setdefault((name, r["outcome"], r["why"]), set()).add(pattern)
    for title, wanted in (("Not measured:", False), ("Not possible here:", True)):
        lines = [f"  {name} {outcome} ({why}): {', '.join(sorted(where))}"
                 for (name, outcome, why), where in sorted(grouped.items())
                 if (outcome == "skipped") == wanted]
        if lines:
            print("\n" + "\n".join([title] + lines))


def main(argv):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    args = parse(argv)
    if args.list_peers:
        for peer in choose(args):
            print(peer.name, peer.program, peer.library or "-", sep="\t")
        return 0
    if args.read:
        runner, peers, info = read_run(args)
    else:
        peers, info = choose(args), machine(args)
        runner = Runner(args, os.path.join(args.build, "tests"))
    metric = "cpu_ns" if args.clock == "cpu" else "ns"
    print(f"{info.get('cpu', platform.machine())}, {info['cpus']} CPUs, Linux {info['kernel']}, "
          f"files in {info['directory']} ({info.get('file_system', '?')}); "
          f"{args.runs} rounds of {args.seconds:g} s")
    for peer in peers:
        print(f"  {peer.name:11} {peer.about}")
    if info["load"] > 0.5:
        print(f"  Others were using this machine (load {info['load']:.1f}): compare CPU times "
              "(--clock cpu).")

    patterns = args.patterns or (SCALING if args.scaling else ALL)
    if args.quick and not args.patterns:
        patterns = [p for p in patterns if p != "kinds512"]
    speed = not args.memory
    memory = args.memory or not (args.no_memory or args.scaling or args.patterns)
    if not args.read:
        args.json = args.json or os.path.join(args.build, "results.json")
        args.csv = args.csv or os.path.join(args.build, "results.csv")
        args.plot = args.plot or os.path.join(args.build, "results.svg")
        # Crashes are expected of some: they leave no files behind.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if speed:
            run_speed(runner, patterns, args.threads, peers, args.runs)
        if memory:
            run_memory(runner, peers)
        progress("")
        # kept whatever becomes of the tables
        write_json(args.json, runner, peers, info, [])

    rows = []
    if args.scaling:
        scaling_tables(runner, [p for p in patterns if p in SPEED], args.threads, peers, metric)
    elif speed:
        speed_tables(runner, patterns, args.threads, peers, metric)
        single_tables(runner, patterns, peers)
        fill_tables(runner, patterns, peers, metric)
        full_tables(runner, patterns, peers, metric)
        latency_tables(runner, patterns, peers)
        brief_tables(runner, patterns, peers, metric)
    if memory:
        memory_tables(runner, peers)
    if speed and not args.scaling and OWN in [p.name for p in peers]:
        rows = [r for r in targets(runner, args.threads, metric)
                if r[3] != "-" or not args.patterns]
        table("What this library is meant to reach", ["", "goal", "measured", ""],
              [list(r) for r in rows])

    print_reasons(runner)

    written = []
    if args.json:
        write_json(args.json, runner, peers, info, rows)
        written.append(args.json)
    if args.csv:
        write_csv(args.csv, runner)
        written.append(args.csv)
    if (args.plot and speed and not args.scaling and
            draw(args.plot, runner, patterns, args.threads, peers, metric)):
        written.append(args.plot)
    print(f"\n{time.monotonic() - runner.started:.0f} s; written: "
          f"{', '.join(written) or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
