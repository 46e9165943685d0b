"""Which messages belong together, told from their headers."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats.mime import conversation
from postern.formats.mime.scan import scan

INDEX = b"\x01\xd5\x01\x02\x03\x04" + bytes(range(16))
REPLY_INDEX = INDEX + b"\x00\x01\x02\x03\x04"


def number(*lines: str) -> int:
    return scan("".join(line + "\r\n" for line in lines).encode() + b"\r\ntext\r\n").conversation


def index(raw: bytes) -> str:
    return "Thread-Index: " + base64.b64encode(raw).decode()


FIRST = number("Message-ID: <first@a.example>", "Subject: plan", index(INDEX))


@pytest.mark.parametrize(
    "lines",
    [
        ("Message-ID: <2@b.example>", "References: <first@a.example>", "Subject: Re: plan"),
        ("Message-ID: <3@b.example>", "References: <first@a.example>\r\n <2@b.example>", "In-Reply-To: <2@b.example>"),
        ("Message-ID: <4@b.example>", "In-Reply-To: <first@a.example>"),
        ("Message-ID: <5@b.example>", "References: words <first@a.example><2@b.example>", index(REPLY_INDEX)),
        ("Message-ID: <6@b.example>", "references:\r\n\t<first@a.example>", "Subject: something else"),
        ("Message-ID: <7@b.example>", "References: nothing in brackets", "In-Reply-To: <first@a.example>"),
    ],
    ids=["references", "folded", "in-reply-to", "outlook", "renamed", "rubbish"],
)
def test_replies_name_the_first_message(lines: tuple[str, ...]) -> None:
    assert number(*lines) == FIRST


def test_replies_with_a_thread_index_alone_are_together() -> None:
    one = number("Message-ID: <2@b.example>", index(REPLY_INDEX))
    two = number("Message-ID: <3@b.example>", index(REPLY_INDEX + b"\x00\x01\x02\x03\x05"))
    other = number("Message-ID: <4@b.example>", index(REPLY_INDEX[:6] + bytes(16) + b"12345"))
    assert one == two != other


def test_same_subjects_are_not_one_conversation() -> None:
    assert number("Message-ID: <1@a.example>", "Subject: report") != number(
        "Message-ID: <2@a.example>", "Subject: report"
    )


def test_without_any_id_the_subject_tells() -> None:
    assert number("Subject: Re: plan") == number("Subject: plan") != number("Subject: plans")
    assert number("Date: Tue, 14 Nov 2023 22:13:20 +0000") != number("Date: Tue, 14 Nov 2023 22:13:21 +0000")


@pytest.mark.parametrize("value", ["!!!!", "AQ==", "", base64.b64encode(b"\x02" + bytes(40)).decode()])
def test_a_thread_index_that_is_none(value: str) -> None:
    assert number("Message-ID: <1@a.example>", "Thread-Index: " + value) == number("Message-ID: <1@a.example>")


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_anything_has_a_number(references: bytes, reply: bytes, own: bytes, indexed: bytes) -> None:
    digest = conversation.digest(references, reply, own, indexed)
    assert len(digest) == 16
    assert 0 < conversation.number(digest) < 2**63
