"""How rules lie in a mailbox: settings by kind, and what crosses from a delivery to the assistant."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from postern.model.rules import InboxRule, Junk, Oof

SCRIPTS = "sieve"
"""Scripts by name, as octets."""
ACTIVE = "sieve-active"
"""One value `script`: the name of the active one."""
RULES = "inbox-rules"
"""By id."""
OOF = "oof"
JUNK = "junk"
ONE = "settings"
"""The name of the single value of OOF and JUNK."""
CONVERSATIONS = "conversation-actions"
"""What becomes of new items of a conversation, by its number."""
SEEN = "rules-seen"
"""Ids that `duplicate` has met."""
ANSWERED = "rules-answered"
"""Whom an automatic reply was sent to, and what the owner was told."""

SEND = "rules.send"
"""Kind of outbox entries: a Letter."""

encode = msgspec.msgpack.Encoder().encode
decode_rule = msgspec.msgpack.Decoder(InboxRule).decode
decode_oof = msgspec.msgpack.Decoder(Oof).decode
decode_junk = msgspec.msgpack.Decoder(Junk).decode


class ConversationRule(msgspec.Struct, frozen=True, array_like=True):
    """What becomes of new items of a conversation (MS-OXWSCONV 2.2.4.6, the actions that begin with Always)."""

    folder: int = 0
    """Where they go; 0: where they would."""
    delete: bool = False
    """They go to Deleted Items."""
    keywords: tuple[str, ...] = ()


decode_conversation = msgspec.msgpack.Decoder(ConversationRule).decode


class Once(msgspec.Struct, frozen=True, array_like=True):
    """Send only if nothing of that name was sent in that time."""

    name: str
    seconds: int


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """A message to be submitted; its content is `head` and the body that the outbox entry keeps."""

    reverse_path: str
    recipients: tuple[str, ...]
    head: bytes
    body: str = "7BIT"
    smtputf8: bool = False
    once: Once | None = None


decode_letter = msgspec.msgpack.Decoder(Letter).decode


class Memory(msgspec.Struct, frozen=True, array_like=True):
    """A value of SEEN or ANSWERED: until when, and by which delivery or outbox entry."""

    until: int
    segment: int
    record: int


decode_memory = msgspec.msgpack.Decoder(Memory).decode


def digest(*parts: str) -> str:
    """A short name for a combination of texts."""
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
