"""What is to be checked, what was seen, and what follows from the difference."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import msgspec

from postern.catalogue.schema import Level, Names


class Tls(Enum):
    """How a service is expected to come to encryption."""

    NONE = "none"
    """Clear text only."""
    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    """TLS from the first byte."""
    EITHER = "either"
    """The catalogue leaves it open; what is found is reported."""


class Expectation(msgspec.Struct, frozen=True):
    """What the catalogue says of one data path at a service."""

    path: str
    """Id of the data path."""
    purpose: Names
    tls: Tls
    level: Level
    mechanisms: tuple[str, ...] = ()
    """SASL mechanisms or HTTP schemes that have to be offered; `A|B`: one of them."""
    allowed: tuple[str, ...] | None = None
    """Mechanisms that may be offered; None: the catalogue does not limit them."""
    in_clear: bool = False
    """Whether mechanisms that show the password may be offered without TLS."""
    self_signed: bool = False
    """Whether the servers of this path trust each other's own certificates, so that no authority is needed."""
    breaks: Names = Names()
    """What does not work without it."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One socket to be asked."""

    host: str
    """Name in the topology."""
    address: str
    port: int
    transport: str = "tcp"
    protocol: str = ""
    """smtp, imap, pop3, http, ldap, kerberos, dns, rpc, sip; empty: only whether it can be reached."""
    tls: Tls = Tls.NONE
    names: tuple[str, ...] = ()
    """Names the certificate has to cover; the first goes into SNI."""
    directories: tuple[str, ...] = ()
    """HTTP: paths to ask for."""
    domain: str = ""
    """DNS domain of the organisation; its realm in capitals. Empty: unknown."""
    questions: tuple[tuple[str, str], ...] = ()
    """DNS: names and types to ask for."""
    expectations: tuple[Expectation, ...] = ()

    @property
    def text(self) -> str:
        """`mbx1 192.0.2.1:25/tcp`."""
        literal = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.host} {literal}:{self.port}/{self.transport}"


class Reach(Enum):
    """Whether there is anybody."""

    OPEN = "open"
    REFUSED = "refused"
    """The host said no: nothing listens, or a firewall rejects."""
    SILENT = "silent"
    """No answer in time: a firewall drops, or the host is down."""
    UNREACHABLE = "unreachable"
    """There is no way to it."""


class Certificate(msgspec.Struct, frozen=True):
    """A server's certificate."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    """DNS names and IP addresses of subjectAltName."""
    not_before: datetime
    not_after: datetime
    key: str
    """`RSA 2048`, `EC secp256r1`."""
    signature: str
    """Hash of the signature: sha256."""
    fingerprint: str
    """SHA-256, hexadecimal."""
    self_signed: bool


class TlsSeen(msgspec.Struct):
    """What handshakes showed."""

    version: str = ""
    """The best version both sides know: TLSv1.3."""
    cipher: str = ""
    old: str = ""
    """A version before 1.2 that is accepted as well; empty if none is."""
    certificate: Certificate | None = None
    trusted: bool | None = None
    """Whether its chain leads to an authority that is trusted here; None: not tried."""
    distrust: str = ""
    """Why not, in OpenSSL's words."""


class Directory(msgspec.Struct, frozen=True):
    """A virtual directory of a web server."""

    path: str
    status: int
    """0: the answer was no HTTP."""
    schemes: tuple[str, ...] = ()
    location: str = ""


class Seen(msgspec.Struct, kw_only=True):
    """What a probe saw; it fills this in as far as it gets."""

    reach: Reach = Reach.OPEN
    reason: str = ""
    """The system's words if it was not reached."""
    violation: str = ""
    """What was wrong with the answers; empty if they were proper."""
    greeting: str = ""
    capabilities: tuple[str, ...] = ()
    """As announced after encryption if there is any, else before."""
    mechanisms_clear: tuple[str, ...] = ()
    """Offered before TLS."""
    mechanisms: tuple[str, ...] = ()
    """Offered inside TLS, or all if there is none."""
    starttls: bool | None = None
    """Whether the upgrade is offered; None where there is no such thing."""
    starttls_failure: str = ""
    tls: TlsSeen | None = None
    tls_failure: str = ""
    directories: tuple[Directory, ...] = ()
    facts: dict[str, tuple[str, ...]] = {}
    """Whatever else the protocol tells: naming contexts, realm, records, interfaces."""
    missing_records: tuple[str, ...] = ()
    skew_s: float | None = None
    """How far its clock is ahead of ours."""
    duration_s: float = 0.0


class Severity(Enum):
    """How bad it is."""

    ERROR = "error"
    """Something does not work, or a password is exposed."""
    WARNING = "warning"
    """Works, but not as catalogued, or not for long."""
    NOTICE = "notice"
    """Worth knowing."""


class Finding(msgspec.Struct, frozen=True):
    """One difference."""

    code: str
    """Stable, for programs: `starttls-missing`."""
    severity: Severity
    path: str
    """Data path, empty if it concerns all of the service."""
    expected: str
    found: str
    text: Names
    advice: Names


class State(Enum):
    """What became of a service."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


class Outcome(msgspec.Struct, frozen=True):
    """One service: expected, seen, and the differences."""

    service: Service
    seen: Seen
    findings: tuple[Finding, ...]

    @property
    def state(self) -> State:
        """The worst of its findings."""
        severities = {finding.severity for finding in self.findings}
        if Severity.ERROR in severities:
            return State.ERROR
        return State.WARNING if Severity.WARNING in severities else State.OK


class Skipped(msgspec.Struct, frozen=True):
    """A data path that cannot be asked, and why."""

    host: str
    path: str
    ports: str
    reason: Names
