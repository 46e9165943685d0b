"""The properties of a message, in the order of the schema (MS-OXWSCORE 2.2.4.24, MS-OXWSMSG 2.2.4.1)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from postern.formats.mime import header
from postern.model.ids import MailboxId
from postern.protocols.ews import calendar_xml, meeting_xml
from postern.protocols.ews.attachment_xml import attachments_xml
from postern.protocols.ews.body_xml import block_status, blocked, body, preview
from postern.protocols.ews.folder_xml import identity
from postern.protocols.ews.icons import icon_of
from postern.protocols.ews.ids import ConversationKey, conversation_id
from postern.protocols.ews.item_table import Maker, Property, Wish
from postern.protocols.ews.message_facts import MessageFacts, Person, instant
from postern.protocols.ews.thing_fields import THINGS
from postern.protocols.ews.values import FLAG_STATUS, IMPORTANCE, SENSITIVITY, SHORT, person_xml
from postern.protocols.ews.versions import Version
from postern.protocols.soap.writing import attribute, text

_MAX_FIELDS = 500


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


def _categories(facts: MessageFacts, wish: Wish) -> str:
    if not facts.categories:
        return ""
    return f"<t:Categories>{''.join(f'<t:String>{text(one)}</t:String>' for one in facts.categories)}</t:Categories>"


def _heading(name: bytes) -> str:
    return _known_heading(name) if len(name) <= SHORT else _open_heading(name)


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
    Property("item:Body", body("Body", lambda shape: shape.body), _07, _D, CONTENT),
    Property("item:Attachments", attachments_xml, _07, _D, CONTENT),
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
    Property("item:UniqueBody", body("UniqueBody", lambda shape: shape.unique_body), _10, _X, CONTENT),
    Property("item:Flag", _flag_xml, _13, _A),
    Property("item:InstanceKey", _instance, _13, _A),
    Property("item:NormalizedBody", body("NormalizedBody", lambda shape: shape.normalized_body), _13, _X, CONTENT),
    Property("item:RetentionDate", _moment("RetentionDate", "PidTagRetentionDate"), _13, _A),
    Property("item:Preview", _simple("Preview", preview), _13, _X, CONTENT),
    Property("item:IsClutter", _flag("IsClutter", lambda f: False), _13, _X),
    Property("item:BlockStatus", block_status, _13, _X),
    Property("item:HasBlockedImages", blocked, _13, _X, CONTENT),
    Property("item:TextBody", body("TextBody", lambda shape: "Text"), _13, _X, CONTENT),
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

_MESSAGE = {row.name: row for row in AFTER_EXTENDED if row.uri.startswith("message:")}
_POSTED = Property(
    "postitem:PostedTime",
    _simple("PostedTime", lambda f: instant(f.sent_at if f.sent_at is not None else f.received_at)),
    _07, _D,
)  # fmt: skip
POST = (
    *(_MESSAGE[name] for name in
      ("ConversationIndex", "ConversationTopic", "From", "InternetMessageId", "IsRead")),
    _POSTED,
    *(_MESSAGE[name] for name in ("References", "Sender")),
)  # fmt: skip
"""What a post has beside every item's properties, in the schema's order (MS-OXWSPOST 2.2.4.1)."""
