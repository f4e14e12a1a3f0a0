#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the man pages and the binary interface are about the same things.

usage: man_coverage.py ABI-LIST PAGE... >declarations.c

ABI-LIST is src/libmemkind.abi. Each exported function has to be in the SYNOPSIS
of one page, and in its text as well; each handle and constant in the text of a
page; each status code under ERRORS of memkind(3). No page may name a function
that does not exist. What is printed are the prototypes of all SYNOPSIS sections
of C headers, as C source: it compiles if they are those of the headers.

A page says what a kind is before it uses the word in its DESCRIPTION.
"""
import os
import re
import shlex
import sys

# What programs do not use by name: the ends of enumerations, and the numbers of
# kinds, which memkind_get_kind_by_partition(), deprecated, takes.
UNDOCUMENTED = re.compile(r"MEMKIND_(\w+_MAX_VALUE|PARTITION_\w+|NUM_BASE_KIND)$")

FONTS = ("B", "I", "R", "BI", "BR", "IB", "IR", "RB", "RI")


def unescape(text):
    text = re.sub(r'\\".*', "", text)
    return text.replace(r"\-", "-").replace(r"\ ", " ").replace(r"\&", "")


def text_of(line):
    """A line of the source, as it is printed."""
    macro = re.match(r"\.(\w+) +(.*)", line)
    if not macro:
        return "" if line.startswith((".", "'")) else unescape(line)
    name, rest = macro.groups()
    if name not in FONTS + ("SS", "TP", "TQ"):
        return ""
    lexer = shlex.shlex(rest, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, '"', "", ""
    return unescape((" " if len(name) == 1 else "").join(lexer))


def sections_of(path):
    """The text of a page by its sections."""
    sections, lines = {}, []
    with open(path, encoding="ascii") as page:
        for line in page.read().replace("\\\n", "").splitlines():
            if line.startswith(".SH "):
                lines = sections.setdefault(line[4:].strip('"'), [])
            else:
                lines.append(text_of(line))
    return {name: "\n".join(lines) for name, lines in sections.items()}


def main():
    with open(sys.argv[1], encoding="ascii") as abi:
        words = [line.split() for line in abi]
    exported = {kind: {w[1] for w in words if w[0] == kind}
                for kind in ("function", "object", "constant")}
    if not all(exported.values()):
        sys.exit(f"{sys.argv[1]}: no list of a binary interface")

    problems = []
    synopses, texts, errors = {}, {}, ""
    for path in sys.argv[2:]:
        page = os.path.basename(path)
        sections = sections_of(path)
        synopses[page] = sections.pop("SYNOPSIS", "")
        first = re.search(r"\b(A\s+)?kinds?\b(\s+is\s+a\s+heap\b)?", sections["DESCRIPTION"])
        if first and not (first.group(1) and first.group(2)):
            problems.append(f"{page}: does not begin with what a kind is")
        if page == "memkind.3":
            errors = sections["ERRORS"]
        if path.endswith((".3", ".7")):
            for name in ("EXAMPLE", "DIFFERENCES FROM LIBMEMKIND 1.14"):
                if not sections.get(name, "").strip():
                    problems.append(f"{page}: no section {name}")
        # What other pages call is in examples, and what is missing has its section.
        texts[page] = "\n".join(text for name, text in sections.items()
                                if not name.startswith(("EXAMPLE", "DIFFERENCES")))
        for name in sorted(set(re.findall(r"\b(memkind_\w+) ?\(\)", "\n".join(sections.values())))
                           | set(re.findall(r"\b(memkind_\w+)\(", synopses[page]))):
            if name not in exported["function"]:
                problems.append(f"{page}: there is no {name}()")

    all_text = "\n".join(list(texts.values()) + list(synopses.values()))
    for name in sorted(exported["function"]):
        pages = [page for page, text in synopses.items() if re.search(rf"\b{name}\(", text)]
        if len(pages) != 1:
            problems.append(f"{name}() is in the SYNOPSIS of {pages or 'no page'}")
        elif not re.search(rf"\b{name}\b", texts[pages[0]]):
            problems.append(f"{pages[0]}: {name}() is in the SYNOPSIS alone")
    for name in sorted(exported["object"] | exported["constant"]):
        if not UNDOCUMENTED.match(name) and not re.search(rf"\b{name}\b", all_text):
            problems.append(f"{name} is in no page")
    for name in sorted(exported["constant"]):
        if name.startswith("MEMKIND_ERROR_") and not name.endswith("_SIZE") \
                and not re.search(rf"\b{name}\b", errors):
            problems.append(f"memkind.3: {name} is not under ERRORS")
    if problems:
        sys.exit("\n".join(problems))

    print("#define _GNU_SOURCE")
    for page, text in synopses.items():
        if page.endswith(".3") and "::" not in text:
            print(f"/* {page} */")
            print(re.sub(r"^Link with\n.*", "", text, flags=re.M))


main()
