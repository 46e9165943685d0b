"""Message disposition notifications: read receipts, as multipart/report (RFC 8098 3).

Pure: whether one may be sent is for whoever knows the reader's wish. It goes out with the null reverse-path.
"""

from __future__ import annotations

from hashlib import sha256

from postern.formats.mime import compose, header
from postern.formats.mime.compose import Mailbox

MAX_REFERENCES = 50
_WORDS = {
    "displayed": ("Read: ", "Your message was displayed to its recipient."),
    "deleted": ("Not read: ", "Your message was deleted without being displayed."),
}


def asked_by(head: bytes) -> str | None:
    """The one address that a receipt would go to; None: nobody has asked, or it cannot be told who it was.

    RFC 8098 2.1: with several addresses, or another one than the message's own return path, nothing is sent without
    asking, and there is nobody to ask.
    """
    fields = header.all_of(head, b"disposition-notification-to")
    paths = header.all_of(head, b"return-path")
    if len(fields) != 1 or len(paths) != 1:
        return None
    wanted = [one for one in header.addresses(fields[0]) if one.mailbox and one.host]
    back = [one for one in header.addresses(paths[0]) if one.mailbox and one.host]
    if len(wanted) != 1 or len(back) != 1:
        return None
    to, path = (
        f"{(one.mailbox or b'').decode('utf-8', 'replace')}@{(one.host or b'').decode('utf-8', 'replace')}"
        for one in (wanted[0], back[0])
    )
    automatic = (header.first(head, b"auto-submitted") or b"no").partition(b";")[0].strip().lower() != b"no"
    return to if to.lower() == path.lower() and not automatic and to.isascii() else None


def build(head: bytes, to: str, reader: Mailbox, disposition: str, host: str) -> bytes:
    """The receipt, without Date and Message-ID. `head`: of what it is about; `disposition`: displayed or deleted."""
    prefix, said = _WORDS[disposition]
    subject = header.decode(header.first(head, b"subject") or b"")[:500]
    about = header.unfold(header.first(head, b"message-id") or b"").strip()
    status = [f"Reporting-UA: {host}; Postern", f"Final-Recipient: rfc822; {compose.clean(reader.address)}"]
    if about.isascii() and about:
        status.append(f"Original-Message-ID: {compose.clean(about.decode('ascii'))}")
    status.append(f"Disposition: manual-action/MDN-sent-automatically; {disposition}")
    report = "\r\n".join(status) + "\r\n"
    boundary = "=_" + sha256(f"{subject}\0{report}".encode("utf-8", "replace")).hexdigest()[:32]
    fields = [
        compose.field("From", compose.mailbox(reader)),
        compose.field("To", compose.mailbox(Mailbox("", to))),
        compose.field("Subject", compose.unstructured(prefix + subject)),
    ]
    if about:
        before = (header.first(head, b"references") or b"").split()[-MAX_REFERENCES:]
        fields.append(compose.field("In-Reply-To", about))
        fields.append(compose.field("References", b"\r\n ".join([*before, about])))
    fields.append(b"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")
    kind = f'multipart/report; report-type=disposition-notification;\r\n\tboundary="{boundary}"'
    fields.append(compose.field("Content-Type", kind.encode()))
    parts = (
        ("text/plain; charset=us-ascii", f"{said}\r\n"),
        ("message/disposition-notification", report),
    )
    body = "".join(f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n{content}\r\n" for kind, content in parts)
    return b"".join(fields) + f"\r\n{body}--{boundary}--\r\n".encode("utf-8", "replace")
