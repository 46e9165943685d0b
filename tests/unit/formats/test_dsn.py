from __future__ import annotations

import email
import email.message
from datetime import UTC, datetime, timedelta

import pytest

from postern.formats.dsn import Action, Notification, RecipientStatus, Report, build
from postern.formats.mime.downgrade import needs
from postern.formats.mime.scan import scan

NOW = datetime(2026, 11, 23, 11, 12, 34, tzinfo=UTC)
ORIGINAL = b"From: a@example.org\r\nSubject: hello\r\n\r\nthe text\r\n"


def report(*recipients: RecipientStatus, **changes: object) -> Report:
    fields: dict[str, object] = {
        "to": "a@example.org",
        "reporting_host": "mx.example.org",
        "message_id": "id1@mx.example.org",
        "recipients": recipients,
        "original": ORIGINAL,
        "arrived": NOW - timedelta(hours=4),
        "queue_id": "Q1",
    }
    return Report(**(fields | changes))  # type: ignore[arg-type]


def parts(built: Notification) -> list[email.message.Message]:
    message = email.message_from_bytes(built.content)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    return message.get_payload()  # type: ignore[return-value]


FAILED = RecipientStatus(
    "u@example.net",
    Action.FAILED,
    "5.1.1",
    original="rfc822;alias@example.org",
    diagnostic="550 5.1.1 no such\r\nuser",
    remote_host="mx.example.net",
    last_attempt=NOW,
)


def test_a_failure_says_everything() -> None:
    built = build(report(FAILED, envelope_id="e+1 x"), NOW)
    assert (built.body, built.smtputf8) == ("7BIT", False)
    message = email.message_from_bytes(built.content)
    assert message["to"] == "<a@example.org>"
    assert message["auto-submitted"] == "auto-replied"
    assert message["message-id"] == "<id1@mx.example.org>"
    text, status, returned = parts(built)
    said = text.get_payload()
    assert "<u@example.net>" in said
    assert "you wrote to <alias@example.org>" in said
    assert "The address does not exist" in said
    assert "550 5.1.1 no such  user" in " ".join(said.split("\r\n")) or "no such" in said
    message_fields, recipient_fields = status.get_payload()
    assert message_fields.items() == [
        ("Original-Envelope-Id", "e+1 x"),
        ("Reporting-MTA", "dns; mx.example.org"),
        ("X-Postern-Queue-Id", "Q1"),
        ("Arrival-Date", "Mon, 23 Nov 2026 07:12:34 +0000"),
    ]
    assert recipient_fields.items() == [
        ("Original-Recipient", "rfc822; alias@example.org"),
        ("Final-Recipient", "rfc822; u@example.net"),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Remote-MTA", "dns; mx.example.net"),
        ("Diagnostic-Code", "smtp; 550 5.1.1 no such user"),
        ("Last-Attempt-Date", "Mon, 23 Nov 2026 11:12:34 +0000"),
    ]
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload() == "From: a@example.org\r\nSubject: hello\r\n"


def test_ret_full_returns_the_message() -> None:
    returned = parts(build(report(FAILED, full=True), NOW))[2]
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_payload(0).get_payload() == "the text\r\n"


def test_an_eight_bit_original_makes_an_eight_bit_report() -> None:
    built = build(report(FAILED, full=True, original=b"From: a\r\n\r\n\xd0\xb9\r\n"), NOW)
    assert built.body == "8BITMIME" == needs(built.content)
    assert not built.smtputf8
    assert parts(built)[2]["content-transfer-encoding"] == "8bit"


@pytest.mark.parametrize("text", [b"\0", b"y" * 2000, b"bare\nlf"])
def test_a_binary_original_is_not_returned_whole(text: bytes) -> None:
    built = build(report(FAILED, full=True, original=b"From: a\r\n\r\n" + text), NOW)
    assert parts(built)[2].get_content_type() == "text/rfc822-headers"
    assert needs(built.content) == "7BIT"


def test_a_delay_says_until_when() -> None:
    delayed = RecipientStatus("u@x", Action.DELAYED, "4.4.1", retry_until=NOW + timedelta(days=5))
    text, status, _ = parts(build(report(delayed), NOW))
    assert "need not do anything" in text.get_payload()
    assert status.get_payload()[1]["will-retry-until"] == "Sat, 28 Nov 2026 11:12:34 +0000"


@pytest.mark.parametrize("action", list(Action))
def test_every_action_has_a_subject_and_an_explanation(action: Action) -> None:
    built = build(report(RecipientStatus("u@x", action, "2.0.0")), NOW)
    assert (
        email.message_from_bytes(built.content)["subject"]
        .lower()
        .startswith("un" if action is Action.FAILED else action.value)
    )
    assert parts(built)[1].get_payload()[1]["action"] == action.value


def test_a_mixed_report_is_led_by_the_failure() -> None:
    built = build(report(RecipientStatus("v@x", Action.DELIVERED, "2.1.5"), FAILED), NOW)
    assert email.message_from_bytes(built.content)["subject"].startswith("Undelivered")
    assert len(parts(built)[1].get_payload()) == 3


def test_an_international_report() -> None:
    status = RecipientStatus("жук@пример.рф", Action.FAILED, "5.6.7")
    built = build(
        report(status, to="я@пример.рф", smtputf8=True, full=True, original="Subject: й\r\n\r\nй".encode()), NOW
    )
    assert (built.body, built.smtputf8) == ("8BITMIME", True)
    types = [part.get_content_type() for part in parts(built)]
    assert types == ["text/plain", "message/global-delivery-status", "message/global"]
    assert "Final-Recipient: utf-8; жук@пример.рф\r\n".encode() in built.content
    assert "To: <я@пример.рф>\r\n".encode() in built.content


def test_a_sender_without_smtputf8_gets_an_ascii_status() -> None:
    built = build(report(RecipientStatus("жук@x", Action.FAILED, "5.6.7", diagnostic="нет")), NOW)
    assert not built.smtputf8
    fields = parts(built)[1].get_payload()[1]
    assert fields["final-recipient"] == "utf-8; \\x{436}\\x{443}\\x{43A}@x"
    assert fields["diagnostic-code"] == "x-postern; ???"


def test_a_talkative_server_does_not_break_lines() -> None:
    chatty = RecipientStatus("u@x", Action.FAILED, "5.0.0", diagnostic="word  " * 2000 + "\r\nX: y\0", remote_host="h")
    built = build(report(chatty), NOW)
    assert needs(built.content) == "7BIT"
    assert all(len(line) <= 998 for line in built.content.split(b"\r\n"))


def test_the_boundary_is_never_in_the_message() -> None:
    first = build(report(FAILED), NOW).content
    boundary = first.partition(b'boundary="')[2].partition(b'"')[0]
    again = build(report(FAILED, full=True, original=b"From: a\r\n\r\n--" + boundary + b"\r\n"), NOW).content
    assert b'boundary="' + boundary not in again
    assert scan(again).bodystructure.endswith(b" NIL NIL NIL)")
