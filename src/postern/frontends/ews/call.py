"""One request while it is worked on: who asks, in which version, and the mailboxes that were opened for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from postern.frontends.ews import codes
from postern.frontends.ews.box import Box
from postern.frontends.ews.push_places import PushPlaces
from postern.frontends.ews.search_following import Standing
from postern.model.calendar.zones import Zone
from postern.model.envelope import Peer
from postern.model.ids import MailboxId
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Refusal
from postern.protocols.ews import responses
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation, SchemaViolation
from postern.services.address_book import AddressBook
from postern.services.calendar.agenda import Agenda, Agendas
from postern.services.calendar.availability import FreeBusy
from postern.services.delegation import Delegation
from postern.services.folder_sharing import FolderSharing
from postern.services.identities import Identities
from postern.services.mail_tips import MailTips
from postern.services.mailboxes import Mailboxes
from postern.services.principal import Principal
from postern.services.rooms import Rooms
from postern.services.rules.rulebook import RuleBooks
from postern.services.submission import Submission

T = TypeVar("T")


class Services(msgspec.Struct, frozen=True):
    """What operations use; one a worker."""

    mailboxes: Mailboxes
    identities: Identities
    submission: Submission
    sharing: FolderSharing
    address_book: AddressBook
    clock: Clock
    entropy: Entropy
    log: Any
    agendas: Agendas
    availability: FreeBusy
    rules: RuleBooks
    delegation: Delegation
    tips: MailTips
    rooms: Rooms
    push: PushPlaces
    standing: Standing = msgspec.field(default_factory=Standing)
    """What search folders find."""


class Call:
    """One request."""

    def __init__(
        self, services: Services, principal: Principal, version: Version, peer: Peer, zone: Zone | None = None
    ) -> None:
        """`zone`: of TimeZoneContext; None: not said."""
        self.services = services
        self.principal = principal
        self.version = version
        self.peer = peer
        self.zone = zone
        self._agendas: dict[MailboxId, Agenda] = {}
        self._boxes: dict[MailboxId, Box] = {}

    async def box(self, mailbox: MailboxId | None = None) -> Box:
        """A mailbox, by default one's own. Raises Refusal."""
        wanted = mailbox or self.principal.mailbox
        if wanted is not None and wanted in self._boxes:
            return self._boxes[wanted]
        items = await self.services.mailboxes.items(self.principal, mailbox)
        owner = await self.services.identities.owner(items.id)
        private = await self.services.delegation.sees_private(self.principal, items)
        box = self._boxes[items.id] = Box(items, owner, sees_private=private)
        return box

    async def box_of(self, address: str) -> Box:
        """The mailbox behind an address, by default one's own. Raises Refusal."""
        if not address:
            return await self.box()
        return await self.box(await self.services.identities.mailbox_of(address))

    async def public_box(self) -> Box:
        """The public folders. Raises EwsViolation, Refusal."""
        found = await self.services.mailboxes.public(self.principal)
        if found is None:
            raise EwsViolation("ErrorNoPublicFolderReplicaAvailable", "There are no public folders.")
        return await self.box(found.mailbox)

    async def agenda(self, box: Box) -> Agenda:
        """The calendars of a mailbox. Raises Refusal."""
        found = self._agendas.get(box.id)
        if found is None:
            found = self._agendas[box.id] = await self.services.agendas.open(self.principal, box.id, self.peer)
        return found

    async def durable(self) -> None:
        """What was changed survives a power cut now."""
        for box in self._boxes.values():
            if box.written:
                await box.access.durable()
                box.written = False

    async def each(
        self, message: str, things: Sequence[T], work: Callable[[T], Awaitable[str]], *, empty: str = ""
    ) -> str:
        """Do something for each thing of a batch; what fails is answered so, the rest is done.

        `message`: name of the response message; `work` gives the content of a success, or a whole message that begins
        with its element; `empty`: what the schema wants in an error.
        """
        opening = f"<m:{message} "
        answers: list[tuple[bool, str]] = []
        for thing in things:
            try:
                content = await work(thing)
            except SchemaViolation:
                raise
            except EwsViolation as violation:
                answers.append((True, responses.error(message, violation.code, violation.text, empty)))
            except Refusal as refusal:
                code = codes.of(refusal)
                answers.append((True, responses.error(message, code.code, code.text, empty)))
                self.services.log.info(
                    "ews.refused", user=self.principal.address, reason=refusal.reason.value, detail=refusal.detail
                )
            else:
                answers.append((content.startswith(opening), content))
        return "".join(text if whole else responses.success(message, text) for whole, text in answers)
