#!/usr/bin/env bash
# java: the virtual machine's own allocations (its heap is mapped), with threads,
# direct buffers and another process.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need java
java -version 2>&1 | head -1
same "java -version" java -Xshare:auto -version
ended_well
if command -v javac >/dev/null; then
    cat >"$work/Program.java" <<'JAVA'
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;
public class Program {
    static String work(int seed) throws Exception {
        TreeMap<String, Integer> counts = new TreeMap<>();
        for (int i = 0; i < 20000; i++) counts.merge("key" + (i * seed) % 1009, i, Integer::sum);
        long sum = 0;
        for (int i = 1; i < 50; i++) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(i * 1000);
            for (int j = 0; j < buffer.capacity(); j++) buffer.put((byte) (j * seed));
            CRC32 crc = new CRC32();
            buffer.flip(); crc.update(buffer); sum += crc.getValue();
            Deflater deflater = new Deflater();
            deflater.setInput(("text " + i).repeat(100).getBytes()); deflater.finish();
            sum += deflater.deflate(new byte[10000]); deflater.end();
        }
        return seed + " " + counts.hashCode() + " " + sum;
    }
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<String>> results = new ArrayList<>();
        for (int i = 1; i <= 8; i++) { final int seed = i; results.add(pool.submit(() -> work(seed))); }
        for (Future<String> result : results) System.out.println(result.get());
        pool.shutdown();
        Process child = new ProcessBuilder("/bin/echo", "child").start();
        System.out.println(new String(child.getInputStream().readAllBytes()).trim() + " " + child.waitFor());
        System.exit(6);
    }
}
JAVA
    same "javac" javac -d . "$work/Program.java"
    ended_well
    cp -r heap classes
    same "a program" java -Xmx128m -cp "$work/classes" Program
    holds javac $((4 << 20))
fi
holds java $((4 << 20))
passed
