#!/usr/bin/env bash
# examples/redis-cluster.sh, with few keys: it checks itself.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need redis-server redis-cli setpriv /usr/bin/python3
keys=10000
[ -z "$long" ] || keys=1000000
need_space "$heap_dir" $((256 + keys / 300)) || exit 77
timeout -k 5 280 bash "$root/examples/redis-cluster.sh" --build "$build" --fork "$fork_policy" --keys $keys "$heap_dir" ||
    fail "the cluster: exit status $?"
passed
