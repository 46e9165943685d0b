"""Thunderbird by address and password: a native Exchange account, and IMAP with SMTP, in one start.

`--headless`, driven by Marionette with the modules its own windows use; see `thunderbird_steps.js`. Pictures of its
windows lie in the temporary directory of a run that failed.
"""

from __future__ import annotations

import json
import sys

import pytest
from tests.interop.mail_network import ROOT

pytestmark = pytest.mark.interop
EWS = "https://mail.example.org/EWS/Exchange.asmx"
SSL, PASSWORD_IN_TLS = 3, 3
LETTERS = ["First letter", "Second letter", "Third letter"]


@pytest.fixture(scope="module")
def seen(mail_network, tmp_path_factory):
    home = tmp_path_factory.mktemp("thunderbird")
    # SRV record for Autodiscover, autoconfig by the MX record; mailboxes that nothing else in the network uses
    plan = [
        {"address": f"{name}@{domain}", "password": mail_network.person(name).password, "kind": kind, "other": other}
        for name, domain, kind, other in (
            ("emil", "example.com", "ews", "boris@example.org"),
            ("dora", "example.net", "imap", "boris@example.org"),
        )
    ]
    done = mail_network.run(
        sys.executable, "-W", "ignore", "-m", "tests.interop.clients.thunderbird_inside", "thunderbird", str(home),
        str(mail_network.authority), json.dumps(plan), timeout=240, PYTHONPATH=f"{ROOT / 'src'}:{ROOT}",
    )  # fmt: skip
    return json.loads(done.stdout)


def test_autodiscover_and_autoconfig_are_found(seen):
    ews = seen["ews"]["find"]
    assert ["ews", "mail.example.org", 443, SSL, PASSWORD_IN_TLS, "emil@example.com", EWS] in ews
    for address, kind in (("emil@example.com", "ews"), ("dora@example.net", "imap")):
        found = seen[kind]["find"]
        assert found[0] == ["imap", "mail.example.org", 993, SSL, PASSWORD_IN_TLS, address, None]
        assert found[-1] == ["out", "smtp", "mail.example.org", 465, SSL]


def test_folders_have_their_uses(seen):
    assert seen["ews"]["create"] == "ews"
    uses = dict(seen["ews"]["folders"])
    for name, use in (
        ("Inbox", "Inbox"),
        ("Drafts", "Drafts"),
        ("Sent Items", "SentMail"),
        ("Deleted Items", "Trash"),
        ("Junk Email", "Junk"),
        ("Outbox", "Queue"),
    ):
        assert uses[name] == [use]
    assert not {"Calendar", "Contacts", "Tasks"} & set(uses)


@pytest.mark.parametrize("kind", ["ews", "imap"])
def test_mail_both_ways(seen, kind):
    one = seen[kind]
    assert one["inbox"] == LETTERS[:2]
    assert "Subject: First letter\r\n" in one["text"]
    assert one["text"].endswith("\r\n\r\nThe words of the first letter.\r\n")
    assert "The words of the first letter." in one["show"]
    assert {"\\Seen", "\\Flagged"} <= set(one["marked"])
    assert one["new mail"] == one["moved back"] == LETTERS
    for where in ("moved", "deleted", "arrived"):
        assert one[where] != ["(not there)"], where
    assert one["sent"] == ["From Thunderbird"]
    assert one["copies"] == 1
    assert one["received"].strip() == "Written with Thunderbird: äöü."
