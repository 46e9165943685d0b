"""Properties that clients set on messages: what becomes of the MIME, the flags and the stored properties."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from lxml.etree import _Element as Element

from postern.formats.mime import compose
from postern.formats.mime.anatomy import anatomy, to_html
from postern.formats.mime.compose import Mailbox
from postern.formats.mime.document import Document
from postern.formats.mime.scan import scan
from postern.model.items import Flag
from postern.protocols.ews import extended
from postern.protocols.ews.attachment_requests import NewAttachment, new_attachment
from postern.protocols.ews.categories import category, keyword
from postern.protocols.ews.folder_requests import extended_of
from postern.protocols.ews.item_requests import FieldChange, NewItem
from postern.protocols.ews.paths import INTERNET_HEADERS, Extended, Field, Indexed
from postern.protocols.ews.reading import (
    base64_of,
    boolean,
    child,
    children,
    choice,
    date_time,
    integer,
    local,
    text,
    text_of,
)
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

IMPORTANCE = ("Low", "Normal", "High")
SENSITIVITY = ("Normal", "Personal", "Private", "Confidential")
_SENSITIVITY_WORDS = (b"", b"Personal", b"Private", b"Company-Confidential")
MAX_RECIPIENTS = 5000
_FIELD_NAME = re.compile(r"[!-9;-~]{1,100}", re.ASCII).fullmatch
_KEPT_FIELDS = frozenset({b"from", b"sender", b"to", b"cc", b"bcc", b"date", b"received", b"return-path"})
READ_ONLY = frozenset(
    {
        "ItemId", "ParentFolderId", "DateTimeReceived", "Size", "IsSubmitted", "IsDraft", "IsFromMe", "IsResend",
        "IsUnmodified", "DateTimeSent", "DateTimeCreated", "ResponseObjects", "DisplayCc", "DisplayTo", "DisplayBcc",
        "HasAttachments", "EffectiveRights", "LastModifiedName", "LastModifiedTime", "IsAssociated", "ConversationId",
        "UniqueBody", "StoreEntryId", "InstanceKey", "NormalizedBody", "Preview", "ConversationTopic", "ReceivedBy",
        "ReceivedRepresenting", "WebClientReadFormQueryString", "WebClientEditFormQueryString", "ApprovalRequestData",
        "VotingInformation", "ReminderMessageData", "TextBody", "InternetMessageHeaders", "ConversationIndex",
        "IsClutter", "BlockStatus", "HasBlockedImages", "EntityExtractionResult", "IconIndex", "PredictedActionReasons",
        "RightsManagementLicenseData",
    }
)  # fmt: skip
"""What follows from other things (MS-OXWSCORE 2.2.4.24)."""
IGNORED = frozenset({"StoreEntryId"})
"""What is read-only and passed over in a new item (MS-OXWSCORE appendix C, since Exchange 2013)."""
_OTHER_CLASSES = ("ipm.appointment", "ipm.contact", "ipm.task", "ipm.distlist", "ipm.activity")
"""A note is no other: Evolution makes its memos as messages of that class."""


class Draft:
    """A message while properties are set on it."""

    def __init__(self, document: Document, flags: int, keywords: frozenset[str], *, sent: bool) -> None:
        """`sent`: it is no draft, so that what is set concerns the owner alone where that can be said."""
        self.document = document
        self.flags = flags
        self.keywords = set(keywords)
        self.sent = sent
        self.properties: dict[str, Any] = {}
        self.removed: set[str] = set()
        self.attachments: list[NewAttachment] = []
        self.mime: bytes | None = None
        """The whole message as the client gives it."""
        self.rewritten = False
        """The MIME has changed."""
        self.received_at: int | None = None

    # --- the ways in

    def create(self, item: NewItem) -> None:
        """Take over all properties of a new item. Raises EwsViolation."""
        for name, element in sorted(item.values, key=lambda one: one[0] != "MimeContent"):
            if name not in IGNORED:
                self._set(name, element)

    def change(self, change: FieldChange) -> None:
        """Do one change. Raises EwsViolation."""
        path = change.path
        if isinstance(path, Extended):
            self._change_extended(path, change)
            return
        if isinstance(path, Indexed):
            raise EwsViolation("ErrorInvalidPropertySet", f"{path.uri} cannot be set.")
        assert isinstance(path, Field)
        name = path.uri.partition(":")[2]
        if name in READ_ONLY:
            raise EwsViolation("ErrorInvalidPropertySet", f"{path.uri} cannot be set.")
        if change.action == "Delete":
            self._delete(name)
            return
        assert change.value is not None
        if len(change.value.values) != 1:
            raise EwsViolation("ErrorIncorrectUpdatePropertyCount", "A change has exactly one property.")
        found, element = change.value.values[0]
        if found != name:
            raise EwsViolation("ErrorUpdatePropertyMismatch", "The property is not the one that the path names.")
        if change.action == "Append":
            self._append(name, element)
        else:
            self._set(name, element)

    # --- setting

    def _set(self, name: str, element: Element) -> None:
        setter = _SETTERS.get(name)
        if setter is not None:
            setter(self, element)
        elif name in READ_ONLY:
            raise EwsViolation("ErrorInvalidPropertySet", f"{name} cannot be set.")
        elif name in _STORED:
            key, read = _STORED[name]
            self.properties[key] = read(element)
        else:
            raise EwsViolation("ErrorInvalidPropertyRequest", f"A message has no property {name}.")

    def _append(self, name: str, element: Element) -> None:
        if name in _RECIPIENTS:
            field = _RECIPIENTS[name]
            before = self.document.get(field.lower().encode())
            added = compose.mailboxes(recipients(element))
            self.field(field, before + b",\r\n " + added if before else added)
        elif name == "Body":
            html = element.get("BodyType") == "HTML"
            new = text(element)
            old, was_html = self._body()
            if html and not was_html:
                old = to_html(old) if old else ""
            elif was_html and not html:
                new = new.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>\n")
            self.text(old + new, html=html or was_html)
        else:
            raise EwsViolation("ErrorInvalidPropertyAppend", f"Nothing can be appended to {name}.")

    def _body(self) -> tuple[str, bool]:
        for entity, html in ((self.document.html, True), (self.document.plain, False)):
            if entity is not None:
                found = anatomy(entity, scan(entity).parts)
                part = found.html if html else found.plain
                return (part.text(entity) if part is not None else ""), html
        return "", False

    def _delete(self, name: str) -> None:
        if name in _FIELDS:
            self.field(_FIELDS[name], None)
        elif name in _RECIPIENTS:
            self.field(_RECIPIENTS[name], None)
        elif name == "Body":
            self.text("", html=False)
        elif name == "Categories":
            self._no_categories()
        elif name == "Flag":
            self._flag(0)
        elif name == "Importance":
            self._importance(1)
        elif name == "Sensitivity":
            self._sensitivity(0)
        elif name in _STORED:
            self.removed.add(_STORED[name][0])
        else:
            raise EwsViolation("ErrorInvalidPropertyDelete", f"{name} cannot be removed.")

    # --- the MIME

    def field(self, name: str, value: bytes | None) -> None:
        """Set a header field."""
        self.document.set(name, value)
        self.rewritten = True

    def text(self, value: str, *, html: bool) -> None:
        """Set what is read."""
        self.document.set_text(value, html=html)
        self.rewritten = True

    def body(self, element: Element) -> None:
        """Body."""
        kind = choice(element.get("BodyType", ""), ("HTML", "Text"), "BodyType")
        self.text(text(element), html=kind == "HTML")

    def mime_content(self, element: Element) -> None:
        """MimeContent. Raises EwsViolation(ErrorMimeContentInvalidBase64String, ErrorMimeContentInvalid)."""
        try:
            content = base64_of(element.text or "", "MimeContent")
        except SchemaViolation as violation:
            raise EwsViolation("ErrorMimeContentInvalidBase64String", "MimeContent is not base64.") from violation
        if not content.strip():
            raise EwsViolation("ErrorMimeContentInvalid", "MimeContent is empty.")
        if b"\n" in content and b"\r\n" not in content[:100_000]:
            content = content.replace(b"\n", b"\r\n")
        self.mime = content
        self.document = Document.read(content)

    # --- flags and what lies beside the MIME

    def is_read(self, element: Element) -> None:
        """IsRead."""
        self._seen(boolean(text(element), "IsRead"))

    def _seen(self, seen: bool) -> None:
        self.flags = self.flags | Flag.SEEN if seen else self.flags & ~Flag.SEEN

    def categories(self, element: Element) -> None:
        """Categories."""
        self._no_categories()
        self.keywords |= {word for _, one in children(element) if (word := keyword(text(one)))}

    def _no_categories(self) -> None:
        self.keywords = {word for word in self.keywords if category(word) is None}

    def importance(self, element: Element) -> None:
        """Importance."""
        self._importance(IMPORTANCE.index(choice(text(element), IMPORTANCE, "Importance")))

    def _importance(self, value: int) -> None:
        if self.sent:
            self.properties["PidTagImportance"] = value
            return
        self.field("Importance", b"" if value == 1 else (b"Low", b"", b"High")[value])
        self.document.set("X-Priority", b"" if value == 1 else (b"5", b"", b"1")[value])

    def sensitivity(self, element: Element) -> None:
        """Sensitivity."""
        self._sensitivity(SENSITIVITY.index(choice(text(element), SENSITIVITY, "Sensitivity")))

    def _sensitivity(self, value: int) -> None:
        if self.sent:
            self.properties["PidTagSensitivity"] = value
        else:
            self.field("Sensitivity", _SENSITIVITY_WORDS[value])

    def flag(self, element: Element) -> None:
        """Flag (MS-OXWSCORE 2.2.4.20). Raises EwsViolation."""
        words = ("NotFlagged", "Complete", "Flagged")
        status = words.index(choice(text_of(element, "FlagStatus"), words, "FlagStatus"))
        dates = {name: date_time(text(one), name) for name, one in children(element) if name != "FlagStatus"}
        allowed: tuple[set[str], ...] = (set(), {"CompleteDate"}, {"StartDate", "DueDate"})
        if dates and dates.keys() != allowed[status]:
            raise EwsViolation(
                "ErrorInvalidArgument", "CompleteDate goes with Complete, StartDate and DueDate together with Flagged."
            )
        self._flag(status)
        for name, key in _FLAG_DATES.items():
            if name in dates:
                self.properties[key] = dates[name]
                self.removed.discard(key)

    def _flag(self, status: int) -> None:
        self.flags = self.flags | Flag.FLAGGED if status == 2 else self.flags & ~Flag.FLAGGED
        self.removed |= {*_FLAG_DATES.values(), "PidTagFlagStatus"}
        if status == 1:
            self.properties["PidTagFlagStatus"] = 1
            self.removed.discard("PidTagFlagStatus")
        else:
            self.properties.pop("PidTagFlagStatus", None)

    def receipt(self, name: str, element: Element) -> None:
        """IsReadReceiptRequested and its like: to whoever writes."""
        asked = boolean(text(element), "a receipt")
        author = self.document.get(b"from") or b""
        self.field(name, (author or b"<>") if asked else None)

    def attach(self, element: Element) -> None:
        """Attachments."""
        self.attachments += [new_attachment(one) for _, one in children(element)]

    # --- extended properties

    def extended_property(self, element: Element) -> None:
        """ExtendedProperty."""
        path, values, _ = extended_of(element)
        self.extended(path, extended.parse(path, values))

    def _change_extended(self, path: Extended, change: FieldChange) -> None:
        if change.action == "Append":
            raise EwsViolation("ErrorInvalidPropertyAppend", "Nothing can be appended to an extended property.")
        if change.action == "Delete":
            if path.property_set == INTERNET_HEADERS and path.name:
                self._internet_header(path.name, None)
            else:
                self.removed.add(extended.key(path))
            return
        assert change.value is not None
        if len(change.value.values) != 1 or change.value.values[0][0] != "ExtendedProperty":
            raise EwsViolation("ErrorIncorrectUpdatePropertyCount", "A change has exactly one property.")
        given, values, _ = extended_of(change.value.values[0][1])
        if given.identity != path.identity or given.kind != path.kind:
            raise EwsViolation("ErrorUpdatePropertyMismatch", "The property is not the one that the path names.")
        self.extended(given, extended.parse(given, values))

    def extended(self, path: Extended, value: Any) -> None:
        """Set one: those that flags or MIME express go there. Raises EwsViolation."""
        tag = path.tag
        if path.property_set == INTERNET_HEADERS and path.name and isinstance(value, str):
            self._internet_header(path.name, value)
        elif tag == 0x0E07 and isinstance(value, int):
            self._seen(bool(value & 0x01))
            self.flags = self.flags | Flag.DRAFT if value & 0x08 else self.flags & ~Flag.DRAFT
        elif tag in (0x0E06, 0x0039) and isinstance(value, datetime):
            if tag == 0x0E06:
                self.received_at = int(value.timestamp())
        elif tag == 0x1081 and isinstance(value, int):
            self.flags = self.flags | Flag.ANSWERED if value in (102, 103) else self.flags & ~Flag.ANSWERED
            self.keywords = {one for one in self.keywords if one.lower() != "$forwarded"}
            if value == 104:
                self.keywords.add("$Forwarded")
        elif tag == 0x1080:
            return  # an icon follows from what was done
        elif tag == 0x1090 and isinstance(value, int):
            self._flag(value if value in (1, 2) else 0)
        elif tag == 0x0037 and isinstance(value, str):
            self.field("Subject", compose.unstructured(value))
        elif tag == 0x0017 and isinstance(value, int) and 0 <= value <= 2:
            self._importance(value)
        elif tag == 0x0036 and isinstance(value, int) and 0 <= value <= 3:
            self._sensitivity(value)
        elif tag == 0x001A and isinstance(value, str):
            self.properties["PidTagMessageClass"] = value
        elif tag in extended.READ_ONLY:
            raise EwsViolation("ErrorInvalidPropertySet", f"The property 0x{tag:04X} cannot be set.")
        else:
            self.properties[extended.key(path)] = value

    def _internet_header(self, name: str, value: str | None) -> None:
        if not _FIELD_NAME(name) or name.lower().encode() in _KEPT_FIELDS or name.lower().startswith("content-"):
            raise EwsViolation("ErrorInvalidPropertySet", "That header field cannot be set.")
        self.field(name, compose.unstructured(value) if value is not None else None)


def recipients(element: Element) -> list[Mailbox]:
    """An ArrayOfRecipients. Raises EwsViolation."""
    found = [_mailbox(one) for _, one in children(element)]
    if len(found) > MAX_RECIPIENTS:
        raise EwsViolation("ErrorInvalidRecipients", f"A message has {MAX_RECIPIENTS} recipients of a kind at most.")
    return found


def _mailbox(element: Element) -> Mailbox:
    address = text_of(element, "EmailAddress").strip()
    routing = text_of(element, "RoutingType", "SMTP").strip() or "SMTP"
    if routing.upper() != "SMTP":
        raise EwsViolation("ErrorInvalidRoutingType", "Recipients are named by SMTP addresses.")
    if not address:
        raise EwsViolation("ErrorMissingInformationEmailAddress", "A recipient has no address.")
    return Mailbox(text_of(element, "Name"), address)


def single(element: Element) -> Mailbox:
    """A SingleRecipient. Raises EwsViolation."""
    found = child(element, "Mailbox")
    if found is None:
        raise SchemaViolation(f"{local(element)} needs the element Mailbox.")
    return _mailbox(found)


def _recipients(name: str) -> Callable[[Draft, Element], None]:
    return lambda draft, element: draft.field(name, compose.mailboxes(recipients(element)))


def _unstructured(name: str) -> Callable[[Draft, Element], None]:
    return lambda draft, element: draft.field(name, compose.unstructured(text(element)))


def _author(name: str) -> Callable[[Draft, Element], None]:
    return lambda draft, element: draft.field(name, compose.mailbox(single(element)))


def _message_id(draft: Draft, element: Element) -> None:
    value = text(element).strip()
    if draft.sent:
        raise EwsViolation("ErrorInvalidPropertySet", "InternetMessageId cannot be set.")
    draft.field("Message-ID", f"<{compose.clean(value).strip('<>')}>".encode("utf-8", "replace") if value else None)


def _item_class(draft: Draft, element: Element) -> None:
    value = text(element).strip()
    other = any(f"{value.lower()}.".startswith(f"{one}.") for one in _OTHER_CLASSES)
    if other or not value.lower().startswith(("ipm", "report")) or len(value) > 255:
        raise EwsViolation("ErrorObjectTypeChanged", "The class is not one of messages.")
    if value.lower() != "ipm.note":
        draft.properties["PidTagMessageClass"] = value


_RECIPIENTS = {"ToRecipients": "To", "CcRecipients": "Cc", "BccRecipients": "Bcc", "ReplyTo": "Reply-To"}
_FIELDS = {
    "Subject": "Subject",
    "InReplyTo": "In-Reply-To",
    "References": "References",
    "From": "From",
    "Sender": "Sender",
    "Culture": "Content-Language",
    "InternetMessageId": "Message-ID",
    "IsReadReceiptRequested": "Disposition-Notification-To",
    "IsDeliveryReceiptRequested": "Return-Receipt-To",
}
_FLAG_DATES = {"StartDate": "PidLidTaskStartDate", "DueDate": "PidLidTaskDueDate",
               "CompleteDate": "PidTagFlagCompleteTime"}  # fmt: skip
_STORED: dict[str, tuple[str, Callable[[Element], Any]]] = {
    "ReminderIsSet": ("PidLidReminderSet", lambda e: boolean(text(e), "ReminderIsSet")),
    "ReminderDueBy": ("PidLidReminderTime", lambda e: date_time(text(e), "ReminderDueBy")),
    "ReminderMinutesBeforeStart": ("PidLidReminderDelta", lambda e: integer(text(e), "ReminderMinutesBeforeStart", 0)),
    "ReminderNextTime": ("PidLidReminderSignalTime", lambda e: date_time(text(e), "ReminderNextTime")),
    "RetentionDate": ("PidTagRetentionDate", lambda e: date_time(text(e), "RetentionDate")),
    "IsResponseRequested": ("PidTagResponseRequested", lambda e: boolean(text(e), "IsResponseRequested")),
}
_SETTERS: dict[str, Callable[[Draft, Element], None]] = {
    "MimeContent": Draft.mime_content,
    "ItemClass": _item_class,
    "Subject": _unstructured("Subject"),
    "Sensitivity": Draft.sensitivity,
    "Body": Draft.body,
    "Attachments": Draft.attach,
    "Categories": Draft.categories,
    "Importance": Draft.importance,
    "InReplyTo": _unstructured("In-Reply-To"),
    "References": _unstructured("References"),
    "Culture": _unstructured("Content-Language"),
    "ExtendedProperty": Draft.extended_property,
    "Flag": Draft.flag,
    "Sender": _author("Sender"),
    "From": _author("From"),
    "IsReadReceiptRequested": lambda draft, element: draft.receipt("Disposition-Notification-To", element),
    "IsDeliveryReceiptRequested": lambda draft, element: draft.receipt("Return-Receipt-To", element),
    "InternetMessageId": _message_id,
    "IsRead": Draft.is_read,
    **{name: _recipients(field) for name, field in _RECIPIENTS.items()},
}
