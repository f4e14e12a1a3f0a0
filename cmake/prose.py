#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Counts what makes comments and manual pages hard to read.

usage: cmake/prose.py [--root DIR] [--list PART | --check]

For each part of the tree a row: words; "where" for each 1,000 words (a
condition is written with "if" or "when"); words of WORDS, for each 1,000; and
how many comments and paragraphs begin in one of the ways of OPENINGS, and how
many section rulers are broken over two lines.

--list PART prints each of those with its file and line. --check exits with 1
if a part is above its limits (LIMITS), and lists what it has.
"""
import argparse
import os
import re
import sys

# These leave open who does something, or which of two things is meant.
WORDS = re.compile(
    r"\b(nobody|somebody|someone|whoever"
    r"|(?:is|are|was|were|be|been|being) told|tells?"
    r"|all the same|at any rate)\b", re.IGNORECASE)
WHERE = re.compile(r'(?<!")\bwhere\b(?!")', re.IGNORECASE)
# A comment that begins so cannot be read without the one above it.
OPENINGS = re.compile(r"(The same\b|Of |But not\b|Nor\b)")

# What a part may have: "where" and WORDS for each 1,000 words, and the numbers
# of openings and of broken rulers.
GOAL = (1.0, 0.5, 0, 0)
# A part that is not named here keeps to GOAL.
LIMITS = {
    "README.md": (1.5, 0.5, 0, 0),  # its "where" are places
}

C_NAMES = (".c", ".h", ".cpp", ".hpp")
HASH_NAMES = (".sh", ".py", ".cmake", ".in", "CMakeLists.txt", "run")
FOLDERS = ("include", "src", "man", "tests", "examples", "cmake", ".ci")


class Text:
    """A comment or a paragraph: pieces of text, each with its line."""

    def __init__(self, path, ruler_broken=False):
        self.path = path
        self.pieces = []
        self.ruler_broken = ruler_broken

    def add(self, line, text):
        self.pieces.append((line, text))


# ---- reading the kinds of files --------------------------------------------

C_TOKENS = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.DOTALL | re.VERBOSE)


def read_c(path, source):
    """Comments. Those of // that follow one another are one."""
    texts = []
    end_of_last = None
    for token in C_TOKENS.finditer(source):
        comment = token.group()
        if comment[0] in "\"'":
            continue
        line = source.count("\n", 0, token.start()) + 1
        if comment.startswith("//"):
            alone = not source[source.rfind("\n", 0, token.start()) + 1:
                               token.start()].strip()
            if not (alone and end_of_last == line - 1):
                texts.append(Text(path))
            texts[-1].add(line, comment[2:])
            end_of_last = line if alone else None
            continue
        end_of_last = None
        body = comment[2:-2]
        ruler = re.match(r"\s*----", body)
        texts.append(Text(path, bool(ruler) and "\n" in body))
        for number, text in enumerate(body.split("\n")):
            texts[-1].add(line + number, re.sub(r"^\s*\*+ ?", "", text))
    return texts


def read_hash(path, source):
    """Comments of scripts, and the texts that stand alone in Python ones."""
    texts = []
    last = None
    in_string = False
    for number, line in enumerate(source.split("\n"), 1):
        if path.endswith(".py") and not in_string:
            if re.match(r'\s*"""', line):
                texts.append(Text(path))
                texts[-1].add(number, line.replace('"""', " "))
                in_string = line.count('"""') == 1
                last = None
                continue
        elif in_string:
            texts[-1].add(number, line.replace('"""', " "))
            in_string = '"""' not in line
            continue
        whole = re.match(r"\s*#(?!!)(.*)", line)
        found = whole or re.search(r"\s# (.*)", line)
        if found is None or "'#" in line:
            last = None
            continue
        if not (whole and last == number - 1):
            texts.append(Text(path))
        texts[-1].add(number, found.group(1))
        last = number if whole else None
    return texts


# Requests whose arguments are text.
ROFF_TEXT = re.compile(r"\.(B|I|R|BR|RB|BI|IB|IR|RI|SH|SS|IP|TP|TQ)\b ?(.*)")


def read_roff(path, source):
    """Paragraphs of a manual page, without programs and prototypes."""
    texts = [Text(path)]
    skipping = None
    tag_follows = False
    for number, line in enumerate(source.split("\n"), 1):
        if skipping:
            if line.startswith(skipping):
                skipping = None
            continue
        if line.startswith((".EX", ".nf")):
            skipping = ".EE" if line.startswith(".EX") else ".fi"
            continue
        found = ROFF_TEXT.match(line)
        request = line.split(" ")[0]
        if line.startswith(".") and not (found and found.group(2)):
            texts.append(Text(path))
        if request in (".TP", ".TQ"):
            tag_follows = True
        if not found and line.startswith(".") or request == ".IP":
            continue
        # A heading, and the tag of an item, are texts of their own.
        alone = tag_follows or request in (".SH", ".SS")
        if alone:
            texts.append(Text(path))
        text = found.group(2) if found else line
        text = re.sub(r"\\(f.|\(..|[-e&/ ])", " ", text).replace('"', "")
        texts[-1].add(number, text)
        if alone and request not in (".TP", ".TQ"):
            texts.append(Text(path))
            tag_follows = False
    return texts


def read_markdown(path, source):
    """Paragraphs and items of lists, without what stands as code."""
    texts = [Text(path)]
    fenced = False
    for number, line in enumerate(source.split("\n"), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            pass
        elif not line.strip():
            texts.append(Text(path))
        else:
            item = re.match(r"\s*(?:[-*]|\d+\.|#+|\|)\s+(.*)", line)
            if item:
                texts.append(Text(path))
            texts[-1].add(number, re.sub(r"`[^`]*`", "",
                                         item.group(1) if item else line))
    return texts


def read_file(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        source = file.read()
    if path.endswith(".md"):
        return read_markdown(path, source)
    if path.startswith("man/"):
        return read_roff(path, source)
    if path.endswith(C_NAMES):
        return read_c(path, source)
    return read_hash(path, source)


# ---- the tree ---------------------------------------------------------------

def part_of(path):
    names = path.split("/")
    if names[0] in ("src", "tests") and len(names) > 2:
        return "/".join(names[:2])
    return names[0]


def files_of(root):
    for name in sorted(os.listdir(root)):
        if name.endswith(".md"):
            yield name
    for folder in FOLDERS:
        for where, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = sorted(f for f in folders
                                if f not in ("corpus", "__pycache__"))
            for name in sorted(names):
                path = os.path.relpath(os.path.join(where, name), root)
                if (folder == "man" or
                        name.endswith(C_NAMES + HASH_NAMES + (".md",))):
                    yield path


class Count:
    def __init__(self):
        self.words = 0
        # (kind, file, line, text)
        self.found = []

    def number(self, kind):
        return sum(1 for found in self.found if found[0] == kind)

    def row(self):
        thousand = max(self.words, 1) / 1000
        return (self.number("where") / thousand, self.number("word") / thousand,
                self.number("opening"), self.number("ruler"))


def add_text(count, text):
    if text.pieces[0][1].strip().startswith("SPDX-License-Identifier"):
        return
    for line, piece in text.pieces:
        count.words += len(re.findall(r"[A-Za-z][\w'-]*", piece))
    # A phrase may be broken over two lines.
    joined, starts = "", []
    for line, piece in text.pieces:
        starts.append((len(joined), line))
        joined += piece.strip() + " "

    def note(kind, position):
        line = [number for start, number in starts if start <= position][-1]
        shown = joined[max(0, position - 25):position + 45].strip()
        count.found.append((kind, text.path, line, shown))

    for match in WHERE.finditer(joined):
        note("where", match.start())
    for match in WORDS.finditer(joined):
        note("word", match.start())
    opening = re.match(r"\s*", joined).end()
    if OPENINGS.match(joined, opening):
        note("opening", opening)
    if text.ruler_broken:
        note("ruler", 0)


def count_tree(root):
    counts = {}
    for path in files_of(root):
        count = counts.setdefault(part_of(path), Count())
        for text in read_file(root, path):
            if text.pieces:
                add_text(count, text)
    return counts


def print_table(counts):
    print(f"{'part':20}{'words':>8}{'where/1000':>12}{'words/1000':>12}"
          f"{'openings':>10}{'rulers':>8}")
    total = Count()
    for part, count in sorted(counts.items()):
        total.words += count.words
        total.found += count.found
    for part, count in sorted(counts.items()) + [("all", total)]:
        where, words, openings, rulers = count.row()
        print(f"{part:20}{count.words:8}{where:12.2f}{words:12.2f}"
              f"{openings:10}{rulers:8}")


def print_found(count, kinds):
    for kind, path, line, text in count.found:
        if kind in kinds:
            print(f"{path}:{line}: {kind}: {text}")


KINDS = ("where", "word", "opening", "ruler")
ADVICE = {
    "where": 'write a condition with "if" or "when"; "where" is for places',
    "word": "name who does it, or which thing is meant",
    "opening": "begin the comment so that it can be read without the one above it",
    "ruler": "put the section ruler on one line, of at most 78 columns",
}


def check(counts):
    status = 0
    for part, count in sorted(counts.items()):
        limits = LIMITS.get(part, GOAL)
        above = [kind for kind, value, limit
                 in zip(KINDS, count.row(), limits) if value > limit]
        if above:
            status = 1
            values = zip(KINDS, count.row(), limits)
            print(f"{part}: " + ", ".join(
                f"{kind} {value:.2f} (at most {limit})"
                for kind, value, limit in values if kind in above))
            print_found(count, above)
            print("\n".join(f"to do: {ADVICE[kind]}" for kind in above))
    return status


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--root", default=os.path.dirname(
        os.path.dirname(os.path.abspath(__file__))))
    options.add_argument("--list", metavar="PART")
    options.add_argument("--check", action="store_true")
    options = options.parse_args()
    counts = count_tree(options.root)
    if options.list:
        if options.list not in counts:
            sys.exit(f"no such part: {options.list}")
        print_found(counts[options.list], KINDS)
        return 0
    print_table(counts)
    return check(counts) if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
