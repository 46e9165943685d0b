"""`postern check autodiscover` in a network where each domain is found in another way."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = pytest.mark.interop


@pytest.fixture
def check(mail_network):
    def call(address: str, *options: str, json_too: bool = True, password: str = ""):
        words = ["--password-file", "-"] if password else []
        done = mail_network.run(
            sys.executable, "-m", "postern", "check", "autodiscover", address, "--trust", str(mail_network.authority),
            *words, *options, *(["--json"] if json_too else []), input=password, check=False, PYTHONPATH="src",
        )  # fmt: skip
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout) if json_too else done.stdout

    return call


def outcomes(facts: dict) -> dict[str, str]:
    return {step["name"]: step["outcome"] for step in facts["steps"]}


SKIPPED = {"o365": "skipped", "scp": "skipped", "local": "skipped", "fallback": "skipped"}


def test_found_by_the_made_up_name(check):
    code, facts = check("anna@example.org", password="correct horse\n")
    assert outcomes(facts) == SKIPPED | {
        "root": "nothing", "autodiscover": "found", "redirect": "found", "srv": "nothing",
    }  # fmt: skip
    assert (code, facts["found_by"], facts["registry"]) == (0, "autodiscover", [])
    found = facts["steps"][3]
    assert found["settings"]["EXCH"] == "https://mail.example.org/EWS/Exchange.asmx"
    assert found["settings"]["IMAP"] == "mail.example.org:993"


def test_without_a_password_nobody_is_signed_in(check):
    code, facts = check("anna@example.org")
    assert (code, outcomes(facts)["autodiscover"], facts["found_by"]) == (0, "asks", "autodiscover")


def test_a_foreign_web_server_on_the_domain_and_a_name_without_a_certificate(check):
    code, facts = check("dora@example.net", password="correct horse")
    assert outcomes(facts) == SKIPPED | {
        "root": "foreign", "autodiscover": "certificate", "redirect": "found", "srv": "nothing",
    }  # fmt: skip
    assert (code, facts["found_by"]) == (1, "redirect")
    assert facts["registry"] == ["ExcludeHttpsRootDomain", "ExcludeHttpsAutoDiscoverDomain"]
    assert "example.net" in facts["steps"][3]["detail"]
    _, text = check("dora@example.net", json_too=False)
    assert "/v ExcludeHttpsRootDomain /t REG_DWORD /d 1" in text
    _, text = check("dora@example.net", "--lang", "ru", json_too=False)
    assert "Сертификат" in text


def test_found_by_srv_alone(check):
    code, facts = check("emil@example.com", password="correct horse")
    assert (code, facts["found_by"]) == (0, "srv")
    assert outcomes(facts)["srv"] == "found"


def test_a_directory_that_has_the_service_connection_point(check):
    code, facts = check("emil@example.com", "--directory", "mail.example.org", password="correct horse")
    assert (code, facts["found_by"], outcomes(facts)["scp"]) == (0, "scp", "found")
    code, facts = check("emil@example.com", "--directory", "autodiscover.example.net", password="correct horse")
    assert (facts["found_by"], outcomes(facts)["scp"]) == ("srv", "nothing")
    assert "certificate" in facts["steps"][1]["detail"]


def test_a_wrong_password_and_somebody_unknown(check):
    code, facts = check("emil@example.com", password="wrong")
    assert (code, facts["found_by"], outcomes(facts)["srv"]) == (1, None, "refused")
    code, facts = check("nobody@nowhere.example")
    assert (code, facts["found_by"]) == (1, None)
