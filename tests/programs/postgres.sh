#!/usr/bin/env bash
# postgres, as a user other than root: a cluster is made, filled and used by many
# clients; killed at once, it recovers; its data has checksums and is dumped.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
bin=$(find /usr/lib/postgresql/*/bin -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] || skip "postgres is not installed"
need setpriv
"$bin/postgres" --version
scale=1 seconds=3
[ -z "$long" ] || scale=20 seconds=60
need_space "$heap_dir" $((256 + scale * 32)) || exit 77
need_space "$work" $((256 + scale * 64)) || exit 77
user=()
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || skip "there is no user postgres"
    user=(setpriv --reuid postgres --regid postgres --init-groups)
    mkdir data sockets
    chown postgres data sockets
else
    mkdir data sockets
fi
# As that user, who may have no way to the build's folder.
mkdir bin
cp "$tool" bin/memkind-pmem
cp -L "$build/src/libmemkind.so.0" "$build/src/libmemkind_preload.so" bin
chmod -R a+rX bin
heap[0]=$work/bin/memkind-pmem
export LD_LIBRARY_PATH=$work/bin PGHOST=$work/sockets PGUSER=postgres PGDATABASE=postgres

as_user() { ${user[@]+"${user[@]}"} "$@"; }
as_user timeout 100 "${heap[@]}" "$bin/initdb" -D "$work/data" -U postgres --no-locale -E UTF8 -k --no-sync \
    >initdb.out 2>&1 || { cat initdb.out; fail "initdb"; }
cat >>data/postgresql.conf <<CONF
listen_addresses = ''
unix_socket_directories = '$work/sockets'
shared_buffers = 32MB
max_connections = 30
fsync = off
max_parallel_workers_per_gather = 2
CONF
launch() {
    start "$work/log" ${user[@]+"${user[@]}"} setpriv --pdeathsig KILL "${heap[@]}" "$bin/postgres" -D "$work/data"
    await 30 "$bin/pg_isready" -q || { cat log; fail "postgres does not answer"; }
}
settled() { ! kill -0 "$server" || "$bin/pg_isready" -q; }
ask() { "$bin/psql" -XAtq -v ON_ERROR_STOP=1 "$@"; }
consistent() {
    # pgbench's tables all have one sum; the table of its history has the changes.
    ask -c "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)
        AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(tbalance) FROM pgbench_tellers)
        AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history)" | grep -qx t
}
launch
"$bin/pgbench" -i -s $scale -q >pgbench.out 2>&1 || { cat pgbench.out; fail "pgbench -i"; }
"$bin/pgbench" -c 4 -j 2 -T $seconds >pgbench.out 2>&1 || { cat pgbench.out; fail "pgbench"; }
consistent || fail "the tables do not agree"
# Sorts and hashes in the backends' memory, and in parallel workers.
ask -c "SET work_mem = '64MB'" -c "SET parallel_setup_cost = 0" -c "SET parallel_tuple_cost = 0" \
    -c "SELECT count(*), md5(string_agg(t, ',')) FROM (SELECT md5(g::text) t FROM generate_series(1, $((scale * 20000))) g ORDER BY 1) s" \
    -c "SELECT a.bid, count(*), sum(b.aid) FROM pgbench_accounts a JOIN pgbench_accounts b ON a.aid = b.aid + 1 GROUP BY 1 ORDER BY 1" \
    -c "CREATE TABLE j AS SELECT g id, jsonb_build_object('k', g, 'v', repeat('x', g % 300)) d FROM generate_series(1, 5000) g" \
    -c "CREATE INDEX ON j USING gin (d)" -c "SELECT count(*) FROM j WHERE d @> '{\"k\": 77}'" >answers.heap

# Killed in the middle of its work: no acknowledged transaction is lost.
"$bin/pgbench" -n -c 4 -j 2 -T 30 >/dev/null 2>&1 &
load=$!
sleep 1
kill -KILL "$server"
ended "$server" 2>/dev/null || true
wait $load || true
# It does not begin while processes of the one before are there, which end when they see
# that it is gone.
for ((turn = 0; turn < 20; turn++)); do
    start "$work/log" ${user[@]+"${user[@]}"} setpriv --pdeathsig KILL "${heap[@]}" "$bin/postgres" -D "$work/data"
    await 30 settled || { cat log; fail "postgres does not answer"; }
    ! kill -0 "$server" 2>/dev/null || break
    ended "$server" || true
    sleep 0.5
done
grep -q 'automatic recovery in progress' log || { cat log; fail "no recovery"; }
consistent || {
    ask -c "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(delta) FROM pgbench_history),
        (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(tbalance) FROM pgbench_tellers)"; tail -20 log
    fail "after recovery the tables do not agree"
}
history=$(ask -c 'SELECT count(*) FROM pgbench_history')
ask -c 'VACUUM FULL ANALYZE' -c 'REINDEX DATABASE postgres' 2>/dev/null
timeout 60 "${heap[@]}" "$bin/pg_dump" >dump.heap
timeout 60 "$bin/pg_dump" >dump.plain
# (Newer ones put a random word in.)
sed -i '/^\\\(un\)\?restrict /d' dump.heap dump.plain
compare "pg_dump" dump.plain dump.heap
kill -INT "$server"
ended "$server" || { tail log; fail "postgres: exit status $?"; }
as_user timeout 60 "${heap[@]}" "$bin/pg_checksums" -D "$work/data" --check >checksums.out || { cat checksums.out; fail "pg_checksums"; }
holds postgres $((1 << 20))
count=1
passed "$history transactions"
