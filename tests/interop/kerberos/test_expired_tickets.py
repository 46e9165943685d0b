"""A Kerberos ticket of a few seconds: good while it lives, refused after its end with the cause in the log."""

from __future__ import annotations

import asyncio
import base64
import http.client
import os
import smtplib
import ssl
import subprocess
import sys
import time

import pytest
from tests.integration.organisation import Running, make_organisation, make_settings
from tests.interop.kerberos.conftest import HOST, PASSWORD
from tests.interop.kerberos.test_acceptor import Client, settings  # noqa: F401 - a fixture
from tests.unit.services.mechanisms.conftest import world  # noqa: F401 - a fixture

from postern.config.mechanisms import Kerberos
from postern.config.settings import Authentication
from postern.services.negotiation import Accepted

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

LIFE_S = 4
SKEW_S = 2
"""What the server's krb5.conf tolerates; MIT's library takes five minutes otherwise, past a ticket's end too."""
EXPIRED = "the ticket has expired"


@pytest.fixture(scope="module")
def server(kerberos, tmp_path_factory):
    made = make_settings(
        tmp_path_factory.mktemp("expired") / "data",
        workers=1,
        kerberos=Kerberos(keytab=str(kerberos.keytab), realms={kerberos.controller.realm: "example.org"}),
        authentication=Authentication(failure_delay_s=0.0),
    )
    make_organisation(made)
    config = made.data_dir.with_name("krb5.conf")
    text = kerberos.controller.krb5_conf.read_text()
    config.write_text(text.replace("[libdefaults]\n", f"[libdefaults]\n clockskew = {SKEW_S}\n", 1))
    running = Running(made, {"KRB5_CONFIG": str(config)})
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def short_lived(kerberos, monkeypatch, tmp_path):
    """Caches with a ticket that ends in a moment, straight from the first exchange.

    A ticket-granting ticket cannot be that short: Samba takes none of two minutes or less for anything but passwords.
    """
    monkeypatch.setenv("KRB5_CONFIG", str(kerberos.controller.krb5_conf))

    def make(service: str) -> str:
        cache = f"FILE:{tmp_path}/{service}"
        made = subprocess.run(
            ["kinit", "-l", f"{LIFE_S}s", "-S", f"{service}/{HOST}", "-c", cache, f"anna@{kerberos.controller.realm}"],
            input=f"{PASSWORD}\n", capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        return cache

    return make


def trust(server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.settings.data_dir / "tls" / "authority.pem"))


def smtp(server, token: bytes) -> tuple[int, str]:
    """The answer to AUTH GSSAPI: a challenge, or a refusal."""
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], timeout=60, context=trust(server)) as session:
        session.ehlo()
        code, text = session.docmd("AUTH", f"GSSAPI {base64.b64encode(token).decode()}")
        if code == 334:
            session.docmd("*")
        return code, text.decode()


def web(server, token: bytes) -> tuple[int, str]:
    """The answer to /whoami."""
    context = trust(server)
    connection = http.client.HTTPSConnection("localhost", server.ports["https"], timeout=60, context=context)
    try:
        header = f"Negotiate {base64.b64encode(token).decode()}"
        connection.request("GET", "/whoami", headers={"Authorization": header, "Accept": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_an_expired_ticket_is_refused_and_the_log_says_why(server, short_lived):
    """The tokens are made while the ticket lives, as by a client whose clock is slow."""
    paths = ((smtp, "smtp", 334, 535, "smtp.refused"), (web, "HTTP", 200, 401, "http.sign_in_refused"))
    late = []
    for call, service, good, *_ in paths:
        cache = short_lived(service)
        answer = call(server, Client(cache, service, end_point=None).step())
        assert answer[0] == good, answer
        late.append(Client(cache, service, end_point=None).step())
    time.sleep(LIFE_S + SKEW_S + 1)
    for (call, _service, _good, bad, event), token in zip(paths, late, strict=True):
        since = len(server.lines())
        code, text = call(server, token)
        assert code == bad, text
        assert EXPIRED in str(server.wait_line(event, after=since))
        assert "expired" not in text
    end = time.monotonic() + 60
    while (recorded := auth_log(server)).count(EXPIRED) < 2:  # attempts are written down in batches
        assert time.monotonic() < end, recorded
        time.sleep(0.2)


def auth_log(server) -> str:
    """What `postern auth log` says."""
    config = server.settings.data_dir.with_name("postern.toml")
    config.write_text(f'[server]\ndata = "{server.settings.data_dir}"\n')
    done = subprocess.run(
        [sys.executable, "-m", "postern", "auth", "log", "--json"],
        capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": "src", "POSTERN_CONFIG": str(config), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_a_client_whose_clock_is_right_does_not_even_send_one(server, short_lived, program, run):
    port, cache = server.ports["imaps"], short_lived("imap")

    def curl():
        return run(
            program("curl"), "-sSvk", "--resolve", f"{HOST}:{port}:127.0.0.1", f"imaps://{HOST}:{port}/",
            "--login-options", "AUTH=GSSAPI", "-u", ":", check=False, KRB5CCNAME=cache,
        )  # fmt: skip

    answer = curl()
    assert answer.returncode == 0, answer.stderr
    time.sleep(LIFE_S + 1)
    answer = curl()
    assert answer.returncode != 0
    assert "gss_init_sec_context() failed" in answer.stderr, answer.stderr
    assert "AUTHENTICATE" not in answer.stderr


async def test_what_krb5_conf_tolerates_goes_for_the_end_of_a_ticket_too(world, settings, short_lived):  # noqa: F811
    """Five minutes, if it says nothing: the library's rule (RFC 4120 3.2.3), and an operator's to tighten."""
    cache = short_lived("smtp")
    late = Client(cache, "smtp").step()
    await asyncio.sleep(LIFE_S + 1)
    outcome = await world.begin(world.open(settings), "Negotiate").step(late)
    assert isinstance(outcome, Accepted), outcome
    assert outcome.expires_at < world.clock.timestamp() + 300, "and it is good for no longer than that"
