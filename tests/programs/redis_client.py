#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the scripts about redis ask of a server, over a socket of its own.

usage: redis_client.py ADDRESS COMMAND ...

ADDRESS is a path, or a port of 127.0.0.1. Commands:

call WORD...        one command, whose answer is printed
fill N SIZE         sets N keys whose values follow from their numbers
verify N SIZE       checks them all
pairs N FILE        sets pairs of keys to equal values, each pair by one MSET, until
                    FILE is there; prints how many times
check-pairs N       every pair agrees; prints how many there are
"""
import os
import random
import socket
import sys


class Redis:
    def __init__(self, address):
        if address.isdigit():
            self.socket = socket.create_connection(("127.0.0.1", int(address)), timeout=600)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(600)
            self.socket.connect(address)
        self.file = self.socket.makefile("rb")

    def send(self, *commands):
        parts = []
        for words in commands:
            parts.append(b"*%d\r\n" % len(words))
            for word in words:
                word = word if isinstance(word, bytes) else str(word).encode()
                parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.socket.sendall(b"".join(parts))

    def answer(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self.file.read(length + 2)[:-2]
        return [self.answer() for _ in range(int(rest))]

    def ask(self, *words):
        self.send(words)
        answer = self.answer()
        if isinstance(answer, RuntimeError):
            raise answer
        return answer


def key(number):
    return b"key:%08d" % number


def value(number, size):
    """Different for each number, in length too."""
    text = b"%d." % number
    return (text * (size // len(text) + 1))[:size - number % (size // 2)]


def batches(count, step=500):
    for first in range(0, count, step):
        yield range(first, min(first + step, count))


def fill(redis, count, size):
    for numbers in batches(count):
        redis.send(*((b"SET", key(n), value(n, size)) for n in numbers))
        for _ in numbers:
            if redis.answer() != b"OK":
                sys.exit("a SET was refused")
    print(f"{count} keys set")


def verify(redis, count, size):
    for numbers in batches(count):
        redis.send((b"MGET", *map(key, numbers)))
        for number, found in zip(numbers, redis.answer(), strict=True):
            if found != value(number, size):
                sys.exit(f"key {number}: {found!r}")
    print(f"{count} keys verified")


def pair_names(number):
    return b"pair:%d:a" % number, b"pair:%d:b" % number


def pairs(redis, count, end):
    turn = 0
    while not os.path.exists(end):
        for _ in range(50):
            first, second = pair_names(random.randrange(count))
            turn += 1
            text = b"%d" % turn * (1 + turn % 40)
            if redis.ask(b"MSET", first, text, second, text) != b"OK":
                sys.exit("an MSET was refused")
    print(turn)


def check_pairs(redis, count):
    there = 0
    for numbers in batches(count):
        redis.send((b"MGET", *(name for n in numbers for name in pair_names(n))))
        values = redis.answer()
        for number, first, second in zip(numbers, values[::2], values[1::2], strict=True):
            if first != second:
                sys.exit(f"pair {number} does not agree: {first!r}, {second!r}")
            there += first is not None
    if there == 0:
        sys.exit("no pair is there")
    print(there)


def show(answer):
    if isinstance(answer, list):
        for item in answer:
            show(item)
    else:
        print(answer.decode(errors="replace") if isinstance(answer, bytes) else answer)


def main():
    redis, command, words = Redis(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if command == "call":
        show(redis.ask(*words))
    elif command == "pairs":
        pairs(redis, int(words[0]), words[1])
    else:
        {"fill": fill, "verify": verify, "check-pairs": check_pairs}[command](redis, *map(int, words))


if __name__ == "__main__":
    main()
