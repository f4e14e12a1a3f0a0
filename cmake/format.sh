#!/usr/bin/env bash
# Lays out C and C++ sources as .clang-format says.
#
#   cmake/format.sh [FILE...]            without: all that git knows or could add
#   cmake/format.sh --check [FILE...]    changes nothing; fails if it would
#
# Files of other languages are passed over. Exits with 77 if there is no clang-format.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
check=
if [ "${1-}" = --check ]; then
    check=1
    shift
fi
command -v clang-format >/dev/null || {
    echo "skipped: formatting (clang-format is not installed)"
    exit 77
}
if [ $# -gt 0 ]; then
    printf '%s\0' "$@"
else
    cd "$root"
    git ls-files -z --cached --others --exclude-standard
fi | { grep -zE '\.(c|h|cpp|hpp)$' || true; } | while IFS= read -r -d '' file; do
    [ ! -f "$file" ] || printf '%s\0' "$file"
done | if [ -n "$check" ]; then
    xargs -0 -r clang-format --dry-run --Werror || {
        echo "to do: cmake/format.sh"
        exit 1
    }
else
    xargs -0 -r clang-format -i
fi
