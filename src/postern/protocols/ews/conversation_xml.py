"""Conversations as XML: a table of properties in the order of the schema (MS-OXWSCONV 2.2.4.7 ConversationType)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from postern.protocols.ews.body_xml import preview
from postern.protocols.ews.ids import ConversationKey, conversation_id
from postern.protocols.ews.message_facts import MessageFacts, instant
from postern.protocols.ews.paths import Field
from postern.protocols.ews.shapes import ItemShape
from postern.protocols.ews.values import BOOL, FLAG_STATUS, IMPORTANCE
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text

_MAX_STRINGS = 100
_INT = 2**31 - 1
_SP1, _13 = Version.EXCHANGE_2010_SP1, Version.EXCHANGE_2013


class ConversationFacts(msgspec.Struct):
    """A conversation in a view; items with the newest first."""

    key: ConversationKey
    own: Sequence[MessageFacts]
    """Those in the view's folders."""
    every: Sequence[MessageFacts]
    """Those in all folders."""


class _Property(NamedTuple):
    name: str
    value: Callable[[Sequence[MessageFacts]], str]
    """The element's content; empty: it is left out."""
    every: bool = False
    since: Version = _SP1
    named_only: bool = False
    content: bool = False


def _strings(found: Iterable[str], element: str = "String") -> str:
    chosen = list(dict.fromkeys(one for one in found if one))[:_MAX_STRINGS]
    return "".join(f"<t:{element}>{text(one)}</t:{element}>" for one in chosen)


def _people(items: Sequence[MessageFacts], field: bytes) -> str:
    return _strings(one.name or one.address for facts in items for one in facts.people(field))


def _flag_status(items: Sequence[MessageFacts]) -> str:
    found = {facts.flag_status for facts in items}
    return FLAG_STATUS[2 if 2 in found else 1 if 1 in found else 0]


def _item_ids(items: Sequence[MessageFacts]) -> str:
    return "".join(f'<t:ItemId Id="{facts.id}" ChangeKey="{facts.change_key}"/>' for facts in items)


def _key(items: Sequence[MessageFacts]) -> str:
    return base64.b64encode(items[0].conversation.to_bytes(8, "big")).decode() if items else ""


def _both(
    name: str, value: Callable[[Sequence[MessageFacts]], str], since: Version = _SP1
) -> tuple[_Property, _Property]:
    """In the view, and in the whole mailbox."""
    return _Property(name, value, since=since), _Property(f"Global{name}", value, every=True, since=since)


_ROWS: tuple[_Property, ...] = (
    _Property("ConversationTopic", lambda items: text(items[-1].topic) if items else ""),
    *_both("UniqueRecipients", lambda items: _people(items, b"to")),
    *_both("UniqueUnreadSenders", lambda items: _people([one for one in items if not one.read], b"from")),
    *_both("UniqueSenders", lambda items: _people(items, b"from")),
    *_both("LastDeliveryTime", lambda items: instant(max(one.received_at for one in items)) if items else ""),
    *_both("Categories", lambda items: _strings(name for one in items for name in one.categories)),
    *_both("FlagStatus", _flag_status),
    *_both("HasAttachments", lambda items: BOOL[any(one.has_attachments for one in items)]),
    *_both("MessageCount", lambda items: str(len(items))),
    *_both("UnreadCount", lambda items: str(sum(not one.read for one in items))),
    *_both("Size", lambda items: str(min(sum(one.size for one in items), _INT))),
    *_both("ItemClasses", lambda items: _strings((one.message_class for one in items), "ItemClass")),
    *_both("Importance", lambda items: IMPORTANCE[max((one.importance for one in items), default=1)]),
    *_both("ItemIds", _item_ids),
    _Property("LastModifiedTime", lambda items: instant(max(o.saved_at for o in items)) if items else "", since=_13),
    _Property("InstanceKey", _key, since=_13),
    _Property("Preview", lambda items: text(preview(items[0])) if items else "", since=_13, named_only=True,
              content=True),
    _Property("DraftItemIds", lambda items: _item_ids([one for one in items if one.draft]), since=_13),
    *_both("HasIrm", lambda items: "false", _13),
)  # fmt: skip
_NAMES = frozenset(row.name for row in _ROWS) | {"ConversationId"}
_WITHOUT = frozenset({"IconIndex", "GlobalIconIndex", "HasClutter", "MentionedMe", "GlobalMentionedMe", "AtAllMention",
                      "GlobalAtAllMention"})  # fmt: skip
"""What the schema has and is never told."""


class ConversationWriter:
    """Writes conversations in one shape.

    Raises EwsViolation(ErrorInvalidPropertyRequest) for paths that no conversation has.
    """

    def __init__(self, shape: ItemShape | None, version: Version) -> None:
        """`shape`: None for all there is."""
        named = set()
        for one in () if shape is None else shape.additional:
            family, _, name = one.uri.partition(":") if isinstance(one, Field) else ("", "", "")
            if family != "conversation" or name not in _NAMES | _WITHOUT:
                raise EwsViolation("ErrorInvalidPropertyRequest", "No conversation has that property.")
            named.add(name)
        every = shape is None or shape.base != "IdOnly"
        self._rows = [
            row
            for row in _ROWS
            if row.since <= version and (row.name in named or (every and not row.named_only))
        ]  # fmt: skip
        self.content = any(row.content for row in self._rows)
        self.every = any(row.every for row in self._rows)
        """Whether items of other folders have to be read."""
        self.only_ids = not self._rows

    def write(self, facts: ConversationFacts) -> str:
        """`<t:Conversation>`."""
        pieces = [f'<t:ConversationId Id="{conversation_id(facts.key)}"/>']
        for row in self._rows:
            found = row.value(facts.every if row.every else facts.own)
            if found:
                pieces.append(f"<t:{row.name}>{found}</t:{row.name}>")
        return f"<t:Conversation>{''.join(pieces)}</t:Conversation>"
