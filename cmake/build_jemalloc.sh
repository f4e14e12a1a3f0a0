#!/usr/bin/env bash
# build_jemalloc.sh SOURCE WORK ARCHIVE [CONFIGURE-ARGUMENT...]
# Builds a static, position-independent jemalloc from a source tree or a
# .tar.gz of one, which is left as it is. Needs autoconf if the tree has no
# configure script.
set -euo pipefail
source=$1 work=$2 archive=$3
shift 3

rm -rf "$work/source"
mkdir -p "$work/source"
if [ -d "$source" ]; then
    cp -R "$source/." "$work/source"
else
    tar -xf "$source" -C "$work/source" --strip-components=1
fi
cd "$work/source"
exec 3>&2 >"$work/build.log" 2>&1
trap 'status=$?; [ $status = 0 ] || tail -n 30 "$work/build.log" >&3' EXIT
# Two assertions of debug builds are wrong in jemalloc itself, whose release
# code handles both cases: an arena may be destroyed with objects in it, and a
# cache may be filled with fewer objects than wanted when space runs out.
sed -i '/assert(bstats->nonfull_slabs == 0);/d' src/ctl.c
sed -i 's/assert(filled >= nfill_min && filled <= nfill_max);/assert(filled <= nfill_max);/' src/tcache.c
# Three more fail if the first background thread could not be started: the marks
# of those that it would have started are still there.
sed -i -e '/assert(n_background_threads == 0);/d' \
    -e '/^background_threads_enable(/,/^}/s/assert(info->state == background_thread_stopped);//' src/background_thread.c
[ -x configure ] || autoconf
# What is built runs on other machines of the architecture, too: their pages and
# huge pages are not to be taken from this one's. jemalloc can do with pages that
# are smaller than its own, not with larger ones. (Debian's has the same values.)
case $(${CC:-cc} -dumpmachine) in
    x86_64* | i?86*) lg_page=12 ;;
    *) lg_page=16 ;;
esac
# mkje_ would do for the prefix, but embed_jemalloc.sh adds it, so that both
# kinds of archive are treated alike.
./configure --with-lg-page=$lg_page --with-lg-hugepage=21 --with-jemalloc-prefix= \
    --disable-cxx --disable-initial-exec-tls --disable-shared --enable-static \
    --disable-doc "$@"
make -j"$(nproc)" lib/libjemalloc_pic.a
cp lib/libjemalloc_pic.a "$archive"
