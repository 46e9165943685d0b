"""DirSync's control (MS-ADTS 3.1.1.3.4.1.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats import ber
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import controls
from postern.protocols.ldap.operations import Control


def test_the_request_as_it_stands_on_the_wire() -> None:
    asked = controls.changes_since(b"abc")
    assert (asked.oid, asked.critical) == ("1.2.840.113556.1.4.841", True)
    assert asked.value == bytes.fromhex("300d02010002031000000403616263")


@given(st.booleans(), st.binary(max_size=400))
def test_the_answer(more: bool, cookie: bytes) -> None:
    value = ber.sequence(ber.integer(int(more)), ber.integer(0), ber.octets(cookie))
    told = controls.changes_told([Control("1.2", False, b""), Control(controls.DIRSYNC, False, value)])
    assert told == controls.Changes(more, cookie)


def test_no_answer_and_a_broken_one() -> None:
    assert controls.changes_told([]) is None
    with pytest.raises(ProtocolViolation):
        controls.changes_told([Control(controls.DIRSYNC, False, b"\x30\x03\x02")])
