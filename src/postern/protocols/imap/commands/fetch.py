"""FETCH (RFC 9051 6.4.5).

With CHANGEDSINCE and VANISHED (RFC 7162 3.1.4, 3.2.6), PARTIAL (RFC 9394), BINARY (RFC 3516), PREVIEW (RFC 8970),
SAVEDATE (RFC 8514), EMAILID and THREADID (RFC 8474).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.commands.store import MAX_MODSEQ
from postern.protocols.imap.scanner import Scanner
from postern.protocols.imap.sequence import SequenceSet


class Section(NamedTuple):
    """A piece of a message's content."""

    label: bytes
    """The name of the answer: `BODY[1.HEADER.FIELDS (TO)]<0>`, `RFC822.TEXT`."""
    path: str
    """Part numbers joined by dots, empty for the message itself."""
    kind: bytes
    """Empty for all of it; HEADER, TEXT, MIME, HEADER.FIELDS, HEADER.FIELDS.NOT; BINARY, BINARY.SIZE; PREVIEW."""
    fields: tuple[bytes, ...] = ()
    """Names for HEADER.FIELDS, lower case."""
    start: int = 0
    length: int | None = None
    sets_seen: bool = False


class Fetch(NamedTuple):
    """What is asked of which messages."""

    messages: SequenceSet
    attributes: tuple[bytes, ...]
    """Of UID, FLAGS, MODSEQ, INTERNALDATE, RFC822.SIZE, ENVELOPE, BODYSTRUCTURE, BODY, SAVEDATE, EMAILID, THREADID."""
    sections: tuple[Section, ...]
    changed_since: int | None
    vanished: bool = False
    partial: tuple[int, int] | None = None
    """Positions among the messages addressed, from 1; negative ones count from the end."""


_SIMPLE = frozenset(
    {
        b"UID",
        b"FLAGS",
        b"MODSEQ",
        b"INTERNALDATE",
        b"RFC822.SIZE",
        b"ENVELOPE",
        b"BODYSTRUCTURE",
        b"BODY",
        b"SAVEDATE",
        b"EMAILID",
        b"THREADID",
    }
)
_FAST = (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE")
_MACROS: dict[bytes, tuple[bytes, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, b"ENVELOPE"),
    b"FULL": (*_FAST, b"ENVELOPE", b"BODY"),
}
_RFC822: dict[bytes, Section] = {
    b"RFC822": Section(b"RFC822", "", b"", sets_seen=True),
    b"RFC822.HEADER": Section(b"RFC822.HEADER", "", b"HEADER"),
    b"RFC822.TEXT": Section(b"RFC822.TEXT", "", b"TEXT", sets_seen=True),
}
_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PATH = re.compile(rb"[1-9][0-9]{0,4}(?:\.[1-9][0-9]{0,4})*")
_KIND = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
_PARTIAL = re.compile(rb"<([0-9]{1,10})\.([0-9]{1,10})>")
_PARTIAL_RANGE = re.compile(rb"(-?[0-9]{1,10}):(-?[0-9]{1,10})(?![0-9])")
MAX_ITEMS = 256
MAX_FIELDS = 256
_FIELD_NAME = re.compile(rb"[!-9;-~]+")
_PLAIN_NAME = re.compile(rb"[^(){%*\"\\]+")


def fetch(scanner: Scanner) -> Fetch:
    """`FETCH set item|(items)|macro [(CHANGEDSINCE n)]`."""
    messages = scanner.sequence_set()
    scanner.space()
    text = scanner.same_again()
    return Fetch(messages, *(_request(scanner) if text is None else _remembered(text)))


Request = tuple[tuple[bytes, ...], tuple[Section, ...], int | None, bool, tuple[int, int] | None]


@lru_cache(maxsize=256)
def _remembered(text: bytes) -> Request:
    """Clients ask for the same items again and again."""
    return _request(Scanner(text))


def _request(scanner: Scanner) -> Request:
    """Everything after the sequence set."""
    attributes: dict[bytes, None] = {}
    sections: dict[bytes, Section] = {}
    if scanner.accept(b"("):
        _item(scanner, attributes, sections)
        while scanner.accept(b" "):
            _item(scanner, attributes, sections)
            if len(attributes) + len(sections) > MAX_ITEMS:
                raise ProtocolViolation(f"over {MAX_ITEMS} items")
        scanner.expect(b")")
    else:
        name = _peek_name(scanner)
        macro = _MACROS.get(name)
        if macro is not None:
            scanner.position += len(name)
            attributes.update(dict.fromkeys(macro))
        else:
            _item(scanner, attributes, sections)
    modifiers = _modifiers(scanner)
    scanner.end()
    return tuple(attributes), tuple(sections.values()), *modifiers


def items(scanner: Scanner) -> tuple[tuple[bytes, ...], tuple[Section, ...]]:
    """`(item ...)`: attributes and sections, where another command has them (NOTIFY)."""
    attributes: dict[bytes, None] = {}
    sections: dict[bytes, Section] = {}
    scanner.expect(b"(")
    _item(scanner, attributes, sections)
    while scanner.accept(b" "):
        _item(scanner, attributes, sections)
        if len(attributes) + len(sections) > MAX_ITEMS:
            raise ProtocolViolation(f"over {MAX_ITEMS} items")
    scanner.expect(b")")
    return tuple(attributes), tuple(sections.values())


def one_section(scanner: Scanner) -> Section:
    """`BODY.PEEK[...]` and nothing else."""
    sections: dict[bytes, Section] = {}
    _item(scanner, {}, sections)
    scanner.end()
    (section,) = sections.values()
    return section


def _peek_name(scanner: Scanner) -> bytes:
    found = _NAME.match(scanner.text, scanner.position)
    return found[0].upper() if found else b""


def _modifiers(scanner: Scanner) -> tuple[int | None, bool, tuple[int, int] | None]:
    since: int | None = None
    vanished = False
    partial: tuple[int, int] | None = None
    if not scanner.accept(b" "):
        return since, vanished, partial
    scanner.expect(b"(")
    while True:
        name = scanner.word()
        if name == b"CHANGEDSINCE" and since is None:
            scanner.space()
            since = scanner.number(MAX_MODSEQ)
            if not since:
                raise ProtocolViolation("CHANGEDSINCE 0")
        elif name == b"VANISHED":
            vanished = True
        elif name == b"PARTIAL" and partial is None:
            scanner.space()
            partial = partial_range(scanner)
        else:
            raise ProtocolViolation("unknown modifier")
        if not scanner.accept(b" "):
            break
    scanner.expect(b")")
    if vanished and since is None:
        raise ProtocolViolation("VANISHED needs CHANGEDSINCE")  # RFC 7162 3.2.6
    return since, vanished, partial


def partial_range(scanner: Scanner) -> tuple[int, int]:
    """`1:500` or `-1:-100` (RFC 9394 3.1), the lower position first."""
    found = _PARTIAL_RANGE.match(scanner.text, scanner.position)
    if found is None or int(found[1]) == 0 or int(found[2]) == 0 or (int(found[1]) < 0) is not (int(found[2]) < 0):
        raise ProtocolViolation("invalid range for PARTIAL")
    scanner.position = found.end()
    first, last = int(found[1]), int(found[2])
    return min(first, last), max(first, last)


def _item(scanner: Scanner, attributes: dict[bytes, None], sections: dict[bytes, Section]) -> None:
    name = scanner.match(_NAME, "a FETCH item").upper()
    if name == b"BODY" and scanner.peek() == b"[":
        section = _section(scanner, sets_seen=True)
    elif name == b"BODY.PEEK":
        section = _section(scanner, sets_seen=False)
    elif name in _SIMPLE:
        attributes[name] = None
        return
    elif name in _RFC822:
        section = _RFC822[name]
    elif name in (b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"):
        section = _binary(scanner, name)
    elif name == b"PREVIEW":
        lazy = scanner.accept_word(b" (LAZY)")
        section = Section(b"PREVIEW", "", b"PREVIEW.LAZY" if lazy else b"PREVIEW")
    else:
        raise ProtocolViolation(f"unknown FETCH item {name.decode('ascii')[:40]}")
    known = sections.get(section.label)
    if known is None or section.sets_seen:
        sections[section.label] = section


def _section(scanner: Scanner, *, sets_seen: bool) -> Section:
    """`[section]<partial>` (RFC 9051 6.4.5)."""
    scanner.expect(b"[")
    path = b""
    kind = b""
    fields: tuple[bytes, ...] = ()
    label = b""
    if scanner.peek().isdigit():
        path = scanner.match(_PATH, "a part number")
        label = path
        if scanner.accept(b"."):
            label += b"."
            kind = scanner.match(_KIND, "HEADER, TEXT or MIME").upper()
    elif scanner.peek() != b"]":
        kind = scanner.match(_KIND, "HEADER or TEXT").upper()
    if kind == b"MIME" and not path:
        raise ProtocolViolation("MIME needs a part number")
    label += kind
    if kind.startswith(b"HEADER.FIELDS"):
        scanner.space()
        names = _field_names(scanner)
        fields = tuple(name.lower() for name in names)
        label += b" (%b)" % b" ".join(map(_written, names))
    scanner.expect(b"]")
    start, length, suffix = _partial(scanner)
    return Section(b"BODY[%b]%b" % (label, suffix), path.decode("ascii"), kind, fields, start, length, sets_seen)


def _binary(scanner: Scanner, name: bytes) -> Section:
    """`[part numbers]<partial>` (RFC 3516 4.2, 4.3)."""
    scanner.expect(b"[")
    path = scanner.match(_PATH, "a part number") if scanner.peek() != b"]" else b""
    scanner.expect(b"]")
    if name == b"BINARY.SIZE":
        return Section(b"BINARY.SIZE[%b]" % path, path.decode("ascii"), name)
    start, length, suffix = _partial(scanner)
    label = b"BINARY[%b]%b" % (path, suffix)
    return Section(label, path.decode("ascii"), b"BINARY", (), start, length, name == b"BINARY")


def _partial(scanner: Scanner) -> tuple[int, int | None, bytes]:
    if scanner.peek() != b"<":
        return 0, None, b""
    found = _PARTIAL.match(scanner.text, scanner.position)
    if found is None or not int(found[2]):
        raise ProtocolViolation("invalid partial")
    scanner.position = found.end()
    return int(found[1]), int(found[2]), b"<%d>" % int(found[1])


def _field_names(scanner: Scanner) -> list[bytes]:
    scanner.expect(b"(")
    names = [_field_name(scanner)]
    while scanner.accept(b" "):
        names.append(_field_name(scanner))
        if len(names) > MAX_FIELDS:
            raise ProtocolViolation(f"over {MAX_FIELDS} header fields")
    scanner.expect(b")")
    return names


def _field_name(scanner: Scanner) -> bytes:
    name = scanner.astring()
    if _FIELD_NAME.fullmatch(name) is None:
        raise ProtocolViolation("invalid header field name")
    return name


def _written(name: bytes) -> bytes:
    """A field's name as the answer repeats it: quoted again if it is no astring by itself."""
    if _PLAIN_NAME.fullmatch(name) is not None:
        return name
    return b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
