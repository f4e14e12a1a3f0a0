#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Prints the code of an example (.EX to .EE) of a man page, the first one or that
# with a number, as a reader of the page would see it: groff's escapes are
# undone. Fails if there is no such example, or if it has a request or an
# escape that is not known here.
#
# Usage: extract_man_example.sh PAGE [NUMBER] >example.c

set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: $0 PAGE [NUMBER]" >&2
    exit 2
fi

exec awk -v wanted="${2:-1}" '
function fail(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text >"/dev/stderr"
    failed = 1
    exit 1
}

# The text of a line; `rest` always starts at what has not been looked at.
function unescape(rest,    text, at, name) {
    text = ""
    while ((at = index(rest, "\\")) > 0) {
        text = text substr(rest, 1, at - 1)
        name = substr(rest, at + 1, 1)
        rest = substr(rest, at + 2)
        if (name == "(") {
            name = substr(rest, 1, 2)
            rest = substr(rest, 3)
        } else if (name == "[") {
            at = index(rest, "]")
            name = substr(rest, 1, at - 1)
            rest = substr(rest, at + 1)
        } else if (name == "f") {
            # a change of font: one letter, (XX or [name]
            at = substr(rest, 1, 1)
            at = at == "(" ? 3 : at == "[" ? index(rest, "]") : 1
            rest = substr(rest, at + 1)
            continue
        } else if (name == "\"") {
            rest = ""
            continue
        }
        if (!(name in meaning))
            fail("unknown escape \\" name)
        text = text meaning[name]
    }
    return text rest
}

BEGIN {
    apostrophe = sprintf("%c", 39)
    meaning["e"] = meaning["\\"] = meaning["rs"] = "\\"
    meaning["-"] = "-"
    meaning["."] = "."
    meaning[" "] = meaning["~"] = " "
    meaning["&"] = meaning[":"] = meaning["|"] = meaning["^"] = ""
    meaning["aq"] = apostrophe
    meaning["dq"] = "\""
    meaning["ga"] = "`"
    meaning["ha"] = "^"
    meaning["ti"] = "~"
    meaning["at"] = "@"
    meaning["sh"] = "#"
    meaning["lB"] = "["
    meaning["rB"] = "]"
    meaning["lC"] = "{"
    meaning["rC"] = "}"
    meaning["ba"] = "|"
}

/^\.EX/ && ++number == wanted { inside = found = 1; next }
!inside { next }
/^\.EE/ { closed = 1; exit }
/^[.'\''] *\\"/ { next }
/^[.'\'']/ { fail("request in an example: " $0) }
{ print unescape($0) }

END {
    if (failed)
        exit 1
    if (!found || !closed) {
        print FILENAME ": no example " wanted >"/dev/stderr"
        exit 1
    }
}' "$1"
