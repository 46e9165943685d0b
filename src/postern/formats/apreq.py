"""The service that a Kerberos client's first token is for (RFC 4121 4.1, RFC 4120 5.5.1, 5.3)."""

from __future__ import annotations

from postern.formats.ber import CONSTRUCTED, CONTEXT, GENERAL_STRING, Reader
from postern.model.refusal import ProtocolViolation

_TOKEN = 0x60
_AP_REQ = 0x6E
_TICKET = 0x61
_FIELD = CONTEXT | CONSTRUCTED
_TOK_ID = b"\1\0"
MAX_PARTS = 8


def service(token: bytes) -> str:
    """The ticket's service, such as `imap/mail.example.org`. Raises ProtocolViolation.

    The name is not encrypted: whoever carries the token could have changed it, within what the service's key opens.
    """
    framed = Reader(token).enter(_TOKEN)
    framed.object_identifier()
    inner = framed.rest()
    if not inner.startswith(_TOK_ID):
        raise ProtocolViolation("no Kerberos AP-REQ")
    request = Reader(inner, len(_TOK_ID)).enter(_AP_REQ).enter()
    ticket = _field(request, 3).enter(_TICKET).enter()
    names = _field(_field(ticket, 2).enter(), 1).enter()
    parts: list[str] = []
    while names and len(parts) < MAX_PARTS:
        parts.append(names.text(GENERAL_STRING))
    return "/".join(parts)


def _field(reader: Reader, number: int) -> Reader:
    while reader.peek() != _FIELD | number:
        reader.skip()
    return reader.enter(_FIELD | number)
