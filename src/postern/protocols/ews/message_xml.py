"""Messages as XML: of the properties of the table, those that a shape asks for."""

from __future__ import annotations

from collections.abc import Sequence

from postern.formats.mime import header
from postern.protocols.ews import extended, meeting_xml
from postern.protocols.ews.item_table import Property, Wish
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.message_fields import AFTER_EXTENDED, BEFORE_EXTENDED, CONTENT, HEADER, MIME, POST
from postern.protocols.ews.paths import Extended, Field, Indexed, Path
from postern.protocols.ews.shapes import ItemShape
from postern.protocols.ews.thing_fields import THINGS
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import attribute, text

_NOT_OF_THINGS = frozenset(
    {"item:InternetMessageHeaders", "item:InReplyTo", "item:ConversationId", "item:DisplayBcc", "item:Flag"}
)
_DICTIONARIES = {
    "contacts:EmailAddress": "contacts:EmailAddresses",
    "contacts:PhoneNumber": "contacts:PhoneNumbers",
    "contacts:ImAddress": "contacts:ImAddresses",
    **{
        f"contacts:PhysicalAddress:{part}": "contacts:PhysicalAddresses"
        for part in ("Street", "City", "State", "CountryOrRegion", "PostalCode")
    },
    "distributionlist:Members:Member": "distributionlist:Members",
}
"""Whoever names an entry is told the whole dictionary."""
_TREE = 32
"""Times that an octet costs more when its HTML is taken apart."""
_NEIGHBOURS = frozenset(
    f"calendar:{kind}Meeting{what}" for kind in ("Conflicting", "Adjacent") for what in ("s", "Count")
)
_RANK = {"IdOnly": 0, "Default": 1, "AllProperties": 2, "": 3}
_ONLY_WHOLE = frozenset(
    row.uri
    for row in (*BEFORE_EXTENDED, *AFTER_EXTENDED)
    if row.needs in (CONTENT, MIME) and not row.uri.startswith("message:")
)
"""Not in FindItem's answers (MS-OXWSSRCH 3.1.4.2)."""
_FAMILIES = ("item:", "message:", "calendar:", "task:", "contacts:", "distributionlist:", "postitem:", "meeting:",
             "meetingRequest:", "conversation:")  # fmt: skip


class MessageWriter:
    """Writes messages in one shape; remembers nothing of what it wrote.

    Raises EwsViolation(ErrorInvalidPropertyRequest) for paths that no item has.
    """

    def __init__(self, shape: ItemShape, version: Version, *, listing: bool = False, strict: bool = False) -> None:
        """`listing`: of many items, which leaves out what takes reading; `strict`: asking for it is an error."""
        self._wish = Wish(shape, version)
        named = {one.uri for one in shape.additional if isinstance(one, Field)}
        named |= {
            _DICTIONARIES[one.uri] for one in shape.additional if isinstance(one, Indexed) and one.uri in _DICTIONARIES
        }
        check(shape.additional)
        if strict and (too_much := sorted(named & _ONLY_WHOLE)):
            raise EwsViolation("ErrorInvalidPropertyRequest", f"{too_much[0]} is answered by GetItem only.")
        if shape.mime and not strict:
            named.add("item:MimeContent")
        rank = _RANK.get(shape.base, 0)

        def chosen(rows: Sequence[Property]) -> list[Property]:
            return [
                row
                for row in rows
                if row.since <= version
                and (row.uri in named or (_RANK[row.base] <= rank and not (listing and row.needs == CONTENT)))
            ]

        first, last = chosen(BEFORE_EXTENDED), chosen(AFTER_EXTENDED)
        plain = [row.make for row in last if row.uri.startswith("item:") and row.uri not in _NOT_OF_THINGS]
        before = [row.make for row in first if row.uri not in _NOT_OF_THINGS]
        self._things = {name: (before, plain + [row.make for row in chosen(rows)]) for name, rows in THINGS.items()}
        plain_post = [row.make for row in last if row.uri.startswith("item:")]
        self._post = plain_post + [row.make for row in chosen(POST)]
        # what a message is about is in its calendar part
        self._meetings = {name: [row.make for row in chosen(rows)] for name, rows in meeting_xml.MEETING.items()}
        trees = shape.filter_html or shape.block_images or shape.blank_targets
        self._cost = _TREE if trees else 1
        self.mime = "item:MimeContent" in {row.uri for row in first}
        self.meetings = any(self._meetings.values())
        self.neighbours = bool(named & _NEIGHBOURS)
        self.attachments = "item:Attachments" in {row.uri for row in first}
        self._first = [row.make for row in first]
        self._last = [row.make for row in last]
        self._extended = [one for one in shape.additional if isinstance(one, Extended)]
        self._indexed = [one for one in shape.additional if isinstance(one, Indexed) and one.uri not in _DICTIONARIES]
        if self._indexed and "item:InternetMessageHeaders" not in named and rank < 2:
            self._first.append(self._chosen_headers)
        needs = 0
        for row in (*first, *last):
            needs |= row.needs
        for path in self._extended:
            needs |= extended.needs(path)
        if self._indexed:
            needs |= HEADER
        self.content = bool(needs & (CONTENT | MIME))
        self.header = bool(needs & (HEADER | CONTENT))
        self.conversation = any(row.uri == "item:ConversationId" for row in last)
        self.structure = "item:HasAttachments" in {row.uri for row in first} or any(
            p.tag == 0x0E1B for p in self._extended
        )
        self.parent = "item:ParentFolderId" in {row.uri for row in first}
        self.anatomy = bool(needs & CONTENT) or self.structure
        self.only_ids = not (
            self._last
            or any(len(one[1]) for one in self._things.values())
            or self._extended
            or self._indexed
            or self.meetings
        ) and [r.uri for r in first] == ["item:ItemId"]

    def size(self, facts: MessageFacts) -> int:
        """Octets that writing it costs as much as, for `slices.sized`."""
        kept = facts.properties.get("PidTagBodyHtml") or facts.properties.get("PidTagBody")
        return (len(facts.content) + (len(kept) if isinstance(kept, str) else 0)) * self._cost

    def write(self, facts: MessageFacts) -> str:
        """One message's element."""
        wish = self._wish
        own = self._things.get(facts.element)
        before, after = (self._first, self._last) if own is None else own
        if facts.element == "PostItem":
            after = self._post
        inner = [make(facts, wish) for make in before]
        if self._extended:
            inner += [extended.xml(facts, path) for path in self._extended]
        inner += [make(facts, wish) for make in after]
        if facts.element in self._meetings:
            inner += [make(facts, wish) for make in self._meetings[facts.element]]
        return f"<t:{facts.element}>{''.join(inner)}</t:{facts.element}>"

    def _chosen_headers(self, facts: MessageFacts, wish: Wish) -> str:
        rows = []
        for path in self._indexed:
            value = facts.field(path.index.lower().encode("latin-1", "replace"))
            if value is not None and path.uri == "item:InternetMessageHeader":
                rows.append(
                    f'<t:InternetMessageHeader HeaderName="{attribute(path.index)}">{text(header.decode(value))}'
                    "</t:InternetMessageHeader>"
                )
        return f"<t:InternetMessageHeaders>{''.join(rows)}</t:InternetMessageHeaders>" if rows else ""


def check(paths: Sequence[Path]) -> None:
    """Raises EwsViolation(ErrorInvalidPropertyRequest) for a path that no item has."""
    for one in paths:
        if isinstance(one, Extended) or one.uri.startswith(_FAMILIES):
            continue
        raise EwsViolation("ErrorInvalidPropertyRequest", f"No item has the property {one.uri}.")
