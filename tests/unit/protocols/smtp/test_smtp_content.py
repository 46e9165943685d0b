"""Content of DATA and BDAT: what is a bare newline, and where the dots are."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.protocols.smtp.content import Content

PIECES = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"\r\r\n", b"\n\r", b"\r\n..", b"\0"]), max_size=12
).map(b"".join)
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """In pieces of these sizes, again and again."""
    found, number = [], 0
    while data:
        size = cuts[number % len(cuts)]
        found.append(data[:size])
        data, number = data[size:], number + 1
    return found


@given(PIECES, CUTS)
def test_bare_newlines_are_those_that_are_left_without_the_pairs(pieces: bytes, cuts: list[int]) -> None:
    sent = pieces + b"\r\n"
    content = Content(1000)
    for piece in cut(sent, cuts):
        content.chunk(piece)
    kept = content.chunked()
    left = sent.replace(b"\r\n", b"")
    assert (content.flaw is not None) == (b"\r" in left or b"\n" in left or b"\0" in left)
    assert kept == (b"" if content.flaw else sent)


@given(PIECES, CUTS)
def test_newlines_are_mended_alike_however_they_come(pieces: bytes, cuts: list[int]) -> None:
    sent = pieces.replace(b"\0", b"")
    content = Content(1000, bare_newlines="fix")
    for piece in cut(sent, cuts):
        content.chunk(piece)
    mended = re.sub(rb"\r\n|\r|\n", b"\r\n", sent)
    assert content.chunked() == (mended if mended.endswith(b"\r\n") or not mended else mended + b"\r\n")


@given(PIECES, CUTS)
def test_binary_content_stays_as_it_is(pieces: bytes, cuts: list[int]) -> None:
    content = Content(1000, binary=True)
    for piece in cut(pieces, cuts):
        content.chunk(piece)
    assert (content.chunked(), content.flaw) == (pieces, None)


@given(PIECES, CUTS)
def test_one_chunk_and_many_are_the_same_message(pieces: bytes, cuts: list[int]) -> None:
    data = b"x\r\n" + pieces + b"\r\n.\r\nQUIT"
    at_once, in_pieces = Content(1000), Content(1000)
    whole = at_once.data(data)
    assert whole is not None
    read = b""
    for piece in cut(data, cuts):
        read += piece
        found = in_pieces.data(piece)
        if found is not None:
            assert (found[0], found[1] + data[len(read) :]) == whole
            assert ((in_pieces.flaw is None), in_pieces.size) == ((at_once.flaw is None), at_once.size)
            return
    raise AssertionError("the end was not found")


@pytest.mark.parametrize("bare_newlines", ["refuse", "fix"])
@pytest.mark.parametrize("body", [b"\r\n", b"\r", b"\n", b"\r\n..", b"x"], ids=["crlf", "cr", "lf", "dots", "x"])
def test_the_end_of_a_large_message_costs_no_more_than_its_pieces(body: bytes, bare_newlines) -> None:
    """Everything was looked at when the last octet had come: 36 MB held the loop for a second, mended CRs for 16 s."""
    octets = 16 << 20
    content = Content(64 << 20, bare_newlines=bare_newlines)
    piece = body * ((256 << 10) // len(body))
    costs = []
    for part in [*[piece] * (octets // len(piece)), b"\r\n.\r\n"]:
        began = time.process_time()
        found = content.data(part)
        costs.append(time.process_time() - began)
    assert found is not None
    assert costs[-1] * 4 < sum(costs), f"{costs[-1] * 1000:.0f} ms of {sum(costs) * 1000:.0f} at the end"
