#!/usr/bin/env bash
# node: its own heap is mapped by V8; buffers, zlib, workers and child processes are not.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need node
node --version
cat >"$work/script.js" <<'JS'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const zlib = require('zlib'), crypto = require('crypto'), { execFileSync } = require('child_process');
function work(seed) {
    const hash = crypto.createHash('sha256'), kept = [];
    for (let i = 1; i < 300; i++) {
        const buffer = Buffer.alloc(1000 + (i * seed * 7919) % 20000, `${seed}-${i}`);
        const packed = zlib.deflateSync(buffer);
        if (!zlib.inflateSync(packed).equals(buffer)) throw new Error('zlib');
        hash.update(packed); kept.push(buffer);
    }
    const map = new Map();
    for (let i = 0; i < 20000; i++) map.set('k' + (i * seed) % 5003, { i, text: 'x'.repeat(i % 50) });
    return [hash.digest('hex'), map.size, kept.reduce((n, b) => n + b.length, 0)].join(' ');
}
if (!isMainThread) parentPort.postMessage(work(workerData));
else {
    console.log(work(1));
    console.log(execFileSync('/bin/echo', ['child']).toString().trim());
    const jobs = [2, 3, 4].map((seed) => new Promise((good, bad) => {
        const worker = new Worker(__filename, { workerData: seed });
        worker.on('message', good); worker.on('error', bad);
    }));
    Promise.all(jobs).then((all) => { console.log(all.join('\n')); process.exitCode = 5; });
}
JS
limit=100
same "a script" node "$work/script.js"
holds node $((4 << 20))
passed
