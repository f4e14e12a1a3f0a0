#!/usr/bin/env bash
# boot.sh MACHINE KERNEL BUSYBOX ROOT [TIMEOUT]: boots a kernel in QEMU, without
# KVM, with the folder ROOT and busybox as its initramfs, and runs
# ROOT/payload/command.sh there, with file systems in memory only.
#
#   MACHINE  arm64: any 64-bit arm kernel; la57: x86-64 with 57-bit addresses
#   TIMEOUT  seconds for all of it [600]
#
# The console goes to stdout; the exit status is the command's, or 124 (timed
# out), or 125 (the guest ended without a status). (tests/pmem/guest.sh is for
# guests with persistent memory, on x86-64 alone.)
set -euo pipefail
machine=$1 kernel=$2 busybox=$3 root=$4 limit=${5:-600}

work=$(mktemp -d)
qemu_pid=
cleanup() { [ -z "$qemu_pid" ] || kill "$qemu_pid" 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir -p "$work/base/bin"
cp -L "$busybox" "$work/base/bin/busybox"
cat >"$work/base/init" <<'SH'
#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /sys /tmp /mnt /etc /sbin /usr/bin /usr/sbin
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=dumb
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/shm
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
exec </dev/null >/dev/console 2>&1
echo root:x:0:0:root:/:/bin/sh >/etc/passwd
ip link set lo up 2>/dev/null
cd /payload
sh command.sh
echo "boot: status $?"
poweroff -f
SH
chmod 755 "$work/base/init"
cpio_of() { (cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H newc); }
{ cpio_of "$work/base"; cpio_of "$root"; } >"$work/initrd"

options=(-no-user-config -nodefaults -display none -no-reboot -smp 2 -m 2560M
         -accel "tcg,thread=multi,tb-size=256" -serial stdio
         -kernel "$kernel" -initrd "$work/initrd")
arguments="quiet loglevel=1 panic=-1 nowatchdog mitigations=off audit=0 apparmor=0 random.trust_cpu=on"
case $machine in
    # (Without the architecture's own cipher for pointers, which is slow to emulate.)
    arm64) qemu=(qemu-system-aarch64 -machine virt -cpu "max,pauth-impdef=on")
           arguments+=" console=ttyAMA0" ;;
    la57) qemu=(qemu-system-x86_64 -machine q35,usb=off -cpu max,la57=on)
          arguments+=" console=ttyS0 nokaslr no_timer_check tsc=reliable" ;;
    *) echo "boot: no such machine: $machine" >&2; exit 126 ;;
esac

: >"$work/console"
set +e
timeout --foreground -k 5 "$limit" "${qemu[@]}" "${options[@]}" -append "$arguments" \
    </dev/null >"$work/console" 2>&1 &
qemu_pid=$!
tail -n +1 --pid=$qemu_pid -f "$work/console" | stdbuf -oL tr -d '\r' &
wait "$qemu_pid"
qemu_status=$?
qemu_pid=
wait
status=$(tr -d '\r' <"$work/console" | sed -n 's/^boot: status \([0-9]*\)$/\1/p' | tail -n 1)
if [ -n "$status" ]; then
    exit "$status"
elif [ $qemu_status = 124 ] || [ $qemu_status = 137 ]; then
    echo "boot: timed out after $limit s" >&2
    exit 124
fi
echo "boot: the guest ended without a status (qemu: $qemu_status)" >&2
exit 125
