"""Responses: the wire forms of values (RFC 9051 7 and 9)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from time import gmtime

import msgspec

from postern.model.refusal import Reason
from postern.protocols.imap import utf7

DELIMITER = "/"
_JSON = msgspec.json.Encoder().encode

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

_UNQUOTABLE = re.compile(rb"[\x00\r\n\x80-\xff]")
_ESCAPE = re.compile(rb'(["\\])')

CODES: dict[Reason, tuple[bytes, bytes]] = {
    Reason.NO_SUCH_RECIPIENT: (b"NONEXISTENT", b"No such mailbox"),
    Reason.NO_SUCH_FOLDER: (b"NONEXISTENT", b"No such mailbox"),
    Reason.NO_SUCH_ITEM: (b"EXPUNGEISSUED", b"Message no longer exists"),
    Reason.ALREADY_EXISTS: (b"ALREADYEXISTS", b"Mailbox exists already"),
    Reason.NOT_PERMITTED: (b"NOPERM", b"Not permitted"),
    Reason.RELAY_DENIED: (b"NOPERM", b"Not permitted"),
    Reason.SENDER_NOT_ALLOWED: (b"NOPERM", b"Not permitted"),
    Reason.SENDER_DOMAIN_UNKNOWN: (b"NOPERM", b"Not permitted"),
    Reason.SENDER_DOMAIN_SILENT: (b"NOPERM", b"Not permitted"),
    Reason.BAD_CREDENTIALS: (b"AUTHENTICATIONFAILED", b"Wrong user name or password"),
    Reason.ACCOUNT_DISABLED: (b"AUTHORIZATIONFAILED", b"The account may not be used"),
    Reason.ACCOUNT_EXPIRED: (b"AUTHORIZATIONFAILED", b"The account has expired"),
    Reason.SECOND_FACTOR_REQUIRED: (b"AUTHENTICATIONFAILED", b"Wrong user name or password"),
    Reason.PASSWORD_EXPIRED: (b"EXPIRED", b"The password has expired, set a new one"),
    Reason.PASSWORD_CHANGED: (b"EXPIRED", b"The password was changed, sign in again"),
    Reason.RIGHT_WITHDRAWN: (b"NOPERM", b"A right was withdrawn, sign in again"),
    Reason.PEER_NOT_AUTHENTICATED: (b"NOPERM", b"not permitted"),
    Reason.PEER_CERTIFICATE: (b"UNAVAILABLE", b"not permitted now"),
    Reason.ENCRYPTION_REQUIRED: (b"PRIVACYREQUIRED", b"TLS is required"),
    Reason.OVER_QUOTA: (b"OVERQUOTA", b"Quota exceeded"),
    Reason.TOO_LARGE: (b"TOOBIG", b"Message too large"),
    Reason.TOO_MANY: (b"LIMIT", b"Limit reached"),
    Reason.BAD_NAME: (b"CANNOT", b"This name cannot be used"),
    Reason.BAD_VALUE: (b"CANNOT", b"This value cannot be used"),
    Reason.CONFLICT: (b"CANNOT", b"Conflicts with another change"),
    Reason.HAS_CHILDREN: (b"HASCHILDREN", b"The mailbox has children"),
    Reason.NOT_SUPPORTED: (b"CANNOT", b"Not supported"),
    Reason.LOOP: (b"CANNOT", b"Loop detected"),
    Reason.TRY_LATER: (b"UNAVAILABLE", b"Try again later"),
    Reason.TOO_MANY_CONNECTIONS: (b"LIMIT", b"Too many connections"),
    Reason.TOO_MANY_FAILURES: (b"UNAVAILABLE", b"Too many failed attempts, try again later"),
    Reason.DISK_FULL: (b"UNAVAILABLE", b"No space left on the server, deleting is possible"),
    Reason.READ_ONLY: (b"UNAVAILABLE", b"The server's storage is read-only"),
    Reason.CORRUPT: (b"CORRUPTION", b"The mailbox is damaged, tell the administrator"),
    Reason.IN_USE: (b"INUSE", b"In use, try again later"),
    Reason.SHUTTING_DOWN: (b"UNAVAILABLE", b"The server is shutting down"),
}
"""Reason -> response code (RFC 5530, RFC 9051 7.1) and text."""


def numbers(found: Sequence[int]) -> bytes:
    """A space before each; thousands are written at once."""
    return b" " + _JSON(list(found))[1:-1].replace(b",", b" ") if found else b""


def refused(reason: Reason, *, target: bool = False) -> bytes:
    """`NO [CODE] text`; `target`: a missing folder is where something should go (TRYCREATE, RFC 9051 6.3.12)."""
    code, text = CODES[reason]
    if target and reason is Reason.NO_SUCH_FOLDER:
        code = b"TRYCREATE"
    return b"NO [%b] %b" % (code, text)


def string(raw: bytes) -> bytes:
    """A quoted string, or a literal where quotes cannot do it."""
    if _UNQUOTABLE.search(raw) is not None:
        return b"{%d}\r\n%b" % (len(raw), raw)
    return b'"%b"' % _ESCAPE.sub(rb"\\\1", raw)


def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """A mailbox name, quoted: in modified UTF-7, or UTF-8 for who has enabled it."""
    return b'"%b"' % _ESCAPE.sub(rb"\\\1", name.encode("utf-8") if utf8 else utf7.encode(name))


@lru_cache(maxsize=1024)
def _day(day: int) -> bytes:
    date = gmtime(day * 86400)
    return b"%2d-%b-%04d" % (date.tm_mday, MONTHS[date.tm_mon - 1], date.tm_year)


def internal_date(timestamp: int) -> bytes:
    """INTERNALDATE with its quotes, in UTC."""
    day, rest = divmod(timestamp, 86400)
    hour, rest = divmod(rest, 3600)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(day), hour, rest // 60, rest % 60)


def list_response(
    kind: bytes, attributes: list[bytes], name: str, extended: bytes = b"", *, utf8: bool = False
) -> bytes:
    """A LIST or LSUB response line."""
    return b'* %b (%b) "/" %b%b\r\n' % (kind, b" ".join(attributes), mailbox(name, utf8=utf8), extended)
