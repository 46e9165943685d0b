"""What rules send: redirected and forwarded mail, automatic replies, rejections, words to the owner."""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from postern.formats import dsn
from postern.formats.mime import date, header
from postern.formats.mime.downgrade import needs
from postern.formats.sieve.message import encoded_value
from postern.model.actions import Forward, Reject
from postern.services.rules.stored import Letter, Once

LOOP_FIELDS = (b"x-loop", b"x-sieve-redirected-from", b"x-ms-exchange-inbox-rules-loop")
"""Where a redirected message says whose rules sent it on: ours, Pigeonhole's, Exchange's."""
MAX_REFERENCES_BYTES = 900
MAX_TEXT_CHARACTERS = 100_000


class Origin(NamedTuple):
    """The message that set a letter off, and whose rules did."""

    owner: str
    """Address of the mailbox."""
    name: str
    """Display name; may be empty."""
    reverse_path: str
    header: bytes
    """Its header block."""
    message_id: str
    """For our letter, without brackets."""
    host: str
    now: datetime


def text_field(name: str, value: str) -> bytes:
    """An unstructured header field, encoded and folded, control characters gone."""
    return name.encode() + b": " + encoded_value(value) + b"\r\n"


def loops(block: bytes, owner: str) -> bool:
    """Whether the owner's rules have sent that message on before."""
    mine = owner.lower().encode()
    return any(mine == value.strip(b" <>").lower() for field in LOOP_FIELDS for value in header.all_of(block, field))


def redirected(origin: Origin, address: str, trace: bytes, block: bytes | None, body: str, smtputf8: bool) -> Letter:
    """The message itself under its own sender (Exchange and Pigeonhole do so too); `block`: a changed header."""
    head = trace + b"X-Loop: " + origin.owner.encode() + b"\r\n" + (block or b"")
    return Letter(origin.reverse_path, (address,), head, body, smtputf8 or not address.isascii())


def automatic_reply(
    origin: Origin,
    text: str,
    once: Once,
    *,
    subject: str = "",
    prefix: str = "Auto: ",
    sender: str = "",
    mime: bool = False,
) -> Letter:
    """An answer to the sender (RFC 3834 3, RFC 5230 5), under the null reverse-path."""
    about = header.decode(header.first(origin.header, b"subject") or b"")[:500]
    head = b"".join(
        (
            _from(origin, sender),
            f"To: <{origin.reverse_path}>\r\n".encode(),
            text_field("Subject", subject or prefix + (about or "your message")),
            _common(origin),
            _threading(origin.header),
            b"Auto-Submitted: auto-replied (vacation)\r\nX-Auto-Response-Suppress: All\r\n",
        )
    )
    content = head + (_given_entity(text) if mime else entity(text))
    return Letter("", (origin.reverse_path,), content, needs(content), not origin.reverse_path.isascii(), once)


def rejection(origin: Origin, action: Reject, recipient: str, original: bytes) -> Letter:
    """Back to the sender: a disposition notification (RFC 5429 2.2.1), or a delivery status notification."""
    if action.status:
        status = dsn.RecipientStatus(recipient, dsn.Action.FAILED, "5.7.1", diagnostic=" ".join(action.text.split()))
        notification = dsn.build(
            dsn.Report(origin.reverse_path, origin.host, origin.message_id, [status], original), origin.now
        )
        return Letter("", (origin.reverse_path,), notification.content, notification.body, notification.smtputf8)
    boundary = _boundary(origin, original)
    identity = header.first(origin.header, b"message-id")
    machine = (
        f"Reporting-UA: {origin.host}; Postern\r\nFinal-Recipient: {_type(recipient)};{recipient}\r\n".encode()
        + (b"Original-Message-ID: " + identity + b"\r\n" if identity else b"")
        + b"Disposition: automatic-action/MDN-sent-automatically; deleted\r\n"
    )
    block = original.partition(b"\r\n\r\n")[0] + b"\r\n"
    about = header.decode(header.first(origin.header, b"subject") or b"")[:500]
    content = b"".join(
        (
            _from(origin, ""),
            f"To: <{origin.reverse_path}>\r\n".encode(),
            text_field("Subject", f"Rejected: {about}"),
            _common(origin),
            _threading(origin.header),
            b"Auto-Submitted: auto-replied (rejected)\r\n",
            b'Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary="%b"\r\n\r\n'
            % boundary,
            b"--%b\r\n" % boundary,
            entity(action.text),
            b"\r\n--%b\r\nContent-Type: message/disposition-notification\r\n\r\n" % boundary,
            machine,
            b"\r\n--%b\r\nContent-Type: text/rfc822-headers\r\n\r\n" % boundary,
            block,
            b"\r\n--%b--\r\n" % boundary,
        )
    )
    return Letter("", (origin.reverse_path,), content, needs(content), not origin.reverse_path.isascii())


def forwarded(origin: Origin, action: Forward, content: bytes) -> Letter:
    """A message of the owner's own: the original attached, or its text below a line that says whose it is."""
    about = header.decode(header.first(origin.header, b"subject") or b"")[:500]
    boundary = _boundary(origin, content)
    sender = header.decode(header.first(origin.header, b"from") or b"")
    when = header.decode(header.first(origin.header, b"date") or b"")
    words = "" if action.attached else f"---- Forwarded message ----\r\nFrom: {sender}\r\nDate: {when}\r\n"
    head = b"".join(
        (
            _from(origin, ""),
            ("To: " + ",\r\n ".join(f"<{address}>" for address in action.addresses) + "\r\n").encode(),
            text_field("Subject", f"FW: {about}"),
            _common(origin),
            _threading(origin.header),
            b"Auto-Submitted: auto-forwarded\r\nX-Loop: " + origin.owner.encode() + b"\r\n",
            b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n' % boundary,
            b"--%b\r\n" % boundary,
            entity(words + f"Subject: {about}\r\n"),
            b"\r\n--%b\r\nContent-Type: message/rfc822\r\n\r\n" % boundary,
            content,
            b"\r\n--%b--\r\n" % boundary,
        )
    )
    wide = any(not address.isascii() for address in action.addresses)
    return Letter(origin.owner, action.addresses, head, needs(head), wide)


def template(origin: Origin, content: bytes) -> Letter:
    """A message that lies in the mailbox, as an answer: its body and subject, our own other fields."""
    block, _, body = content.partition(b"\r\n\r\n")
    block += b"\r\n"
    kept = header.pick(block, (b"content-type", b"content-transfer-encoding", b"mime-version")).rstrip(b"\r\n")
    subject = header.decode(header.first(block, b"subject") or b"")
    about = header.decode(header.first(origin.header, b"subject") or b"")[:500]
    head = b"".join(
        (
            _from(origin, ""),
            f"To: <{origin.reverse_path}>\r\n".encode(),
            text_field("Subject", subject or f"RE: {about}"),
            _common(origin, version=False),
            _threading(origin.header),
            b"Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n",
            kept + b"\r\n" if kept else b"",
        )
    )
    whole = head + b"\r\n" + body
    return Letter("", (origin.reverse_path,), whole, needs(whole), not origin.reverse_path.isascii())


def trouble(origin: Origin, problem: str, once: Once) -> Letter:
    """To the owner: the rules failed, and the message was kept."""
    about = header.decode(header.first(origin.header, b"subject") or b"")[:200]
    text = (
        "Your mail rules could not be carried out for a message, which is in your Inbox instead.\r\n"
        f"\r\nMessage: {about}\r\nProblem: {problem}\r\n"
        "\r\nYou are told this once until you change your rules.\r\n"
    )
    content = b"".join(
        (
            f"From: Postern <postmaster@{origin.host}>\r\nTo: <{origin.owner}>\r\n".encode(),
            b"Subject: A problem with your mail rules\r\n",
            _common(origin),
            b"Auto-Submitted: auto-generated\r\n",
            entity(text),
        )
    )
    return Letter("", (origin.owner,), content, needs(content), not origin.owner.isascii(), once)


def entity(text: str) -> bytes:
    """A text as a MIME entity; HTML if it begins with a tag."""
    text = text[:MAX_TEXT_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    kind = "html" if text.lstrip().startswith("<") else "plain"
    data = text.encode("utf-8", "replace")
    if text.isascii() and all(len(line) < 990 for line in text.split("\r\n")):
        return f"Content-Type: text/{kind}; charset=us-ascii\r\n\r\n".encode() + data
    encoded = encodebytes(data).replace(b"\n", b"\r\n")
    return f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode() + encoded


def _given_entity(text: str) -> bytes:
    """`:mime`: header and body as the script has them; fields that would be the envelope's own are left out."""
    data = text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")
    block, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return entity(text)
    kept = b"".join(raw for name, raw in header.fields(block + b"\r\n") if name.startswith(b"content-"))
    return kept + b"\r\n" + body


def _from(origin: Origin, sender: str) -> bytes:
    if sender:
        written = header.addresses(sender.encode())
        if written and written[0].host:
            address = (written[0].mailbox or b"").decode() + "@" + written[0].host.decode()
            return _person((written[0].name or b"").decode("utf-8", "replace"), address)
    return _person(origin.name, origin.owner)


def _person(name: str, address: str) -> bytes:
    address = "".join(c for c in address if c.isprintable() and c not in "<> ")
    if not name:
        return f"From: <{address}>\r\n".encode()
    if name.isascii():
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'From: "{"".join(c for c in quoted if c.isprintable())}"\r\n <{address}>\r\n'.encode()
    return text_field("From", name)[:-2] + f"\r\n <{address}>\r\n".encode()


def _common(origin: Origin, *, version: bool = True) -> bytes:
    mime = "MIME-Version: 1.0\r\n" if version else ""
    return f"Date: {date.render(origin.now)}\r\nMessage-ID: <{origin.message_id}>\r\n{mime}".encode()


def _threading(block: bytes) -> bytes:
    identity = header.first(block, b"message-id")
    if not identity or len(identity) > MAX_REFERENCES_BYTES:
        return b""
    before = header.first(block, b"references") or header.first(block, b"in-reply-to") or b""
    references = before.split()[-10:]
    while sum(map(len, references)) + len(identity) > MAX_REFERENCES_BYTES:
        references.pop(0)
    return b"In-Reply-To: " + identity + b"\r\nReferences: " + b"\r\n ".join([*references, identity]) + b"\r\n"


def _boundary(origin: Origin, content: bytes) -> bytes:
    """One that nobody can have put into the content."""
    return b"=_" + blake2b(content, key=origin.message_id.encode()[:64], digest_size=16).hexdigest().encode()


def _type(address: str) -> str:
    return "rfc822" if address.isascii() else "utf-8"


def addresses_of(block: bytes, names: Sequence[bytes]) -> set[str]:
    """All addresses of address fields, lower case."""
    found: set[str] = set()
    for name in names:
        for value in header.all_of(block, name):
            found |= {
                f"{(one.mailbox or b'').decode('utf-8', 'replace')}@{one.host.decode('utf-8', 'replace')}".lower()
                for one in header.addresses(value)
                if one.host
            }
    return found
