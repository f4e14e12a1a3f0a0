#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the manual, the headers and the sources agree with the tables of options.

usage: option_tables.py SOURCE-ROOT

The section ENVIRONMENT of memkind(3) has each variable of the table, with its
range and its default, and no other; those of other pages have none that is not
in the table. The same holds for libmemkind_preload(7) and the table of
preload_settings.h. No source but options.c, preload_settings.c and the tool's
reads the environment. memkind.h has a
function for each field of a configuration, and no other.
"""
import glob
import os
import re
import sys

# Where getenv() occurs for another reason: the function that jemalloc calls in its
# place, a variable of libpmem's, which is read as libpmem reads it, COLUMNS, by
# which people tell the tool a terminal's width, PMEM_DIR and LD_PRELOAD in the tool,
# and what a message quotes. The preloaded libraries have variables of their own.
NOT_READERS = {"src/sys/options.c", "src/jemalloc/jemalloc_conf.c", "src/region/dax_device.c",
               "src/tool/tool_terminal.c", "src/tool/tool_run.c",
               "src/preload/preload_settings.c", "src/preload/preload_init.c",
               "src/preload/memtier_init.c", "src/preload/memtier_main.c"}

LIMITS = {"INT32_MAX": 2**31 - 1, "UINT32_MAX": 2**32 - 1}


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def macro(text, name):
    """The replacement of a macro, on one line."""
    match = re.search(rf"#define {name}\(\w+\)((?:.*\\\n)*.*)", text)
    if not match:
        sys.exit(f"there is no macro {name}")
    return re.sub(r"\s*\\\n\s*", " ", match.group(1))


def variables(text, constants):
    """name -> (type, least, most, default)"""
    rows = re.findall(r'OPTION\((\w+), (\w+), (\w+), (\w+), *"([^"]*)", *"[^"]*"\)',
                      macro(text, "OPTION_TABLE"))

    def number(word):
        return constants[word] if word in constants else int(word)
    return {"MEMKIND_" + name: (kind, number(least), number(most), preset)
            for name, kind, least, most, preset in rows}


def entries(page):
    """The variables of a page's section ENVIRONMENT, with their texts."""
    section = re.search(r"^\.SH ENVIRONMENT\n(.*?)^\.SH ", page, re.M | re.S)
    found = {}
    for entry in (("\n" + section.group(1)).split("\n.TP\n")[1:] if section else ()):
        title, _, text = entry.partition("\n")
        text = re.sub(r"^\.(B|I|BR|RB|IR) ", "", text, flags=re.M)
        found[title.replace(".B ", "", 1)] = re.sub(r"\s+", " ", text.replace("\\-", "-"))
    return found


def check_variable(name, row, text):
    kind, least, most, preset = row
    wanted = {"FLAG": ["If 1, "], "NUMBER": [str(least), str(most), preset],
              "DURATION": [str(most), preset, "never"], "NODES": ["list of nodes", preset],
              "WORD": [preset]}[kind]
    return [f"memkind.3: {name}: its text has no \"{word}\", which is its range or default in "
            "src/sys/options.h" for word in wanted
            if not re.search(rf"\b{re.escape(word)}", text)]


def preload_problems(found, settings):
    """What differs between libmemkind_preload(7), whose variables are found, and its table."""
    table = {"MEMKIND_PRELOAD_" + name
             for name in re.findall(r"SETTING\((\w+), \w+, *\"", macro(settings, "PRELOAD_SETTING_TABLE"))}
    own = {name for name in found if name.startswith("MEMKIND_PRELOAD_")}
    return [f"libmemkind_preload.7: {name}: in the page or in PRELOAD_SETTING_TABLE "
            "(src/preload/preload_settings.h), and not in both" for name in sorted(table ^ own)] + \
        ([] if table else ["preload_settings.h: no variable"])


def problems_of(root, options, settings):
    constants = dict(LIMITS)
    for name, value in re.findall(r"#define (\w+_MS) \(?(-?\d+)", read(root, "src/sys/retention.h")):
        constants[name] = int(value)
    table = variables(options, constants)
    problems = [] if table else ["options.h: no variable"]

    preloaded = set()
    for path in glob.glob(os.path.join(root, "src", "preload", "*.h")):
        preloaded |= set(re.findall(r'#define SETTINGS_\w+ "(MEMKIND_\w+)"', read(path)))
    for path in sorted(glob.glob(os.path.join(root, "man", "*.[137]"))):
        page, found = os.path.basename(path), entries(read(path))
        if page != "memkind.3":
            found = {name: text for name, text in found.items() if name not in preloaded}
        problems += [f"{page}: ENVIRONMENT: {name} is in no table: add its row to "
                     "OPTION_TABLE in src/sys/options.h, or take it out of the page" for name in found
                     if name not in table and re.match(r"MEMKIND_(?!PRELOAD_)", name)]
        if page == "libmemkind_preload.7":
            problems += preload_problems(found, settings)
        if page == "memkind.3":
            problems += [f"{page}: ENVIRONMENT: there is no {name}: describe it there, with "
                         "its range and its default" for name in table if name not in found]
            for name in table.keys() & found.keys():
                problems += check_variable(name, table[name], found[name])

    for path in sorted(glob.glob(os.path.join(root, "src", "**", "*.[ch]"), recursive=True)):
        name = os.path.relpath(path, root)
        if name not in NOT_READERS and re.search(r"\bgetenv\(|secure_getenv\(", read(path)):
            problems.append(f"{name}: reads the environment: add a row to OPTION_TABLE in "
                            "src/sys/options.h, and call option_is_on() or option_read()")

    fields = set(re.findall(r"FIELD\((\w+),", macro(options, "CONFIG_TABLE")))
    setters = set(re.findall(r"\bvoid memkind_config_set_(\w+)\(", read(root, "include/memkind.h")))
    problems += [f"memkind.h: memkind_config_set_{name}() has no field: add its row to "
                 "CONFIG_TABLE in src/sys/options.h" for name in setters - fields]
    problems += [f"memkind.h: there is no memkind_config_set_{name}(): declare it, and define "
                 "it in src/api/memkind_config.c" for name in fields - setters]
    return problems


def main():
    root = sys.argv[1]
    options = read(root, "src/sys/options.h")
    settings = read(root, "src/preload/preload_settings.h")
    problems = problems_of(root, options, settings)
    # An option that is added to the tables alone is noticed.
    more = options.replace("OPTION(DEBUG,", 'OPTION(FORGOTTEN, FLAG, 0, 1, "0", "x") OPTION(DEBUG,') \
        .replace("FIELD(path,", 'FIELD(forgotten, f, int, 0, 1, 0, "x") FIELD(path,')
    more_settings = settings.replace("SETTING(DIR,", 'SETTING(FORGOTTEN, TEXT, "x") SETTING(DIR,')
    noticed = "\n".join(problems_of(root, more, more_settings))
    for text in ("there is no MEMKIND_FORGOTTEN", "there is no memkind_config_set_forgotten()",
                 "MEMKIND_PRELOAD_FORGOTTEN"):
        if text not in noticed:
            problems.append(f"not noticed: {text}")
    if problems:
        sys.exit("\n".join(problems))


main()
