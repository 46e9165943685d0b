"""Who sends a request: each mechanism, what ends it, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace
from tests.unit.frontends.http.conftest import HOST, PASSWORD, Client, World

from postern.directory.interface import AccountChange
from postern.directory.passwords import CHEAP, new_credentials
from postern.frontends.http.asgi import Answer as Reply
from postern.frontends.http.site import Access, Mount
from postern.model.refusal import Reason
from postern.net.clock import SystemEntropy
from postern.protocols.http import digest
from postern.protocols.http.fields import challenge, credentials, parameters
from postern.services.negotiation import Accepted, Circumstances, Continue, Refused, Step

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def basic(user: str = "anna@example.org", password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def change(world: World, **what) -> None:
    await world.parts.directory.change_account("anna@example.org", AccountChange(**what))


async def new_password(world: World) -> None:
    account = await world.parts.directory.login("anna@example.org")
    await world.parts.directory.set_password(account.id, *new_credentials("another one", SystemEntropy(), CHEAP))


# --- Basic


async def test_basic(world):
    client = await world.connect(await world.host())
    asked = await client.ask("GET", "/whoami")
    assert (asked.status, asked.all("www-authenticate")) == (401, [f'Basic realm="{HOST}", charset="UTF-8"'])
    known = await client.ask("GET", "/whoami", basic())
    assert known.status == 200
    facts = json.loads(known.body)
    assert (facts["address"], facts["mechanism"], facts["tls"]["version"]) == ("anna@example.org", "Basic", "TLSv1.3")
    assert (await client.ask("GET", "/whoami")).status == 401, "Basic does not stick to the connection"


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic !",
        "Basic " + base64.b64encode(b"nobody").decode(),
        "Basic " + base64.b64encode(b":x").decode(),
        basic(password="wrong")["Authorization"],
        basic(user="nobody@example.org")["Authorization"],
        "Digest x",
        "Bearer x",
        "Negotiate YII=",
        "\xff",
        "Basic a b",
    ],
)
async def test_wrong_credentials_are_told_nothing_but_that_they_failed(world, value):
    client = await world.connect(await world.host())
    await client.send(
        b"GET /whoami HTTP/1.1\r\nHost: %b\r\nAuthorization: %b\r\n\r\n" % (HOST.encode(), value.encode("latin-1"))
    )
    answer = await client.answer()
    assert (answer.status, answer.body) == (401, b"")
    assert world.log.of("http.sign_in_refused")[0]["detail"]


async def test_basic_is_not_taken_without_tls(world):
    async def never(scope, receive, send):
        raise AssertionError

    client = await world.connect(await world.site(Mount("", never), tls=False), tls=False)
    answer = await client.ask("GET", "/", basic())
    assert answer.status == 403 and not answer.get("www-authenticate")


async def test_a_disabled_account_and_a_forbidden_protocol(world):
    client = await world.connect(await world.host())
    await change(world, protocols=frozenset({"imap"}))
    assert (await client.ask("GET", "/whoami", basic())).status == 401
    await change(world, protocols=frozenset({"http"}), enabled=False)
    assert (await client.ask("GET", "/whoami", basic())).status == 401


async def test_too_many_failures_are_told_to_wait(world):
    limits = world.authentication.limits
    limits._settings = replace(limits._settings, failures_per_address=2)
    client = await world.connect(await world.host())
    for number in range(2):
        assert (await client.ask("GET", "/whoami", basic(password=f"wrong {number}"))).status == 401
    answer = await client.ask("GET", "/whoami", basic())
    assert (answer.status, answer.get("retry-after")) == (429, "30")


@pytest.mark.parametrize("end", [new_password, lambda world: change(world, enabled=False)])
async def test_a_connection_ends_with_its_account(world, end):
    client = await world.connect(await world.host())
    assert (await client.ask("GET", "/whoami", basic())).status == 200
    await end(world)
    assert await client.ended()


# --- forms


async def form(client: Client, fields: dict[str, str] | None = None, path: str = "/auth/sign-in") -> tuple[str, str]:
    """The form's key and cookie."""
    page = await client.ask("GET", path, fields)
    assert page.status == 200
    key = re.search(rb'name="key" value="([^"]+)"', page.body)
    return key[1].decode(), page.cookies.get("__Host-postern-form", "")


async def submit(client: Client, key: str, cookie: str, fields: dict[str, str] | None = None, **values: str):
    given = {"key": key, "user": "anna@example.org", "password": PASSWORD, **values}
    head = {**FORM, "Cookie": f"__Host-postern-form={cookie}", **(fields or {})}
    return await client.ask("POST", "/auth/sign-in", head, urlencode(given).encode())


async def signed_in(client: Client, **values: str) -> str:
    """The session's token."""
    answer = await submit(client, *await form(client), **values)
    assert answer.status == 303, answer.body
    return answer.cookies["__Host-postern"]


def cookie(token: str) -> dict[str, str]:
    return {"Cookie": f"__Host-postern={token}"}


async def test_a_browser_is_led_to_the_form_and_back(world):
    client = await world.connect(await world.host())
    html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    led = await client.ask("GET", "/whoami?a=b&c=%20", html)
    assert (led.status, led.get("location")) == (303, "/auth/sign-in?next=%2Fwhoami%3Fa%3Db%26c%3D%2520")
    key, nonce = await form(client, path=led.get("location"))
    answer = await submit(client, key, nonce, next="/whoami?a=b&c=%20")
    assert (answer.status, answer.get("location")) == (303, "/whoami?a=b&c=%20")
    set_cookie = next(one for one in answer.all("set-cookie") if one.startswith("__Host-postern="))
    assert set_cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    page = await client.ask("GET", "/whoami", html | cookie(answer.cookies["__Host-postern"]))
    assert page.status == 200 and b"anna@example.org" in page.body and b"</form>" in page.body


async def test_pages_speak_the_readers_language(world):
    client = await world.connect(await world.host())
    page = await client.ask("GET", "/auth/sign-in", {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"})
    assert page.get("content-language") == "ru" and "Имя пользователя" in page.body.decode()
    page = await client.ask("GET", "/auth/sign-in", {"Accept-Language": "de"})
    assert page.get("content-language") == "en" and b"User name" in page.body


async def test_what_a_user_types_is_text_in_the_page(world):
    client = await world.connect(await world.host())
    answer = await submit(client, *await form(client), user='"><script>alert(1)</script>', next='/"><b>')
    assert answer.status == 403
    assert b"<script>" not in answer.body and b"<b>" not in answer.body and b"&lt;script&gt;" in answer.body


async def test_wrong_passwords_and_unknown_users_look_alike(world):
    client = await world.connect(await world.host())
    key, nonce = await form(client)
    wrong = await submit(client, key, nonce, password="wrong", user="anna@example.org")
    unknown = await submit(client, key, nonce, password="wrong", user="nobo@example.org")
    assert wrong.status == unknown.status == 403
    assert wrong.body.replace(b"anna", b"nobo") == unknown.body
    assert "__Host-postern" not in wrong.cookies


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example"])
async def test_open_redirect(world, back):
    client = await world.connect(await world.host())
    assert (await submit(client, *await form(client), next=back)).get("location") == "/"
    token = await signed_in(client)
    answer = await client.ask("GET", f"/auth/sign-in?{urlencode({'next': back})}", cookie(token))
    assert (answer.status, answer.get("location")) == (303, "/")


async def test_login_csrf(world):
    """Another site makes a browser sign in as somebody else."""
    client = await world.connect(await world.host())
    key, nonce = await form(client)
    other_key, other_nonce = await form(client)
    assert nonce != other_nonce
    for given_key, given_nonce, fields in (
        ("", nonce, None),
        (key, "", None),
        (key, other_nonce, None),
        (other_key, nonce, None),
        (key, nonce, {"Origin": "https://evil.example"}),
        (key, nonce, {"Origin": "null"}),
        (key, nonce, {"Sec-Fetch-Site": "cross-site"}),
    ):
        answer = await submit(client, given_key, given_nonce, fields)
        assert answer.status == 403 and "__Host-postern" not in answer.cookies
    assert (
        await submit(client, key, nonce, {"Origin": f"https://{HOST}", "Sec-Fetch-Site": "same-origin"})
    ).status == 303


async def test_csrf_on_sign_out(world):
    client = await world.connect(await world.host())
    token, other = await signed_in(client), await signed_in(client)
    page = await client.ask("GET", "/whoami", {"Accept": "text/html"} | cookie(other))
    key = re.search(rb'name="key" value="([^"]+)"', page.body)[1].decode()
    for fields, given in (({}, ""), ({}, key), ({"Origin": "https://evil.example"}, key)):
        answer = await client.ask(
            "POST", "/auth/sign-out", {**FORM, **cookie(token), **fields}, f"key={given}".encode()
        )
        assert answer.status == 403
    assert (await client.ask("GET", "/whoami", cookie(token))).status == 200


async def test_csrf_with_passwords_that_a_browser_remembers(world):
    """Other sites' pages cannot use a browser's Basic, Negotiate or certificate for anything that changes something."""
    client = await world.connect(await world.site(Mount("/ews", Reply(200, b"done"))))
    assert (await client.ask("POST", "/ews", basic(), b"x")).status == 200
    assert (await client.ask("POST", "/ews", basic() | {"Origin": "https://evil.example"}, b"x")).status == 403
    assert (await client.ask("POST", "/ews", basic() | {"Sec-Fetch-Site": "same-site"}, b"x")).status == 403
    assert (await client.ask("GET", "/ews", basic() | {"Origin": "https://evil.example"})).status == 200


async def test_session_fixation(world):
    """A browser that comes with a session gets another one when it signs in."""
    client = await world.connect(await world.host())
    planted = await signed_in(client, user="boris@example.org")
    key, nonce = await form(client)
    answer = await submit(client, key, f"{nonce}; __Host-postern={planted}")
    assert answer.status == 303 and answer.cookies["__Host-postern"] != planted
    assert json.loads((await client.ask("GET", "/whoami", cookie(planted))).body)["address"] == "boris@example.org"


async def test_forged_sessions(world):
    client = await world.connect(await world.host())
    token = await signed_in(client)
    raw = bytearray(base64.urlsafe_b64decode(token + "=="))
    for place in range(0, len(raw), 7):
        broken = bytes(raw[:place]) + bytes([raw[place] ^ 1]) + bytes(raw[place + 1 :])
        forged = base64.urlsafe_b64encode(broken).decode().rstrip("=")
        assert (await client.ask("GET", "/whoami", cookie(forged))).status == 401
    for forged in ("", "x", token[:-4], token * 9, f"{token}; __Host-postern=x"):
        assert (await client.ask("GET", "/whoami", cookie(forged))).status == 401


async def sign_out(client: Client, token: str, **values: str):
    page = await client.ask("GET", "/whoami", {"Accept": "text/html"} | cookie(token))
    key = re.search(rb'name="key" value="([^"]+)"', page.body)[1].decode()
    body = urlencode({"key": key, **values}).encode()
    return await client.ask("POST", "/auth/sign-out", FORM | cookie(token), body)


async def test_a_signed_out_session_is_over_in_every_worker(world):
    here, there = await world.connect(await world.host()), await world.connect(await world.host())
    token, other = await signed_in(here), await signed_in(there)
    for client in (here, there):
        assert (await client.ask("GET", "/whoami", cookie(token))).status == 200
    answer = await sign_out(here, token)
    assert answer.status == 303 and answer.cookies["__Host-postern"] == ""
    for client in (here, there):
        assert (await client.ask("GET", "/whoami", cookie(token))).status == 401
        assert (await client.ask("GET", "/whoami", cookie(other))).status == 200
    third = await signed_in(here)
    assert (await sign_out(there, other, everywhere="1")).status == 303
    for client in (here, there):
        assert (await client.ask("GET", "/whoami", cookie(third))).status == 401
    assert (await here.ask("GET", "/whoami", cookie(await signed_in(here)))).status == 200, "a new one counts"


async def test_a_new_password_ends_browser_sessions(world):
    client = await world.connect(port := await world.host())
    token = await signed_in(client)
    await new_password(world)
    again = await world.connect(port)
    assert (await again.ask("GET", "/whoami", cookie(token))).status == 401


async def test_sessions_grow_old(world, monkeypatch):
    client = await world.connect(await world.host())
    public, private = await signed_in(client), await signed_in(client, private="1")
    now = world.parts.clock.timestamp()
    clock = type(world.parts.clock)

    def at(seconds: float) -> None:
        monkeypatch.setattr(clock, "timestamp", lambda self: now + seconds)

    at(600)
    renewed = await client.ask("GET", "/whoami", cookie(public))
    assert renewed.status == 200
    at(1200)
    assert (await client.ask("GET", "/whoami", cookie(public))).status == 401
    assert (await client.ask("GET", "/whoami", cookie(renewed.cookies["__Host-postern"]))).status == 200
    assert (await client.ask("GET", "/whoami", cookie(private))).status == 200
    at(28_801)
    assert (await client.ask("GET", "/whoami", cookie(private))).status == 401
    token = private
    for hour in range(1, 30):
        at(3600 * hour)
        answer = await client.ask("GET", "/whoami", cookie(token))
        token = answer.cookies.get("__Host-postern", token)
        assert (answer.status == 200) is (hour < 24), "a day is the longest, however busy"


# --- tokens that belong to the connection


class Fake:
    """As NTLM goes: two steps."""

    def __init__(self, world: World, circumstances: Circumstances) -> None:
        self.world = world
        self.circumstances = circumstances
        self.closed = False
        self.said: list[bytes] = []
        world.fakes.append(self)

    async def step(self, token: bytes) -> Step:
        self.said.append(token)
        if len(self.said) == 1:
            return Continue(b"challenge")
        if token != b"answer":
            return Refused(Reason.BAD_CREDENTIALS, "wrong proof")
        account = await self.world.parts.directory.login("anna@example.org")
        principal = await self.world.authentication.admit(account, "http")
        return Accepted(principal, b"end", "NTLMv2", bound=True)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
async def ntlm(world):
    world.fakes = []
    world.authentication.negotiations.register("NTLM", lambda circumstances: Fake(world, circumstances))
    return await world.host(mechanisms=("NTLM", "Basic"))


def token(data: bytes) -> dict[str, str]:
    return {"Authorization": "NTLM " + base64.b64encode(data).decode()}


async def test_an_exchange_signs_its_connection_in_and_no_other(world, ntlm):
    client = await world.connect(ntlm)
    asked = await client.ask("GET", "/whoami")
    assert [one.split()[0] for one in asked.all("www-authenticate")] == ["NTLM", "Basic"]
    step = await client.ask("POST", "/whoami", token(b"hello"))
    assert (step.status, step.all("www-authenticate")) == (401, ["NTLM " + base64.b64encode(b"challenge").decode()])
    done = await client.ask("GET", "/whoami", token(b"answer"))
    assert (done.status, done.get("www-authenticate")) == (200, "NTLM " + base64.b64encode(b"end").decode())
    facts = json.loads((await client.ask("GET", "/whoami")).body)
    assert (facts["address"], facts["mechanism"], facts["bound"]) == ("anna@example.org", "NTLMv2", True)
    (fake,) = world.fakes
    assert fake.circumstances.host == HOST and len(fake.circumstances.server_end_point) == 32 and fake.closed
    other = await world.connect(ntlm)
    assert (await other.ask("GET", "/whoami")).status == 401
    assert (await other.ask("GET", "/whoami", token(b"answer"))).status == 401, "an exchange begins at its beginning"


async def test_a_failed_exchange_signs_the_connection_out(world, ntlm):
    client = await world.connect(ntlm)
    await client.ask("GET", "/whoami", token(b"hello"))
    assert (await client.ask("GET", "/whoami", token(b"answer"))).status == 200
    await client.ask("GET", "/whoami", token(b"hello"))
    failed = await client.ask("GET", "/whoami", token(b"wrong"))
    assert (failed.status, failed.body) == (401, b"") and failed.all("www-authenticate")[0] == "NTLM"
    assert (await client.ask("GET", "/whoami")).status == 401
    assert world.log.of("http.sign_in_refused")[-1]["detail"] == "NTLM: wrong proof"


@pytest.mark.parametrize("proxy", [{"Via": "1.1 proxy"}, {"X-Forwarded-For": "192.0.2.1"}, {"Forwarded": "for=x"}])
async def test_a_proxys_connection_is_nobodys(world, ntlm, proxy):
    """Several people's requests come over it: who signed in there before must not count for the next one."""
    client = await world.connect(ntlm)
    asked = await client.ask("GET", "/whoami", proxy)
    assert [one.split()[0] for one in asked.all("www-authenticate")] == ["Basic"]
    assert (await client.ask("GET", "/whoami", proxy | token(b"hello"))).status == 401
    await client.ask("GET", "/whoami", token(b"hello"))
    assert (await client.ask("GET", "/whoami", token(b"answer"))).status == 200
    assert (await client.ask("GET", "/whoami", proxy)).status == 401


async def test_other_credentials_end_what_a_connection_remembers(world, ntlm):
    client = await world.connect(ntlm)
    await client.ask("GET", "/whoami", token(b"hello"))
    await client.ask("GET", "/whoami", token(b"answer"))
    assert json.loads((await client.ask("GET", "/whoami", basic("boris@example.org"))).body)["mechanism"] == "Basic"
    assert (await client.ask("GET", "/whoami")).status == 401


async def test_a_mechanism_that_a_directory_does_not_take(world, ntlm):
    port = await world.site(
        Mount("/a", Reply(200), Access(mechanisms=frozenset({"basic"}))), Mount("/b", Reply(200)),
        mechanisms=("NTLM", "Basic"),
    )  # fmt: skip
    client = await world.connect(port)
    assert [one.split()[0] for one in (await client.ask("GET", "/a")).all("www-authenticate")] == ["Basic"]
    await client.ask("GET", "/b", token(b"hello"))
    assert (await client.ask("GET", "/b", token(b"answer"))).status == 200
    assert (await client.ask("GET", "/b")).status == 200
    assert (await client.ask("GET", "/a")).status == 401
    assert (await client.ask("GET", "/a", token(b"hello"))).status == 401


async def test_a_connection_that_tokens_signed_in_ends_with_its_account(world, ntlm):
    client = await world.connect(ntlm)
    await client.ask("GET", "/whoami", token(b"hello"))
    assert (await client.ask("GET", "/whoami", token(b"answer"))).status == 200
    await change(world, enabled=False)
    assert await client.ended()


# --- Digest


def digested(
    asked, method: str = "GET", uri: str = "/whoami", count: int = 1, algorithm: str = "SHA-256", **other: str
):
    offers = [parameters(credentials(one.encode())[1]) for one in asked.all("www-authenticate") if "Digest" in one]
    offer = next(one for one in offers if one["algorithm"] == algorithm)
    values = {
        "username": "anna@example.org", "realm": offer["realm"], "nonce": offer["nonce"], "uri": uri,
        "algorithm": algorithm, "qop": "auth", "nc": f"{count:08x}", "cnonce": "abc", "response": "0" * 64,
    } | other  # fmt: skip
    stored = digest.key(algorithm, values["username"], values["realm"], PASSWORD)
    values.setdefault("response", "")
    values["response"] = other.get("response") or digest.answer(stored, method, digest.claim(values))
    return {"Authorization": challenge("Digest", values, ("algorithm", "qop", "nc")).decode()}


async def test_digest(world):
    client = await world.connect(await world.host(mechanisms=("Digest",)))
    asked = await client.ask("GET", "/whoami")
    assert [parameters(credentials(one.encode())[1])["algorithm"] for one in asked.all("www-authenticate")] == [
        "SHA-256", "MD5",
    ]  # fmt: skip
    for count, algorithm in enumerate(("SHA-256", "MD5"), 1):
        answer = await client.ask("GET", "/whoami", digested(asked, count=count, algorithm=algorithm))
        assert json.loads(answer.body)["mechanism"] == "Digest"


async def test_digest_replay(world):
    port = await world.host(mechanisms=("Digest",))
    client = await world.connect(port)
    asked = await client.ask("GET", "/whoami")
    for count in (3, 1, 2, 70):
        assert (await client.ask("GET", "/whoami", digested(asked, count=count))).status == 200
    for count in (1, 2, 3, 70, 5, 0):
        again = await client.ask("GET", "/whoami", digested(asked, count=count))
        assert again.status == 401 and "stale=true" in again.get("www-authenticate")
    other = await world.connect(await world.host(mechanisms=("Digest",)))
    elsewhere = await other.ask("GET", "/whoami", digested(asked, count=80))
    assert elsewhere.status == 401 and "stale=true" in elsewhere.get("www-authenticate")
    assert (await other.ask("GET", "/whoami", digested(elsewhere))).status == 200


async def test_digest_for_something_else(world):
    client = await world.connect(await world.host(mechanisms=("Digest",)))
    asked = await client.ask("GET", "/whoami")
    for count, wrong in enumerate(
        ({"uri": "/other"}, {"method": "POST"}, {"response": "f" * 64}, {"username": "nobody@example.org"},
         {"realm": "other"}, {"username": "boris@example.org", "response": "0" * 64}), 1,
    ):  # fmt: skip
        answer = await client.ask("GET", "/whoami", digested(asked, count=count, **wrong))
        assert answer.status == 401 and "stale" not in answer.get("www-authenticate")
    assert (await client.ask("GET", "/whoami", digested(asked, count=9))).status == 200


# --- client certificates


async def test_a_client_certificate_signs_in(certified):
    port = await certified.host(mechanisms=("Basic", "certificate"))
    client = await certified.connect(port, certificate=True)
    facts = json.loads((await client.ask("GET", "/whoami")).body)
    assert (facts["address"], facts["mechanism"], facts["bound"]) == ("anna@example.org", "certificate", True)
    without = await certified.connect(port)
    assert (await without.ask("GET", "/whoami")).status == 401
    await change(certified, enabled=False)
    assert await client.ended()


async def test_a_certificate_counts_only_where_it_is_offered(certified):
    client = await certified.connect(await certified.host(mechanisms=("Basic",)), certificate=True)
    assert (await client.ask("GET", "/whoami")).status == 401


async def test_a_certificate_of_nobody_here_and_one_of_another_authority(certified):
    port = await certified.host(mechanisms=("certificate",))
    context = certified.context()
    certified.authority.issue_cert("nobody@example.org").configure_cert(context)
    client = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST))
    certified.clients.append(client)
    assert (await client.ask("GET", "/whoami")).status == 403
    import trustme

    context = certified.context()
    trustme.CA().issue_cert("anna@example.org").configure_cert(context)
    with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
        stranger = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST))
        certified.clients.append(stranger)
        await stranger.ask("GET", "/whoami")
