"""Which conversation a message belongs to, told from its header alone (RFC 5322 3.6.4, MS-OXOMSG 2.2.1.3).

The oldest id that a message names stands for its conversation: the first of References, else that of In-Reply-To, else
its own Message-ID. All replies name it, whoever wrote them, so the same header gives the same conversation in each
mailbox, whatever else is there. A reply without either field is found by its Thread-Index, as Exchange does it.
"""

from __future__ import annotations

import base64
import binascii
import re
from hashlib import blake2b

_ID = re.compile(rb"<\s*([^<>\s]{1,998})\s*>").search
_LOOKED_AT_BYTES = 4096
_ROOT_OCTETS = slice(6, 22)
HEAD_OCTETS = 22
"""Of a Thread-Index: a reserved octet, five of the time, sixteen of the conversation; five more a reply."""


def thread_index(value: bytes) -> bytes:
    """The octets of a Thread-Index field (PidTagConversationIndex); empty if it is none."""
    try:
        raw = base64.b64decode(value[:_LOOKED_AT_BYTES].strip() + b"==", validate=False)
    except (binascii.Error, ValueError):
        return b""
    return raw if len(raw) >= HEAD_OCTETS and raw[0] == 1 else b""


def digest(
    references: bytes | None,
    in_reply_to: bytes | None,
    message_id: bytes | None,
    index: bytes | None = None,
    topic: bytes = b"",
) -> bytes:
    """Sixteen octets that the messages of a conversation share.

    All but `topic` are values of header fields, None where there is no such field; `topic` is for what has no ids.
    """
    if references and (found := _ID(references, 0, _LOOKED_AT_BYTES)) is not None:
        return _hash(found[1])
    if in_reply_to and (found := _ID(in_reply_to, 0, _LOOKED_AT_BYTES)) is not None:
        return _hash(found[1])
    indexed = thread_index(index) if index else b""
    if len(indexed) > HEAD_OCTETS:
        return _hash(b"index:" + indexed[_ROOT_OCTETS])
    if message_id:
        found = _ID(message_id, 0, _LOOKED_AT_BYTES)
        return _hash(found[1] if found is not None else message_id.strip())
    if indexed:
        return _hash(b"index:" + indexed[_ROOT_OCTETS])
    return _hash(b"topic:" + topic)


def number(octets: bytes) -> int:
    """The digest as the store keeps it: 63 bits, never 0."""
    return int.from_bytes(octets[:8], "big") >> 1 or 1


def _hash(seed: bytes) -> bytes:
    return blake2b(seed, digest_size=16).digest()


__all__ = ["HEAD_OCTETS", "digest", "number", "thread_index"]
