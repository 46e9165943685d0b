"""Framing: commands, literals, limits; the same however the octets are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.protocols.imap.session import Command, Continue, Event, Limits, Rejected, ServerSession, State

SMALL = Limits(line_bytes=100, line_before_login_bytes=60, literal_bytes=20, append_bytes=50)


def run(data: bytes, sizes: list[int] | None = None, state: State = State.AUTHENTICATED) -> list[Event]:
    """All events of octets that come in pieces of these sizes (the last one repeats)."""
    session = ServerSession(SMALL, state)
    events: list[Event] = []
    position = 0
    sizes = sizes or [len(data) or 1]
    for size in sizes + [sizes[-1]] * len(data):
        session.feed(data[position : position + size])
        position += size
        while (event := session.next()) is not None:
            events.append(event)
        if position >= len(data):
            break
    return events


def test_plain_command():
    assert run(b"a1 noop\r\na2 UID fetch 1:* (FLAGS)\r\n") == [
        Command(b"a1", b"NOOP", b"", []),
        Command(b"a2", b"UID FETCH", b"1:* (FLAGS)", []),
    ]


def test_synchronizing_literal_asks_to_go_on():
    assert run(b"a LOGIN {3}\r\nann {6}\r\nsecret\r\n") == [
        Continue(),
        Continue(),
        Command(b"a", b"LOGIN", b"\0 \0", [b"ann", b"secret"]),
    ]


def test_non_synchronizing_literal():
    assert run(b"a LOGIN {3+}\r\na\r\n {0+}\r\n\r\nb NOOP\r\n") == [
        Command(b"a", b"LOGIN", b"\0 \0", [b"a\r\n", b""]),
        Command(b"b", b"NOOP", b"", []),
    ]


def test_literal_over_the_limit_is_refused_and_swallowed():
    big = b"x" * 300 + b"\r\nz LOGOUT\r\n"
    events = run(b"a CREATE {%d+}\r\n%b\r\nb NOOP\r\n" % (len(big), big))
    assert events == [Rejected(b"a", b"BAD Literal too large"), Command(b"b", b"NOOP", b"", [])]


def test_waiting_client_is_told_at_once_that_its_literal_is_too_large():
    assert run(b"a CREATE {21}\r\n") == [Rejected(b"a", b"BAD Literal too large")]


def test_message_over_the_limit():
    assert run(b"a APPEND x {2000}\r\nb NOOP\r\n") == [
        Rejected(b"a", b"NO [TOOBIG] Message too large"),
        Command(b"b", b"NOOP", b"", []),
    ]


def test_before_login_append_gets_no_room():
    assert run(b"a APPEND x {20000}\r\n", state=State.NOT_AUTHENTICATED) == [Rejected(b"a", b"BAD Literal too large")]


def test_literals_of_one_command_share_the_limit():
    events = run(b"a LOGIN {15+}\r\n%b {15+}\r\n%b\r\nb NOOP\r\n" % (b"x" * 15, b"y" * 15))
    assert events == [Rejected(b"a", b"BAD Literal too large"), Command(b"b", b"NOOP", b"", [])]


def test_long_line_is_swallowed_to_its_end():
    events = run(b"a1 SEARCH " + b"x" * 5000 + b"\r\na2 NOOP\r\n")
    assert events == [Rejected(b"a1", b"BAD Command line too long"), Command(b"a2", b"NOOP", b"", [])]


def test_long_line_with_a_literal_at_its_end():
    events = run(b"a1 SEARCH " + b"x" * 5000 + b" {10+}\r\nb NOOP\r\n\r\n more\r\na2 NOOP\r\n")
    assert events == [Rejected(b"a1", b"BAD Command line too long"), Command(b"a2", b"NOOP", b"", [])]


@pytest.mark.parametrize("size", [b"4294967297", b"99999999999", b"18446744073709551616", b"9" * 20, b"9" * 40])
@pytest.mark.parametrize("state", [State.NOT_AUTHENTICATED, State.AUTHENTICATED])
def test_a_literal_that_would_take_for_ever_ends_the_session(size, state):
    """RFC 7888 4: nobody waits for its octets, and none of them is taken for a command."""
    for command in (b"a CREATE {%b+}\r\nb NOOP\r\n", b"a CREATE {30+}\r\n" + b"x" * 30 + b" {%b+}\r\nb NOOP\r\n"):
        events = run(command % size, state=state)
        assert events == [Rejected(b"a", b"BAD Literal too large", closes=True)]
        assert run(command % size, [1], state=state) == events
    # who waits can go on
    events = run(b"a CREATE {%b}\r\nb NOOP\r\n" % size, state=state)
    assert events == [Rejected(b"a", b"BAD Literal too large"), Command(b"b", b"NOOP", b"", [])]


def test_a_literal_of_few_octets_may_have_many_digits():
    assert run(b"a CREATE {%b3+}\r\nabc\r\n" % (b"0" * 30)) == [Command(b"a", b"CREATE", b"\0", [b"abc"])]


@pytest.mark.parametrize("size", [20, 28, 29, 30, 31, 32, 33, 60])
def test_a_long_line_that_ends_with_an_endless_literal(size):
    data = b"a1 SEARCH " + b"x" * 300 + b" {" + b"9" * size + b"+}\r\nb NOOP\r\n"
    for sizes in ([len(data)], [1], [250, 100, 7]):
        assert run(data, sizes) == [Rejected(b"a1", b"BAD Command line too long", closes=True)]


def test_line_ends_and_nul():
    assert run(b"a NOOP\nb NO\0OP\r\nc NO\rOP\r\nd NOOP\r\n") == [
        Rejected(b"a", b"BAD Bare CR or LF in a command"),
        Rejected(b"b", b"BAD NUL in a command"),
        Rejected(b"c", b"BAD Bare CR or LF in a command"),
        Command(b"d", b"NOOP", b"", []),
    ]


def test_no_tag_no_command():
    assert run(b"\r\n(\r\na\r\na 1\r\n") == [
        Rejected(b"*", b"BAD Invalid tag"),
        Rejected(b"*", b"BAD Invalid tag"),
        Rejected(b"a", b"BAD Missing or invalid command"),
        Rejected(b"a", b"BAD Missing or invalid command"),
    ]


def test_next_line_and_clear():
    session = ServerSession(Limits())
    session.feed(b"a AUTHENTICATE PLAIN\r\nAGEAYg")
    assert session.next() == Command(b"a", b"AUTHENTICATE", b"PLAIN", [])
    assert session.next_line() is None
    session.feed(b"==\r\nrest")
    assert session.next_line() == b"AGEAYg=="
    assert session.clear() == 4
    assert session.pending() == 0
    session.feed(b"b NOOP\r\n")
    assert session.next() == Command(b"b", b"NOOP", b"", [])


_TEXT = st.lists(
    st.sampled_from(
        [
            b"a1 NOOP\r\n",
            b"a2 LOGIN {3}\r\nabc {2+}\r\nxy\r\n",
            b"a3 APPEND x {40+}\r\n" + b"m" * 40 + b"\r\n",
            b"a4 APPEND x {2000+}\r\n" + b"m" * 2000 + b"\r\n",
            b"a5 SEARCH " + b"t" * 300 + b"\r\n",
            b"a6 SEARCH " + b"t" * 300 + b" {30+}\r\n" + b"z" * 30 + b"\r\n",
            b"\r\n",
            b"bare\n",
            b"n\0ul\r\n",
            b"a7 CREATE {0+}\r\n\r\n",
        ]
    ),
    max_size=6,
)


@given(_TEXT, st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_chunking_changes_nothing(pieces, sizes):
    data = b"".join(pieces)
    assert run(data, sizes) == run(data)


@given(st.binary(max_size=400), st.lists(st.integers(1, 30), min_size=1, max_size=30))
def test_any_octets(data, sizes):
    # a line cut by the limit is refused by what its first piece shows: only the fact is compared
    def shape(events):
        return [(type(e), getattr(e, "tag", None)) for e in events]

    assert shape(run(data, sizes)) == shape(run(data))


def test_followers_are_the_same_question_about_other_messages():
    session = ServerSession(Limits(), State.SELECTED)
    session.feed(
        b"a FETCH 7 (FLAGS)\r\nb FETCH 3 (FLAGS)\r\nc FETCH 3 (FLAGS)\r\nd FETCH 4294967295 (FLAGS)\r\n"
        b"e FETCH 5 (UID)\r\nf FETCH 6 (FLAGS)\r\n"
    )
    command = session.next()
    assert session.followers(command, 10) == [3, 3, 4294967295]
    assert session.followers(command, 2) == [3, 3]
    assert [session.next()[0] for _ in range(5)] == [b"b", b"c", b"d", b"e", b"f"]
    assert session.followers(command, 10) == []


@pytest.mark.parametrize(
    "following",
    [
        b"b FETCH 3:4 (FLAGS)\r\n",
        b"b FETCH * (FLAGS)\r\n",
        b"b FETCH 0 (FLAGS)\r\n",
        b"b UID FETCH 3 (FLAGS)\r\n",
        b"b FETCH 3 (FLAGS)",
        b"b FETCH 3 (FLAGS) {3}\r\n",
        b"b FETCH 99999999999 (FLAGS)\r\n",
        b"STORE 3 (FLAGS)\r\n",
    ],
)
def test_nothing_else_is_a_follower(following):
    session = ServerSession(Limits(), State.SELECTED)
    session.feed(b"a FETCH 7 (FLAGS)\r\n" + following)
    assert session.followers(session.next(), 10) == []
