"""exchangelib finds the server from an address alone, in a network with the standard ports."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.interop

DISCOVER = """
import json, sys
from exchangelib import Credentials
from exchangelib.autodiscover.discovery import Autodiscovery
address, user, password = sys.argv[1:]
found, protocol = Autodiscovery(address, Credentials(user, password)).discover()
from exchangelib.autodiscover.cache import autodiscover_cache
endpoint = [p for p in autodiscover_cache._protocols.values()]
print(json.dumps({"address": found.autodiscover_smtp_address, "ews": protocol.service_endpoint,
    "version": protocol.config.version.api_version, "auth": endpoint[0].auth_type,
    "asked": endpoint[0].service_endpoint}))
"""
EWS = "https://mail.example.org/EWS/Exchange.asmx"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("boris", "https://autodiscover.example.org/autodiscover/autodiscover.svc"),
        # the way of the redirect: a web site on the domain itself and a name without a certificate come before it
        ("dora", "https://mail.example.org/autodiscover/autodiscover.svc"),
        ("emil", "https://mail.example.org/autodiscover/autodiscover.svc"),
    ],
)
def test_exchangelib_finds_the_server(mail_network, name, asked):
    person = mail_network.person(name)
    found = mail_network.python(DISCOVER, person.address, person.address, person.password)
    assert (found["address"], found["ews"], found["asked"]) == (person.address, EWS, asked)
    assert found["version"] == "Exchange2013_SP1"


FORCED = DISCOVER.replace(
    "found, protocol =",
    """
from exchangelib.autodiscover.protocol import AutodiscoverProtocol
AutodiscoverProtocol.get_auth_type = lambda self: "@"
found, protocol =""",
)


@pytest.mark.parametrize(("mechanism", "user"), [("basic", "boris@example.org"), ("NTLM", "example.org\\boris")])
def test_exchangelib_by_basic_and_by_ntlm(mail_network, mechanism, user):
    found = mail_network.python(FORCED.replace("@", mechanism, 1), "boris@example.org", user, "correct horse")
    assert (found["ews"], found["auth"]) == (EWS, mechanism)


def test_a_wrong_password_and_an_account_without_ntlm_find_nothing(mail_network, tmp_path):
    for mechanism, user, password in (
        ("NTLM", "anna@example.org", "correct horse"),
        ("basic", "boris@example.org", "x"),
    ):
        script = FORCED.replace("@", mechanism, 1)
        done = mail_network.run(
            sys.executable, "-W", "ignore", "-c", script, user, user, password, check=False, TMPDIR=str(tmp_path)
        )
        assert done.returncode == 1
        assert "AutoDiscoverFailed" in done.stderr or "UnauthorizedError" in done.stderr, done.stderr[-2000:]
