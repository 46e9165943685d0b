"""The format: chunks, torn tails and foreign bytes never change what is read."""

import itertools
from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from postern.store.journal.records import (
    FOOTER,
    SPOOLED_OFFSET,
    decode_entries,
    decode_footer,
    decode_record,
    encode_index,
    encode_record,
    encode_segment_header,
    scan_records,
)

SEGMENT = 5 << 20 | 3
records = st.lists(
    st.tuples(st.integers(1, 5), st.binary(max_size=40), st.binary(max_size=200), st.booleans()), max_size=12
)


def segment(items):
    data = encode_segment_header(SEGMENT, 1_700_000_000)
    ends = []
    for number, (kind, header, content, spooled) in enumerate(items):
        if spooled:
            data += encode_record(SEGMENT, number, kind, header, b"", len(content))
        else:
            data += encode_record(SEGMENT, number, kind, header, content) + content
        ends.append(len(data))
    return data, ends


def read(data, number=SEGMENT):
    view = memoryview(data)
    return [
        (head.kind, head.header, None)
        if head.content_offset == SPOOLED_OFFSET
        else (head.kind, head.header, bytes(view[head.content_offset : head.content_offset + head.content_length]))
        for head in scan_records(view, number)
    ]


def expected(items):
    return [(kind, header, None if spooled else content) for kind, header, content, spooled in items]


@given(records, st.integers(0, 500))
def test_what_was_written_is_read_up_to_the_preallocated_rest(items, rest):
    data, _ = segment(items)
    assert read(data + bytes(rest)) == expected(items)


@settings(max_examples=60)
@given(records, st.binary(max_size=80))
def test_a_tail_torn_at_any_byte_keeps_what_is_whole(items, garbage):
    data, ends = segment(items)
    for cut in itertools.chain(range(0, len(data), 7), ends):
        whole = sum(end <= cut for end in ends)
        for tail in (b"", bytes(100), garbage):
            found = read(data[:cut] + tail)
            # the garbage may by chance be what was cut off
            assert found == expected(items)[: max(whole, len(found))]
            assert len(found) >= whole


@given(records, st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_never_taken_for_good(items, where, bit):
    data, ends = segment(items)
    damaged = bytearray(data)
    damaged[where % len(data)] ^= 1 << bit
    found = read(damaged)
    whole = sum(end <= where % len(data) for end in ends)
    assert found in (expected(items)[:whole], [])


@given(records)
def test_records_of_another_segment_are_not_taken(items):
    data, _ = segment(items)
    other = encode_segment_header(SEGMENT + 1, 0) + data[len(encode_segment_header(SEGMENT, 0)) :]
    assert read(data, SEGMENT + 1) == []
    assert read(other, SEGMENT + 1) == []


def test_an_absurd_length_is_not_read():
    record = bytearray(encode_record(SEGMENT, 0, 1, b"", b"abc") + b"abc")
    record[16:24] = b"\xff" * 8
    assert decode_record(memoryview(bytes(record)), 0, SEGMENT) is None


@given(st.lists(st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)), max_size=50), st.integers(0, 2**40))
def test_index_and_footer(entries, offset):
    flat = array("Q", itertools.chain.from_iterable(entries))
    data = encode_index(flat, offset, len(entries))
    footer = decode_footer(data[-FOOTER.size :])
    assert footer is not None
    assert footer[:3] == (offset, len(entries), len(entries))
    assert decode_entries(data[: -FOOTER.size]) == flat
    assert decode_footer(data[-FOOTER.size : -1] + b"\xff") is None or data[-1] == 0xFF
