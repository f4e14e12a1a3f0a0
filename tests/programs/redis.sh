#!/usr/bin/env bash
# redis-server: filled, saved and rewritten by forked children while it is written to,
# and started again from what they wrote.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need redis-server redis-cli redis-benchmark redis-check-rdb redis-check-aof setpriv /usr/bin/python3
redis-server --version
keys=100000 pairs=5000 rounds=1
[ -z "$long" ] || keys=1000000 pairs=50000 rounds=10 limit=3000
size=100
need_space "$heap_dir" $((64 + keys / 600)) || exit 77
socket=$work/socket plain=$work/plain-socket

client() { python redis_client.py "$@"; }
call() { redis-cli -s "$socket" "$@"; }
# launch SOCKET DIRECTORY COMMAND... : the server in $server
launch() {
    local at=$1 dir=$2
    shift 2
    mkdir -p "$dir"
    start "$work/log" "$@" redis-server --port 0 --unixsocket "$at" --dir "$dir" --save "" \
        --enable-debug-command local ${options[@]+"${options[@]}"}
    await 120 loaded "$at" || { tail "$work/log"; fail "redis-server does not answer"; }
}
loaded() { [ "$(redis-cli -s "$1" ping)" = PONG ]; }
shut_down() {
    redis-cli -s "$1" shutdown nosave || true
    ended "$2" || { tail "$work/log"; fail "redis-server: exit status $?"; }
}
idle() { [ "$(call info persistence | tr -d '\r' | awk -F: -v f="$1" '$1 == f { print $2 }')" = 0 ]; }
ok() { call info persistence | tr -d '\r' | grep -qx "$1:ok" || fail "$1 is not ok"; }

launch "$socket" "$work/data" "${heap[@]}"
client "$socket" fill $keys $size

# Writers that never stop: children are forked in between.
client "$socket" pairs $pairs "$work/enough" >pairs.out 2>&1 &
writer=$!
some_pairs() { [ -n "$(call get "pair:$((RANDOM % pairs)):a")" ]; }
await 10 some_pairs || fail "the writer of pairs does not begin"

# The digest of the moment in which the child is forked: no writer comes between, and
# all go on at once afterwards.
save_with_digest() {
    call client pause 3600000 write >/dev/null
    digest=$(call debug digest)
    call bgsave >/dev/null
    call client unpause >/dev/null
}

snapshots=0
for ((round = 0; round < rounds; round++)); do
    save_with_digest
    call eval "local n = 0; for i = 1, 100000 do n = n + i end; return n" 0 >/dev/null
    await 120 idle rdb_bgsave_in_progress || fail "the background save does not end"
    ok rdb_last_bgsave_status
    redis-check-rdb "$work/data/dump.rdb" >check.out || { cat check.out; fail "redis-check-rdb"; }
    # Loaded by a server without the heap, every pair agrees.
    options=()
    mkdir -p "$work/other"
    cp "$work/data/dump.rdb" "$work/other"
    heap_server=$server
    launch "$plain" "$work/other"
    [ "$(redis-cli -s "$plain" debug digest)" = "$digest" ] || fail "snapshot $((round + 1)): not what there was at the fork"
    client "$plain" verify $keys $size >/dev/null
    echo "snapshot $((round + 1)): the digest at the fork, $(client "$plain" check-pairs $pairs) pairs agree"
    shut_down "$plain" "$server"
    server=$heap_server
    snapshots=$((snapshots + 1))
done

# A log of commands, which a child rewrites.
call config set appendonly yes >/dev/null
await 120 idle aof_rewrite_in_progress || fail "the first rewrite does not end"
for ((round = 0; round < rounds; round++)); do
    call bgrewriteaof >/dev/null
    sleep 0.3
    await 120 idle aof_rewrite_in_progress || fail "the rewrite does not end"
    await 120 idle aof_rewrite_scheduled || fail "the rewrite does not begin"
    ok aof_last_bgrewrite_status
done

redis-benchmark -s "$socket" -q -n $keys -r $keys -d $size -P 16 -t set,get >benchmark.out
redis-benchmark -s "$socket" -q -n $((keys / 10)) -r $keys -d $size -P 16 \
    -t incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,mset >>benchmark.out
# (It prints its progress in between, in the same lines.)
results=$(tr '\r' '\n' <benchmark.out | grep -c 'requests per second') || true
[ "$results" = 13 ] || { tr '\r' '\n' <benchmark.out | tail -n 20; fail "redis-benchmark: $results results of 13"; }
touch "$work/enough"
wait "$writer" || { cat pairs.out; fail "the writer of pairs"; }
echo "$(cat pairs.out) pairs written meanwhile"
call config set activedefrag yes >/dev/null 2>&1 || true # a redis with its own jemalloc only
call memory purge >/dev/null
call memory doctor >/dev/null
digest=$(call debug digest)
total=$(call dbsize)
call bgsave >/dev/null
await 120 idle rdb_bgsave_in_progress || fail "the last save does not end"
ok rdb_last_bgsave_status
client "$socket" verify $keys $size
shut_down "$socket" "$server"
holds redis-server $((keys * size))

# From the log, and from the snapshot.
redis-check-aof "$work"/data/appendonlydir/*.manifest >check.out 2>&1 || { cat check.out; fail "redis-check-aof"; }
for from in aof rdb; do
    options=()
    [ $from = rdb ] || options=(--appendonly yes)
    launch "$socket" "$work/data" "${heap[@]}"
    [ "$(call dbsize)" = "$total" ] || fail "from $from: $(call dbsize) keys of $total"
    [ "$(call debug digest)" = "$digest" ] || fail "from $from: the contents differ"
    client "$socket" verify $keys $size >/dev/null
    client "$socket" check-pairs $pairs >/dev/null
    echo "from $from: $total keys, the same digest"
    shut_down "$socket" "$server"
done
passed "$snapshots snapshots with pairs that agree"
