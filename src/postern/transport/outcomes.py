"""What the categorizer decides for each recipient. Outcomes are journalled before they are applied."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postern.model.envelope import Recipient
from postern.model.ids import DeliveryKey, MailboxId


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """Base: whom it is about. Encodes as a msgpack array led by the class's tag."""

    recipient: Recipient
    """Final address; `notify` and `original` as they hold for it after expansion (RFC 3461 5.2.7)."""
    reverse_path: str
    """Who gets its DSNs: the sender, or the owner of the group that led here; empty: nobody."""


class Deliver(Outcome, frozen=True, array_like=True, tag="d"):
    """Into a mailbox of this organisation."""

    mailbox: MailboxId
    asked: str = ""
    """Address the sender wrote, if another one led here."""
    tag: str = ""
    """What followed `+` in the address."""


class Relay(Outcome, frozen=True, array_like=True, tag="r"):
    """To a next hop."""

    domain: str
    """Key form (A-labels) of the recipient's domain; what routing looks at."""
    asked: str = ""


class Expand(Outcome, frozen=True, array_like=True, tag="e"):
    """An alias, group or forwarding was replaced by others; `recipient` is the address replaced."""

    members: int
    """How many addresses it stood for, before duplicates and nested groups."""
    final: bool = False
    """The sender's request for a success DSN ends here: answer it with `expanded`."""


class Fail(Outcome, frozen=True, array_like=True, tag="f"):
    """Never deliverable."""

    status: str
    """Enhanced status code."""
    text: str
    """English, for the DSN's diagnostic and the tracking log."""
    asked: str = ""


class Defer(Outcome, frozen=True, array_like=True, tag="t"):
    """Not decidable now: categorize this recipient again later."""

    text: str
    asked: str = ""


AnyOutcome = Deliver | Relay | Expand | Fail | Defer

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[AnyOutcome])


def encode(outcomes: Sequence[AnyOutcome]) -> bytes:
    """For a journal record."""
    return _ENCODER.encode(outcomes)


def decode(record: bytes) -> list[AnyOutcome]:
    """Inverse of `encode`. Raises msgspec.DecodeError for anything else."""
    return _DECODER.decode(record)


def queue_id(key: DeliveryKey) -> str:
    """The name of an accepted message in Received lines, replies, logs and the queue; unique for ever."""
    if key.segment < 0:
        return f"N{-key.segment & 0xFFFFFF:X}-{key.record:X}"
    return f"P{key.segment:X}-{key.record:X}"
