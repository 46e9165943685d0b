"""POP3 lines become events, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.model.refusal import ProtocolViolation
from postern.protocols.pop3.commands import COMMANDS, Command, State, parse
from postern.protocols.pop3.replies import error, lines, ok, stuffed, top
from postern.protocols.pop3.session import Bad, Response, Session


def events(session: Session, chunks: list[bytes]) -> list[object]:
    found = []
    for chunk in chunks:
        session.feed(chunk)
        while (event := session.next_event()) is not None:
            found.append(event)
    return found


@given(data=st.data())
def test_chunking_never_changes_events(data):
    line = st.sampled_from(
        [
            b"CAPA\r\n",
            b"user a b\r\n",
            b"RETR 1\r\n",
            b"rubbish\r\n",
            b"\r\n",
            b"x\n",
            b"\xff\0\r\n",
            b"y" * 600 + b"\r\n",
        ]
    ) | st.binary(max_size=20)
    wire = b"".join(data.draw(st.lists(line, max_size=8)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    chunks = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert (
        events(Session(), chunks)
        == events(Session(), [wire])
        == events(Session(), [wire[i : i + 1] for i in range(len(wire))])
    )


def test_states_and_arguments():
    assert parse(b"uidl", State.TRANSACTION) == Command(b"UIDL", ())
    assert parse(b"PASS two  words ", State.AUTHORIZATION).arguments == (b"two  words ",)
    assert parse(b"TOP 1 20", State.TRANSACTION).number(1) == 20
    for line, state, reason in [
        (b"RETR 1", State.AUTHORIZATION, "log in first"),
        (b"USER x", State.TRANSACTION, "already logged in"),
        (b"RETR", State.TRANSACTION, "missing"),
        (b"STAT 1", State.TRANSACTION, "too many"),
        (b"XYZZY", State.TRANSACTION, "unknown"),
        (b"USER a\0b", State.AUTHORIZATION, "NUL"),
    ]:
        with pytest.raises(ProtocolViolation, match=reason):
            parse(line, state)
    for number in (b"x", b"-1", b"1" * 30, "١".encode()):
        with pytest.raises(ProtocolViolation):
            Command(b"RETR", (number,)).number()
    assert all(syntax.section.startswith("RFC") for syntax in COMMANDS.values())


def test_sasl_responses():
    session = Session()
    session.expect_response()
    assert events(session, [b"AGEAYg==\r\nCAPA\r\n"]) == [Response(b"\0a\0b"), Command(b"CAPA", ())]
    session.expect_response()
    assert events(session, [b"*\r\n"]) == [Response(None)]
    session.expect_response()
    assert events(session, [b"not base64!\r\nQUIT\r\n"]) == [Bad("invalid base64"), Command(b"QUIT", ())]


def test_nothing_survives_the_start_of_tls():
    session = Session()
    session.feed(b"STLS\r\nUSER injected\r\n")
    assert session.next_event() == Command(b"STLS", ())
    session.start_tls()
    assert session.next_event() is None


@given(
    st.binary(max_size=60) | st.lists(st.sampled_from([b".", b"\r\n", b"\n", b"a", b".."]), max_size=12).map(b"".join)
)
def test_stuffing_is_undone_by_a_client_and_never_ends_early(content):
    wire = stuffed(content)
    assert wire.endswith(b".\r\n")
    body = wire[:-3]
    assert not body.startswith(b".\r\n") and b"\n.\r\n" not in body and b"\n.\n" not in body
    if b"\n" not in content.replace(b"\r\n", b""):  # a bare LF before a dot is doubled too, on purpose
        undone = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in body.split(b"\r\n"))
        assert undone in (content, content + b"\r\n")


def test_top():
    message = b"A: b\r\n\r\none\r\ntwo\r\nthree"
    assert top(message, 0) == b"A: b\r\n\r\n"
    assert top(message, 2) == b"A: b\r\n\r\none\r\ntwo\r\n"
    assert top(message, 3) == top(message, 99) == top(message, 1 << 40) == message
    assert top(b"no blank line", 0) == b"no blank line"
    assert top(b"\r\nbody\r\n", 0) == b"\r\n"


def test_replies():
    assert ok() == b"+OK\r\n" and ok("x") == b"+OK x\r\n"
    assert error("no", "IN-USE") == b"-ERR [IN-USE] no\r\n" and error("no") == b"-ERR no\r\n"
    assert lines("two", ["1", "2"]) == b"+OK two\r\n1\r\n2\r\n.\r\n"
    assert lines("none", []) == b"+OK none\r\n.\r\n"
