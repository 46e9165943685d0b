"""What anybody may send costs no more than its length: an expression that goes back would hold a whole worker."""

from __future__ import annotations

import time

import pytest

from postern.formats.mime import automatic, header, parameters
from postern.formats.mime.scan import scan
from postern.formats.mime.transfer import decode
from postern.formats.sieve.message import MAX_FIELDS, Message, plain

_OCTETS = 200_000
_SECONDS = 2.0
"""Of CPU on a slow machine; what goes back took minutes for a tenth of the octets."""


def _cost(work, *arguments):
    began = time.process_time()
    work(*arguments)
    return time.process_time() - began


@pytest.mark.parametrize("field", [b"Content-Type: text/plain", b"Content-Disposition: attachment", b"Subject: a"])
@pytest.mark.parametrize("piece", [
    b";", b"; ", b";a", b";a ", b";=", b';"', b"; a=b", b";a*0=b", b'a"', b"\r", b" ", b"\t", b"(", b"( ", b"()", b"\\",
    b"=?", b"=?utf-8?q?", b"=?utf-8?q?a?= ", b"<", b"a@b,", b"\r\n ", b"\r\n\t;",
])  # fmt: skip
def test_a_header_field(field, piece):
    filled = piece * (_OCTETS // len(piece))
    assert _cost(scan, field + filled + b"\r\n\r\nbody\r\n") < _SECONDS
    assert _cost(scan, field + b"; x=(a" + filled + b"x\r\n\r\nbody\r\n") < _SECONDS
    assert _cost(scan, field + b'; x="\r\n ' + filled + b'"\r\n\r\nbody\r\n') < _SECONDS


@pytest.mark.parametrize("piece", [b" ", b"\t", b" \t", b"\r", b"\n", b"= ", b"=\r", b"=", b"a"])
@pytest.mark.parametrize("encoding", [b"quoted-printable", b"base64"])
def test_an_encoded_body(encoding, piece):
    assert _cost(decode, piece * (_OCTETS // len(piece)) + b"x \r\n", encoding) < _SECONDS


def test_semicolons_with_nothing_after_them_hide_no_parameter():
    main, found = parameters.parse(b'text/plain;; ;\r\n ;charset=utf-8;;"x";; name="a;b" ;; ; format')
    assert (main, found) == (b"text/plain", [(b"charset", b"utf-8"), (b"name", b"a;b")])


def test_a_comment_after_a_value_is_left_out():
    assert parameters.parse(b"text/plain; charset=utf-8 (a b)\r\n  ")[1] == [(b"charset", b"utf-8")]


def test_unfolding_leaves_carriage_returns_within_a_line():
    assert header.unfold(b"a\r\r\n b\rc") == b"a b\rc"


@pytest.mark.parametrize("number", [2000, 8000])
def test_colons_after_an_address_do_not_look_for_it_each(number):
    """Each colon looked through all words before it for one that made it an address."""
    value = b'"a"' * number + b"@" + b":" * number
    assert _cost(scan, b"To: " + value + b"\r\n\r\nbody\r\n") < _SECONDS
    assert len(header.addresses(b'a@b: c, team: "x" y@z;')) == 4


def test_many_encoded_words_of_one_charset():
    """They are joined before they are decoded: each was copied with all before it."""
    assert _cost(header.decode, (b"=?utf-8?q?" + b"a" * 200 + b"?= ") * 20_000) < _SECONDS
    assert header.decode(b"=?utf-8?b?w6Q=?= =?utf-8?b?w7Y=?= x =?us-ascii?q?a?= =?utf-8?q?b?=") == "\u00e4\u00f6 x ab"


@pytest.mark.parametrize("piece", ["<br ", "</p ", "<", "<style>", "<!--", "</style ", "<style </style "])
def test_markup_that_is_never_closed(piece):
    """As the text of a message is taken out of it for scripts and rules: each `<br` looked for its end."""
    assert _cost(plain, piece * 60_000) < _SECONDS
    assert plain("a<br>b<BR class='x'/>c</p>d<i>e</i>") == "a\r\nb\r\nc\r\nde"


def test_a_header_of_megabytes_is_not_read_to_its_end():
    block = b"X: a\r\n" * 1_000_000
    assert _cost(automatic.why_not_answered, block, "a@example.net") < _SECONDS
    assert _cost(Message, block, b"", len(block)) < _SECONDS
    assert len(Message(block, b"", len(block)).raw("x")) == MAX_FIELDS
    assert automatic.why_not_answered(b"List-Id: <x>\r\n" + block, "a@example.net") == "from a list"
