"""COMPRESS, NOTIFY, IDLE and UNAUTHENTICATE on real sockets, by connections that different workers serve."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import zlib

import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

pytestmark = pytest.mark.integration

WAIT_S = 30.0
LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """A connection, compressed from `compress` on."""

    def __init__(self, port: int, user: str = "anna") -> None:
        self.socket = insecure().wrap_socket(socket.create_connection(("127.0.0.1", port), WAIT_S))
        self.data = b""
        self.tags = 0
        self.received = 0
        self.deflate = self.inflate = None
        self.line()
        if user:
            self.ask(f'LOGIN {user}@example.org "{PASSWORD}"'.encode())

    def send(self, data: bytes) -> None:
        if self.deflate is not None:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.socket.sendall(data)

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"closed; left: {self.data!r}"
        self.received += len(data)
        self.data += data if self.inflate is None else self.inflate.decompress(data)

    def line(self) -> bytes:
        """A response with its literals."""
        found = b""
        while True:
            while (end := self.data.find(b"\r\n")) < 0:
                self._more()
            found += self.data[: end + 2]
            self.data = self.data[end + 2 :]
            literal = LITERAL.search(found)
            if literal is None:
                return found
            size = int(literal[1])
            while len(self.data) < size:
                self._more()
            found += self.data[:size]
            self.data = self.data[size:]

    def ask(self, command: bytes) -> list[bytes]:
        self.tags += 1
        tag = b"t%d " % self.tags
        self.send(tag + command + b"\r\n")
        lines = []
        while not (line := self.line()).startswith(tag):
            lines.append(line)
        assert line.startswith(tag + b"OK"), (command[:80], line)
        return lines

    def compress(self) -> None:
        self.ask(b"COMPRESS DEFLATE")
        assert not self.data, "nothing in clear may follow the OK"
        self.deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.inflate = zlib.decompressobj(-15)

    def until(self, start: bytes) -> bytes:
        while not (line := self.line()).startswith(start):
            pass
        return line

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"))
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


@pytest.fixture
def connect(server):
    with contextlib.ExitStack() as stack:

        def make(user: str = "anna") -> Client:
            client = Client(server.ports["imaps"], user)
            stack.callback(client.close)
            return client

        yield make


def message(number: int, octets: int = 0) -> bytes:
    return b"Subject: message %d\r\n\r\n%b\r\n" % (number, b"the same again and again\r\n" * (octets // 26))


def append(client: Client, folder: bytes, number: int, octets: int = 0) -> None:
    text = message(number, octets)
    client.ask(b"APPEND %b {%d+}\r\n%b" % (folder, len(text), text))


def test_a_compressed_connection_carries_everything(connect):
    client = connect()
    client.ask(b"CREATE Compressed")
    client.compress()
    append(client, b"Compressed", 1, 400_000)
    assert any(line.startswith(b"* 1 EXISTS") for line in client.ask(b"SELECT Compressed"))
    before = client.received
    (fetched,) = client.ask(b"FETCH 1 BODY.PEEK[]")
    assert message(1, 400_000) in fetched
    assert client.received - before < 40_000, "it went over the wire as it is"
    # commands that were sent together are answered together
    client.send(b"".join(b"p%d NOOP\r\n" % number for number in range(200)))
    for number in range(200):
        assert client.line().startswith(b"p%d OK" % number)
    # compressed twice is nothing (RFC 4978 3)
    client.send(b"x COMPRESS DEFLATE\r\n")
    assert client.line().startswith(b"x NO [COMPRESSIONACTIVE]")


def test_compressed_rubbish_ends_only_its_own_connection(connect):
    other, client = connect(), connect()
    client.compress()
    client.socket.sendall(b"\xff" * 100)
    with contextlib.suppress(OSError):
        while client.socket.recv(4096):
            pass
    other.ask(b"NOOP")


def test_news_of_other_folders_cross_workers(connect):
    watchers = [connect() for _ in range(6)]
    writer = connect()
    writer.ask(b"CREATE Watched")
    for number, watcher in enumerate(watchers):
        if number % 2:
            watcher.compress()
        watcher.ask(b"NOTIFY SET (mailboxes Watched (MessageNew MessageExpunge))")
    append(writer, b"Watched", 1)
    for watcher in watchers:
        assert b"MESSAGES 1 " in watcher.until(b"* STATUS ")
    writer.ask(b"SELECT Watched")
    writer.ask(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    writer.ask(b"EXPUNGE")
    for watcher in watchers:
        assert b"MESSAGES 0 " in watcher.until(b"* STATUS ")


def test_the_selected_folder_under_notify_and_idle(connect):
    writer, watcher, idler = connect(), connect(), connect()
    writer.ask(b"CREATE Selected")
    watcher.compress()
    watcher.ask(b"SELECT Selected")
    watcher.ask(
        b"NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))"
    )
    idler.compress()
    idler.ask(b"SELECT Selected")
    idler.send(b"i IDLE\r\n")
    idler.until(b"+")
    append(writer, b"Selected", 7)
    assert b"Subject: message 7" in watcher.until(b"* 1 FETCH")
    idler.until(b"* 1 EXISTS")
    writer.ask(b"SELECT Selected")
    writer.ask(b"STORE 1 +FLAGS.SILENT ($Here)")
    assert b"$Here" in watcher.until(b"* 1 FETCH")
    assert b"$Here" in idler.until(b"* 1 FETCH")
    idler.send(b"DONE\r\n")
    idler.until(b"i OK")


def test_compression_outlives_who_was_signed_in(connect):
    client = connect()
    client.compress()
    client.ask(b"NOTIFY SET (personal (MessageNew MessageExpunge))")
    client.ask(b"UNAUTHENTICATE")
    append(connect(), b"INBOX", 9)
    client.ask(f'LOGIN boris@example.org "{PASSWORD}"'.encode())
    told = client.ask(b"SELECT INBOX")
    assert any(line.startswith(b"* 0 EXISTS") for line in told), told
    assert not any(line.startswith(b"* STATUS") for line in told)
