#!/usr/bin/env python3
"""What sockets do, without volley: sticky packets, records, datagrams, a peer that leaves."""
import socket
import struct
import sys

MESSAGES = [b"mix the dough", b"bake it", b"eat"]


def stream():
    """Two ends of a TCP connection: bind, listen, connect, accept."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    return client, server


def sticky():
    client, server = stream()
    for message in MESSAGES:
        client.send(message)
    client.close()
    while piece := server.recv(1024):
        print("recv:", piece)


def records():
    client, server = stream()
    for message in MESSAGES:
        client.sendall(struct.pack(">I", len(message)) + message)
    client.close()
    source = server.makefile("rb")  # its read(n) calls recv until there are n bytes
    while head := source.read(4):
        (length,) = struct.unpack(">I", head)
        print("record:", source.read(length))


def datagrams():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for message in MESSAGES:
        client.sendto(message, server.getsockname())
    for _ in MESSAGES:
        piece, _ = server.recvfrom(1024)
        print("recvfrom:", piece)


def leaving():
    client, server = stream()
    client.close()
    print("TCP: recv returns", server.recv(1024))
    try:
        for attempt in range(1, 100):
            server.send(b"are you there?")
    except OSError as error:
        print(f"TCP: send number {attempt} fails: {type(error).__name__}")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("127.0.0.1", 0))
    gone = client.getsockname()
    client.close()
    server.settimeout(2)
    try:
        server.recvfrom(1024)
    except TimeoutError:
        print("UDP: recvfrom heard nothing for 2 s and would wait for ever")
    print("UDP: sendto nobody says that it sent", server.sendto(b"are you there?", gone), "bytes")


LESSONS = {lesson.__name__: lesson for lesson in (sticky, records, datagrams, leaving)}
if len(sys.argv) != 2 or sys.argv[1] not in LESSONS:
    sys.exit(f"usage: python3 samples/sockets.py {'|'.join(LESSONS)}")
LESSONS[sys.argv[1]]()
