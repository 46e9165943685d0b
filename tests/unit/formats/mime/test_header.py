from __future__ import annotations

import email.header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats.mime import header

BLOCK = (
    b"Received: from a\r\n\tby b\r\nFrom: x@y\r\nSUBJECT : folded\r\n  text\r\nFromage: brie\r\nnot a field\r\n"
    b"To: last@z\r\n\r\n"
)


def test_fields_keep_their_octets() -> None:
    assert header.fields(BLOCK) == [
        (b"received", b"Received: from a\r\n\tby b\r\n"),
        (b"from", b"From: x@y\r\n"),
        (b"subject", b"SUBJECT : folded\r\n  text\r\n"),
        (b"fromage", b"Fromage: brie\r\n"),
        (b"to", b"To: last@z\r\n"),
    ]


@pytest.mark.parametrize(
    ("names", "not_", "expected"),
    [
        ((b"From", b"sUbJect"), False, b"From: x@y\r\nSUBJECT : folded\r\n  text\r\n\r\n"),
        ((b"x-none",), False, b"\r\n"),
        ((), False, b"\r\n"),
        ((), True, BLOCK),
        (
            (b"received", b"subject", b"to"),
            True,
            b"From: x@y\r\nFromage: brie\r\nnot a field\r\n\r\n",
        ),
    ],
)
def test_pick(names: tuple[bytes, ...], not_: bool, expected: bytes) -> None:
    assert header.pick(BLOCK, names, not_) == expected


def test_pick_from_a_block_without_its_end() -> None:
    assert header.pick(b"A: 1\r\nB: 2", (b"b",)) == b"B: 2\r\n\r\n"
    assert header.pick(b"A: 1\nB: 2\n\n", (b"a",), True) == b"B: 2\n\r\n"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"From", b"To", b"X-Y"]), st.sampled_from([b" a", b"", b" a\r\n b", b"\r\n\t.", b" :"])
        ),
        max_size=12,
    )
)
def test_pick_and_its_opposite_share_the_header_out(found: list[tuple[bytes, bytes]]) -> None:
    lines = [name + b":" + value + b"\r\n" for name, value in found]
    block = b"".join(lines) + b"\r\n"
    chosen = [line for line in lines if line.startswith(b"From")]
    others = [line for line in lines if not line.startswith(b"From")]
    assert header.pick(block, (b"from",)) == b"".join(chosen) + b"\r\n"
    assert header.pick(block, (b"from",), True) == b"".join(others) + b"\r\n"
    assert [raw for _, raw in header.fields(block)] == lines


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"plain", "plain"),
        (b" folded\r\n\ttwice\r\n over ", "folded\ttwice over"),
        (b"=?utf-8?q?Caf=C3=A9_au?= lait", "Café au lait"),
        (b"=?UTF-8?B?0J/RgNC4?=\r\n =?utf-8?B?0LLQtdGC?=", "Привет"),
        (b"=?utf-8?B?0J/R?= =?utf-8?B?gA==?=", "Пр"),
        (b"=?utf-8?Q?=D0?= =?utf-8?Q?=9F?=", "П"),
        (b"=?koi8-r*ru?Q?=F0?= x =?iso-8859-1?q?=E9?=", "П x é"),
        (b"=?gb2312?B?xOO6ww==?=", "你好"),
        (b"=?x-none?Q?caf=E9?=", "café"),
        (b"=?utf-8?Q?two words?=", "two words"),
        (b"=?utf-8?B?****?=", ""),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("Привет".encode(), "Привет"),
        (b"caf\xe9", "café"),
        (b"a =?utf-8?q?b?= =?utf-8?q?c?= d", "a bc d"),
        (b"=?idna?Q?abc?=", "abc"),
        (b"=?zlib?Q?abc?=", "abc"),
    ],
)
def test_decode(raw: bytes, expected: str) -> None:
    assert header.decode(raw) == expected


@given(st.text(max_size=80).filter(lambda s: s == s.strip() and "=?" not in s and s.isprintable()))
def test_decode_reads_what_the_email_package_writes(value: str) -> None:
    raw = email.header.Header(value, "utf-8").encode(linesep="\r\n").encode()
    assert header.decode(raw) == value


@given(st.binary(max_size=200))
def test_nothing_in_a_header_raises(raw: bytes) -> None:
    header.decode(raw)
    header.decode(b"=?" + raw + b"?=")
    header.fields(raw)
    header.addresses(raw)
    assert header.pick(raw, (b"a",)).endswith(b"\r\n")


def test_first_and_all() -> None:
    assert header.first(BLOCK, b"subject") == b"folded  text"
    assert header.first(BLOCK, b"cc") is None
    assert header.all_of(b"A: 1\r\na: 2\r\n\r\n", b"a") == [b"1", b"2"]
