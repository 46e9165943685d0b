"""AS-REQ without a password, and what its answer tells of the KDC (RFC 4120 3.1, 5.4, 5.9).

A KDC that lives answers with an error: the name is unknown, or it must be pre-authenticated. Both tell its realm and
its clock, and nothing is locked, because no password was tried.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import IntEnum

import msgspec

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation

ANSWER_LIMIT_BYTES = 65536
"""Over TCP; a datagram is shorter by itself."""
ENCRYPTION_TYPES = (18, 17, 20, 19, 23)
"""AES with SHA-1 (RFC 3962), AES with SHA-2 (RFC 8009), RC4 (RFC 4757): what domain controllers know."""

_AS_REQ, _AS_REP, _KRB_ERROR = 0x6A, 0x6B, 0x7E
_NT_PRINCIPAL, _NT_SRV_INST = 1, 2
_TIME = re.compile(r"[0-9]{14}Z")


class Code(IntEnum):
    """Errors a probe meets (RFC 4120 7.5.9)."""

    C_PRINCIPAL_UNKNOWN = 6
    ETYPE_NOSUPP = 14
    CLIENT_REVOKED = 18
    PREAUTH_REQUIRED = 25
    RESPONSE_TOO_BIG = 52
    WRONG_REALM = 68


class Answer(msgspec.Struct, frozen=True):
    """What a KDC said."""

    realm: str
    """The one it answers for."""
    code: int = 0
    """Error code; 0 for a ticket."""
    clock: datetime | None = None
    """Its own time, to the second; in errors only."""
    text: str = ""

    @property
    def name(self) -> str:
        """The error's name as in the RFC, or its number; `ticket` for none."""
        try:
            return f"KDC_ERR_{Code(self.code).name}" if self.code else "ticket"
        except ValueError:
            return str(self.code)

    @property
    def wrong_realm(self) -> bool:
        """Whether the KDC is one of another realm."""
        return self.code == Code.WRONG_REALM


def request(realm: str, user: str, nonce: int, till: datetime) -> bytes:
    """An AS-REQ for `krbtgt/REALM`; `nonce` is below 2**31."""
    body = ber.sequence(
        _field(0, ber.bits(b"\0\0\0\0")),
        _field(1, _principal(_NT_PRINCIPAL, user)),
        _field(2, ber.text(realm, ber.GENERAL_STRING)),
        _field(3, _principal(_NT_SRV_INST, "krbtgt", realm)),
        _field(5, ber.text(till.astimezone(UTC).strftime("%Y%m%d%H%M%SZ"), ber.GENERALIZED_TIME)),
        _field(7, ber.integer(nonce)),
        _field(8, ber.sequence(*map(ber.integer, ENCRYPTION_TYPES))),
    )
    return ber.element(
        _AS_REQ,
        ber.sequence(_field(1, ber.integer(5)), _field(2, ber.integer(10)), _field(4, body)),
    )


def framed(message: bytes) -> bytes:
    """A message for TCP (RFC 4120 7.2.2)."""
    return len(message).to_bytes(4, "big") + message


def unframed(data: bytes) -> bytes | None:
    """The message of a TCP answer; None if more is to come. Raises ProtocolViolation."""
    if len(data) < 4:
        return None
    size = int.from_bytes(data[:4], "big")
    if not 0 < size <= ANSWER_LIMIT_BYTES:
        raise ProtocolViolation("server does not speak Kerberos")
    return data[4 : 4 + size] if len(data) >= 4 + size else None


def answer(data: bytes) -> Answer:
    """What a message of a KDC says. Raises ProtocolViolation."""
    tag = Reader(data).peek()
    if tag not in {_AS_REP, _KRB_ERROR}:
        raise ProtocolViolation("server does not speak Kerberos")
    fields: dict[int, Reader] = {}
    inner = Reader(data).enter(tag).enter()
    while inner:
        number = inner.peek() or 0
        fields[number & 0x1F] = inner.enter(number)
    try:
        if tag == _AS_REP:
            return Answer(fields[3].text(ber.GENERAL_STRING))
        clock = _time(fields[4].text(ber.GENERALIZED_TIME))
        text = fields[11].text(ber.GENERAL_STRING) if 11 in fields else ""
        return Answer(fields[9].text(ber.GENERAL_STRING), fields[6].integer(), clock, text)
    except KeyError as missing:
        raise ProtocolViolation(f"field {missing} of a Kerberos answer is missing") from None


def _field(number: int, content: bytes) -> bytes:
    return ber.element(ber.CONTEXT | ber.CONSTRUCTED | number, content)


def _principal(kind: int, *parts: str) -> bytes:
    names = ber.sequence(*(ber.text(part, ber.GENERAL_STRING) for part in parts))
    return ber.sequence(_field(0, ber.integer(kind)), _field(1, names))


def _time(text: str) -> datetime:
    try:
        if _TIME.fullmatch(text):
            return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        pass
    raise ProtocolViolation(f"no time: {text[:40]!r}")
