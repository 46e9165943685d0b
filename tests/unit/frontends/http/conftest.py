"""The web host in this process: real TLS, a real directory, and a client that sends what it likes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import trustme
from msgspec.structs import replace

from postern.catalogue.load import load
from postern.config.listeners import Listening
from postern.config.settings import Authentication, Server, Settings
from postern.directory.interface import Domain, NewAccount
from postern.directory.passwords import CHEAP, new_credentials
from postern.frontends.http.connection import Shared
from postern.frontends.http.frontend import HttpFrontend
from postern.frontends.http.gate import Gate
from postern.frontends.http.settings import HttpSettings
from postern.frontends.http.site import Mount, Site
from postern.model.refusal import Refusal
from postern.net.clock import SystemEntropy
from postern.net.listener import Listener, serve
from postern.net.tls import server_context
from postern.protocols.http import digest
from postern.protocols.http.head import parse
from postern.roles.gauges import ServerMetrics
from postern.roles.parts import Parts
from postern.roles.web import Mail, Web
from postern.services.lifecycle import Sessions
from postern.services.permissions import Permissions

PASSWORD = "correct horse"
HOST = "mail.example.org"


AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert(HOST, "127.0.0.1")


class Log:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict]] = []

    def _note(self, event: str, **values: object) -> None:
        self.lines.append((event, values))

    debug = info = warning = error = _note

    def of(self, event: str) -> list[dict]:
        return [values for name, values in self.lines if name == event]


class Answer:
    def __init__(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.fields = fields
        self.body = body

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def cookies(self) -> dict[str, str]:
        return {
            name: value
            for name, _, value in (field.partition(";")[0].partition("=") for field in self.all("set-cookie"))
        }


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.buffered = b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, method: str, path: str, fields: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        lines = {"Host": HOST, **(fields or {})}
        if body or method == "POST":
            lines["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        await self.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return await self.answer(method != "HEAD")

    async def answer(self, content: bool = True) -> Answer:
        async with asyncio.timeout(60):
            while (head := parse(self.buffered)) is None:
                await self._more()
        self.buffered = self.buffered.partition(b"\r\n\r\n")[2]
        body = b""
        if content and head.get("transfer-encoding") == "chunked":
            while not self.buffered.startswith(b"0\r\n\r\n"):
                while b"\r\n" not in self.buffered:
                    await self._more()
                size, _, rest = self.buffered.partition(b"\r\n")
                while len(rest) < int(size, 16) + 2:
                    await self._more()
                    rest = self.buffered.partition(b"\r\n")[2]
                body += rest[: int(size, 16)]
                self.buffered = rest[int(size, 16) + 2 :]
                if not self.buffered:
                    await self._more()
            self.buffered = self.buffered[5:]
        elif content and head.status >= 200:
            length = int(head.get("content-length") or 0)
            while len(self.buffered) < length:
                await self._more()
            body, self.buffered = self.buffered[:length], self.buffered[length:]
        return Answer(head.status, list(head.fields), body)

    async def _more(self) -> None:
        data = await asyncio.wait_for(self.reader.read(65536), 60)
        if not data:
            raise EOFError(self.buffered)
        self.buffered += data

    async def ended(self) -> bool:
        """Whether the server has closed the connection."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 60) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


class World:
    """One organisation and its listeners."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.authority = AUTHORITY
        tls = settings.data_dir / "tls"
        tls.mkdir()
        CERTIFICATE.private_key_pem.write_to_path(tls / "key.pem")
        CERTIFICATE.cert_chain_pems[0].write_to_path(tls / "certificate.pem")
        self.clients_file = tls / "clients.pem"
        self.authority.cert_pem.write_to_path(self.clients_file)
        self.parts = Parts.open(settings, "test", 1, 0)
        self.sessions = Sessions(self.parts.directory, Permissions(self.parts.directory), self.parts.clock)
        self.authentication = self.parts.authentication(self.sessions)
        self.log = Log()
        self.listeners: list[Listener] = []
        self.clients: list[Client] = []
        self.webs: list[Web] = []
        self.watching = asyncio.create_task(self.sessions.run(self.parts.bus))

    async def fill(self) -> None:
        await self.parts.bus.start()
        await self.parts.directory.put_domain(Domain("example.org"))
        for name in ("anna", "boris"):
            address = f"{name}@example.org"
            password, scram = new_credentials(PASSWORD, SystemEntropy(), CHEAP)
            new = NewAccount(address, password_hash=password, scram=scram)
            (account,) = await self.parts.directory.create_accounts([new])
            keys = {
                digest.kind(one, HOST): digest.key(one, address, HOST, PASSWORD).encode() for one in digest.ALGORITHMS
            }
            await self.parts.directory.put_derived_keys(account.id, keys)

    def context(self, *, certificate: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        if certificate:
            self.authority.issue_cert("anna@example.org").configure_cert(context)
        return context

    async def host(self, listener: str = "https", mechanisms: tuple[str, ...] | None = None) -> int:
        """The product's own host on a free port, as a worker of its own; the port."""
        path = load().listener(listener)
        # the virtual directories are there; no test here opens a mailbox by them
        mail = Mail(None, None, None, SimpleNamespace(shelf=None))  # type: ignore[arg-type]
        web = Web(self.settings, self.parts, self.authentication, ServerMetrics([listener]), mail)
        web._log = self.log
        self.webs.append(web)
        listening = Listening(path, ("127.0.0.1",), 0, path.mechanisms if mechanisms is None else mechanisms)
        return await self._serve(web.handler(listening, 8443), tls=path.implicit_tls)

    async def site(self, *mounts: Mount, tls: bool = True, mechanisms: tuple[str, ...] = ("Basic",), **limits) -> int:
        """A host with applications of a test; the port."""
        settings = HttpSettings("https", HOST, mechanisms=mechanisms, realm=HOST, **limits)
        gate = Gate(settings, self.authentication, self.parts.clock, self.log)
        shared = Shared(settings, Site(mounts), gate, self.parts.clock, self.log)
        return await self._serve(HttpFrontend(shared).handle, tls=tls)

    async def _serve(self, handler: Callable, *, tls: bool) -> int:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.setblocking(False)
        clients = self.clients_file if self.settings.http.client_ca else None
        context = server_context(self.settings.certificate, self.settings.key, clients) if tls else None
        self.listeners.append(await serve(sock, handler, context, on_error=self._error))
        return sock.getsockname()[1]

    def _error(self, stream: object, error: BaseException) -> None:
        if not isinstance(error, ConnectionError | TimeoutError | Refusal):
            self.log.error("unexpected", error=repr(error))

    async def connect(self, port: int, *, tls: bool = True, certificate: bool = False) -> Client:
        context = self.context(certificate=certificate) if tls else None
        client = Client(
            *await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST if tls else None)
        )
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        for listener in self.listeners:
            await listener.stop(0)
            listener.sock.close()
        self.watching.cancel()
        await asyncio.gather(self.watching, return_exceptions=True)
        for web in self.webs:
            web.close()
        self.authentication.close()
        await self.parts.close()
        assert not self.log.of("unexpected"), self.log.of("unexpected")


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(
        server=Server(hostname=HOST, data=str(tmp_path), workers=1),
        authentication=Authentication(failure_delay_s=0.0, argon2_passes=1, argon2_memory_kib=1024),
    )


@pytest.fixture
async def world(settings):
    one = World(settings)
    await one.fill()
    yield one
    await one.close()


@pytest.fixture
async def certified(settings, tmp_path):
    """A world that asks for client certificates."""
    asking = replace(settings, http=replace(settings.http, client_ca=str(tmp_path / "tls" / "clients.pem")))
    one = World(asking)
    await one.fill()
    yield one
    await one.close()
