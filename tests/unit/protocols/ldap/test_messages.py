"""Messages there and back; ldap3 reads what we write and writes what we read."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ldap3.protocol.rfc4511 import LDAPMessage
from pyasn1.codec.ber import decoder, encoder

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import controls, filters, messages
from postern.protocols.ldap import operations as op
from postern.protocols.ldap.results import Code, Result

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
BYTES = st.binary(max_size=20)
ATTRIBUTES = st.dictionaries(TEXTS, st.lists(BYTES, max_size=3).map(tuple), max_size=4)
RESULTS = st.builds(
    Result,
    st.sampled_from(list(Code)).map(int),
    TEXTS,
    TEXTS.map(lambda text: text.rstrip("\0\n ")),
    st.lists(TEXTS, max_size=2).map(tuple),
)
OPERATIONS = st.one_of(
    st.builds(op.BindRequest, TEXTS, BYTES),
    st.builds(op.BindRequest, TEXTS, st.just(b""), st.just("GSSAPI"), st.none() | BYTES),
    st.builds(op.BindResponse, RESULTS, st.none() | BYTES),
    st.just(op.UnbindRequest()),
    st.builds(
        op.SearchRequest, TEXTS, st.sampled_from(op.Scope), st.just(filters.parse("(|(cn=a*)(!(mail=*)))")),
        st.lists(TEXTS, max_size=3).map(tuple), st.integers(0, 2**31 - 1), st.integers(0, 1000), st.booleans(),
        st.integers(0, 3),
    ),
    st.builds(op.SearchEntry, TEXTS, ATTRIBUTES),
    st.builds(op.SearchReference, st.lists(TEXTS, min_size=1, max_size=3).map(tuple)),
    st.builds(op.SearchDone, RESULTS),
    st.builds(op.ModifyRequest, TEXTS, st.lists(
        st.tuples(st.sampled_from(op.Change), TEXTS, st.lists(BYTES, max_size=2).map(tuple)), max_size=3).map(tuple)),
    st.builds(op.AddRequest, TEXTS, ATTRIBUTES),
    st.builds(op.DeleteRequest, TEXTS),
    st.builds(op.Done, st.sampled_from([op.MODIFY_RESPONSE, op.ADD_RESPONSE, op.DELETE_RESPONSE]), RESULTS),
    st.builds(op.AbandonRequest, st.integers(0, 2**31 - 1)),
    st.builds(op.ExtendedRequest, TEXTS, st.none() | BYTES),
    st.builds(op.ExtendedResponse, RESULTS, TEXTS, st.none() | BYTES),
)  # fmt: skip
CONTROLS = st.lists(st.builds(op.Control, TEXTS, st.booleans(), st.none() | BYTES), max_size=2).map(tuple)
MESSAGES = st.builds(op.Message, st.integers(0, 2**31 - 1), OPERATIONS, CONTROLS)


@given(MESSAGES)
def test_there_and_back(message):
    wire = messages.encode(message)
    assert ber.measure(wire, len(wire)) == len(wire)
    assert messages.decode(wire) == message


@given(MESSAGES)
def test_ldap3_reads_what_we_write_and_writes_the_same(message):
    wire = messages.encode(message)
    assume(not isinstance(message.operation, op.SearchRequest))  # its schema cannot read a NOT; see test_filters
    decoded, rest = decoder.decode(wire, asn1Spec=LDAPMessage())
    assert not rest
    assert int(decoded["messageID"]) == message.id
    assert messages.decode(encoder.encode(decoded)) == message


@given(st.binary(max_size=80))
def test_any_octets_are_a_message_or_refused(data):
    for wire in (data, ber.element(ber.SEQUENCE, data), ber.element(ber.SEQUENCE, ber.integer(1) + data)):
        with contextlib.suppress(ProtocolViolation):
            messages.decode(wire)


@given(MESSAGES, st.data())
def test_a_truncated_message_is_refused_or_needs_more(message, data):
    wire = messages.encode(message)
    cut = wire[: data.draw(st.integers(0, len(wire) - 1))]
    size = ber.measure(cut, len(wire))
    assert size is None or size == len(wire)
    with pytest.raises(ProtocolViolation):
        messages.decode(cut)


def test_an_operation_nobody_knows_is_kept():
    message = messages.decode(ber.sequence(ber.integer(7), ber.octets(b"x", 0x79)))
    assert message.operation == op.Unknown(0x79, b"x")


def test_paged_results():
    control = controls.paged(500, b"abc")
    assert control.critical
    inner = Reader(control.value).enter()
    assert (inner.integer(), inner.octets()) == (500, b"abc")
    assert controls.next_page([control]) == b"abc"
    assert controls.next_page([]) == b""


def test_a_diagnostic_in_a_strange_encoding_does_not_hide_the_answer():
    # Active Directory ends its texts with a zero octet, old servers write Latin-1
    wire = ber.integer(49, ber.ENUMERATED) + ber.text("") + ber.octets(b"80090308: f\xfcr Sie\x00")
    found = messages.decode(ber.sequence(ber.integer(1), ber.element(0x61, wire))).operation.result
    assert found.code == Code.INVALID_CREDENTIALS
    assert found.name == "invalidCredentials"
    assert found.diagnostic == "80090308: f\ufffdr Sie"
    assert Result(4711).name == "4711"
