"""Bulk FETCH with a reader that costs little: whole folders of bodies, ENVELOPEs and BODYSTRUCTUREs.

    python -m benchmarks.bodies TARGET.json... [--messages 4000] [--size 10k] [--seconds 5] [--rounds 3]

The load generator parses what it reads, and is the ceiling for bodies. This reader receives into one buffer, counts
octets and looks for the tagged OK at the end of what came; what is in the answers is checked once, outside the time:
the number of messages, and the octets of every body by a digest that has to be the same for all targets.

Cold: the first FETCH of a freshly filled folder in a new session (nothing is dropped from the page cache); one
sample a round. Warm: the same FETCH repeated for `--seconds`. Targets take turns. Prints one JSON object a target.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.pipelined import Client
from benchmarks.places import bench_tools

BUFFER_BYTES = 1 << 20
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
FETCHES = {"bodies": b"BODY.PEEK[]", "envelope": b"ENVELOPE", "structure": b"BODYSTRUCTURE"}


def generator() -> ModuleType:
    """The load generator's module: its messages and its accounting of a server's processes."""
    spec = importlib.util.spec_from_file_location("mailbench", bench_tools() / "mailbench.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["mailbench"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Target:
    """A server as its target file describes it."""

    def __init__(self, path: str, mailbench: ModuleType) -> None:
        conf: dict[str, Any] = json.loads(Path(path).read_text())
        self.path = path
        self.name = str(conf.get("name", path))
        self.conf = conf
        self.mailbench = mailbench
        named = argparse.Namespace(server_pid=conf.get("server_pid"), server_pidfile=conf.get("server_pidfile"))
        self.roots: list[int] = mailbench.server_roots(named)
        self.samples: dict[str, list[float]] = {}

    def client(self) -> Client:
        """A session that is signed in."""
        client = Client(str(self.conf["host"]), int(self.conf["imap_port"]))
        client.call(f'LOGIN "{str(self.conf["user"]).format(1)}" "{self.conf["password"]}"')
        return client

    def connect(self, folder: str) -> socket.socket:
        """A socket with a folder selected."""
        client = self.client()
        client.call(f"EXAMINE {folder}")
        return client.sock

    def fill(self, folder: str, messages: list[bytes]) -> None:
        """A folder with just these messages."""
        client = self.client()
        client.call(f"CREATE {folder}")
        name = folder.encode()
        client.pipeline([b"APPEND %b {%d+}\r\n%b" % (name, len(text), text) for text in messages], 100)

    def remove(self, folder: str) -> None:
        """Away with it."""
        self.client().call(f"DELETE {folder}")

    def cpu(self) -> float:
        """CPU seconds of the server's processes so far."""
        return float(self.mailbench.tree_cpu(self.roots))

    def note(self, name: str, value: float) -> None:
        """One sample."""
        self.samples.setdefault(name, []).append(value)


class Reader:
    """One session that only counts."""

    def __init__(self, target: Target, folder: str) -> None:
        self.sock = target.connect(folder)
        self.buffer = bytearray(BUFFER_BYTES)
        self.view = memoryview(self.buffer)

    def octets(self, command: bytes) -> int:
        """Send a command; how many octets came up to its tagged OK."""
        self.sock.sendall(b"bulk " + command + b"\r\n")
        total, tail = 0, b""
        receive, view = self.sock.recv_into, self.view
        while True:
            count = receive(self.buffer)
            if not count:
                raise ConnectionError("closed")
            total += count
            # the last line is the tagged one; a tail is kept for the case that it came in two pieces
            tail = (tail + bytes(view[max(0, count - 128) : count]))[-128:]
            if tail.endswith(b"\r\n"):
                last = tail[tail.rfind(b"\n", 0, -2) + 1 :]
                if last.startswith(b"bulk "):
                    if not last.startswith(b"bulk OK"):
                        raise RuntimeError(last.decode("latin-1"))
                    return total

    def content(self, command: bytes) -> tuple[int, str, int]:
        """The same, read properly: how many literals of over 1 KB, a digest of them, and all octets."""
        self.sock.sendall(b"bulk " + command + b"\r\n")
        data = bytearray()
        while not (data.endswith(b"\r\n") and data[data.rfind(b"\n", 0, -2) + 1 :].startswith(b"bulk OK")):
            more = self.sock.recv(BUFFER_BYTES)
            if not more:
                raise ConnectionError("closed")
            data += more
        digest, count = hashlib.sha256(), 0
        for literal in literals(bytes(data)):
            if len(literal) > 1024:
                count += 1
                digest.update(literal)
        return count, digest.hexdigest(), len(data)


def literals(data: bytes) -> Iterator[bytes]:
    """The literals of an answer, in turn."""
    position = 0
    while (found := _LITERAL.search(data, position)) is not None:
        position = found.end() + int(found[1])
        yield data[found.end() : position]


def one_round(target: Target, folder: str, messages: list[bytes], seconds: float) -> str:
    """Fill, fetch cold and warm; the bodies' digest."""
    target.fill(folder, messages)
    count = len(messages)
    try:
        for name, item in FETCHES.items():
            command = b"FETCH 1:* " + item
            reader = Reader(target, folder)
            began = time.perf_counter()
            expected = reader.octets(command)
            target.note(f"{name}_cold_per_s", count / (time.perf_counter() - began))
            passes, cpu, began = 0, target.cpu(), time.perf_counter()
            while (taken := time.perf_counter() - began) < seconds:
                if reader.octets(command) != expected:
                    raise RuntimeError(f"{target.name}: another number of octets")
                passes += 1
            target.note(f"{name}_warm_per_s", count * passes / taken)
            target.note(f"{name}_server_cpu_us", (target.cpu() - cpu) / (count * passes) * 1e6)
            reader.sock.close()
        found, digest, _ = Reader(target, folder).content(b"FETCH 1:* BODY.PEEK[]")
        if found != count:
            raise RuntimeError(f"{target.name}: {found} bodies of {count}")
    finally:
        target.remove(folder)
    return digest


def measure(
    paths: list[str], messages: int = 4000, size: str = "10k", seconds: float = 5.0, rounds: int = 3
) -> dict[str, dict[str, float]]:
    """Medians by target and metric."""
    mailbench = generator()
    targets = [Target(path, mailbench) for path in paths]
    factory = mailbench.Messages(mailbench.parse_sizes(size), 1, "bodies")
    texts = [factory.make(number) for number in range(messages)]
    for number in range(rounds):
        turn = targets if number % 2 == 0 else targets[::-1]
        digests = {one_round(target, f"mbbodies{number}", texts, seconds) for target in turn}
        if len(digests) != 1:
            raise RuntimeError("the targets answered different octets")
    return {
        target.name: {name: round(statistics.median(values), 2) for name, values in target.samples.items()}
        for target in targets
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--size", default="10k")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    for name, found in measure(args.targets, args.messages, args.size, args.seconds, args.rounds).items():
        print(json.dumps({"target": name, **found}))


if __name__ == "__main__":
    main()
