"""What TLS of a service is like: versions, cipher, certificate, and whether its chain is trusted here."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from postern.checks.model import Certificate, Seen, Service, TlsSeen
from postern.checks.wire import TROUBLE, Tools, Wire, opened, words
from postern.net.tls import TlsFailure

Prepare: TypeAlias = Callable[[Wire], Awaitable[None]]
"""Brings a fresh connection to the point where TLS begins: nothing with implicit TLS, else greeting and STARTTLS."""


async def straight_away(wire: Wire) -> None:
    """Implicit TLS."""


def permissive() -> ssl.SSLContext:
    """A context that takes whatever the server has: we want to see it, not to trust it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _versions(context, ssl.TLSVersion.TLSv1, ssl.TLSVersion.MAXIMUM_SUPPORTED)
    return context


def _versions(context: ssl.SSLContext, lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> None:
    with warnings.catch_warnings():
        # we know that the old versions are deprecated: that is what the check is about
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = lowest
        context.maximum_version = highest
    # OpenSSL 3 has the old versions at level 0 only
    context.set_ciphers("ALL:@SECLEVEL=0")


def _looked_at(wire: Wire) -> TlsSeen:
    """What the finished handshake of a connection shows."""
    facts = wire.stream.tls
    assert facts is not None
    return TlsSeen(facts.version, facts.cipher, certificate=describe(facts.peer_certificate))


async def handshake(wire: Wire, name: str, seen: Seen) -> bool:
    """Take whatever TLS the server has; whether that worked. `seen` says how."""
    try:
        await wire.start_tls(permissive(), name)
    except (TlsFailure, TimeoutError) as failure:
        seen.tls_failure = words(failure)
        return False
    seen.tls = _looked_at(wire)
    return True


async def examine(service: Service, tools: Tools, seen: Seen, prepare: Prepare) -> None:
    """Add to `seen.tls` what takes connections of its own: trust, and whether an old version is accepted."""
    tls = seen.tls
    if tls is None:
        return
    name = service.names[0] if service.names else ""
    if tls.certificate is not None:
        if tools.own and tls.certificate.fingerprint == _fingerprint(tools.own):
            tls.trusted = True
        else:
            tls.trusted, tls.distrust = await _trust(service, tools, prepare, name)
    if tls.version in {"TLSv1.3", "TLSv1.2"}:
        tls.old = await _old_version(service, tools, prepare, name)


@lru_cache(2)
def trusting(authorities: Path | None, _written_at: int) -> ssl.SSLContext:
    """A context with the authorities of a file, or the system's: reading those takes longer than most services do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # names are compared apart, so that every problem is told
    if authorities is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(authorities)
    return context


async def _trust(service: Service, tools: Tools, prepare: Prepare, name: str) -> tuple[bool | None, str]:
    context = trusting(tools.trust, 0 if tools.trust is None else tools.trust.stat().st_mtime_ns)
    try:
        async with opened(service, tools) as wire:
            await prepare(wire)
            await wire.start_tls(context, name)
            return True, ""
    except TlsFailure as failure:
        cause = failure.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return False, cause.verify_message
        return None, words(failure)
    except TROUBLE as failure:
        return None, words(failure)


async def _old_version(service: Service, tools: Tools, prepare: Prepare, name: str) -> str:
    context = permissive()
    _versions(context, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    try:
        async with opened(service, tools) as wire:
            await prepare(wire)
            await wire.start_tls(context, name)
            return wire.stream.tls.version if wire.stream.tls else ""
    except TROUBLE:
        return ""


def describe(der: bytes) -> Certificate | None:
    """A certificate for people; None for what is none."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = _names(certificate)
        key = certificate.public_key()
        algorithm = certificate.signature_hash_algorithm
        return Certificate(
            certificate.subject.rfc4514_string(),
            certificate.issuer.rfc4514_string(),
            names,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            _key(key),
            algorithm.name if algorithm else "",
            _fingerprint(der),
            certificate.subject == certificate.issuer,
        )
    except ValueError:
        return None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = alternatives.get_values_for_type(x509.IPAddress)
    return tuple(alternatives.get_values_for_type(x509.DNSName)) + tuple(map(str, addresses))


def _key(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey").lstrip("_")


def _fingerprint(der: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return digest.finalize().hex()


def covers(certificate: Certificate, name: str) -> bool:
    """Whether a certificate is good for a name or an address (RFC 9525 6.3, 6.4).

    A name without a dot, as servers have it in a plan, is compared with the first labels.
    """
    wanted = name.lower().rstrip(".")
    for given in certificate.names:
        have = given.lower()
        if have == wanted:
            return True
        if have.startswith("*.") and "." in wanted and wanted.partition(".")[2] == have[2:]:
            return True
        if "." not in wanted and ":" not in wanted and have.partition(".")[0] == wanted:
            return True
    return False
