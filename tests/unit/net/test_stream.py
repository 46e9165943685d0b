"""Streams over loopback sockets: chunks, deadlines, back pressure, TLS."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import socket
import ssl
import sys
import time
import types
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from tests.stopwatch import stopwatch
from tests.unit.net.conftest import listening

from postern.net import stream as stream_module
from postern.net.client import connect
from postern.net.listener import BindError, bind, serve
from postern.net.stream import Stopping, Stream
from postern.net.tls import WEB_TICKETS, ServerContext, TlsFailure, client_context, server_context


async def echo(stream: Stream) -> None:
    while data := await stream.read(5):
        stream.write(data)
        await stream.drain()


async def read_exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = await stream.read(5)
        assert chunk, "closed early"
        data += chunk
    return data


async def test_bytes_come_back_as_sent() -> None:
    async with listening(echo) as (listener, port):
        client = await connect("127.0.0.1", port, 5)
        client.write([b"one ", b"two"])
        assert await read_exactly(client, 7) == b"one two"
        assert client.peer == ("127.0.0.1", port)
        assert listener.accepted == 1
        client.close()


async def test_sockets_leave_descriptors_to_files() -> None:
    gc.collect()  # what others have left open is not to be closed meanwhile
    sock = bind("127.0.0.1", 0)
    held = [os.dup(sock.fileno())]  # whatever is free among others: the next sockets shall have successive numbers
    highest = max(map(int, os.listdir("/proc/self/fd")))
    while held[-1] <= highest:
        held.append(os.dup(sock.fileno()))
    spare = held[-1] + 1
    listener = await serve(sock, echo, full=b"full", below=spare + 40)
    clients: list[Stream] = []
    refused = 0
    try:
        for number in range(40):  # each takes two numbers here, one at either end
            clients.append(client := await connect("127.0.0.1", sock.getsockname()[1], 5))
            client.write(b"x")
            refused += await client.read(5) == b"full"
            assert number or not refused
        assert refused == listener.refused
        assert refused >= 20
    finally:
        for client in clients:
            client.close()
        await listener.stop(1)
        sock.close()
        for number in held:
            os.close(number)


async def test_strangers_of_one_address_leave_connections_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """One address held all connections of a protocol for two minutes at a time, without signing in."""
    sock = bind("127.0.0.1", 0)
    served: list[Stream] = []

    async def handler(stream: Stream) -> None:
        served.append(stream)
        await echo(stream)

    async def answer() -> bytes:
        client = await connect("127.0.0.1", sock.getsockname()[1], 5)
        clients.append(client)
        with suppress(ConnectionResetError):
            client.write(b"x")
        return await client.read(5)

    clients: list[Stream] = []
    listener = await serve(sock, handler, full=b"full", strangers=2)
    try:
        assert [await answer() for _ in range(3)] == [b"x"] * 3, "this machine may have as many as it wants"
        monkeypatch.setattr("postern.net.listener.is_loopback", lambda _: False)
        assert [await answer() for _ in range(3)] == [b"x", b"x", b"full"]
        listener.known(served[3])
        listener.known(served[3])
        assert [await answer() for _ in range(2)] == [b"x", b"full"]
        clients[4].close()
        async with asyncio.timeout(60):
            while len(listener.connections) > 5:
                await asyncio.sleep(0.01)
        assert await answer() == b"x"
    finally:
        for client in clients:
            client.close()
        await listener.stop(1)
        sock.close()
    assert not listener._unknown
    assert listener.refused == 2


async def test_end_of_input_is_empty() -> None:
    async def once(stream: Stream) -> None:
        stream.write(b"bye")

    async with listening(once) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        assert await read_exactly(client, 3) == b"bye"
        assert await client.read(5) == b""
        client.close()
        with pytest.raises(ConnectionResetError):
            await client.drain()


async def test_a_nudged_read_returns_without_octets_and_loses_none() -> None:
    async with listening(echo) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        waiting = asyncio.ensure_future(client.read_unless_nudged(5))
        await asyncio.sleep(0)
        client.nudge()
        assert await waiting is None
        assert await client.read_unless_nudged(5) is None, "nobody has calmed it"
        client.calm()
        client.write(b"here")
        assert await client.read_unless_nudged(5) == b"here"
        client.nudge()
        client.write(b"again")
        assert await client.read(5) == b"again", "a plain read cares for octets only"
        client.calm()
        with pytest.raises(TimeoutError):
            await client.read_unless_nudged(0.05)
        client.close()
        assert await client.read_unless_nudged(5) == b""


async def test_a_waiting_reader_is_one_frame() -> None:
    """Thousands of clients wait here: each coroutine more is a quarter of a kilobyte a client."""
    async with listening(echo) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        for read in (client.read, client.read_unless_nudged):
            waiting = asyncio.ensure_future(read(5))
            await asyncio.sleep(0)
            coroutine = waiting.get_coro()
            assert isinstance(coroutine, types.CoroutineType)
            assert not isinstance(coroutine.cr_await, types.CoroutineType)
            client.write(b"x")
            assert await waiting == b"x"
        client.close()


async def test_a_silent_peer_times_out_by_the_last_deadline() -> None:
    async with listening(echo) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        client.write(b"x")
        assert await client.read(60) == b"x"
        with stopwatch() as took, pytest.raises(TimeoutError):
            await client.read(0.05)
        assert took.seconds < 1
        client.write(b"y")
        assert await client.read(1) == b"y"
        client.close()


async def test_a_cancelled_read_loses_nothing() -> None:
    async with listening(echo) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        task = asyncio.ensure_future(client.read(5))
        await asyncio.sleep(0)
        client.write(b"kept")
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await read_exactly(client, 4) == b"kept"
        client.close()


@pytest.mark.parametrize("tls", [False, True])
async def test_large_transfers_pass_back_pressure(context: ServerContext, tls: bool) -> None:
    data = os.urandom(3 * 1024 * 1024)
    received = asyncio.get_running_loop().create_future()

    async def slow(stream: Stream) -> None:
        got = b""
        while len(got) < len(data):
            await asyncio.sleep(0.001)
            got += await stream.read(5)
            assert len(got) and stream._backlog <= 0
        received.set_result(got)
        stream.write(data)
        await stream.drain()

    async with listening(slow, context if tls else None) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        if tls:
            await client.start_tls(client_context(), server_side=False)
        client.write(data)
        await client.drain()
        assert await received == data
        assert await read_exactly(client, len(data)) == data
        client.close()


async def test_pieces_arrive_in_order_whatever_their_size() -> None:
    large = bytes(range(256)) * 8192
    pieces: list[bytes | memoryview] = [b"head ", memoryview(large)[7:], b"", b" middle ", large, b" end"]
    expected = b"".join(pieces) + b"ab" + b"".join(pieces)

    async def handler(stream: Stream) -> None:
        out = list(pieces)
        stream.write(out)
        out.clear()  # the list is its owner's again, as soon as it is written
        stream.write([b"a", b"b"])
        stream.write(list(pieces))
        stream.write([])
        await stream.drain()

    async with listening(handler) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        received = b""
        while data := await client.read(5):
            received += data
        assert received == expected
        client.close()


async def test_implicit_tls_facts(context: ServerContext) -> None:
    facts = asyncio.get_running_loop().create_future()

    async def tell(stream: Stream) -> None:
        facts.set_result(stream.tls)
        await echo(stream)

    async with listening(tell, context) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        await client.start_tls(client_context(), server_side=False, server_name="localhost")
        client.write(b"secret")
        assert await read_exactly(client, 6) == b"secret"
        server = await facts
        assert server.version == "TLSv1.3"
        assert client.tls is not None
        assert server.server_end_point == hashlib.sha256(client.tls.peer_certificate).digest()
        client.close()


@pytest.mark.parametrize("tickets", [0, WEB_TICKETS])
async def test_session_tickets_go_to_the_web_only(tmp_path: Path, tickets: int) -> None:
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    made = server_context(tmp_path / "cert.pem", tmp_path / "key.pem", tickets=tickets)
    async with listening(echo, made) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"  # a ticket comes before anything else
        session = writer.get_extra_info("ssl_object").session
        assert bool(session and session.has_ticket) is bool(tickets)
        writer.close()


async def arrived(stream: Stream) -> None:
    """Until there is something to read; reads nothing."""
    async with asyncio.timeout(60):
        while not stream.has_input:
            await asyncio.sleep(0.001)


async def starttls_server(stream: Stream, context: ServerContext, heard: asyncio.Event) -> None:
    await stream.read(5)
    heard.set()
    await arrived(stream)  # injected plain text: what comes only after the go-ahead is TLS, and no handshake
    stream.write(b"go\r\n")
    await stream.start_tls(context)
    await echo(stream)


@pytest.mark.skipif(sys.platform != "linux", reason="the delay is Linux's")
async def test_what_a_client_says_after_a_handshake_is_not_held_up(context: ServerContext) -> None:
    """By Nagle's algorithm and our delayed acknowledgement of its last flight: 40 ms each time."""

    def ask(port: int) -> float:
        with socket.create_connection(("127.0.0.1", port), 30) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            with client_context().wrap_socket(plain) as client:
                began = time.perf_counter()
                client.sendall(b"EHLO")
                assert client.recv(4) == b"EHLO"
                return time.perf_counter() - began

    async with listening(echo, context) as (_, port):
        assert min([await asyncio.to_thread(ask, port) for _ in range(10)]) < 0.02


async def test_plain_text_before_starttls_is_dropped(context: ServerContext) -> None:
    heard = asyncio.Event()
    async with listening(lambda stream: starttls_server(stream, context, heard)) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        client.write(b"STARTTLS\r\n")
        await heard.wait()
        client.write(b"injected\r\n")
        assert await client.read(5) == b"go\r\n"
        await client.start_tls(client_context(), server_side=False)
        client.write(b"real")
        assert await read_exactly(client, 4) == b"real"
        client.close()


async def test_a_client_drops_what_a_server_said_before_tls(context: ServerContext) -> None:
    heard = asyncio.Event()

    async def inject(stream: Stream) -> None:
        await stream.read(5)
        stream.write(b"go\r\n")
        await heard.wait()
        stream.write(b"injected\r\n")
        await stream.start_tls(context)
        await echo(stream)

    async with listening(inject) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        client.write(b"STARTTLS\r\n")
        assert await client.read(5) == b"go\r\n"
        heard.set()
        await arrived(client)
        await client.start_tls(client_context(), server_side=False)
        client.write(b"real")
        assert await read_exactly(client, 4) == b"real"
        client.close()


async def test_a_broken_handshake_says_so(context: ServerContext) -> None:
    failure = asyncio.get_running_loop().create_future()

    async def handshake(stream: Stream) -> None:
        try:
            await stream.start_tls(context)
        except TlsFailure as error:
            failure.set_result(error)

    async with listening(handshake) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        client.write(b"EHLO not.tls.example\r\n")
        assert isinstance(await failure, TlsFailure)
        client.close()


async def test_old_tls_versions_are_refused(context: ServerContext) -> None:
    async with listening(echo, context) as (_, port):
        client = await connect("127.0.0.1", port, 5)
        old = client_context()
        with pytest.warns(DeprecationWarning):
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(TlsFailure):
            await client.start_tls(old, server_side=False)
        client.close()


async def test_broken_records_end_the_connection(context: ServerContext) -> None:
    async with listening(echo, context) as (listener, port):
        client = await connect("127.0.0.1", port, 5)
        await client.start_tls(client_context(), server_side=False)
        assert client._transport is not None
        client._transport.write(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        assert await client.read(5) == b""
        client.close()
        await asyncio.sleep(0.01)
        assert not listener.connections


async def test_tls_close_is_announced(context: ServerContext) -> None:
    async def bye(stream: Stream) -> None:
        stream.write(b"bye")

    async with listening(bye, context) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
        assert await reader.read() == b"bye"
        writer.close()


async def test_a_stop_lets_busy_connections_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "QUIET_S", 0.05)
    said: list[str] = []

    async def session(stream: Stream) -> None:
        try:
            while data := await stream.read(5):
                if data == b"work":
                    await asyncio.sleep(0.2)
                    stream.write(b"done")
        except Stopping:
            said.append("bye")
            stream.write(b"bye")

    async with listening(session) as (listener, port):
        idle = await connect("127.0.0.1", port, 5)
        busy = await connect("127.0.0.1", port, 5)
        await asyncio.sleep(0.1)
        busy.write(b"work")
        await asyncio.sleep(0.02)
        await listener.stop(5)
        assert await idle.read(5) == b"bye"
        assert await read_exactly(busy, 7) == b"donebye"
        assert said == ["bye", "bye"]
        with pytest.raises(OSError):
            await connect("127.0.0.1", port, 0.2)
        idle.close()
        busy.close()


async def test_a_taken_port_is_explained() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BindError, match="another program already listens"):
            bind("127.0.0.1", taken.getsockname()[1])


async def test_a_peer_that_answers_a_handshake_with_clear_text_and_goes() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.write(b"554 no TLS here")
        writer.transport.abort() if len(refused) % 2 else writer.close()

    refused: list[int] = []
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        for attempt in range(6):
            client = await connect("127.0.0.1", server.sockets[0].getsockname()[1], 5)
            with pytest.raises(TlsFailure):
                await client.start_tls(client_context(), server_side=False)
            client.abort()
            refused.append(attempt)
