"""Certificates good and bad for peers, and openssl s_client as a peer that shows them."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postern.formats import issuing
from postern.formats.certificate import pin, read

NOW = datetime.now(UTC)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


class Authority:
    """Signs whatever is wanted, wrong things too."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.pem = folder / f"{name}.ca.pem"
        chain, key = issuing.authority(name, NOW - timedelta(days=400))
        self.pem.write_bytes(chain)
        self.certificate, self.key = read(chain)[0], issuing.load_key(key)

    def issue(
        self,
        file: str,
        *names: str,
        usages: tuple = (CLIENT, SERVER),
        since: int = -1,
        until: int = 30,
    ) -> tuple[Path, Path]:
        """Certificate and key files; days from now."""
        key = issuing.new_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=since))
            .not_valid_after(NOW + timedelta(days=until))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
        )
        paths = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        paths[0].write_bytes(issuing.pem(builder.sign(self.key, hashes.SHA256())))
        paths[1].write_bytes(issuing.key_pem(key))
        for path in paths:
            path.chmod(0o644)
        return paths


def pin_of(path: Path) -> str:
    return pin(read(path.read_bytes())[0])


def s_client(port: int, lines: list[str], files: tuple[Path, Path] | None = None, *more: str) -> str:
    """A dialogue by openssl after STARTTLS; what the server said."""
    shown = ["-cert", str(files[0]), "-key", str(files[1])] if files else []
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "smtp", "-crlf", "-quiet", "-ign_eof",
         "-name", "peer.example", *shown, *more],
        input="\n".join(["EHLO peer.example", *lines, "QUIT", ""]), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout + ("" if done.stdout else done.stderr)
