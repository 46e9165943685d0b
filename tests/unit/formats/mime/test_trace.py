from __future__ import annotations

from datetime import UTC, datetime

import pytest

from postern.formats.mime import header, trace
from postern.model.envelope import Peer

WHEN = datetime(2026, 11, 23, 11, 12, 34, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return WHEN

    def timestamp(self) -> float:
        return WHEN.timestamp()

    def monotonic(self) -> float:
        return 0.0


class FixedEntropy:
    def token(self, size_bytes: int) -> bytes:
        return b"\xab" * size_bytes

    def below(self, limit: int) -> int:
        return 0


def peer(**changes: str) -> Peer:
    return Peer(
        **{"address": "192.0.2.1", "port": 1, "local_address": "", "local_port": 25, "data_path": "smtp"} | changes  # type: ignore[arg-type]
    )


def test_received_line() -> None:
    line = trace.received_line(
        peer(helo="client.example", protocol="ESMTPS", tls="TLSv1.3 X", reverse_name="rev.example"),
        "mx.example",
        "q1",
        int(WHEN.timestamp()),
        "u@example.org",
    )
    assert line == (
        b"Received: from client.example (rev.example [192.0.2.1])\r\n\t(using TLSv1.3 X)\r\n"
        b"\tby mx.example with ESMTPS id q1\r\n\tfor <u@example.org>;\r\n\tMon, 23 Nov 2026 11:12:34 +0000\r\n"
    )


def test_received_line_cannot_be_broken_by_what_the_client_says() -> None:
    line = trace.received_line(
        peer(helo="x\r\nEvil: (yes", address="2001:db8::1"), "mx", "q", int(WHEN.timestamp()), "a\r\nb: c"
    )
    assert line.startswith(b"Received: from x?Evil:?yes ([IPv6:2001:db8::1])\r\n\tby mx")
    assert len(header.fields(line)) == 1


def test_return_path_line() -> None:
    assert trace.return_path_line("") == b"Return-Path: <>\r\n"
    assert trace.return_path_line("a@b>\r\nX: y") == b"Return-Path: <a@b?X: y>\r\n"


@pytest.mark.parametrize(
    ("content", "added"),
    [
        (b"Date: x\r\nmessage-id: <y>\r\n\r\nbody", b""),
        (b"From: a\r\nDate: x\r\n\r\nMessage-ID: body", b"M"),
        (b"Message-ID: <y>\r\n\r\nDate: body", b"D"),
        (b"From: a\r\n\r\n", b"DM"),
        (b"\r\nDate: body", b"DM"),
        (b"", b"DM"),
        (b"just text\r\n", b"DM\r\n"),
    ],
)
def test_complete_submission(content: bytes, added: bytes) -> None:
    out = trace.complete_submission(content, FixedClock(), FixedEntropy(), "example.org")
    assert out.endswith(content)
    lines = out.removesuffix(content) if content else out
    names = [name for name, _ in header.fields(lines)]
    assert names == [b"date"] * added.count(b"D") + [b"message-id"] * added.count(b"M")
    assert lines.endswith(b"\r\n\r\n") == added.endswith(b"\r\n")
    if b"D" in added:
        assert b"Date: Mon, 23 Nov 2026 11:12:34 +0000\r\n" in lines
    if b"M" in added:
        assert b".abababababababababab@example.org>\r\n" in lines
