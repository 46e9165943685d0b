"""Content of DATA: what is a bare newline, and where the dots are."""

from hypothesis import given
from hypothesis import strategies as st

from postern.protocols.smtp import reply
from postern.protocols.smtp.content import Content, check

PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"\r\r\n", b"\n\r"]), max_size=12).map(b"".join)


@given(PIECES)
def test_bare_newlines_are_those_that_are_left_without_the_pairs(pieces: bytes) -> None:
    content = pieces + b"\r\n"
    left = content.replace(b"\r\n", b"")
    refused = check(content, binary=False, bare_newlines="refuse") is reply.BARE_NEWLINE
    assert refused == (b"\r" in left or b"\n" in left)


@given(PIECES)
def test_one_chunk_and_many_end_at_the_same_octet(pieces: bytes) -> None:
    data = b"x\r\n" + pieces + b"\r\n.\r\nQUIT"
    whole = Content(1000).data(data)
    slowly = Content(1000)
    for position in range(len(data)):
        found = slowly.data(data[position : position + 1])
        if found is not None:
            assert whole == (found[0], data[position + 1 :])
            return
    raise AssertionError("the end was not found")
