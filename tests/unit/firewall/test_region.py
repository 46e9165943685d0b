"""Sets of packets: the operations agree with sets of single packets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.firewall.region import Box, Span, addresses, boxes, common, complement, minus, port_text, span, without

SMALL = range(5)
intervals = st.tuples(st.sampled_from(SMALL), st.sampled_from(SMALL)).map(lambda pair: (min(pair), max(pair)))
some_boxes = st.builds(Box, st.sampled_from([4, 6]), st.sampled_from(["tcp", "udp"]), intervals, intervals, intervals)


def packets(found) -> set[tuple]:
    return {
        (box.family, box.transport, source, destination, port)
        for box in found
        for source in range(box.source[0], box.source[1] + 1)
        for destination in range(box.destination[0], box.destination[1] + 1)
        for port in range(box.ports[0], box.ports[1] + 1)
    }


@given(st.lists(some_boxes, max_size=4), st.lists(some_boxes, max_size=4))
def test_difference_and_intersection_are_those_of_sets(left, right):
    assert packets(minus(left, right)) == packets(left) - packets(right)
    assert packets(common(left, right)) == packets(left) & packets(right)


@given(some_boxes, some_boxes)
def test_what_is_left_of_a_box_does_not_overlap(whole, hole):
    parts = without(whole, hole)
    assert len(parts) <= 6
    assert sum(len(packets([part])) for part in parts) == len(packets(parts))


@given(st.lists(st.tuples(intervals), max_size=4))
def test_the_complement_holds_every_other_address(pairs):
    spans = [Span(4, *pair[0]) for pair in pairs]
    outside = complement(spans, 4)
    for address in (*SMALL, 5, (1 << 32) - 1):
        inside = any(part.first <= address <= part.last for part in spans)
        assert inside != any(part.first <= address <= part.last for part in outside)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10.0.0.5", Span(4, 0x0A000005, 0x0A000005)),
        ("10.0.0.5/24", Span(4, 0x0A000000, 0x0A0000FF)),
        ("10.0.0.0/255.255.255.0", Span(4, 0x0A000000, 0x0A0000FF)),
        ("10.0.0.1-10.0.0.3", Span(4, 0x0A000001, 0x0A000003)),
        ("::1/128", Span(6, 1, 1)),
    ],
)
def test_addresses_are_read_in_every_notation(text, wanted):
    assert span(text) == wanted


@pytest.mark.parametrize("text", ["LocalSubnet", "10.0.0.9-10.0.0.1", "10.0.0.1-::5", "10.0.0.256", "", "10.0.0.0/33"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError):
        span(text)


def test_ends_of_different_versions_make_no_packets():
    assert boxes([span("10.0.0.0/8")], [span("::/0")]) == []


def test_texts():
    assert addresses((0x0A000000, 0x0A0000FF), 4) == ("10.0.0.0/24",)
    assert addresses((0x0A000001, 0x0A000003), 4) == ("10.0.0.1", "10.0.0.2/31")
    assert port_text((25, 25), "tcp") == "25/tcp"
    assert port_text((1, 65535), "udp") == "any/udp"
