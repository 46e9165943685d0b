"""X.509 certificates as facts, and what is wrong with one (RFC 5280, RFC 9525)."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from postern.model.addresses import normalise_domain
from postern.model.refusal import Refusal

PIN_HEX = 64
"""Length of a pin: SHA-256 in hexadecimal."""


class Purpose(Enum):
    """Which end of a connection a certificate is shown by."""

    SERVER = "server"
    CLIENT = "client"


class Fault(Enum):
    """What makes a certificate unfit."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WRONG_PURPOSE = "wrong_purpose"
    WRONG_NAME = "wrong_name"
    UNTRUSTED = "untrusted"
    UNREADABLE = "unreadable"


class Flaw(msgspec.Struct, frozen=True):
    """A fault, with the words for a log."""

    fault: Fault
    text: str


class Facts(msgspec.Struct, frozen=True):
    """What a certificate says."""

    subject: str
    issuer: str
    serial: str
    """Hexadecimal."""
    names: tuple[str, ...]
    """DNS names of the subject alternative name; the common name where there is none."""
    addresses: tuple[str, ...]
    not_before: int
    """Seconds since 1970."""
    not_after: int
    key: str
    """`EC secp256r1`, `RSA 2048`."""
    self_signed: bool
    authority: bool
    """May sign others."""
    purposes: tuple[str, ...]
    """Extended key usages; empty: any."""
    fingerprint: str
    """SHA-256 of the certificate, hexadecimal."""
    pin: str
    """SHA-256 of the SubjectPublicKeyInfo, hexadecimal (RFC 7469 2.4; TLSA 3 1 1 of RFC 6698)."""


_PURPOSES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "any",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "e-mail",
    ExtendedKeyUsageOID.CODE_SIGNING: "code signing",
}


def read(content: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM or DER file, at least one. Raises ValueError."""
    if b"-----BEGIN" in content:
        return x509.load_pem_x509_certificates(content)
    return [x509.load_der_x509_certificate(content)]


def pin(certificate: x509.Certificate) -> str:
    """SHA-256 of its SubjectPublicKeyInfo: stays when a certificate is renewed with its key."""
    key = certificate.public_key()
    return sha256(
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def facts(certificate: x509.Certificate) -> Facts:
    """What it says. Raises ValueError for extensions that cannot be read."""
    names, addresses = _alternatives(certificate)
    return Facts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        names=names,
        addresses=addresses,
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        key=_key_kind(certificate),
        self_signed=_signed_by(certificate, certificate),
        authority=_is_authority(certificate),
        purposes=tuple(_PURPOSES.get(usage, usage.dotted_string) for usage in _usages(certificate) or ()),
        fingerprint=sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest(),
        pin=pin(certificate),
    )


def flaw(certificate: x509.Certificate, purpose: Purpose, now: datetime, names: tuple[str, ...] = ()) -> Flaw | None:
    """What is wrong with it at `now` (aware) at that end; with `names`: it must be valid for one of them."""
    try:
        return (
            _flaw_of_time(certificate, now)
            or _flaw_of_purpose(certificate, purpose)
            or _flaw_of_name(certificate, names)
        )
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as problem:
        return Flaw(Fault.UNREADABLE, f"its extensions cannot be read: {problem}")


def _flaw_of_time(certificate: x509.Certificate, now: datetime) -> Flaw | None:
    if now > certificate.not_valid_after_utc:
        return Flaw(Fault.EXPIRED, f"it expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if now < certificate.not_valid_before_utc:
        return Flaw(Fault.NOT_YET_VALID, f"it is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on")
    return None


def _flaw_of_purpose(certificate: x509.Certificate, purpose: Purpose) -> Flaw | None:
    wanted = ExtendedKeyUsageOID.SERVER_AUTH if purpose is Purpose.SERVER else ExtendedKeyUsageOID.CLIENT_AUTH
    usages = _usages(certificate)
    if usages is not None and wanted not in usages and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usages:
        having = ", ".join(_PURPOSES.get(usage, usage.dotted_string) for usage in usages)
        return Flaw(
            Fault.WRONG_PURPOSE, f"its extended key usage is {having}: it may not be shown by a {purpose.value}"
        )
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
    # every handshake of TLS 1.3, and those of 1.2 that we allow, sign
    if not usage.digital_signature:
        return Flaw(Fault.WRONG_PURPOSE, "its key usage has no digitalSignature: it may not be used for TLS")
    return None


def _flaw_of_name(certificate: x509.Certificate, names: tuple[str, ...]) -> Flaw | None:
    if not names or any(valid_for(certificate, name) for name in names):
        return None
    having = ", ".join((*_alternatives(certificate)[0], *_alternatives(certificate)[1])[:8]) or "nothing"
    return Flaw(Fault.WRONG_NAME, f"it is for {having}, not for {' or '.join(names)}")


def valid_for(certificate: x509.Certificate, name: str) -> bool:
    """Whether it is for a host name or address (RFC 9525 6.3: `*` stands for one whole left label)."""
    names, addresses = _alternatives(certificate)
    try:
        return str(ipaddress.ip_address(name.strip("[]"))) in addresses
    except ValueError:
        pass
    try:
        wanted = normalise_domain(name.rstrip("."))
    except Refusal:
        return False
    parent = wanted.partition(".")[2]
    return wanted in names or ("." in parent and f"*.{parent}" in names)


def issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority signed it itself: signature, names, and that the authority may sign."""
    return _is_authority(authority) and _signed_by(certificate, authority)


def renewal_due(certificate: x509.Certificate, now: datetime, days: int) -> bool:
    """Whether fewer days are left, or less than a third of a lifetime that is short against them."""
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - now < min(timedelta(days=days), lifetime / 3)


def _alternatives(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """DNS names in lower case, and addresses."""
    try:
        having = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return tuple(str(name.value).lower() for name in common[:1]), ()
    return (
        tuple(name.lower() for name in having.get_values_for_type(x509.DNSName)),
        tuple(str(address) for address in having.get_values_for_type(x509.IPAddress)),
    )


def _usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier] | None:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signed_by(certificate: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _key_kind(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").lstrip("_")
