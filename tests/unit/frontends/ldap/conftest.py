"""The LDAP front end over a real directory file and a stream in memory, spoken to by the project's own client."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from postern.directory.interface import AccountChange, Details, Domain, NewAccount, Policy, RecipientKind
from postern.directory.passwords import CHEAP, new_credentials
from postern.directory.sqlite import SqliteDirectory
from postern.frontends.ldap.frontend import LdapFrontend
from postern.frontends.ldap.settings import LdapSettings
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemClock, SystemEntropy
from postern.protocols.ldap import filters
from postern.protocols.ldap import operations as op
from postern.protocols.ldap.client import ClientSession
from postern.services.address_book import AddressBook
from postern.services.principal import Principal

BASE = "dc=example,dc=org"
PASSWORD = "correct horse"
JPEG = b"\xff\xd8\xff" + b"x" * 100


class Stream:
    """Both ends of a connection."""

    def __init__(self, tls: bool = True) -> None:
        self.peer, self.local = ("192.0.2.1", 999), ("192.0.2.2", 636)
        self.tls = SimpleNamespace(version="TLSv1.3", cipher="x", server_end_point=b"hash") if tls else None
        self.to_server: asyncio.Queue[bytes] = asyncio.Queue()
        self.to_client = bytearray()
        self.news = asyncio.Event()
        self.closed = False
        self.patience: list[float] = []

    async def read(self, timeout_s: float) -> bytes:
        self.patience.append(timeout_s)
        if self.closed:
            return b""
        got = await asyncio.wait_for(self.to_server.get(), timeout_s)
        if isinstance(got, BaseException):
            raise got
        return got

    def write(self, data) -> None:
        self.to_client += b"".join(data) if isinstance(data, list) else data
        self.news.set()

    async def drain(self) -> None:
        await asyncio.sleep(0)

    async def start_tls(self, context) -> None:
        self.tls = SimpleNamespace(version="TLSv1.3", cipher="x", server_end_point=b"hash")

    def close(self) -> None:
        self.closed = True
        self.news.set()

    def abort(self) -> None:
        self.to_server.put_nowait(b"")
        self.close()

    def end(self, reason) -> None:
        raise AssertionError


class Client(ClientSession):
    """The project's client at the other end."""

    def __init__(self, stream: Stream, task: asyncio.Task) -> None:
        super().__init__()
        self.stream, self.task = stream, task

    async def answer(self):
        while (message := self.next_message()) is None:
            while not self.stream.to_client:
                if self.stream.closed:
                    raise EOFError
                self.stream.news.clear()
                await asyncio.wait_for(self.stream.news.wait(), 60)
            self.receive(bytes(self.stream.to_client))
            self.stream.to_client.clear()
        return message

    async def run(self, operation):
        try:
            data = next(operation)
            while True:
                if data:
                    self.stream.to_server.put_nowait(data)
                data = operation.send(await self.answer())
        except StopIteration as stop:
            return stop.value

    async def sign_in(self, name: str = "ann@example.org", password: str = PASSWORD):
        return await self.run(self.bind(name, password.encode()))

    async def find(self, text: str = "(objectClass=*)", base: str = BASE, scope=op.Scope.SUBTREE, given=(), **more):
        """Result, entries and controls of the answer."""
        request = op.SearchRequest(base, scope, filters.parse(text), **more)
        number, data = self.request(request, given)
        self.stream.to_server.put_nowait(data)
        entries = []
        while True:
            message = await self.answer()
            assert message.id == number
            if isinstance(message.operation, op.SearchDone):
                return message.operation.result, entries, message.controls
            entries.append(message.operation)

    async def who(self, text: str, base: str = BASE, **more) -> list[str]:
        """Addresses found."""
        result, entries, _ = await self.find(text, base, **more)
        assert result.ok, result
        return [entry.attributes["mail"][0].decode() for entry in entries if "mail" in entry.attributes]


class FakeAuthentication:
    """Passwords without threads and delays."""

    def __init__(self, directory) -> None:
        self.directory = directory
        self.watched: list = []
        self.hold: asyncio.Event | None = None
        self.negotiations = SimpleNamespace()

    async def watch(self, principal, protocol, session):
        assert protocol == "ldap"
        self.watched.append(session)
        return lambda: self.watched.remove(session)

    async def verify_password(self, user, password, peer_address, protocol, authzid=""):
        if self.hold is not None:
            await self.hold.wait()
        account = await self.directory.login(user)
        if account is None or password != PASSWORD:
            raise Refusal(Reason.BAD_CREDENTIALS, user)
        return self.principal(account)

    async def scram(self, user, peer_address="", protocol=""):
        account = await self.directory.login(user)
        assert account is not None
        return await self.directory.scram(account.id)

    async def finish_scram(self, user, ok, peer_address, protocol="", authzid="", stored_key=b""):
        if not ok:
            raise Refusal(Reason.BAD_CREDENTIALS)
        return self.principal(await self.directory.login(user))

    def principal(self, account):
        return Principal(account.id, account.address, account.mailbox, account.slot)


@pytest.fixture
async def directory(tmp_path):
    entropy = SystemEntropy()
    made = SqliteDirectory(tmp_path / "directory.db", entropy)
    await made.put_domain(Domain("example.org"))
    hashed, scram = new_credentials(PASSWORD, entropy, CHEAP)
    await made.create_accounts(
        [
            NewAccount("ann@example.org", "Ann Archer", hashed, scram),
            NewAccount("bob@example.org", "Bob Öztürk", hashed, scram),
            NewAccount("secret@example.org", "Agent Smith", hashed, scram),
            NewAccount("aula@example.org", "Aula (100)", kind=RecipientKind.ROOM),
        ]
    )
    await made.put_proxy("ann@example.org", "annie@example.org")
    await made.set_details(
        "ann@example.org",
        Details(given_name="Ann", surname="Archer", department="Sales", phone="+49 30 1", notes="likes tea"),
    )
    await made.set_details("bob@example.org", Details(given_name="Bob", surname="Öztürk", department="R&D"))
    await made.set_photo("ann@example.org", JPEG)
    await made.change_account("secret@example.org", AccountChange(hidden=True))
    await made.put_contact("carla@example.net", display_name="Carla Contact")
    await made.put_group("team@example.org", display_name="The Team")
    await made.set_members("team@example.org", add=["ann@example.org"])
    await made.put_policy(Policy("narrow", address_lists=("All Rooms", "Departments/Sales")))
    yield made
    await made.close()


@pytest.fixture
async def book(directory):
    made = AddressBook(directory, SystemClock())
    yield made
    await made.close()


@pytest.fixture
async def connect(directory, book):
    """A function that connects a client."""
    clients = []
    authentication = FakeAuthentication(directory)

    def make(*, tls: bool = True, **settings) -> Client:
        values = {"server_name": "mail.example.org", "starttls": not tls} | settings
        frontend = LdapFrontend(
            LdapSettings(**values), book, authentication, SystemClock(), SystemEntropy(), lambda: object()
        )
        stream = Stream(tls)
        client = Client(stream, asyncio.create_task(frontend.handle(stream)))
        client.authentication = authentication
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await client.task


@pytest.fixture
async def client(connect):
    made = connect()
    assert (await made.sign_in()).ok
    return made
