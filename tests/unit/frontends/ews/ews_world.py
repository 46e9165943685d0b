"""One organisation with three people, and clients that speak EWS to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lxml import etree
from tests.ews_schema import check_envelope

from postern.config.settings import Authentication, Server, Settings
from postern.directory.interface import Domain, NewAccount, RecipientKind
from postern.frontends.ews.call import Services
from postern.frontends.ews.frontend import Ews
from postern.frontends.ews.push_places import PushPlaces
from postern.frontends.http.asgi import Admission, Surroundings
from postern.model.envelope import Envelope, Peer, Recipient
from postern.model.ids import NO_BLOB
from postern.model.items import ItemClass, NewItem, SpecialUse
from postern.model.properties import pack
from postern.roles.calendars import calendars
from postern.roles.parts import Parts
from postern.services.address_book import AddressBook
from postern.services.assistants.runner import OutboxRunner
from postern.services.calendar.availability import FreeBusy
from postern.services.calendar.settings import save_settings
from postern.services.delegation import Delegation
from postern.services.folder_sharing import FolderSharing
from postern.services.identities import Identities
from postern.services.mail_tips import MailTips
from postern.services.mailboxes import Mailboxes
from postern.services.mailflow import Mailflow, MailflowSettings
from postern.services.permissions import Permissions
from postern.services.principal import Principal
from postern.services.push_register import PushRegister
from postern.services.rooms import Rooms
from postern.services.rules.at_delivery import AtDelivery
from postern.services.rules.letter_sender import LetterSender
from postern.services.rules.rulebook import RuleBooks
from postern.services.rules.stored import SEND
from postern.services.submission import Submission
from postern.store.journal.layout import allocate_journal, journal_directory
from postern.store.journal.writer import Journal

M = "http://schemas.microsoft.com/exchange/services/2006/messages"
T = "http://schemas.microsoft.com/exchange/services/2006/types"
S = "http://schemas.xmlsoap.org/soap/envelope/"
NS = {"m": M, "t": T, "s": S, "e": "http://schemas.microsoft.com/exchange/services/2006/errors"}
PEER = Peer("192.0.2.1", 4711, "192.0.2.9", 25, "smtp", helo="mail.example.net")
USERS = ("anna", "boris", "chen")


def associated_view() -> NewItem:
    """What a client keeps of how it shows a folder, for `Mailbox.add` to the folder's associated items."""
    values = {"PidTagSubject": "view", "PidTagMessageClass": "IPM.Configuration.View"}
    return NewItem(
        blob=NO_BLOB, body_size=0, prefix=b"Subject: view\r\n\r\n", received_at=1_700_000_000, envelope=b"()",
        bodystructure=b"()", parts=b"", header=b"", subject="view", sent_at=None, message_id="",
        item_class=ItemClass.ASSOCIATED, properties=pack(values),
    )  # fmt: skip


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict]] = []

    def _note(self, event: str, **values: object) -> None:
        self.lines.append((event, values))

    debug = info = warning = error = _note


class Reply:
    """An answer, already held against the schema."""

    def __init__(self, status: int, raw: bytes) -> None:
        self.status = status
        self.raw = raw
        self.root = etree.fromstring(raw)
        self.body = self.root.find(f"{{{S}}}Body")[0]
        check_envelope(self.root, status)

    def all(self, path: str) -> list[etree._Element]:
        return self.body.xpath(path, namespaces=NS)

    def one(self, path: str) -> etree._Element:
        found = self.all(path)
        assert len(found) == 1, f"{path}: {len(found)} in {self.raw.decode()[:3000]}"
        return found[0]

    def text(self, path: str) -> str:
        return self.one(path).text or ""

    def texts(self, path: str) -> list[str]:
        return [one.text or "" for one in self.all(path)]

    @property
    def codes(self) -> list[str]:
        """Of the response messages, in order; of a fault its code."""
        if self.body.tag == f"{{{S}}}Fault":
            return [self.body.findtext(".//e:ResponseCode", namespaces=NS) or ""]
        return self.texts("//m:ResponseMessages/*/m:ResponseCode")

    @property
    def version(self) -> str:
        return self.root.xpath("string(//t:ServerVersionInfo/@Version)", namespaces=NS)

    def ok(self) -> Reply:
        assert self.codes and set(self.codes) == {"NoError"}, self.raw.decode()[:3000]
        return self

    def ids(self, name: str = "ItemId") -> list[tuple[str, str]]:
        return [(one.get("Id"), one.get("ChangeKey")) for one in self.all(f"//t:{name}")]


class Client:
    """One user's."""

    def __init__(self, world: World, principal: Principal) -> None:
        self.world = world
        self.principal = principal
        self.version = "Exchange2013_SP1"

    async def post(self, data: bytes, method: str = "POST", path: str = "/EWS/Exchange.asmx") -> tuple[int, bytes]:
        surroundings = Surroundings(
            "https", "mail.example.org", ("127.0.0.1", 4711), ("127.0.0.1", 443), None, "session"
        )
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [],
            "state": {"admission": Admission(self.principal, "Basic"), "surroundings": surroundings},
        }
        sent: list[dict] = []
        queue = [{"type": "http.request", "body": data, "more_body": False}]

        async def receive() -> dict:
            return queue.pop(0)

        async def send(message: dict) -> None:
            sent.append(message)

        await self.world.application(scope, receive, send)
        return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:])

    def envelope(self, body: str, headers: str = "") -> bytes:
        version = f'<t:RequestServerVersion Version="{self.version}"/>' if self.version else ""
        return (
            f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{S}" xmlns:t="{T}" xmlns:m="{M}">'
            f"<s:Header>{version}{headers}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        ).encode()

    async def ask(self, body: str, headers: str = "") -> Reply:
        """A request's body element, written with the prefixes m and t."""
        status, raw = await self.post(self.envelope(body, headers))
        failed = [values for event, values in self.world.log.lines if event == "ews.failed"]
        if failed:
            raise failed[0]["exc_info"]
        return Reply(status, raw)

    async def single(self, body: str) -> Reply:
        """A request whose answer is one response message itself, which has to be a success."""
        reply = await self.ask(body)
        assert reply.body.get("ResponseClass") == "Success", reply.raw.decode()[:3000]
        return reply

    async def mailed(self, content: str, sender: str = "outside@example.net", to: str = "") -> None:
        """A message that comes by mail, with all that follows from it."""
        content = content.replace("\n", "\r\n")
        recipient = to or self.principal.address
        route = await self.world.mailflow.check_recipient(recipient, None, PEER, len(content))
        envelope = Envelope(sender, (Recipient(recipient),))
        await self.world.mailflow.submit(envelope, PEER, [route], content.encode())
        await self.world.assisted()

    # --- what many tests begin with

    async def folder(self, name: str, parent: str = '<t:DistinguishedFolderId Id="msgfolderroot"/>') -> str:
        reply = await self.ask(
            f"<m:CreateFolder><m:ParentFolderId>{parent}</m:ParentFolderId><m:Folders><t:Folder>"
            f"<t:DisplayName>{name}</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
        )
        return reply.ok().one("//t:FolderId").get("Id")

    async def save(self, inner: str, folder: str = '<t:DistinguishedFolderId Id="drafts"/>') -> tuple[str, str]:
        reply = await self.ask(
            f'<m:CreateItem MessageDisposition="SaveOnly"><m:SavedItemFolderId>{folder}</m:SavedItemFolderId>'
            f"<m:Items><t:Message>{inner}</t:Message></m:Items></m:CreateItem>"
        )
        return reply.ok().ids()[0]

    async def deliver(self, content: bytes, use: SpecialUse = SpecialUse.INBOX, flags: int = 0) -> None:
        """A message that came from somewhere."""
        mailbox = await self.world.parts.store.mailbox(self.principal.mailbox)
        folder = await mailbox.special(use)
        await self.world.mailflow.append(mailbox.id, folder.id, content, flags, (), None)

    async def find(self, folder: str = "inbox", shape: str = "IdOnly", more: str = "", extra: str = "") -> Reply:
        return await self.ask(
            f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{extra}</m:ItemShape>'
            f'{more}<m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'
        )

    async def get(self, *ids: str, shape: str = "AllProperties", extra: str = "") -> Reply:
        inner = "".join(f'<t:ItemId Id="{one}"/>' for one in ids)
        return await self.ask(
            f"<m:GetItem><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{extra}</m:ItemShape>"
            f"<m:ItemIds>{inner}</m:ItemIds></m:GetItem>"
        )


class World:
    """The server's parts, without a socket."""

    def __init__(self, data: Path) -> None:
        self.settings = Settings(
            server=Server(hostname="mail.example.org", data=str(data), workers=1),
            authentication=Authentication(failure_delay_s=0.0, argon2_passes=1, argon2_memory_kib=1024),
        )
        self.data = data
        self.log = Log()
        self.failures: list[Exception] = []
        self.push_urls: tuple[str, ...] = ()

    async def start(self) -> None:
        journal_directory(self.data).mkdir(parents=True, exist_ok=True)
        parts = self.parts = Parts.open(self.settings, "test", None, 0)
        await parts.store.start()
        self.journal = Journal(
            journal_directory(self.data), allocate_journal(journal_directory(self.data)), parts.clock,
            self.failures.append,
        )  # fmt: skip
        self.runner = OutboxRunner(parts.store, parts.claims)
        rules = AtDelivery(
            parts.store, parts.directory, parts.bus, parts.clock, self.journal, "mail.example.org", self.runner
        )
        self.mailflow = Mailflow(
            self.journal, parts.store, parts.directory, parts.queue, parts.tracker, parts.clock, self.failures.append,
            MailflowSettings(host_name="mail.example.org"), rules, self.runner,
        )  # fmt: skip
        self.runner.register(SEND, LetterSender(parts.store, parts.clock, self.mailflow.submit_internal).handle)
        self.mailflow.start()
        if not await parts.directory.accounts():
            await parts.directory.put_domain(Domain("example.org"))
            made = await parts.directory.create_accounts(
                [NewAccount(f"{user}@example.org", display_name=user.capitalize()) for user in USERS]
            )
            for account in made:
                await parts.store.create_mailbox(account.mailbox, account.slot, account.quota)
        permissions = Permissions(parts.directory)
        self.address_book = AddressBook(parts.directory, parts.clock)
        mailboxes = Mailboxes(parts.store, parts.bus, permissions, self.mailflow, parts.clock)
        agendas = calendars(parts, self.mailflow, mailboxes, self.runner)
        self.services = Services(
            mailboxes=mailboxes,
            agendas=agendas,
            availability=FreeBusy(parts.store, parts.directory),
            rules=RuleBooks(mailboxes, parts.bus),
            delegation=Delegation(mailboxes, parts.store, parts.directory),
            rooms=Rooms(parts.directory),
            push=PushPlaces(self.push_urls, PushRegister(self.data / "push")),
            tips=MailTips(parts.store, parts.directory, parts.clock, 50 << 20),
            identities=Identities(parts.directory, permissions, parts.clock),
            submission=Submission(self.mailflow, parts.clock, parts.entropy, "mail.example.org"),
            sharing=FolderSharing(parts.directory),
            address_book=self.address_book,
            clock=parts.clock,
            entropy=parts.entropy,
            log=self.log,
        )
        self.application = Ews(self.services, 64 << 20)
        self.accounts = {one.address: one for one in await parts.directory.accounts()}

    def client(self, user: str) -> Client:
        account = self.accounts[f"{user}@example.org"]
        return Client(self, Principal(account.id, account.address, account.mailbox, account.slot, account.generation))

    async def settled(self) -> None:
        """All that was accepted is where it goes, and the calendar assistant has seen it."""
        for _ in range(1000):
            if self.mailflow.outstanding:
                await asyncio.sleep(0.01)
            elif self.runner._waiting:
                await self.runner.settle_all()
            else:
                return
        raise AssertionError("mail is still on its way")

    async def calendar_settings(self, user: str, **values: object) -> None:
        """Of somebody's calendar."""
        await save_settings(await self.parts.store.mailbox(self.accounts[f"{user}@example.org"].mailbox), **values)

    async def add_room(self) -> None:
        """room@example.org, which books itself."""
        new = NewAccount("room@example.org", display_name="Room", kind=RecipientKind.ROOM)
        (made,) = await self.parts.directory.create_accounts([new])
        await self.parts.store.create_mailbox(made.mailbox, made.slot, made.quota)
        self.accounts[made.address] = made

    async def assisted(self) -> None:
        """The same, and the assistants have done what that set off."""
        for _ in range(3):
            await self.settled()
            await self.mailflow._journal.all_applied()
            await self.runner.settle_all()
        await self.mailflow._journal.all_applied()

    async def close(self) -> None:
        await self.address_book.close()
        await self.mailflow.close()
        await self.parts.close()
        assert not self.failures
