"""Delivery status notifications: multipart/report of RFC 3464, with RFC 6533 where an address is not ASCII.

Pure: when to send one, and to whom, is transport's policy. A DSN always goes out with the null reverse-path.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from hashlib import sha256

import msgspec

from postern.formats.mime import date
from postern.formats.mime.downgrade import needs


class Action(Enum):
    """RFC 3464 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class RecipientStatus(msgspec.Struct, frozen=True):
    """What became of one recipient."""

    address: str
    """Final recipient."""
    action: Action
    status: str
    """Enhanced status code (RFC 3463), such as 5.1.1."""
    original: str = ""
    """ORCPT, `rfc822;address` with the xtext decoded; empty if not given."""
    diagnostic: str = ""
    """What the remote server said, or our own reason; without the `smtp;`."""
    remote_host: str = ""
    """Next hop's name, empty for local causes."""
    last_attempt: datetime | None = None
    retry_until: datetime | None = None
    """For DELAYED: when we give up."""


class Report(msgspec.Struct, frozen=True):
    """Everything a DSN says."""

    to: str
    """The reverse-path of the message that is reported on."""
    reporting_host: str
    """Our own name."""
    message_id: str
    """Of the DSN itself, without brackets."""
    recipients: Sequence[RecipientStatus]
    original: bytes
    """The reported message; only its header is read unless `full`."""
    full: bool = False
    """Return the whole message (RET=FULL), not only its header."""
    envelope_id: str = ""
    """ENVID, xtext decoded."""
    arrived: datetime | None = None
    queue_id: str = ""
    smtputf8: bool = False
    """The reported message came under SMTPUTF8, so its sender understands RFC 6533."""


class Notification(msgspec.Struct, frozen=True):
    """A DSN and the SMTP extensions it needs."""

    content: bytes
    body: str
    """7BIT or 8BITMIME."""
    smtputf8: bool


_SUBJECTS = {
    Action.FAILED: "Undelivered: your message could not be delivered",
    Action.DELAYED: "Delayed: your message has not been delivered yet",
    Action.DELIVERED: "Delivered: your message has arrived",
    Action.RELAYED: "Relayed: your message was passed on",
    Action.EXPANDED: "Expanded: your message was sent to the members of a list",
}

_EXPLANATIONS = {
    Action.FAILED: "Your message could not be delivered to:",
    Action.DELAYED: "Your message has not been delivered yet. You need not do anything; delivery is tried again. To:",
    Action.DELIVERED: "Your message was put into the mailbox of:",
    Action.RELAYED: "Your message was passed on to a server that does not report delivery, for:",
    Action.EXPANDED: "Your message was sent on to the members of:",
}
_ORDER = (Action.FAILED, Action.DELAYED, Action.DELIVERED, Action.RELAYED, Action.EXPANDED)

# What the commonest codes mean to a person (RFC 3463).
_MEANINGS = {
    "5.1.1": "The address does not exist. Check its spelling.",
    "5.1.2": "The domain in the address does not exist. Check its spelling.",
    "5.1.10": "The domain says that it accepts no mail.",
    "5.2.1": "The mailbox is disabled.",
    "5.2.2": "The mailbox is full.",
    "4.2.2": "The mailbox is full.",
    "5.2.3": "The message is larger than this recipient accepts.",
    "5.3.4": "The message is larger than the server accepts.",
    "4.4.1": "The server does not answer.",
    "4.4.7": "The message has waited too long.",
    "5.4.7": "The message has waited too long.",
    "5.4.6": "The message went round in a loop.",
    "5.6.3": "The server cannot take the message in its form (8-bit or binary).",
    "5.6.7": "The server cannot take addresses or headers in other than ASCII characters.",
    "5.7.1": "The server does not permit this message.",
}

_WIDTH = 76


def build(report: Report, now: datetime) -> Notification:
    """Write the DSN. The same report and time give the same octets."""
    kinds = {recipient.action for recipient in report.recipients}
    leading = next(action for action in _ORDER if action in kinds)
    international = report.smtputf8 and not _is_ascii(report)
    returned_type, returned = _returned(report, international)
    status_type = "message/global-delivery-status" if international else "message/delivery-status"
    status = _status(report, international)
    text = _text(report)
    eight_bit = not (text.isascii() and status.isascii() and returned.isascii())
    boundary = _boundary(report, text + status + returned)
    header = [
        f"From: Mail Delivery System <postmaster@{report.reporting_host}>",
        f"To: <{_line(report.to)}>",
        f"Subject: {_SUBJECTS[leading]}",
        f"Date: {date.render(now)}",
        f"Message-ID: <{report.message_id}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
    ]
    if not international and not report.to.isascii():
        header[1] = "To: undisclosed-recipients:;"
    if eight_bit:
        header.append("Content-Transfer-Encoding: 8bit")
    content = b"".join(
        (
            "\r\n".join(header).encode(),
            b"\r\n\r\nThis is a delivery report in several parts (RFC 3464).\r\n",
            _part(boundary, "text/plain; charset=utf-8", "Notification", text),
            _part(boundary, status_type, "Delivery report", status),
            _part(boundary, returned_type, "Message that is reported on", returned),
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )
    return Notification(content, "8BITMIME" if eight_bit else "7BIT", international and not report.to.isascii())


def _is_ascii(report: Report) -> bool:
    if not (report.to + report.envelope_id).isascii():
        return False
    return (
        all((r.address + r.original + r.diagnostic).isascii() for r in report.recipients)
        and _header(report.original).isascii()
    )


def _header(content: bytes) -> bytes:
    """The header block without its blank line."""
    if content.startswith(b"\r\n"):
        return b""
    end = content.find(b"\r\n\r\n")
    return content if end < 0 else content[: end + 2]


def _returned(report: Report, international: bool) -> tuple[str, bytes]:
    """Type and octets of the third part. A message that is no plain lines is not returned whole (RFC 2046 5.2.1)."""
    header = _header(report.original)
    if report.full and needs(report.original) != "BINARYMIME" and (international or header.isascii()):
        return ("message/global" if international else "message/rfc822"), report.original
    if not header.endswith(b"\r\n"):
        header += b"\r\n"
    return ("message/global-headers" if international else "text/rfc822-headers"), header


def _status(report: Report, international: bool) -> bytes:
    """The machine-readable part (RFC 3464 2.1)."""
    lines: list[str] = []
    if report.envelope_id:
        # RFC 3461 6.3: as it was meant, not in the xtext of the ENVID parameter
        lines.append(f"Original-Envelope-Id: {_line(report.envelope_id)}")
    lines.append(f"Reporting-MTA: dns; {report.reporting_host}")
    if report.queue_id:
        lines.append(f"X-Postern-Queue-Id: {report.queue_id}")
    if report.arrived is not None:
        lines.append(f"Arrival-Date: {date.render(report.arrived)}")
    for recipient in report.recipients:
        lines.append("")
        if recipient.original:
            kind, _, address = recipient.original.partition(";")
            lines.append(f"Original-Recipient: {_typed(kind, address, international)}")
        lines.append(f"Final-Recipient: {_typed('rfc822', recipient.address, international)}")
        lines.append(f"Action: {recipient.action.value}")
        lines.append(f"Status: {recipient.status}")
        if recipient.remote_host:
            lines.append(f"Remote-MTA: dns; {_line(recipient.remote_host)}")
        if recipient.diagnostic:
            said = _line(recipient.diagnostic)
            if not international:
                said = said.encode("ascii", "replace").decode()
            lines.append(_folded(f"Diagnostic-Code: {'smtp' if recipient.remote_host else 'x-postern'}; {said}"))
        if recipient.last_attempt is not None:
            lines.append(f"Last-Attempt-Date: {date.render(recipient.last_attempt)}")
        if recipient.retry_until is not None and recipient.action is Action.DELAYED:
            lines.append(f"Will-Retry-Until: {date.render(recipient.retry_until)}")
    return ("\r\n".join(lines) + "\r\n").encode()


def _typed(kind: str, address: str, international: bool) -> str:
    """`type; address`. Outside RFC 6533 reports a non-ASCII address is written in utf-8-addr-xtext (RFC 6533 3)."""
    address = _line(address)
    if address.isascii() and kind.lower() != "utf-8":
        return f"{kind}; {address}"
    if international:
        return f"utf-8; {address}"
    return "utf-8; " + "".join(c if c.isascii() and c not in "\\+=" else f"\\x{{{ord(c):X}}}" for c in address)


def _text(report: Report) -> bytes:
    """The part for people. UTF-8: every mail program reads that."""
    lines = [f"This is the mail server {report.reporting_host}.", ""]
    for action in _ORDER:
        chosen = [recipient for recipient in report.recipients if recipient.action is action]
        if not chosen:
            continue
        lines.append(_EXPLANATIONS[action])
        for recipient in chosen:
            lines += ["", f"  <{_line(recipient.address)}>"]
            original = recipient.original.partition(";")[2].strip()
            if original and original.lower() != recipient.address.lower():
                lines.append(f"    (you wrote to <{_line(original)}>)")
            meaning = _MEANINGS.get(recipient.status)
            if meaning:
                lines.append(f"    {meaning}")
            if recipient.diagnostic and recipient.remote_host:
                lines += _wrapped(f"{_line(recipient.remote_host)} said: {_line(recipient.diagnostic)}")
            elif recipient.diagnostic:
                lines += _wrapped(_line(recipient.diagnostic))
            if action is Action.DELAYED and recipient.retry_until is not None:
                lines.append(f"    Delivery is tried until {date.render(recipient.retry_until)}.")
        lines.append("")
    lines.append("The technical details and the message (or its header) follow below.")
    return ("\r\n".join(lines) + "\r\n").encode()


def _wrapped(text: str) -> list[str]:
    out, line = [], "   "
    for word in text.split():
        if len(line) + len(word) + 1 > _WIDTH and line.strip():
            out.append(line)
            line = "   "
        line += " " + word
    out.append(line)
    return out


def _folded(field: str) -> str:
    """Fold at spaces, so that no line passes 998 octets even if a remote server was talkative."""
    out, line = [], ""
    for word in field.split():
        if line and len(line) + len(word) + 1 > _WIDTH:
            out.append(line)
            line = "\t" + word
        else:
            line = f"{line} {word}" if line else word
    out.append(line)
    return "\r\n".join(out)


def _line(value: str) -> str:
    """One line of text: what a peer said may hold anything."""
    return "".join(" " if ord(c) < 32 or ord(c) == 127 else c for c in value)[:900].strip()


def _part(boundary: str, content_type: str, description: str, data: bytes) -> bytes:
    encoding = "" if data.isascii() else "Content-Transfer-Encoding: 8bit\r\n"
    return (
        f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Description: {description}\r\n{encoding}\r\n"
    ).encode() + data


def _boundary(report: Report, data: bytes) -> str:
    """A boundary that does not occur in the parts."""
    seed = report.message_id.encode()
    while True:
        seed = sha256(seed).digest()
        boundary = "=_report_" + seed.hex()[:24]
        if boundary.encode() not in data:
            return boundary
