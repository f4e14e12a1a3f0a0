#!/usr/bin/env bash
# memcached: a load that verifies every value, and a restart with what was stored.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need memcached setpriv /usr/bin/python3
memcached --version
keys=20000 requests=100000
[ -z "$long" ] || keys=200000 requests=5000000
need_space "$heap_dir" 512 || exit 77
socket=$work/socket
[ "$(id -u)" != 0 ] || user=(-u root)

answers() { [ -S "$socket" ] && python socket_lines.py "$socket" version | grep -q VERSION; }
for options in "-m 256 -t 4" "-m 16 -t 4 -o slab_automove=1" "-m 64 -t 2 -o no_lru_crawler -L"; do
    rm -f "$socket"
    # shellcheck disable=SC2086 # several words
    start "$work/log" "${heap[@]}" memcached -s "$socket" ${user[@]+"${user[@]}"} $options
    await 20 answers || { cat "$work/log"; fail "memcached $options does not answer"; }
    echo "memcached $options: $(python memcached_load.py "$socket" $keys $requests 4)"
    python socket_lines.py "$socket" "flush_all" "lru_crawler disable" stats >/dev/null
    kill -TERM "$server"
    ended "$server" || { cat "$work/log"; fail "memcached $options: exit status $?"; }
done
holds memcached $((16 << 20))

# Items in a file of its own: what was stored is there after a restart.
if memcached --help | grep -q -- --memory-file; then
    for turn in fill read; do
        rm -f "$socket"
        # It wants to have ended some seconds before it begins.
        [ $turn = fill ] || sleep 3
        start "$work/log" "${heap[@]}" memcached -s "$socket" ${user[@]+"${user[@]}"} -m 64 -e "$work/items"
        await 20 answers || { cat "$work/log"; fail "memcached -e does not answer"; }
        for number in 1 2 3 4 5; do
            [ $turn = read ] || python socket_lines.py "$socket" "set key$number 0 0 6" "value$number" >/dev/null
            python socket_lines.py "$socket" "get key$number" | grep -qx "value$number" || fail "key $number ($turn)"
        done
        kill -USR1 "$server"
        ended "$server" || { cat "$work/log"; fail "memcached -e: exit status $?"; }
    done
    echo "restart: 5 values are there"
fi
passed
