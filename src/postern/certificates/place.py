"""Where certificates and keys lie in a data directory, and how a pair of files is replaced."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509

from postern.formats import issuing
from postern.formats.certificate import Purpose, flaw, read
from postern.model.refusal import Reason, Refusal


class Pair(msgspec.Struct, frozen=True):
    """A certificate and its private key, both PEM."""

    certificate: Path
    key: Path

    def load(self) -> tuple[x509.Certificate, issuing.Key]:
        """Raises Refusal."""
        try:
            return read(self.certificate.read_bytes())[0], issuing.load_key(self.key.read_bytes())
        except OSError as problem:
            raise Refusal(Reason.NO_SUCH_ITEM, f"{problem.filename}: {problem.strerror}") from problem
        except ValueError as problem:
            raise Refusal(Reason.CORRUPT, f"{self.certificate} or {self.key} cannot be read: {problem}") from problem

    def replace(self, chain: bytes, key: bytes) -> None:
        """Put a new pair in place of an old one, which is kept as `*.old`. Raises OSError.

        Who reads between the two renames finds a key that does not fit, and looks again.
        """
        self.certificate.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = []
        for path, content in ((self.key, key), (self.certificate, chain)):
            fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
            fresh.unlink(missing_ok=True)
            write_private(fresh, content)
            made.append((fresh, path))
        for _fresh, path in made:
            old = path.with_name(path.name + ".old")
            old.unlink(missing_ok=True)
            if path.exists():
                os.link(path, old)
        for fresh, path in made:
            fresh.replace(path)
        directory = os.open(self.certificate.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class Place:
    """A data directory's certificates."""

    def __init__(self, data: Path) -> None:
        self.directory = data / "tls"
        self.listeners = Pair(self.directory / "certificate.pem", self.directory / "key.pem")
        """What clients see, unless the settings name other files."""
        self.identity = Pair(self.directory / "server.pem", self.directory / "server.key.pem")
        """What the organisation's servers see: self-signed, known by its pin, of no concern to clients."""
        self.authority = Pair(self.directory / "authority.pem", self.directory / "authority.key.pem")
        self.request = self.directory / "request.pem"
        self.request_key = self.directory / "request.key.pem"
        self.issued = self.directory / "issued"
        self.acme = self.directory / "acme"
        self.challenges = data / "acme-challenge"
        """Answers for /.well-known/acme-challenge/TOKEN, a file each, while an order runs (RFC 8555 8.3)."""

    def ensure_identity(self, hostname: str, now: datetime) -> Pair:
        """The server's own certificate towards its peers, made if it is not there. Raises OSError."""
        pair = self.identity
        if not (pair.certificate.exists() and pair.key.exists()):
            pair.replace(*issuing.self_signed([hostname], [], now))
        return pair

    def ensure_authority(self, organisation: str, now: datetime) -> Pair:
        """The organisation's authority, made if it is not there. Raises OSError."""
        pair = self.authority
        if not (pair.certificate.exists() and pair.key.exists()):
            pair.replace(*issuing.authority(organisation, now))
        return pair

    def signer(self) -> tuple[x509.Certificate, issuing.Key]:
        """The authority's certificate and key. Raises Refusal."""
        return self.authority.load()

    def issuances(self) -> list[Path]:
        """Certificates that the authority issued, by name."""
        return sorted(self.issued.glob("*.pem")) if self.issued.is_dir() else []


def write_private(path: Path, content: bytes) -> None:
    """Write a file only its owner may read; never over an existing one. Raises FileExistsError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def fitting(chain: Sequence[x509.Certificate], key: issuing.Key, now: datetime) -> bytes:
    """A chain for a listener, in order, in PEM.

    Raises Refusal(BAD_VALUE): the key is another's, or clients would refuse the certificate at once.
    """
    try:
        found = issuing.ordered(chain, key)
    except ValueError as problem:
        raise Refusal(Reason.BAD_VALUE, str(problem)) from problem
    wrong = flaw(found[0], Purpose.SERVER, now)
    if wrong is not None:
        raise Refusal(Reason.BAD_VALUE, f"the certificate cannot be used: {wrong.text}")
    return b"".join(issuing.pem(one) for one in found)
