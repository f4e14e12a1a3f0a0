#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Programs as they are, each with several mallocs preloaded: time, throughput, p99.

usage: programs_compare.py --build BUILD [--runs N] [--quick] [--only NAME,...]
                           [--mallocs NAME,...] [--dir DIR]

Runs are interleaved: every malloc once, then all again, each time another one first.
The table has medians, and for each program the ratio of this library's heap to each
malloc. CPU time is that of all of a program's processes, user and system; of a server,
that of the server alone, for the same requests. A run that fails, or whose output is
another one than glibc's, is "failed".
"""
import argparse
import glob
import json
import math
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

LIBRARIES = ("/usr/lib/*/", "/usr/lib/", "/usr/local/lib/")
MALLOCS = {  # in the order of the table: name of the library, environment
    "glibc": ("libc.so.6", {}),
    "jemalloc": ("libjemalloc.so.2", {}),
    "mimalloc": ("libmimalloc.so.[23]", {}),
    "tcmalloc": ("libtcmalloc_minimal.so.4", {}),
    "memtier": ("libmemtier.so.0", {"MEMKIND_MEM_TIERS": "KIND:DRAM,RATIO:1;POLICY:STATIC_RATIO"}),
    "here": (None, {}),
}
SCALES = {"numbers": 40, "cubes": 10, "server": 4, "stress": 1, "rpmix": 1, "handover": 4, "scratch": 2, "replace": 2}
LIKE = {"numbers": "cfrac", "cubes": "espresso", "server": "larson", "stress": "mstress", "rpmix": "rptest",
        "handover": "xmalloc-test", "scratch": "cache-scratch", "replace": "alloc-test"}

PYTHON = """
import json
d = {str(i): [i * j for j in range(i %% 40)] for i in range(%d)}
text = json.dumps(d)
print(len(text), sum(len(v) for v in json.loads(text).values()), len(sorted(text.split(','))))
words = {}
for i in range(%d):
    words.setdefault('w%%d' %% (i * 7919 %% 5003), []).append('x' * (i %% 200))
print(sum(map(len, words.values())))
"""
PERL = """my %%h; for my $i (1 .. %d) { push @{$h{'k' . $i * 7919 %% 4001}}, 'x' x ($i %% 100); }
my $n = 0; $n += length join ',', @{$h{$_}} for sort keys %%h; print "$n\\n";"""
SQL = """CREATE TABLE t(a INTEGER PRIMARY KEY, b INT, c TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d)
INSERT INTO t SELECT i, i*7919%%100003, printf('%%d text %%x', i, i*31) FROM n;
CREATE INDEX i ON t(b, c);
SELECT count(*), sum(length(c)), max(c) FROM (SELECT * FROM t ORDER BY c);
UPDATE t SET c = c || b WHERE a %% 3 = 0;
SELECT count(DISTINCT c), group_concat(b) FROM t WHERE a < 300;
"""
NODE = """const z = require('zlib'); let n = 0;
for (let i = 1; i < %d; i++) { const b = Buffer.alloc(1000 + i * 7919 %% 9000, 'text' + i); n += z.inflateSync(z.deflateSync(b)).length; }
console.log(n);"""


def find_library(pattern):
    for place in LIBRARIES:
        found = sorted(glob.glob(place + pattern))
        if found:
            return found[0]
    return None


def begins_so(job, name):
    """by its own name, or by that of the program that it is like"""
    return job.startswith(name) or name != "" and f"({name}" in job


class Bench:
    def __init__(self, options):
        self.options = options
        self.build = os.path.realpath(options.build)
        self.work = tempfile.mkdtemp(prefix="memkind-bench.")
        self.expected, self.results = {}, {}
        cpus = sorted(os.sched_getaffinity(0))
        # A server and its clients do not share a CPU if there is a choice.
        self.server_cpus = set(cpus[:len(cpus) // 2]) if len(cpus) > 1 else None
        self.client_cpus = set(cpus[len(cpus) // 2:]) if len(cpus) > 1 else None
        self.mallocs = {}
        for name in options.mallocs.split(","):
            library, more = MALLOCS[name]
            if library is None:
                path = os.path.join(self.build, "src", "libmemkind_preload.so")
                more = {"MEMKIND_PRELOAD_DIR": options.dir, "MEMKIND_PRELOAD_FORK": options.fork}
            else:
                path = find_library(library)
            if path is None or not os.path.exists(path):
                print(f"not installed: {name}", file=sys.stderr)
                continue
            self.mallocs[name] = {**more, "LD_PRELOAD": path}

    def environment(self, malloc):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MEMKIND_PRELOAD", "LD_PRELOAD"))}
        return {**kept, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                "PYTHONHASHSEED": "0", **self.mallocs[malloc]}

    # ---- programs that end by themselves

    def command(self, name, malloc, command, place=None):
        directory = tempfile.mkdtemp(dir=self.work)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        try:
            done = subprocess.run(command, env=self.environment(malloc), cwd=directory, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300)
        except subprocess.TimeoutExpired:
            return None
        finally:
            shutil.rmtree(directory)
        wall = time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        output = done.returncode, done.stdout
        if self.expected.setdefault(name, output) != output:
            return None
        return {"CPU s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "wall s": wall}

    # ---- servers

    def server(self, malloc, command):
        cpus = self.server_cpus
        # It ends with this program, whatever ends that.
        return subprocess.Popen(["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", *command], env=self.environment(malloc), cwd=self.work, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                preexec_fn=cpus and (lambda: os.sched_setaffinity(0, cpus)))

    def client(self, command):
        cpus = self.client_cpus
        return subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, text=True, stdout=subprocess.PIPE, timeout=300,
                              stderr=subprocess.DEVNULL, check=True,
                              preexec_fn=cpus and (lambda: os.sched_setaffinity(0, cpus))).stdout

    @staticmethod
    def cpu_of(pid):
        with open(f"/proc/{pid}/stat") as file:
            words = file.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def with_server(self, malloc, command, socket, measure):
        if os.path.exists(socket):
            os.unlink(socket)
        server = self.server(malloc, command)
        try:
            limit = time.monotonic() + 30
            while not os.path.exists(socket):
                if server.poll() is not None or time.monotonic() > limit:
                    return None
                time.sleep(0.02)
            time.sleep(0.1)
            begun = self.cpu_of(server.pid)
            figures = measure(socket)
            figures["CPU s"] = self.cpu_of(server.pid) - begun
            return figures
        except (subprocess.SubprocessError, OSError, ValueError):
            return None
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def redis(self, malloc):
        def measure(socket):
            requests = self.scaled(200000)
            self.client(["redis-benchmark", "-s", socket, "-q", "-n", str(requests), "-r", "100000", "-d", "200",
                         "-P", "16", "-t", "set,hset"])
            rates, p99 = [], []
            for line in self.client(["redis-benchmark", "-s", socket, "--csv", "-n", str(requests), "-r", "100000",
                                     "-d", "200", "-c", "20", "-t", "set,get,lpush,zadd"]).splitlines():
                words = line.replace('"', "").split(",")
                if words[0] in ("SET", "GET", "LPUSH", "ZADD"):
                    rates.append(float(words[1]))
                    p99.append(float(words[6]) * 1000)
            return {"requests/s": len(rates) / sum(1 / r for r in rates), "p99 us": statistics.mean(p99)}
        socket = os.path.join(self.work, "redis")
        return self.with_server(malloc, ["redis-server", "--port", "0", "--unixsocket", socket, "--save", ""],
                                socket, measure)

    def memcached(self, malloc):
        def measure(socket):
            rate, p99 = self.client([os.path.join(self.build, "tests", "text_load"), socket, "50000",
                                     str(self.scaled(400000)), "4"]).split()
            return {"requests/s": float(rate), "p99 us": float(p99)}
        socket = os.path.join(self.work, "memcached")
        user = ["-u", "root"] if os.getuid() == 0 else []
        return self.with_server(malloc, ["memcached", "-s", socket, "-m", "256", "-t", "2", *user], socket, measure)

    # ---- all

    def scaled(self, count):
        return count // 10 if self.options.quick else count

    def jobs(self):
        """name -> a function of the malloc"""
        root = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))

        def program(name, *command):
            return (lambda malloc: self.command(name, malloc, command)) if shutil.which(
                command[0], path="/usr/sbin:/usr/bin:/sbin:/bin") else None
        layers = [f"-I{root}/src/{l}" for l in ("sys", "jemalloc", "region", "hooks", "arena", "cache", "heap", "kind")]
        source = f"{root}/src/kind/kind_create.c"
        jobs = {f"{name} ({LIKE[name]})": program(
            name, os.path.join(self.build, "tests", "malloc_programs"), name, str(1 if self.options.quick else scale))
            for name, scale in SCALES.items()}
        sql = os.path.join(self.work, "script.sql")
        with open(sql, "w") as file:
            file.write(SQL % self.scaled(200000))
        numbers = os.path.join(self.work, "numbers")
        with open(numbers, "w") as file:
            file.writelines(f"{i * 7919 % 1000003} line {i:x}\n" for i in range(self.scaled(500000)))
        jobs |= {
            "python3": program("python3", "/usr/bin/python3", "-c", PYTHON % (self.scaled(20000), self.scaled(300000))),
            "python3, PYTHONMALLOC=malloc": program("python3m", "/usr/bin/env", "PYTHONMALLOC=malloc", "/usr/bin/python3",
                                                    "-c", PYTHON % (self.scaled(20000), self.scaled(300000))),
            "perl": program("perl", "perl", "-e", PERL % self.scaled(600000)),
            "sqlite3": program("sqlite3", "sqlite3", ":memory:", f".read {sql}"),
            "gcc -O2": program("gcc", "gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-S", "-o", "-", f"-I{root}/include",
                               *layers, source),
            "clang -O2": program("clang", "clang", "-std=c11", "-D_GNU_SOURCE", "-O2", "-S", "-o", "-",
                                 f"-I{root}/include", *layers, source),
            "g++ -O1": program("g++", "g++", "-O1", "-S", "-o", "-", f"{root}/tests/programs/reduced_new.cpp"),
            "node": program("node", "node", "-e", NODE % self.scaled(3000)),
            "sort": program("sort", "sort", "--parallel=1", numbers),
            "git log -p": program("git", "git", "-C", root, "log", "-p", "-n", "300" if not self.options.quick else "30"),
            "bash": program("bash", "bash", "-c", "declare -A a; for ((i = 0; i < %d; i++)); do a[k$i]=v$i; done; "
                            "n=0; for k in \"${!a[@]}\"; do n=$((n + ${#k})); done; echo $n" % self.scaled(60000)),
            "redis-server": self.redis if shutil.which("redis-server") else None,
            "memcached": self.memcached if shutil.which("memcached") else None,
        }
        wanted = self.options.only.split(",") if self.options.only else [""]
        for name in wanted:
            if not any(begins_so(job, name) for job in jobs):
                sys.exit(f"no program {name}; there are {', '.join(jobs)}")
        return {name: job for name, job in jobs.items() if job and any(begins_so(name, w) for w in wanted)}

    def run(self):
        jobs, mallocs = self.jobs(), list(self.mallocs)
        for turn in range(self.options.runs):
            # The first one finds the caches as another program left them.
            first = turn % len(mallocs)
            for name, job in jobs.items():
                for malloc in mallocs[first:] + mallocs[:first]:
                    if sys.stderr.isatty():
                        print(f"\r{turn + 1}/{self.options.runs} {name}, {malloc}        ", end="", file=sys.stderr)
                    self.results.setdefault(name, {}).setdefault(malloc, []).append(job(malloc))
        if sys.stderr.isatty():
            print("\r" + " " * 70 + "\r", end="", file=sys.stderr)

    def median(self, name, malloc, figure):
        runs = self.results[name][malloc]
        if any(run is None or figure not in run for run in runs):
            return None
        return statistics.median(run[figure] for run in runs)

    def table(self):
        names = list(self.mallocs)
        others = [name for name in names if name != "here"]
        ratios = {}
        print(f"{'':34} {'':10} " + " ".join(f"{name:>10}" for name in names) + "   " +
              " ".join(f"{'/' + name:>9}" for name in others) + "   /fastest")
        for name, found in self.results.items():
            for figure in ("requests/s", "p99 us", "CPU s", "wall s"):
                values = {malloc: self.median(name, malloc, figure) for malloc in names}
                if not any(run and figure in run for runs in found.values() for run in runs):
                    continue
                cells = ["failed" if v is None else f"{v:.3f}" if v < 100 else f"{v:.0f}" for v in values.values()]
                here, shown = values.get("here"), []
                for other in others:
                    if here and values[other]:
                        ratios.setdefault((figure, other), []).append(here / values[other])
                        shown.append(f"{here / values[other]:.2f}")
                    else:
                        shown.append("-")
                there = [values[other] for other in others if values[other]]
                if here and there:
                    best = (max if figure == "requests/s" else min)(there)
                    shown.append(f"{here / best:.2f}")
                print(f"{name:34} {figure:10} " + " ".join(f"{cell:>10}" for cell in cells) + "   " +
                      " ".join(f"{cell:>9}" for cell in shown))
        print()
        for figure in ("requests/s", "p99 us", "CPU s", "wall s"):
            means = {other: ratios[figure, other] for other in others if (figure, other) in ratios}
            if means:
                print(f"geometric mean of {figure}, here to " + ", ".join(
                    f"{other} {math.exp(statistics.mean(map(math.log, found))):.3f}" for other, found in means.items()))
        if self.options.json:
            with open(self.options.json, "w") as file:
                json.dump(self.results, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", help="programs whose names begin so")
    parser.add_argument("--mallocs", default=",".join(MALLOCS))
    parser.add_argument("--dir", default="/dev/shm")
    parser.add_argument("--fork", default="copy")
    parser.add_argument("--json", help="all figures, into this file")
    options = parser.parse_args()
    for name in options.mallocs.split(","):
        if name not in MALLOCS:
            parser.error(f"{name}: no such malloc; there are {', '.join(MALLOCS)}")
    bench = Bench(options)
    try:
        bench.run()
        bench.table()
    finally:
        shutil.rmtree(bench.work)


main()
