"""The metrics and health page."""

from __future__ import annotations

import json
import time

from postern.roles.gauges import ServerMetrics
from postern.roles.pages import Pages


class FakeStream:
    def __init__(self, *reads: bytes) -> None:
        self.reads = list(reads)
        self.out = b""

    async def read(self, timeout_s: float) -> bytes:
        return self.reads.pop(0) if self.reads else b""

    def write(self, data: bytes) -> None:
        self.out += data


async def ask(pages: Pages, *reads: bytes) -> bytes:
    stream = FakeStream(*reads)
    await pages.handle(stream)  # type: ignore[arg-type]
    return stream.out


async def test_health_follows_the_processes():
    metrics = ServerMetrics(["smtp"])
    pages = Pages(metrics, 2)
    assert (await ask(pages, b"GET /health HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 503")
    for process in (1, 2):
        metrics.registry.activate(process)
        metrics.heartbeat.set(time.monotonic())
        metrics.processes.set(1)
    out = await ask(pages, b"GET /health HTTP/1.1\r\n\r\n")
    assert out.startswith(b"HTTP/1.1 200") and json.loads(out.partition(b"\r\n\r\n")[2])["status"] == "ok"
    metrics.heartbeat.set(time.monotonic() - 60)
    assert (await ask(pages, b"GET /health HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 503")


async def test_requests_in_pieces_and_in_one():
    pages = Pages(ServerMetrics(["smtp"]), 0)
    request = b"GET /metrics?x HTTP/1.1\r\nHost: x\r\n\r\n"
    whole = await ask(pages, request + request)
    assert whole.count(b"HTTP/1.1 200 OK") == 2 and b'postern_connections_total{listener="smtp"} 0' in whole
    assert (await ask(pages, *(request[i : i + 1] for i in range(len(request))))).count(b"200 OK") == 1


async def test_other_requests():
    pages = Pages(ServerMetrics(), 0)
    assert b" 404 " in await ask(pages, b"GET / HTTP/1.1\r\n\r\n")
    assert b" 405 " in await ask(pages, b"POST /metrics HTTP/1.1\r\n\r\n")
    head = await ask(pages, b"HEAD /metrics HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert head.endswith(b"\r\n\r\n") and head.count(b"HTTP/1.1") == 1
    assert await ask(pages, b"GET /" + b"x" * 10000) == b""
