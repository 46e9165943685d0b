"""NTLM of a domain's users through a helper that speaks as Samba's ntlm_auth does."""

from __future__ import annotations

import asyncio
import sys

import pytest
from tests.unit.services.mechanisms.conftest import PASSWORD
from tests.unit.services.mechanisms.test_ntlm_acceptor import client, converse

from postern.model.refusal import Reason
from postern.services.negotiation import Accepted, Refused

HELPER = """#!{python}
import base64, sys
from postern.formats.ntlm import keys
users = {{("CORP", "bert"), ("EVIL", "bert"), ("CORP", "stranger")}}
while True:
    request = {{}}
    for line in sys.stdin:
        line = line.rstrip("\\n")
        if line == ".":
            break
        key, _, value = line.partition(": ")
        if key.endswith(":"):
            key, value = key[:-1], base64.b64decode(value).decode()
        assert key not in request, line
        request[key] = value
    else:
        sys.exit()
    with open({log!r}, "a") as log:
        log.write(repr(request) + "\\n")
    user, domain, response = request["Username"], request["NT-Domain"], bytes.fromhex(request["NT-Response"])
    if user == "slow":
        sys.exit(1)
    key = keys.response_key(keys.nt_hash({password!r}), user, domain)
    right = keys.proof(key, bytes.fromhex(request["LANMAN-Challenge"]), response[16:]) == response[:16]
    if (domain, user) in users and right:
        print("Authenticated: Yes")
        print("User-Session-Key: " + keys.session_base_key(key, response[:16]).hex().upper())
    else:
        print("Authenticated: No")
        print("Authentication-Error: NT_STATUS_WRONG_PASSWORD\\n.")
    print(".", flush=True)
"""


@pytest.fixture
async def joined(world, tmp_path):
    helper, log = tmp_path / "helper", tmp_path / "asked"
    helper.write_text(HELPER.format(python=sys.executable, log=str(log), password=PASSWORD))
    helper.chmod(0o755)
    world.asked = lambda: log.read_text().splitlines() if log.exists() else []
    text = f'[ntlm]\naccounts = true\nwinbind = true\ndomain = "CORP"\nhelper = "{helper}"\n'
    world.authentication = world.open(text, failures_per_account_and_address=0, failures_per_address=0)
    yield world
    world.authentication.negotiations.close()
    await asyncio.sleep(0.2)  # the loop learns that the helpers have ended


async def sign_in(world, user, password=PASSWORD):
    return await converse(world.begin(world.authentication, "NTLM"), client(user, password))


async def test_a_user_of_the_domain(joined):
    for _ in range(3):
        outcome = await sign_in(joined, "CORP\\bert")
        assert isinstance(outcome, Accepted), outcome
        assert outcome.principal.address == "bert@example.org"
    assert len(joined.asked()) == 3


async def test_the_domain_says_no(joined):
    outcome = await sign_in(joined, "CORP\\bert", "wrong")
    assert isinstance(outcome, Refused)
    assert "NT_STATUS_WRONG_PASSWORD" in outcome.detail
    assert isinstance(await sign_in(joined, "CORP\\bert"), Accepted), "the helper lives on"


async def test_a_namesake_in_a_trusted_domain_is_somebody_else(joined):
    outcome = await sign_in(joined, "EVIL\\bert")
    assert isinstance(outcome, Refused)
    assert "no account here" in outcome.detail


async def test_a_user_without_an_account(joined):
    assert isinstance(await sign_in(joined, "CORP\\stranger"), Refused)


async def test_accounts_with_an_nt_hash_need_no_domain(joined):
    assert isinstance(await sign_in(joined, "anna@example.org"), Accepted)
    assert not joined.asked()


@pytest.mark.parametrize("name", ["bert\n.\nUsername: bert", "bert\nNT-Domain: CORP", "x: y", "имя"])
async def test_names_bring_no_lines_of_their_own(joined, name):
    assert isinstance(await sign_in(joined, f"OTHER\\{name}"), Refused)
    assert len(joined.asked()) == 1
    assert repr(name) in joined.asked()[0]


async def test_a_helper_that_dies_is_a_failure_of_ours(joined):
    outcome = await sign_in(joined, "CORP\\slow")
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TRY_LATER
    assert isinstance(await sign_in(joined, "CORP\\bert"), Accepted), "a new one is started"


async def test_a_helper_that_is_not_there(world):
    authentication = world.open('[ntlm]\nwinbind = true\nhelper = "/nonexistent/ntlm_auth"\n')
    outcome = await converse(world.begin(authentication, "NTLM"), client("CORP\\bert"))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TRY_LATER
