#!/usr/bin/env bash
# gcc, g++ and clang, with assembler and linker: objects and programs are the same.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need gcc
gcc --version | head -1
# (The folders that they are compiled in are in the debugging information.)
debug=(-g -ffile-prefix-map="$work/plain"=. -ffile-prefix-map="$work/heap"=.)
flags=(-std=c11 -D_GNU_SOURCE "${debug[@]}" -I"$root/include")
for layer in sys jemalloc region hooks arena cache heap kind; do flags+=(-I"$root/src/$layer"); done
sources=("$root"/src/kind/kind_[a-k]*.c)
[ -z "$long" ] || sources=("$root"/src/{sys,region,hooks,arena,cache,heap,kind}/*.c)
[ -n "$long" ] || sources=("${sources[@]:0:3}")
compilers=(gcc)
for name in g++ clang; do command -v $name >/dev/null && compilers+=($name); done
for compiler in "${compilers[@]}"; do
    if [ "$compiler" = g++ ]; then
        same "g++ -O2" g++ -O2 "${debug[@]}" -std=c++17 -o program "$here/reduced_new.cpp"
    else
        for optimisation in -O0 -O2; do
            same "$compiler $optimisation" "$compiler" "${flags[@]}" $optimisation -c "${sources[@]}"
        done
        same "$compiler, a program" "$compiler" -O1 "${debug[@]}" -o program "$here/reduced_programs.c"
    fi
    ended_well
    $compiler --version | head -1
done
# An error: its message and exit status.
echo 'int main(void) { return undeclared; }' >"$work/wrong.c"
same "an error" gcc -c "$work/wrong.c"
holds cc1 $((4 << 20))
! command -v clang >/dev/null || holds clang $((1 << 20))
passed "${#sources[@]} sources"
