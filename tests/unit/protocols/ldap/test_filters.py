"""Filters: text and BER there and back, ldap3 as the oracle, and what an attacker would send."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from pyasn1.codec.ber import encoder

from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import filters
from postern.protocols.ldap.filters import And, Compare, Extensible, Not, Or, Present, Substrings

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9\-]{0,10}(;lang-en)?", fullmatch=True)
VALUES = st.binary(max_size=12)
SOME = st.binary(min_size=1, max_size=6)
ITEMS = (
    st.builds(Compare, NAMES, st.sampled_from(["=", ">=", "<=", "~="]), VALUES)
    | st.builds(Present, NAMES)
    | st.builds(Substrings, NAMES, SOME, st.lists(SOME, max_size=3).map(tuple), VALUES)
    | st.builds(Extensible, NAMES, st.sampled_from(["", "1.2.840.113556.1.4.803"]), VALUES, st.booleans())
)
FILTERS = st.recursive(
    ITEMS,
    lambda inner: (
        st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=8,
)


@given(FILTERS)
def test_there_and_back(given_filter):
    assert filters.parse(filters.render(given_filter)) == given_filter
    reader = Reader(filters.encode(given_filter))
    assert filters.decode(reader) == given_filter
    assert not reader


@pytest.mark.parametrize(
    "text",
    [
        "(objectClass=*)",
        "(&(objectClass=user)(|(mail=anna@example.org)(proxyAddresses=smtp:anna@example.org)))",
        "(!(cn=Babs Jensen))",
        "(cn=ba*b*s)",
        "(cn=*bs)",
        "(o=Parens R Us \\28for all your parenthetical needs\\29)",
        "(userAccountControl:1.2.840.113556.1.4.803:=2)",
        "(cn:dn:2.4.6.8.10:=Dino)",
        "(whenChanged>=20240101000000.0Z)",
        "(displayName=Анна)",
    ],
)
def test_bytes_are_those_of_ldap3(text):
    tree = parse_filter(text, None, None, False, None, True)
    theirs = encoder.encode(compile_filter(tree.elements[0]))
    # LDAP's TRUE is 0xFF (RFC 4511 5.1), pyasn1's is 0x01
    assert filters.encode(filters.parse(text)) == theirs.replace(b"\x84\x01\x01", b"\x84\x01\xff")


@pytest.mark.parametrize(
    "text",
    ["", "cn=x", "(cn=x", "(cn=x))", "(&(cn=x)", "()", "(=x)", "(:=x)", "(cn=a**b)", "(cn=\\zz)", "(cn=\\)",
     "(" * 100, "(!" * 100 + "(cn=x)" + ")" * 100, "(cn=a\0b)"],
)  # fmt: skip
def test_broken_text_is_refused(text):
    with pytest.raises(ValueError):
        filters.parse(text)


@given(st.text(max_size=30))
def test_ldap_injection_a_strangers_value_stays_a_value(value):
    found = filters.parse(f"(&(objectClass=user)(mail={filters.escape(value)}))")
    assert found == And((Compare("objectClass", "=", b"user"), Compare("mail", "=", value.encode())))


def test_a_filter_nested_ten_thousand_deep_is_refused():
    wire = b""
    for _ in range(10_000):
        wire = b"\xa2" + _length(len(wire)) + wire
    with pytest.raises(ProtocolViolation):
        filters.decode(Reader(wire))


def test_a_filter_of_a_million_terms_is_refused():
    terms = b"\x87\x01a" * 10_000
    with pytest.raises(ProtocolViolation):
        filters.decode(Reader(b"\xa0" + _length(len(terms)) + terms))


@given(st.binary(max_size=60))
def test_any_octets_are_a_filter_or_refused(data):
    with contextlib.suppress(ProtocolViolation):
        filters.decode(Reader(data))


def _length(size):
    return bytes([size]) if size < 128 else b"\x84" + size.to_bytes(4, "big")
