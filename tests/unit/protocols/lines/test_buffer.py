"""Lines: any chunking gives the same lines and the same faults."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from postern.protocols.lines.buffer import Fault, LineBuffer


def lines(chunks: list[bytes], limit: int) -> list[bytes | Fault]:
    buffer = LineBuffer()
    found: list[bytes | Fault] = []
    for chunk in chunks:
        buffer.feed(chunk)
        while (line := buffer.line(limit)) is not Fault.NEED_DATA:
            found.append(line)
    return found


def test_lines_and_faults() -> None:
    assert lines([b"a\r\n\r\nb\nc\rd\r\n\n\r\n"], 10) == [
        b"a",
        b"",
        Fault.BARE_NEWLINE,
        Fault.BARE_NEWLINE,
        Fault.BARE_NEWLINE,
        b"",
    ]


def test_long_line_is_dropped_once_and_kept_small() -> None:
    buffer = LineBuffer()
    for _ in range(1000):
        buffer.feed(b"x" * 100)
        assert buffer.line(50) is Fault.NEED_DATA
        assert len(buffer) <= 50
    buffer.feed(b"x\r\nnext\r\n")
    assert buffer.line(50) is Fault.TOO_LONG
    assert buffer.line(50) == b"next"


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bcd", b"e" * 12])), st.lists(st.integers(0, 40)))
def test_chunking_changes_nothing(tokens: list[bytes], cuts: list[int]) -> None:
    data = b"".join(tokens)
    edges = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    chunks = [data[a:b] for a, b in itertools.pairwise(edges)]
    whole = lines([data], 10)
    assert lines(chunks, 10) == whole
    assert lines([data[i : i + 1] for i in range(len(data))], 10) == whole


def test_take_and_clear() -> None:
    buffer = LineBuffer()
    buffer.feed(b"one\r\nrest")
    assert buffer.line(10) == b"one"
    assert buffer.take(2) == b"re"
    assert buffer.take_all() == b"st"
    buffer.feed(b"more")
    assert buffer.clear() == 4
    assert len(buffer) == 0
