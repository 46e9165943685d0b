"""Sessions over memory, several on one mailbox."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from fake_mailbox import FakeMailbox
from tests.memory_input import MemoryInput

from postern.frontends.imap.frontend import ImapFrontend
from postern.frontends.imap.settings import ImapSettings
from postern.model.refusal import Reason, Refusal
from postern.model.rights import ROLES
from postern.protocols.sasl import scram

MESSAGE = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: Hello\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nFirst part\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: Inner\r\nFrom: eve@example.org\r\n\r\nInner text\r\n--b--\r\n"
)


class Tls(NamedTuple):
    version: str = "TLSv1.3"
    cipher: str = "TLS_AES_256_GCM_SHA384"
    server_end_point: bytes = b"x" * 32
    peer_certificate: bytes = b""
    peer_chain: tuple[bytes, ...] = ()


class MemoryStream(MemoryInput):
    def __init__(self, *, tls: bool = True, peer: str = "192.0.2.1") -> None:
        super().__init__()
        self.peer = (peer, 40000)
        self.tls = Tls() if tls else None
        self.written = bytearray()
        self.writes = 0
        self.closed = False
        self.wrote = asyncio.Event()

    def send(self, data: bytes) -> None:
        self.give(data)

    def write(self, data) -> None:
        self.writes += 1
        self.written += data if isinstance(data, bytes) else b"".join(data)
        self.wrote.set()

    async def start_tls(self, context) -> None:
        self.tls = Tls()

    def close(self) -> None:
        self.closed = True
        self.wrote.set()


class Principal(NamedTuple):
    address: str


class FakeAuthentication:
    def __init__(self) -> None:
        self.finished: list[tuple[str, bool]] = []

    async def verify_password(self, user, password, peer_address, protocol, authzid=""):
        if (user, password) != ("ann@example.org", "secret"):
            raise Refusal(Reason.BAD_CREDENTIALS)
        return Principal(user)

    async def scram(self, user, peer_address="", protocol=""):
        stored, server = scram.derive("secret", b"salt", 4096)

        class Keys(NamedTuple):
            salt: bytes = b"salt"
            iterations: int = 4096
            alternatives: tuple = ()
            stored_key: bytes = stored
            server_key: bytes = server

        return Keys()

    async def watch(self, principal, protocol, session):
        return lambda: None

    async def finish_scram(self, user, ok, peer_address, protocol="", authzid="", *, stored_key=b""):
        self.finished.append((user, ok))
        if not ok:
            raise Refusal(Reason.BAD_CREDENTIALS)
        return Principal(user)


class FakeMailboxes:
    def __init__(self, mailbox, others=None) -> None:
        self.mailbox = mailbox
        self.shared = {} if others is None else others
        self.opened = 0
        self.refusal: Refusal | None = None
        self.unfit: Refusal | None = None

    async def open(self, principal, owner=None):
        self.opened += 1
        if self.refusal is not None:
            raise self.refusal
        return self.mailbox if owner is None else self.shared[owner]

    async def check(self, principal):
        if self.unfit is not None:
            raise self.unfit

    async def others(self, principal):
        return [(address, address) for address in self.shared]

    async def folder_rights(self, principal, mailbox, folder):
        return ROLES["owner"]

    async def named(self, principal, address):
        return None

    async def public(self, principal):
        return None


class FixedEntropy:
    def token(self, size_bytes: int) -> bytes:
        return bytes(range(size_bytes))

    def below(self, limit: int) -> int:
        return 0


class Client:
    """Talks to a front end."""

    def __init__(self, frontend: ImapFrontend, stream: MemoryStream) -> None:
        self.stream = stream
        self.task = asyncio.ensure_future(frontend.handle(stream))
        self.tags = 0

    def taken(self) -> bytes:
        data = bytes(self.stream.written)
        self.stream.written.clear()
        return data

    async def until(self, wanted: bytes) -> bytes:
        """Everything up to a line that starts so."""
        async with asyncio.timeout(60):
            while True:
                self.stream.wrote.clear()
                data = bytes(self.stream.written)
                at = 0 if data.startswith(wanted) else data.find(b"\r\n" + wanted) + 2
                if at != 1 and (end := data.find(b"\r\n", at)) >= 0:
                    del self.stream.written[: end + 2]
                    return data[: end + 2]
                if self.stream.closed:
                    raise AssertionError(f"closed before {wanted!r}: {data!r}")
                await self.stream.wrote.wait()

    async def raw(self, data: bytes, wanted: bytes) -> bytes:
        self.stream.send(data)
        return await self.until(wanted)

    async def cmd(self, text: bytes) -> bytes:
        self.tags += 1
        tag = b"t%d" % self.tags
        answer = await self.raw(tag + b" " + text + b"\r\n", tag + b" ")
        return answer.replace(b"\r\n" + tag + b" ", b"\r\n").removeprefix(tag + b" ")

    async def close(self) -> None:
        self.stream.end()
        await self.task


class World:
    def __init__(self) -> None:
        self.mailbox = FakeMailbox()
        self.others: dict[str, FakeMailbox] = {}
        self.mailboxes = FakeMailboxes(self.mailbox, self.others)
        self.authentication = FakeAuthentication()
        self.settings = ImapSettings()
        self.clients: list[Client] = []
        self.tls_context: object | None = object()

    def connect(self, **options) -> Client:
        frontend = ImapFrontend(
            self.settings,
            self.mailboxes,
            self.authentication,
            FixedEntropy(),
            lambda: self.tls_context,
        )
        client = Client(frontend, MemoryStream(**options))
        self.clients.append(client)
        return client

    async def login(self) -> Client:
        client = self.connect()
        await client.until(b"* OK")
        assert b"OK [CAPABILITY" in await client.cmd(b"LOGIN ann@example.org secret")
        return client

    async def inbox(self, command: bytes = b"SELECT INBOX") -> Client:
        client = await self.login()
        assert b"OK [READ" in await client.cmd(command)
        return client

    def fill(self, count: int, folder: str = "INBOX") -> list[int]:
        key = self.mailbox.by_name(folder)
        return [self.mailbox.deliver(key, MESSAGE.replace(b"Hello", b"Hello %d" % i)) for i in range(1, count + 1)]
