"""Making certificates: self-signed ones, an organisation's authority, requests, and what the authority issues."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postern.model.addresses import normalise_domain

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

SELF_SIGNED_DAYS = 3650
"""Nobody checks the lifetime of a self-signed certificate, everybody notices when it is over."""
ISSUED_DAYS = 397
AUTHORITY_DAYS = 7300
BACKDATED = timedelta(days=1)
"""Clocks of other machines may be slow."""
MINIMUM_RSA_BITS = 2048
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_BOTH_ENDS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


def new_key() -> ec.EllipticCurvePrivateKey:
    """P-256: every mail server of the last ten years knows it."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """PKCS #8 without a password: the server starts without an administrator."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(content: bytes, password: bytes | None = None) -> Key:
    """A private key in PEM or DER. Raises ValueError for what is none, is weak, or has another password."""
    try:
        if b"-----BEGIN" in content:
            key = serialization.load_pem_private_key(content, password)
        else:
            key = serialization.load_der_private_key(content, password)
    except TypeError as problem:  # a password is missing, or there is one too many
        raise ValueError(str(problem)) from problem
    return _usable(key)


def load_pfx(content: bytes, password: bytes | None) -> tuple[Key, list[x509.Certificate]]:
    """Key and certificates, the server's first, of a PKCS #12 file. Raises ValueError."""
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(content, password)
    except ValueError as problem:
        if "password" in str(problem).lower():
            raise
        raise ValueError("the file is neither a certificate in PEM nor a PKCS #12 file (.pfx, .p12)") from problem
    if key is None or certificate is None:
        raise ValueError("the file has no certificate with its private key: export it with the key")
    return _usable(key), [certificate, *others]


def _usable(key: object) -> Key:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MINIMUM_RSA_BITS:
        raise ValueError(f"an RSA key of {key.key_size} bits is too weak: {MINIMUM_RSA_BITS} at least")
    if not isinstance(key, Key):
        raise ValueError("the key is of a kind that TLS cannot use here: take EC or RSA")
    return key


def self_signed(
    names: Sequence[str], addresses: Sequence[str], now: datetime, days: int = SELF_SIGNED_DAYS
) -> tuple[bytes, bytes]:
    """Certificate and private key in PEM. The first name is the subject. Raises Refusal, ValueError for bad names."""
    key = new_key()
    subject = _subject(names)
    certificate = (
        _builder(subject, key.public_key(), now, days)
        .issuer_name(subject)
        .add_extension(_alternatives(names, addresses), critical=False)
        # a client that is told to trust it looks for this bit
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_BOTH_ENDS, critical=False)
        .sign(key, hashes.SHA256())
    )
    return pem(certificate), key_pem(key)


def authority(name: str, now: datetime, days: int = AUTHORITY_DAYS) -> tuple[bytes, bytes]:
    """An organisation's own authority: certificate and private key in PEM. It signs end entities only."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Postern authority of {name}"[:64])])
    certificate = (
        _builder(subject, key.public_key(), now, days)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return pem(certificate), key_pem(key)


def request(names: Sequence[str], addresses: Sequence[str], key: Key) -> bytes:
    """A certificate signing request (RFC 2986) in PEM."""
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_subject(names))
        .add_extension(_alternatives(names, addresses), critical=False)
        .sign(key, _digest(key))
        .public_bytes(serialization.Encoding.PEM)
    )


def asked_for(content: bytes) -> tuple[x509.CertificateSigningRequest, tuple[str, ...], tuple[str, ...]]:
    """A request with its names and addresses. Raises ValueError if it is none or not signed by its own key."""
    asked = x509.load_pem_x509_csr(content) if b"-----BEGIN" in content else x509.load_der_x509_csr(content)
    if not asked.is_signature_valid:
        raise ValueError("the request is not signed by its own key")
    try:
        having = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return asked, tuple(str(name.value) for name in common[:1]), ()
    return (
        asked,
        tuple(having.get_values_for_type(x509.DNSName)),
        tuple(str(address) for address in having.get_values_for_type(x509.IPAddress)),
    )


def issue(
    names: Sequence[str],
    addresses: Sequence[str],
    key: x509.CertificateSigningRequest | Key,
    signer: tuple[x509.Certificate, Key],
    now: datetime,
    days: int = ISSUED_DAYS,
) -> bytes:
    """A certificate for both ends of a connection, in PEM; never beyond its authority's own time.

    Of a request only key and names count: what else it asks for is the authority's to decide.
    """
    ca, ca_key = signer
    days = min(days, (ca.not_valid_after_utc - now).days)
    if days <= 0:
        raise ValueError("the authority's own certificate is over: make a new one")
    return pem(
        _builder(_subject(names), key.public_key(), now, days)
        .issuer_name(ca.subject)
        .add_extension(_alternatives(names, addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(_BOTH_ENDS, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .sign(ca_key, _digest(ca_key))
    )


def ordered(chain: Sequence[x509.Certificate], key: Key) -> list[x509.Certificate]:
    """The chain as a server sends it: the key's certificate, then each one's issuer; without the root (RFC 8446 4.4.2).

    Raises ValueError if none belongs to the key.
    """
    own = _public(key.public_key())
    first = next((one for one in chain if _public(one.public_key()) == own), None)
    if first is None:
        raise ValueError("the private key belongs to none of these certificates")
    found = [first]
    while True:
        last = found[-1]
        above = next((one for one in chain if one.subject == last.issuer and one not in found), None)
        if above is None or above.subject == above.issuer:
            return found
        found.append(above)


def pem(certificate: x509.Certificate) -> bytes:
    """In PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(subject: x509.Name, key: object, now: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)  # type: ignore[arg-type]
    )


def _subject(names: Sequence[str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ascii(names[0])[:64])])


def _ascii(name: str) -> str:
    return "*." + normalise_domain(name[2:]) if name.startswith("*.") else normalise_domain(name)


def _alternatives(names: Sequence[str], addresses: Sequence[str]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(map(_ascii, names))]
    found += [x509.IPAddress(ipaddress.ip_address(address)) for address in dict.fromkeys(addresses)]
    return x509.SubjectAlternativeName(found)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _digest(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()


def _public(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def acme_answer(name: str, key_authorization: bytes, now: datetime) -> tuple[bytes, bytes]:
    """The certificate that answers tls-alpn-01 (RFC 8737 3), and its key, both PEM."""
    key = new_key()
    subject = _subject([name])
    # an OCTET STRING within the extension's own one
    digest = b"\x04\x20" + sha256(key_authorization).digest()
    certificate = (
        _builder(subject, key.public_key(), now, 7)
        .issuer_name(subject)
        .add_extension(_alternatives([name], []), critical=False)
        .add_extension(x509.UnrecognizedExtension(_ACME_IDENTIFIER, digest), critical=True)
        .sign(key, hashes.SHA256())
    )
    return pem(certificate), key_pem(key)
