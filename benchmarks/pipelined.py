"""Scenarios that the load generator lacks: pipelined NOOP and pipelined single FETCH.

    python -m benchmarks.pipelined TARGET.json [--commands 40000] [--messages 1000]

Prints one JSON object a target: commands per second, median of `--rounds`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import statistics
import time


class Client:
    """A blocking IMAP client that only counts tagged answers."""

    def __init__(self, host: str, port: int) -> None:
        self.sock = socket.create_connection((host, port), timeout=60)
        self.buffer = b""
        self.until(b"* OK")

    def until(self, needle: bytes) -> bytes:
        while needle not in self.buffer:
            data = self.sock.recv(1 << 18)
            if not data:
                raise ConnectionError("closed")
            self.buffer += data
        text, self.buffer = self.buffer, b""
        return text

    def call(self, command: str) -> bytes:
        self.sock.sendall(f"x {command}\r\n".encode())
        text = b""
        while b"\r\nx " not in b"\r\n" + text:
            text += self.until(b"\r\n")
        if b"x OK" not in text:
            raise RuntimeError(text[-200:].decode("latin-1"))
        return text

    def pipeline(self, commands: list[bytes], batch: int = 500) -> float:
        """Send in batches of `batch`, wait for the last tagged answer of each; seconds."""
        started = time.perf_counter()
        for start in range(0, len(commands), batch):
            part = commands[start : start + batch]
            tag = b"L%d" % start
            block = b"".join(b"p " + c + b"\r\n" for c in part[:-1]) + tag + b" " + part[-1] + b"\r\n"
            self.sock.sendall(block)
            tail = b""
            while tag + b" OK" not in tail:
                data = self.sock.recv(1 << 18)
                if not data:
                    raise ConnectionError("closed")
                tail = tail[-256:] + data
        return time.perf_counter() - started


def measure(conf: dict[str, object], commands: int, messages: int, rounds: int) -> dict[str, float]:
    user = str(conf["user"]).format(1)
    client = Client(str(conf["host"]), int(str(conf["imap_port"])))
    client.call(f'LOGIN "{user}" "{conf["password"]}"')
    folder = "mbpipe"
    with contextlib.suppress(RuntimeError):
        client.call(f"DELETE {folder}")
    client.call(f"CREATE {folder}")
    body = b"From: a@b.example\r\nSubject: pipelined\r\n\r\n" + b"text\r\n" * 100
    literal = b"APPEND mbpipe {%d+}\r\n%s" % (len(body), body)
    client.pipeline([literal] * messages, 100)
    client.call(f"SELECT {folder}")
    result: dict[str, float] = {}
    noops = [b"NOOP"] * commands
    ascending = [n % messages + 1 for n in range(commands // 4)]
    scattered = random.Random(1).sample(ascending, len(ascending))
    work_of = {"noop": noops}
    for order, numbers in (("", ascending), ("_scattered", scattered)):
        work_of[f"fetch_envelope{order}"] = [b"FETCH %d (FLAGS ENVELOPE)" % n for n in numbers]
        work_of[f"fetch_body{order}"] = [b"FETCH %d BODY.PEEK[]" % n for n in numbers]
    for name, work in work_of.items():
        rates = [len(work) / client.pipeline(work) for _ in range(rounds)]
        result[f"{name}_per_s"] = round(statistics.median(rates))
    client.call("CLOSE")
    client.call(f"DELETE {folder}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--commands", type=int, default=40000)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    for path in args.targets:
        with open(path) as file:
            conf = json.load(file)
        print(
            json.dumps({"target": conf.get("name", path), **measure(conf, args.commands, args.messages, args.rounds)})
        )


if __name__ == "__main__":
    main()
