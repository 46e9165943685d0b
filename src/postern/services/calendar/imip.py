"""Meeting messages as mail (RFC 6047): what they say, and the calendar beside it.

multipart/alternative of text, HTML and text/calendar with its method is what Outlook, Gmail and Apple's mail take for
an invitation; attachments make it the first part of a multipart/mixed.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.header import Header

import msgspec

from postern.convert.ical.writing import write_calendar
from postern.formats.mime import date
from postern.model.calendar.appointment import Attachment, Person
from postern.services.calendar import wording
from postern.services.calendar.outgoing import Method, Outgoing

_SAFE_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]\\\x00-\x20\x7f]+@[^\s<>,;:\"()\[\]\\@\x00-\x20\x7f]+")
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,60}")


def compose(message: Outgoing, now: datetime, message_id: str, boundary: str, language: str = "en") -> bytes:
    """The whole mail, CRLF lines, 7 bit but for messages that are attached.

    `message_id`: without brackets; `boundary`: random, 20 letters or more.

    A recipient whose address is none, or would break a line, is left out.
    """
    item = message.item
    sender = message.sender or item.organizer
    head = [_address("From", [sender] if sender is not None else [])]
    if message.on_behalf_of is not None:
        # From is whose calendar it is, Sender who pressed the button (RFC 5322 3.6.2)
        head = [_address("From", [message.on_behalf_of]), _address("Sender", [sender] if sender is not None else [])]
    head += [
        _address("To", message.recipients),
        _header("Subject", wording.subject(message, language)),
        f"Date: {date.render(now.astimezone(UTC))}",
        f"Message-ID: <{message_id}>",
        "MIME-Version: 1.0",
        "Content-Class: urn:content-classes:calendarmessage",
        f"Content-Language: {wording.known(language)}",
    ]
    only = ""
    if message.method in (Method.REPLY, Method.COUNTER) and sender is not None:
        only = (message.on_behalf_of or sender).address
    inner = f"{boundary}-alt"
    parts = [
        _part("text/plain; charset=utf-8", _text(message, language).encode()),
        _part("text/html; charset=utf-8", _html(message, language).encode()),
    ]
    if not message.forwarded_to:
        shown = msgspec.structs.replace(item, attachments=())
        calendar = write_calendar([shown], method=message.method.value, only=only)
        parts.append(_part(f"text/calendar; charset=utf-8; method={message.method.value}", calendar))
    body = _multipart("alternative", inner, parts)
    with_files = message.method is Method.REQUEST and not message.forwarded_to
    files = [each for each in item.attachments if each.content] if with_files else []
    if files:
        attached = [_attachment(each) for each in files]
        body = _multipart("mixed", boundary, [body, *attached])
    return "\r\n".join(each for each in head if each).encode("ascii", "replace") + b"\r\n" + body


def _multipart(kind: str, boundary: str, parts: Iterable[bytes]) -> bytes:
    edge = b"--" + boundary.encode()
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    return head + b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"


def _part(content_type: str, content: bytes, more: str = "") -> bytes:
    head = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: base64\r\n{more}\r\n"
    return head.encode() + base64.encodebytes(content).replace(b"\n", b"\r\n")


def _attachment(attachment: Attachment) -> bytes:
    kind = attachment.content_type if _TYPE.fullmatch(attachment.content_type) else "application/octet-stream"
    more = f"Content-Disposition: attachment;\r\n {_filename(attachment.name)}\r\n"
    if kind.lower() == "message/rfc822":
        # a message may not be encoded (RFC 2046 5.2.1)
        way = "7bit" if attachment.content.isascii() else "8bit"
        head = f"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {way}\r\n{more}\r\n"
        return head.encode() + attachment.content
    return _part(kind, attachment.content, more)


def _header(name: str, value: str) -> str:
    value = " ".join(value.split())
    coded = Header(value, None if value.isascii() else "utf-8", 75, name).encode(linesep="\r\n")
    return f"{name}: {coded}"


def _address(name: str, people: Iterable[Person]) -> str:
    written = []
    for person in people:
        if not _SAFE_ADDRESS.fullmatch(person.address):
            continue
        label = " ".join(person.name.split())
        if not label or label == person.address:
            written.append(person.address)
        elif label.isascii():
            quoted = label.replace("\\", "").replace('"', "'")
            written.append(f'"{quoted}" <{person.address}>')
        else:
            coded = Header(label, "utf-8").encode(linesep="\r\n")
            written.append(f"{coded} <{person.address}>")
    return f"{name}: " + ",\r\n ".join(written) if written else ""


def _filename(name: str) -> str:
    """RFC 2231."""
    coded = "".join(chr(each) if chr(each).isalnum() and each < 128 else f"%{each:02X}" for each in name.encode()[:200])
    return f"filename*=utf-8''{coded or 'attachment'}"


def _said(message: Outgoing, language: str) -> str:
    if message.forwarded_to:
        return wording.forwarded(message, language)
    if message.forwarded and message.comment and message.item.text:
        return f"{message.comment}\n\n{message.item.text}"
    return message.comment or (message.item.text if message.method is Method.REQUEST else "")


def _text(message: Outgoing, language: str) -> str:
    rows = [f"{name}: {value}" for name, value in wording.summary(message.item, language)]
    text = _said(message, language)
    return "\r\n".join([*rows, "", *text.splitlines(), ""])


def _html(message: Outgoing, language: str) -> str:
    rows = "".join(
        f"<tr><th align='left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in wording.summary(message.item, language)
    )
    said = _said(message, language)
    text = f"<p>{'<br>'.join(html.escape(each) for each in said.splitlines())}</p>" if said else ""
    return f"<!DOCTYPE html><html lang='{wording.known(language)}'><body><table>{rows}</table>{text}</body></html>"
