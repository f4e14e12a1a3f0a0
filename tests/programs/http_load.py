#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Requests over HTTP whose every answer is verified.

usage: http_load.py SOCKET REQUESTS CLIENTS WHAT

WHAT is a directory, whose files are asked for and compared, or a path that is asked
for once and whose answer is printed.
"""
import http.client
import os
import socket
import sys
import threading
import zlib


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def get(connection, path, headers):
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise ValueError(f"{path}: status {answer.status}")
    if answer.getheader("Content-Encoding") == "gzip":
        body = zlib.decompress(body, 31)
    return body


def client(address, requests, files, errors):
    try:
        connection = Connection(address)
        for turn in range(requests):
            name, content = files[turn % len(files)]
            headers = {"Accept-Encoding": "gzip"} if turn % 3 else {}
            if get(connection, "/" + name, headers) != content:
                raise ValueError(f"{name}: another content")
            if turn % 100 == 99:
                connection.close()
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")


def main():
    address, requests, count, what = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if not os.path.isdir(what):
        sys.stdout.write(get(Connection(address), what, {}).decode())
        return
    files = [(name, open(os.path.join(what, name), "rb").read()) for name in sorted(os.listdir(what))]
    errors = []
    threads = [threading.Thread(target=client, args=(address, requests // count, files, errors))
               for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        sys.exit("\n".join(errors))
    print(f"{requests} answers verified")


main()
