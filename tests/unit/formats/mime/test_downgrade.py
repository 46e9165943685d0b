from __future__ import annotations

import base64
import email
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats.mime import downgrade as d
from postern.formats.mime.parts import PartMap
from postern.formats.mime.scan import scan
from postern.model.refusal import ProtocolViolation

MIXED = (
    b"From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\ncaf\xc3\xa9 = ok \r\n--b\r\nContent-Type: image/png\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n\x89PNG\0\r\r\n\xff\r\n--b\r\n\r\nplain\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"Subject: in\r\n\r\n\xd0\xb9\r\n--b--\r\n"
)


def test_each_part_is_encoded_by_its_kind() -> None:
    out = d.downgrade(MIXED)
    assert out.isascii()
    message = email.message_from_bytes(out)
    text, image, plain, enclosed = message.get_payload()
    assert message["content-transfer-encoding"] == "7bit"
    assert text["content-transfer-encoding"] == "quoted-printable"
    assert text.get_payload(decode=True) == b"caf\xc3\xa9 = ok "
    assert image["content-transfer-encoding"] == "base64"
    assert image.get_payload(decode=True) == b"\x89PNG\0\r\r\n\xff"
    assert plain.as_bytes() == b"\nplain"
    assert enclosed["content-transfer-encoding"] == "7bit"
    inner = enclosed.get_payload(0)
    assert (inner["subject"], inner["mime-version"]) == ("in", "1.0")
    assert inner["content-type"] == "text/plain; charset=utf-8"
    assert inner.get_payload(decode=True) == b"\xd0\xb9"


def test_a_next_hop_with_8bitmime_still_gets_8_bit_text() -> None:
    out = d.downgrade(MIXED, d.EIGHT_BIT)
    assert b"caf\xc3\xa9 = ok " in out
    assert b"\0" not in out
    assert b"Content-Transfer-Encoding: binary" not in out
    assert d.needs(out) == d.EIGHT_BIT


def test_what_fits_is_left_alone() -> None:
    content = b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n"
    assert d.downgrade(content) is content
    assert d.needs(content) == d.SEVEN_BIT


@pytest.mark.parametrize(
    ("content", "service"),
    [
        (b"a\r\n", "7BIT"),
        (b"\xff\r\n", "8BITMIME"),
        (b"a\0", "BINARYMIME"),
        (b"a\nb", "BINARYMIME"),
        (b"a\rb", "BINARYMIME"),
        (b"y" * 999 + b"\r\n", "BINARYMIME"),
        (b"y" * 998 + b"\r\n", "7BIT"),
    ],
)
def test_needs(content: bytes, service: str) -> None:
    assert d.needs(content) == service


@pytest.mark.parametrize(
    "content",
    [
        "Subject: Привет\r\n\r\nx".encode(),
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xff\r\n--b\r\n\r\nsig\r\n--b--\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\xff\r\n--b\r\n\r\nx\r\n--b--\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno delimiter \xff\r\n",
        b"Content-Type: message/partial; id=x; number=1; total=2\r\n\r\n\xff\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n\xff\r\n" * 1200 + b"--b--\r\n",
    ],
    ids=["header", "signed", "preamble", "no-parts", "partial", "too-many"],
)
def test_what_cannot_be_changed_without_harm_is_refused(content: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        d.downgrade(content)


LINES = st.lists(st.binary(max_size=200).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"")), max_size=12)


@given(LINES)
def test_quoted_printable_comes_back(lines: list[bytes]) -> None:
    data = b"\r\n".join(lines)
    encoded = d.quoted_printable(data)
    assert quopri.decodestring(encoded) == data
    assert encoded.isascii()
    assert all(len(line) <= 76 and not line.endswith((b" ", b"\t")) for line in encoded.split(b"\r\n"))


@given(st.binary(max_size=400))
def test_base64_comes_back(data: bytes) -> None:
    encoded = d.base64(data)
    assert base64.b64decode(encoded) == data
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))


@given(st.binary(max_size=300), st.sampled_from([b"text/plain", b"image/png"]))
def test_any_body_survives(body: bytes, kind: bytes) -> None:
    header = b"MIME-Version: 1.0\r\nContent-Type: " + kind + b"\r\n\r\n"
    out = d.downgrade(header + body)
    assert d.needs(out) == d.SEVEN_BIT
    assert scan(out).bodystructure.count(b"(") >= 1
    start, end = PartMap.unpack(scan(out).parts).find("1") or (0, 0)
    decoded = out[start:end]
    if b"base64" in out[:start]:
        decoded = base64.b64decode(decoded)
    elif b"quoted-printable" in out[:start]:
        decoded = quopri.decodestring(decoded)
    assert decoded == body
