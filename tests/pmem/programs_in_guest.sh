#!/bin/sh
# In the guest: redis-server and sqlite3 with their malloc in files on DAX, beside what
# they do without.
#   programs_in_guest.sh PLACE
place=$1
failed() { echo "failed: $*"; exit 1; }
# most PROGRAM: the most file space that a process of that name has reported.
most() { awk -v p="$1" '/report of process/ { named = $NF == p } named && /file space:/ { if ($NF > m) m = $NF } END { print m + 0 }' /tmp/stats; }
heap="./memkind-pmem run --dir $place --fork ${PROGRAMS_FORK:-copy} --stats=/tmp/stats --"
./memkind-pmem check "$place" | grep -i dax | head -3

if [ -x sqlite3 ]; then
    cat >/tmp/script <<SQL
CREATE TABLE t(a INTEGER PRIMARY KEY, b INT, c TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000)
    INSERT INTO t SELECT i, i*7919%10007, printf('%d text %x', i, i*31) FROM n;
CREATE INDEX i ON t(b, c);
SELECT count(*), sum(length(c)), max(c) FROM (SELECT * FROM t ORDER BY c);
UPDATE t SET c = c || b WHERE a % 3 = 0;
SELECT count(DISTINCT c), group_concat(b) FROM t WHERE a < 300;
PRAGMA integrity_check;
SQL
    ./sqlite3 /tmp/plain.db ".read /tmp/script" .dump >/tmp/plain 2>&1 || failed "sqlite3, plain"
    $heap ./sqlite3 /tmp/heap.db ".read /tmp/script" .dump >/tmp/heap 2>&1 || { cat /tmp/heap; failed "sqlite3"; }
    cmp /tmp/plain /tmp/heap && cmp /tmp/plain.db /tmp/heap.db || failed "sqlite3: another result"
    [ "$(most sqlite3)" -gt 500000 ] || failed "sqlite3: $(most sqlite3) bytes in files"
    echo "sqlite3: the same, $(most sqlite3) bytes in files"
fi

if [ -x redis-server ]; then
    socket=/tmp/redis
    call() { ./redis-cli -s $socket "$@"; }
    launch() {
        $heap ./redis-server --port 0 --unixsocket $socket --dir /tmp --save "" --enable-debug-command local >/tmp/redis.log 2>&1 &
        server=$!
        i=0
        until [ "$(call ping 2>/dev/null)" = PONG ]; do
            i=$((i + 1))
            [ $i -lt 200 ] || { cat /tmp/redis.log; failed "redis-server does not answer"; }
            sleep 0.1
        done
    }
    idle() {
        i=0
        until call info persistence | grep -q '^rdb_bgsave_in_progress:0'; do
            i=$((i + 1))
            [ $i -lt 600 ] || failed "the save does not end"
            sleep 0.1
        done
        call info persistence | grep -q '^rdb_last_bgsave_status:ok' || failed "the save: $(tail -3 /tmp/redis.log)"
    }
    launch
    call debug populate 20000 key 100 >/dev/null
    ./redis-benchmark -s $socket -q -n 5000 -r 5000 -d 100 -P 16 -t set,lpush,hset >/dev/null
    call bgsave >/dev/null
    call set more value >/dev/null # while it is saved
    idle
    digest=$(call debug digest)
    call bgsave >/dev/null
    idle
    call shutdown nosave
    wait $server
    launch
    [ "$(call debug digest)" = "$digest" ] || failed "redis-server: started again, it has other contents"
    keys=$(call dbsize)
    call shutdown nosave
    wait $server || failed "redis-server: exit status $?"
    [ "$(most redis-server)" -gt 2000000 ] || failed "redis-server: $(most redis-server) bytes in files"
    echo "redis-server: $keys keys, saved and started again, $(most redis-server) bytes in files"
fi
echo "passed"
