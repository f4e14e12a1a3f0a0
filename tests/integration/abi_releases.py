#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the library's number says which functions it has.

usage: abi_releases.py SOURCE_ROOT [--update]

src/libmemkind.since has, for each name that the library exports, the release of
the project that it came with, and for each release the number of its library,
libmemkind.so.SONAME.MINOR.PATCH. A release that adds names has a larger minor
number than the one before it. CHANGELOG.md says which release is still open:
"## VERSION (unreleased)".

--update enters the names of src/libmemkind.abi that are not there yet under the
project's version. That needs an open release, and a minor number of its own.
"""
import os
import re
import sys

LIST = "src/libmemkind.since"
UPDATE = "tests/integration/dropin_abi.sh BUILD --update"

HEAD = """\
# The release of the project that each exported name came with, and the number of
# the library, libmemkind.so.SONAME.MINOR.PATCH, in each release that added names.
# To enter new ones:  tests/integration/dropin_abi.sh BUILD --update
"""


def numbers(version):
    return tuple(int(number) for number in version.split("."))


class Tree:
    """The texts that have to agree."""

    def __init__(self, root):
        def read(path):
            with open(os.path.join(root, path), encoding="utf-8") as file:
                return file.read()
        self.abi = read("src/libmemkind.abi")
        self.since = read(LIST) if os.path.exists(os.path.join(root, LIST)) else ""
        self.project = read("CMakeLists.txt")
        self.library = read("src/CMakeLists.txt")
        self.changes = read("CHANGELOG.md")


def found(pattern, text, place):
    match = re.search(pattern, text, re.M)
    if not match:
        sys.exit(f"{place}: no version is found")
    return match.group(1)


class Releases:
    def __init__(self, tree):
        self.version = found(r"^project\(\S+\s+VERSION (\d+\.\d+\.\d+)", tree.project,
                             "CMakeLists.txt")
        self.library = found(r"\bSOVERSION \d+ VERSION (\d+\.\d+\.\d+)", tree.library,
                             "src/CMakeLists.txt")
        self.heading, self.open = re.search(
            r"^## (\S+)(?: (\(unreleased\)))?", tree.changes, re.M).groups()
        self.exported = re.findall(r"^(?:function|object) (\w+)$", tree.abi, re.M)
        self.libraries = dict(re.findall(r"^release (\S+) (\S+)$", tree.since, re.M))
        self.since = {name: version for name, version
                      in re.findall(r"^(\w+) ([\d.]+)$", tree.since, re.M)}
        self.new = [name for name in self.exported if name not in self.since]

    def refusal(self):
        """Why names cannot be added to the project's version; None: they can."""
        if self.heading == self.version and self.open and (
                self.version in self.libraries or not self.libraries):
            return None
        last = max(self.libraries, key=numbers, default="0.0.0")
        before = self.libraries.get(last, "0.0.0")
        if (self.heading == self.version and self.open
                and numbers(self.version) > numbers(last)
                and numbers(self.library)[:2] > numbers(before)[:2]):
            return None
        major, minor, _ = numbers(last)
        soname, number, _ = numbers(before)
        return (f"{last} is released, with libmemkind.so.{before}. A release that adds "
                "functions has larger numbers: "
                f"VERSION {major}.{minor + 1}.0 in CMakeLists.txt, "
                f"VERSION {soname}.{number + 1}.0 in src/CMakeLists.txt, and in CHANGELOG.md "
                f"the heading \"## {major}.{minor + 1}.0 (unreleased)\"")

    def text(self):
        lines = [f"release {version} {library}" for version, library
                 in sorted(self.libraries.items(), key=lambda item: numbers(item[0]))]
        lines += [f"{name} {version}" for name, version in sorted(self.since.items())]
        return HEAD + "\n".join(lines) + "\n"

    def problems(self):
        problems = []
        if self.new:
            problems += [f"{name}: exported, but not in {LIST}" for name in self.new]
            refusal = self.refusal()
            problems.append(f"{refusal}; then: {UPDATE}" if refusal else f"do: {UPDATE}")
        for name, version in self.since.items():
            if name not in self.exported:
                problems.append(
                    f"{name}: exported no more, and programs that use it do not start: keep it. "
                    f"(If {version} was never released: {UPDATE})")
            if version not in self.libraries:
                problems.append(f"{LIST}: {name}: no line \"release {version} ...\"")
        order = sorted(self.libraries, key=numbers)
        for before, after in zip(order, order[1:]):
            if numbers(self.libraries[after])[:2] <= numbers(self.libraries[before])[:2]:
                problems.append(
                    f"{LIST}: {after} adds names, and its library, {self.libraries[after]}, has no "
                    f"larger minor number than that of {before}, {self.libraries[before]}")
        if order:
            last = self.libraries[order[-1]]
            if numbers(self.version) < numbers(order[-1]):
                problems.append(f"CMakeLists.txt: VERSION {self.version} is older than {order[-1]}, "
                                f"the last release in {LIST}")
            if numbers(self.library) < numbers(last):
                problems.append(f"src/CMakeLists.txt: VERSION {self.library} is smaller than {last}, "
                                f"that of {order[-1]} in {LIST}")
        if self.heading != self.version:
            problems.append(f"CHANGELOG.md begins with {self.heading}, and the project's version in "
                            f"CMakeLists.txt is {self.version}: begin with \"## {self.version} "
                            "(unreleased)\", or mend the version")
        return problems

    def update(self):
        """Enters new names, and takes out those that an open release has lost."""
        if self.open:
            self.since = {name: version for name, version in self.since.items()
                          if name in self.exported or version != self.version}
        if self.new:
            refusal = self.refusal()
            if refusal:
                sys.exit(refusal)
            self.libraries[self.version] = self.library
            self.since.update((name, self.version) for name in self.new)
            self.new = []


def test_itself(tree):
    """A function that is added after a release, with each of the numbers."""
    def problems(project, library, changes):
        tree.abi = "function memkind_old\nfunction memkind_new\n"
        tree.since = "release 1.0.0 0.1.0\nmemkind_old 1.0.0\n"
        tree.project = f"project(x VERSION {project} LANGUAGES C)"
        tree.library, tree.changes = f"SOVERSION 0 VERSION {library}", changes
        releases = Releases(tree)
        return releases, "\n".join(releases.problems())

    opened = "## 1.1.0 (unreleased)\n## 1.0.0 (2026-01-01)\n"
    for project, library, changes, wanted in (
            ("1.0.0", "0.1.0", "## 1.0.0 (2026-01-01)\n",
             "1.0.0 is released, with libmemkind.so.0.1.0."),
            ("1.1.0", "0.1.0", opened, "VERSION 0.2.0 in src/CMakeLists.txt"),
            ("1.0.0", "0.2.0", opened, "VERSION 1.1.0 in CMakeLists.txt"),
            ("1.1.0", "0.2.0", opened, f"do: {UPDATE}"),
            ("1.0.0", "0.1.0", "## 1.0.0 (unreleased)\n", f"do: {UPDATE}")):
        releases, said = problems(project, library, changes)
        if "memkind_new: exported, but not in" not in said or wanted not in said:
            sys.exit(f"not noticed: {project} {library}: {said}")
    releases, _ = problems("1.1.0", "0.2.0", opened)
    releases.update()
    wanted = "release 1.0.0 0.1.0\nrelease 1.1.0 0.2.0\nmemkind_new 1.1.0\nmemkind_old 1.0.0\n"
    if releases.text() != HEAD + wanted:
        sys.exit("--update: " + releases.text())


def main():
    root = sys.argv[1]
    releases = Releases(Tree(root))
    if sys.argv[2:] == ["--update"]:
        releases.update()
        with open(os.path.join(root, LIST), "w", encoding="utf-8") as file:
            file.write(releases.text())
    problems = releases.problems()
    if problems:
        sys.exit("\n".join(problems))
    test_itself(Tree(root))


main()
