#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether the JSON of the tool is what its manual page promises.

usage: tool_manual.py PAGE JSON-FILE

The section JSON of the page has a list for each command: a member's name, with
dots and [], and its type in parentheses. Every member of the list is in the
output, with one of its types, and no other is.
"""
import json
import re
import sys

TYPES = {"string": str, "number": (int, float), "boolean": bool,
         "object": dict, "array": list, "null": type(None)}


def promises_of(page, command):
    """Types by the name of the member."""
    with open(page, encoding="ascii") as file:
        section = file.read().split("\n.SH JSON\n")[1].split("\n.SH ")[0]
    part = section.split(f".SS {command}\n")[1].split("\n.SS ")[0]
    return {name.replace(r"\-", "-"): types.split(" or ")
            for name, types in re.findall(r'^\.BR (\S+) " \((.*)\)"$', part, re.M)}


def is_of(value, name):
    if isinstance(value, bool) and name == "number":
        return False
    return isinstance(value, TYPES[name])


def check(value, name, promises, problems):
    """A value with its name, and all that is in it."""
    if name:
        if name not in promises:
            problems.append(f"{name}: not in the manual")
            return
        if not any(is_of(value, t) for t in promises[name]):
            problems.append(f"{name}: {value!r} is no {' or '.join(promises[name])}")
    before = name + "." if name else ""
    if isinstance(value, dict):
        members = {n for n in promises if n.startswith(before)
                   and re.fullmatch(r"[a-z_]+", n[len(before):])}
        for missing in members - {before + key for key in value}:
            problems.append(f"{missing}: missing")
        for key, member in value.items():
            check(member, before + key, promises, problems)
    elif isinstance(value, list):
        for element in value:
            if isinstance(element, dict):
                # An array of objects has no entry for its elements.
                check(element, name + "[]", {**promises, name + "[]": ["object"]},
                      problems)
            else:
                check(element, name + "[]", promises, problems)


def main():
    page, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    if "places" in value:
        promises = promises_of(page, "check of several directories")
        for name, types in promises_of(page, "check").items():
            if name != "command":
                promises["places[]." + name] = types
    else:
        promises = promises_of(page, value["command"])
    problems = []
    if len(promises) < 5:
        problems.append("the page has no list of members")
    check(value, "", promises, problems)
    if problems:
        sys.exit("\n".join(problems))


main()
