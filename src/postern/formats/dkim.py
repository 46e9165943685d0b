"""DKIM signatures (RFC 6376): rsa-sha256 and ed25519-sha256 (RFC 8463), relaxed/relaxed."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from postern.formats.mime.header import fields
from postern.model.refusal import ProtocolViolation

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

SIGNED_FIELDS: tuple[bytes, ...] = (
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"content-id",
    b"content-description",
    b"resent-from",
    b"resent-sender",
    b"resent-to",
    b"resent-cc",
    b"resent-date",
    b"resent-message-id",
    b"list-id",
    b"list-help",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"list-subscribe",
    b"list-post",
    b"list-owner",
    b"list-archive",
)
"""RFC 6376 5.4.1, in the order they are signed; those that a message has."""

_OVERSIGNED = (b"from", b"subject", b"to", b"date")
"""Named once more than they occur, so that adding another breaks the signature (RFC 6376 5.4, 8.15)."""

_SPACES = re.compile(rb"[ \t]+")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_MINIMUM_RSA_BITS = 1024
_LINE = 70


def generate_key(algorithm: str = "rsa", bits: int = 2048) -> bytes:
    """A new private key as PKCS #8 PEM. `algorithm` is rsa or ed25519; `bits` counts for rsa only."""
    key: PrivateKey
    if algorithm == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    else:
        raise ValueError(f"DKIM knows rsa and ed25519, not {algorithm}")
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(pem: bytes) -> PrivateKey:
    """Read a private key. Raises ValueError if it cannot sign DKIM."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as failure:
        raise ValueError("the DKIM key is encrypted with a pass phrase") from failure
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < _MINIMUM_RSA_BITS:
            raise ValueError(f"an RSA key of {key.key_size} bits is too short for DKIM (RFC 8301)")
        return key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raise ValueError("DKIM takes RSA and Ed25519 keys only")


def dns_record(key: PrivateKey | bytes) -> str:
    """The text of the TXT record at `SELECTOR._domainkey.DOMAIN` (RFC 6376 3.6.1); `key` may be PEM.

    A TXT string holds 255 octets: whoever writes a zone has to split the text.
    """
    if isinstance(key, bytes):
        key = load_key(key)
    if isinstance(key, rsa.RSAPrivateKey):
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"v=DKIM1; k=rsa; p={b64encode(public).decode()}"
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={b64encode(raw).decode()}"


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 3.4.4; the body has CRLF line ends. A last line without one is taken as if it had it: it will have."""
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    if b"\t" in body or b"  " in body:
        body = _SPACES.sub(b" ", body)
    body = body.replace(b" \r\n", b"\r\n")
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n" if end else b""


def relaxed_field(raw: bytes) -> bytes:
    """RFC 6376 3.4.2: one field with its CRLF."""
    name, _, value = raw.partition(b":")
    value = _SPACES.sub(b" ", _FOLD.sub(b"", value.rstrip(b"\r\n"))).strip(b" ")
    return name.strip(b" \t").lower() + b":" + value + b"\r\n"


def sign(
    content: bytes,
    domain: str,
    selector: str,
    key: PrivateKey | bytes,
    when: datetime,
    signed: Sequence[bytes] = SIGNED_FIELDS,
) -> bytes:
    """The DKIM-Signature field for a message, folded, with its closing CRLF, to be put before the message.

    `content` is what will be sent, with CRLF line ends and before dot-stuffing; `domain` in A-label form.
    Raises ProtocolViolation for a message without From (RFC 6376 5.4), ValueError for a key that cannot sign.
    """
    if isinstance(key, bytes):
        key = load_key(key)
    end = content.find(b"\r\n\r\n")
    header, body = (content, b"") if end < 0 else (content[: end + 2], content[end + 4 :])
    if content.startswith(b"\r\n"):
        header, body = b"", content[2:]
    present: dict[bytes, list[bytes]] = {}
    for name, raw in fields(header):
        present.setdefault(name, []).append(raw)
    if b"from" not in present:
        raise ProtocolViolation("a message without From cannot be signed")
    names: list[bytes] = []
    hashed: list[bytes] = []
    for name in signed:
        # Several fields of one name are signed from the last one up (RFC 6376 5.4.2).
        for raw in reversed(present.get(name, ())):
            names.append(name)
            hashed.append(relaxed_field(raw))
        if name in _OVERSIGNED:
            names.append(name)
    algorithm = "rsa-sha256" if isinstance(key, rsa.RSAPrivateKey) else "ed25519-sha256"
    body_hash = b64encode(sha256(relaxed_body(body)).digest()).decode()
    unsigned = (
        f"DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d={domain}; s={selector};\r\n"
        f"\tt={int(when.timestamp())}; bh={body_hash};\r\n\th={_fold_names(names)};\r\n\tb="
    ).encode("ascii")
    digest_input = b"".join(hashed) + relaxed_field(unsigned).removesuffix(b"\r\n")
    return unsigned + _fold(b64encode(_signature(key, digest_input))) + b"\r\n"


def _signature(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(sha256(data).digest())  # RFC 8463 3


def _fold_names(names: Sequence[bytes]) -> str:
    lines: list[str] = [""]
    for name in names:
        item = name.decode("ascii")
        if len(lines[-1]) + len(item) > _LINE:
            lines.append("")
        lines[-1] += (":" if lines[-1] or len(lines) > 1 else "") + item
    return "\r\n\t".join(lines)


def _fold(encoded: bytes) -> bytes:
    return b"\r\n\t".join([encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)])
