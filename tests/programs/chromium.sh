#!/usr/bin/env bash
# chromium, without a screen. It brings a malloc of its own and keeps it: the helper
# programs that it starts have their heap in files. (It is not installed by run.sh, since
# it is larger than all the others together.)
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need chromium
chromium --version
cat >"$work/page.html" <<'HTML'
<html><body><p id=sum></p><script>
let map = {}, length = 0;
for (let i = 0; i < 200000; i++) map['k' + i % 5003] = (map['k' + i % 5003] || '') + i % 7;
for (const key in map) length += map[key].length;
document.getElementById('sum').textContent = 'sum ' + length;
for (let i = 0; i < 2000; i++) {
    const part = document.createElement('div');
    part.textContent = i;
    document.body.appendChild(part);
}
</script></body></html>
HTML
# What it keeps in its profile is not the same twice.
show() {
    local profile=$work/profile.$BASHPID
    "$@" chromium --headless --no-sandbox --disable-gpu --user-data-dir="$profile" \
        --dump-dom "file://$work/page.html" 2>>"$work/said"
}
show timeout 100 >plain
grep -q '<p id="sum">sum 200000</p>' plain || fail "chromium shows: $(head -c 300 plain)"
show timeout 100 "$tool" run --dir "$heap_dir" --fork "$fork_policy" "--stats=$stats" --verbose -- >heap
compare "a page" plain heap
grep -q 'chromium ([0-9]*): all objects lie in DRAM: the program has a malloc of its own' "$work/said" ||
    fail "chromium says nothing of a malloc of its own: $(grep memkind "$work/said" | head -5)"
count=1
passed
