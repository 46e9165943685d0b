"""All certificates of a server: what each is for and how long it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509

from postern.certificates.place import Pair, Place
from postern.formats.certificate import Facts, Fault, Purpose, facts, flaw, read

DAY_S = 86400

LISTENERS = "listeners"
IDENTITY = "servers"
PARTNERS = "partners"
AUTHORITY = "authority"
ISSUED = "issued"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate."""

    use: str
    """listeners, servers (towards the organisation's own), partners, authority, issued."""
    path: Path
    facts: Facts | None
    """None: the file cannot be read."""
    state: str
    """valid, expires_soon, or a fault (formats.certificate.Fault)."""
    text: str = ""
    """What is wrong."""
    days: int | None = None
    """Whole days left; negative after its end."""

    @property
    def usable(self) -> bool:
        """Whether it does its work now."""
        return self.state in {"valid", "expires_soon"}


def inventory(place: Place, listeners: Pair, partners: Pair, now: datetime, warn_days: int) -> Iterator[Entry]:
    """What there is; the listeners' first, even if it is missing."""
    yield entry(LISTENERS, listeners.certificate, now, warn_days)
    if partners != listeners:
        yield entry(PARTNERS, partners.certificate, now, warn_days)
    for use, pair in ((IDENTITY, place.identity), (AUTHORITY, place.authority)):
        if pair.certificate.exists():
            yield entry(use, pair.certificate, now, warn_days)
    for path in place.issuances():
        yield entry(ISSUED, path, now, warn_days)


def entry(use: str, path: Path, now: datetime, warn_days: int) -> Entry:
    """One file's certificate."""
    try:
        certificate = read(path.read_bytes())[0]
        known = facts(certificate)
    except OSError as problem:
        return Entry(use=use, path=path, facts=None, state=Fault.UNREADABLE.value, text=problem.strerror or "")
    except ValueError as problem:
        return Entry(use=use, path=path, facts=None, state=Fault.UNREADABLE.value, text=str(problem))
    return judged(use, path, certificate, known, now, warn_days)


def judged(use: str, path: Path, certificate: x509.Certificate, known: Facts, now: datetime, warn_days: int) -> Entry:
    """With its state."""
    days = int((known.not_after - now.timestamp()) // DAY_S)
    purpose = Purpose.CLIENT if use in {IDENTITY, PARTNERS} else Purpose.SERVER
    wrong = flaw(certificate, purpose, now)
    if wrong is not None and not (use == AUTHORITY and wrong.fault is Fault.WRONG_PURPOSE):
        return Entry(use=use, path=path, facts=known, state=wrong.fault.value, text=wrong.text, days=days)
    if days < warn_days:
        return Entry(use=use, path=path, facts=known, state="expires_soon", text=f"{days} days are left", days=days)
    return Entry(use=use, path=path, facts=known, state="valid", days=days)
