"""Result codes (RFC 4511 4.1.9) and the LDAPResult that most answers are made of."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from postern.formats import ber
from postern.formats.ber import Reader

REFERRALS_LIMIT = 64
_REFERRAL = 0xA3


class Code(IntEnum):
    """The codes that code here or an administrator meets; others stay numbers."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    COMPARE_FALSE = 5
    COMPARE_TRUE = 6
    AUTH_METHOD_NOT_SUPPORTED = 7
    STRONGER_AUTH_REQUIRED = 8
    REFERRAL = 10
    ADMIN_LIMIT_EXCEEDED = 11
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    SASL_BIND_IN_PROGRESS = 14
    NO_SUCH_ATTRIBUTE = 16
    UNDEFINED_ATTRIBUTE_TYPE = 17
    CONSTRAINT_VIOLATION = 19
    ATTRIBUTE_OR_VALUE_EXISTS = 20
    INVALID_ATTRIBUTE_SYNTAX = 21
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS_RIGHTS = 50
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    SORT_CONTROL_MISSING = 60
    OFFSET_RANGE_ERROR = 61
    OBJECT_CLASS_VIOLATION = 65
    ENTRY_ALREADY_EXISTS = 68
    OTHER = 80
    CANCELED = 118
    NO_SUCH_OPERATION = 119
    CANNOT_CANCEL = 121


class Result(msgspec.Struct, frozen=True):
    """What became of a request."""

    code: int = Code.SUCCESS
    matched_dn: str = ""
    diagnostic: str = ""
    referrals: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == Code.SUCCESS

    @property
    def name(self) -> str:
        """The code's name in RFC 4511's spelling, or its number."""
        try:
            first, *others = Code(self.code).name.lower().split("_")
        except ValueError:
            return str(self.code)
        return first + "".join(word.title() for word in others)


def encode(result: Result) -> bytes:
    """The components of LDAPResult."""
    parts = ber.integer(result.code, ber.ENUMERATED) + ber.text(result.matched_dn) + ber.text(result.diagnostic)
    if result.referrals:
        parts += ber.sequence(*map(ber.text, result.referrals), tag=_REFERRAL)
    return parts


def decode(reader: Reader) -> Result:
    """Read the components of LDAPResult; what follows stays in the reader. Raises ProtocolViolation."""
    code, matched, diagnostic = reader.integer(ber.ENUMERATED), reader.text(), _lenient(reader)
    referrals: list[str] = []
    if reader.peek() == _REFERRAL:
        inner = reader.enter(_REFERRAL)
        while inner and len(referrals) < REFERRALS_LIMIT:
            referrals.append(inner.text())
    return Result(code, matched, diagnostic, tuple(referrals))


def _lenient(reader: Reader) -> str:
    """Text for people: servers in the field end it with a zero octet or write it in their code page."""
    return reader.octets().decode("utf-8", "replace").rstrip("\0\n ")
