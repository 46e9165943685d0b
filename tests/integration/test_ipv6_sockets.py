"""Mail comes and is fetched over IPv6 alone: SMTP in, POP3 with STLS and with TLS from the start, IMAP."""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import smtplib
import ssl
import time

import msgspec
import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.config.settings import Network
from postern.model.networks import parse_network
from postern.services.signin_log import SignInQuery, search

pytestmark = pytest.mark.integration

ANNA = "anna@example.org"
WAIT_S = 30.0


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture
def server(tmp_path):
    settings = make_settings(tmp_path / "data", workers=1)
    settings = msgspec.structs.replace(settings, network=Network(addresses=("::1",), nameserver_port=1))
    make_organisation(settings)
    running = Running(settings)
    with contextlib.closing(running.process.stdout):
        running.wait_ready()
        yield running
        assert running.stop() == 0


def fetched(client: poplib.POP3) -> list[bytes]:
    client.user(ANNA)
    client.pass_(PASSWORD)
    number, _ = client.stat()
    lines = [line for n in range(1, number + 1) for line in client.retr(n)[1] if line.startswith(b"Subject:")]
    client.quit()
    return lines


def test_pop3_and_the_others_over_ipv6(server):
    tls = insecure()
    with smtplib.SMTP("::1", server.ports["submission"], timeout=WAIT_S) as client:
        client.starttls(context=tls)
        client.login(ANNA, PASSWORD)
        client.sendmail(ANNA, [ANNA], b"Subject: by IPv6\r\n\r\nbody\r\n")
    with imaplib.IMAP4_SSL("::1", server.ports["imaps"], ssl_context=tls, timeout=WAIT_S) as client:
        client.login(ANNA, PASSWORD)
        end = time.monotonic() + WAIT_S
        while client.select("INBOX")[1] != [b"1"]:
            assert time.monotonic() < end, "nothing came"
            time.sleep(0.05)
    client = poplib.POP3("::1", server.ports["pop3"], timeout=WAIT_S)
    assert "STLS" in client.capa()
    client.stls(tls)
    assert fetched(client) == [b"Subject: by IPv6"]
    wrong = poplib.POP3_SSL("::1", server.ports["pop3s"], context=tls, timeout=WAIT_S)
    wrong.user(ANNA)
    with pytest.raises(poplib.error_proto, match="AUTH"):
        wrong.pass_("wrong")
    wrong.close()
    assert fetched(poplib.POP3_SSL("::1", server.ports["pop3s"], context=tls, timeout=WAIT_S)) == [b"Subject: by IPv6"]
    assert server.stop() == 0
    log = search(server.settings.data_dir / "sign-ins", SignInQuery(source=parse_network("::1/128"), protocol="pop3"))
    assert sorted((record.address, record.ok) for record in log) == [("::1", False), ("::1", True), ("::1", True)]
