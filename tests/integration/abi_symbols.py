#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The symbols file of the Debian package, cmake/debian/symbols, has each function
and object of src/libmemkind.abi, with the version of this project that brought
it. Packages of programs depend on the newest one that they use.

usage: abi_symbols.py SOURCE-DIRECTORY [--update]

--update enters what has been added, with the present version of the project
(VERSION in CMakeLists.txt), and takes out what that version added and no longer
has.
"""
import os
import re
import sys

HEAD = ["libmemkind.so.0 libmemkind-pmem0 #MINVER#",
        "* Build-Depends-Package: libmemkind-pmem-dev"]
LINE = re.compile(r" (\w+)@Base (\d+\.\d+\.\d+)$")


def number(version):
    return [int(part) for part in version.split(".")]


def compare(exported, symbols, project):
    """What is wrong with SYMBOLS, {name: version}: a list of sentences."""
    wrong = []
    for name in sorted(exported - set(symbols)):
        wrong.append(f"{name} is missing: add \" {name}@Base VERSION\", the version "
                     "in which it will come")
    for name in sorted(set(symbols) - exported):
        wrong.append(f"{name} is not in src/libmemkind.abi: programs that use it "
                     "would not start")
    for name, version in sorted(symbols.items()):
        if number(version) > number(project):
            wrong.append(f"{name}@Base {version} is newer than the project, "
                         f"{project}: raise VERSION in CMakeLists.txt")
    return wrong


def can_fail():
    """Each sort of mistake is noticed."""
    known = {"a": "1.0.0", "b": "1.2.0"}
    return (not compare({"a", "b"}, known, "1.2.0")
            and "c is missing" in compare({"a", "b", "c"}, known, "1.2.0")[0]
            and "b is not in" in compare({"a"}, known, "1.2.0")[0]
            and "b@Base 1.2.0 is newer" in compare({"a", "b"}, known, "1.1.9")[0])


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["--update"]):
        sys.exit(__doc__)
    root = sys.argv[1]
    path = os.path.join(root, "cmake/debian/symbols")
    with open(os.path.join(root, "CMakeLists.txt"), encoding="utf-8") as file:
        project = re.search(r"project\(\S+ VERSION (\S+)", file.read()).group(1)
    with open(os.path.join(root, "src/libmemkind.abi"), encoding="utf-8") as file:
        exported = {line.split()[1] for line in file
                    if line.startswith(("function ", "object "))}
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    matches = [LINE.match(line) for line in lines[len(HEAD):]]
    symbols = {match.group(1): match.group(2) for match in matches if match}

    if sys.argv[2:]:
        for name in exported - set(symbols):
            symbols[name] = project
        for name in [name for name, version in symbols.items()
                     if name not in exported and version == project]:
            del symbols[name]
        with open(path, "w", encoding="utf-8") as file:
            for line in HEAD:
                print(line, file=file)
            for name in sorted(symbols):
                print(f" {name}@Base {symbols[name]}", file=file)
        lines, matches = HEAD, []

    wrong = compare(exported, symbols, project)
    if lines[:len(HEAD)] != HEAD or not all(matches):
        wrong.append("the first lines are to be\n  " + "\n  ".join(HEAD)
                     + "\nand all others \" NAME@Base VERSION\"")
    if not can_fail():
        wrong.append("abi_symbols.py does not notice mistakes")
    for sentence in wrong:
        print(f"cmake/debian/symbols: {sentence}")
    if wrong:
        print("To enter what was added: tests/integration/abi_symbols.py . --update")
        sys.exit(1)
    print(f"cmake/debian/symbols: {len(symbols)} symbols, as in src/libmemkind.abi")


main()
