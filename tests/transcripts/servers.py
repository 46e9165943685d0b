"""The two servers that transcripts are played against: ours over memory streams, Debian's Dovecot as a process each."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path

from tests.memory_input import MemoryInput
from transcript import MESSAGE

from crash.organisation import DOMAIN, MAILBOXES, UNLIMITED, CountingEntropy, MemoryBus, Worker
from postern.directory.objects import Account, FolderPermission, RecipientKind, Resolution
from postern.frontends.imap.frontend import ImapFrontend
from postern.frontends.imap.settings import ImapSettings
from postern.model.ids import AccountId, MailboxId
from postern.model.items import Quota
from postern.model.refusal import Reason, Refusal
from postern.model.rights import ROLES, FolderRight
from postern.services.mailboxes import Mailboxes
from postern.services.permissions import Permissions
from postern.services.principal import Principal

DOVECOT = Path("/usr/lib/dovecot/imap")
WAIT_S = 10.0
PUBLIC = "public-folders@example.org"
_LITERAL = re.compile(rb"\{(\d+)\}$")


class Reader:
    """Responses with their literals out of a growing buffer."""

    def __init__(self) -> None:
        self.data = b""

    def take(self) -> bytes | None:
        at = 0
        while (end := self.data.find(b"\r\n", at)) >= 0:
            literal = _LITERAL.search(self.data[at:end])
            if literal is None:
                line, self.data = self.data[:end], self.data[end + 2 :]
                return line
            at = end + 2 + int(literal[1])
            if at > len(self.data):
                return None
        return None


class LivelyBus(MemoryBus):
    """Wakes as the real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.wakers: dict[int, list] = {}

    def subscribe(self, slot, wake):
        self.wakers.setdefault(slot, []).append(wake)
        return lambda: self.wakers[slot].remove(wake)

    def publish(self, slot, change_number):
        super().publish(slot, change_number)
        for wake in list(self.wakers.get(slot, ())):
            wake()


class Tls:
    version, cipher, server_end_point, peer_certificate = "TLSv1.3", "x", b"x" * 32, b""
    peer_chain: tuple[bytes, ...] = ()


class MemoryStream(MemoryInput):
    """Both ends of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.peer, self.local, self.tls = ("192.0.2.1", 40000), ("192.0.2.2", 993), Tls()
        self.closed = False
        self.reader = Reader()
        self._wrote = asyncio.Event()

    # the server's side
    def write(self, data) -> None:
        self.reader.data += data if isinstance(data, bytes) else b"".join(data)
        self._wrote.set()

    async def start_tls(self, context) -> None:
        raise AssertionError("TLS is on")

    def close(self) -> None:
        self.closed = True
        self._wrote.set()

    abort = close

    # the client's side
    async def send(self, data: bytes) -> None:
        self.give(data)

    async def line(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            while (line := self.reader.take()) is None:
                if self.closed:
                    raise AssertionError(f"closed; left: {self.reader.data!r}")
                self._wrote.clear()
                await self._wrote.wait()
        return line

    def end(self, reason=None) -> None:
        super().end()


class Users:
    """Passwords are `secret`; A is anna, B is anna's second client; boris signs in on raw connections."""

    def __init__(self, mailboxes: dict[str, MailboxId], slots: dict[str, int]) -> None:
        self.mailboxes = mailboxes
        self.slots = slots

    async def verify_password(self, user, password, peer_address, protocol, authzid="", **_):
        address = user if "@" in user else f"{user}@example.org"
        if password != "secret" or address not in self.mailboxes:
            raise Refusal(Reason.BAD_CREDENTIALS)
        number = sorted(MAILBOXES).index(address) + 1
        return Principal(AccountId(number), address, self.mailboxes[address], self.slots[address])

    async def watch(self, principal, protocol, session):
        return lambda: None


class Table:
    """The directory as far as rights ask it: accounts in the order of their addresses, and rows of rights."""

    def __init__(self, mailboxes: dict[str, MailboxId], slots: dict[str, int]) -> None:
        self.accounts = {
            mailbox: Account(
                AccountId(sorted(MAILBOXES).index(address) + 1), address, "", mailbox, slots[address], UNLIMITED
            )
            for address, mailbox in mailboxes.items()
        }
        self.rows: dict[tuple[MailboxId, int, str], FolderRight] = {}

    async def account_of(self, mailbox):
        return self.accounts.get(mailbox)

    async def mailbox_rights(self, mailbox, account):
        return frozenset()

    def _address(self, account):
        return next(a.address for a in self.accounts.values() if a.id == account)

    async def folder_rights(self, owner, account):
        found = {folder: rights for (o, folder, who), rights in self.rows.items() if o == owner and who == "default"}
        name = self._address(account)
        return found | {f: rights for (o, f, who), rights in self.rows.items() if o == owner and who == name}

    async def folder_permissions(self, owner):
        return [
            FolderPermission(folder, AccountId(0), who, rights)
            for (o, folder, who), rights in self.rows.items()
            if o == owner
        ]

    async def set_folder_rights(self, owner, folder, grantee, rights):
        names = {account.address for account in self.accounts.values()} | {"default", "anonymous"}
        if grantee not in names:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, grantee)
        self.rows.pop((owner, folder, grantee), None)
        if rights is not None:
            self.rows[owner, folder, grantee] = rights

    async def inherit_folder_rights(self, owner, parent, folder):
        for (o, f, who), rights in list(self.rows.items()):
            if (o, f) == (owner, parent):
                self.rows[owner, folder, who] = rights

    async def public_folders(self):
        return next((a for a in self.accounts.values() if a.kind is RecipientKind.PUBLIC), None)

    async def resolve(self, address):
        found = next((a for a in self.accounts.values() if a.address == address), None)
        return Resolution(address, DOMAIN, account=found)

    async def reachable(self, account):
        owners = {o for (o, _, who), rights in self.rows.items() if rights and who == self._address(account)}
        return [a for a in self.accounts.values() if a.mailbox in owners and a.id != account]


class OurServer:
    """One worker for all transcripts; each gets mailboxes of its own."""

    loose = False
    capabilities: frozenset[str] | None = None

    def __init__(self, data: Path) -> None:
        self.bus = LivelyBus()
        self.worker = Worker(data, bus=self.bus)
        self.played = 0
        self.settings: dict[str, object] = {}
        self.streams: list[MemoryStream] = []
        self.tasks: list[asyncio.Task] = []

    async def start(self) -> None:
        await self.worker.queue.length()
        self.worker.flow.start()

    async def begin(self, transcript) -> None:
        self.played += 1
        self.mailboxes, self.slots = {}, {}
        for number, address in enumerate(MAILBOXES):
            if number and not {"E", "F"} & {step.who for step in transcript.steps} and "boris" not in transcript.text:
                continue
            slot = self.played * 10 + number
            mailbox = MailboxId(f"{slot:032x}")
            limit = 2_000_000 if "quota" in transcript.options.get("settings", "") else None
            await self.worker.store.create_mailbox(mailbox, slot, Quota(None, None, limit))
            self.mailboxes[address], self.slots[address] = mailbox, slot
        without = tuple(
            word.removeprefix("without=")
            for word in transcript.options.get("settings", "").split()
            if word.startswith("without=")
        )
        options = {"disabled_capabilities": without} if without else {}
        words = transcript.options.get("settings", "").split()
        limits = [int(word.removeprefix("messages=")) for word in words if word.startswith("messages=")]
        self.worker.store._host.max_items = limits[0] if limits else None
        table = Table(self.mailboxes, self.slots)
        if "public" in words:
            await self._public(table)
        self.frontend = ImapFrontend(
            ImapSettings(cleartext_login="loopback", mechanisms=("PLAIN", "SCRAM-SHA-256"), **options),
            Mailboxes(
                self.worker.store,
                self.bus,
                Permissions(table),
                self.worker.flow,
                self.worker.clock,
            ),
            Users(self.mailboxes, self.slots),
            CountingEntropy(),
            lambda: None,
            self.worker.clock,
        )
        for folder, count in transcript.given:
            await self._given(folder, count)

    async def _public(self, table: Table) -> None:
        """Public folders: Board with two messages, to which everybody may write, and Closed, which nobody sees."""
        mailbox, slot = MailboxId(f"{self.played * 10 + 9:032x}"), self.played * 10 + 9
        await self.worker.store.create_mailbox(mailbox, slot, UNLIMITED)
        kind = RecipientKind.PUBLIC
        table.accounts[mailbox] = Account(AccountId(99), PUBLIC, "", mailbox, slot, UNLIMITED, kind=kind)
        opened = await self.worker.store.mailbox(mailbox)
        board = await opened.create_folder(None, "Board")
        await opened.create_folder(None, "Closed")
        table.rows[mailbox, board.id, "default"] = ROLES["author"]
        for number in (1, 2):
            content = MESSAGE % ((number,) * 3)
            await self.worker.flow.append(mailbox, board.id, content, 0, (), 1_700_000_000 + number)

    async def _given(self, folder: str, count: int) -> None:
        mailbox = await self.worker.store.mailbox(self.mailboxes["anna@example.org"])
        found = next((f for f in await mailbox.folders() if f.name == folder and f.parent is None), None)
        if found is None:
            found = await mailbox.create_folder(None, folder)
        for number in range(1, count + 1):
            content = MESSAGE % ((number,) * 3)
            await self.worker.flow.append(mailbox.id, found.id, content, 0, (), 1_700_000_000 + number)

    async def connect(self, who: str, raw: bool) -> MemoryStream:
        stream = MemoryStream()
        self.streams.append(stream)
        self.tasks.append(asyncio.ensure_future(self.frontend.handle(stream)))
        if not raw:
            await stream.line()
            user = "boris" if who >= "E" else "anna"
            await stream.send(f"login LOGIN {user} secret\r\n".encode())
            answer = await stream.line()
            assert answer.startswith(b"login OK"), answer
        return stream

    async def end(self) -> None:
        for stream in self.streams:
            stream.end()
        for task in self.tasks:
            await asyncio.wait_for(task, WAIT_S)
        self.streams, self.tasks = [], []
        assert self.worker.failures == []

    async def close(self) -> None:
        await self.worker.close()


class Pipe:
    """A Dovecot session on pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.reader = Reader()

    async def send(self, data: bytes) -> None:
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def line(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            while (line := self.reader.take()) is None:
                data = await self.process.stdout.read(65536)
                if not data:
                    raise AssertionError(f"closed; left: {self.reader.data!r}")
                self.reader.data += data
        return line


class Dovecot:
    """Debian's Dovecot without its master: each connection is one `imap` process that is signed in already."""

    loose = True

    def __init__(self) -> None:
        # beside the tests' own folders, which nobody but their owner may enter
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.data = Path(tempfile.mkdtemp(prefix="transcripts-", dir=memory))
        self.home = self.data
        self.played = 0
        self.pipes: list[Pipe] = []
        self.capabilities: frozenset[str] = frozenset()

    async def start(self) -> None:
        self.data.chmod(0o755)
        user = "nobody" if os.getuid() == 0 else ""
        self.config = self.data / "dovecot.conf"
        self.config.write_text(
            f"mail_location = sdbox:~/mail\nssl = no\nlog_path = {self.data}/log\ninfo_log_path = {self.data}/log\n"
            "mailbox_idle_check_interval = 1 secs\nmail_attribute_dict = file:%h/attributes\n"
            f"base_dir = {self.data}/run\nstate_dir = {self.data}/run\nprotocols = imap\nmail_plugins = acl\n"
            "plugin {\n  acl = vfile\n}\n"
            "namespace inbox {\n  inbox = yes\n  separator = /\n"
            "  mailbox Drafts {\n    special_use = \\Drafts\n    auto = subscribe\n  }\n"
            '  mailbox "Sent Items" {\n    special_use = \\Sent\n    auto = subscribe\n  }\n'
            '  mailbox "Deleted Items" {\n    special_use = \\Trash\n    auto = subscribe\n  }\n'
            '  mailbox "Junk Email" {\n    special_use = \\Junk\n    auto = subscribe\n  }\n'
            "  mailbox Archive {\n    special_use = \\Archive\n    auto = subscribe\n  }\n"
            "  mailbox Outbox {\n    auto = create\n  }\n"
            "}\nprotocol imap {\n  imap_metadata = yes\n  mail_plugins = acl imap_acl\n}\n"
        )
        (self.data / "run").mkdir()
        for path in (self.data, self.data / "run"):
            if user:
                shutil.chown(path, user)
        self.user = user
        self.home = self._home()
        pipe = await self.connect("A", raw=False)
        await pipe.send(b"x CAPABILITY\r\n")
        while not (line := await pipe.line()).startswith(b"* CAPABILITY"):
            pass
        self.capabilities = frozenset(line.decode().split()[2:])
        await self.end()

    def _home(self) -> Path:
        self.played += 1
        home = self.data / f"home{self.played}"
        home.mkdir()
        if self.user:
            shutil.chown(home, self.user)
        return home

    async def begin(self, transcript) -> None:
        self.home = self._home()
        if not transcript.given:
            return
        pipe = await self.connect("A", raw=False)
        for folder, count in transcript.given:
            if folder != "INBOX":
                await pipe.send(f'g CREATE "{folder}"\r\n'.encode())
                while not (await pipe.line()).startswith(b"g "):
                    pass
            for number in range(1, count + 1):
                content = MESSAGE % ((number,) * 3)
                day = f'"14-Nov-2023 22:13:{20 + number % 40:02d} +0000"'
                head = f'g APPEND "{folder}" {day} {{{len(content)}+}}\r\n'
                await pipe.send(head.encode() + content + b"\r\n")
                while not (await pipe.line()).startswith(b"g "):
                    pass
        await self.end()

    async def connect(self, who: str, raw: bool) -> Pipe:
        process = await asyncio.create_subprocess_exec(
            DOVECOT,
            "-c",
            str(self.config),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"USER": "anna", "HOME": str(self.home), "PATH": os.environ["PATH"]},
            user=self.user or None,
            group="nogroup" if self.user else None,
            extra_groups=[] if self.user else None,
        )
        pipe = Pipe(process)
        self.pipes.append(pipe)
        greeting = await pipe.line()
        assert greeting.startswith(b"* PREAUTH"), greeting
        return pipe

    async def end(self) -> None:
        pipes, self.pipes = self.pipes, []
        for pipe in pipes:
            pipe.process.stdin.close()
        for pipe in pipes:
            await asyncio.wait_for(pipe.process.wait(), WAIT_S)

    async def close(self) -> None:
        await self.end()
        shutil.rmtree(self.data)
