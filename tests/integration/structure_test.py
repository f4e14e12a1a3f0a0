#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fails if the modules or the folders of src depend on each other in circles.

usage: structure_test.py SOURCE_DIR [BUILD_DIR]

A module is NAME.c with NAME.h. It depends on another one if one of its files
includes the other's header, or if its object file needs a symbol that the
other's defines: a declaration that was copied by hand is no way around. Without
a build, includes alone are looked at.
Besides: file names are unique in src, a static function's name occurs in one
file only, and no variable of a whole file is called just "lock".

The test first looks for what it is to find in small trees of its own.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

NM = os.environ.get("NM", "nm")

# Static functions that may have one name in several files.
SHARED_NAMES = {"main"}
# src/preload defines these in place of the C library, whose functions all others mean.
OF_THE_C_LIBRARY = {"malloc", "calloc", "realloc", "reallocarray", "free", "free_sized",
                    "free_aligned_sized", "posix_memalign", "aligned_alloc", "memalign",
                    "valloc", "pvalloc", "malloc_usable_size",
                    "close", "close_range", "closefrom"}
# Functions of others that src/README.md names.
FOREIGN_NAMES = {"fork", "mallctl", "malloc", "free"}


def without_comments(source):
    """Comments and texts become blanks, so that lines keep their numbers."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return re.sub(
        r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
        blank, source, flags=re.DOTALL)


class File:
    """A .c or .h file: src/FOLDER/NAME.c is of FOLDER's module NAME."""

    def __init__(self, root, path):
        self.path = path
        self.folder = os.path.dirname(path)
        self.name = os.path.basename(path)
        self.module = self.folder + "/" + os.path.splitext(self.name)[0]
        with open(os.path.join(root, path), encoding="utf-8") as file:
            source = file.read()
        self.includes = [(source.count("\n", 0, match.start()) + 1,
                          os.path.basename(match.group(1)))
                         for match in re.finditer(r'^\s*#\s*include\s+"([^"]+)"',
                                                  source, re.MULTILINE)]
        self.code = without_comments(source)

    def line_of(self, word):
        match = re.search(r"\b" + re.escape(word) + r"\b", self.code)
        return match and self.code.count("\n", 0, match.start()) + 1


def read_files(root):
    files = []
    for folder, folders, names in os.walk(os.path.join(root, "src")):
        folders.sort()
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                files.append(File(root, os.path.relpath(
                    os.path.join(folder, name), root)))
    return files


# ---- edges --------------------------------------------------------------------

class Graph:
    """Edges from one name to another, each with the first reason for it."""

    def __init__(self):
        self.edges = {}

    def add(self, start, end, reason):
        if start != end:
            self.edges.setdefault(start, {}).setdefault(end, reason)

    def reachable(self, start):
        found, todo = set(), [start]
        while todo:
            for end in self.edges.get(todo.pop(), {}):
                if end not in found:
                    found.add(end)
                    todo.append(end)
        return found

    def shortest(self, start, end):
        """The names on the shortest way, both ends among them."""
        before, todo = {start: None}, [start]
        for name in todo:
            if name == end:
                way = [name]
                while before[way[-1]] is not None:
                    way.append(before[way[-1]])
                return way[::-1]
            for following in sorted(self.edges.get(name, {})):
                if following not in before:
                    before[following] = name
                    todo.append(following)
        return None

    def circles(self):
        """For each edge that lies on a circle, the shortest one; each once."""
        found = {}
        for start in sorted(self.edges):
            for end in sorted(self.edges[start]):
                way = self.shortest(end, start)
                if way is not None:
                    first = way.index(min(way))
                    found[tuple(way[first:] + way[:first])] = True
        return sorted(found, key=lambda circle: (len(circle), circle))

    def groups(self):
        """The sets of names that all depend on one another."""
        groups = []
        for name in sorted(self.edges):
            if not any(name in group for group in groups):
                group = {other for other in self.reachable(name)
                         if name in self.reachable(other)}
                if group:
                    groups.append(group)
        return groups


class Objects:
    """What the object file of each source file defines and needs."""

    def __init__(self, build):
        self.defines = {}
        self.needs = {}
        newest = {}
        if build is None:
            return
        for folder, _, names in os.walk(os.path.join(build, "src")):
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(".c.o"):
                    source = re.sub(r"CMakeFiles/[^/]*\.dir/", "",
                                    os.path.relpath(path, build))[:-len(".o")]
                    # A target that was renamed leaves its objects behind.
                    if (source not in newest or os.path.getmtime(path) >
                            os.path.getmtime(newest[source])):
                        newest[source] = path
        for source, path in newest.items():
            self.read(source, path)

    def read(self, source, path):
        lines = subprocess.run([NM, "-P", path], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.splitlines()
        for line in lines:
            name, kind = line.split()[:2]
            if kind in "Uwv":
                self.needs.setdefault(source, set()).add(name)
            elif kind.isupper() and name not in OF_THE_C_LIBRARY:
                self.defines[name] = source


def add_includes(files, add):
    by_name = {file.name: file for file in files}
    for file in files:
        for line, name in file.includes:
            if name in by_name:
                add(file, by_name[name],
                    f'{file.path}:{line}: #include "{name}"')


def headers_of(file, by_name, found):
    """The headers that the file sees, those that they include among them."""
    for _, name in file.includes:
        if name in by_name and name not in found:
            found[name] = by_name[name]
            headers_of(by_name[name], by_name, found)
    return found


def add_symbols(files, objects, add):
    """An edge begins at the file that names the symbol: a header's inline
    functions are in the objects of all that include it."""
    by_path = {file.path: file for file in files}
    by_name = {file.name: file for file in files}
    for file in files:
        headers = headers_of(file, by_name, {}).values()
        for symbol in sorted(objects.needs.get(file.path, ())):
            definition = by_path.get(objects.defines.get(symbol))
            if definition is None:
                continue
            # Declarations in the definition's own header are no use of it.
            users = [user for user in [file, *headers]
                     if user.module != definition.module
                     and user.line_of(symbol)] or [file]
            if file in users:
                users = [file]
            for user in users:
                line = user.line_of(symbol)
                add(user, definition, f"{user.path}:{line or '?'}: {symbol}, "
                    f"which {definition.path} defines")


def graphs_of(files, objects):
    """One graph of modules for each folder, and one of the folders."""
    modules, folders = {}, Graph()

    def add(start, end, reason):
        if start.folder == end.folder:
            modules.setdefault(start.folder, Graph()).add(
                start.module, end.module, reason)
        else:
            folders.add(start.folder, end.folder, reason)

    add_includes(files, add)
    add_symbols(files, objects, add)
    return [*(modules[folder] for folder in sorted(modules)), folders]


# ---- names --------------------------------------------------------------------

def names_twice(files):
    seen, errors = {}, []
    for file in files:
        if file.name in seen:
            errors.append(f"{file.path}: the name is also that of "
                          f"{seen[file.name]}: rename one")
        seen[file.name] = file.path
    return errors


STATIC_FUNCTION = re.compile(r"^static\b[^;={}()]*?\b(\w+)\s*\((?!\*)", re.MULTILINE)


def functions_twice(files):
    """In a backtrace, only the name of a function is seen."""
    places = {}
    for file in files:
        code = re.sub(r"__attribute__\s*\(\(.*?\)\)",
                      lambda match: "\n" * match.group().count("\n"),
                      file.code, flags=re.DOTALL)
        for match in STATIC_FUNCTION.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            places.setdefault(match.group(1), {}).setdefault(file.path, line)
    return [f"{path}:{line}: static {name}() is a function of another file, "
            "too: rename one" for name, where in sorted(places.items())
            if len(where) > 1 and name not in SHARED_NAMES
            for path, line in sorted(where.items())]


def plain_locks(files):
    errors = []
    for file in files:
        for match in re.finditer(
                r"^\w[^;={}()\n]*\block\s*(?:__attribute__.*)?(?:=|;|\[)",
                file.code, re.MULTILINE):
            line = file.code.count("\n", 0, match.start()) + 1
            errors.append(f"{file.path}:{line}: a variable called just \"lock\": "
                          "name what it guards")
    return errors


# ---- the text -----------------------------------------------------------------

def stale_names(root):
    """src/README.md names files, and functions of ours: all of them exist."""
    path = os.path.join(root, "src/README.md")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        text = file.read()
    sources = "".join(file.code for file in read_files(root)) + "".join(
        open(os.path.join(folder, name), encoding="utf-8").read()
        for folder, _, names in os.walk(os.path.join(root, "include"))
        for name in names)
    errors = []
    for name in sorted(set(re.findall(r"`([a-z_]+/[a-z_]+\.[ch])`", text))):
        if not os.path.exists(os.path.join(root, "src", name)):
            errors.append(f"src/README.md: there is no {name}: mend the text")
    for name in sorted(set(re.findall(r"`(\w+)\(\)`", text))):
        if not re.search(r"\b%s\(" % name, sources) and name not in FOREIGN_NAMES:
            errors.append(f"src/README.md: there is no {name}(): mend the text")
    return errors


# ---- the test -----------------------------------------------------------------


def errors_of(root, build):
    files = read_files(root)
    errors = []
    for graph in graphs_of(files, Objects(build)):
        for group in graph.groups():
            errors.append(f"{len(group)} in circles: "
                          + ", ".join(sorted(group)))
        for circle in graph.circles():
            steps = list(zip(circle, circle[1:] + circle[:1]))
            errors.append("\n    ".join(
                [" -> ".join(circle + circle[:1])]
                + [graph.edges[start][end] for start, end in steps]))
    return (errors + names_twice(files) + functions_twice(files)
            + plain_locks(files) + stale_names(root))


def write_tree(root, sources):
    for path, text in sources.items():
        path = os.path.join(root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def compile_tree(root, sources):
    """Objects as CMake puts them into a build's folder."""
    compiler = os.environ.get("CC", "cc").split()
    for path in sources:
        if path.endswith(".c"):
            target = os.path.join(root, "build/src/CMakeFiles/layer.dir",
                                  os.path.relpath(path, "src") + ".o")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            subprocess.run([*compiler, "-c", "-o", target,
                            "-I" + os.path.join(root, "src/a"),
                            "-I" + os.path.join(root, "src/b"),
                            os.path.join(root, path)], check=True)


# Each: its name, what the tree has, and what the first error has to begin with
# (None: there is to be none).
TREES = (
    ("no circle", {
        "src/a/one.h": "void one(void);\n",
        "src/a/one.c": '#include "one.h"\n#include "two.h"\n'
                       "void one(void) { two(); }\n",
        "src/a/two.h": "void two(void);\n",
        "src/a/two.c": '#include "two.h"\nvoid two(void) {}\n',
    }, None),
    ("a circle of includes", {
        "src/a/one.h": '#include "two.h"\n',
        "src/a/one.c": '#include "one.h"\n',
        "src/a/two.h": "",
        "src/a/two.c": '#include "one.h"\n',
    }, "src/a/one -> src/a/two -> src/a/one\n"
       '    src/a/one.h:1: #include "two.h"\n'
       '    src/a/two.c:1: #include "one.h"'),
    ("a circle of three", {
        "src/a/one.c": '#include "two.h"\n',
        "src/a/one.h": "",
        "src/a/two.h": '#include "three.h"\n',
        "src/a/three.h": "",
        "src/a/three.c": '#include "one.h"\n',
    }, "src/a/one -> src/a/two -> src/a/three -> src/a/one\n"),
    ("a declaration by hand", {
        "src/a/one.h": "void one(void);\n",
        "src/a/one.c": '#include "one.h"\n#include "two.h"\n'
                       "void one(void) { two(); }\n",
        "src/a/two.h": "void two(void);\n",
        "src/a/two.c": '#include "two.h"\nvoid one(void);\n'
                       "void two(void) { one(); }\n",
    }, "src/a/one -> src/a/two -> src/a/one\n"
       '    src/a/one.c:2: #include "two.h"\n'
       "    src/a/two.c:2: one, which src/a/one.c defines"),
    ("an inline function of a third", {
        # user.c's object needs three(), but the header two.h names it.
        "src/a/user.c": '#include "two.h"\n#include "user.h"\n'
                        "void user(void) { two(); }\n",
        "src/a/user.h": "void user(void);\n",
        "src/a/two.h": "void three(void);\n"
                       "static inline void two(void) { three(); }\n",
        "src/a/three.c": '#include "user.h"\nvoid three(void);\n'
                         "void three(void) { user(); }\n",
    }, "src/a/three -> src/a/user -> src/a/two -> src/a/three\n"
       '    src/a/three.c:1: #include "user.h"\n'
       '    src/a/user.c:1: #include "two.h"\n'
       "    src/a/two.h:1: three, which src/a/three.c defines"),
    ("a circle of folders", {
        "src/a/one.c": '#include "two.h"\n',
        "src/a/one.h": "",
        "src/b/two.h": "",
        "src/b/other.c": '#include "one.h"\n',
    }, "src/a -> src/b -> src/a\n"),
    ("a folder by symbols", {
        "src/a/one.c": "void one(void) {}\n",
        "src/a/first.c": '#include "two.h"\n',
        "src/b/two.h": "",
        "src/b/two.c": "extern void one(void);\nvoid two(void);\n"
                       "void two(void) { one(); }\n",
    }, "src/a -> src/b -> src/a\n"),
    ("a file's name twice", {
        "src/a/one.c": "",
        "src/b/one.c": "",
    }, "src/b/one.c: the name is also that of src/a/one.c"),
    ("a static function twice", {
        "src/a/one.c": "/* static int least(int a) */\n"
                       "__attribute__((unused))\nstatic int most(int a)\n"
                       "{\n    return a;\n}\n",
        "src/a/two.c": "static __attribute__((unused)) int\nmost(int a)\n"
                       "{\n    return a;\n}\n",
    }, "src/a/one.c:3: static most()"),
    ("a variable called lock", {
        "src/a/one.c": "struct one {\n    int lock;\n};\n"
                       "static int lock __attribute__((unused));\n"
                       "static int lock2 __attribute__((unused)) = 1;\n",
    }, 'src/a/one.c:4: a variable called just "lock"'),
)


def test_itself():
    for name, sources, expected in TREES:
        root = tempfile.mkdtemp(prefix="structure.")
        try:
            write_tree(root, sources)
            compile_tree(root, sources)
            errors = [error for error
                      in errors_of(root, os.path.join(root, "build"))
                      if " in circles: " not in error]
            right = (not errors if expected is None else
                     bool(errors) and errors[0].startswith(expected))
            if not right:
                sys.exit(f"the test itself, {name}:\nexpected {expected}\n"
                         "found " + ("\n".join(errors) or "nothing"))
        finally:
            shutil.rmtree(root)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.split("\n\n")[1])
    build = sys.argv[2] if len(sys.argv) == 3 else None
    if build is not None:
        test_itself()
    errors = errors_of(sys.argv[1], build)
    for error in errors:
        print(error)
    if re.search(r"^src/\w+ -> ", "\n".join(errors), re.M):
        print("to do: one of these points up the layers (src/README.md, Layers): move what is "
              "needed down, or have the caller pass it")
    if re.search(r"^src/\w+/\w+ -> ", "\n".join(errors), re.M):
        print("to do: move what both modules need into a module of its own, below them")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
