"""What differs, and how it is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from postern.catalogue.schema import Level, Names
from postern.checks import report, wording
from postern.checks.compare import findings
from postern.checks.model import (
    Certificate,
    Directory,
    Expectation,
    Outcome,
    Reach,
    Seen,
    Service,
    Severity,
    Skipped,
    State,
    Tls,
    TlsSeen,
)
from postern.checks.tls import covers

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def service(**more):
    wanted = more.pop("expect", {})
    one = Expectation("p", Names("p"), more.get("tls", Tls.STARTTLS), Level.OPTIONAL, **wanted)
    facts = {"host": "mail", "address": "192.0.2.1", "port": 25, "protocol": "smtp", "tls": Tls.STARTTLS}
    return Service(**{**facts, "expectations": (one,), **more})


def certificate(**more):
    facts = {
        "subject": "CN=mail.example.org", "issuer": "CN=CA", "names": ("mail.example.org",), "key": "RSA 2048",
        "not_before": NOW - timedelta(days=1), "not_after": NOW + timedelta(days=100), "signature": "sha256",
        "fingerprint": "00", "self_signed": False,
    }  # fmt: skip
    return Certificate(**{**facts, **more})


def codes(given, seen):
    return [one.code for one in findings(given, seen, NOW)]


GOOD = {"starttls": True, "mechanisms": ("PLAIN",)}


@pytest.mark.parametrize(
    ("given", "seen", "expected"),
    [
        ({}, GOOD, []),
        ({}, {"reach": Reach.REFUSED}, ["closed"]),
        ({}, {"reach": Reach.SILENT}, ["silent"]),
        ({}, {"reach": Reach.UNREACHABLE}, ["unreachable"]),
        ({}, {"violation": "what?"}, ["wrong-protocol"]),
        ({}, {"starttls": True, "tls_failure": "no shared cipher"}, ["tls-failed"]),
        ({}, {"starttls": True, "starttls_failure": "454 no"}, ["starttls-refused"]),
        ({}, {"starttls": False}, ["starttls-missing"]),
        ({"tls": Tls.EITHER}, {"starttls": False}, []),
        ({"expect": {"mechanisms": ("NTLM|GSSAPI",)}}, {**GOOD, "mechanisms": ("gssapi",)}, []),
        ({"expect": {"mechanisms": ("NTLM|GSSAPI",)}}, GOOD, ["mechanism-missing"]),
        ({"expect": {"allowed": ("SCRAM-SHA-256",)}}, GOOD, ["mechanism-extra"]),
        ({}, {**GOOD, "mechanisms_clear": ("LOGIN", "GSSAPI")}, ["password-in-clear"]),
        ({"expect": {"in_clear": True}}, {**GOOD, "mechanisms_clear": ("LOGIN",)}, []),
        ({}, {**GOOD, "tls": TlsSeen("TLSv1.1")}, ["tls-old-only"]),
        ({}, {**GOOD, "tls": TlsSeen("TLSv1.3", old="TLSv1")}, ["tls-old"]),
        (
            {"protocol": "http", "tls": Tls.IMPLICIT},
            {"directories": (Directory("/ews/exchange.asmx", 401, ("NTLM",)),)},
            [],
        ),
        ({"protocol": "rpc", "tls": Tls.NONE}, {}, ["no-interfaces"]),
        ({"protocol": "dns", "tls": Tls.NONE}, {"missing_records": ("x A",)}, ["no-records"]),
        ({"protocol": "kerberos", "tls": Tls.NONE}, {"skew_s": -400.0}, ["clock"]),
        ({"protocol": "kerberos", "tls": Tls.NONE}, {"skew_s": 200.0}, []),
        (
            {"protocol": "ldap", "tls": Tls.NONE, "port": 3268},
            {"facts": {"isGlobalCatalogReady": ("FALSE",)}},
            ["not-ready"],
        ),
    ],
)  # fmt: skip
def test_differences(given, seen, expected):
    assert codes(service(**given), Seen(**seen)) == expected


@pytest.mark.parametrize(
    ("more", "seen", "expected"),
    [
        ({}, {"trusted": True}, []),
        ({"not_after": NOW - timedelta(days=1)}, {"trusted": False}, ["certificate-expired"]),
        ({"not_after": NOW + timedelta(days=5)}, {"trusted": True}, ["certificate-ends"]),
        ({"not_before": NOW + timedelta(days=5)}, {"trusted": True}, ["certificate-early"]),
        ({"names": ("other.example.org",)}, {"trusted": True}, ["certificate-name"]),
        ({}, {"trusted": False, "distrust": "unknown authority"}, ["certificate-untrusted"]),
        ({"key": "RSA 1024", "signature": "sha1"}, {"trusted": True}, ["certificate-weak"]),
    ],
)
def test_certificates(more, seen, expected):
    tls = TlsSeen("TLSv1.3", certificate=certificate(**more), **seen)
    assert codes(service(names=("mail.example.org",)), Seen(**GOOD, tls=tls)) == expected


def test_servers_among_themselves_may_sign_their_own():
    tls = TlsSeen("TLSv1.3", certificate=certificate(self_signed=True, names=("x",)), trusted=False)
    given = service(names=("mail.example.org",), expect={"self_signed": True})
    found = findings(given, Seen(**GOOD, tls=tls), NOW)
    assert {one.severity for one in found} == {Severity.NOTICE}
    assert Outcome(given, Seen(), found).state is State.OK


@pytest.mark.parametrize(
    ("names", "wanted", "good"),
    [
        (("mail.example.org",), "MAIL.example.org.", True),
        (("*.example.org",), "mail.example.org", True),
        (("*.example.org",), "a.mail.example.org", False),
        (("*.example.org",), "example.org", False),
        (("mail.example.org",), "mail", True),
        (("192.0.2.1",), "192.0.2.1", True),
        (("192.0.2.1",), "192", True),
        ((), "mail", False),
    ],
)
def test_names(names, wanted, good):
    assert covers(certificate(names=names), wanted) is good


def test_every_finding_is_said_in_both_languages_with_the_same_values():
    for code in wording.CODES:
        one = wording.make(code, host="HOST", port="PORT", expected="EXPECTED", found="FOUND")
        for names in (one.text, one.advice):
            assert names.en
            assert any("\u0430" <= c <= "\u044f" for c in names.ru), names
            for value in ("HOST", "PORT", "EXPECTED", "FOUND"):
                assert (value in names.en) == (value in names.ru), (code, value)
            assert "{" not in names.en + names.ru


def test_junit_holds_whatever_a_server_said():
    given = service()
    seen = Seen(violation='\x00\x1b]0;evil\x07 <x> & "y" \ufffe')
    outcome = Outcome(given, seen, findings(given, seen, NOW))
    omitted = Skipped("mail", "x.y", "any/tcp", Names("why", "почему"))
    for language in ("en", "ru"):
        root = ElementTree.fromstring(report.junit([outcome], [omitted], language))
        suite = root[0]
        assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")
        assert suite[0][0].get("type") == "wrong-protocol"
    row = report.row(outcome, "ru")
    assert row["state"] == "error"
    assert report.sort([Outcome(given, Seen(**GOOD), ()), outcome])[0] is outcome


def test_the_page_on_checks_lists_every_code_with_its_severity():
    page = (Path(__file__).resolve().parents[3] / "docs" / "check.md").read_text("utf-8")
    for code in wording.CODES:
        severity = wording.make(code, host="h", port="p").severity.value
        assert f"| `{code}` | {severity} |" in page
