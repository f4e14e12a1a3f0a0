#!/usr/bin/env bash
# On a small file system, tests that need more space than it has are skipped, and say how
# much they need and where.
set -euo pipefail
if [ "${2:-}" != inside ]; then
    unshare -m --propagation private true 2>/dev/null ||
        { echo "skipped: no mount namespace can be made here"; exit 77; }
    exec unshare -m --propagation private bash "$0" "${1:?usage: $0 BUILD-DIRECTORY}" inside
fi
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"

small=$work/small
mkdir "$small"
mount -t tmpfs -o size=100m none "$small" 2>/dev/null || skip_all "no tmpfs can be mounted"
trap 'umount -l "$small"; rm -rf "$work"' EXIT
export MEMKIND_TEST_DIR=$small

# skips MIB COMMAND...
skips() {
    local wanted=$1 status=0
    shift
    "$@" >"$work/said" 2>&1 || status=$?
    cat "$work/said"
    [ $status = 77 ] && grep -qE "skipped: needs $wanted MiB free in $small[^ ]*, has (9[0-9]|100)\b" "$work/said"
}
tests=$build/tests
check "test_process_limits" skips 2150 "$tests/test_process_limits" mappings || true
check "test_limits" skips 384 "$tests/test_limits" "goes beyond any limit" || true
check "test_region_file" skips 512 "$tests/test_region_file" "interrupted allocation" || true
check "test_page_size" skips 512 env TEST_PAGE_SIZE=16384 PMEM_IS_PMEM_FORCE=1 "$tests/test_page_size" grains || true
check "test_odd_processes" skips 288 "$tests/test_odd_processes" "growth after closing" || true
check "test_large_units" skips 128 "$tests/test_large_units" xfs || true
if command -v mkfs.xfs >/dev/null; then
    check "test_disk_xfs" skips 320 bash "$here/disk_test.sh" xfs "$tests/disk_scenario" || true
fi
# The tests of a suite that need less are run.
passes() { "$@" >"$work/said" 2>&1 && cat "$work/said" && ! grep -q skipped: "$work/said"; }
check "what needs less is run" passes "$tests/test_process_limits" refusals || true
finish
