"""Front ends act for users at a back end: proved by a pinned certificate (EXTERNAL), and nobody else may."""

from __future__ import annotations

import asyncio
import base64
import imaplib
import json
import os
import poplib
import smtplib
import subprocess
import sys
import time

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.integration.organisation import Running, make_organisation, make_settings
from tests.integration.test_client_certificates import (
    Authority,
    authority,  # noqa: F401 - a fixture
    bare,
    imap_external,
)

from postern.config.settings import Authentication
from postern.directory.interface import AccountChange, Server
from postern.directory.safeguards import AccessRule, RuleAction
from postern.formats import issuing
from postern.formats.certificate import pin, read
from postern.net.clock import SystemClock
from postern.roles.parts import Parts

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

FRONT, HUB = "front.example.org", "hub.example.org"


def identity(folder, name):
    """A server's own certificate: a context that shows it, and its pin."""
    chain, key = issuing.self_signed([name], [], SystemClock().now())
    path = folder / f"{name}.pem"
    path.write_bytes(chain + key)
    return bare(path), pin(read(chain)[0])


def change(server, work) -> None:
    async def run() -> None:
        parts = Parts.open(server.settings, "test", None, 0)
        await work(parts.directory)
        await parts.close()

    asyncio.run(run())


def put(server, *servers: Server) -> None:
    async def work(directory) -> None:
        for one in await directory.servers():
            await directory.delete_server(one.name)
        for one in servers:
            await directory.put_server(one)

    change(server, work)


class World:
    def __init__(self, server, folder) -> None:
        self.server = server
        self.front, front_pin = identity(folder, FRONT)
        self.hub, hub_pin = identity(folder, HUB)
        self.servers = (Server(FRONT, (front_pin,), front_end=True), Server(HUB, (hub_pin,)))
        put(server, *self.servers)

    def recorded(self, since: int, detail: str = "", **having) -> dict:
        """A line of the log of sign-ins; they are written in batches."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for one in self.records()[since:]:
                if detail in str(one) and all(one.get(key) == value for key, value in having.items()):
                    return one
            time.sleep(0.05)
        raise AssertionError(self.records()[since:])

    def records(self) -> list[dict]:
        files = sorted((self.server.settings.data_dir / "sign-ins").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def world(authority, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("front-ends")
    settings = make_settings(
        folder / "data", workers=1,
        authentication=Authentication(
            client_ca=str(authority.pem), front_end_certificates=True, failure_delay_s=0.0, failures_per_address=0
        ),
    )  # fmt: skip
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield World(running, folder)
    assert running.stop() == 0


def test_a_front_end_opens_the_mailbox_of_whom_it_names(world):
    since = len(world.records())
    with imaplib.IMAP4_SSL("127.0.0.1", world.server.ports["imaps"], ssl_context=world.front, timeout=60) as client:
        client.authenticate("EXTERNAL", lambda _: b"anna@example.org")
        assert client.append("INBOX", None, None, b"Subject: for anna\r\n\r\n")[0] == "OK"
    pop = poplib.POP3_SSL("127.0.0.1", world.server.ports["pop3s"], context=world.front, timeout=60)
    assert pop._shortcmd("AUTH EXTERNAL " + base64.b64encode(b"anna@example.org").decode()).startswith(b"+OK")
    assert pop.stat()[0] == 1
    pop.quit()
    with smtplib.SMTP("127.0.0.1", world.server.ports["submission"], timeout=60) as smtp:
        smtp.starttls(context=world.front)
        smtp.ehlo()
        named = base64.b64encode(b"anna@example.org").decode()
        assert smtp.docmd("AUTH", f"EXTERNAL {named}")[0] == 235
        smtp.sendmail("anna@example.org", ["boris@example.org"], "From: anna@example.org\r\n\r\nhello\r\n")
        with pytest.raises(smtplib.SMTPSenderRefused):
            smtp.sendmail("boris@example.org", ["anna@example.org"], "From: boris@example.org\r\n\r\nno\r\n")
    for protocol in ("imap", "pop3", "smtp"):
        one = world.recorded(since, protocol=protocol, ok=True, account=FRONT)
        assert (one["acting_as"], one["factor"], one["mechanism"]) == ("anna@example.org", "front-end", "EXTERNAL")


@pytest.mark.parametrize(
    ("who", "named", "cause"),
    [
        ("front", b"", "names nobody to act for"),
        ("front", b"nobody@example.org", "nobody signs in as that"),
        ("hub", b"anna@example.org", "it is no front end"),
    ],
)
def test_what_a_server_may_not(world, who, named, cause):
    since = len(world.records())
    assert imap_external(world.server, getattr(world, who), named) == (True, False)
    told = world.recorded(since, cause, ok=False)
    assert told["account"] == (FRONT if who == "front" else HUB)


def test_strangers_and_users_do_not_act_for_anybody(world, authority, tmp_path):  # noqa: F811
    stranger, _ = identity(tmp_path, FRONT)
    assert imap_external(world.server, stranger, b"anna@example.org") == (True, False)
    anna = authority.client("anna@example.org")
    assert imap_external(world.server, anna) == (True, True), "a user's certificate signs in as before"
    assert imap_external(world.server, anna, b"boris@example.org") == (True, False)
    other = Authority(tmp_path).client("anna@example.org")
    since = len(world.records())
    assert imap_external(world.server, other) == (True, False)
    world.recorded(since, "certificate is refused", ok=False)
    assert imap_external(world.server, bare()) == (False, False)
    with imaplib.IMAP4_SSL("127.0.0.1", world.server.ports["imaps"], ssl_context=bare(), timeout=60) as client:
        assert client.login("anna@example.org", "correct horse")[0] == "OK"


@pytest.mark.parametrize("made", [{"days": -1}, {"usage": ExtendedKeyUsageOID.SERVER_AUTH}])
def test_unfit_certificates_of_users_are_refused_though_anybodys_is_taken(world, authority, made):  # noqa: F811
    since = len(world.records())
    assert imap_external(world.server, authority.client("anna@example.org", **made)) == (True, False)
    world.recorded(since, "certificate is refused", ok=False)


def test_the_users_standing_and_rules_count(world):
    async def disable(directory) -> None:
        await directory.change_account("chen@example.org", AccountChange(enabled=False))

    async def forbid(directory) -> None:
        await directory.put_access_rule(AccessRule("no-imap", RuleAction.DENY, frozenset({"imap"})))

    async def allow(directory) -> None:
        await directory.delete_access_rule("no-imap")
        await directory.change_account("chen@example.org", AccountChange(enabled=True))

    change(world.server, disable)
    assert imap_external(world.server, world.front, b"chen@example.org") == (True, False)
    change(world.server, forbid)
    try:
        assert imap_external(world.server, world.front, b"anna@example.org") == (True, False)
    finally:
        change(world.server, allow)
    assert imap_external(world.server, world.front, b"anna@example.org") == (True, True)


def test_a_right_that_is_withdrawn_ends_open_sessions(world):
    client = imaplib.IMAP4_SSL("127.0.0.1", world.server.ports["imaps"], ssl_context=world.front, timeout=60)
    client.authenticate("EXTERNAL", lambda _: b"anna@example.org")
    put(world.server, world.servers[1])
    try:
        assert b"BYE" in client.readline()
    finally:
        put(world.server, *world.servers)
        client.shutdown()


def test_explain_says_who_may_act_for_whom(world):
    config = world.server.settings.data_dir.with_name("postern.toml")
    config.write_text(
        f'[server]\ndata = "{world.server.settings.data_dir}"\n[authentication]\nfront_end_certificates = true\n'
    )

    def explained(*arguments, language="en"):
        done = subprocess.run(
            [sys.executable, "-m", "postern", "auth", "explain", "anna@example.org", "--from", "127.0.0.1", *arguments],
            capture_output=True, text=True, timeout=30,
            env={**os.environ, "PYTHONPATH": "src", "POSTERN_CONFIG": str(config), "LC_ALL": f"{language}.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = explained("--protocol", "imap", "--front-end", FRONT)
    assert f"+ {FRONT} may act for users, and proves itself by: EXTERNAL." in said
    assert "= The front end opens the mailbox for them." in said
    said = explained("--protocol", "imap", "--front-end", HUB)
    assert f"- {HUB} is no front end" in said
    assert "= They stay out" in said
    assert "- Front ends do not act for users by http." in explained("--protocol", "http", "--front-end", FRONT)
    assert "Внешний сервер открывает" in explained("--protocol", "imap", "--front-end", FRONT, language="ru_RU")
