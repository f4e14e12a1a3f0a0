#!/usr/bin/env bash
# Small programs that do what real ones do, where a preloaded malloc has failed.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need_space "$heap_dir" 256 || exit 77
cases=$build/tests/reduced_programs

# A title over the environment: the report is made, with the name from before.
(exec timeout 60 "${heap[@]}" "$cases" title) || fail "title: exit status $?"
[ "$(reports reduced_programs)" = 1 ] || { cat "$stats"; fail "title: no report"; }
grep -qF "in $heap_dir:" "$stats" || { cat "$stats"; fail "title: the report names another directory"; }
echo "title: reported"

# Numbers of descriptors are those that the program would have anyhow.
same "descriptors" "$cases" descriptors

# Another malloc in the program: its functions know nothing of this one's objects.
others=()
for name in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
    if LD_PRELOAD=$name true 2>&1 | grep -q .; then
        echo "not installed: $name"
    else
        others+=("$name")
    fi
done
for other in "" "${others[@]}"; do
    for size in 1 64 1K; do
        LD_PRELOAD=$other timeout 60 "$tool" run --dir "$heap_dir" --min-size $size -- "$cases" grow ||
            fail "grow, --min-size $size, ${other:-no other malloc}: exit status $?"
    done
    LD_PRELOAD=$other timeout 60 "$tool" run --dir "$heap_dir" --size 64M --full null -- \
        "$build/tests/reduced_new" || fail "operator new, ${other:-no other malloc}: exit status $?"
done
echo "with other mallocs: ${others[*]}"
passed
