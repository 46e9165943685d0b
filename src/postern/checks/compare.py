"""Found beside catalogued: what of it differs, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Protocol

from postern.catalogue.schema import Level
from postern.checks import wording
from postern.checks.model import Expectation, Finding, Reach, Seen, Service, Severity, Tls
from postern.checks.speaking import OWN_PAGES, SCHEMES
from postern.checks.tls import covers

ENDS_SOON = timedelta(days=30)
SKEW_LIMIT = timedelta(minutes=5)
"""Kerberos' usual tolerance (RFC 4120 5.2.3, 8.2)."""
SHOWING = frozenset({"PLAIN", "LOGIN", "BASIC"})
"""Mechanisms that show the password to whoever listens."""
_ORDER = (Severity.ERROR, Severity.WARNING, Severity.NOTICE)
_WEAK_KEYS = frozenset({"RSA 512", "RSA 768", "RSA 1024", "DSA 1024"})
_OLD = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})


def findings(service: Service, seen: Seen, now: datetime) -> tuple[Finding, ...]:
    """All differences of a service; one of several data paths is told once for all of them."""
    found: dict[tuple[str, str, str], Finding] = {}
    for one in _all(service, seen, now):
        found.setdefault((one.code, one.expected, one.found), one)
    return tuple(sorted(found.values(), key=lambda one: _ORDER.index(one.severity)))


def _all(service: Service, seen: Seen, now: datetime) -> Iterator[Finding]:
    def make(code: str, path: str = "", expected: str = "", found: str = "", **more: Severity) -> Finding:
        return wording.make(
            code, host=service.host, port=f"{service.port}/{service.transport}", path=path, expected=expected,
            found=found, **more,
        )  # fmt: skip

    if seen.reach is not Reach.OPEN:
        code = {Reach.REFUSED: "closed", Reach.SILENT: "silent"}.get(seen.reach, "unreachable")
        yield make(code, found=seen.reason)
        return
    if seen.tls_failure:
        yield make("tls-failed", found=seen.tls_failure)
    elif seen.violation:
        yield make("wrong-protocol", expected=service.protocol, found=seen.violation)
    if seen.starttls_failure:
        yield make("starttls-refused", found=seen.starttls_failure)
    for one in service.expectations:
        yield from _encryption(one, seen, make)
        if not seen.violation and not seen.tls_failure:
            yield from _mechanisms(one, service, seen, make)
    yield from _tls(service, seen, now, make)
    yield from _rest(service, seen, make)


class _Make(Protocol):
    """How findings of a service are made."""

    def __call__(self, code: str, path: str = "", expected: str = "", found: str = "", **more: Severity) -> Finding:
        """See wording.make."""
        ...


def _encryption(one: Expectation, seen: Seen, make: _Make) -> Iterator[Finding]:
    if one.tls is not Tls.STARTTLS or seen.starttls is not False or seen.violation:
        return
    severity = Severity.ERROR if one.level in {Level.REQUIRED, Level.OPTIONAL} else Severity.WARNING
    yield make("starttls-missing", one.path, one.tls.value, "none", severity=severity)


def _mechanisms(one: Expectation, service: Service, seen: Seen, make: _Make) -> Iterator[Finding]:
    offered = {mechanism.upper() for mechanism in seen.mechanisms}
    listed = ", ".join(seen.mechanisms) or "-"
    if seen.starttls is not False or one.in_clear or one.tls is not Tls.STARTTLS:
        missing = [wanted for wanted in one.mechanisms if offered.isdisjoint(wanted.upper().split("|"))]
        for wanted in missing:
            severity = Severity.ERROR if one.allowed is not None else Severity.WARNING
            yield make("mechanism-missing", one.path, wanted.replace("|", " / "), listed, severity=severity)
    if one.allowed is not None:
        extra = offered - {mechanism.upper() for mechanism in one.allowed}
        if extra:
            yield make("mechanism-extra", one.path, ", ".join(one.allowed) or "-", ", ".join(sorted(extra)))
    shown = sorted(SHOWING.intersection(mechanism.upper() for mechanism in seen.mechanisms_clear))
    if shown and not one.in_clear and service.tls is not Tls.IMPLICIT:
        yield make("password-in-clear", one.path, "-", ", ".join(shown))


def _tls(service: Service, seen: Seen, now: datetime, make: _Make) -> Iterator[Finding]:
    if seen.tls is None:
        return
    if seen.tls.version in _OLD:
        yield make("tls-old-only", expected="TLSv1.2", found=seen.tls.version)
    elif seen.tls.old:
        yield make("tls-old", expected="TLSv1.2", found=seen.tls.old)
    certificate = seen.tls.certificate
    if certificate is None:
        return
    day = "%Y-%m-%d"
    if certificate.not_after < now:
        yield make("certificate-expired", expected=now.strftime(day), found=certificate.not_after.strftime(day))
    elif certificate.not_after < now + ENDS_SOON:
        yield make("certificate-ends", found=certificate.not_after.strftime(day))
    if certificate.not_before > now:
        yield make("certificate-early", expected=now.strftime(day), found=certificate.not_before.strftime(day))
    among_servers = bool(service.expectations) and all(one.self_signed for one in service.expectations)
    wrong = [name for name in service.names if not covers(certificate, name)]
    if service.names and len(wrong) == len(service.names):
        severity = Severity.NOTICE if among_servers else Severity.ERROR
        names = ", ".join(certificate.names) or certificate.subject
        yield make("certificate-name", expected=service.names[0], found=names, severity=severity)
    if seen.tls.trusted is False and not certificate.not_after < now:
        if among_servers and certificate.self_signed:
            yield make("certificate-own", found=certificate.subject)
        else:
            yield make("certificate-untrusted", found=seen.tls.distrust)
    weak = [certificate.key] if certificate.key in _WEAK_KEYS else []
    weak += [certificate.signature] if certificate.signature in {"md5", "sha1"} else []
    if weak:
        yield make("certificate-weak", found=", ".join(weak))


def _rest(service: Service, seen: Seen, make: _Make) -> Iterator[Finding]:
    for one in seen.directories:
        if one.status == 404:
            yield make("directory-missing", expected=one.path, found=str(one.status))
        elif one.status >= 500:
            yield make("directory-broken", expected=one.path, found=str(one.status))
        elif one.path in SCHEMES and one.status == 200:
            yield make("directory-open", expected=one.path, found=str(one.status))
        elif (
            one.status == 401
            and one.path not in OWN_PAGES.values()
            and SCHEMES.get(one.path, frozenset()).isdisjoint(map(str.upper, one.schemes))
        ):
            listed = " / ".join(sorted(SCHEMES.get(one.path, ())))
            yield make("challenge-missing", expected=listed, found=f"{one.path}: {', '.join(one.schemes) or '-'}")
    if seen.missing_records:
        yield make("no-records", found=", ".join(seen.missing_records))
    if seen.skew_s is not None and abs(seen.skew_s) > SKEW_LIMIT.total_seconds():
        yield make("clock", expected="300 s", found=f"{seen.skew_s:.0f} s")
    if seen.facts.get("isGlobalCatalogReady") == ("FALSE",) and service.port in {3268, 3269}:
        yield make("not-ready")
    if service.protocol == "rpc" and not seen.violation and not seen.facts.get("interfaces"):
        yield make("no-interfaces")
