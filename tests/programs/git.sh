#!/usr/bin/env bash
# git: a small repository is made, packed, checked, cloned and merged.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need git
git --version
commits=20
[ -z "$long" ] || commits=400
export HOME=$work GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org \
    GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org \
    GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git config --global init.defaultBranch main
git config --global core.commitGraph false
git config --global pack.threads 1 # the same pack each time
cat >"$work/script.sh" <<'SH'
set -e
commits=$1 source=$2
git init -q there && cd there
cp -r "$source/src" "$source/include" .
git add . && git commit -qm first
i=0
while [ $i -lt $commits ]; do
    i=$((i + 1))
    echo "line $i" >>src/README.md
    seq $i $((i * 20)) >file$((i % 7))
    git add . && git commit -qm "commit $i"
done
git checkout -qb other HEAD~5 && echo other >other && git add other && git commit -qm other
git checkout -q main && git merge -q --no-edit other
git log --stat --oneline | tail -20
git gc -q --prune=now --no-detach 2>/dev/null || git gc -q --prune=now
git fsck --full --strict
git count-objects -v
git grep -c malloc HEAD -- src | tail -5
git blame -s src/README.md | tail -3
git diff --shortstat HEAD~3
cd .. && git clone -q --no-local there copy && git -C copy rev-parse HEAD
git -C copy archive HEAD | sha256sum
git -C copy repack -adfq --window=20 --depth=20 && git -C copy fsck --full
# What has times or places in it.
rm -rf there/.git/index there/.git/logs copy
SH
same "~a repository" sh "$work/script.sh" $commits "$root"
ended_well
holds git $((1 << 20))
passed "$((commits + 3)) commits"
