"""An organisation with a worker's mail flow, rules and assistant, in one process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from postern.cli.mailbox import create
from postern.config.loading import load
from postern.directory.interface import Domain, NewAccount
from postern.model.envelope import Envelope, Peer, Recipient
from postern.model.items import Columns
from postern.roles.context import open_organisation
from postern.services.assistants.runner import OutboxRunner
from postern.services.mailflow import Mailflow, MailflowSettings
from postern.services.rules.at_delivery import AtDelivery
from postern.services.rules.letter_sender import LetterSender
from postern.services.rules.rulebook import RuleBook
from postern.services.rules.stored import SEND
from postern.store.journal.layout import allocate_journal, journal_directory
from postern.store.journal.writer import Journal

PEER = Peer("192.0.2.1", 4711, "127.0.0.1", 25, "smtp", helo="client.example.net", protocol="ESMTP")
ANNA, BORIS = "anna@example.org", "boris@example.org"


def make(directory):
    """A settings file with its organisation; blocks."""
    config = directory / "postern.toml"
    config.write_text('[server]\ndata = "data"\nhostname = "mail.example.org"\n')
    settings = load(config)

    async def work():
        settings.data_dir.mkdir(exist_ok=True)
        async with open_organisation(settings) as parts:
            await parts.directory.put_domain(Domain("example.org"))

    asyncio.run(work())
    asyncio.run(create(settings, [NewAccount(ANNA, "Anna"), NewAccount(BORIS, "Boris")]))
    return settings


class World:
    def __init__(self, parts, mailflow, assistant, sender, rules):
        self.parts = parts
        self.mailflow = mailflow
        self.assistant = assistant
        self.sender = sender
        self.rules = rules

    async def mailbox(self, address=ANNA):
        account = await self.parts.directory.login(address)
        return await self.parts.store.mailbox(account.mailbox)

    async def book(self, address=ANNA):
        return RuleBook(await self.mailbox(address), self.parts.bus)

    async def send(self, text, to=ANNA, sender="bob@example.net", settle=True):
        """A message from outside; bare LF become CRLF."""
        content = text.encode() if isinstance(text, str) else text
        content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        envelope = Envelope(sender, (Recipient(to),))
        route = await self.mailflow.check_recipient(to, None, PEER, len(content))
        await self.mailflow.submit(envelope, PEER, [route], content)
        if settle:
            await self.settled()

    async def settled(self):
        """Everything that was accepted is applied, and everything that rules sent is submitted and applied."""
        for _ in range(3):
            await self.mailflow._journal.all_applied()
            await self.assistant.settle_all()
        await self.mailflow._journal.all_applied()

    async def folders(self, address=ANNA):
        """Folder -> [(subject, flags, keywords)], empty ones left out."""
        mailbox = await self.mailbox(address)
        words = await mailbox.keywords()
        found = {}
        for folder in await mailbox.folders():
            async for rows in mailbox.items(folder.id, Columns.UID | Columns.FLAGS | Columns.SUBJECT):
                for _, flags, subject in rows:
                    named = tuple(sorted(word for bit, word in words.items() if flags >> bit & 1))
                    found.setdefault(folder.name, []).append((subject, flags & 31, named))
        return found

    async def messages(self, address=ANNA, folder="INBOX"):
        mailbox = await self.mailbox(address)
        (where,) = [f for f in await mailbox.folders() if f.name.lower() == folder.lower()]
        found = []
        async for rows in mailbox.items(where.id, Columns.UID):
            found += [await mailbox.read(where.id, row[0]) for row in rows]
        return found

    async def outgoing(self):
        """(reverse path, recipients, content) of what waits for other servers; taken out of the queue."""
        claims = await self.parts.queue.claim("test", 100)
        return [
            (
                claim.recipients[0].reverse_path,
                [waiting.recipient.address for waiting in claim.recipients],
                claim.content.prefix + await self.parts.blobs.read(claim.content.blob),
            )
            for claim in claims
        ]


@asynccontextmanager
async def world(settings):
    failures = []
    async with open_organisation(settings) as parts:
        directory = journal_directory(parts.data)
        journal = Journal(directory, allocate_journal(directory), parts.clock, failures.append)
        assistant = OutboxRunner(parts.store, parts.claims)
        rules = AtDelivery(parts.store, parts.directory, parts.bus, parts.clock, journal, "mail.example.org", assistant)
        mailflow = Mailflow(
            journal, parts.store, parts.directory, parts.queue, parts.tracker, parts.clock, failures.append,
            MailflowSettings(host_name="mail.example.org"), rules,
        )  # fmt: skip
        sender = LetterSender(parts.store, parts.clock, mailflow.submit_internal)
        assistant.register(SEND, sender.handle)
        mailflow.start()
        try:
            yield World(parts, mailflow, assistant, sender, rules)
        finally:
            await mailflow.close()
    assert failures == []
