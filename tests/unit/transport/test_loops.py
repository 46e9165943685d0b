from __future__ import annotations

import pytest

from postern.model.refusal import Reason, Refusal
from postern.transport.loops import check_loop


def message(lines: bytes, count: int) -> bytes:
    return lines * count + b"Subject: x\r\n\r\nreceived: in the body\r\n" + b"Received: no\r\n" * 100


def test_received_fields_are_counted_in_the_header_only() -> None:
    check_loop(message(b"RECEIVED: from a by b\r\n", 50), "mail.here.example")
    with pytest.raises(Refusal) as caught:
        check_loop(message(b"received: from a by b\r\n", 51), "mail.here.example")
    assert caught.value.reason is Reason.LOOP


def test_our_own_name_comes_back_a_few_times_only() -> None:
    ours = b"Received: from a\r\n by mail.here.example with ESMTP; x\r\n"
    check_loop(message(ours, 6), "mail.here.example")
    with pytest.raises(Refusal):
        check_loop(message(ours, 7), "Mail.here.example")
    check_loop(message(ours, 7), "l.here.example")


def test_no_header_at_all() -> None:
    check_loop(b"\r\n" + b"Received: x\r\n" * 99, "mail.here.example")
    check_loop(b"", "mail.here.example")
