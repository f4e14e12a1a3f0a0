#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a command on a terminal of a given width, and prints what it wrote.

usage: tool_terminal.py WIDTH[:LATER-WIDTH] COMMAND...

With LATER-WIDTH, the window changes its size after the first output. Each line
that ends with a carriage return alone (a progress bar's) is printed as a line of
its own, with "bar: " before it. Exits with 99 if a line does not fit into the
terminal, and otherwise like the command. A bar has to leave the last column
free. In text, a line may be longer for a single word, beside an indentation.
"""
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios


def set_width(fd, width):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))


def read_some(fd):
    try:
        return os.read(fd, 65536)
    except OSError:  # the other end is closed
        return b""


def drain(fd):
    """What has been written already, by a command that is stopped."""
    output = b""
    os.set_blocking(fd, False)
    while True:
        try:
            output += os.read(fd, 65536)
        except BlockingIOError:
            break
    os.set_blocking(fd, True)
    return output


def run(width, later, command):
    """The exit status, what was written before the change and afterwards.
    None if the command has ended before the window could be changed."""
    go_reader, go_writer = os.pipe()
    child, fd = pty.fork()
    if child == 0:
        os.read(go_reader, 1)
        os.execvp(command[0], command)
    set_width(fd, width)
    os.write(go_writer, b"x")
    before, after = b"", b""
    if later is not None:
        before = read_some(fd)
        os.kill(child, signal.SIGSTOP)
        if os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]):
            before += drain(fd)
            set_width(fd, later)
            os.kill(child, signal.SIGCONT)
        else:
            os.close(fd)
            return None
    while True:
        some = read_some(fd)
        if not some:
            break
        after += some
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), before, after


def lines_of(output):
    """Pairs: a line, and whether it is a bar."""
    text = output.decode("utf-8").replace("\r\n", "\n")
    for line in re.findall(r"[^\r\n]*[\r\n]|[^\r\n]+$", text):
        if line.rstrip("\r\n"):
            yield line.rstrip("\r\n"), not line.endswith("\n")


def fits(line, is_bar, width):
    if is_bar:
        return len(line) < width or not line.strip()
    return len(line) <= width or " " not in line.strip()


def main():
    width, _, later = sys.argv[1].partition(":")
    later = int(later) if later else None
    # On a machine that stops for seconds, the command may be too fast.
    attempts = (run(int(width), later, sys.argv[2:]) for _ in range(10))
    result = next((result for result in attempts if result is not None), None)
    if result is None:
        sys.exit("the command always ends before the window is changed")
    status, before, after = result
    pairs = list(lines_of(before))
    width = int(width) or 80
    bad = [line for line, is_bar in pairs if not fits(line, is_bar, width)]
    for line, is_bar in pairs:
        print("bar: " * is_bar + line)
    pairs = list(lines_of(after))
    if later is not None:
        print("the window changes")
        width = later
        # It may have asked for the width just before the change.
        pairs = pairs[2:]
    bad += [line for line, is_bar in pairs if not fits(line, is_bar, width)]
    for line, is_bar in pairs:
        print("bar: " * is_bar + line)
    for line in bad:
        print(f"does not fit: {line}", file=sys.stderr)
    sys.exit(99 if bad else status)


main()
