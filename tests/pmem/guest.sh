#!/usr/bin/env bash
# guest.sh - runs a command in a throw-away QEMU guest (TCG, no KVM needed)
# whose memory is persistent: the kernel argument memmap=SIZE!START makes
# /dev/pmem0 of part of it.
#
#   guest.sh [options] DIR -- COMMAND [ARG...]
#   guest.sh [options] DIR 'shell command line'
#
# DIR is copied to /payload, the command's working directory, with the shared
# libraries of all programs in it. The console goes to stdout; the exit status
# is the command's, or
#   124 timed out   125 the guest ended without a status   126 bad usage
#
#   -s, --size SIZE      of the pmem region (K/M/G)                  [1G]
#   -m, --mem SIZE       ordinary RAM                                [1G]
#       --far SIZE       ordinary RAM on a NUMA node of its own, without
#                        CPUs: node 1, as on CXL             [no such node]
#       --far-pmem SIZE  of that, is persistent: /dev/pmem1         [none]
#   -t, --timeout SEC    for the whole guest                         [300]
#   -f, --fs FS          what /mnt/pmem is:                          [ext4]
#                        ext4, xfs: mounted with DAX
#                        ext2, vfat: without, and without fallocate or holes
#                        btrfs: without, it writes everything to new places
#                        devdax: nothing, /dev/dax0.0 is there instead
#                        hmem: the same, of memory that is no NVDIMM's
#                        none: nothing, /dev/pmem0 is there
#                        hmat: nothing; the last 512M of --mem are two NUMA nodes
#                        without CPUs: node 1 of high bandwidth by the HMAT
#                        (400 GB/s), and node 2 (20 GB/s; node 0 has 100 GB/s)
#       --mkfs-opts STR  more options for mkfs
#       --mount-opts STR mount options     [dax for ext4 and xfs, else none]
#   -e, --env NAME=VAL   set in the command's environment (repeatable)
#   -v, --verbose        kernel messages and times
# In the guest: busybox sh, root, no network. busybox applets win over programs
# of the same name unless those are called by full path.
#
# Needs the packages of group `pmem` in cmake/packages.sh. The kernel is
# Debian's, fetched once by apt-get download. Cache:
# ${PMEM_GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memkind-pmem-guest}
set -euo pipefail

die() { echo "guest: $*" >&2; exit 126; }
now() { date +%s.%N; }
to_mib() { # SIZE with K/M/G suffix (default bytes) -> MiB
    local n=${1%[KkMmGg]}
    [[ $n =~ ^[0-9]+$ ]] || die "bad size '$1'"
    case $1 in
        *[Kk]) echo $(( n / 1024 )) ;; *[Mm]) echo "$n" ;;
        *[Gg]) echo $(( n * 1024 )) ;; *) echo $(( n / 1048576 )) ;;
    esac
}

size=1G mem=1G far= far_pmem= limit=300 fs=ext4 mkfs_opts= mount_opts= smp=2
cpu=max,la57=off flavour=cloud-amd64 verbose=0
envs=()
while (( $# )); do
    case $1 in
        -s|--size) size=$2; shift 2 ;;
        -m|--mem) mem=$2; shift 2 ;;
        --far) far=$2; shift 2 ;;
        --far-pmem) far_pmem=$2; shift 2 ;;
        -t|--timeout) limit=$2; shift 2 ;;
        -f|--fs) fs=$2; shift 2 ;;
        --mkfs-opts) mkfs_opts=$2; shift 2 ;;
        --mount-opts) mount_opts=$2; shift 2 ;;
        -e|--env) envs+=("$2"); shift 2 ;;
        -v|--verbose) verbose=1; shift ;;
        -h|--help) sed -n '2,/^set -e/p' "$0" | sed '$d;s/^# \{0,1\}//'; exit 0 ;;
        -*) die "unknown option $1" ;;
        *) break ;;
    esac
done
(( $# >= 2 )) || die "usage: $0 [options] DIR -- COMMAND [ARG...]   (--help)"
dir=$(realpath -e "$1") || die "no directory $1"
shift
if [[ $1 == -- ]]; then shift; (( $# )) || die "no command"; printf -v command '%q ' "$@"
else command="$*"; fi
case $fs in
    ext4|xfs) mount_opts=${mount_opts:-dax} ;;
    ext2|vfat|btrfs|devdax|hmem|hmat|none) ;;
    *) die "bad --fs $fs" ;;
esac

cache=${PMEM_GUEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/memkind-pmem-guest}
kroot=$cache/kernel-$flavour
mkdir -p "$cache"
t0=$(now)

# ---------------------------------------------------------------- the kernel
exec 9>"$cache/.lock"; flock 9      # one session at a time fills the cache
if [[ ! -e $kroot/.ready ]]; then
    echo "guest: fetching the Debian $flavour kernel (once)" >&2
    rm -rf "$kroot"; mkdir -p "$kroot/deb"
    find_package() { apt-cache depends "linux-image-$flavour" 2>/dev/null | awk '/Depends: linux-image/{print $2; exit}'; }
    pkg=$(find_package)
    # A machine on which all else was installed already may have no lists.
    [[ $pkg ]] || { apt-get -q update >/dev/null 2>&1 || true; pkg=$(find_package); }
    [[ $pkg ]] || die "apt knows no linux-image-$flavour"
    ( cd "$kroot/deb" && apt-get -q -o "APT::Sandbox::User=$(id -un)" download "$pkg" >/dev/null ) || die "apt-get download $pkg failed"
    dpkg-deb -x "$kroot"/deb/*.deb "$kroot"
    # Later packages have their modules below usr/lib, and compressed.
    if [[ -d $kroot/usr/lib/modules ]]; then mkdir -p "$kroot/lib"; mv "$kroot/usr/lib/modules" "$kroot/lib"; fi
    rm -rf "$kroot/deb" "$kroot/usr"
    [[ -d $kroot/lib/modules ]] || die "no modules in $pkg"
    find "$kroot/lib/modules" -name '*.ko.xz' -print0 | xargs -0r xz -d
    find "$kroot/lib/modules" -name '*.ko.zst' -print0 | xargs -0r zstd -q -d --rm
    kver=$(basename "$kroot"/lib/modules/*)
    busybox depmod -b "$kroot" "$kver"
    # An uncompressed ELF kernel: QEMU enters it by PVH, with no decompressor
    # run under TCG (and no KASLR).
    python3 - "$kroot/boot/vmlinuz-$kver" "$kroot/vmlinux" <<'PY'
import subprocess, sys
d = open(sys.argv[1], 'rb').read()
for magic, cmd in ((b'\x02!L\x18', ['lz4', '-dc']), (b'\xfd7zXZ\x00', ['xz', '-dc', '--single-stream']),
                   (b'\x28\xb5\x2f\xfd', ['zstd', '-dcq']), (b'\x1f\x8b\x08', ['gzip', '-dcq'])):
    at = -1
    # The decompressor's code may have the same bytes in it.
    while (at := d.find(magic, at + 1)) >= 0:
        elf = subprocess.run(cmd, input=d[at:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        if elf[:4] == b'\x7fELF':
            open(sys.argv[2], 'wb').write(elf)
            sys.exit(0)
sys.exit('cannot unpack ' + sys.argv[1])
PY
    touch "$kroot/.ready"
fi
kver=$(basename "$kroot"/lib/modules/*)

# ------------------------------------------------------------ packing helpers
is_elf() { [[ -f $1 && -r $1 && $(head -c4 "$1" | tr -d '\0') == $'\x7fELF' ]]; }
copy_at() { # ROOT PATH: PATH (with what its links lead to) at the same place
    local root=$1 p=$2
    [[ -e $root$p ]] && return
    mkdir -p "$root$(dirname "$p")"
    cp -aL "$p" "$root$p"
}
copy_libs() { # ROOT FILE...: the shared libraries and loaders these ELF files need
    local root=$1 lib; shift
    { ldd "$@" 2>/dev/null || true; } |
        awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\// && $i !~ /:$/) print $i }' | sort -u |
        while read -r lib; do [[ -e $lib ]] && copy_at "$root" "$lib"; done
}
elves_in() { # ELF files under a tree
    find "$1" -type f -size +63c -print0 2>/dev/null | xargs -0r grep -lZ -m1 -a $'^\x7fELF' | tr '\0' '\n'
}
cpio_of() { ( cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H newc ); }

# -------------------------------------------------- the base initramfs (cached)
stamp=$(sha256sum "$0" | cut -c1-12)
base=$cache/base-$flavour.$stamp.cpio
if [[ ! -e $base ]]; then
    b=$(mktemp -d "$cache/base.XXXXXX")
    mkdir -p "$b"/{bin,sbin,dev,proc,sys,etc,tmp,root,run,mnt/pmem,modules,usr/bin,usr/sbin,var}
    chmod 1777 "$b/tmp"
    cp "$(command -v busybox)" "$b/bin/busybox"
    for a in $(busybox --list); do [[ $a == busybox ]] || ln -s busybox "$b/bin/$a"; done
    # Modules: dependencies first, by modules.dep (what modprobe --show-depends prints).
    order() { # MODULE...: paths, in the order of loading
        python3 - "$kroot/lib/modules/$kver" "$@" <<'PY'
import os, sys
top, want = sys.argv[1], sys.argv[2:]
deps = {}
for line in open(top + '/modules.dep'):
    path, _, rest = line.partition(':')
    deps[os.path.basename(path).split('.ko')[0].replace('-', '_')] = (path, [os.path.basename(r).split('.ko')[0].replace('-', '_') for r in rest.split()])
builtin = {os.path.basename(l.strip()).split('.ko')[0].replace('-', '_') for l in open(top + '/modules.builtin')}
done = []
def visit(m):
    if m in done or m in builtin: return
    if m not in deps: sys.exit('no module ' + m)
    for d in deps[m][1]: visit(d)
    done.append(m)
for m in want: visit(m)
for m in done: print(deps[m][0])
PY
    }
    # crc32c is a soft dependency (looked up by name at run time), so named here.
    declare -A set=(
        [pmem]="nd_pmem nd_e820" [ext4]="ext4" [ext2]="ext4" [xfs]="xfs" [none]="" [devdax]="dax_pmem device_dax"
        [hmem]="dax_hmem device_dax"
        [vfat]="nls_cp437 nls_ascii vfat" [btrfs]="crc32c_generic btrfs"
    )
    for s in "${!set[@]}"; do
        : >"$b/modules/$s.list"
        [[ ${set[$s]} ]] || continue
        order ${set[$s]} >"$b/modules/$s.order"
        while read -r m; do
            cp "$kroot/lib/modules/$kver/$m" "$b/modules/"
            basename "$m" >>"$b/modules/$s.list"
        done <"$b/modules/$s.order"
        rm "$b/modules/$s.order"
    done
    # vmexit STATUS: the status byte to the debug console (port 0xe9), then leave QEMU.
    cat >"$b/vmexit.c" <<'C'
#include <stdlib.h>
#include <sys/io.h>
int main(int c, char **v) {
    if (ioperm(0xe9, 1, 1) || ioperm(0xf4, 4, 1)) return 1;
    outb(c > 1 ? atoi(v[1]) : 0, 0xe9);
    outl(0, 0xf4);
    return 1;
}
C
    gcc -O1 -static -o "$b/bin/vmexit" "$b/vmexit.c"; rm "$b/vmexit.c"
    cat >"$b/init" <<'SH'
#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin:/usr/local/bin HOME=/root TERM=dumb
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
mkdir -p /dev/shm /dev/pts; mount -t tmpfs -o mode=1777 shm /dev/shm; mount -t tmpfs -o mode=1777 tmp /tmp
exec </dev/null >/dev/ttyS0 2>&1
stty -F /dev/ttyS0 raw -echo -opost
. /vm.conf
say() { [ "$VERBOSE" = 1 ] && { read -r up _ </proc/uptime; echo "[vm ${up}s] $*"; }; }
fail() { echo "pmem-vm: $*"; dmesg | tail -n 30; vmexit 125; reboot -f; }
load() { while read -r m; do insmod /modules/$m 2>/dev/null || grep -q "^$(echo ${m%.ko} | tr - _) " /proc/modules || fail "insmod $m"; done </modules/$1.list; }
say init
ip link set lo up 2>/dev/null
case $FS in hmem|hmat) ;; *) load pmem ;; esac
i=0; while [ $FS != hmem ] && [ $FS != hmat ] && [ ! -b /dev/pmem0 ]; do i=$((i+1)); [ $i -gt 1200 ] && fail "no /dev/pmem0"; sleep 0.05; done
[ $FS = hmat ] || load $FS
say "modules loaded"
case $FS in
    ext4) /usr/sbin/mke2fs -q -F -t ext4 -b 4096 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 $MKFS_OPTS /dev/pmem0 >/tmp/mkfs.log 2>&1 || { cat /tmp/mkfs.log; fail mkfs; } ;;
    ext2) /usr/sbin/mke2fs -q -F -t ext2 -b 4096 $MKFS_OPTS /dev/pmem0 >/tmp/mkfs.log 2>&1 || { cat /tmp/mkfs.log; fail mkfs; } ;;
    vfat) /usr/sbin/mkfs.vfat -F 32 $MKFS_OPTS /dev/pmem0 >/tmp/mkfs.log 2>&1 || { cat /tmp/mkfs.log; fail mkfs; } ;;
    xfs) /usr/sbin/mkfs.xfs -q -f -m reflink=0 $MKFS_OPTS /dev/pmem0 >/tmp/mkfs.log 2>&1 || { cat /tmp/mkfs.log; fail mkfs; } ;;
    btrfs) /usr/sbin/mkfs.btrfs -q -f $MKFS_OPTS /dev/pmem0 >/tmp/mkfs.log 2>&1 || { cat /tmp/mkfs.log; fail mkfs; } ;;
    devdax) /usr/sbin/ndctl create-namespace -f -e namespace0.0 -m devdax $MKFS_OPTS >/tmp/mkfs.log 2>&1 || { cat /tmp/mkfs.log; fail ndctl; }; chmod 666 /dev/dax0.0 ;;
    hmem) [ -c /dev/dax0.0 ] || fail "no /dev/dax0.0"; chmod 666 /dev/dax0.0 ;;
esac
case $FS in
    ext4|xfs|ext2|vfat|btrfs)
        type=$FS
        [ $FS = ext2 ] && type=ext4     # whose driver does ext2 as well
        [ $FS = ext2 ] && { mount -t ext2 ${MOUNT_OPTS:+-o $MOUNT_OPTS} /dev/pmem0 /mnt/pmem 2>/dev/null && type= ; }
        [ "$type" ] && { mount -t $type ${MOUNT_OPTS:+-o $MOUNT_OPTS} /dev/pmem0 /mnt/pmem || fail "mount $FS $MOUNT_OPTS"; }
        chmod 1777 /mnt/pmem ;;
esac
say "ready: $(grep /mnt/pmem /proc/mounts)"
cd /payload
if [ -e /env.sh ]; then set -a; . /env.sh; set +a; fi
sh /command.sh
rc=$?
say "command ended: $rc"
vmexit $rc
reboot -f
SH
    chmod 755 "$b/init"
    for t in mke2fs mkfs.xfs mkfs.vfat mkfs.btrfs ndctl; do
        p=$(command -v "$t" || ls "/usr/sbin/$t" 2>/dev/null || true)
        [[ $p ]] || continue
        cp -L "$p" "$b/usr/sbin/$t"     # by full path: busybox sh prefers its own applets
        copy_libs "$b" "$p"
    done
    [[ -e /etc/mke2fs.conf ]] && cp /etc/mke2fs.conf "$b/etc/"
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$b/etc/passwd"; printf 'root:x:0:\n' >"$b/etc/group"
    rm -f "$cache/base-$flavour."*.cpio
    cpio_of "$b" >"$base.tmp"; mv "$base.tmp" "$base"; rm -rf "$b"
fi

exec 9>&-

# ------------------------------------------------------------- this run's files
w=$(mktemp -d "${TMPDIR:-/tmp}/pmemvm.XXXXXX")
qpid=
cleanup() { [[ $qpid ]] && kill "$qpid" 2>/dev/null || true; rm -rf "$w"; }
trap cleanup EXIT
trap 'exit 130' INT; trap 'exit 143' TERM
r=$w/root
mkdir -p "$r/payload"
cp -a "$dir/." "$r/payload/"
mapfile -t elves < <(elves_in "$r")
(( ${#elves[@]} )) && ( cd "$dir" && copy_libs "$r" "${elves[@]}" )
printf '%s\n' "$command" >"$r/command.sh"
for e in ${envs[@]+"${envs[@]}"}; do printf '%s=%q\n' "${e%%=*}" "${e#*=}" >>"$r/env.sh"; done
cat >"$r/vm.conf" <<E
FS=$fs
MKFS_OPTS='$mkfs_opts'
MOUNT_OPTS='$mount_opts'
VERBOSE=$verbose
E
{ cat "$base"; cpio_of "$r"; } >"$w/initrd"
rm -rf "$r"

# ------------------------------------------------------------------- the machine
size_m=$(to_mib "$size") mem_m=$(to_mib "$mem")
total=$(( size_m + mem_m )) far_m=0
[[ -z $far ]] || far_m=$(to_mib "$far")
(( mem_m * 1048576 > $(stat -c %s "$w/initrd") * 2 + 200000000 )) || die "files too big for --mem $mem"
q=(-no-user-config -nodefaults -display none -no-reboot -accel tcg,thread=multi,tb-size=256
   -cpu "$cpu" -smp "$smp" -kernel "$kroot/vmlinux" -initrd "$w/initrd"
   -chardev stdio,id=con,signal=off -chardev "file,id=rc,path=$w/rc"
   -device isa-debugcon,iobase=0xe9,chardev=rc -device isa-debug-exit,iobase=0xf4,iosize=4)
nodes=()
if [[ $fs == hmat ]]; then
    total=$mem_m
    bandwidths=(100G 400G 20G) latencies=(100 90 300)
    nodes=(-machine hmat=on -numa "node,nodeid=0,memdev=ram0,cpus=0-$((smp - 1))")
    for node in 0 1 2; do
        part=256
        (( node )) || part=$(( mem_m - 512 ))
        nodes+=(-object "memory-backend-ram,id=ram$node,size=${part}M")
        (( ! node )) || nodes+=(-numa "node,nodeid=$node,memdev=ram$node,initiator=0"
            -numa "dist,src=0,dst=$node,val=$((10 + 7 * node))")
    done
    nodes+=(-numa dist,src=1,dst=2,val=28)
    for node in 0 1 2; do
        lb="hmat-lb,initiator=0,target=$node,hierarchy=memory"
        nodes+=(-numa "$lb,data-type=access-latency,latency=${latencies[node]}"
            -numa "$lb,data-type=access-bandwidth,bandwidth=${bandwidths[node]}")
    done
fi
# RAM below 4G is --mem, the pmem region starts at 4G exactly.
(( mem_m <= 3072 )) || die "--mem: at most 3G"
q+=(-serial chardev:con
    -machine "q35,max-ram-below-4g=${mem_m}M,usb=off,vmport=off,hpet=off,smbus=off,sata=off"
    -m "$((total + far_m))M" "${nodes[@]}")
# All that is no pmem region and no --mem lies above it.
(( far_m == 0 )) ||
    q+=(-object "memory-backend-ram,id=near,size=${total}M" -numa "node,nodeid=0,cpus=0-$((smp - 1)),memdev=near"
        -object "memory-backend-ram,id=far,size=${far_m}M" -numa node,nodeid=1,memdev=far)
kargs="console=ttyS0 panic=-1 oops=panic nokaslr mitigations=off nowatchdog no_timer_check tsc=reliable"
kargs+=" rcupdate.rcu_expedited=1 cryptomgr.notests random.trust_cpu=on audit=0 apparmor=0 kfence.sample_interval=0"
region="${size_m}M!4G"
# What a "specific purpose" memory's entry in the memory map looks like.
[[ $fs != hmem ]] || region="${size_m}M%4G-1+0xefffffff"
kargs+=" i8042.noprobe"
[[ $fs == hmat ]] || kargs+=" memmap=$region"
# The other node's memory starts behind the first region.
[[ -z $far_pmem ]] || kargs+=" memmap=$(to_mib "$far_pmem")M!$((4096 + size_m))M"
(( verbose )) || kargs+=" quiet loglevel=1"
q+=(-append "$kargs")
(( verbose )) && { echo "guest: qemu-system-x86_64 ${q[*]@Q}" >&2; }

t1=$(now)
set +e
timeout --foreground -k 5 "$limit" qemu-system-x86_64 "${q[@]}" </dev/null &
qpid=$!
wait "$qpid"; qrc=$?
qpid=
t2=$(now)
if [[ -s $w/rc ]]; then rc=$(od -An -tu1 -N1 "$w/rc" | tr -d ' ')
elif (( qrc == 124 || qrc == 137 )); then rc=124; echo "guest: timed out after $limit s" >&2
else rc=125; echo "guest: the guest ended with no status (qemu: $qrc)" >&2; fi
(( verbose )) && awk -v a="$t0" -v b="$t1" -v c="$t2" -v r="$rc" \
    'BEGIN { printf "guest: prepare %.2f s, qemu %.2f s, status %d\n", b - a, c - b, r }' >&2
exit "$rc"
