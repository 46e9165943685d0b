"""What hangs on a message: by its structure as by its content."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.formats.mime.anatomy import anatomy, without_calendar
from postern.formats.mime.attached import attached
from postern.formats.mime.scan import scan


def leaf(*fields: bytes, text: bytes = b"x") -> bytes:
    return b"".join(field + b"\r\n" for field in fields) + b"\r\n" + text


def multipart(kind: bytes, boundary: bytes, *parts: bytes) -> bytes:
    inner = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return b"Content-Type: multipart/%b; boundary=%b\r\n\r\n%b--%b--\r\n" % (kind, boundary, inner, boundary)


def both(content: bytes, *, meeting: bool = False) -> bool:
    found = scan(content)
    parts = anatomy(content, found.parts)
    if meeting:
        parts = type(parts)(parts.plain, parts.html, without_calendar(parts.attachments))
    assert attached(found.bodystructure, meeting=meeting) is parts.has_attachments, found.bodystructure
    return parts.has_attachments


PLAIN = leaf(b"Content-Type: text/plain; charset=utf-8")
HTML = leaf(b"Content-Type: text/html; charset=utf-8", b"Content-Transfer-Encoding: quoted-printable")
CALENDAR = b'Content-Type: text/calendar; charset=utf-8; method=REQUEST; name="plan.ics"'
PNG = b'Content-Type: image/png; name="a.png"'


@pytest.mark.parametrize(("content", "hangs"), [
    (b"Subject: x\r\n\r\ny", False),
    (PLAIN, False),
    (multipart(b"alternative", b"a", PLAIN, HTML), False),
    (multipart(b"mixed", b"a", PLAIN, leaf(PNG)), True),
    (multipart(b"mixed", b"a", PLAIN, leaf(b"Content-Type: image/png")), True),
    (multipart(b"related", b"a", HTML, leaf(PNG, b"Content-ID: <1>", b"Content-Disposition: inline")), False),
    (multipart(b"related", b"a", HTML, leaf(PNG, b"Content-Disposition: inline")), True),
    (multipart(b"mixed", b"a", PLAIN, leaf(b"Content-Type: message/rfc822", text=PLAIN)), True),
    (multipart(b"mixed", b"a", PLAIN, PLAIN), True),
    (leaf(b'Content-Type: text/plain; name="(\\"attachment\\" "'), True),
    (multipart(b"mixed", b"a", leaf(b"Content-Type: text/plain", b'Content-Description: ("name" "attachment"')), False),
    (multipart(b"mixed", b"a", leaf("Content-Type: text/plain; filename*=\"ж(\"".encode())), False),
], ids=lambda one: "" if isinstance(one, bytes) else str(one))  # fmt: skip
def test_what_counts(content, hangs):
    assert both(content) is hangs


@pytest.mark.parametrize(("content", "plain", "meeting"), [
    (leaf(CALENDAR), True, False),
    (multipart(b"alternative", b"a", PLAIN, HTML, leaf(CALENDAR)), True, False),
    (multipart(b"mixed", b"b", multipart(b"alternative", b"a", PLAIN, leaf(CALENDAR)), leaf(PNG)), True, True),
    (multipart(b"mixed", b"b", multipart(b"alternative", b"a", PLAIN, leaf(CALENDAR)),
               leaf(b"Content-Type: application/ics; name=invite.ics")), True, True),
    (multipart(b"mixed", b"b", PLAIN, leaf(CALENDAR, b"Content-Disposition: attachment")), True, False),
], ids=["alone", "alternative", "with a file", "twice", "beside"])  # fmt: skip
def test_a_meeting_consists_of_its_calendar(content, plain, meeting):
    assert both(content) is plain
    assert both(content, meeting=True) is meeting


_FIELDS = st.lists(st.sampled_from([
    b"Content-ID: <1@x>", b"Content-Disposition: inline", b"Content-Disposition: attachment",
    b'Content-Disposition: inline; filename="q\\"(.txt"', "Content-Disposition: attachment; filename=ж.txt".encode(),
    b"Content-Disposition: attachment; filename*0*=utf-8''%D0%B6; filename*1=b", b"Content-Description: (\"name\" {3}",
    b"Content-Language: en, ru", b"Content-Location: http://x/", b"Content-MD5: abc", b"Content-Disposition: ;;",
]), max_size=3, unique=True)  # fmt: skip
_KINDS = st.sampled_from([
    b"text/plain", b"text/html; charset=utf-8", b"TEXT/Enriched", b'image/png; name="a"',
    b"text/calendar; method=REQUEST",
    b"text/plain; name=", b"application/pdf", b"message/delivery-status", b"text/plain; x=\"a\\\\b\"",
])  # fmt: skip
_LEAVES = st.builds(lambda kind, more: leaf(b"Content-Type: " + kind, *more), _KINDS, _FIELDS)
_ENCLOSED = st.builds(lambda more, inner: leaf(b"Content-Type: message/rfc822", *more, text=inner), _FIELDS, _LEAVES)


def _containers(children: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    kinds = st.sampled_from([b"mixed", b"alternative", b"Related"])
    # a boundary must not be the beginning of another's
    boundaries = st.integers(10_000, 99_999).map(lambda number: b"b%d" % number)
    return st.builds(multipart, kinds, boundaries, children, children)


@settings(max_examples=150)
@given(st.recursive(_LEAVES | _ENCLOSED, _containers, max_leaves=6), st.booleans())
def test_both_ways_say_the_same(content, meeting):
    both(content, meeting=meeting)


@pytest.mark.parametrize(
    "structure", [b"", b"NIL", b"(", b")", b"((((", b'("text"', b"{9}\r\nx", b'(("a"', b"{99}\r\n)"]
)
def test_what_is_no_structure_has_nothing(structure):
    assert not attached(structure)
