from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats.mime.address import Address, parse

END = (None, None, None, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b" , ,", []),
        (b"a@b", [(None, None, b"a", b"b")]),
        (b"<a@b>", [(None, None, b"a", b"b")]),
        (b"John Q. Smith <j@x.org>, b@y", [(b"John Q. Smith", None, b"j", b"x.org"), (None, None, b"b", b"y")]),
        (b'"Smith, John" <j@x>', [(b"Smith, John", None, b"j", b"x")]),
        (b'"a \\"quoted\\" \\\\ name" <j@x>', [(b'a "quoted" \\ name', None, b"j", b"x")]),
        (b"John   \r\n\tSmith <j@x>", [(b"John Smith", None, b"j", b"x")]),
        (b"=?utf-8?b?0J8=?= <j@x>", [(b"=?utf-8?b?0J8=?=", None, b"j", b"x")]),
        (b"j@x (John (the) Smith)", [(b"John (the) Smith", None, b"j", b"x")]),
        (b"Name (comment) <j@x>", [(b"Name", None, b"j", b"x")]),
        (b"<@r1,@r2:j@x>, k@y", [(None, b"@r1,@r2", b"j", b"x"), (None, None, b"k", b"y")]),
        (b'"very odd"@x', [(None, None, b"very odd", b"x")]),
        (b"j . smith @ x . org", [(None, None, b"j.smith", b"x.org")]),
        (b"j@[192.0.2.1]", [(None, None, b"j", b"[192.0.2.1]")]),
        (b"undisclosed-recipients:;", [(None, None, b"undisclosed-recipients", None), END]),
        (
            b"A Group: a@b, C <c@d>; e@f",
            [
                (None, None, b"A Group", None),
                (None, None, b"a", b"b"),
                (b"C", None, b"c", b"d"),
                END,
                (None, None, b"e", b"f"),
            ],
        ),
        (b"open: a@b", [(None, None, b"open", None), (None, None, b"a", b"b"), END]),
        (b"a@b; c@d", [(None, None, b"a", b"b"), (None, None, b"c", b"d")]),
        (b"me@x.org <me@x.org>", [(b"me@x.org", None, b"me", b"x.org")]),
        (b"John Smith j@x", [(b"John Smith", None, b"j", b"x")]),
        (b"Somebody", [(None, None, b"Somebody", b"")]),
        (b"root <root>", [(b"root", None, b"root", b"")]),
        (b"<>", [(None, None, b"", b"")]),
        (b'"unclosed <a@b>', [(None, None, b"unclosed <a@b>", b"")]),
        ("Жук <жук@пример.рф>".encode(), [("Жук".encode(), None, "жук".encode(), "пример.рф".encode())]),
    ],
)
def test_lists(value: bytes, expected: list[tuple[bytes | None, ...]]) -> None:
    assert parse(value) == [Address(*item) for item in expected]


ATOM = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=8)
DOTTED = st.lists(ATOM, min_size=1, max_size=3).map(".".join)


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=20), DOTTED),
        max_size=6,
    )
)
def test_what_the_email_package_formats_comes_back(people: list[tuple[str, str]]) -> None:
    # between the words of a phrase white space is as long as one likes (RFC 5322 3.2.5)
    people = [(" ".join(name.split()), local) for name, local in people]
    value = ",\r\n ".join(email.utils.formataddr((name, f"{local}@example.org")) for name, local in people)
    found = parse(value.encode())
    assert [(a.name or b"", a.mailbox, a.host) for a in found] == [
        (name.encode(), local.encode(), b"example.org") for name, local in people
    ]


@given(
    st.lists(
        st.sampled_from([b"a", b"<", b">", b"@", b",", b";", b":", b'"', b"(", b")", b"\\", b" ", b"[", b"."]),
        max_size=30,
    )
)
def test_any_order_of_specials_is_survived(pieces: list[bytes]) -> None:
    for found in parse(b"".join(pieces)):
        assert found.host is not None or found.name is None
