"""BER against pyasn1, and against input that no honest peer sends."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import tag as pytag
from pyasn1.type import univ

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation

INTEGERS = st.integers(-(2**120), 2**120)
ARCS = st.tuples(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 2**40), max_size=8))


@given(INTEGERS)
@example(127)
@example(128)
@example(-128)
@example(-129)
def test_integers_are_as_pyasn1_writes_and_reads_them(value):
    wire = ber.integer(value)
    assert int(decoder.decode(wire)[0]) == value
    if value >= 0:  # pyasn1 writes -128 in two octets, which X.690 8.3.2 forbids
        assert wire == encoder.encode(univ.Integer(value))
    assert Reader(wire).integer() == value
    assert len(wire) == 3 or wire[2:4] not in (b"\x00\x00", b"\xff\xff")


@given(ARCS)
def test_object_identifiers(arcs):
    first, second, rest = arcs
    dotted = ".".join(map(str, (first, second, *rest)))
    wire = ber.object_identifier(dotted)
    assert wire == encoder.encode(univ.ObjectIdentifier(dotted))
    assert Reader(wire).object_identifier() == dotted


@given(st.binary(max_size=70000), st.booleans(), st.integers(0, 7))
@example(b"x" * 127, True, 0)
@example(b"x" * 128, True, 0)
@example(b"x" * 65536, True, 0)
def test_sequences_of_octets_booleans_and_bits(data, flag, unused):
    unused = unused if data else 0
    masked = data[:-1] + bytes([data[-1] >> unused << unused]) if data else data
    wire = ber.sequence(ber.octets(data), ber.boolean(flag), ber.null(), ber.bits(masked, unused))
    decoded, rest = decoder.decode(wire)
    assert not rest
    assert bytes(decoded[0]) == data
    assert bool(decoded[1]) is flag
    assert len(decoded[3]) == len(masked) * 8 - unused
    inner = Reader(wire).enter()
    assert inner.octets() == data
    assert inner.boolean() is flag
    assert inner.next(ber.NULL) == (ber.NULL, b"")
    assert inner.bits() == (masked, unused)
    inner.finish()


@given(st.integers(0, 2**20), st.binary(max_size=20))
def test_tags_look_like_their_octets(number, data):
    octets = encoder.encode(
        univ.OctetString(data).subtype(implicitTag=pytag.Tag(pytag.tagClassContext, pytag.tagFormatSimple, number))
    )
    tag = Reader(octets).peek()
    assert ber.element(tag, data) == octets
    assert Reader(octets).next(tag) == (tag, data)


@given(st.binary(max_size=64))
def test_any_octets_are_read_or_refused(data):
    def walk(reader, depth):
        while reader:
            if depth < 10 and reader.peek() & ber.CONSTRUCTED:
                walk(reader.enter(reader.peek()), depth + 1)
            else:
                reader.skip()

    try:
        walk(Reader(data), 0)
        ber.measure(data, 1000)
    except ProtocolViolation:
        pass


@given(st.binary(max_size=300), st.integers(0, 400))
def test_measure_tells_the_size_as_soon_as_the_header_is_there(data, cut):
    wire = ber.octets(data)
    header = len(wire) - len(data)
    found = ber.measure(wire[:cut], 1000)
    assert found == (len(wire) if cut >= header else None)


@pytest.mark.parametrize(
    "wire",
    [
        b"\x30\x80\x00\x00",  # indefinite length
        b"\x30\x84\x7f\xff\xff\xff",  # two gigabytes announced
        b"\x30\x85\x01\x00\x00\x00\x00",  # a length of five octets
        b"\x30\xff" + b"\x01" * 127,  # a length of 127 octets
        b"\x1f\xff\xff\xff\xff\x7f\x00",  # an endless tag number
    ],
)
def test_headers_of_attackers_are_refused_before_their_content_comes(wire):
    with pytest.raises(ProtocolViolation):
        ber.measure(wire, 1_000_000)


@pytest.mark.parametrize(
    ("wire", "read"),
    [
        (b"\x30\x05\x04\x10abc", lambda r: r.enter().octets()),  # inner longer than outer
        (b"\x04\x05ab", lambda r: r.octets()),  # cut short
        (b"\x02\x00", lambda r: r.integer()),
        (b"\x02\x20" + b"\x01" * 32, lambda r: r.integer()),
        (b"\x01\x02\x00\x00", lambda r: r.boolean()),
        (b"\x03\x00", lambda r: r.bits()),
        (b"\x03\x01\x05", lambda r: r.bits()),
        (b"\x06\x01\x80", lambda r: r.object_identifier()),
        (b"\x06\x03\x2a\x80\x01", lambda r: r.object_identifier()),
        (b"\x04\x01\xff", lambda r: r.text()),
        (b"\x05\x00", lambda r: r.octets()),
        (b"", lambda r: r.next()),
        (b"\x05\x00\x05\x00", lambda r: (r.skip(), r.finish())),
    ],
)
def test_broken_values_are_refused(wire, read):
    with pytest.raises(ProtocolViolation):
        read(Reader(wire))


@pytest.mark.parametrize("dotted", ["", "1", "3.1", "1.40", "1.2.x", "1.2.-3"])
def test_what_is_no_object_identifier_is_not_written(dotted):
    with pytest.raises(ValueError):
        ber.object_identifier(dotted)


def test_optional_elements():
    reader = Reader(ber.integer(5) + ber.boolean(True))
    assert reader.optional(ber.OCTET_STRING, Reader.octets) is None
    assert reader.optional(ber.INTEGER, Reader.integer) == 5
    assert reader.raw() == b"\x01\x01\xff"
    assert reader.peek() is None
