#!/usr/bin/env bash
# Follows README.md to the letter, from its first line to a running program of
# one's own, and prints that session. Commands and program are those of
# README.md. The program runs with the directory that README.md names, if that
# does not exist, and in MEMKIND_TEST_DIR.
#
#   readme_session.sh BUILD-DIRECTORY   with the library from there: no packages are
#                                       installed, and nothing is built but the program
#   readme_session.sh --all             everything, in this source tree; for bare.sh:
#
#   tests/bare.sh bash tests/integration/readme_session.sh --all
#
# tests/run.sh is left out: it is bare.sh's own command.
set -euo pipefail
all=
if [ "${1-}" = --all ]; then
    all=yes
    build=$(dirname "${BASH_SOURCE[0]}")/../../build
    mkdir -p "$build"
    set -- "$build"
fi
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"
[ -n "$all" ] || installs || skip_all "README.md (this build has no rules for installing)"
for tool in cc pkg-config; do
    [ -n "$all" ] || command -v $tool >/dev/null || skip_all "no $tool"
done

# commands SECTION: what its blocks and its code spans have for a shell to run, one
# command a line. "" is what comes before the first section.
commands() {
    awk -v wanted="$1" '
        /^#+ / { section = $0; sub(/^#+ /, "", section); if (/^# /) section = "" }
        section != wanted { next }
        /^ *```/ { fenced = !fenced; language = $0; sub(/^ *```/, "", language); next }
        fenced { if (language ~ /^(sh|console)?$/) print; next }
        /^     *[a-z]/ { print; next }
        { while (match($0, /`(cc|export|ldd) [^`]*`/)) {
              print substr($0, RSTART + 1, RLENGTH - 2)
              $0 = substr($0, RSTART + RLENGTH)
          } }' "$root/README.md" |
        sed 's/^ *//; s/ \[[A-Z]*\]//; s/ *# .*//; /^$/d'
}

# enter STATUS COMMAND: as typed in, with what it prints, in this shell.
enter() {
    local status=0
    printf '$ %s\n' "$2"
    eval "$2" >"$work/said" 2>&1 </dev/null || status=$?
    cat "$work/said"
    [ $status = "$1" ] || fail "exit status $status, not $1: $2"
}
says() { grep -qF -- "$1" "$work/said" || fail "it does not say: $1"; }

cd "$root"
[[ $(grep -m 1 -iwE 'kinds?' README.md) == "A *kind* is a heap "* ]] ||
    fail "README.md does not say what a kind is before it uses the word"

# ---- the commands of the first lines --------------------------------------------
while read -r command; do
    case $command in
    tests/run.sh) echo "(left out here: $command)" ;;
    *) [ -z "$all" ] || enter 0 "$command" ;;
    esac
done < <(commands "")

# ---- installing -------------------------------------------------------------------
prefix=$work/prefix
[ -z "$all" ] || prefix=$HOME/memkind
compile='' look=''
while read -r command; do
    command=${command//PREFIX/$prefix}
    case $command in
    cmake\ -S*) [ -z "$all" ] || enter 0 "$command" ;;
    cmake\ --build*--install*)
        [ -n "$all" ] || command="cmake --install $build --prefix $prefix"
        enter 0 "$command" ;;
    export\ *) enter 0 "$command" ;;
    cc\ program.c*) [ -n "$compile" ] || compile=$command ;;
    ldd\ program*) look=$command ;;
    esac
done < <(commands Installing)
[ -n "$all" ] || [ -d "$prefix/lib/pkgconfig" ] || skip_all "this build installs into another folder than lib"
[ -n "$compile" ] || fail "README.md does not say how to compile program.c"
[[ $compile =~ \ -o\ ([a-z.]+) ]] && program=${BASH_REMATCH[1]} || program=a.out

# ---- the program ------------------------------------------------------------------
cd "$work"
# once TEXT-OF-THE-PROGRAM STATUS SAYS...
once() {
    printf '%s\n' "$1" >program.c
    enter 0 "cat program.c"
    enter 0 "$compile"
    enter "$2" "./$program"
    shift 2
    for text in "$@"; do says "$text"; done
}
[ -e /mnt/pmem ] || once "$(readme_program)" 1 /mnt/pmem "No such file or directory"
once "$(readme_program "$MEMKIND_TEST_DIR")" 0 "100 bytes, in a file"
[ -z "$look" ] || { enter 0 "$look" && says "libmemkind.so.0 => $prefix/"; }
finish
