"""Properties of messages as restrictions and orders compare them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import unescape
from typing import NamedTuple

from postern.protocols.ews import contact_fields, extended
from postern.protocols.ews.item_table import Wish
from postern.protocols.ews.message_facts import MessageFacts, body_of, instant
from postern.protocols.ews.paths import Extended, Field, Indexed, Path
from postern.protocols.ews.shapes import ItemShape
from postern.protocols.ews.thing_fields import THINGS
from postern.protocols.ews.values import BOOL, FLAG_STATUS, IMPORTANCE, SENSITIVITY
from postern.protocols.ews.versions import Version

_SEPARATOR = "\0"


class Needs(NamedTuple):
    """What has to be read of an item."""

    header: bool
    content: bool
    structure: bool


def _people(field: bytes) -> Callable[[MessageFacts], str | None]:
    """Names and addresses; Contains finds each of them."""

    def value(facts: MessageFacts) -> str | None:
        found = facts.people(field)
        return _SEPARATOR.join(text for one in found for text in (one.name, one.address) if text) if found else None

    return value


def _attachments(facts: MessageFacts) -> str | None:
    found = facts.anatomy.attachments if facts.anatomy is not None else ()
    return _SEPARATOR.join(one.name for one in found) if found else None


_HEADER, _CONTENT, _STRUCTURE = 1, 2, 4
_VALUES: dict[str, tuple[Callable[[MessageFacts], str | None], int]] = {
    "item:ItemId": (lambda f: f.id, 0),
    "item:ParentFolderId": (lambda f: f.parent_id, 0),
    "item:ItemClass": (lambda f: f.message_class, 0),
    "item:Subject": (lambda f: f.subject, 0),
    "item:Sensitivity": (lambda f: SENSITIVITY[f.sensitivity], _HEADER),
    "item:Body": (lambda f: body_of(f, "Text")[0], _CONTENT),
    "item:TextBody": (lambda f: body_of(f, "Text")[0], _CONTENT),
    "item:Attachments": (_attachments, _CONTENT),
    "item:DateTimeReceived": (lambda f: instant(f.received_at), 0),
    "item:DateTimeSent": (lambda f: instant(f.sent_at if f.sent_at is not None else f.received_at), 0),
    "item:DateTimeCreated": (lambda f: instant(f.saved_at), 0),
    "item:LastModifiedTime": (lambda f: instant(f.saved_at), 0),
    "item:Size": (lambda f: str(f.size), 0),
    "item:Categories": (lambda f: _SEPARATOR.join(f.categories) if f.categories else None, 0),
    "item:Importance": (lambda f: IMPORTANCE[f.importance], _HEADER),
    "item:InReplyTo": (lambda f: f.text(b"in-reply-to") or None, _HEADER),
    "item:IsSubmitted": (lambda f: "false", 0),
    "item:IsDraft": (lambda f: BOOL[f.draft], 0),
    "item:IsFromMe": (lambda f: BOOL[f.from_owner], _HEADER),
    "item:IsResend": (lambda f: "false", 0),
    "item:IsUnmodified": (lambda f: BOOL[not f.draft], 0),
    "item:IsAssociated": (lambda f: BOOL[f.associated], 0),
    "item:HasAttachments": (lambda f: BOOL[f.has_attachments], _STRUCTURE),
    "item:DisplayTo": (lambda f: f.display(b"to"), _HEADER),
    "item:DisplayCc": (lambda f: f.display(b"cc"), _HEADER),
    "item:DisplayBcc": (lambda f: f.display(b"bcc"), _HEADER),
    "item:Culture": (lambda f: f.text(b"content-language") or "en-US", _HEADER),
    "item:ReminderIsSet": (lambda f: BOOL[bool(f.properties.get("PidLidReminderSet"))], 0),
    "item:Flag": (lambda f: FLAG_STATUS[f.flag_status], 0),
    "message:From": (_people(b"from"), _HEADER),
    "message:Sender": (lambda f: _people(b"sender")(f) or _people(b"from")(f), _HEADER),
    "message:ToRecipients": (_people(b"to"), _HEADER),
    "message:CcRecipients": (_people(b"cc"), _HEADER),
    "message:BccRecipients": (_people(b"bcc"), _HEADER),
    "message:ReplyTo": (_people(b"reply-to"), _HEADER),
    "message:InternetMessageId": (lambda f: f.text(b"message-id") or None, _HEADER),
    "message:References": (lambda f: f.text(b"references") or None, _HEADER),
    "message:IsRead": (lambda f: BOOL[f.read], 0),
    "message:ConversationTopic": (lambda f: f.topic, _HEADER),
    "message:IsReadReceiptRequested": (lambda f: BOOL[f.field(b"disposition-notification-to") is not None], _HEADER),
    "message:IsDeliveryReceiptRequested": (lambda f: BOOL[f.field(b"return-receipt-to") is not None], _HEADER),
    "message:IsResponseRequested": (lambda f: BOOL[f.properties.get("PidTagResponseRequested") is True], 0),
}


def needs(paths: Sequence[Path]) -> Needs:
    """For all of them."""
    bits = 0
    for path in paths:
        if isinstance(path, Extended):
            bits |= extended.needs(path) | (_STRUCTURE if path.tag in (0x0E1B, 0x0E07) else 0)
        elif isinstance(path, Indexed):
            bits |= _HEADER
        else:
            bits |= _VALUES.get(path.uri, (None, 0))[1]
    return Needs(bool(bits & (_HEADER | _CONTENT)), bool(bits & _CONTENT), bool(bits & _STRUCTURE))


def value(facts: MessageFacts, path: Path) -> str | None:
    """As text; several values have U+0000 between them; None: the message has none."""
    if isinstance(path, Extended):
        found = extended.value(facts, path)
        return _SEPARATOR.join(found) if isinstance(found, list) else found
    if isinstance(path, Indexed):
        if path.uri != "item:InternetMessageHeader":
            keys = contact_fields.indexed(path.uri, path.index)
            entry = facts.properties.get(keys[0]) if keys else None
            return str(entry) if entry else None
        return facts.text(path.index.lower().encode("latin-1", "replace")) or None
    assert isinstance(path, Field)
    known = _VALUES.get(path.uri)
    return known[0](facts) if known is not None else _of_thing(facts, path.uri)


_TEXTS = re.compile(r">([^<>]+)<").findall
_WHOLE = Wish(ItemShape("AllProperties"), max(Version))


def _of_thing(facts: MessageFacts, uri: str) -> str | None:
    """A property that only contacts, tasks or calendar items have: what is written of it."""
    for row in THINGS.get(facts.element, ()):
        if row.uri == uri:
            found = _TEXTS(row.make(facts, _WHOLE))
            return _SEPARATOR.join(unescape(one) for one in found) if found else None
    return None
