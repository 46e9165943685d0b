"""A small message in the place of an item that is no message: what IMAP clients see of it in a mail folder."""

from __future__ import annotations

from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime

MAX_SUBJECT_CHARACTERS = 500


def standin(subject: str, sent_at: int | None) -> bytes:
    """A header block with its closing empty line, and no body. `sent_at`: seconds since the epoch."""
    text = "".join(char if char.isprintable() else " " for char in subject[:MAX_SUBJECT_CHARACTERS])
    lines = [f"Subject: {Header(text, 'utf-8', header_name='Subject').encode(linesep=chr(13) + chr(10))}"]
    if sent_at is not None:
        lines.append(f"Date: {format_datetime(datetime.fromtimestamp(sent_at, UTC))}")
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "", ""]
    return "\r\n".join(lines).encode("ascii")
