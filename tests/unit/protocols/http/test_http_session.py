"""Requests taken apart: what is understood, and what is refused because two readers could understand it differently."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.protocols.http.session import CHUNKED, END, HttpViolation, Limits, RequestHead, Session

HOST = b"Host: mail.example.org\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, cuts: tuple[int, ...] = (), limits: Limits | None = None) -> tuple[list[object], int]:
    """What comes out (heads as method, path, length), and the status of a refusal."""
    session = Session(limits or Limits())
    found: list[object] = []
    place = 0
    for cut in (*sorted(cuts), len(data)):
        session.feed(data[place:cut])
        place = max(place, cut)
        try:
            while (event := session.next_event()) is not None:
                if isinstance(event, RequestHead):
                    event = (event.method, event.target.path, event.length)
                if isinstance(event, bytes) and found and isinstance(found[-1], bytes):
                    found[-1] += event
                else:
                    found.append(event)
        except HttpViolation as violation:
            return found, violation.status
    return found, 0


def head(data: bytes) -> RequestHead:
    session = Session(Limits())
    session.feed(data)
    event = session.next_event()
    assert isinstance(event, RequestHead)
    return event


def test_requests_one_after_the_other():
    data = b"GET /a?x=1 HTTP/1.1\r\n" + HOST + b"\r\n"
    data += b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
    data += b"PUT /c HTTP/1.1\r\n" + HOST + CHUNKS + b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: 1\r\n\r\n"
    assert read(data) == (
        [("GET", "/a", 0), END, ("POST", "/b", 3), b"abc", END, ("PUT", "/c", CHUNKED), b"abc", END],
        0,
    )


@given(st.lists(st.integers(0, 260), max_size=8))
def test_where_the_octets_are_cut_makes_no_difference(cuts):
    data = b"\r\nPOST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"
    data += b"PUT /%D0%B0 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n"
    data += b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    assert read(data, tuple(cut for cut in cuts if cut <= len(data))) == read(data)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=4))
def test_nothing_breaks_it(data, cuts):
    read(b"POST / HTTP/1.1\r\n" + data, tuple(cuts))
    read(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + data, tuple(cuts))


def test_what_a_head_says():
    one = head(
        b"GET http://proxy.example/a%20b?q HTTP/1.1\r\nHOST: Mail.Example.ORG.:8443\r\nX-A: \xd0\xb0\r\nx-a: 2\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert (one.target.path, one.target.raw_path, one.target.query) == ("/a b", b"/a%20b", b"q")
    assert one.host == "mail.example.org"
    assert one.all(b"x-a") == [b"\xd0\xb0", b"2"] and one.get(b"x-b", b"-") == b"-"
    assert not one.keep_alive
    assert head(b"GET / HTTP/1.0\r\n\r\n").host == "" and not head(b"GET / HTTP/1.0\r\n\r\n").keep_alive
    assert head(b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n").host == "2001:db8::1"


SMUGGLED = {
    "length-and-chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks-and-length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two-lengths": b"Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc",
    "the-same-length-twice": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "length-list": b"Content-Length: 3, 3\r\n\r\nabc",
    "length-with-sign": b"Content-Length: +3\r\n\r\nabc",
    "length-in-hex": b"Content-Length: 0x3\r\n\r\nabc",
    "negative-length": b"Content-Length: -1\r\n\r\nabc",
    "length-beyond-64-bits": b"Content-Length: 18446744073709551619\r\n\r\nabc",
    "length-of-19-digits": b"Content-Length: 1000000000000000000\r\n\r\nabc",
    "space-before-colon": b"Content-Length : 3\r\n\r\nabc",
    "folded-length": b"X: y\r\n Content-Length: 3\r\n\r\nabc",
    "folded-value": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "coding-with-vertical-tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "coding-twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked-not-last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked-twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "unknown-coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "gzip-and-chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bare-newlines": b"Content-Length: 3\n\nabc",
    "bare-return": b"X: a\rContent-Length: 3\r\n\r\nabc",
    "nul-in-a-value": b"X: a\0b\r\nContent-Length: 3\r\n\r\nabc",
    "control-in-a-value": b"X: a\x01b\r\nContent-Length: 3\r\n\r\nabc",
    "escape-in-a-value": b"X: a\x1bb\r\nContent-Length: 3\r\n\r\nabc",
    "delete-in-a-value": b"X: a\x7fb\r\nContent-Length: 3\r\n\r\nabc",
    "nul-in-a-name": b"Content\0-Length: 3\r\n\r\nabc",
    "empty-name": b": 3\r\n\r\nabc",
    "no-colon": b"Content-Length\r\n\r\nabc",
    "chunk-size-in-0x": b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "chunk-size-negative": b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "chunk-size-beyond-64-bits": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff3\r\nabc\r\n0\r\n\r\n",
    "chunk-with-bare-newline": b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    "chunk-longer-than-its-size": b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
    "upgrade-with-content": b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
    "two-hosts": b"Host: other.example\r\n\r\n",
    "two-authorizations": b"Authorization: Basic YQ==\r\nAuthorization: Basic Yg==\r\n\r\n",
}


@pytest.mark.parametrize("fields", SMUGGLED.values(), ids=SMUGGLED)
def test_request_smuggling_is_refused(fields):
    """Nothing behind the doubtful request is ever taken for another one."""
    data = b"POST /first HTTP/1.1\r\n" + HOST + fields + b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
    for cuts in ((), tuple(range(0, len(data), 7))):
        found, status = read(data, cuts)
        assert status in (400, 501), found
        assert not any(event[1] == "/smuggled" for event in found if isinstance(event, tuple))
        assert END not in found


def test_chunks_in_http_1_0_are_refused():
    assert read(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")[1] == 400


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: ../x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: \xd0\xb0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"CONNECT mail.example.org:443 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"EHLO spam.example\r\n", 400),
        (b"GET /../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /a/%2e%2E/b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /a%5c..%5cb HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /%00 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /%0d%0aSet-Cookie:x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /%ff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET ftp://x/ HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused(data, status):
    assert read(data) == ([], status)


def test_oversized_heads_are_refused_whole_or_in_pieces():
    limits = Limits(head_bytes=8192, fields=20)
    long = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 9000
    for cuts in ((), tuple(range(0, len(long), 100))):
        assert read(long, cuts, limits) == ([], 431)
        assert read(long + b"\r\n\r\n", cuts, limits) == ([], 431)
        assert read(b"GET /" + b"a" * 9000, cuts, limits) == ([], 431)
    many = b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 20 + b"\r\n"
    assert read(many, (), limits) == ([], 431)
    assert read(b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 19 + b"\r\n", (), limits) == ([("GET", "/", 0), END], 0)


def test_many_requests_in_one_piece_are_no_oversized_head():
    one = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 5000 + b"\r\n\r\n"
    assert read(one * 10, (), Limits(head_bytes=8192)) == ([("GET", "/", 0), END] * 10, 0)


@pytest.mark.parametrize("flood", [b"1;" + b"e" * 9000 + b"\r\na\r\n", b"0\r\n" + b"T: " + b"t" * 9000 + b"\r\n"])
def test_floods_of_chunk_extensions_and_trailers_are_refused(flood):
    data = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + flood * 40
    found, status = read(data, tuple(range(0, len(data), 1000)))
    assert status == 400 and END not in found


def test_chunks_of_one_octet_are_taken():
    data = b"POST / HTTP/1.1\r\n" + HOST + CHUNKS + b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n"
    found, status = read(data, tuple(range(0, len(data), 4096)))
    assert (found[1], status) == (b"a" * 100_000, 0)


def test_an_upgrade_is_ignored_and_ends_the_connection():
    session = Session(Limits())
    session.feed(b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
    event = session.next_event()
    assert isinstance(event, RequestHead) and not event.keep_alive
    assert session.next_event() == END


def test_an_idle_session_keeps_no_parser():
    session = Session(Limits())
    assert session.idle
    session.feed(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert not session.idle
    while session.next_event() is not None:
        pass
    session.release()
    assert session.idle
    session.feed(b"GET /2 HTTP/1.1\r\n")
    session.release()
    assert not session.idle


@pytest.mark.parametrize("released", [True, False])
def test_the_body_of_one_request_does_not_count_for_the_next(released):
    """A large request, and then one whose head comes before its body."""
    session = Session(Limits())
    large, small = 1 << 20, 3

    def post(size: int) -> bytes:
        return b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size

    def come() -> list[object]:
        found = []
        while (event := session.next_event()) is not None:
            found.append(event.length if isinstance(event, RequestHead) else event)
        return found

    session.feed(post(large))
    assert come() == [large]
    session.feed(b"x" * (large - 1))
    come()
    if released:
        session.feed(b"x")
        assert come()[-1] == END
        session.release()
        session.feed(post(small))
    else:
        session.feed(b"x" + post(small))
    assert come()[-1] == small
    session.feed(b"abc")
    assert come() == [b"abc", END]
