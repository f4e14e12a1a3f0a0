#!/usr/bin/env bash
# sqlite3: statements in the manner of its speed test, on a file and in memory, whose
# answers and database are the same; the database is found sound.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need sqlite3
sqlite3 --version
rows=10000
[ -z "$long" ] || rows=500000
need_space "$heap_dir" $((128 + rows / 500)) || exit 77

# A statement's answer must not depend on a clock or on chance.
cat >"$work/script" <<SQL
PRAGMA cache_size=20000;
PRAGMA journal_mode=$([ -z "$long" ] && echo MEMORY || echo WAL);
CREATE TABLE z1(a INTEGER, b INTEGER, c TEXT);
CREATE TABLE z2(a INTEGER PRIMARY KEY, b INTEGER UNIQUE, c TEXT) WITHOUT ROWID;
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<$rows)
    INSERT INTO z1 SELECT i, (i*7919)%$rows, printf('%d is %s of %x', i, hex(i*i), i*31) FROM n;
INSERT INTO z2 SELECT a, b+a*$rows, c FROM z1;
COMMIT;
SELECT count(*), sum(b), min(c), max(c), avg(length(c)) FROM z1 WHERE b BETWEEN 100 AND $((rows / 2));
SELECT count(*) FROM z1 WHERE c LIKE '%F%9%';
CREATE INDEX i1 ON z1(b);
CREATE INDEX i2 ON z1(c, b);
SELECT a, b, c FROM z1 ORDER BY c DESC LIMIT 20;
SELECT count(*), total(x.a * y.b) FROM z1 x JOIN z2 y ON x.b = y.a WHERE x.a % 3 = 0;
UPDATE z1 SET b = b * 2, c = c || ' twice' WHERE a % 5 = 0;
UPDATE z2 SET c = (SELECT c FROM z1 WHERE z1.a = z2.a) WHERE a % 7 = 0;
DELETE FROM z1 WHERE c GLOB '*1*' AND a % 2;
INSERT OR REPLACE INTO z2 SELECT a, b + $((rows * rows * 4)), 'again ' || c FROM z1 WHERE a % 11 = 0;
SELECT b % 100, count(*), group_concat(a, ',') FROM (SELECT * FROM z1 WHERE a < 2000) GROUP BY 1 ORDER BY 1;
CREATE TABLE words AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<$rows)
    SELECT i, zeroblob(i % 300) AS blob FROM n;
SELECT sum(length(blob)), count(DISTINCT length(blob)) FROM words;
WITH RECURSIVE n(i, s) AS (SELECT 1, 'x' UNION ALL SELECT i+1, substr(s || i, 1, 400) FROM n WHERE i<$rows)
    SELECT count(*), max(length(s)) FROM n;
SELECT a, row_number() OVER (PARTITION BY b % 10 ORDER BY c), lag(c, 3) OVER (ORDER BY a) FROM z1 ORDER BY a LIMIT 50;
SELECT json_group_array(json_object('a', a, 'c', c)) FROM (SELECT a, c FROM z1 ORDER BY a LIMIT 3000);
ALTER TABLE z1 ADD COLUMN d DEFAULT 'none';
DROP INDEX i2;
VACUUM;
ANALYZE;
PRAGMA integrity_check;
PRAGMA foreign_key_check;
SELECT count(*) FROM sqlite_schema;
SQL
run() { sqlite3 -bail "$1" ".read $work/script" ".dump"; }
export work
export -f run
same "in a file" bash -c 'run database'
sqlite3 heap/database 'PRAGMA integrity_check' | grep -qx ok || fail "the database is not sound"
same "in memory" bash -c 'run :memory:'
ended_well
holds sqlite3 $((rows * 100))
passed "$(wc -l <"$work/heap.out") lines of output"
