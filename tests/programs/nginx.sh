#!/usr/bin/env bash
# nginx: serves files to several clients, through a reload of its configuration.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need nginx setpriv /usr/bin/python3
nginx -v 2>&1
requests=4000
[ -z "$long" ] || requests=200000
mkdir files logs
for size in 1 1000 70000 1000000; do head -c $size /dev/zero | tr '\0' "x" >files/$size; done
{ for ((i = 0; i < 3000; i++)); do echo "line $i of a text that can be packed"; done; } >files/text
configure() {
    cat >conf <<CONF
daemon off; master_process on; worker_processes 2; pid $work/pid; error_log $work/logs/error;
$([ "$(id -u)" != 0 ] || echo "user root;")
events { worker_connections 256; }
http {
    access_log off; client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
    uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
    $1
    server { listen unix:$work/socket; root $work/files; location /head { return 200 "$2\n"; } }
}
CONF
}
configure "gzip off;" one
start "$work/log" "${heap[@]}" nginx -c "$work/conf" -e "$work/logs/error"
fetched() { [ "$(python http_load.py "$work/socket" 1 1 /head)" = "$1" ]; }
await 20 fetched one || { cat log logs/error; fail "nginx does not answer"; }
python http_load.py "$work/socket" $requests 4 "$work/files"
for turn in two three; do
    configure "gzip on; gzip_types *; gzip_min_length 100;" $turn
    kill -HUP "$server"
    await 20 fetched $turn || { cat log logs/error; fail "nginx does not reload"; }
    python http_load.py "$work/socket" $((requests / 2)) 4 "$work/files"
done
kill -QUIT "$server"
ended "$server" || { cat log logs/error; fail "nginx: exit status $?"; }
! grep -E 'alert|emerg|crit' logs/error || fail "nginx has complained"
holds nginx $((256 << 10))
passed "$((requests * 2)) requests, 2 reloads"
