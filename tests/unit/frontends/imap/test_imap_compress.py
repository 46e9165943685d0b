"""COMPRESS=DEFLATE (RFC 4978): octets in both directions, pipelines, bombs, memory."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from imap_world import MemoryStream, World

from postern.frontends.imap import compress
from postern.frontends.imap.compress import DeflatedStream


class Deflating:
    """The client's side."""

    def __init__(self) -> None:
        self.out = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.into = zlib.decompressobj(-15)

    def pack(self, data: bytes) -> bytes:
        return self.out.compress(data) + self.out.flush(zlib.Z_SYNC_FLUSH)


async def test_a_session_goes_on_deflated(world: World) -> None:
    client = await world.login()
    peer = Deflating()
    assert (await client.cmd(b"COMPRESS DEFLATE")).startswith(b"OK")
    for number, command in enumerate((b"NOOP", b"SELECT INBOX", b"COMPRESS DEFLATE", b"LOGOUT")):
        client.stream.send(peer.pack(b"z%d %b\r\n" % (number, command)))
        text = b""
        while b"z%d " % number not in text:
            client.stream.wrote.clear()
            text += peer.into.decompress(client.taken())
            if b"z%d " % number not in text:
                await client.stream.wrote.wait()
        expected = b"NO [COMPRESSIONACTIVE]" if number == 2 else b"OK"
        assert b"z%d %b" % (number, expected) in text


async def test_what_comes_in_the_packet_of_the_command_is_deflated_already(world: World) -> None:
    client = await world.login()
    peer = Deflating()
    client.stream.send(b"a COMPRESS DEFLATE\r\n" + peer.pack(b"b NOOP\r\n"))
    await client.until(b"a OK")
    text = peer.into.decompress(client.taken())
    while b"b OK" not in text:
        client.stream.wrote.clear()
        await client.stream.wrote.wait()
        text += peer.into.decompress(client.taken())


async def test_only_deflate(world: World) -> None:
    client = await world.login()
    assert (await client.cmd(b"COMPRESS GZIP")).startswith(b"BAD")
    assert (await client.cmd(b"COMPRESS")).startswith(b"BAD")


async def test_garbage_ends_the_connection(world: World) -> None:
    client = await world.login()
    await client.cmd(b"COMPRESS DEFLATE")
    client.stream.send(b"\xff\xff\xff not deflate")
    await client.task
    assert client.stream.closed


class Ending(MemoryStream):
    ended = None

    def end(self, reason=None) -> None:
        self.ended = reason
        super().end()


async def test_a_bomb_is_read_in_slices_and_ends_the_session(monkeypatch) -> None:
    monkeypatch.setattr(compress, "BOMB_BYTES", 4_000_000)
    beneath = Ending()
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packed.compress(bytes(50_000_000)) + packed.flush(zlib.Z_SYNC_FLUSH)
    beneath.send(bomb)
    stream = DeflatedStream(beneath)
    total = 0
    tracemalloc.start()
    while beneath.ended is None and (data := await stream.read(1)):
        assert len(data) <= compress.SLICE_BYTES
        total += len(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert beneath.ended is not None
    assert total <= 10_000_000
    assert peak < 1_000_000


async def test_text_that_packs_well_is_no_bomb(monkeypatch) -> None:
    monkeypatch.setattr(compress, "BOMB_BYTES", 100_000)
    beneath = Ending()
    peer = Deflating()
    text = b"".join(b"Received: from host%d.example.org by mx\r\n" % n for n in range(50_000))
    beneath.send(peer.pack(text))
    stream = DeflatedStream(beneath)
    got = 0
    while got < len(text):
        got += len(await stream.read(1))
    assert beneath.ended is None


@pytest.mark.parametrize("size", [1, 100, 300_000])
async def test_large_answers_come_whole(size) -> None:
    beneath = MemoryStream()
    stream = DeflatedStream(beneath)
    stream.write([b"x" * size, memoryview(b"y" * size)])
    stream.write(b"z")
    assert zlib.decompressobj(-15).decompress(bytes(beneath.written)) == b"x" * size + b"y" * size + b"z"


async def test_only_a_connection_in_clear_is_sent_bodies_from_where_they_are(world: World) -> None:
    folder = world.mailbox.by_name("INBOX")
    for n in range(300):
        world.mailbox.deliver(folder, b"Subject: %d\r\n\r\n" % n + b"x" * (9_000 if n != 7 else 1_500_000))
    client = await world.inbox()
    expected = await client.cmd(b"FETCH 1:* BODY.PEEK[]")
    assert expected.count(b" FETCH (BODY[] {") == 300
    assert world.mailbox.sent_as_they_are == 0
    client.stream.tls = None
    assert await client.cmd(b"FETCH 1:* BODY.PEEK[]") == expected
    assert world.mailbox.sent_as_they_are == 300
    peer = Deflating()
    assert (await client.cmd(b"COMPRESS DEFLATE")).startswith(b"OK")
    client.stream.send(peer.pack(b"z FETCH 1:* BODY.PEEK[]\r\n"))
    text = b""
    while b"\r\nz OK" not in text:
        client.stream.wrote.clear()
        text += peer.into.decompress(client.taken())
        if b"\r\nz OK" not in text:
            await client.stream.wrote.wait()
    assert text == expected.replace(b"\r\nOK FETCH", b"\r\nz OK FETCH")
    assert world.mailbox.sent_as_they_are == 300


async def test_small_bodies_are_copied_together(world: World) -> None:
    world.fill(20)
    client = await world.inbox()
    client.stream.tls = None
    assert (await client.cmd(b"FETCH 1:* BODY.PEEK[]")).count(b" FETCH (BODY[] {") == 20
    assert world.mailbox.sent_as_they_are == 0
