"""Certificates from a real ACME server, which validates every challenge over loopback."""

from __future__ import annotations

import base64
import shutil
import stat
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import msgspec
import pytest
from tests.interop.acme.pebble import Pebble
from tests.ports import free_port

from postern.certificates.place import Place
from postern.certificates.responders import HTTP_PATH, answer
from postern.config.settings import Acme, Listener, Network, Server, Settings
from postern.formats.certificate import facts, read
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemClock
from postern.roles.renewal import obtain

pytestmark = pytest.mark.interop
KEY = base64.urlsafe_b64encode(b"k" * 32).decode().rstrip("=")


def programs() -> tuple[str, str]:
    found = [shutil.which(name) for name in ("pebble", "pebble-challtestsrv")]
    if not all(found):
        pytest.skip("pebble is not installed: run scripts/install-test-parts as root")
    return found[0], found[1]


@pytest.fixture(scope="module")
def pebble(tmp_path_factory):
    authority = Pebble(tmp_path_factory.mktemp("pebble"), *programs())
    yield authority
    authority.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """The library asks again after the second or more that the authority says: it has long been ready."""
    monkeypatch.setattr("acme.client.time", SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.05))))


@pytest.fixture
def make(tmp_path, pebble):
    def settings(**changes: object) -> Settings:
        own = Acme(
            directory=pebble.directory, agree_to_terms=True, trust=str(pebble.trust), names=("mail.example.org",),
            http_port=pebble.http_port, tls_port=pebble.tls_port, addresses=("127.0.0.1",), hook_wait_s=0,
        )  # fmt: skip
        return Settings(
            server=Server(hostname="mail.example.org", data=str(tmp_path)),
            network=Network(addresses=("127.0.0.1",)),
            acme=msgspec.structs.replace(own, **changes),
        )

    return settings


def served(settings: Settings) -> tuple[str, ...]:
    return facts(read(settings.certificate.read_bytes())[0]).names


def test_http_01(make, pebble, tmp_path):
    settings = make(names=("mail.example.org", "autodiscover.example.org"), email=("admin@example.org",))
    obtain(settings, SystemClock())
    assert set(served(settings)) == {"mail.example.org", "autodiscover.example.org"}
    (tmp_path / "root.pem").write_text(pebble.root())
    subprocess.run(
        ["openssl", "verify", "-CAfile", tmp_path / "root.pem", "-untrusted", settings.certificate,
         "-verify_hostname", "mail.example.org", settings.certificate],
        check=True,
    )  # fmt: skip
    assert stat.S_IMODE(settings.key.stat().st_mode) == 0o600
    assert list(Place(tmp_path).challenges.iterdir()) == [], "answers are taken away"


def test_a_renewal_uses_the_same_account_and_key(make, tmp_path):
    settings = make()
    obtain(settings, SystemClock())
    first = facts(read(settings.certificate.read_bytes())[0])
    account = (Place(tmp_path).acme / "account.key.pem").read_bytes()
    obtain(settings, SystemClock())
    second = facts(read(settings.certificate.read_bytes())[0])
    assert second.serial != first.serial and second.pin == first.pin
    assert (Place(tmp_path).acme / "account.key.pem").read_bytes() == account
    obtain(make(reuse_key=False), SystemClock())
    assert facts(read(settings.certificate.read_bytes())[0]).pin != first.pin


def test_http_01_through_a_server_that_has_the_port(make, pebble, tmp_path):
    """Ours reads the same files: the order only writes them."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    asked = []

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = answer(Place(tmp_path).challenges, self.path)
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    host = HTTPServer(("127.0.0.1", pebble.http_port), Host)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    try:
        obtain(make(), SystemClock())
    finally:
        host.shutdown()
        host.server_close()
    assert asked and all(path.startswith(HTTP_PATH) for path in asked)


def test_tls_alpn_01(make):
    settings = make(challenge="tls-alpn-01", names=("mail.example.org", "imap.example.org"))
    obtain(settings, SystemClock())
    assert set(served(settings)) == {"mail.example.org", "imap.example.org"}


def test_dns_01_by_hook_for_a_wildcard(make, pebble, tmp_path):
    hook, log = tmp_path / "hook.py", tmp_path / "calls"
    hook.write_text(f"""
import json, sys, urllib.request
verb, name, value = sys.argv[1:]
open({str(log)!r}, "a").write(f"{{verb}} {{name}}\\n")
body = {{"host": name + "."}} | ({{"value": value}} if verb == "present" else {{}})
path = "set-txt" if verb == "present" else "clear-txt"
urllib.request.urlopen("http://127.0.0.1:{pebble.dns_management}/" + path, json.dumps(body).encode())
""")
    settings = make(challenge="dns-01", names=("*.example.org",), hook=(sys.executable, str(hook)))
    obtain(settings, SystemClock())
    assert served(settings) == ("*.example.org",)
    assert log.read_text().split("\n")[:2] == [
        "present _acme-challenge.example.org",
        "remove _acme-challenge.example.org",
    ]


def test_an_external_account_binding(tmp_path):
    (tmp_path / "p").mkdir()
    authority = Pebble(tmp_path / "p", *programs(), eab={"kid-1": KEY})
    (tmp_path / "eab").write_text(KEY + "\n")
    own = Acme(
        directory=authority.directory, agree_to_terms=True, trust=str(authority.trust), names=("mail.example.org",),
        http_port=authority.http_port, addresses=("127.0.0.1",), eab_key_id="kid-1", eab_key_file=str(tmp_path / "eab"),
    )  # fmt: skip
    settings = Settings(server=Server(hostname="mail.example.org", data=str(tmp_path / "data")), acme=own)
    try:
        obtain(settings, SystemClock())
        bare = msgspec.structs.replace(own, eab_key_id="", eab_key_file="")
        other = Settings(server=Server(hostname="mail.example.org", data=str(tmp_path / "other")), acme=bare)
        with pytest.raises(Refusal, match="refuses"):
            obtain(other, SystemClock())
    finally:
        authority.stop()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"http_port": 0}, "could not verify mail.example.org"),
        ({"agree_to_terms": False}, "agree_to_terms"),
        ({"trust": ""}, "certificate verify failed"),
        ({"directory": "https://127.0.0.1:1/dir"}, "https://127.0.0.1:1/dir"),
        ({"challenge": "dns-01", "hook": ("/nonexistent/hook",)}, "/nonexistent/hook"),
        ({"challenge": "dns-01", "hook": ("false",)}, "ended with 1"),
        ({"challenge": "http-01", "names": ("*.example.org",)}, "change .acme. challenge"),
    ],
)
def test_what_goes_wrong_is_said_and_the_old_certificate_stays(make, changes, said):
    if changes.get("http_port") == 0:
        changes = {"http_port": free_port()}
    settings = make(**changes)
    Place(settings.data_dir).listeners.replace(b"old", b"old")
    with pytest.raises(Refusal, match=said) as refused:
        obtain(settings, SystemClock())
    assert refused.value.reason in (Reason.TRY_LATER, Reason.BAD_VALUE, Reason.NOT_PERMITTED)
    assert settings.certificate.read_bytes() == b"old"


def test_one_order_at_a_time(make):
    import fcntl

    settings = make()
    place = Place(settings.data_dir)
    place.acme.mkdir(parents=True)
    with (place.acme / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Refusal, match="another ACME order"):
            obtain(settings, SystemClock())


@pytest.mark.parametrize(
    "path", ["/.well-known/acme-challenge/../../directory.db", HTTP_PATH, HTTP_PATH + "a/b" * 9, "/x"]
)
def test_the_hook_of_port_80_serves_tokens_and_nothing_else(tmp_path, path):
    (tmp_path / "c").mkdir()
    (tmp_path / "directory.db").write_text("secret")
    assert answer(tmp_path / "c", path) is None


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_a_server_gets_its_certificate_by_itself(pebble, tmp_path, challenge):
    """From the self-signed one to the authority's, in every worker, without a restart."""
    import ssl

    from tests.integration.organisation import Running, make_organisation, make_settings

    from postern.formats import issuing

    own = Acme(
        directory=pebble.directory, agree_to_terms=True, trust=str(pebble.trust), http_port=pebble.http_port,
        tls_port=pebble.tls_port, challenge=challenge, addresses=("127.0.0.1",),
    )  # fmt: skip
    settings = make_settings(tmp_path, acme=own)
    listen = {**settings.listen, "http": Listener(port=pebble.http_port), "https": Listener(port=pebble.tls_port)}
    settings = msgspec.structs.replace(settings, listen=listen)
    make_organisation(settings)
    Place(tmp_path).listeners.replace(*issuing.self_signed(["mail.example.org"], [], SystemClock().now()))
    root = pebble.root()
    running = Running(settings)
    try:
        running.wait_ready()
        running.wait_line("certificate.renewed", timeout=30)
        until = time.monotonic() + 60
        while len([line for line in running.lines() if line["event"] == "certificate.replaced"]) < 2:
            assert time.monotonic() < until
            time.sleep(0.03)
        context = ssl.create_default_context(cadata=root)
        import socket

        for path in ("imaps", "https") * 4:
            with (
                socket.create_connection(("127.0.0.1", running.ports[path])) as sock,
                context.wrap_socket(sock, server_hostname="mail.example.org") as tls,
            ):
                assert tls.getpeercert()["subjectAltName"] == (("DNS", "mail.example.org"),)
    finally:
        assert running.stop() == 0
