"""Meeting messages on their way: written, checked before anything is changed, submitted after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from postern.directory.interface import Account, Directory
from postern.model.calendar.appointment import Person
from postern.model.envelope import Envelope, Peer, Recipient
from postern.model.ids import DeliveryKey
from postern.model.ports import Clock, Entropy
from postern.services.admission import Route
from postern.services.calendar import imip
from postern.services.calendar.outgoing import Outgoing
from postern.services.permissions import Permissions
from postern.services.principal import Principal

LOCAL = Peer("127.0.0.1", 0, "127.0.0.1", 0, "calendar", protocol="ESMTPA")
"""Who handed a message in, if no connection did."""


class Submitting(Protocol):
    """services.mailflow.Mailflow, as far as meetings need it."""

    async def check_sender(self, reverse_path: str, principal: Principal | None, peer: Peer) -> None:
        """Whether somebody may send. Raises Refusal."""
        ...

    async def check_limits(self, principal: Principal, octets: int, recipients: int) -> None:
        """Whether the sender's policy allows it. Raises Refusal."""
        ...

    async def check_author(self, content: bytes, principal: Principal) -> bytes:
        """Whether somebody may write in that name; the message as it may be sent. Raises Refusal."""
        ...

    async def submit(self, envelope: Envelope, peer: Peer, routes: Sequence[Route], content: bytes) -> str:
        """Take responsibility for a message. Raises Refusal."""
        ...

    async def submit_internal(self, key: DeliveryKey, envelope: Envelope, content: bytes) -> str:
        """Submit what an assistant wrote, once for a key. Raises Refusal."""
        ...


class Ready(NamedTuple):
    """A message that may be sent."""

    outgoing: Outgoing
    envelope: Envelope
    routes: Sequence[Route]
    content: bytes


class Post:
    """One per worker."""

    def __init__(self, mailflow: Submitting, directory: Directory, clock: Clock, entropy: Entropy, domain: str) -> None:
        """`domain`: in new Message-IDs."""
        self._mailflow = mailflow
        self._directory = directory
        self._permissions = Permissions(directory)
        self._clock = clock
        self._entropy = entropy
        self._domain = domain

    async def prepare(
        self, principal: Principal, owner: Account, messages: Sequence[Outgoing], language: str = "en"
    ) -> list[Ready]:
        """Messages of somebody's calendar, written by who may: the owner, or a delegate in the owner's name.

        Raises Refusal(SENDER_NOT_ALLOWED, OVER_QUOTA, TOO_LARGE, TOO_MANY).
        """
        ready = []
        for message in messages:
            people = tuple(each for each in message.recipients if each.key != owner.address.lower())
            if not people:
                continue
            signed = await self._signed(principal, owner, msgspec.structs.replace(message, recipients=people))
            content = self.write(signed, language)
            envelope = _envelope(principal.address, signed, content)
            await self._mailflow.check_sender(envelope.reverse_path, principal, LOCAL)
            await self._mailflow.check_limits(principal, len(content), len(envelope.recipients))
            content = await self._mailflow.check_author(content, principal)
            # who is not there is told by a report, as by mail: the meeting is made for the others
            routes = [Route(await self._directory.resolve(each.address)) for each in envelope.recipients]
            ready.append(Ready(signed, envelope, routes, content))
        return ready

    async def _signed(self, principal: Principal, owner: Account, message: Outgoing) -> Outgoing:
        person = message.sender or Person(owner.address, owner.display_name)
        if principal.account == owner.id:
            return msgspec.structs.replace(message, sender=person)
        if await self._permissions.may_send_as(principal, person.address):
            return msgspec.structs.replace(message, sender=person)
        delegate = await self._directory.account(principal.account)
        name = "" if delegate is None else delegate.display_name
        return msgspec.structs.replace(message, sender=Person(principal.address, name), on_behalf_of=person)

    async def send(self, ready: Sequence[Ready], peer: Peer = LOCAL) -> None:
        """Submit; durable on return. Raises as Mailflow.submit."""
        for _message, envelope, routes, content in ready:
            known = peer if peer.principal else msgspec.structs.replace(peer, principal=envelope.reverse_path)
            await self._mailflow.submit(envelope, known, routes, content)

    async def send_automatic(
        self, key: DeliveryKey, sender: Account, messages: Sequence[Outgoing], language: str = "en"
    ) -> None:
        """Messages that an assistant writes, each under a key of its own made of `key`: twice is once."""
        for number, message in enumerate(messages):
            person = message.sender or Person(sender.address, sender.display_name)
            signed = msgspec.structs.replace(message, sender=person)
            content = b"Auto-Submitted: auto-replied\r\n" + self.write(signed, language)
            envelope = _envelope(sender.address, signed, content)
            await self._mailflow.submit_internal(numbered(key, number), envelope, content)

    async def forward(self, key: DeliveryKey, sender: Account, to: Sequence[str], content: bytes) -> None:
        """Hand a message on as it is, to be done once for a key."""
        envelope = Envelope(
            sender.address, tuple(Recipient(each) for each in to), "7BIT" if content.isascii() else "8BITMIME"
        )
        await self._mailflow.submit_internal(key, envelope, content)

    def write(self, message: Outgoing, language: str = "en") -> bytes:
        """The mail."""
        message_id = f"{self._entropy.token(16).hex()}@{self._domain}"
        boundary = f"=_{self._entropy.token(15).hex()}"
        return imip.compose(message, self._clock.now(), message_id, boundary, language)


def numbered(key: DeliveryKey, number: int) -> DeliveryKey:
    """The key of one of several messages that one cause has."""
    return DeliveryKey(key.segment, (key.record + number) % (1 << 62))


def _envelope(sender: str, message: Outgoing, content: bytes) -> Envelope:
    addresses = [each.address for each in message.recipients]
    return Envelope(
        sender,
        tuple(Recipient(each) for each in dict.fromkeys(addresses)),
        "7BIT" if content.isascii() else "8BITMIME",
        smtputf8=not all(each.isascii() for each in addresses),
    )
