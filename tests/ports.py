"""Ports for the programs that tests start.

They lie below those that the kernel gives to outgoing connections and above those of `postern demo`, and go round for
all test processes of the machine: between being chosen and being listened on, nobody else is told the same.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 30000, 32767


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """So many ports that were free just now, for TCP and UDP."""
    counter = Path(tempfile.gettempdir()) / f"postern-test-ports-{os.getuid()}"
    found: list[int] = []
    with counter.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        port = int(file.read() or FIRST)
        for _ in range(LAST - FIRST):
            port = port + 1 if port < LAST else FIRST
            if is_free(address, port):
                found.append(port)
            if len(found) == count:
                break
        file.truncate(0)
        file.write(b"%d" % port)
    assert len(found) == count, "no free ports"
    return found


def free_port(address: str = "127.0.0.1") -> int:
    return free_ports(1, address)[0]


def is_free(address: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:  # connections that are over are no hindrance to servers
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
