"""The certificate a server makes itself: EC P-256, self-signed, with every name and address it is reached by."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postern.model.addresses import normalise_domain

LIFETIME = timedelta(days=3650)
"""Nobody checks the lifetime of a self-signed certificate, everybody notices when it is over."""


def make(names: Sequence[str], addresses: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    """Certificate and private key in PEM. The first name is the subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    ascii_names = list(dict.fromkeys(normalise_domain(name) for name in names))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ascii_names[0][:64])])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in ascii_names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in dict.fromkeys(addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def write_private(path: Path, content: bytes) -> None:
    """Write a file only its owner may read; never over an existing one. Raises FileExistsError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
