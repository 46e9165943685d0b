"""What is known of a message when it is written as XML, and what follows from its header (MS-OXCMAIL 2.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from postern.formats.mime import anatomy, conversation, date, header
from postern.formats.mime.address import Address
from postern.formats.mime.anatomy import Anatomy, Part
from postern.model.items import Flag
from postern.protocols.ews.effective_rights import Rights

CLASSES = {
    "CalendarItem": "IPM.Appointment",
    "Contact": "IPM.Contact",
    "DistributionList": "IPM.DistList",
    "Task": "IPM.Task",
    "Item": "IPM.StickyNote",
}
"""PidTagMessageClass of items that are no messages, unless they have one of their own."""
_PREFIX = re.compile(r"\s*(?:(?:re|fw|fwd|aw|wg|sv|vs|tr|rv|r|отв|пер|на)(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_FILETIME_EPOCH = 11_644_473_600
FORWARDED = "$forwarded"
_DRAFT, _SEEN, _FLAGGED = int(Flag.DRAFT), int(Flag.SEEN), int(Flag.FLAGGED)
_SHORT = 256
"""Octets of a field with addresses whose people are remembered: the same ones write again and again."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_PEOPLE = 5000


class Person(msgspec.Struct, frozen=True):
    """A recipient or author."""

    name: str
    address: str


class Kept(msgspec.Struct, frozen=True):
    """An attachment of an item that is no message."""

    id: str
    name: str
    content_type: str = ""
    content_id: str = ""
    size: int = 0
    inline: bool = False
    photo: bool = False
    enclosed: bool = False
    """It is an item: its content is a message."""
    reference: Any = None
    """Stored values of one that is only a link."""


class MessageFacts(msgspec.Struct):
    """One item. Text that comes from the header is decoded when asked for."""

    id: str
    change_key: str
    parent_id: str
    parent_change_key: str
    flags: int
    received_at: int
    saved_at: int
    size: int
    sent_at: int | None
    subject: str
    header: bytes
    """Header block, own lines first; empty where it was not read."""
    rights: Rights
    categories: tuple[str, ...] = ()
    keywords: frozenset[str] = frozenset()
    """Small letters."""
    properties: Mapping[str, Any] = {}
    has_attachments: bool = False
    associated: bool = False
    element: str = "Message"
    content: bytes = b""
    """The whole message; empty where it was not read."""
    anatomy: Anatomy | None = None
    attachment_ids: Mapping[str, str] = {}
    """Section -> id."""
    owner: str = ""
    """Address of the mailbox's owner."""
    conversation_prefix: bytes = b""
    """The mailbox's GUID, for ConversationId."""
    conversation: int = 0
    """Number of its conversation; 0: it has none, or it was not read."""
    instance: bytes = b""
    calendar: Any = None
    """calendar_xml.CalendarFacts of a calendar item."""
    kept: tuple[Kept, ...] = ()
    _fields: dict[bytes, list[bytes]] | None = None

    def field(self, name: bytes) -> bytes | None:
        """First unfolded value of a header field by its lower-case name."""
        found = self._all().get(name)
        return header.unfold(found[0]) if found else None

    def _all(self) -> dict[bytes, list[bytes]]:
        fields = self._fields
        if fields is None:
            fields = {}
            for name, value in header.values(self.header):
                fields.setdefault(name.lower(), []).append(value)
            self._fields = fields
        return fields

    def text(self, name: bytes) -> str:
        """The same, decoded; empty without it."""
        value = self.field(name)
        return header.decode(value) if value is not None else ""

    def people(self, name: bytes) -> list[Person]:
        """Addresses of a field, all of its occurrences."""
        found: list[Person] = []
        for value in self._all().get(name, ()):
            found += _known_people(value) if len(value) <= _SHORT else _people(value)
            if len(found) > _MAX_PEOPLE:
                return found[:_MAX_PEOPLE]
        return found

    @property
    def draft(self) -> bool:
        """Not sent yet."""
        return bool(self.flags & _DRAFT)

    @property
    def from_owner(self) -> bool:
        """Sent by whose mailbox it is in."""
        if self.draft or not self.owner:
            return False
        return any(one.address.lower() == self.owner for one in self.people(b"from"))

    @property
    def read(self) -> bool:
        """Seen."""
        return bool(self.flags & _SEEN)

    @property
    def message_class(self) -> str:
        """PidTagMessageClass."""
        stored = self.properties.get("PidTagMessageClass")
        if isinstance(stored, str) and stored:
            return stored
        if self.calendar is not None and self.calendar.day is not None:
            return "IPM.Appointment.Occurrence"
        return CLASSES.get(self.element, "IPM.Note")

    @property
    def importance(self) -> int:
        """0 low, 1 normal, 2 high (MS-OXCMAIL 2.2.3.2.6)."""
        stored = self.properties.get("PidTagImportance")
        if isinstance(stored, int):
            return stored if 0 <= stored <= 2 else 1
        word = (self.field(b"importance") or b"").lower()
        if word in _IMPORTANCE:
            return _IMPORTANCE[word]
        priority = (self.field(b"x-priority") or b"").strip()[:1]
        if priority in (b"1", b"2"):
            return 2
        return 0 if priority in (b"4", b"5") else 1

    @property
    def sensitivity(self) -> int:
        """0 to 3: normal, personal, private, confidential (MS-OXCMAIL 2.2.3.2.7)."""
        stored = self.properties.get("PidTagSensitivity")
        if isinstance(stored, int):
            return stored if 0 <= stored <= 3 else 0
        return _SENSITIVITY.get((self.field(b"sensitivity") or b"").lower(), 0)

    @property
    def flag_status(self) -> int:
        """0 not flagged, 1 complete, 2 flagged (PidTagFlagStatus)."""
        stored = self.properties.get("PidTagFlagStatus")
        if stored == 1:
            return 1
        return 2 if self.flags & _FLAGGED else 0

    @property
    def topic(self) -> str:
        """Subject without what replies put before it."""
        return (self.text(b"thread-topic") or _PREFIX.sub("", self.subject, count=1)).strip()

    @property
    def thread_index(self) -> bytes:
        """PidTagConversationIndex (MS-OXOMSG 2.2.1.3): the field's, or one made of the first message's id."""
        given = conversation.thread_index(self.field(b"thread-index") or b"")
        if given:
            return given
        references, answered, own = (self.field(name) for name in (b"references", b"in-reply-to", b"message-id"))
        digest = conversation.digest(references, answered, own, topic=self.topic.encode("utf-8", "replace"))
        ticks = ((self.sent_at or self.received_at) + _FILETIME_EPOCH) * 10_000_000
        return b"\x01" + max(0, ticks).to_bytes(8, "big")[1:6] + digest

    def display(self, name: bytes) -> str:
        """DisplayTo and the like."""
        return "; ".join(one.name or one.address for one in self.people(name))

    def part(self, section: str) -> Part | None:
        """An attachment by its section."""
        if self.anatomy is None:
            return None
        return next((one for one in self.anatomy.attachments if one.section == section), None)


_IMPORTANCE = {b"low": 0, b"normal": 1, b"high": 2}
_SENSITIVITY = {b"personal": 1, b"private": 2, b"company-confidential": 3}


def _people(value: bytes) -> tuple[Person, ...]:
    """Of a field."""
    return tuple(person(one) for one in header.addresses(value) if one.mailbox is not None and one.host is not None)


_known_people = lru_cache(maxsize=2048)(_people)


def person(one: Address) -> Person:
    """An address of a field, decoded."""
    box = (one.mailbox or b"").decode("utf-8", "replace")
    host = (one.host or b"").decode("utf-8", "replace")
    return Person(header.decode(one.name) if one.name else "", f"{box}@{host}" if host else box)


@lru_cache(maxsize=4096)
def instant(seconds: int) -> str:
    """xs:dateTime in UTC of seconds since the epoch; what no calendar reaches is its first second."""
    try:
        when = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        when = _EPOCH
    return f"{when.year:04}-{when.month:02}-{when.day:02}T{when.hour:02}:{when.minute:02}:{when.second:02}Z"


def sent_seconds(value: bytes) -> int | None:
    """Seconds since the epoch of a Date field."""
    found = date.parse(value)
    return None if found is None else found[0]


def body_of(facts: MessageFacts, wanted: str) -> tuple[str, str]:
    """The text to read and whether it is `HTML` or `Text`. `wanted`: Best, HTML or Text."""
    if facts.element in CLASSES:
        return _kept_body(facts, wanted)
    found = facts.anatomy
    if found is None or (found.plain is None and found.html is None):
        return ("", "HTML") if wanted == "HTML" else ("", "Text")
    if wanted == "Text":
        if found.plain is not None:
            return found.plain.text(facts.content), "Text"
        assert found.html is not None
        return anatomy.to_text(found.html.text(facts.content)), "Text"
    if found.html is not None:
        return found.html.text(facts.content), "HTML"
    assert found.plain is not None
    plain = found.plain.text(facts.content)
    return (anatomy.to_html(plain), "HTML") if wanted == "HTML" else (plain, "Text")


def _kept_body(facts: MessageFacts, wanted: str) -> tuple[str, str]:
    """The same of an item without MIME."""
    html, plain = (facts.properties.get(key) for key in ("PidTagBodyHtml", "PidTagBody"))
    html, plain = (one if isinstance(one, str) else "" for one in (html, plain))
    if wanted == "Text" or (wanted == "Best" and not html):
        return plain or (anatomy.to_text(html) if html else ""), "Text"
    return html or (anatomy.to_html(plain) if plain else ""), "HTML"
