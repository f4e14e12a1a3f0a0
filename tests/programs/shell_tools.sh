#!/usr/bin/env bash
# The small programs that scripts are made of, and bash and dash with them.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
bash --version | head -1
sort --version | head -1
lines=20000
[ -z "$long" ] || lines=2000000
need_space "$heap_dir" $((128 + lines / 5000)) || exit 77
awk -v lines=$lines 'BEGIN { srand(7); for (i = 0; i < lines; i++) printf "%d %x word%d\n", rand() * 1e9, i * 7919, i % 977 }' >input
export INPUT=$work/input

same "sort" sort --parallel=4 -S 64M "$INPUT"
holds sort $((lines * 30))
same "sort -u -k" sort -t ' ' -k3,3 -k1,1n -u "$INPUT"
same "awk" awk '{ n[$3] += $1; last[$3] = last[$3] substr($2, 1, 2) } END { for (w in n) print w, n[w], length(last[w]) | "sort" }' "$INPUT"
same "grep" grep -E -c '(1|7)+[a-f].*word(9|8)' "$INPUT"
same "sed" sed -E 's/([0-9]+) ([0-9a-f]+)/\2-\1/; /word97$/d' "$INPUT"
same "find" find "$root/src" -name '*.c' -newer /etc/passwd
same "diff" bash -c 'sort "$INPUT" | head -5000 >a; sort -r "$INPUT" | head -5000 >b; diff a b | wc -l'
for packer in gzip bzip2 xz zstd; do
    ! command -v $packer >/dev/null || same "$packer" bash -c "$packer -c <\"\$INPUT\" >packed && $packer -dc <packed | cmp - \"\$INPUT\" && echo same"
done
same "tar" tar --sort=name --mtime=@0 --owner=0 --group=0 -czf files.tar.gz -C "$root" src include
! command -v bc >/dev/null || same "bc" bash -c 'echo "scale=500; 4*a(1)" | bc -l'
! command -v make >/dev/null || same "make" bash -c 'printf "all: a b c d\n%%:\n\techo \$@ >\$@\n" >Makefile; make -j4 -s && cat a b c d'
! command -v m4 >/dev/null || same "m4" bash -c 'echo "define(f, \`ifelse(\$1, 0, , \$1 \`f(decr(\$1))'"'"')'"'"')f(200)" | m4'
! command -v tclsh >/dev/null || same "tclsh" bash -c 'echo "for {set i 0} {\$i < 5000} {incr i} {dict set d k\$i [string repeat x \$i]}; puts [string length \$d]" | tclsh'
! command -v ruby >/dev/null || same "ruby" ruby -e 'h = {}; 50000.times { |i| h["k#{i}"] = "v" * (i % 50) }; puts h.values.join.size; GC.start; puts h.size'
! command -v gdb >/dev/null || same "gdb" gdb -batch -nx -ex 'p 6*7' -ex 'info line main' /bin/true

# Shells: children that read what they were forked with while the parent goes on, in all
# the ways that a shell has of making them.
cat >"$work/script.sh" <<'SH'
n=0
list=
while [ $n -lt 300 ]; do list="$list item$n"; n=$((n + 1)); done
value=before
for i in 1 2 3 4 5 6 7 8; do
    (sleep 0.0$i; set -- $list; echo "$i $# $value ${300} $(echo "$list" | wc -c)" >child$i) &
    value=after$i; list="$list more$i"; unset junk; junk=$list$list$list
done
wait
cat child?
echo "$list" | tr ' ' '\n' | while read -r word; do case $word in *9) echo "$word" ;; esac; done | sort | tail -5
(exit 3); echo $?
cat <<HERE
$(for i in 1 2 3; do echo "$(echo "$(echo nested $i)")"; done)
HERE
trap 'echo trapped' USR1; kill -USR1 $$
f() { [ $1 -gt 0 ] && echo $1 && f $(($1 - 1)); }; f 50 | tail -1
exec sh -c 'exit 9'
SH
for shell in bash dash; do
    ! command -v $shell >/dev/null || same "$shell" $shell "$work/script.sh"
done
# The default of --fork.
told=("${heap[@]}")
heap=("$tool" run --dir "$heap_dir" "--stats=$stats" --)
same "bash, no --fork" bash "$work/script.sh"
heap=("${told[@]}")
same "bash: arrays, substitution of processes" bash -c 'declare -A a; for i in {1..2000}; do a[k$i]=$((i * i)); done
    for k in "${!a[@]}"; do echo "$k ${a[$k]}"; done | sort > x; diff <(sort x) <(cat x) && wc -l < x
    coproc c { read line; echo "got $line"; }; echo hello >&"${c[1]}"; read -r l <&"${c[0]}"; echo "$l"'
holds bash $((200 << 10))
passed
