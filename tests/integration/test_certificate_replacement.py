"""A certificate is replaced under a running server: every worker, every way to TLS, open sessions, broken files."""

from __future__ import annotations

import base64
import hashlib
import hmac
import imaplib
import os
import signal
import smtplib
import ssl
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.certificates.place import Place
from postern.formats import issuing
from postern.formats.certificate import read

pytestmark = pytest.mark.integration


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"))
    offered = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
    imaps = msgspec.structs.replace(settings.listen["imaps"], mechanisms=offered)
    settings = msgspec.structs.replace(settings, listen={**settings.listen, "imaps": imaps})
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


def implicit(server: Running) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", server.ports["imaps"]), timeout=60))


def by_starttls(server: Running) -> bytes:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as smtp:
        smtp.starttls(context=insecure())
        return smtp.sock.getpeercert(binary_form=True)


def put(server: Running, name: str, since: datetime | None = None, days: int = 90) -> bytes:
    chain, key = issuing.self_signed([name], [], since or datetime.now(UTC), days)
    Place(server.settings.data_dir).listeners.replace(chain, key)
    return ssl.PEM_cert_to_DER_cert(chain.decode())


def everywhere(server: Running, wanted: bytes, timeout_s: float = 60) -> None:
    """The kernel deals connections to the workers by their source port: so many find both."""
    until = time.monotonic() + timeout_s
    ways: list[Callable[[Running], bytes]] = [implicit, by_starttls]
    while any(way(server) != wanted for way in ways for _ in range(16)):
        assert time.monotonic() < until, "somebody still shows another certificate"
        time.sleep(0.03)


def metric(server: Running, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.ports['metrics']}/metrics") as page:
        for line in page.read().decode().splitlines():
            if line.startswith(name):
                return float(line.split()[-1])
    raise AssertionError(name)


def scram_plus(server: Running, certificate: bytes) -> str:
    """Log in by SCRAM-SHA-256-PLUS bound to a certificate (RFC 5802, RFC 5929 4)."""
    with imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=insecure()) as imap:
        header, bare = b"p=tls-server-end-point,,", b"n=anna@example.org,r=rOprNGfwEbeRWgbNEkqO"
        answers = iter([header + bare])
        state: dict[str, bytes] = {}

        def step(challenge: bytes) -> bytes:
            first = next(answers, None)
            if first is not None:
                return first
            if challenge.startswith(b"v="):
                return b""
            said = dict(part.split(b"=", 1) for part in challenge.split(b","))
            salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(said[b"s"]), int(said[b"i"]))
            key = hmac.digest(salted, b"Client Key", "sha256")
            binding = base64.b64encode(header + hashlib.sha256(certificate).digest())
            final = b"c=" + binding + b",r=" + said[b"r"]
            proof = hmac.digest(hashlib.sha256(key).digest(), bare + b"," + challenge + b"," + final, "sha256")
            state["proof"] = base64.b64encode(bytes(a ^ b for a, b in zip(key, proof, strict=True)))
            return final + b",p=" + state["proof"]

        try:
            return imap.authenticate("SCRAM-SHA-256-PLUS", step)[0]
        except imaplib.IMAP4.error as problem:
            return f"NO {problem}"


def test_a_new_certificate_is_shown_by_every_worker_and_open_sessions_go_on(server):
    with imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=insecure()) as open_session:
        open_session.login("anna@example.org", PASSWORD)
        before = implicit(server)
        pids = server.children()
        new = put(server, "renewed.example.org")
        everywhere(server, new)
        assert new != before
        assert open_session.select("INBOX")[0] == "OK"
    assert server.children() == pids, "no process was started again"
    replaced = [line for line in server.lines() if line["event"] == "certificate.replaced"]
    assert {line["process"] for line in replaced} == {"worker-0", "worker-1"}


def test_the_channel_binding_follows(server):
    old = implicit(server)
    assert scram_plus(server, old) == "OK"
    new = put(server, "binding.example.org")
    everywhere(server, new)
    assert scram_plus(server, new) == "OK"
    assert scram_plus(server, old).startswith("NO")


@pytest.mark.parametrize("how", ["nonsense", "another key", "expired", "no key"])
def test_a_broken_new_certificate_keeps_the_old_one_and_is_told(server, how):
    good = put(server, "good.example.org")
    everywhere(server, good)
    lines = len(server.lines())
    pair = Place(server.settings.data_dir).listeners
    if how == "nonsense":
        pair.certificate.write_text("not a certificate")
    elif how == "another key":
        pair.key.write_bytes(issuing.key_pem(issuing.new_key()))
    elif how == "expired":
        put(server, "expired.example.org", datetime.now(UTC) - timedelta(days=30), days=10)
    else:
        pair.key.unlink()
    told = server.wait_line("certificate.refused", after=lines)
    assert told["level"] == "error" and told["reason"]
    if how == "expired":
        assert "expired" in told["reason"]
    everywhere(server, good)


def test_a_worker_that_takes_anothers_place_has_the_new_one(server):
    put(server, "first.example.org")
    new = put(server, "second.example.org")
    everywhere(server, new)
    lines = len(server.lines())
    os.kill(server.children()["worker-0"], signal.SIGKILL)
    server.wait_line("process.started", after=lines)
    everywhere(server, new)


def test_what_ends_soon_is_in_log_and_metrics(tmp_path):
    settings = make_settings(tmp_path, workers=1)
    make_organisation(settings)
    chain, key = issuing.self_signed(["mail.example.org"], [], datetime.now(UTC), 5)
    Place(tmp_path).listeners.replace(chain, key)
    running = Running(settings)
    try:
        running.wait_ready()
        told = running.wait_line("certificate.needs_care")
        assert told["state"] == "expires_soon" and told["days"] in (4, 5) and told["use"] == "listeners"
        end = read(chain)[0].not_valid_after_utc.timestamp()
        assert metric(running, 'postern_certificate_not_after_seconds{use="listeners"}') == end
        assert metric(running, 'postern_certificate_not_after_seconds{use="servers"}') > end
    finally:
        running.stop()
