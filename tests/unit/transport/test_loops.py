from __future__ import annotations

import time

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


def test_a_message_without_a_blank_line_costs_no_more_than_a_header():
    """The whole of 36 MB was made small letters and searched, on the loop."""
    endless = b"a: b\r\n" * 6_000_000
    began = time.process_time()
    check_loop(endless, "mail.here.example")
    assert time.process_time() - began < 0.02
    with pytest.raises(Refusal, match="51 Received"):
        check_loop(b"Received: from a by b\r\n" * 51 + endless, "mail.here.example")
