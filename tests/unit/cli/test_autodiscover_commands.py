"""`postern autodiscover`, `postern oab`, and the rules of `postern check autodiscover` that need no network."""

from __future__ import annotations

import re

import pytest
from tests.unit.cli.test_nouns import admin

from postern.checks.autodiscovery import Outcome, Step, first_answer, obstacles
from postern.protocols.autodiscover import scp

__all__ = ["admin"]


def test_the_service_connection_point_as_ldif(admin, tmp_path):
    config = tmp_path / "postern.toml"
    config.write_text(config.read_text().replace("[server]\n", '[server]\nhostname = "mail.example.org"\n'))
    text = admin("autodiscover", "scp", "--domain", "corp.example.org", "--site", "Riga", "--site", "Рига").out
    first, second = re.findall(r"dn: (.*)", text)
    assert first == "CN=Postern,CN=Services,CN=Configuration,DC=corp,DC=example,DC=org"
    assert second == f"CN=mail.example.org,{first}"
    assert f"keywords: {scp.URL_KEYWORD}\nkeywords: Site=Riga\nkeywords:: " in text
    assert "serviceBindingInformation: https://mail.example.org/autodiscover/autodiscover.xml\n" in text
    rows = admin("autodiscover", "scp", "--json").json
    assert rows[1]["dn"].endswith(",CN=Configuration,DC=example,DC=org")
    config.write_text(config.read_text() + "[listen.https]\nenabled = false\n")
    assert admin("autodiscover", "scp").status == 1


def test_what_programs_are_told(admin):
    told = {row["what"]: row["where"] for row in admin("autodiscover", "show", "--json").json}
    assert told["Autodiscover"] == "https://localhost/autodiscover/autodiscover.xml"
    assert "MAPI" not in told and "ActiveSync" not in told


def test_the_offline_address_book_by_command(admin, tmp_path):
    assert admin("mailbox", "add", "anna@example.org").status == 0
    rows = {row["name"]: row for row in admin("oab", "update", "--json").json}
    assert (rows["Global Address List"]["recipients"], rows["Global Address List"]["changed"]) == (1, True)
    assert not any(row["changed"] for row in admin("oab", "update", "--json").json)
    assert list((tmp_path / "data" / "oab").rglob("index.json"))


def test_full_access_without_automapping(admin):
    for name in ("anna", "sales"):
        admin("mailbox", "add", f"{name}@example.org")
    granted = ("mailbox", "permission", "grant", "sales@example.org", "anna@example.org", "full-access")
    assert admin(*granted, "--no-automapping").status == 0
    assert len(admin("mailbox", "permission", "list", "sales@example.org", "--json").json) == 1
    assert admin(*granted).status == 0
    assert len(admin("mailbox", "permission", "list", "sales@example.org", "--json").json) == 1


@pytest.mark.parametrize(
    "words", [("no address",), ("a@b.example", "--timeout", "0"), ("a@b.example", "--trust", "/no/file")]
)
def test_a_check_that_cannot_begin(admin, words):
    assert admin("check", "autodiscover", *words).status == 2


def steps(*outcomes: Outcome) -> list[Step]:
    return [Step(str(number), f"Exclude{number}", outcome) for number, outcome in enumerate(outcomes)]


@pytest.mark.parametrize(
    ("outcomes", "found", "ahead"),
    [
        ((Outcome.SKIPPED, Outcome.NOTHING, Outcome.FOUND, Outcome.FOREIGN), "2", []),
        ((Outcome.FOREIGN, Outcome.CERTIFICATE, Outcome.ASKS), "2", ["Exclude0", "Exclude1"]),
        ((Outcome.REFUSED, Outcome.NOTHING), None, ["Exclude0"]),
        ((Outcome.NOTHING,), None, []),
    ],
)
def test_what_stands_before_the_first_answer(outcomes, found, ahead):
    way = steps(*outcomes)
    first = first_answer(way)
    assert (first.name if first else None) == found
    assert [step.registry for step in obstacles(way)] == ahead
