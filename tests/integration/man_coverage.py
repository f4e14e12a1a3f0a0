#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the man pages and the binary interface are about the same things.

usage: man_coverage.py ABI-LIST PAGE... >declarations.c

ABI-LIST is src/libmemkind.abi. Each exported function has to be in the SYNOPSIS
of one page, and in its text as well; each handle and constant in the text of a
page; each status code under ERRORS of memkind(3). DIFFERENCES of memkind(3) names
under Added exactly what libmemkind 1.14 does not export (dropin_exports.txt). No
page may name a function that does not exist, and no header declares one that is not
in the list. What is printed are the prototypes of all SYNOPSIS sections
of C headers, as C source: it compiles if they are those of the headers.

A page says what a kind is before it uses the word in its DESCRIPTION.
"""
import glob
import os
import re
import shlex
import sys

# What programs do not use by name: the ends of enumerations, and the numbers of
# kinds, which memkind_get_kind_by_partition(), deprecated, takes.
UNDOCUMENTED = re.compile(r"(?:MEMKIND|MEMTIER|HBW)_(\w+_MAX_VALUE|PARTITION_\w+|NUM_BASE_KIND)$")

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


def declared_functions():
    """Each function that a C header declares, with the header's name."""
    include = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../include")
    found = {}
    for path in sorted(glob.glob(os.path.join(include, "**", "*.h"), recursive=True)):
        with open(path, encoding="utf-8") as header:
            text = re.sub(r"/\*.*?\*/|//[^\n]*", "", header.read(), flags=re.S)
        for match in re.finditer(r"^(?!\s*(?:static|#|return|typedef))[\w\s*]*?\b((?:memkind|memtier|hbw)_\w+)"
                                 r"\([^;{}]*\)[^;{}()]*;", text, re.M):
            found.setdefault(match.group(1), os.path.relpath(path, include))
    return found


def inline_functions():
    """Those that a C header defines: they are in no library."""
    include = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../include")
    found = set()
    for path in glob.glob(os.path.join(include, "*.h")):
        with open(path, encoding="utf-8") as header:
            found |= set(re.findall(r"^static inline [\w\s*]*?(\w+)\(", header.read(), re.M))
    return found


def check_added(differences, exported):
    """What the subsection Added lacks, or should not have."""
    with open(os.path.join(os.path.dirname(__file__), "dropin_exports.txt"),
              encoding="ascii") as names:
        added = exported - set(names.read().split())
    section = re.search(r"^Added$(.*)", differences, re.M | re.S)
    named = set(re.findall(r"\b(?:memkind|MEMKIND)_\w+(?=\(\))", section.group(1))) \
        if section else set()
    return [f"memkind.3: {name} is not under DIFFERENCES, Added"
            for name in sorted(added - named)] \
        + [f"memkind.3: {name} is under DIFFERENCES, Added, and libmemkind has it"
           for name in sorted(named & exported - added)]


def main():
    with open(sys.argv[1], encoding="ascii") as abi:
        words = [line.split() for line in abi]
    exported = {kind: {w[1] for w in words if w[0] == kind}
                for kind in ("function", "object", "constant")}
    if not all(exported.values()):
        sys.exit(f"{sys.argv[1]}: no list of a binary interface")

    problems = []
    declared, inline = declared_functions(), inline_functions()
    for name in sorted(declared.keys() - exported["function"]):
        problems.append(f"{name}() is declared in {declared[name]}, and not in src/libmemkind.abi: "
                        "define it, then tests/integration/dropin_abi.sh BUILD --update")
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
            problems += check_added(sections["DIFFERENCES FROM LIBMEMKIND 1.14"],
                                    exported["function"] | exported["object"])
        if path.endswith((".3", ".7")):
            for name in ("EXAMPLE", "DIFFERENCES FROM LIBMEMKIND 1.14"):
                if not sections.get(name, "").strip():
                    problems.append(f"{page}: no section {name}")
        # What other pages call is in examples, and what is missing has its section.
        texts[page] = "\n".join(text for name, text in sections.items()
                                if not name.startswith(("EXAMPLE", "DIFFERENCES")))
        for name in sorted(set(re.findall(r"\b((?:memkind|memtier|hbw)_\w+) ?\(\)", "\n".join(sections.values())))
                           | set(re.findall(r"\b((?:memkind|memtier|hbw)_\w+)\(", synopses[page]))):
            if name in exported["function"] or name in inline:
                continue
            if name in declared:
                problems.append(f"{page}: {name}() is not in src/libmemkind.abi")
            else:
                problems.append(f"{page}: there is no {name}(): no header declares it")

    all_text = "\n".join(list(texts.values()) + list(synopses.values()))
    for name in sorted(exported["function"] | declared.keys()):
        pages = [page for page, text in synopses.items() if re.search(rf"\b{name}\(", text)]
        if len(pages) != 1:
            problems.append(f"{name}() is in the SYNOPSIS of {', '.join(pages) or 'no page'}: "
                            "it has to be in that of one page, with its text there")
        elif not re.search(rf"\b{name}\b", texts[pages[0]]):
            problems.append(f"{pages[0]}: {name}() is in the SYNOPSIS alone: describe it")
    for name in sorted(exported["object"] | exported["constant"]):
        if not UNDOCUMENTED.match(name) and not re.search(rf"\b{name}\b", all_text):
            problems.append(f"{name} is in no page: describe it where the functions that "
                            "take or return it are")
    for name in sorted(exported["constant"]):
        if name.startswith("MEMKIND_ERROR_") and not name.endswith("_SIZE") \
                and not re.search(rf"\b{name}\b", errors):
            problems.append(f"memkind.3: {name} is not under ERRORS: say there what it means")
    if problems:
        sys.exit("\n".join(problems))

    print("#define _GNU_SOURCE")
    for page, text in synopses.items():
        if page.endswith(".3") and "::" not in text:
            print(f"/* {page} */")
            print(re.sub(r"^Link with\n.*", "", text, flags=re.M))


main()
