"""Files of the offline address book, read back by libmspack and by a reader of records made for this test."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.formats.mspack import Mspack

from postern.formats.oab import details, huffman, lzx, template
from postern.formats.oab import properties as oab
from postern.formats.oab.compressed import BLOCK_BYTES, checksum, difference, full
from postern.formats.oab.manifest import Published, PublishedList, Template, render


@pytest.fixture(scope="module")
def mspack(tmp_path_factory):
    return Mspack(tmp_path_factory.mktemp("mspack"))


RECORDS = [
    f"{number:05} Anna Archer {number * 7919 % 1000} /o=Postern/ou=Administrative Group/cn={number:08x}\0".encode()
    for number in range(3000)
]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a",
        b"\0" * (BLOCK_BYTES + 5),
        b"ab" * 20000,
        random.Random(1).randbytes(40000),
        bytes(range(256)) * 200,
        b"".join(RECORDS)[: lzx.CHUNK_BYTES],
        b"".join(RECORDS)[: lzx.CHUNK_BYTES + 1],
        b"\xe8\0\0\0\0" * 5000,
        b"x" * 257 + random.Random(2).randbytes(300) + b"x" * 258,
    ],
    ids=range(10),
)
def test_what_is_packed_is_what_libmspack_unpacks(mspack, data):
    assert mspack.full(full(data)) == data


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(st.binary(max_size=40), max_size=30),
    order=st.lists(st.integers(min_value=0, max_value=29), max_size=400),
)
def test_any_data_comes_back(mspack, pieces, order):
    data = b"".join(pieces[number % len(pieces)] for number in order) if pieces else b""
    assert mspack.full(full(data)) == data


def test_a_directory_becomes_a_fifth(mspack):
    data = b"".join(RECORDS)
    packed = full(data)
    assert mspack.full(packed) == data
    assert len(packed) < len(data) / 5


def edits() -> dict[str, tuple[list[bytes], list[bytes]]]:
    changed = [*RECORDS]
    changed[10] = b"somebody else" + changed[10]
    del changed[1000:1005]
    changed.insert(2000, b"in between" * 20)
    changed.append(b"the last")
    return {
        "edited": (RECORDS, changed),
        "the same": (RECORDS, RECORDS),
        "first half gone": (RECORDS, RECORDS[1500:]),
        "nothing left": (RECORDS, [RECORDS[0]]),
        "from nothing": ([RECORDS[0]], RECORDS),
        "turned round": (RECORDS, RECORDS[::-1]),
        "one huge record": ([b"q" * 700000], [b"q" * 700001]),
    }


@pytest.mark.parametrize("name", edits())
def test_a_difference_makes_the_new_of_the_old(mspack, name):
    old, new = edits()[name]
    packed = difference(old, new)
    assert mspack.patched(packed, b"".join(old)) == b"".join(new)
    if name in ("edited", "the same"):
        assert len(packed) < len(full(b"".join(new))) / 20
    # the header tells clients what they need to have, and what they get (MS-OXOAB 2.10.1)
    assert struct.unpack_from("<7I", packed) == (
        3, 2, BLOCK_BYTES, len(b"".join(old)), len(b"".join(new)), checksum(b"".join(old)), checksum(b"".join(new)),
    )  # fmt: skip


def test_codes_are_complete_and_bounded():
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    for counts in (fibonacci, [5], [0, 7], [1, 1, 1], [0] * 5, list(range(249))):
        lengths = huffman.lengths(counts, 16) if len(counts) > 1 else huffman.lengths([*counts, 0], 16)
        assert max(lengths) <= 16
        kraft = sum(2.0**-length for length in lengths if length)
        assert kraft in (0.0, 1.0)
        codes = {format(code, f"0{bits}b") for code, bits in zip(huffman.codes(lengths), lengths, strict=True) if bits}
        assert len(codes) == sum(map(bool, lengths))


def read(schema: list[tuple[int, int]], raw: bytes) -> dict[int, object]:
    """A record's values, by the words of MS-OXOAB 2.9.5 and 2.9.6."""
    at = 4 + (len(schema) + 7) // 8
    bits = "".join(format(octet, "08b") for octet in raw[4:at])

    def number() -> int:
        nonlocal at
        first = raw[at]
        at += 1
        if first < 0x80:
            return first
        size = first & 0x7F
        at += size
        return int.from_bytes(raw[at - size : at], "little")

    def one(kind: int) -> object:
        nonlocal at
        if kind == 3:
            return number()
        if kind == 0xB:
            at += 1
            return bool(raw[at - 1])
        end = raw.index(0, at)
        text, at = raw[at:end].decode(), end + 1
        return text

    found: dict[int, object] = {}
    for place, (tag, _) in enumerate(schema):
        if bits[place] == "1":
            kind = tag & 0xFFFF
            found[tag] = tuple(one(kind & 0xFFF) for _ in range(number())) if kind & 0x1000 else one(kind)
    assert at == len(raw) == struct.unpack_from("<I", raw)[0]
    assert set(bits[len(schema) :]) <= {"0"}
    return found


def test_a_full_details_file(mspack):
    people = [
        {oab.EMAIL_ADDRESS: f"/o=x/cn={number}", oab.SMTP_ADDRESS: f"p{number}@example.org", oab.DISPLAY_NAME: "Жанна",
         oab.DISPLAY_TYPE_EX: 0x40000000, oab.OBJECT_TYPE: 6, oab.SEND_RICH_INFO: True, oab.TITLE: "",
         oab.PROXY_ADDRESSES: ("SMTP:a", "smtp:b")}
        for number in range(3)
    ]  # fmt: skip
    facts = details.ListFacts("\\Global Address List", "/", "0" * 8, 7)
    pieces = details.build(facts, [details.recipient(one) for one in people])
    raw = mspack.full(full(b"".join(pieces)))
    assert details.split(raw) == pieces
    version, serial, count = struct.unpack_from("<3I", raw)
    assert (version, serial, count) == (0x20, checksum(raw[12:]), 3)
    size = struct.unpack_from("<I", raw, 12)[0]
    tables = raw[16 : 12 + size]
    header_count = struct.unpack_from("<I", tables)[0]
    header = [struct.unpack_from("<2I", tables, 4 + 8 * n) for n in range(header_count)]
    rest = tables[4 + 8 * header_count :]
    schema = [struct.unpack_from("<2I", rest, 4 + 8 * n) for n in range(struct.unpack_from("<I", rest)[0])]
    assert read(header, raw[12 + size : len(pieces[0])]) == {
        oab.LIST_NAME: "\\Global Address List", oab.LIST_DN: "/", oab.LIST_SEQUENCE: 7, oab.LIST_GUID: "0" * 8,
    }  # fmt: skip
    assert read(schema, pieces[2]) == {tag: value for tag, value in people[1].items() if value != ""}


def test_texts_that_are_too_long_are_cut_and_named():
    raw = details.recipient({oab.COMMENT: "я" * 4000, oab.TITLE: "short\0er"})
    found = read(list(oab.OBJECT), raw)
    assert found[oab.COMMENT] == "я" * 1700
    assert found[oab.TRUNCATED] == (oab.COMMENT,)
    assert found[oab.TITLE] == "shorter"


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "00"), (0x7F, "7f"), (0x80, "8180"), (0x100, "820001"), (0x10000, "83000001"), (0x40000000, "8400000040")],
)
def test_numbers(value, written):
    assert oab.number(value).hex() == written


@pytest.mark.parametrize("raw", [b"", b"x" * 20, b"\0" * 12, bytes(12) + struct.pack("<I", 4) * 2 + b"\xff" * 8])
def test_what_is_no_details_file(raw):
    with pytest.raises(ValueError, match="record"):
        details.split(raw)


@pytest.mark.parametrize(("language", "page", "word"), [("0409", "cp1252", "General"), ("0419", "cp1251", "Общие")])
def test_a_template_file(mspack, language, page, word):
    """Read by the words of MS-OXOAB 2.2.2 and MS-OXOABKT 2.2.2.1."""
    raw = mspack.full(full(template.build(language)))
    assert struct.unpack_from("<3I", raw) == (7, 0, 0)
    assert raw[12 + 7 * 32 : 12 + 7 * 32 + 20] == bytes(20), "no named properties, no one-off templates"
    shown = []
    for display_type in range(7):
        dn, dn_size, table, size, script, script_size, name, name_size = struct.unpack_from(
            "<8I", raw, 12 + 32 * display_type
        )
        assert (script, script_size) == (0, 0)
        if not table:
            assert (dn, dn_size, size, name, name_size) == (0,) * 5
            continue
        shown.append(display_type)
        assert raw[dn : dn + dn_size].endswith(b"/cn=%d\0" % display_type)
        assert raw[name : name + name_size].endswith(b"\0")
        own = raw[table : table + size]
        kind, count = struct.unpack_from("<2I", own)
        assert kind == 1
        rows = [struct.unpack_from("<9I", own, 8 + 36 * number) for number in range(count)]
        texts = [own[row[8] : own.index(0, row[8])].decode(page) for row in rows]
        assert (rows[0][4], texts[0]) == (8, word)
        assert {row[6] for row in rows if row[4] == 1} <= {tag for tag, _ in oab.OBJECT}
        assert [row[4] for row in rows[1:]] == [0, 1] * ((count - 1) // 2), "each text has a label before it"
    assert shown == [0, 1, 6]


def test_the_manifest():
    file = Published("a-data-2.lzx", 2, 10, 20, "ab")
    one = PublishedList("a", "/", '\\A & "B"', file, (file,), (Template(file, "0409", "windows"),))
    text = render([one]).decode()
    assert 'name="\\A &amp; &quot;B&quot;"' in text
    assert '<Full seq="2" ver="32" size="10" uncompressedsize="20" SHA="ab">a-data-2.lzx</Full>' in text
    assert 'ver="7" size="10" uncompressedsize="20" SHA="ab" langid="0409" type="windows">' in text
