#!/usr/bin/env bash
# Makes the Debian packages, installs, upgrades, replaces and removes them in a
# bare Debian root, and runs programs there: in C, in C++, in Python, and one
# of LLVM's OpenMP. Skipped if no root can be made, or jemalloc's source package,
# on which packages are built, cannot be had.
#
#   packages_test.sh BUILD-DIRECTORY
#
# MEMKIND_JEMALLOC_SOURCE  jemalloc's sources    [the distribution's, by apt-get]
# MEMKIND_PACKAGES_CACHE   keeps the root          [~/.cache/memkind-pmem-packages]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/install_common.sh"
export PATH=$PATH:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive

[ "$(id -u)" = 0 ] || skip_all "packages: not root"
for tool in debootstrap dpkg-deb dpkg-shlibdeps cpack apt-get unshare chroot file; do
    command -v $tool >/dev/null || skip_all "packages: no $tool"
done
has_space "$work" 3072 # for a build, the packages and a root

# ---- making them ----------------------------------------------------------------------
folder=$build/tests/deb
source=${MEMKIND_JEMALLOC_SOURCE:-}
if [ -z "$source" ]; then
    source=$(bash "$root/cmake/jemalloc_source.sh" "$build/tests/jemalloc" 2>"$work/log") ||
        skip_all "packages: $(cat "$work/log")"
fi
# As "cmake --workflow --preset deb" makes them. Another revision is the same build
# with another number.
unset CFLAGS DEBEMAIL DEBFULLNAME
launcher=$(sed -n 's/^CMAKE_C_COMPILER_LAUNCHER:[^=]*=//p' "$build/CMakeCache.txt")
make_packages() {
    local revision=$1
    check "packages, revision $revision: build" bash -c '"$@" && cmake --build "$0"' "$folder" \
        cmake -S "$root" --preset deb -B "$folder" ${launcher:+"-DCMAKE_C_COMPILER_LAUNCHER=$launcher"} \
        -DMEMKIND_PACKAGE_RELEASE="$revision" -DMEMKIND_JEMALLOC_SOURCE_DIR="$source" || finish
    rm -rf "$folder/packages" "$folder-$revision"
    # A strict umask is not to show in the packages.
    check "packages, revision $revision: cpack" bash -c 'umask 077 && cd "$0" && cpack -G DEB' "$folder" || finish
    mv "$folder/packages" "$folder-$revision"
}
make_packages 1
make_packages 2
# With Debian's archive of jemalloc there are none.
refuses_packages() {
    local status=0
    (cd "$build" && cpack -G DEB -B "$work/refused") >"$work/refusal" 2>&1 || status=$?
    cat "$work/refusal"
    [ $status != 0 ] && grep -q "MEMKIND_JEMALLOC_SOURCE_PACKAGE=ON" "$work/refusal" &&
        [ ! -e "$work/refused" ]
}
if grep -qE '^MEMKIND_JEMALLOC_(SOURCE_DIR:PATH=.|SOURCE_PACKAGE:BOOL=ON)' "$build/CMakeCache.txt"; then
    skipped "no packages with Debian's archive of jemalloc (this build has another)"
else
    check "no packages with Debian's archive of jemalloc" refuses_packages || true
fi
debs() { ls "$folder-$1"/*.deb; }
good_modes() {
    local deb
    for deb in $(debs 1); do
        dpkg-deb -c "$deb" | tee -a /dev/stderr |
            awk '$1 !~ /^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx)$/ || $2 != "root/root" { bad = 1 } END { exit bad }' || return
    done
}
check "modes and owners" good_modes || true
# What is meant as it is, is in the packages, with the reason (cmake/cpack_debian.cmake).
if command -v lintian >/dev/null; then
    # shellcheck disable=SC2046
    check "lintian" lintian --display-info --pedantic --tag-display-limit 0 \
        --fail-on error,warning,info,pedantic $(debs 1) || true
else
    skipped "lintian (not installed)"
fi
# What a program that is packaged depends on, by the symbols that it uses.
depends() {
    dpkg-deb -R "$folder-1"/libmemkind-pmem0_*.deb "$work/runtime" &&
        mkdir -p "$work/client/debian" &&
        printf 'Source: client\n\nPackage: client\nArchitecture: any\n' >"$work/client/debian/control" &&
        "${cc[@]}" -I"$root/include" "$here/install_program.c" -o "$work/client/program" \
            "$(ls "$work/runtime"/usr/lib/*/libmemkind.so.0)" &&
        # Without shlibs, it can only come from the symbols file.
        rm "$work/runtime/DEBIAN/shlibs" &&
        (cd "$work/client" && dpkg-shlibdeps -O -S"$work/runtime" program) | tee -a /dev/stderr |
        grep -F "libmemkind-pmem0 (>= 1.0.0)"
}
check "what programs depend on comes from the symbols file" depends || true
no_scripts() {
    local deb script
    for deb in $(debs 1); do
        for script in preinst postinst prerm postrm; do
            ! dpkg-deb -I "$deb" $script >/dev/null 2>&1 || { echo "$deb: $script"; return 1; }
        done
    done
}
check "no scripts" no_scripts || true

# ---- the root -------------------------------------------------------------------------
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
. "$root/cmake/apt_sources.sh"
mirror=$(apt_sources deb | awk -v release="$codename" '$(NF - 1) == release { print $(NF - 2); exit }')
[ -n "$mirror" ] || skip_all "packages: apt has no sources of $codename"
cache=${MEMKIND_PACKAGES_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/memkind-pmem-packages}
archive=$cache/$codename-$(dpkg --print-architecture).tar
bare=$work/bare
if [ ! -f "$archive" ]; then
    mkdir -p "$cache"
    debootstrap --variant=minbase "$codename" "$bare" "$mirror" >"$work/log" 2>&1 ||
        skip_all "packages: no Debian root can be made: $(tail -n 1 "$work/log")"
    tar -C "$bare" --one-file-system -cf "$archive.new.$$" . && mv "$archive.new.$$" "$archive"
else
    mkdir "$bare"
    tar -C "$bare" -xf "$archive"
fi
# (A package's script makes an empty list of hosts if there is none.)
for file in resolv.conf hosts; do
    cp -L "/etc/$file" "$bare/etc/$file" 2>/dev/null || touch "$bare/etc/$file"
done
# Proxies and such.
apt-config dump Acquire | grep -v '::Languages' >"$bare/etc/apt/apt.conf.d/99outside"
printf 'path-exclude=/usr/share/locale/*\n' >"$bare/etc/dpkg/dpkg.cfg.d/small"
mkdir -p "$bare/tmp/debs" "$bare/tmp/programs"

# inside COMMAND...: in the root, whose mounts end with the command.
inside() {
    # shellcheck disable=SC2016
    unshare --mount --fork sh -ec '
        root=$1; shift
        mount --bind /dev "$root/dev"
        mount -t tmpfs none "$root/dev/shm"
        mount -t proc none "$root/proc"
        exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
            MEMKIND_TEST_DIR=/dev/shm "$@"' - "$bare" "$@"
}
inside true 2>"$work/log" || skip_all "packages: no mounts here: $(tail -n 1 "$work/log")"
apt() { inside apt-get -q -y --no-install-recommends "$@"; }
apt update >"$work/log" 2>&1 || skip_all "packages: no packages for the root: $(tail -n 1 "$work/log")"
for revision in 1 2; do
    mkdir "$bare/tmp/debs/$revision"
    # shellcheck disable=SC2046
    cp $(debs $revision) "$bare/tmp/debs/$revision"
done
cp "$here/dropin_ctypes.py" "$bare/tmp/programs"
names=$(for deb in $(debs 1); do dpkg-deb -f "$deb" Package; done)
ours() { (cd "$bare" && ls ./tmp/debs/"$1"/*.deb | sed 's,^\.,,'); }

# installed PACKAGE VERSION
installed() { inside dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$1" | tee -a /dev/stderr | grep -qx "ii  *$2"; }
absent() { ! inside dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep ^ii; }
everything() { # what is installed, less what apt and dpkg keep for themselves
    (cd "$bare" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache \
        -o -path ./var/log -o -path ./tmp -o -path ./etc/ld.so.cache \) -prune -o -print | sort)
}
everything >"$work/before"

# ---- installing -------------------------------------------------------------------------
# shellcheck disable=SC2046
check "install" apt install $(ours 1) || finish
for name in $names; do
    check "$name is installed" installed "$name" 1.0.0-1 || true
done
unchanged() { local said; said=$(inside dpkg --verify $names 2>&1); echo "$said"; [ -z "$said" ]; }
check "the files are what their md5sums say" unchanged || true
known_to_ldconfig() { inside ldconfig -p | grep -F "libmemkind.so.0 "; }
check "ldconfig knows the library" known_to_ldconfig || true
# As a reader of the installed system finds them: many pages only name another one.
shows_page() { # FILE.SECTION.gz
    local page=${1%.gz}
    man -M "$bare/usr/share/man" -P cat "${page##*.}" "${page%.*}" | grep "^NAME"
}
# shellcheck disable=SC2086
for page in $(inside dpkg -L $names | grep '/man/.*\.gz$'); do
    ! command -v man >/dev/null || check "man ${page##*/}" shows_page "${page##*/}" || true
done
if [ -x "$bare/usr/bin/memkind-pmem" ]; then
    check "memkind-pmem version" inside memkind-pmem version || true
    # Those of libmemkind-progs, which the package replaces.
    for program in memkind-hbw-nodes memkind-auto-dax-kmem-nodes memtier; do
        check "$program --help" inside $program --help || true
    done
    describes_commands() {
        local shown names name
        shown=$(inside apt-cache show memkind-pmem) &&
            names=$(inside memkind-pmem --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p') || return
        [[ $names == *bench* ]] || { echo "not the commands: $names"; return 1; }
        for name in $names; do
            grep -E "^   $name( DIR)?  " <<<"$shown" || { echo "not named: $name"; return 1; }
        done
    }
    check "apt show names the tool's commands" describes_commands || true
fi
no_run_path() {
    local file
    grep -x 'run_path=' "$bare"/usr/lib/*/pkgconfig/memkind.pc || return
    for file in "$bare"/usr/bin/memkind-pmem "$bare"/usr/lib/*/libmemkind.so.0; do
        ! readelf -d "$file" | grep -E '\((RUNPATH|RPATH)\)' || return 1
    done
}
check "no run path" no_run_path || true

# Another vendor's package, for Debian's library.
other=$work/other
mkdir -p "$other/DEBIAN" "$other/usr/share/memkind-client"
touch "$other/usr/share/memkind-client/file"
printf '%s\n' "Package: memkind-client" "Version: 1" "Architecture: all" \
    "Maintainer: none <none@localhost>" "Depends: libmemkind0 (>= 1.13.0)" \
    "Description: depends on libmemkind0" >"$other/DEBIAN/control"
dpkg-deb --root-owner-group -b "$other" "$bare/tmp/debs/client.deb" >/dev/null
check "a package that depends on libmemkind0 is satisfied" inside dpkg -i /tmp/debs/client.deb || true

# ---- programs ---------------------------------------------------------------------------
# Compiled out here, with what the -dev package has put there.
export PKG_CONFIG_SYSROOT_DIR=$bare
PKG_CONFIG_LIBDIR=$(cd "$bare" && dirname "$(find "$PWD/usr/lib" -name memkind.pc)")
export PKG_CONFIG_LIBDIR
programs=$bare/tmp/programs
# shellcheck disable=SC2046
{
    check "a C program: build" "${cc[@]}" "$here/install_program.c" -o "$programs/c" \
        $(pkg-config --cflags --libs memkind) -Wl,-rpath-link,"$PKG_CONFIG_LIBDIR/.." || true
    check "a C++ program: build" "${cxx[@]}" -std=c++17 "$here/install_program.cpp" -o "$programs/c++" \
        -static-libstdc++ -static-libgcc $(pkg-config --cflags --libs memkind) || true
    check "a static program: build" "${cc[@]}" -static "$here/install_program.c" -o "$programs/static" \
        $(pkg-config --static --cflags --libs memkind) || true
    check "a C program that loads the library: build" "${cc[@]}" -D_GNU_SOURCE "$here/dropin_dlopen.c" \
        -o "$programs/dlopen" $(pkg-config --cflags memkind) -pthread -ldl || true
}
unset PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR
examples() {
    cmake -S "$bare/usr/share/doc/libmemkind-pmem-dev/examples" -B "$work/examples" &&
        cmake --build "$work/examples" --parallel 2 && cp "$work/examples/pmem_malloc" "$programs"
}
check "the examples: build" examples || true
openmp=no
if printf '#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n' |
    clang -fopenmp -x c - -o "$work/none" 2>/dev/null; then
    openmp=yes
    check "an OpenMP program: build" clang -fopenmp -D_GNU_SOURCE "$here/dropin_openmp.c" -o "$programs/openmp" -ldl || true
else
    skipped "OpenMP (no clang with OpenMP)"
fi

# What the runtime that programs are linked with is called there.
runtime=$(dpkg-query -W -f '${Package}\n' 'libomp5*' 2>/dev/null | head -n 1)
check "install python3 ${runtime:-}" apt install python3 ${runtime:-} || finish

# says NAME COMMAND...: runs inside, and shows the last line.
says() {
    local name=$1
    shift
    ! check "$name" inside "$@" || tail -n 1 "$work/log" | sed 's/^/         /'
}
# Those that load the library do so as they are, and after others have taken all
# the room that the C library leaves for such TLS as cannot be made later.
full=GLIBC_TUNABLES=glibc.rtld.optional_static_tls=0:glibc.rtld.nns=1
run_programs() {
    local revision=$1 room
    says "revision $revision: C" /tmp/programs/c
    says "revision $revision: C++" /tmp/programs/c++
    says "revision $revision: static" /tmp/programs/static
    says "revision $revision: an example" /tmp/programs/pmem_malloc
    for room in "" $full; do
        says "revision $revision: dlopen(), C${room:+, $room}" env ${room:+"$room"} \
            /tmp/programs/dlopen libmemkind.so.0 /dev/shm
        says "revision $revision: dlopen(), Python's ctypes${room:+, $room}" env ${room:+"$room"} \
            python3 /tmp/programs/dropin_ctypes.py libmemkind.so.0 /dev/shm
        if [ $openmp = yes ]; then
            says "revision $revision: dlopen(), libomp${room:+, $room}" env ${room:+"$room"} /tmp/programs/openmp
        fi
    done
}
needs_no_static_tls() { ! readelf -d "$bare"/usr/lib/*/libmemkind.so.0 | grep STATIC_TLS; }
check "the library asks for no place in the static TLS block" needs_no_static_tls || true
run_programs 1

# ---- upgrading, replacing, removing -------------------------------------------------------
# shellcheck disable=SC2046
check "upgrade" apt install $(ours 2) || finish
for name in $names; do
    check "$name is upgraded" installed "$name" 1.0.0-2 || true
done
check "the files are what their md5sums say" unchanged || true
run_programs 2

# shellcheck disable=SC2086
{
    if inside apt-cache policy libmemkind0 | grep -q 'Candidate: [^(]'; then
        check "Debian's libmemkind takes the place" apt install libmemkind0 libmemkind-dev || true
        check "... and ours is gone" absent libmemkind-pmem0 || true
        check "... its client is not" installed memkind-client 1 || true
        # shellcheck disable=SC2046
        check "ours takes the place again" apt install $(ours 2) || true
        check "... and Debian's is gone" absent libmemkind0 || true
        check "... its client is not" installed memkind-client 1 || true
        says "C" /tmp/programs/c
    else
        skipped "Debian's libmemkind takes the place ($codename has none)"
    fi
    check "remove" inside dpkg --purge memkind-client $names || true
    check "remove what came with them" apt autoremove --purge ${runtime:-} python3 || true
}
nothing_left() { everything | diff "$work/before" - ; }
check "nothing is left" nothing_left || true
finish
