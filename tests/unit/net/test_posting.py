"""One POST and its answer: what a place that is called can do, and what it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime

import pytest

from postern.formats import issuing
from postern.net import posting
from postern.net.posting import Poster, PostFailed


@contextlib.asynccontextmanager
async def answering(*pieces: bytes, pause: float = 0.0, context: ssl.SSLContext | None = None):
    asked: list[bytes] = []
    handlers: list[asyncio.Task] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            asked.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(4))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


async def post(port: int, scheme: str = "http") -> bytes:
    return await Poster().post(f"{scheme}://127.0.0.1:{port}/a?b=c", b"body", {"X-One": "1"})


async def test_what_is_sent_and_what_comes_back():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    async with answering(chunked) as (port, asked):
        assert await post(port) == b"abc"
    head = asked[0].decode()
    assert head.startswith("POST /a?b=c HTTP/1.1\r\n") and head.endswith("\r\n\r\nbody")
    assert f"Host: 127.0.0.1:{port}\r\n" in head and "Content-Length: 4\r\n" in head and "X-One: 1\r\n" in head
    async with answering(b"HTTP/1.0 200 OK\r\n\r\n", b"until the end") as (port, _):
        assert await post(port) == b"until the end"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 Nothing\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + bytes(70_000),
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
    ],
    ids=["nothing", "no-http", "redirect", "sign-in", "no-content", "long-body", "long-head"],
)
async def test_answers_that_are_none(answer):
    async with answering(answer) as (port, _):
        with pytest.raises(PostFailed):
            await post(port)


async def test_nobody_there_and_an_octet_at_a_time(monkeypatch):
    async with answering() as (port, _):
        pass
    with pytest.raises(PostFailed):
        await post(port)
    monkeypatch.setattr(posting, "TIMEOUT_S", 0.2)
    async with answering(b"HTTP/1.1 200 OK\r\nX: ", *[b"y"] * 100, pause=0.05) as (port, _):
        with pytest.raises(PostFailed, match="seconds"):
            await post(port)


async def test_a_certificate_that_nobody_vouches_for(tmp_path):
    chain, key = issuing.self_signed(["localhost"], ["127.0.0.1"], datetime.now(UTC))
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", context=context) as (port, asked):
        with pytest.raises(PostFailed, match="certificate"):
            await post(port, "https")
    assert not asked


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http:///x", "127.0.0.1"])
async def test_urls_that_are_none(url):
    with pytest.raises(PostFailed):
        await Poster().post(url, b"", {})
