#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints the tests that a change of files can touch, one a line.

usage: affected_tests.py SOURCE_ROOT BUILD FILE...

BUILD has been built by ninja, which knows what each test program was made from:
sources, headers, and what it is linked with. A program is touched by a change of
any of these. A script that is passed a program is touched by what touches it, other
scripts by any change. A test with the label "long" is run only if its own sources have
changed (not those that all tests share), and printed as "long NAME" otherwise. Without
ninja, or if it knows nothing of a changed file (which is of the build itself, or new),
all tests are touched.
"""
import json
import os
import subprocess
import sys

# Files that no program is made from.
TEXTS = (".md", ".1", ".3", ".7", ".abi", ".since", ".svg", "LICENSE", ".gitignore")
FOLDERS_OF_TEXTS = ("man/", ".ci/", "examples/", "cmake/debian/")


def output(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


class Ninja:
    def __init__(self, root, build):
        self.root, self.build = os.path.realpath(root), os.path.realpath(build)
        self.headers = {}
        target = None
        for line in output("ninja", "-C", self.build, "-t", "deps").splitlines():
            if line.startswith("    "):
                self.headers[target].add(self.source(line.strip()))
            elif ": #deps" in line:
                target = line.split(": #deps")[0]
                self.headers[target] = set()

    def source(self, path):
        """A path of ninja's, from the root of the sources."""
        return os.path.relpath(os.path.realpath(os.path.join(self.build, path)), self.root)

    def files_of(self, program):
        """What a target was made from."""
        files = set()
        for line in output("ninja", "-C", self.build, "-t", "inputs", program).splitlines():
            files.add(self.source(line))
            files |= self.headers.get(line, set())
        return files


def tests_of(build):
    """name -> (files of its command line, whether it is long)"""
    tests = {}
    for test in json.loads(output("ctest", "--test-dir", build, "--show-only=json-v1"))["tests"]:
        labels = next((p["value"] for p in test["properties"] if p["name"] == "LABELS"), [])
        command = [os.path.realpath(word) for word in test.get("command", ()) if os.path.isfile(word)]
        tests[test["name"]] = (command, "long" in labels)
    return tests


def main():
    root, build, changed = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), \
        set(sys.argv[3:])
    tests = tests_of(build)
    sources = {path for path in changed
               if not path.endswith(TEXTS) and not path.startswith(FOLDERS_OF_TEXTS)}

    def below(folder, command):
        return [os.path.relpath(path, folder) for path in command
                if path.startswith(folder + os.sep)]

    files = {}
    try:
        ninja = Ninja(root, build)
        for command, _ in tests.values():
            for program in below(build, command):
                if program not in files:
                    files[program] = ninja.files_of(program)
        known = ninja.files_of("all")
    except (OSError, subprocess.CalledProcessError):
        known = set()
    # A script is not known to ninja, and touches itself alone.
    all_touched = not all(path in known or path.endswith((".sh", ".py")) for path in sources)
    for name, (command, is_long) in tests.items():
        programs = below(build, command)
        own = {path for path in below(root, command) if path not in programs}
        made_from = set().union(*(files.get(program, ()) for program in programs))
        own |= {path for path in made_from
                if path.startswith("tests/") and not path.startswith("tests/support/")}
        if own & changed:
            print(name)
        elif all_touched or made_from & sources or (changed and not programs):
            print("long " + name if is_long else name)


main()
