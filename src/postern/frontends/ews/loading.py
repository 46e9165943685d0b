"""From rows of the store to what is known of a message; reads only what an answer needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from postern.formats.mime.anatomy import anatomy, without_calendar
from postern.formats.mime.attached import attached
from postern.formats.mime.scan import scan
from postern.frontends.ews import thing_values
from postern.frontends.ews.box import Box
from postern.model import properties
from postern.model.ids import FolderId, ItemId, Uid
from postern.model.items import FIRST_KEYWORD_BIT, Columns, Folder, ItemClass
from postern.model.properties import MESSAGE_CLASS
from postern.model.ranges import merged
from postern.protocols.ews import ids
from postern.protocols.ews.categories import categories
from postern.protocols.ews.effective_rights import Rights
from postern.protocols.ews.ids import AttachmentKey, ItemIds
from postern.protocols.ews.meeting_xml import element_of
from postern.protocols.ews.message_facts import CLASSES, MessageFacts
from postern.services.mailboxes import Ranges

_NARROW = (
    Columns.UID | Columns.FLAGS | Columns.RECEIVED_AT | Columns.SIZE | Columns.ITEM_ID | Columns.SAVED_AT
    | Columns.CLASS | Columns.CHANGE_KEY
)  # fmt: skip
_WIDE = Columns.SENT_AT | Columns.SUBJECT | Columns.PROPERTIES
_BODY = Columns.PREFIX | Columns.BLOB | Columns.BODY_SIZE
_PRIVATE = 2
_MAX_HEADER = 1 << 20
_MANY_PARTS = 64 * 16
"""Octets of a part map that is walked in the loop."""
_BODIES, _BODIES_BYTES = 32, 1 << 20
"""Bodies that are read at once; a larger one is read alone."""
ELEMENTS = {
    ItemClass.MESSAGE: "Message",
    ItemClass.APPOINTMENT: "CalendarItem",
    ItemClass.CONTACT: "Contact",
    ItemClass.TASK: "Task",
    ItemClass.NOTE: "Item",
    ItemClass.DISTRIBUTION_LIST: "DistributionList",
    ItemClass.ASSOCIATED: "Message",
}


_ELEMENT_OF = {int(kind): name for kind, name in ELEMENTS.items()}
Row = tuple[Any, ...]


class _Positions(NamedTuple):
    """Where columns are in a row; 0, which is the UID's, for those that were not asked for."""

    flags: int
    received_at: int
    size: int
    item: int
    saved_at: int
    item_class: int
    change_key: int
    structure: int
    header: int
    parts: int
    prefix: int
    blob: int
    body_size: int
    sent_at: int
    subject: int
    properties: int
    conversation: int


def _positions(columns: Columns) -> _Positions:
    found: dict[Columns, int] = {}
    at = 0
    for name in Columns:
        if name & columns:
            found[name] = at
            at += 2 if name is Columns.BLOB else 1
    c = Columns
    order = (
        c.FLAGS, c.RECEIVED_AT, c.SIZE, c.ITEM_ID, c.SAVED_AT, c.CLASS, c.CHANGE_KEY, c.BODYSTRUCTURE, c.HEADER,
        c.PARTS, c.PREFIX, c.BLOB, c.BODY_SIZE, c.SENT_AT, c.SUBJECT, c.PROPERTIES, c.CONVERSATION,
    )  # fmt: skip
    return _Positions(*(found.get(name, 0) for name in order))


class Wanted(NamedTuple):
    """What has to be read."""

    wide: bool = True
    header: bool = False
    content: bool = False
    structure: bool = False
    conversation: bool = False
    meetings: bool = False
    """What messages about meetings bring."""
    anatomy: bool = True
    """Of the content: what it is made of."""
    parent: bool = True
    """The folder's id and change key."""


@lru_cache(maxsize=128)
def _plan(wanted: Wanted) -> tuple[Columns, _Positions]:
    """What is asked of the store, and where it is in a row."""
    columns = _NARROW
    if wanted.wide:
        columns |= _WIDE
    if wanted.header or wanted.content:
        columns |= _BODY
    if wanted.header or (wanted.content and wanted.anatomy):
        columns |= Columns.HEADER
    if wanted.content and wanted.anatomy:
        columns |= Columns.PARTS
    if wanted.structure:
        columns |= Columns.BODYSTRUCTURE
    if wanted.conversation:
        columns |= Columns.CONVERSATION
    return columns, _positions(columns)


class Loader:
    """Reads messages of one folder."""

    def __init__(self, box: Box, place: FolderId, folder: Folder | None, rights: Rights, wanted: Wanted) -> None:
        """`place`: negative for associated items; `folder`: None where nothing is told of it."""
        self._box = box
        self._folder = place
        self._wanted = wanted
        self._ids = ItemIds(box.id, place)
        self._parent_id = box.folder_id(folder.id) if folder is not None else ""
        self._parent_change = ids.folder_change(folder.changed) if folder is not None else ""
        self._rights = rights
        self._owner = box.owner.address.lower()
        self._sees_private = box.sees_private
        self._mailbox = bytes.fromhex(box.id)
        self._words: dict[int, tuple[tuple[str, ...], frozenset[str]]] = {}
        self._keywords: dict[int, str] | None = None
        """Read when the first item has any."""
        self._columns, self._at = _plan(wanted)

    @classmethod
    async def open(cls, box: Box, folder: FolderId, wanted: Wanted) -> Loader:
        """`folder`: negative for its associated items. Raises Refusal; a folder that is not there may have no items."""
        place = FolderId(abs(folder))
        parent = await box.single(place) if wanted.parent else None
        return cls(box, folder, parent, await box.effective(place), wanted)

    def id_of(self, item: ItemId) -> str:
        """An ItemId's Id."""
        return self._ids.of(item)

    async def by_uid(self, uids: Sequence[Uid]) -> dict[Uid, MessageFacts]:
        """Of some items; those that are gone are left out. Raises Refusal."""
        ranges = _ranges(uids)
        return {uid: facts async for uid, facts in self.all(ranges)} if ranges else {}

    async def all(self, ranges: Ranges | None = None) -> AsyncIterator[tuple[Uid, MessageFacts]]:
        """Of a folder, by UID. Raises Refusal."""
        wanted = self._wanted
        async for rows in self._box.access.items(self._folder, self._columns, ranges):
            if self._keywords is None and any(row[self._at.flags] >> FIRST_KEYWORD_BIT for row in rows):
                self._keywords = await self._box.keywords()
            for some in self._together(rows):
                told = [self._facts(row) for row in some]
                bodies = await self._bodies(some, told) if wanted.content else {}
                for row, facts in zip(some, told, strict=True):
                    if facts.element in CLASSES:
                        if wanted.content or wanted.structure:
                            await self._keep(facts, row[0], row[self._at.item])
                    elif wanted.content:
                        await self._take(facts, row, bodies.get(row[0], b""))
                    elif wanted.header:
                        await self._read_header(facts, row)
                    yield row[0], facts

    def _together(self, rows: list[Row]) -> Iterator[list[Row]]:
        """Rows whose bodies may be in memory at a time."""
        if not self._wanted.content:
            yield rows
            return
        some: list[Row] = []
        octets = 0
        for row in rows:
            if some and (octets + row[self._at.body_size] > _BODIES_BYTES or len(some) >= _BODIES):
                yield some
                some, octets = [], 0
            some.append(row)
            octets += row[self._at.body_size]
        if some:
            yield some

    async def _bodies(self, rows: list[Row], told: list[MessageFacts]) -> dict[Uid, bytes]:
        """Of the messages among them, by UID: read at once where they lie together."""
        at = self._at
        mail = [r for r, facts in zip(rows, told, strict=True) if facts.element not in CLASSES and r[at.body_size]]
        read = await self._box.access.read_bodies([(row[at.blob], row[at.blob + 1]) for row in mail])
        return {row[0]: body for row, body in zip(mail, read, strict=True)}

    def _facts(self, row: Row) -> MessageFacts:
        at = self._at
        flags: int = row[at.flags]
        item: int = row[at.item]
        item_class: int = row[at.item_class]
        stored: bytes = row[at.properties] if at.properties else b""
        shown, words = self._keywords_of(flags)
        structure: bytes = row[at.structure] if at.structure else b""
        facts = MessageFacts(
            id=self._ids.of(item),
            change_key=ids.item_change(row[at.change_key]),
            parent_id=self._parent_id,
            parent_change_key=self._parent_change,
            flags=flags,
            received_at=row[at.received_at],
            saved_at=row[at.saved_at],
            size=row[at.size],
            sent_at=row[at.sent_at] if at.sent_at else None,
            subject=(row[at.subject] or "") if at.subject else "",
            header=b"",
            rights=self._rights,
            categories=shown,
            keywords=words,
            properties=properties.unpack(stored) if stored else {},
            associated=item_class == ItemClass.ASSOCIATED,
            element=_ELEMENT_OF.get(item_class, "Item"),
            owner=self._owner,
            conversation_prefix=self._mailbox,
            conversation=row[at.conversation] if at.conversation else 0,
            instance=self._mailbox[:4] + item.to_bytes(6, "big"),
        )
        if item_class == ItemClass.MESSAGE and self._wanted.wide:
            facts.element = element_of(facts.properties.get(MESSAGE_CLASS))
        if structure and item_class in (ItemClass.MESSAGE, ItemClass.ASSOCIATED):
            facts.has_attachments = attached(structure, meeting=facts.element.startswith("Meeting"))
        if item_class not in (ItemClass.MESSAGE, ItemClass.ASSOCIATED) and self._wanted.wide:
            named = facts.properties.get("PidNameKeywords")
            facts.categories = tuple(map(str, named)) if isinstance(named, list) else ()
            if item_class == ItemClass.APPOINTMENT:
                thing_values.with_calendar(facts, self._box.id, self._folder, item, private=self._sees_private)
            elif not self._sees_private and facts.properties.get("PidTagSensitivity") == _PRIVATE:
                facts.properties, facts.subject, facts.categories = {"PidTagSensitivity": _PRIVATE}, "", ()
        return facts

    def _keywords_of(self, flags: int) -> tuple[tuple[str, ...], frozenset[str]]:
        bits = flags >> FIRST_KEYWORD_BIT
        found = self._words.get(bits)
        if found is None:
            named = [word for bit, word in (self._keywords or {}).items() if flags >> bit & 1]
            found = self._words[bits] = categories(named), frozenset(word.lower() for word in named)
        return found

    async def _keep(self, facts: MessageFacts, uid: Uid, item: ItemId) -> None:
        """The attachments of an item without MIME."""
        if (
            facts.calendar is not None
            or not self._sees_private
            or facts.properties.get("PidTagSensitivity") != _PRIVATE
        ):
            held = await self._box.items.attachments(self._folder, uid)
            facts.kept = thing_values.kept(held, self._box.id, self._folder, item)
            facts.has_attachments = bool(facts.kept)

    async def _take(self, facts: MessageFacts, row: Row, body: bytes) -> None:
        """What its content tells. `body`: empty for an item without MIME; what stands for it is all prefix."""
        at = self._at
        prefix: bytes = row[at.prefix] or b""
        facts.content = prefix + body
        if self._wanted.anatomy:
            packed: bytes = row[at.parts]
            if not body:
                parts = anatomy(facts.content, scan(facts.content).parts)
            elif len(packed) <= _MANY_PARTS:
                parts = anatomy(facts.content, packed, len(prefix))
            else:
                parts = await asyncio.to_thread(anatomy, facts.content, packed, len(prefix))
            if facts.element.startswith("Meeting"):
                parts = msgspec.structs.replace(parts, attachments=without_calendar(parts.attachments))
            facts.anatomy = parts
            facts.has_attachments = parts.has_attachments
            head: bytes | None = row[at.header]
            facts.header = prefix + (body[: min(_body_start(packed), _MAX_HEADER)] if head is None else head)
        elif self._wanted.header:
            head = row[at.header]
            facts.header = prefix + (_head_of(body) if head is None else head)

    async def _read_header(self, facts: MessageFacts, row: Row) -> None:
        """The header alone."""
        at = self._at
        head: bytes | None = row[at.header]
        if head is None:
            (body,) = await self._box.access.read_bodies([(row[at.blob], row[at.blob + 1])])
            head = _head_of(body)
        facts.header = (row[at.prefix] or b"") + head

    def attachment_ids(self, facts: MessageFacts, item: ItemId) -> None:
        """Give the attachments their ids."""
        if facts.anatomy is not None:
            facts.attachment_ids = {
                one.section: ids.attachment_id(AttachmentKey(self._box.id, self._folder, item, one.section))
                for one in facts.anatomy.attachments
            }


def _head_of(body: bytes) -> bytes:
    """A message up to its empty line."""
    end = body.find(b"\r\n\r\n", 0, _MAX_HEADER)
    return body[: end + 4] if end >= 0 else body[:_MAX_HEADER]


def _body_start(packed: bytes) -> int:
    """Octets of the header, by the part map; messages of 4 GiB and more have none."""
    return int.from_bytes(packed[8:12], "little") if len(packed) >= 12 else 0


def _ranges(uids: Sequence[Uid]) -> list[tuple[int, int]]:
    return merged((one, one) for one in uids)
