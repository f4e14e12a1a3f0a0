#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sends lines to a server's socket, and prints what it answers.

usage: socket_lines.py SOCKET LINE...
"""
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.settimeout(20)
connection.connect(sys.argv[1])
connection.sendall("".join(line + "\r\n" for line in sys.argv[2:]).encode())
connection.shutdown(socket.SHUT_WR)
while data := connection.recv(65536):
    sys.stdout.write(data.decode(errors="replace").replace("\r", ""))
