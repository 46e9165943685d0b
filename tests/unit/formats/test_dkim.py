"""Signatures against dkimpy, which reads the specification on its own."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dkim as dkimpy

from postern.formats import dkim
from postern.model.refusal import ProtocolViolation

WHEN = datetime(2026, 11, 23, 11, 12, 34, tzinfo=UTC)
MESSAGE = (
    b"From: A <a@example.org>\r\nTo: b@example.net,\r\n\tc@example.net\r\nSubject:  spaced   out\t\r\n"
    b"Date: Mon, 23 Nov 2026 11:12:34 +0000\r\nReceived: x\r\nX-Other: y\r\n\r\n"
    b"text  with\tspace \r\n \r\n\r\nmore\r\n\r\n\r\n"
)


@cache
def pem(algorithm: str) -> bytes:
    return dkim.generate_key(algorithm)


def verify(message: bytes, algorithm: str) -> bool:
    asked = []

    def txt(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return dkim.dns_record(pem(algorithm)).encode()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        good = dkimpy.verify(message, dnsfunc=txt)
    assert asked in ([], [b"s1._domainkey.example.org."])
    return bool(good)


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_signature_verifies(algorithm: str) -> None:
    line = dkim.sign(MESSAGE, "example.org", "s1", pem(algorithm), WHEN)
    assert line.startswith(
        b"DKIM-Signature: v=1; a=%b-sha256; c=relaxed/relaxed; d=example.org; s=s1;\r\n" % algorithm.encode()
    )
    assert b"t=1795432354;" in line
    assert all(len(part) < 120 for part in line.split(b"\r\n"))
    assert verify(line + MESSAGE, algorithm)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"more", b"less"),
        (b"b@example.net", b"d@example.net"),
        (b"From: A", b"From: B"),
        (b"Subject:", b"Subject: Re:"),
    ],
)
def test_a_changed_message_does_not_verify(old: bytes, new: bytes) -> None:
    line = dkim.sign(MESSAGE, "example.org", "s1", pem("rsa"), WHEN)
    assert not verify(line + MESSAGE.replace(old, new), "rsa")


@pytest.mark.parametrize("added", [b"From: evil@example.com\r\n", b"Subject: evil\r\n"])
def test_an_added_field_does_not_verify(added: bytes) -> None:
    line = dkim.sign(MESSAGE, "example.org", "s1", pem("ed25519"), WHEN)
    assert verify(line + b"X-Harmless: yes\r\n" + MESSAGE, "ed25519")
    assert not verify(line + added + MESSAGE, "ed25519")


def test_repeated_fields_are_signed_from_the_last_one_up() -> None:
    message = b"Cc: one@x\r\nFrom: a@example.org\r\nCc: two@x\r\n\r\nhi\r\n"
    line = dkim.sign(message, "example.org", "s1", pem("ed25519"), WHEN)
    assert b"cc:cc" in line
    assert verify(line + message, "ed25519")


BODY = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"x", b"\xd0\xb9", b"  \r\n", b"word "]), max_size=25).map(
    b"".join
)


@settings(max_examples=60, deadline=None)
@given(BODY)
def test_any_body_verifies(body: bytes) -> None:
    message = b"From: a@example.org\r\n\r\n" + body + b"\r\n"
    assert verify(dkim.sign(message, "example.org", "s1", pem("ed25519"), WHEN) + message, "ed25519")


@given(BODY)
def test_relaxed_body_is_idempotent_and_agrees_with_dkimpy(body: bytes) -> None:
    """A last line without CRLF gets one on its way (DATA ends with CRLF), so it is signed as if it had it."""
    from dkim.canonicalization import Relaxed

    once = dkim.relaxed_body(body)
    assert dkim.relaxed_body(once) == once
    assert once == Relaxed.canonicalize_body(body + b"\r\n")


def test_the_body_hash_of_nothing() -> None:
    assert dkim.relaxed_body(b"") == b""
    assert dkim.relaxed_body(b"\r\n\r\n") == b""
    assert dkim.relaxed_body(b"x") == b"x\r\n"


def test_a_message_without_from_is_refused() -> None:
    with pytest.raises(ProtocolViolation):
        dkim.sign(b"To: x\r\n\r\nFrom: body", "example.org", "s1", pem("ed25519"), WHEN)
    with pytest.raises(ProtocolViolation):
        dkim.sign(b"\r\nFrom: body\r\n\r\n", "example.org", "s1", pem("ed25519"), WHEN)


def test_keys() -> None:
    assert dkim.dns_record(pem("rsa")).startswith("v=DKIM1; k=rsa; p=MII")
    assert len(dkim.dns_record(pem("ed25519"))) == len("v=DKIM1; k=ed25519; p=") + 44
    assert dkim.dns_record(dkim.load_key(pem("ed25519"))) == dkim.dns_record(pem("ed25519"))
    with pytest.raises(ValueError, match="rsa and ed25519"):
        dkim.generate_key("dsa")
    with pytest.raises(ValueError, match="PEM"):
        dkim.load_key(b"nonsense")
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    ec_key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ValueError, match="only"):
        dkim.load_key(ec_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ValueError, match="pass phrase"):
        dkim.load_key(ec_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
