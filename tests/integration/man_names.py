#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether man finds a page for each public name, and the page has the name.

usage: man_names.py SOURCE-ROOT MAN-FOLDER

MAN-FOLDER is share/man of an installed tree. The names are those of the binary
interface (src/libmemkind.abi), all that begin with memkind_ or MEMKIND_ in the
headers, the environment variables of the table of options, the headers, and the
C++ classes: by their full names, and as namespace_class.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys

# Numbers of kinds, ends of enumerations, what only a compiler needs, and members
# of structures: a page is found, but does not list them.
NOT_LISTED = re.compile(
    r"(?:MEMKIND|MEMTIER|HBW)_(\w+_MAX_VALUE|PARTITION_\w+|NUM_BASE_KIND|DEPRECATED|MALLOC_USABLE_SIZE_CONST)$"
    r"|memkind_(base_partition|const|const_private|heap|region_pool|allocator_base)$"
    r"|\w+\.hp*$")
GUARD = re.compile(r"(MEMKIND|HBW)_(\w+_)?H(PP)?$")


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def code_of(text):
    """C source without comments and includes."""
    return re.sub(r"//[^\n]*|/\*.*?\*/|#include [^\n]*", " ", text, flags=re.S)


def classes(text):
    """The full names of classes and enumerations of C++ source."""
    found, scopes = set(), []
    text = re.sub(r"template\s*<[^>]*>", "", text)
    for token in re.finditer(r"namespace (\w+)\s*\{"
                             r"|\b(?:enum class|class|struct) (\w+)[^;{}()]*\{|[{}]", text):
        if token.group() == "}":
            scopes.pop()
            continue
        if token.group(2) and scopes and None not in scopes and "detail" not in scopes:
            found.add("::".join(scopes + [token.group(2)]))
        scopes.append(token.group(1))
    return found


def public_names(root):
    names = {line.split()[1] for line in read(root, "src/libmemkind.abi").splitlines()
             if re.match(r"(function|object|constant) ", line)}
    include = os.path.join(root, "include")
    for path in glob.glob(os.path.join(include, "**", "*.h*"), recursive=True):
        text = code_of(read(path))
        header = os.path.basename(path)
        names |= {name for name in re.findall(r"\b(?:(?:memkind|MEMKIND|memtier|MEMTIER|hbw)_|HBW_(?:PAGE|POLICY|TOUCH))\w+\b", text)
                  if not GUARD.match(name)}
        names |= {header, header.split(".")[0]}
        if "namespace" in text:
            found = classes(text)
            names |= found | {"_".join(name.split("::")[1:]) for name in found
                              if name.count("::") == 2}
    names |= {"MEMKIND_" + name
              for name in re.findall(r"OPTION\((\w+), [A-Z]+,", read(root, "src/sys/options.h"))}
    return names


def find(folder, name):
    """The file that man shows, or None."""
    result = subprocess.run(["man", "-I", "-M", folder, "-w", name], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, check=False)
    return os.path.realpath(result.stdout.splitlines()[0]) if result.stdout else None


def is_named(name, text):
    """Whether the source of a page has a name; that of a class may be split."""
    return re.search(rf"\b({name}|{'::'.join(name.rsplit('_', 1))})\b", text)


def main():
    root, folder = sys.argv[1], sys.argv[2]
    ours = {os.path.basename(page): read(page).replace("\\-", "-")
            for page in glob.glob(os.path.join(root, "man", "*.[0-9]"))}
    names = sorted(public_names(root))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(lambda name: find(folder, name), names))
    problems = []
    for name, path in zip(names, pages):
        page = os.path.basename(path) if path else None
        if page not in ours:
            problems.append(f"man {name}: {page or 'no page'}")
        elif not NOT_LISTED.match(name) and not is_named(name, ours[page]):
            problems.append(f"man {name}: {page} does not have it")
    if problems:
        sys.exit("\n".join(problems + [f"{len(problems)} of {len(names)} names"]))
    print(f"{len(names)} names")


main()
