"""Read receipts (RFC 8098)."""

from __future__ import annotations

from email import message_from_bytes

import pytest

from postern.formats.mdn import asked_by, build
from postern.formats.mime.compose import Mailbox

HEAD = (
    b"Return-Path: <anna@example.org>\r\nFrom: Anna <anna@example.org>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <one@example.org>\r\nReferences: <zero@example.org>\r\n"
    b"Disposition-Notification-To: Anna <Anna@example.org>\r\n"
)


def test_to_the_return_path_or_to_nobody():
    assert asked_by(HEAD) == "Anna@example.org"
    for wrong in (
        HEAD.replace(b"Return-Path: <anna@", b"Return-Path: <else@"),
        HEAD.replace(b"Return-Path: <anna@example.org>", b"Return-Path: <>"),
        HEAD.replace(b"Anna@example.org>", b"Anna@example.org>, <b@example.org>"),
        HEAD + b"Auto-Submitted: auto-generated\r\n",
        HEAD.partition(b"\r\n")[2],
        HEAD[: HEAD.index(b"Disposition")],
    ):
        assert asked_by(wrong) is None


@pytest.mark.parametrize(("disposition", "subject"), [("displayed", "Read: Grüße"), ("deleted", "Not read: Grüße")])
def test_what_it_says(disposition, subject):
    content = build(HEAD, "anna@example.org", Mailbox("Борис", "boris@example.org"), disposition, "mail.example.org")
    assert content.isascii()
    read = message_from_bytes(content)
    assert read.get_content_type() == "multipart/report" and read.get_param("report-type") == "disposition-notification"
    text, report = read.get_payload()
    assert text.get_content_type() == "text/plain" and report.get_content_type() == "message/disposition-notification"
    fields = message_from_bytes(report.as_bytes().partition(b"\n\n")[2])
    assert fields["Final-Recipient"] == "rfc822; boris@example.org"
    assert fields["Original-Message-ID"] == "<one@example.org>"
    assert fields["Disposition"] == f"manual-action/MDN-sent-automatically; {disposition}"
    assert read["Auto-Submitted"] == "auto-replied" and read["In-Reply-To"] == "<one@example.org>"
    assert read["References"].split() == ["<zero@example.org>", "<one@example.org>"]
    from email.header import decode_header, make_header

    assert str(make_header(decode_header(read["Subject"]))) == subject


def test_hostile_fields_stay_in_their_lines():
    head = HEAD.replace(b"<one@example.org>", b"<one@example.org>\r\n\tBcc: x@example.net")
    content = build(head, "anna@example.org", Mailbox("a\r\nBcc: x@y", "boris@example.org"), "displayed", "h")
    assert b"\nBcc:" not in content
