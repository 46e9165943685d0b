"""Rules where a message is put into a mailbox: a delivery in, the delivery that the rules make of it out.

Nothing here writes a message. What rules send goes into the mailbox's outbox with the delivery's own commit; a
replay decides again, and the keys make it the same.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import msgspec

from postern.directory.interface import Directory
from postern.formats.mime import automatic
from postern.formats.mime.scan import new_item
from postern.model.actions import (
    INBOX,
    Decision,
    Forward,
    Redirect,
    Reject,
    Store,
    TemplateReply,
    Vacation,
)
from postern.model.ids import NO_BLOB, BlobRef, FolderId, ItemId, MailboxId
from postern.model.items import Flag, NewItem, SpecialUse
from postern.model.ports import Clock
from postern.model.properties import pack
from postern.model.refusal import Refusal
from postern.model.rules import Audience, Oof
from postern.model.sync import SetOff
from postern.services.rules import letters, stored
from postern.services.rules.acquaintances import Acquaintances
from postern.services.rules.deciding import Incoming, Seen, decide
from postern.services.rules.letters import Origin
from postern.services.rules.loading import Generation, Loader, MailboxRules
from postern.services.rules.placing import Folders, make
from postern.services.rules.stored import Letter, Memory, Once
from postern.services.scanning import scan_content
from postern.store.interface import Delivery, Mailbox
from postern.store.interface import Store as MailboxStore
from postern.store.journal.records import Kind
from postern.store.journal.writer import Journal
from postern.transport.loops import check_loop
from postern.transport.outcomes import queue_id

_log = logging.getLogger(__name__)
_FLAGS = {f"\\{flag.name}".lower(): flag for flag in Flag}
OOF_SECONDS = 365 * 86_400
"""A sender is told once for each time that out of office is switched on (its settings' change number), however long."""
MAX_SEEN = 5000


class Placed(NamedTuple):
    """A delivery as the rules want it."""

    delivery: Delivery
    kept: tuple[BlobRef, ...] = ()
    """Bodies that were written for it; to be let go when it is committed."""


class Wakes(Protocol):
    """services.assistants.runner.OutboxRunner."""

    def wake(self, mailbox: MailboxId) -> None:
        """There is something in a mailbox's outbox."""
        ...


class AtDelivery:
    """One per worker."""

    def __init__(
        self,
        store: MailboxStore,
        directory: Directory,
        generation: Generation,
        clock: Clock,
        journal: Journal,
        host_name: str,
        assistant: Wakes,
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._journal = journal
        self._host_name = host_name
        self._assistant = assistant
        self.acquaintances = Acquaintances()
        self._loader = Loader(store, directory, generation, clock)
        self.without = self._loader.without
        """Mailboxes without rules: what the delivery of most messages looks at, and nothing else."""

    def refresh(self) -> None:
        """Before each batch."""
        self._loader.refresh()

    async def place(self, delivery: Delivery, incoming: Incoming) -> Placed:
        """What becomes of a delivery. Never fails: a message whose rules cannot be followed goes to INBOX."""
        try:
            rules = await self._loader.load(delivery.mailbox)
            if rules is None:
                return Placed(delivery)
            return await self._place(delivery, incoming, rules)
        except Refusal as refusal:
            _log.warning("rules of mailbox %s could not be followed: %s", delivery.mailbox, refusal)
        except Exception:  # a mistake of ours must not lose or hold up mail
            _log.exception("rules of mailbox %s failed", delivery.mailbox)
        return Placed(delivery)

    def committed(self, placed: Placed) -> None:
        """The delivery is in its mailbox, or refused."""
        for ref in placed.kept:
            self._journal.applied(ref)
        if placed.delivery.sets_off:
            self._assistant.wake(placed.delivery.mailbox)

    # --- one delivery

    async def _place(self, delivery: Delivery, incoming: Incoming, rules: MailboxRules) -> Placed:
        mailbox = await self._store.mailbox(delivery.mailbox)
        folders = Folders(await mailbox.folders())
        seen = await self._seen(mailbox, rules)
        now = self._clock.now().astimezone()
        decision = await decide(rules, incoming, folders, Seen(seen, delivery.key), now)
        await self._remember(mailbox, delivery, decision, seen)
        work = _Work(self, mailbox, folders, delivery, incoming, rules, now)
        return await work.carry_out(decision)

    async def _seen(self, mailbox: Mailbox, rules: MailboxRules) -> dict[str, bytes]:
        """Ids that were met, as they are stored: most of thousands are not asked for."""
        if rules.program is None or not rules.uses_duplicate:
            return {}
        return {one.key: one.value for one in await mailbox.settings(stored.SEEN)}

    async def _remember(
        self, mailbox: Mailbox, delivery: Delivery, decision: Decision, known: Mapping[str, bytes]
    ) -> None:
        if not decision.remember:
            return
        now = int(self._clock.timestamp())
        values: dict[str, bytes | None] = {}
        if len(known) >= MAX_SEEN:
            old = sorted(known, key=lambda name: stored.decode_memory(known[name]).until)
            values.update((name, None) for name in old[: MAX_SEEN // 2])
        for one in decision.remember:
            values[one.name] = stored.encode(Memory(now + one.seconds, *delivery.key))
        await mailbox.set_settings(stored.SEEN, values)

    async def keep(self, content: bytes) -> BlobRef:
        """Write a body that rules have changed."""
        return await self._journal.append(Kind.STREAM, b"", content)

    async def is_internal(self, address: str) -> bool:
        """Whether somebody belongs to the organisation."""
        found = await self._directory.resolve(address)
        return found.account is not None or found.group is not None or found.domain is not None

    @property
    def host_name(self) -> str:
        """Ours."""
        return self._host_name

    async def read(self, mailbox: Mailbox, item: int) -> bytes | None:
        """A message of the mailbox by number."""
        where = (await mailbox.locate([ItemId(item)])).get(ItemId(item))
        return None if where is None else await mailbox.read(*where)


class _Work:
    """Carrying out one decision."""

    def __init__(
        self,
        rules_at: AtDelivery,
        mailbox: Mailbox,
        folders: Folders,
        delivery: Delivery,
        incoming: Incoming,
        rules: MailboxRules,
        now: datetime,
    ) -> None:
        self._at = rules_at
        self._mailbox = mailbox
        self._folders = folders
        self._delivery = delivery
        self._incoming = incoming
        self._rules = rules
        self._now = now
        self._kept: list[BlobRef] = []
        self._edited: dict[bytes, NewItem] = {}
        self._letters: list[tuple[Letter, BlobRef]] = []

    async def carry_out(self, decision: Decision) -> Placed:
        try:
            return await self._carry_out(decision)
        except BaseException:
            for ref in self._kept:
                self._at.committed(Placed(self._delivery._replace(sets_off=()), (ref,)))
            raise

    async def _carry_out(self, decision: Decision) -> Placed:
        copies: dict[FolderId, NewItem] = {}
        lost = False
        for action in decision.actions:
            match action:
                case Store():
                    folder = await self._folder(action)
                    if folder not in copies:
                        copies[folder] = await self._item(action)
                case Redirect():
                    lost |= not await self._redirect(action)
                case Forward():
                    await self._forward(action)
                case Reject():
                    lost |= not self._reject(action)
                case Vacation():
                    self._answer(action)
                case TemplateReply():
                    await self._template(action)
        if lost and not copies:
            # nobody else has it, so the owner does
            copies[await self._folder(Store())] = self._delivery.item
        if decision.problem:
            name = stored.digest("trouble", self._rules.version)
            self._send(letters.trouble(self._origin(), decision.problem, Once(name, OOF_SECONDS)))
        if copies and not decision.junk:
            await self._out_of_office()
        letters_ = (SetOff(stored.SEND, stored.encode(letter), blob) for letter, blob in self._letters)
        sets_off = (*self._delivery.sets_off, *letters_)
        if not copies:
            return Placed(self._delivery._replace(nowhere=True, sets_off=sets_off), tuple(self._kept))
        (folder, item), *others = copies.items()
        delivery = self._delivery._replace(folder=folder, item=item, also=tuple(others), sets_off=sets_off)
        return Placed(delivery, tuple(self._kept))

    # --- copies

    async def _folder(self, action: Store) -> FolderId:
        target = action.target
        found = self._folders.find(target)
        if found is None and target.create and target.name:
            found = await make(self._mailbox, self._folders, target.name)
        if found is None:
            found = self._folders.find(INBOX)
            assert found is not None, "a mailbox has an INBOX"
        return found

    async def _item(self, action: Store) -> NewItem:
        item = self._delivery.item if action.header is None else await self._with_header(action.header)
        system, keywords = item.flags, list(item.keywords)
        for flag in action.flags:
            known = _FLAGS.get(flag.lower())
            if known is not None:
                system |= known
            else:
                keywords.append(flag)
        properties = pack(dict(action.properties)) if action.properties else item.properties
        if system == item.flags and not action.flags and properties == item.properties:
            return item
        return msgspec.structs.replace(
            item, flags=int(system), keywords=tuple(dict.fromkeys(keywords)), properties=properties
        )

    async def _with_header(self, header: bytes) -> NewItem:
        """The item with another header: a body of its own."""
        known = self._edited.get(header)
        if known is None:
            content = header + self._incoming.content[self._incoming.scan.header_end :]
            ref = await self._at.keep(content)
            self._kept.append(ref)
            old = self._delivery.item
            scanned = await scan_content(content)
            fresh = new_item(scanned, ref, len(content), old.prefix, old.received_at, old.flags, old.keywords)
            known = msgspec.structs.replace(fresh, properties=old.properties)
            self._edited[header] = known
        return known

    # --- letters

    def _origin(self) -> Origin:
        number = len(self._letters)
        return Origin(
            self._rules.owner,
            self._rules.name,
            self._incoming.reverse_path,
            self._incoming.header,
            f"{queue_id(self._delivery.key)}.{self._delivery.mailbox[:8]}.{number}.rules@{self._at.host_name}",
            self._at.host_name,
            self._now.astimezone(UTC),
        )

    def _send(self, letter: Letter, blob: BlobRef = NO_BLOB) -> None:
        self._letters.append((letter, blob))

    async def _redirect(self, action: Redirect) -> bool:
        incoming = self._incoming
        block = incoming.header
        if letters.loops(block, self._rules.owner):
            return False
        trace = incoming.prefix.partition(b"\r\n")[2] if incoming.prefix.startswith(b"Return-Path") else incoming.prefix
        try:
            check_loop(trace + incoming.content, self._at.host_name)
        except Refusal:
            return False
        blob = self._delivery.item.blob
        if action.header is not None:
            blob = (await self._with_header(action.header)).blob
        self._send(
            letters.redirected(self._origin(), action.address, trace, None, incoming.body, incoming.smtputf8), blob
        )
        return True

    async def _forward(self, action: Forward) -> None:
        block = self._incoming.header
        if letters.loops(block, self._rules.owner) or automatic.why_not_answered(block, "a@b") == "automatic":
            return
        self._send(letters.forwarded(self._origin(), action, self._incoming.content))

    def _reject(self, action: Reject) -> bool:
        """False if there is nobody to reject it to."""
        if not self._incoming.reverse_path or automatic.why_not_answered(self._incoming.header, "a@b") == "automatic":
            return False
        recipient = self._incoming.recipient
        self._send(letters.rejection(self._origin(), action, recipient, self._incoming.content))
        return True

    def _may_answer(self, further: Sequence[str] = ()) -> bool:
        """RFC 5230 4.5, 4.6: a person wrote, to one of the owner's addresses, and it is not the owner."""
        incoming = self._incoming
        own = self._rules.own | {address.lower() for address in further}
        if incoming.reverse_path.lower() in own:
            return False
        if automatic.why_not_answered(incoming.header, incoming.reverse_path):
            return False
        named = letters.addresses_of(incoming.header, (b"to", b"cc", b"bcc", b"resent-to", b"resent-cc", b"resent-bcc"))
        return bool(own & (named | {_untagged(address) for address in named}))

    def _answer(self, action: Vacation) -> None:
        if not self._may_answer(action.addresses):
            return
        handle = action.handle or stored.digest(action.reason, action.subject, action.sender, str(action.mime))
        once = Once(stored.digest("vacation", handle, self._incoming.reverse_path.lower()), action.seconds)
        self._send(
            letters.automatic_reply(
                self._origin(),
                action.reason,
                once,
                subject=action.subject,
                sender=action.sender,
                mime=action.mime,
            )
        )

    async def _template(self, action: TemplateReply) -> None:
        if not self._may_answer():
            return
        content = await self._at.read(self._mailbox, action.item)
        if content is not None:
            self._send(letters.template(self._origin(), content))

    async def _out_of_office(self) -> None:
        oof = self._rules.oof
        if oof is None or not oof.active(self._now.timestamp()) or not self._may_answer():
            return
        sender = self._incoming.reverse_path
        internal = await self._at.is_internal(sender)
        text = oof.internal_reply if internal else await self._external(oof, sender)
        if not text.strip():
            return
        once = Once(stored.digest("oof", self._rules.oof_version, sender.lower()), OOF_SECONDS)
        self._send(letters.automatic_reply(self._origin(), text, once, prefix="Automatic reply: "))

    async def _external(self, oof: Oof, sender: str) -> str:
        if oof.audience is Audience.NONE:
            return ""
        if oof.audience is Audience.KNOWN:
            contacts = self._folders.folder_with_use(SpecialUse.CONTACTS)
            if not await self._at.acquaintances.knows(self._mailbox, contacts, sender):
                return ""
        return oof.external_reply


def _untagged(address: str) -> str:
    local, at, domain = address.rpartition("@")
    return local.partition("+")[0] + at + domain
