#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A load for memcached whose every answer is verified.

usage: memcached_load.py SOCKET KEYS REQUESTS CLIENTS

Each client has keys of its own, and knows what was stored last: a value may be gone
(memcached may drop it), but never be another one. Prints hits and misses.
"""
import random
import socket
import sys
import threading


class Client(threading.Thread):
    def __init__(self, address, name, keys, requests):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(address)
        self.file = self.socket.makefile("rb")
        self.name_, self.keys, self.requests = name, keys, requests
        self.random = random.Random(name)
        self.stored = {}
        self.hits = self.misses = 0
        self.error = "it did not end"

    def value(self, number):
        turn, size = self.stored[number]
        text = b"%d %d %d;" % (self.name_, number, turn)
        return (text * (size // len(text) + 1))[:size]

    def key(self, number):
        return b"k%d:%d" % (self.name_, number)

    def store(self, numbers, turn):
        parts = []
        for number in numbers:
            # From small ones to those that are stored in pieces.
            size = int(2 ** self.random.uniform(3, 12 if number % 1000 else 20)) // 2
            self.stored[number] = turn, size
            parts.append(b"set %s 0 0 %d\r\n%s\r\n" % (self.key(number), size, self.value(number)))
        self.socket.sendall(b"".join(parts))
        for number in numbers:
            line = self.file.readline()
            if line != b"STORED\r\n":
                # Out of memory: what was there before is gone, too.
                if not line.startswith(b"SERVER_ERROR"):
                    raise ValueError(f"set: {line!r}")
                del self.stored[number]

    def read(self, numbers):
        self.socket.sendall(b"get %s\r\n" % b" ".join(map(self.key, numbers)))
        found = {}
        while (line := self.file.readline()) != b"END\r\n":
            word, key, _, size = line.split()
            if word != b"VALUE":
                raise ValueError(f"get: {line!r}")
            found[key] = self.file.read(int(size) + 2)[:-2]
        for number in numbers:
            value = found.pop(self.key(number), None)
            if value is None:
                self.misses += 1
            elif number not in self.stored or value != self.value(number):
                raise ValueError(f"another value of key {number}: {value[:80]!r}")
            else:
                self.hits += 1
        if found:
            raise ValueError(f"not asked for: {list(found)}")

    def drop(self, number):
        self.socket.sendall(b"delete %s\r\n" % self.key(number))
        if self.file.readline() not in (b"DELETED\r\n", b"NOT_FOUND\r\n"):
            raise ValueError("delete")
        self.stored.pop(number, None)

    def load(self):
        done = 0
        for first in range(0, self.keys, 20):
            self.store(range(first, min(first + 20, self.keys)), 0)
        while done < self.requests:
            chance = self.random.random()
            numbers = self.random.sample(range(self.keys), 20)
            if chance < 0.3:
                self.store(numbers, done)
            elif chance < 0.95:
                self.read(numbers)
            else:
                self.drop(numbers[0])
            done += 20
        for first in range(0, self.keys, 20):
            self.read(range(first, min(first + 20, self.keys)))

    def run(self):
        try:
            self.load()
            self.error = None
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"


def main():
    address, keys, requests, count = sys.argv[1], *map(int, sys.argv[2:])
    clients = [Client(address, i, keys // count, requests // count) for i in range(count)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
        if client.error:
            sys.exit(f"client {client.name_}: {client.error}")
    hits, misses = (sum(getattr(c, name) for c in clients) for name in ("hits", "misses"))
    if hits < misses:
        sys.exit(f"{hits} hits, {misses} misses")
    print(f"{hits} values verified, {misses} were gone")


main()
