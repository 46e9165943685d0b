"""Messages as XML: a table of properties in the order of the schema (MS-OXWSCORE 2.2.4.24, MS-OXWSMSG 2.2.4.1)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache

from postern.formats import mail_html
from postern.formats.mime import header
from postern.formats.mime.anatomy import Part
from postern.model.ids import MailboxId
from postern.protocols.ews import calendar_xml, extended, meeting_xml, references
from postern.protocols.ews.calendar_xml import CALENDAR
from postern.protocols.ews.contact_fields import CONTACT, LIST
from postern.protocols.ews.folder_xml import identity
from postern.protocols.ews.icons import icon_of
from postern.protocols.ews.ids import ConversationKey, conversation_id
from postern.protocols.ews.item_table import Maker, Property, Wish
from postern.protocols.ews.message_facts import Kept, MessageFacts, Person, body_of, instant
from postern.protocols.ews.paths import Extended, Field, Indexed, Path
from postern.protocols.ews.shapes import ItemShape
from postern.protocols.ews.task_fields import TASK
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import attribute, text

BOOL = {True: "true", False: "false"}
IMPORTANCE = ("Low", "Normal", "High")
SENSITIVITY = ("Normal", "Personal", "Private", "Confidential")
FLAG_STATUS = ("NotFlagged", "Complete", "Flagged")
_MAX_FIELDS = 500
_PREVIEW = 255
_WORDS = _PREVIEW // 2 + 1
"""So many words are that long at least."""
_SHORT = 256


def _simple(name: str, value: Callable[[MessageFacts], str]) -> Maker:
    opening, closing = f"<t:{name}>", f"</t:{name}>"

    def make(facts: MessageFacts, wish: Wish) -> str:
        found = value(facts)
        return f"{opening}{text(found)}{closing}" if found else ""

    return make


def _flag(name: str, value: Callable[[MessageFacts], bool]) -> Maker:
    yes, no = f"<t:{name}>true</t:{name}>", f"<t:{name}>false</t:{name}>"
    return lambda facts, wish: yes if value(facts) else no


def _people(name: str, field: bytes) -> Maker:
    def make(facts: MessageFacts, wish: Wish) -> str:
        found = facts.people(field)
        return f"<t:{name}>{''.join(person_xml(one) for one in found)}</t:{name}>" if found else ""

    return make


def _one(name: str, value: Callable[[MessageFacts], Person | None]) -> Maker:
    def make(facts: MessageFacts, wish: Wish) -> str:
        found = value(facts)
        return f"<t:{name}>{person_xml(found)}</t:{name}>" if found is not None else ""

    return make


def person_xml(one: Person) -> str:
    """`<t:Mailbox>`."""
    return _known_person(one) if len(one.name) + len(one.address) <= _SHORT else _person_xml(one)


def _person_xml(one: Person) -> str:
    if not one.address:
        return f"<t:Mailbox><t:Name>{text(one.name)}</t:Name></t:Mailbox>"
    return (
        f"<t:Mailbox><t:Name>{text(one.name or one.address)}</t:Name><t:EmailAddress>{text(one.address)}"
        "</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType></t:Mailbox>"
    )


_known_person = lru_cache(maxsize=2048)(_person_xml)


def _first(facts: MessageFacts, *fields: bytes) -> Person | None:
    for field in fields:
        found = facts.people(field)
        if found:
            return found[0]
    return None


def _sender(facts: MessageFacts) -> Person | None:
    return _first(facts, b"sender", b"from")


def _mime(facts: MessageFacts, wish: Wish) -> str:
    content = facts.content or (facts.calendar.ical() if facts.calendar is not None else b"")
    encoded = base64.b64encode(content).decode("ascii")
    return f'<t:MimeContent CharacterSet="UTF-8">{encoded}</t:MimeContent>' if content else ""


def _id(facts: MessageFacts, wish: Wish) -> str:
    return f'<t:ItemId Id="{facts.id}" ChangeKey="{facts.change_key}"/>' if facts.id else ""


def _parent(facts: MessageFacts, wish: Wish) -> str:
    return identity("ParentFolderId", facts.parent_id, facts.parent_change_key) if facts.parent_id else ""


def _body(name: str, wanted: Callable[[ItemShape], str]) -> Maker:
    def make(facts: MessageFacts, wish: Wish) -> str:
        value, kind = body_of(facts, wanted(wish.shape))
        if kind == "HTML":
            value = _html(value, wish.shape)
        limit = wish.shape.max_body
        cut = bool(limit) and len(value) > limit
        truncated = f' IsTruncated="{BOOL[cut]}"' if wish.version >= Version.EXCHANGE_2013 else ""
        return f'<t:{name} BodyType="{kind}"{truncated}>{text(value[:limit] if cut else value)}</t:{name}>'

    return make


def _html(value: str, shape: ItemShape) -> str:
    """As the shape wants it (MS-OXWSCDATA 2.2.4.44)."""
    if shape.to_utf8:
        value = mail_html.declares_utf8(value)
    if not (shape.filter_html or shape.block_images or shape.blank_targets):
        return value
    return mail_html.view(
        value, filtered=shape.filter_html, no_images=shape.block_images, blank_targets=shape.blank_targets
    )


def _blocked(facts: MessageFacts, wish: Wish) -> str:
    """HasBlockedImages: of this answer, by BlockExternalImages."""
    found = wish.shape.block_images and mail_html.fetches(body_of(facts, "HTML")[0])
    return f"<t:HasBlockedImages>{BOOL[found]}</t:HasBlockedImages>"


def _block_status(facts: MessageFacts, wish: Wish) -> str:
    return f"<t:BlockStatus>{BOOL[wish.shape.block_images]}</t:BlockStatus>"


def attachment_xml(facts: MessageFacts, part: Part, version: Version, inner: str = "") -> str:
    """One element of Attachments; `inner` is what GetAttachment adds."""
    id_ = facts.attachment_ids.get(part.section, "")
    kind = "ItemAttachment" if part.enclosed else "FileAttachment"
    link = None
    if part.content_type == references.TYPE and version >= Version.EXCHANGE_2013:
        link = references.of_part(facts.content[part.header_start : part.start])
    if link is not None:
        kind, inner = "ReferenceAttachment", references.xml(link)
    name = part.name or (enclosed_name(facts, part) if part.enclosed else "")
    pieces = [f'<t:AttachmentId Id="{id_}"/>' if id_ else "", f"<t:Name>{text(name)}</t:Name>"]
    pieces.append(f"<t:ContentType>{text(part.content_type)}</t:ContentType>")
    if part.content_id:
        pieces.append(f"<t:ContentId>{text(part.content_id)}</t:ContentId>")
    if part.location:
        pieces.append(f"<t:ContentLocation>{text(part.location)}</t:ContentLocation>")
    if version >= Version.EXCHANGE_2010:
        pieces.append(f"<t:Size>{part.size_estimate}</t:Size>")
        pieces.append(f"<t:LastModifiedTime>{instant(facts.saved_at)}</t:LastModifiedTime>")
        pieces.append(f"<t:IsInline>{BOOL[part.inline]}</t:IsInline>")
        if kind == "FileAttachment":
            pieces.append("<t:IsContactPhoto>false</t:IsContactPhoto>")
    return f"<t:{kind}>{''.join(pieces)}{inner}</t:{kind}>"


def enclosed_name(facts: MessageFacts, part: Part) -> str:
    """An attached message is called what its subject says."""
    head = facts.content[part.start : min(part.end, part.start + 16384)]
    value = header.first(head.partition(b"\r\n\r\n")[0] + b"\r\n", b"subject")
    return header.decode(value) if value else ""


def kept_xml(facts: MessageFacts, kept: Kept, version: Version, inner: str = "") -> str:
    """One element of Attachments of an item that is no message."""
    kind = "ItemAttachment" if kept.enclosed else "FileAttachment"
    link = references.of_stored(kept.reference) if kept.reference and version >= Version.EXCHANGE_2013 else None
    if link is not None:
        kind, inner = "ReferenceAttachment", references.xml(link)
    pieces = [f'<t:AttachmentId Id="{kept.id}"/>' if kept.id else "", f"<t:Name>{text(kept.name)}</t:Name>"]
    if kept.content_type:
        pieces.append(f"<t:ContentType>{text(kept.content_type)}</t:ContentType>")
    if kept.content_id:
        pieces.append(f"<t:ContentId>{text(kept.content_id)}</t:ContentId>")
    if version >= Version.EXCHANGE_2010:
        pieces.append(f"<t:Size>{kept.size}</t:Size><t:LastModifiedTime>{instant(facts.saved_at)}</t:LastModifiedTime>")
        pieces.append(f"<t:IsInline>{BOOL[kept.inline]}</t:IsInline>")
        if kind == "FileAttachment":
            pieces.append(f"<t:IsContactPhoto>{BOOL[kept.photo]}</t:IsContactPhoto>")
    return f"<t:{kind}>{''.join(pieces)}{inner}</t:{kind}>"


def _attachments(facts: MessageFacts, wish: Wish) -> str:
    if facts.kept:
        rows = "".join(kept_xml(facts, one, wish.version) for one in facts.kept)
        return f"<t:Attachments>{rows}</t:Attachments>"
    found = facts.anatomy.attachments if facts.anatomy is not None else ()
    if not found:
        return ""
    return f"<t:Attachments>{''.join(attachment_xml(facts, one, wish.version) for one in found)}</t:Attachments>"


def _categories(facts: MessageFacts, wish: Wish) -> str:
    if not facts.categories:
        return ""
    return f"<t:Categories>{''.join(f'<t:String>{text(one)}</t:String>' for one in facts.categories)}</t:Categories>"


def _heading(name: bytes) -> str:
    return _known_heading(name) if len(name) <= _SHORT else _open_heading(name)


def _open_heading(name: bytes) -> str:
    return f'<t:InternetMessageHeader HeaderName="{attribute(name.decode("latin-1"))}">'


_known_heading = lru_cache(maxsize=512)(_open_heading)


def _headers(facts: MessageFacts, wish: Wish) -> str:
    found = header.values(facts.header)[:_MAX_FIELDS]
    if not found:
        return ""
    rows = "".join([f"{_heading(name)}{text(header.decode(value))}</t:InternetMessageHeader>" for name, value in found])
    return f"<t:InternetMessageHeaders>{rows}</t:InternetMessageHeaders>"


def _responses(facts: MessageFacts, wish: Wish) -> str:
    if facts.element in THINGS:
        return calendar_xml.responses_xml(facts, wish.version)
    if facts.draft:
        return ""
    if facts.element == "PostItem":
        return "<t:ResponseObjects><t:PostReplyItem/><t:ReplyToItem/><t:ForwardItem/></t:ResponseObjects>"
    own = meeting_xml.responses_of(facts, wish.version)
    return f"<t:ResponseObjects>{own}<t:ReplyToItem/><t:ReplyAllToItem/><t:ForwardItem/></t:ResponseObjects>"


def _effective(facts: MessageFacts, wish: Wish) -> str:
    return facts.rights.xml(wish.version)


def _conversation(facts: MessageFacts, wish: Wish) -> str:
    if not facts.conversation or not facts.conversation_prefix:
        return ""
    key = ConversationKey(MailboxId(facts.conversation_prefix.hex()), facts.conversation)
    return f'<t:ConversationId Id="{conversation_id(key)}"/>'


def _flag_xml(facts: MessageFacts, wish: Wish) -> str:
    status = facts.flag_status
    inner = f"<t:FlagStatus>{FLAG_STATUS[status]}</t:FlagStatus>"
    if status:
        for name, key in _FLAG_DATES[: 2 if status == 2 else 3]:
            when = facts.properties.get(key)
            if isinstance(when, datetime) and not (status == 1 and name != "CompleteDate"):
                inner += f"<t:{name}>{instant(int(when.timestamp()))}</t:{name}>"
    return f"<t:Flag>{inner}</t:Flag>"


_FLAG_DATES = (
    ("StartDate", "PidLidTaskStartDate"),
    ("DueDate", "PidLidTaskDueDate"),
    ("CompleteDate", "PidTagFlagCompleteTime"),
)


def _instance(facts: MessageFacts, wish: Wish) -> str:
    return f"<t:InstanceKey>{base64.b64encode(facts.instance).decode()}</t:InstanceKey>" if facts.instance else ""


def preview(facts: MessageFacts) -> str:
    """The first words of the text."""
    return " ".join(body_of(facts, "Text")[0][: _PREVIEW * 8].split(None, _WORDS)[:_WORDS])[:_PREVIEW]


def _reply_to(facts: MessageFacts, wish: Wish) -> str:
    found = facts.people(b"reply-to")
    return f"<t:ReplyTo>{''.join(person_xml(one) for one in found)}</t:ReplyTo>" if found else ""


def _index(facts: MessageFacts, wish: Wish) -> str:
    return f"<t:ConversationIndex>{base64.b64encode(facts.thread_index).decode()}</t:ConversationIndex>"


_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", re.ASCII).match


def _culture(facts: MessageFacts) -> str:
    found = _LANGUAGE(facts.text(b"content-language"))
    return found[0] if found is not None else "en-US"


def _display(name: str, field: bytes) -> Maker:
    """Of messages also where it is empty, as everywhere."""

    def make(facts: MessageFacts, wish: Wish) -> str:
        found = facts.display(field)
        return f"<t:{name}>{text(found)}</t:{name}>" if found or facts.element not in THINGS else ""

    return make


def _message_id(facts: MessageFacts) -> str:
    return facts.text(b"message-id")


def _reminder(facts: MessageFacts) -> bool:
    return bool(facts.properties.get("PidLidReminderSet"))


def _reminder_of(name: str) -> Maker:
    """Of items that are no messages, and of messages that somebody is to be reminded of."""
    return lambda facts, wish: (
        calendar_xml.reminder_xml(facts, name) if facts.element in THINGS or _reminded(facts) else ""
    )


def _reminded(facts: MessageFacts) -> bool:
    return "PidLidReminderSet" in facts.properties or "PidLidReminderTime" in facts.properties


def _moment(name: str, key: str) -> Maker:
    def make(facts: MessageFacts, wish: Wish) -> str:
        when = facts.properties.get(key)
        return f"<t:{name}>{instant(int(when.timestamp()))}</t:{name}>" if isinstance(when, datetime) else ""

    return make


def _received_by(facts: MessageFacts) -> Person | None:
    return Person(facts.owner, facts.owner) if facts.owner and not facts.draft else None


def _represented(facts: MessageFacts) -> Person | None:
    other = "" if facts.draft else meeting_xml.delegated_for(facts)
    return Person(other, other) if other else _received_by(facts)


def _answer_wanted(facts: MessageFacts) -> bool:
    if facts.element == "MeetingRequest" and facts.calendar is not None:
        return bool(facts.calendar.item.response_requested)
    return facts.properties.get("PidTagResponseRequested") is True


_07, _SP1, _10, _13 = Version.EXCHANGE_2007, Version.EXCHANGE_2007_SP1, Version.EXCHANGE_2010, Version.EXCHANGE_2013
_D, _A, _X = "Default", "AllProperties", ""
HEADER, CONTENT, MIME = 1, 2, 4
"""MIME: the content as it is; CONTENT: with what it is made of."""


BEFORE_EXTENDED: tuple[Property, ...] = (
    Property("item:MimeContent", _mime, _07, _X, MIME),
    Property("item:ItemId", _id, _07, "IdOnly"),
    Property("item:ParentFolderId", _parent, _07, _A),
    Property("item:ItemClass", _simple("ItemClass", lambda f: f.message_class), _07, _A),
    Property("item:Subject", _simple("Subject", lambda f: f.subject), _07, _D),
    Property("item:Sensitivity", _simple("Sensitivity", lambda f: SENSITIVITY[f.sensitivity]), _07, _D, HEADER),
    Property("item:Body", _body("Body", lambda shape: shape.body), _07, _D, CONTENT),
    Property("item:Attachments", _attachments, _07, _D, CONTENT),
    Property("item:DateTimeReceived", _simple("DateTimeReceived", lambda f: instant(f.received_at)), _07, _A),
    Property("item:Size", _simple("Size", lambda f: str(min(f.size, 2**31 - 1))), _07, _D),
    Property("item:Categories", _categories, _07, _A),
    Property("item:Importance", _simple("Importance", lambda f: IMPORTANCE[f.importance]), _07, _A, HEADER),
    Property("item:InReplyTo", _simple("InReplyTo", lambda f: f.text(b"in-reply-to")), _07, _A, HEADER),
    Property("item:IsSubmitted", _flag("IsSubmitted", lambda f: False), _07, _A),
    Property("item:IsDraft", _flag("IsDraft", lambda f: f.draft), _07, _A),
    Property(
        "item:IsFromMe",
        _flag("IsFromMe", lambda f: f.from_owner), _07, _A, HEADER,
    ),
    Property("item:IsResend", _flag("IsResend", lambda f: False), _07, _A),
    Property("item:IsUnmodified", _flag("IsUnmodified", lambda f: not f.draft), _07, _A),
    Property("item:InternetMessageHeaders", _headers, _07, _A, HEADER),
    Property(
        "item:DateTimeSent",
        _simple("DateTimeSent", lambda f: instant(f.sent_at if f.sent_at is not None else f.received_at)), _07, _D,
    ),
    Property("item:DateTimeCreated", _simple("DateTimeCreated", lambda f: instant(f.saved_at)), _07, _A),
    Property("item:ResponseObjects", _responses, _07, _D),
    Property("item:ReminderDueBy", _reminder_of("ReminderDueBy"), _07, _A),
    Property("item:ReminderIsSet", _flag("ReminderIsSet", _reminder), _07, _A),
    Property("item:ReminderNextTime", _moment("ReminderNextTime", "PidLidReminderSignalTime"), _13, _A),
    Property("item:ReminderMinutesBeforeStart", _reminder_of("ReminderMinutesBeforeStart"), _07, _A),
    Property("item:DisplayCc", _display("DisplayCc", b"cc"), _07, _A, HEADER),
    Property("item:DisplayTo", _display("DisplayTo", b"to"), _07, _A, HEADER),
    Property("item:DisplayBcc", _simple("DisplayBcc", lambda f: f.display(b"bcc")), _13, _A, HEADER),
    Property("item:HasAttachments", _flag("HasAttachments", lambda f: f.has_attachments), _07, _D),
)  # fmt: skip

AFTER_EXTENDED: tuple[Property, ...] = (
    Property("item:Culture", _simple("Culture", _culture), _07, _A, HEADER),
    Property("item:EffectiveRights", _effective, _07, _A),
    Property("item:LastModifiedName", _simple("LastModifiedName", lambda f: f.owner), _07, _A),
    Property("item:LastModifiedTime", _simple("LastModifiedTime", lambda f: instant(f.saved_at)), _07, _A),
    Property("item:IsAssociated", _flag("IsAssociated", lambda f: f.associated), _10, _A),
    Property("item:ConversationId", _conversation, _10, _A),
    Property("item:UniqueBody", _body("UniqueBody", lambda shape: shape.unique_body), _10, _X, CONTENT),
    Property("item:Flag", _flag_xml, _13, _A),
    Property("item:InstanceKey", _instance, _13, _A),
    Property("item:NormalizedBody", _body("NormalizedBody", lambda shape: shape.normalized_body), _13, _X, CONTENT),
    Property("item:RetentionDate", _moment("RetentionDate", "PidTagRetentionDate"), _13, _A),
    Property("item:Preview", _simple("Preview", preview), _13, _X, CONTENT),
    Property("item:IsClutter", _flag("IsClutter", lambda f: False), _13, _X),
    Property("item:BlockStatus", _block_status, _13, _X),
    Property("item:HasBlockedImages", _blocked, _13, _X, CONTENT),
    Property("item:TextBody", _body("TextBody", lambda shape: "Text"), _13, _X, CONTENT),
    Property("item:IconIndex", _simple("IconIndex", icon_of), _13, _X),
    Property("message:Sender", _one("Sender", _sender), _07, _A, HEADER),
    Property("message:ToRecipients", _people("ToRecipients", b"to"), _07, _D, CONTENT),
    Property("message:CcRecipients", _people("CcRecipients", b"cc"), _07, _D, CONTENT),
    Property("message:BccRecipients", _people("BccRecipients", b"bcc"), _07, _D, CONTENT),
    Property(
        "message:IsReadReceiptRequested",
        _flag("IsReadReceiptRequested", lambda f: f.field(b"disposition-notification-to") is not None), _07, _D, HEADER,
    ),
    Property(
        "message:IsDeliveryReceiptRequested",
        _flag("IsDeliveryReceiptRequested", lambda f: f.field(b"return-receipt-to") is not None), _07, _D, HEADER,
    ),
    Property("message:ConversationIndex", _index, _07, _A, HEADER),
    Property("message:ConversationTopic", _simple("ConversationTopic", lambda f: f.topic), _07, _A, HEADER),
    Property("message:From", _one("From", lambda f: _first(f, b"from", b"sender")), _07, _D, HEADER),
    Property("message:InternetMessageId", _simple("InternetMessageId", _message_id), _07, _D, HEADER),
    Property("message:IsRead", _flag("IsRead", lambda f: f.read), _07, _D),
    Property("message:IsResponseRequested", _flag("IsResponseRequested", _answer_wanted), _07, _A),
    Property("message:References", _simple("References", lambda f: f.text(b"references")), _07, _A, HEADER),
    Property("message:ReplyTo", _reply_to, _07, _A, CONTENT),
    Property("message:ReceivedBy", _one("ReceivedBy", _received_by), _SP1, _A),
    Property("message:ReceivedRepresenting", _one("ReceivedRepresenting", _represented), _SP1, _A),
)  # fmt: skip

THINGS: dict[str, tuple[Property, ...]] = {
    "CalendarItem": CALENDAR,
    "Contact": CONTACT,
    "DistributionList": LIST,
    "Task": TASK,
    "Item": (),
}
"""What items that are no messages have beside every item's properties."""
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
_TABLE = {row.uri: row for row in (*BEFORE_EXTENDED, *AFTER_EXTENDED)}
_POSTED = Property(
    "postitem:PostedTime",
    _simple("PostedTime", lambda f: instant(f.sent_at if f.sent_at is not None else f.received_at)),
    _07, _D,
)  # fmt: skip
_POST = (
    *(_TABLE[f"message:{name}"] for name in
      ("ConversationIndex", "ConversationTopic", "From", "InternetMessageId", "IsRead")),
    _POSTED,
    *(_TABLE[f"message:{name}"] for name in ("References", "Sender")),
)  # fmt: skip
"""What a post has beside every item's properties, in the schema's order (MS-OXWSPOST 2.2.4.1)."""
_ONLY_WHOLE = frozenset(
    row.uri for row in _TABLE.values() if row.needs in (CONTENT, MIME) and not row.uri.startswith("message:")
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
        self._post = plain_post + [row.make for row in chosen(_POST)]
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
