#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Past one machine: a distributed engine over this library. Six redis-servers as Debian
# ships them, three masters and a replica of each, with the memory of each one in a kind
# of its own (memkind-pmem run). They are filled; a master is killed, its replica takes
# over while it is written to, and the master comes back from its file and its peers. At
# the end every key whose writing was acknowledged is there, with its value.
#
# Usage: examples/redis-cluster.sh [OPTION...] [DIR]
#
#   DIR         where the heaps lie (default: $PMEM_DIR, else /dev/shm). On machines of
#               their own, or on several devices, each server would have its own.
#   --keys N    how many are written                         [100000]
#   --size N    most bytes of a value                        [200]
#   --build B   the build directory: the tool there is used instead of memkind-pmem
#               from $PATH, or else from build/release
#   --fork WORD what the heap is in the children that save it, see memkind-pmem(1) [snapshot]
#
# All servers listen on 127.0.0.1 only, and are stopped at the end by their own process's
# number. Exit status: 0 if no key is lost, 77 if redis-server is not installed, else 1.
set -euo pipefail
export LC_ALL=C

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
keys=100000 size=200 build='' fork=snapshot dir=''
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '4,/^set -e/p' "${BASH_SOURCE[0]}" | sed '$d;s/^# \{0,1\}//'
        exit 0
        ;;
    --keys) keys=${2:?} && shift ;;
    --size) size=${2:?} && shift ;;
    --build) build=${2:?} && shift ;;
    --fork) fork=${2:?} && shift ;;
    -*) die "no such option: $1" ;;
    *) dir=$1 ;;
    esac
    shift
done
dir=$(realpath -e "${dir:-${PMEM_DIR:-/dev/shm}}")
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
tool=$(command -v memkind-pmem || echo "$root/build/release/src/tool/memkind-pmem")
[ -z "$build" ] || tool=$build/src/tool/memkind-pmem
[ -x "$tool" ] || die "there is no $tool: build the library, or name its build with --build"
for program in redis-server redis-cli python3; do
    command -v $program >/dev/null || {
        echo "skipped: $program is not installed"
        exit 77
    }
done
python=$(command -v /usr/bin/python3 || command -v python3)

work=$(mktemp -d "${TMPDIR:-/tmp}/redis-cluster.XXXXXX")
servers=()
stop() {
    local status=$? pid
    trap - EXIT
    for pid in "${servers[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    [ $status = 0 ] || tail -n 5 "$work"/*/log >&2 2>/dev/null || true
    rm -rf "$work"
    exit $status
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Six ports whose bus's ports, 10000 further, are free as well.
mapfile -t ports < <("$python" - <<'PY'
import random, socket
held = []
while len(held) < 12:
    port, pair = random.randrange(20000, 45000), []
    try:
        for number in (port, port + 10000):
            pair.append(socket.socket())
            pair[-1].bind(("127.0.0.1", number))
    except OSError:
        continue
    held += pair
    print(port)
PY
)
cli() { redis-cli -h 127.0.0.1 -p "$@"; }
answers() { [ "$(cli "$1" ping 2>/dev/null)" = PONG ]; }
await() {
    local tries=$(($1 * 20))
    shift
    while ! "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

# server INDEX: starts it, in a folder of its own. Every write is in its log before it is
# acknowledged.
server() {
    local i=$1 port=${ports[$1]}
    mkdir -p "$work/$i"
    setpriv --pdeathsig KILL "$tool" run --dir "$dir" --fork "$fork" --stats="$work/$i/stats" -- \
        redis-server --port "$port" --bind 127.0.0.1 --dir "$work/$i" --cluster-enabled yes \
        --cluster-node-timeout 2000 --cluster-require-full-coverage no --appendonly yes \
        --appendfsync everysec --save "" --repl-diskless-sync yes --repl-diskless-sync-delay 0 \
        --latency-tracking no >>"$work/$i/log" 2>&1 </dev/null &
    pids[i]=$!
    servers+=("$!")
    await 60 answers "$port" || die "the server on port $port does not answer"
}

pids=()
redis-server --version
for i in 0 1 2 3 4 5; do server $i; done
redis-cli --cluster create "${ports[@]/#/127.0.0.1:}" --cluster-replicas 1 --cluster-yes >"$work/create" ||
    { cat "$work/create"; die "the cluster cannot be made"; }
is_ok() { cli "${ports[$1]}" cluster info | grep -q '^cluster_state:ok'; }
links_up() {
    local port
    for port in "${ports[@]}"; do
        ! cli "$port" info replication | tr -d '\r' | grep -q '^master_link_status:down' || return 1
    done
}
# Each server hears of the others' roles from them.
knows_all() { [ "$(cli "$1" cluster nodes | grep -c ' [a-z,]*slave ')" = 3 ]; }
for i in 0 1 2 3 4 5; do
    await 60 is_ok $i && await 60 knows_all "${ports[$i]}" || die "the cluster does not get ready"
done
await 60 links_up || die "a replica does not find its master"
echo "6 servers on ports ${ports[*]}, heaps in $dir"
cli "${ports[0]}" cluster nodes | awk '$3 ~ /master/ { sub(/@.*/, "", $2); print "  master " $2 ": slots " $9 }'

# The client, which reads at the end all that was acknowledged to it.
cat >"$work/client.py" <<'PY'
import os, socket, sys, time

CRC = []
for i in range(256):
    crc = i << 8
    for _ in range(8):
        crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
    CRC.append(crc)

def slot(key):
    crc = 0
    for byte in key:
        crc = (crc << 8 & 0xffff) ^ CRC[crc >> 8 ^ byte]
    return crc % 16384

class Node:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=3)
        self.file = self.socket.makefile("rb")
    def send(self, commands):
        self.socket.sendall(b"".join(b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in words) for words in commands))
    def answer(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        if kind == b":":
            return int(rest)
        return line[:-2]

class Cluster:
    def __init__(self, ports):
        self.ports, self.nodes, self.owners, self.alone = ports, {}, [], set()
        self.refresh()
    def node(self, port):
        if port not in self.nodes:
            self.nodes[port] = Node(port)
        return self.nodes[port]
    def refresh(self):
        for port in self.ports:
            try:
                node = self.node(port)
                node.send([(b"CLUSTER", b"SLOTS")])
                ranges = node.answer()
                if not isinstance(ranges, list):
                    continue
                owners = [None] * 16384
                for first, last, master, *_ in ranges:
                    owners[first:last + 1] = [master[1]] * (last - first + 1)
                self.owners = owners
                return
            except OSError:
                self.nodes.pop(port, None)
    # Whether a replica has all that this connection has written; yes if there is none
    # (as when it has just become the master itself).
    def is_copied(self, port, node):
        if port in self.alone:
            return True
        node.send([(b"WAIT", b"1", b"1000")])
        if node.answer() != 0:
            return True
        node.send([(b"INFO", b"replication")])
        if b"connected_slaves:0" in node.answer():
            self.alone.add(port)
        return port in self.alone
    # One for each command; those that do not count begin with "-".
    def answers(self, commands):
        by_port = {}
        for index, words in enumerate(commands):
            by_port.setdefault(self.owners[slot(words[1])], []).append(index)
        results = [b"-no owner"] * len(commands)
        for port, indices in by_port.items():
            if port is None:
                continue
            try:
                node = self.node(port)
                node.send([commands[i] for i in indices])
                found = [node.answer() for _ in indices]
                if commands[indices[0]][0] == b"SET" and not self.is_copied(port, node):
                    continue
                for i, answer in zip(indices, found):
                    results[i] = answer
            except OSError:
                self.nodes.pop(port, None)
        if any(isinstance(r, bytes) and r.startswith(b"-") for r in results):
            self.refresh()
        return results

def key(number):
    return b"user:%d" % number

def value(number, size):
    text = b"%d." % number
    return (text * (size // len(text) + 1))[:size - number % (size // 2)]

def main():
    command, count, size, ports = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), [int(p) for p in sys.argv[4:]]
    cluster, step = Cluster(ports), 500
    if command == "fill" or command == "more":
        # Each until it is acknowledged, which it is by a master and its replica. "more":
        # other keys, some at a time; how long the longest took.
        longest = 0
        first, last = (0, count) if command == "fill" else (count, count + count // 10)
        if command == "more":
            step = 20
        for start in range(first, last, step):
            left, since = list(range(start, min(start + step, last))), time.monotonic()
            while left:
                results = cluster.answers([(b"SET", key(n), value(n, size)) for n in left])
                left = [n for n, r in zip(left, results) if r != b"+OK"]
                if left:
                    time.sleep(0.02)
                if time.monotonic() - since > 90:
                    sys.exit(f"key {left[0]} cannot be written")
            longest = max(longest, time.monotonic() - since)
        print("%d keys written%s" % (last - first, "" if command == "fill" else
              f"; the longest that one took: {longest:.2f} s"))
    elif command == "verify":
        missing, since = 0, time.monotonic()
        for start in range(0, count, step):
            left = list(range(start, min(start + step, count)))
            while left:
                results = cluster.answers([(b"GET", key(n)) for n in left])
                again = []
                for number, result in zip(left, results):
                    if isinstance(result, bytes) and result.startswith(b"-"):
                        again.append(number)
                    elif result != value(number, size):
                        missing += 1
                left = again
                if time.monotonic() - since > 90:
                    sys.exit("keys cannot be read")
        print(f"{count} keys read, {missing} lost")
        sys.exit(missing != 0)

main()
PY
client() { timeout 300 "$python" "$work/client.py" "$1" "$2" "$size" "${ports[@]}"; }
client fill "$keys"

# The master of slot 0, and its replica.
victim_port=$(cli "${ports[0]}" cluster slots | sed -n 4p)
for i in 0 1 2 3 4 5; do [ "${ports[$i]}" != "$victim_port" ] || victim=$i; done
other=$(((victim + 1) % 6))
node_of() { cli "${ports[$other]}" cluster nodes | awk -v port=":$1@" 'index($2, port)'; }
id=$(node_of "$victim_port" | awk '{ print $1 }')
replica_port=$(cli "${ports[$other]}" cluster nodes | awk -v id="$id" '$4 == id { sub(/.*:/, "", $2); sub(/@.*/, "", $2); print $2 }')
echo "killed: the master on port $victim_port, process ${pids[$victim]}, with $(cli "$victim_port" dbsize) keys"
[ -n "$replica_port" ] || die "the master on port $victim_port has no replica"
client more "$keys" >"$work/more" &
writer=$!
sleep 0.3
kill -KILL "${pids[$victim]}"
killed=$(date +%s%N)
wait "${pids[$victim]}" 2>/dev/null || true
is_master() { node_of "$replica_port" | grep -q ' [a-z,]*master '; }
await 60 is_master || die "the replica does not take over"
echo "failover: the replica on port $replica_port is the master after $((($(date +%s%N) - killed) / 1000000)) ms"
wait $writer || die "$(cat "$work/more")"
echo "meanwhile: $(cat "$work/more")"

# From its file, and then, as a replica, from the new master.
server "$victim"
follows() {
    cli "$victim_port" info replication | tr -d '\r' | grep -qx 'role:slave' &&
        cli "$victim_port" info replication | tr -d '\r' | grep -qx 'master_link_status:up'
}
same_size() { [ "$(cli "$victim_port" dbsize)" = "$(cli "$replica_port" dbsize)" ]; }
await 90 follows || die "the killed server does not come back"
await 60 same_size || die "the killed server does not get all keys"
echo "back: port $victim_port is a replica with $(cli "$victim_port" dbsize) keys"
total=$((keys + keys / 10))
client verify $total || die "keys are lost"

# And now the other way round: the one that came back takes over, as told. Its master
# agrees once it knows it for its replica. redis gives up after 5 s; it is then asked again.
is_known() {
    cli "$replica_port" cluster nodes | awk -v port=":$victim_port@" '
        $3 ~ /myself/ { id = $1 }
        index($2, port) { of = $4 }
        END { exit of != id }'
}
await 60 is_known || die "the server that came back is not known to its master"
is_back() { node_of "$victim_port" | grep -q ' [a-z,]*master '; }
take_over() {
    cli "$victim_port" cluster failover >/dev/null
    await 8 is_back
}
take_over || take_over || take_over || die "the server that came back does not take over"
await 60 is_ok "$victim"
client verify $total || die "keys are lost"

for i in 0 1 2 3 4 5; do
    slots[i]=$(cli "${ports[$other]}" cluster nodes | awk -v port=":${ports[$i]}@" 'index($2, port) {
        role = $3 ~ /master/ ? "master" : "replica"; $1 = $2 = $3 = $4 = $5 = $6 = $7 = $8 = ""; sub(/^ +/, ""); print role "\t" $0 }')
    count[i]=$(cli "${ports[$i]}" dbsize)
done
for i in 0 1 2 3 4 5; do
    cli "${ports[$i]}" shutdown nosave >/dev/null 2>&1 || true
done
servers_left() {
    local pid
    for pid in "${servers[@]}"; do ! kill -0 "$pid" 2>/dev/null || return 1; done
}
await 60 servers_left || die "a server does not stop"
printf '%-8s %-8s %9s %14s %14s  %s\n' port role keys "heap in file" "in DRAM" slots
for i in 0 1 2 3 4 5; do
    awk -v port="${ports[$i]}" -v role="${slots[$i]%%	*}" -v slots="${slots[$i]#*	}" -v keys="${count[$i]}" '
        /file space:/ { file = $3 }
        /in DRAM:/ { dram = $3 }
        END { printf "%-8s %-8s %9d %10.1f MiB %10.1f MiB  %s\n", port, role, keys, file / 1048576, dram / 1048576, slots
              exit file == 0 }' "$work/$i/stats" || die "the heap of port ${ports[$i]} is not in a file"
done
echo "all is well: no acknowledged key is lost"
