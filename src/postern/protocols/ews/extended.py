"""MAPI properties of messages: those that MIME and flags express, and those that are stored (MS-OXPROPS)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from postern.model.items import Flag
from postern.protocols.ews.message_facts import FORWARDED, MessageFacts, body_of, instant
from postern.protocols.ews.paths import INTERNET_HEADERS, Extended
from postern.protocols.ews.reading import date_time
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text

_HEADER, _CONTENT = 1, 2
_KINDS = {
    "Short": 0x0002, "Integer": 0x0003, "Float": 0x0004, "Double": 0x0005, "Currency": 0x0006,
    "ApplicationTime": 0x0007, "Boolean": 0x000B, "Long": 0x0014, "String": 0x001F, "SystemTime": 0x0040,
    "CLSID": 0x0048, "Binary": 0x0102,
}  # fmt: skip
"""Property types (MS-OXCDATA 2.11.1)."""


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _message_flags(facts: MessageFacts) -> str:
    """MS-OXCMSG 2.2.1.6: read, unmodified, unsent, has attachments, from me, associated."""
    value = 0x01 if facts.read else 0
    value |= 0x08 if facts.draft else 0x02
    value |= 0x10 if facts.has_attachments else 0
    value |= 0x40 if facts.associated else 0
    return str(value)


def _last_verb(facts: MessageFacts) -> str | None:
    """MS-OXOMSG 2.2.1.31: 102 replied, 104 forwarded."""
    if FORWARDED in facts.keywords:
        return "104"
    return "102" if facts.flags & Flag.ANSWERED else None


def _icon(facts: MessageFacts) -> str:
    """MS-OXOMSG 2.2.1.10."""
    if FORWARDED in facts.keywords:
        return "262"
    return "261" if facts.flags & Flag.ANSWERED else ("256" if facts.read else "-1")


def _who(field: bytes, *, name: bool) -> Callable[[MessageFacts], str | None]:
    def value(facts: MessageFacts) -> str | None:
        found = facts.people(field) or (facts.people(b"from") if field == b"sender" else [])
        if not found:
            return None
        return (found[0].name or found[0].address) if name else found[0].address

    return value


def _body(kind: str) -> Callable[[MessageFacts], str | None]:
    def value(facts: MessageFacts) -> str | None:
        return body_of(facts, kind)[0] or None

    return value


Value = Callable[[MessageFacts], str | None]
_FIXED: dict[int, tuple[str, Value, int]] = {
    0x001A: ("String", lambda f: f.message_class, 0),
    0x0037: ("String", lambda f: f.subject, 0),
    0x0E1D: ("String", lambda f: f.topic, _HEADER),
    0x0070: ("String", lambda f: f.topic, _HEADER),
    0x0071: ("Binary", lambda f: _b64(f.thread_index), _HEADER),
    0x0017: ("Integer", lambda f: str(f.importance), _HEADER),
    0x0026: ("Integer", lambda f: str(f.importance - 1), _HEADER),
    0x0036: ("Integer", lambda f: str(f.sensitivity), _HEADER),
    0x0039: ("SystemTime", lambda f: instant(f.sent_at if f.sent_at is not None else f.received_at), 0),
    0x0E06: ("SystemTime", lambda f: instant(f.received_at), 0),
    0x3007: ("SystemTime", lambda f: instant(f.saved_at), 0),
    0x3008: ("SystemTime", lambda f: instant(f.saved_at), 0),
    0x0E07: ("Integer", _message_flags, 0),
    0x0E08: ("Integer", lambda f: str(f.size), 0),
    0x0E1B: ("Boolean", lambda f: "true" if f.has_attachments else "false", 0),
    0x0E69: ("Boolean", lambda f: "true" if f.read else "false", 0),
    0x1081: ("Integer", _last_verb, 0),
    0x1080: ("Integer", _icon, 0),
    0x1090: ("Integer", lambda f: str(f.flag_status) if f.flag_status else None, 0),
    0x007D: ("String", lambda f: f.header.decode("latin-1") or None, _HEADER),
    0x1035: ("String", lambda f: f.text(b"message-id") or None, _HEADER),
    0x1039: ("String", lambda f: f.text(b"references") or None, _HEADER),
    0x1042: ("String", lambda f: f.text(b"in-reply-to") or None, _HEADER),
    0x0E02: ("String", lambda f: f.display(b"bcc") or None, _HEADER),
    0x0E03: ("String", lambda f: f.display(b"cc") or None, _HEADER),
    0x0E04: ("String", lambda f: f.display(b"to") or None, _HEADER),
    0x0C1A: ("String", _who(b"sender", name=True), _HEADER),
    0x0C1F: ("String", _who(b"sender", name=False), _HEADER),
    0x5D01: ("String", _who(b"sender", name=False), _HEADER),
    0x0042: ("String", _who(b"from", name=True), _HEADER),
    0x0065: ("String", _who(b"from", name=False), _HEADER),
    0x5D02: ("String", _who(b"from", name=False), _HEADER),
    0x0C1E: ("String", lambda f: "SMTP", 0),
    0x0064: ("String", lambda f: "SMTP", 0),
    0x1000: ("String", _body("Text"), _CONTENT),
    0x1013: ("Binary", lambda f: _b64((_body("HTML")(f) or "").encode()) or None, _CONTENT),
    0x300B: ("Binary", lambda f: _b64(f.instance) or None, 0),
}
"""Tag -> type, value, what has to be read. Names are in MS-OXPROPS under these numbers."""
READ_ONLY = frozenset(_FIXED) - {0x001A, 0x0037, 0x0017, 0x0026, 0x0036, 0x0E07, 0x1081, 0x1080, 0x1090}


def needs(path: Extended) -> int:
    """HEADER, CONTENT or nothing."""
    if path.property_set == INTERNET_HEADERS:
        return _HEADER
    found = _FIXED.get(path.tag)
    return found[2] if found is not None else 0


def key(path: Extended) -> str:
    """Under which a value is stored (model.properties)."""
    array = path.kind.endswith("Array")
    kind = _KINDS[path.kind.removesuffix("Array")] | (0x1000 if array else 0)
    if path.tag:
        return f"0x{path.tag:04X}:{kind:04X}"
    name = path.name.lower() if path.property_set == INTERNET_HEADERS else path.name
    return f"{path.property_set}/{name or f'0x{path.id:04X}'}:{kind:04X}"


def value(facts: MessageFacts, path: Extended) -> str | list[str] | None:
    """As text; a list for arrays; None: the message has no such property, or of another type."""
    stored = facts.properties.get(key(path))
    if stored is not None:
        return [_text(one) for one in stored] if isinstance(stored, list) else _text(stored)
    if path.property_set == INTERNET_HEADERS:
        found = facts.text(path.name.lower().encode("latin-1", "replace")) if path.name else ""
        return found or None if path.kind == "String" else None
    fixed = _FIXED.get(path.tag)
    if fixed is None or fixed[0] != path.kind:
        return None
    return fixed[1](facts)


def xml(facts: MessageFacts, path: Extended) -> str:
    """ExtendedProperty; nothing where the message has none."""
    return property_xml(path, value(facts, path))


def property_xml(path: Extended, found: str | list[str] | None) -> str:
    """ExtendedProperty of a value."""
    if found is None:
        return ""
    if isinstance(found, list):
        if not found:
            return ""
        inner = "".join(f"<t:Value>{text(one)}</t:Value>" for one in found)
        return f"<t:ExtendedProperty>{path.xml()}<t:Values>{inner}</t:Values></t:ExtendedProperty>"
    return f"<t:ExtendedProperty>{path.xml()}<t:Value>{text(found)}</t:Value></t:ExtendedProperty>"


def stored_text(properties: Mapping[str, Any], path: Extended) -> str | list[str] | None:
    """A stored property as text."""
    stored = properties.get(key(path))
    if stored is None:
        return None
    return [_text(one) for one in stored] if isinstance(stored, list) else _text(stored)


def _text(stored: Any) -> str:
    if isinstance(stored, bool):
        return "true" if stored else "false"
    if isinstance(stored, bytes):
        return _b64(stored)
    if isinstance(stored, datetime):
        return instant(int(stored.timestamp()))
    return str(stored)


def parse(path: Extended, values: Sequence[str]) -> Any:
    """A value that a client gives, as it is stored. Raises EwsViolation(ErrorInvalidExtendedPropertyValue)."""
    kind = path.kind.removesuffix("Array")
    found = [_parse(kind, one) for one in values]
    return found if path.kind.endswith("Array") else found[0]


_BOUNDS = {"Short": 15, "Integer": 31, "Long": 63, "Currency": 63}


def _parse(kind: str, given: str) -> Any:
    try:
        if kind == "String":
            return given
        given = given.strip()
        if kind == "Boolean":
            return {"true": True, "1": True, "false": False, "0": False}[given.lower()]
        if kind in _BOUNDS:
            number = int(given) if len(given) <= 20 else 2**64
            bound = 2 ** _BOUNDS[kind]
            # MAPI's numbers have no sign of their own: both readings are taken
            if not -bound <= number < 2 * bound:
                raise ValueError
            return number - 2 * bound if number >= bound else number
        if kind in ("Float", "Double", "ApplicationTime"):
            return float(given)
        if kind == "SystemTime":
            return date_time(given, "Value").astimezone(UTC)
        raw = base64.b64decode(given, validate=True) if kind == "Binary" else bytes.fromhex(given.replace("-", ""))
        if kind == "CLSID" and len(raw) != 16:
            raise ValueError
    except (KeyError, ValueError, binascii.Error):
        raise EwsViolation("ErrorInvalidExtendedPropertyValue", f"The value is no {kind}.") from None
    except EwsViolation:
        raise EwsViolation("ErrorInvalidExtendedPropertyValue", f"The value is no {kind}.") from None
    return raw
