#!/bin/sh
# In the guest: runs suites, and the examples and the tool of the working
# directory.
#   in_guest.sh NAME PLACE SUITE...
# Prints a line for each, with CUnit's counts and the time it took, and the
# output of what failed.
name=$1 place=$2
shift 2
failed=0
# since UPTIME: the seconds from then to now
since() { awk -v from="$1" '{ printf "%.0f s", $1 - from }' /proc/uptime; }
uptime() { cut -d ' ' -f 1 /proc/uptime; }

echo "${OVERCOMMIT:-0}" >/proc/sys/vm/overcommit_memory
for suite in "$@"; do
    # What takes minutes in emulation, and does not
    # depend on the memory, is left out.
    case $suite in
        test_kinds) set -- '-as many kinds' '-thousands of kinds' ;;
        test_threads) set -- '-thousands of short lives' '-kinds destroyed under' ;;
        test_detect) set -- '-while kinds come and go' ;;
        test_cache) set -- '-all kinds by many threads' ;;
        test_core_dump) set -- '-many ranges' ;;
        test_stats) set -- '-snapshots ' ;;
        # With this setting, forks of many kinds cannot succeed.
        test_fork_snapshot)
            if [ "${OVERCOMMIT:-0}" = 2 ]; then set -- 'memory is counted'; else set -- '-no mapping is left'; fi ;;
        *) set -- ;;
    esac
    started=$(uptime)
    if timeout -s KILL 900 "./$suite" "$@" >/tmp/log 2>&1; then status=0; else status=$?; fi
    counts=$(awk '$1 == "tests" { print $3 " run, " $4 " passed, " $5 " failed" }' /tmp/log)
    asserts=$(awk '$1 == "asserts" { print ", " $3 " asserts" }' /tmp/log)
    case $status in
        0) printf '%s: %-32s %s%s, %s\n' "$name" "$suite" "${counts:-passed}" "$asserts" "$(since "$started")" ;;
        77) printf '%s: %-32s skipped\n' "$name" "$suite" ;;
        *) failed=$((failed + 1))
           printf '%s: %-32s FAILED, status %s. %s%s\n' "$name" "$suite" "$status" "$counts" "$asserts"
           sed 's/^/    /' /tmp/log | tail -n 60 ;;
    esac
done
# The rest is about a place for files.
[ -n "$place" ] || { echo "$name: $(since 0) in all"; exit "$failed"; }
for example in pmem_*; do
    case $example in *.*) continue ;; esac
    case $name:$example in
        # A device can have one kind at a time, and holds no other files.
        device*:*kind* | device*:pmem_fixed) [ $example = pmem_threads_one_kind ] || continue ;;
        # It shows that space goes back, which it cannot there.
        *vfat*:pmem_config) continue ;;
    esac
    if timeout -s KILL 600 "./$example" "$place" >/tmp/log 2>&1; then status=0; else status=$?; fi
    if [ $status = 0 ]; then
        printf '%s: example %-24s passed\n' "$name" "$example"
    else
        failed=$((failed + 1))
        printf '%s: example %-24s FAILED, status %s\n' "$name" "$example" $status
        sed 's/^/    /' /tmp/log | tail -n 20
    fi
done
echo "$name: $(since 0) so far"
sh tool_in_guest.sh "$name" "$place" "$MEMKIND_TEST_MEMORY" || failed=$((failed + 1))
echo "$name: $(since 0) in all"
# Whatever happened, the file system has all its space again.
[ -d "$place" ] && df -k "$place" | tail -n 1
[ $failed = 0 ]
