"""Sending what somebody has written in a client that hands in whole messages: the checks of SMTP submission."""

from __future__ import annotations

from postern.formats.mime import header
from postern.formats.mime.trace import complete_submission
from postern.model.envelope import Envelope, Peer, Recipient
from postern.model.ids import ORIGIN_SEGMENT, DeliveryKey, origin_key
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal
from postern.services.mailflow import Mailflow
from postern.services.principal import Principal

_HEADER_READ_BYTES = 1 << 20
DAY_S = 86_400
_RECIPIENT_FIELDS = (b"to", b"cc", b"bcc")
_NOT_SENT = [b"bcc", b"x-unsent", b"return-path"]


class Submission:
    """One a worker."""

    def __init__(self, mailflow: Mailflow, clock: Clock, entropy: Entropy, domain: str) -> None:
        """`domain`: in new Message-IDs."""
        self._mailflow = mailflow
        self._clock = clock
        self._entropy = entropy
        self._domain = domain

    def key(self, *cause: str) -> DeliveryKey:
        """Names a message by what it is sent for, so that the same thing tried again (today) is no second message."""
        return origin_key("/".join(("submission", *cause)), int(self._clock.timestamp()) // DAY_S)

    def complete(self, content: bytes, key: DeliveryKey | None = None) -> bytes:
        """The message with Date and Message-ID: what is sent and what is kept are the same message.

        With a key it gets the same Message-ID each time.
        """
        identity = "" if key is None else f"{key.segment - ORIGIN_SEGMENT:x}.{key.record:016x}"
        return complete_submission(content, self._clock, self._entropy, self._domain, identity)

    async def send(self, principal: Principal, content: bytes, peer: Peer, key: DeliveryKey | None = None) -> str:
        """Send a message to whom its header names, without telling of Bcc; the queue id, when it is durable.

        What is sent again under the same key reaches nobody twice.

        Raises Refusal(BAD_VALUE without recipients, SENDER_NOT_ALLOWED, NO_SUCH_RECIPIENT, NOT_PERMITTED, OVER_QUOTA,
        TOO_LARGE, TOO_MANY and those of Mailflow.submit).
        """
        head, rest = split(content)
        addresses = recipients(head)
        if not addresses:
            raise Refusal(Reason.BAD_VALUE, "a message to nobody")
        flow = self._mailflow
        await flow.check_sender(principal.address, principal, peer)
        await flow.check_limits(principal, len(content), len(addresses))
        routes = [await flow.check_recipient(one, principal, peer, len(content)) for one in addresses]
        kept = header.pick(head, _NOT_SENT, not_=True)
        message = await flow.check_author((kept[:-2] if kept.endswith(b"\r\n\r\n") else kept) + rest, principal)
        envelope = Envelope(
            principal.address,
            tuple(Recipient(one) for one in addresses),
            "7BIT" if message.isascii() else "8BITMIME",
            smtputf8=not all(one.isascii() for one in addresses),
        )
        return await flow.submit(envelope, peer, routes, self.complete(message, key), key)


def split(content: bytes) -> tuple[bytes, bytes]:
    """Header lines, and the rest from the blank line on."""
    if content.startswith(b"\r\n"):
        return b"", content
    end = content.find(b"\r\n\r\n", 0, _HEADER_READ_BYTES)
    if end < 0:
        return content if content.endswith(b"\r\n") else content + b"\r\n", b"\r\n"
    return content[: end + 2], content[end + 2 :]


def recipients(head: bytes) -> list[str]:
    """Addresses of To, Cc and Bcc, each once."""
    found: dict[str, str] = {}
    for name in _RECIPIENT_FIELDS:
        for value in header.all_of(head, name):
            for one in header.addresses(value):
                if one.mailbox and one.host:
                    address = f"{one.mailbox.decode('utf-8', 'replace')}@{one.host.decode('utf-8', 'replace')}"
                    found.setdefault(address.lower(), address)
    return list(found.values())
