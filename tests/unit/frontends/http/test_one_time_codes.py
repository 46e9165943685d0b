"""The sign-in page asks for a one-time code; Basic cannot, and takes app passwords instead."""

from __future__ import annotations

import re

from tests.unit.frontends.http.conftest import PASSWORD
from tests.unit.frontends.http.test_http_sign_in import basic, form, submit

from postern.directory import totp

ANNA = "anna@example.org"


async def enrol(world) -> bytes:
    account = await world.parts.directory.login(ANNA)
    factor = world.authentication.second_factor
    await factor.begin(account, "Postern")
    secret = (await world.parts.directory.enrolment(account.id)).secret
    step = int(world.parts.clock.timestamp() // totp.STEP_S)
    # the code before this one, so that the present one is still good
    await factor.confirm(account, totp.code(secret, step - 1))
    return secret


async def test_the_page_asks_for_the_code_after_the_password(world):
    secret = await enrol(world)
    client = await world.connect(await world.host())
    key, cookie = await form(client)
    wrong = await submit(client, key, cookie, password="wrong")
    assert wrong.status == 403 and b'name="code"' not in wrong.body
    asked = await submit(client, key, cookie)
    assert asked.status == 200 and b'name="code"' in asked.body and not asked.cookies.get("__Host-postern-session")
    assert PASSWORD.encode() not in asked.body
    ticket = re.search(rb'name="ticket" value="([^"]+)"', asked.body)[1].decode()
    refused = await submit(client, key, cookie, ticket=ticket, code="000000", password="")
    assert refused.status == 403 and not [c for c in refused.cookies if "session" in c]
    code = totp.code(secret, int(world.parts.clock.timestamp() // totp.STEP_S))
    done = await submit(client, key, cookie, ticket=ticket, code=code, password="")
    assert done.status == 303
    again = await submit(client, key, cookie, ticket=ticket, code=code, password="")
    assert again.status == 403, "a code is good once"


async def test_basic_is_refused_the_password_of_an_account_with_codes(world):
    port = await world.host()
    client = await world.connect(port)
    assert (await client.ask("GET", "/whoami", basic())).status == 200
    await enrol(world)
    client = await world.connect(port)  # what was signed in before is over, its connection too
    right = await client.ask("GET", "/whoami", basic())
    wrong = await client.ask("GET", "/whoami", basic(password="wrong"))
    assert right.status == wrong.status == 401 and right.body == wrong.body
