"""What was found beside what is catalogued, as plain values, as JUnit's XML, and as rows for tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from postern.checks.model import Outcome, Seen, Service, Skipped, State, Tls

ORDER = (State.ERROR, State.WARNING, State.OK)


def sort(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Differences first; among equals the order given."""
    return sorted(outcomes, key=lambda one: ORDER.index(one.state))


def expected(service: Service) -> str:
    """What the catalogue says, in a few words: `smtp STARTTLS PLAIN LOGIN`."""
    tls = {Tls.STARTTLS: "STARTTLS", Tls.IMPLICIT: "TLS", Tls.EITHER: "", Tls.NONE: ""}[service.tls]
    mechanisms = dict.fromkeys(name.replace("|", "/") for one in service.expectations for name in one.mechanisms)
    return " ".join(filter(None, (service.protocol or service.transport, tls, *mechanisms)))


def found(service: Service, seen: Seen) -> str:
    """What was seen, in the same form."""
    if seen.reach.value != "open":
        return f"{seen.reach.value}: {seen.reason}" if seen.reason else seen.reach.value
    if seen.violation or seen.tls_failure:
        return seen.tls_failure or seen.violation
    tls = ""
    if seen.tls is not None:
        tls = f"{'STARTTLS ' if seen.starttls else ''}{seen.tls.version}"
    said = seen.mechanisms or tuple(f"{one.path} {one.status}" for one in seen.directories)
    if not said:
        said = next(iter(seen.facts.values()), ())[:3]
    return " ".join(filter(None, (service.protocol or service.transport, tls, *said)))


def row(outcome: Outcome, language: str) -> dict[str, Any]:
    """One outcome in full, for JSON."""
    service, seen = outcome.service, outcome.seen
    certificate = seen.tls.certificate if seen.tls else None
    return {
        "state": outcome.state.value,
        "host": service.host,
        "address": service.address,
        "port": service.port,
        "transport": service.transport,
        "protocol": service.protocol,
        "paths": [one.path for one in service.expectations],
        "purpose": "; ".join(dict.fromkeys(one.purpose.of(language) for one in service.expectations if one.purpose)),
        "expected": expected(service),
        "found": found(service, seen),
        "findings": [
            {
                "code": one.code,
                "severity": one.severity.value,
                "path": one.path,
                "expected": one.expected,
                "found": one.found,
                "text": one.text.of(language),
                "advice": one.advice.of(language),
            }
            for one in outcome.findings
        ],
        "seen": {
            "reach": seen.reach.value,
            "greeting": seen.greeting,
            "capabilities": list(seen.capabilities),
            "mechanisms_clear": list(seen.mechanisms_clear),
            "mechanisms": list(seen.mechanisms),
            "starttls": seen.starttls,
            "tls": seen.tls.version if seen.tls else "",
            "cipher": seen.tls.cipher if seen.tls else "",
            "trusted": seen.tls.trusted if seen.tls else None,
            "certificate": certificate,
            "directories": list(seen.directories),
            "facts": seen.facts,
            "clock_skew_s": seen.skew_s,
            "duration_s": seen.duration_s,
        },
    }


def skipped_row(one: Skipped, language: str) -> dict[str, Any]:
    """A data path that was not asked, for JSON."""
    reason = one.reason.of(language)
    return {"state": State.SKIPPED.value, "host": one.host, "path": one.path, "ports": one.ports, "reason": reason}


def junit(outcomes: Sequence[Outcome], skipped: Sequence[Skipped], language: str) -> str:
    """A test suite with one case for each service; errors are failures, warnings are told in the output."""
    failures = sum(one.state is State.ERROR for one in outcomes)
    took = sum(one.seen.duration_s for one in outcomes)
    head = (
        f'<testsuite name="postern check" tests="{len(outcomes) + len(skipped)}" failures="{failures}"'
        f' errors="0" skipped="{len(skipped)}" time="{took:.3f}">'
    )
    cases = [line for one in outcomes for line in _case(one, language)]
    for omitted in skipped:
        cases.append(
            f"<testcase classname={_attribute(omitted.host)} name={_attribute(f'{omitted.path} {omitted.ports}')}>"
        )
        cases.append(f"<skipped message={_attribute(omitted.reason.of(language))}/></testcase>")
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", head, *cases, "</testsuite>", "</testsuites>", ""]
    )


def _case(outcome: Outcome, language: str) -> Iterator[str]:
    service = outcome.service
    name = f"{service.address} {service.port}/{service.transport} {service.protocol}".rstrip()
    attributes = f'classname={_attribute(service.host)} name={_attribute(name)} time="{outcome.seen.duration_s:.3f}"'
    if not outcome.findings:
        yield f"<testcase {attributes}/>"
        return
    lines = [f"{one.severity.value} {one.text.of(language)}. {one.advice.of(language)}" for one in outcome.findings]
    yield f"<testcase {attributes}>"
    if outcome.state is State.ERROR:
        first = outcome.findings[0]
        message, kind = _attribute(first.text.of(language)), _attribute(first.code)
        yield f"<failure message={message} type={kind}>{_text(chr(10).join(lines))}</failure>"
    else:
        yield f"<system-out>{_text(chr(10).join(lines))}</system-out>"
    yield "</testcase>"


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot say: a greeting may have anything in it."""
    return "".join(c if (c >= " " and c not in "\ufffe\uffff") or c in "\n\t" else "\ufffd" for c in text)


def _text(text: str) -> str:
    return escape(_clean(text))


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))
