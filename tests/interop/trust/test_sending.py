"""Mail between two hubs, and with a partner: who is who is proved before anything is sent."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import subprocess
import threading
import time
from pathlib import Path

import msgspec
import pytest
from tests.integration.organisation import USERS, Running, make_organisation, make_settings
from tests.interop.outbound.dns_double import NameServer
from tests.interop.outbound.postfix_peer import PostfixPeer, need_postfix
from tests.interop.trust.peers import CLIENT, Authority, pin_of

from postern.certificates.place import Place
from postern.config.settings import Network, Partner, Queue, SendConnector, Settings
from postern.config.settings import Server as ServerSettings
from postern.directory.interface import Server
from postern.formats import issuing
from postern.net.clock import SystemClock
from postern.roles.parts import Parts

pytestmark = pytest.mark.interop

RECORDS = {
    ("hub2.example.org", "A"): ["127.0.0.1"],
    ("far.example", "MX"): ["10 mx.far.example."],
    ("mx.far.example", "A"): ["127.0.0.1"],
}


@pytest.fixture(scope="module")
def dns_port():
    """A name server in a thread of its own."""
    ready, stop, ports = threading.Event(), asyncio.Event(), []
    loops = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with NameServer(RECORDS) as server:
            ports.append(server.port)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    yield ports[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join()


def settings_of(folder: Path, name: str, dns_port: int, idle_s: int = 5, **changes: object) -> Settings:
    folder.mkdir(parents=True)
    settings = make_settings(folder, workers=1, queue=Queue(retry_s=(1, 1), connection_idle_s=idle_s), **changes)
    settings = msgspec.structs.replace(
        settings,
        server=ServerSettings(hostname=name, data=str(folder), workers=1, stop_s=5),
        network=Network(addresses=("127.0.0.1",), nameservers=("127.0.0.1",), nameserver_port=dns_port),
    )
    make_organisation(settings)
    Place(folder).ensure_identity(name, SystemClock().now())
    return settings


def trust(settings: Settings, *servers: Server) -> None:
    async def work() -> None:
        parts = Parts.open(settings, "test", None, 0)
        for one in await parts.directory.servers():
            await parts.directory.delete_server(one.name)
        for one in servers:
            await parts.directory.put_server(one)
        await parts.close()

    asyncio.run(work())


def move_out(settings: Settings, *domains: str) -> None:
    """The first hub has no users of its own: `domains` are relayed on."""
    from postern.directory.interface import Domain, DomainKind

    async def work() -> None:
        parts = Parts.open(settings, "test", None, 0)
        for user in USERS:
            await parts.directory.delete_account(f"{user}@example.org")
        for domain in domains:
            await parts.directory.put_domain(Domain(domain, DomainKind.INTERNAL_RELAY))
        await parts.close()

    asyncio.run(work())


def identity(settings: Settings) -> str:
    return pin_of(Place(settings.data_dir).identity.certificate)


def send(server: Running, recipient: str, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as smtp:
        smtp.sendmail("stranger@elsewhere.example", [recipient], f"Subject: {subject}\r\n\r\nbody\r\n")


def tracked(server: Running, **having: str) -> dict | None:
    """A message tracking event."""
    for file in sorted((server.settings.data_dir / "tracking").glob("*")):
        for line in file.read_bytes().splitlines():
            event = msgspec.json.decode(line)
            if all(value.lower() in str(event).lower() for value in having.values()):
                return event
    return None


def await_tracked(server: Running, timeout_s: float = 60, **having: str) -> dict:
    until = time.monotonic() + timeout_s
    while (found := tracked(server, **having)) is None:
        assert time.monotonic() < until, server.log.read_text()[-3000:]
        time.sleep(0.03)
    return found


@contextlib.contextmanager
def two_hubs(folder: Path, dns_port: int, known: str = "", idle_s: int = 5):
    """`known`: the pin that the first one has of the second, if not the right one."""
    second = settings_of(folder / "two", "hub2.example.org", dns_port)
    port = second.listen["smtp"].port
    first = settings_of(
        folder / "one", "hub1.example.org", dns_port, idle_s,
        send_connector=(SendConnector(name="internal", smart_hosts=(f"hub2.example.org:{port}",), tls="server"),),
    )  # fmt: skip
    move_out(first, "example.org")
    trust(first, Server("hub2.example.org", (known or identity(second),)))
    trust(second, Server("hub1.example.org", (identity(first),)))
    one, two = Running(first), Running(second)
    one.wait_ready()
    two.wait_ready()
    try:
        yield one, two
    finally:
        ended = one.stop(), two.stop()
    assert ended == (0, 0)


@pytest.fixture(scope="module")
def hubs(tmp_path_factory, dns_port):
    with two_hubs(tmp_path_factory.mktemp("hubs"), dns_port, idle_s=1) as both:
        yield both


def test_two_hubs_prove_themselves_to_each_other(hubs):
    one, two = hubs
    send(one, "anna@example.org", "between hubs")
    assert two.wait_line("smtp.server", timeout=60)["server"] == "hub1.example.org"
    await_tracked(one, what="'event': 'send'", tls="TLSv1.3")


def test_a_hub_that_is_not_the_one_known_gets_no_mail(tmp_path, dns_port):
    with two_hubs(tmp_path, dns_port, known="0" * 64) as (one, two):
        send(one, "boris@example.org", "not for strangers")
        event = await_tracked(one, what="not the one known")
        assert "hub2.example.org" in str(event) and "4.7.5" in str(event)
        assert tracked(two, what="boris") is None


def test_trust_that_is_withdrawn_ends_on_open_connections_too(tmp_path, dns_port):
    with two_hubs(tmp_path, dns_port) as (one, two):
        send(one, "anna@example.org", "while trusted")
        await_tracked(one, what="'event': 'send'")
        trust(one.settings, Server("hub2.example.org", ("0" * 64,)))
        send(one, "boris@example.org", "no more")
        await_tracked(one, what="not the one known")
        assert tracked(two, what="boris") is None


def test_a_new_key_of_a_hub_is_known_beforehand(hubs):
    """Two pins: the present key and the next one; no mail is lost over the change, nothing is restarted."""
    one, two = hubs
    chain, key = issuing.self_signed(["hub1.example.org"], [], SystemClock().now())
    place = Place(one.settings.data_dir)
    next_key = place.directory / "next.pem"
    next_key.write_bytes(chain)
    trust(two.settings, Server("hub1.example.org", (identity(one.settings), pin_of(next_key))))
    time.sleep(1.5)  # idle connections end
    place.identity.replace(chain, key)
    before = len(two.lines())
    send(one, "chen@example.org", "with the next key")
    assert two.wait_line("smtp.server", timeout=60, after=before)["server"] == "hub1.example.org"


# --- a partner's Postfix


class Far:
    """far.example: Postfix that asks for certificates, trusts an authority, and shows one of it."""

    def __init__(self, folder: Path, authority: Authority, ours: Authority, relay: int = 0) -> None:
        self.authority = authority
        self.postfix = PostfixPeer(tls="encrypt")
        etc = self.postfix.root / "etc"
        self.show(*authority.issue("far", "mx.far.example"))
        (etc / "ours.pem").write_bytes(ours.pem.read_bytes())
        self.postfix.configure(smtpd_tls_CAfile=f"{etc}/ours.pem", smtpd_tls_ask_ccert="yes")
        if relay:
            self.postfix.configure(
                mynetworks="127.0.0.0/8", smtpd_relay_restrictions="permit_mynetworks, reject",
                relayhost=f"[127.0.0.1]:{relay}", smtp_host_lookup="native", smtp_tls_security_level="encrypt",
                smtp_tls_cert_file=f"{etc}/cert.pem", smtp_tls_key_file=f"{etc}/key.pem",
            )  # fmt: skip
            with (etc / "master.cf").open("a") as file:
                file.write("smtp unix - - n - - smtp\nrelay unix - - n - - smtp\n")

    def show(self, certificate: Path, key: Path) -> None:
        etc = self.postfix.root / "etc"
        (etc / "cert.pem").write_bytes(certificate.read_bytes())
        (etc / "key.pem").write_bytes(key.read_bytes())


@pytest.fixture
def far(tmp_path_factory):
    need_postfix()
    made: list[Far] = []

    def start(authority: Authority, ours: Authority, relay: int = 0, prepare=lambda far: None) -> Far:
        far = Far(tmp_path_factory.mktemp("far"), authority, ours, relay)
        made.append(far)
        prepare(far)
        far.postfix.start()
        return far

    yield start
    for one in made:
        one.postfix.stop()


def partnership(folder: Path, dns_port: int, port: int, theirs: Authority, ours: Authority, **entry: object) -> Running:
    partner = Partner(name="far", domains=("far.example",), authority=str(theirs.pem), **entry)
    certificate = ours.issue("ours", "hub1.example.org")
    settings = settings_of(
        folder / "hub", "hub1.example.org", dns_port, partner=(partner,),
        send_connector=(SendConnector(name="internet", port=port),),
    )  # fmt: skip
    Place(settings.data_dir).listeners.replace(certificate[0].read_bytes(), certificate[1].read_bytes())
    from postern.directory.interface import Domain, DomainKind

    async def work() -> None:
        parts = Parts.open(settings, "test", None, 0)
        await parts.directory.put_domain(Domain("far.example", DomainKind.EXTERNAL_RELAY))
        await parts.close()

    asyncio.run(work())
    running = Running(settings)
    running.wait_ready()
    return running


@pytest.fixture
def authorities(tmp_path):
    return Authority(tmp_path, "theirs"), Authority(tmp_path, "ours")


def test_a_partner_gets_mail_and_sees_our_certificate(far, authorities, tmp_path, dns_port):
    theirs, ours = authorities
    there = far(theirs, ours)
    hub = partnership(tmp_path, dns_port, there.postfix.port, theirs, ours)
    try:
        send(hub, "anna@far.example", "to the partner")
        (message,) = there.postfix.received("anna", 1, b"to the partner")
        assert b'Client CN "hub1.example.org"' in message and b"(verified OK)" in message, message[:800]
    finally:
        assert hub.stop() == 0


@pytest.mark.parametrize(
    ("names", "made", "cause"),
    [
        (("mx.far.example",), {"until": -1, "since": -9}, "certificate has expired"),
        (("mx.elsewhere.example",), {}, "none of them is the partner's"),
        (("mx.far.example",), {"usages": (CLIENT,)}, "certificate purpose"),
    ],
)
def test_a_partner_that_proves_nothing_gets_nothing(far, authorities, tmp_path, dns_port, names, made, cause):
    theirs, ours = authorities
    there = far(theirs, ours, prepare=lambda far: far.show(*theirs.issue("bad", *names, **made)))
    hub = partnership(tmp_path, dns_port, there.postfix.port, theirs, ours)
    try:
        send(hub, "anna@far.example", "secret")
        event = await_tracked(hub, what=cause)
        assert "4.7.5" in str(event), event
        assert "client=" not in there.postfix.log(), "no transaction was begun"
    finally:
        assert hub.stop() == 0


def test_a_partners_postfix_sends_with_its_certificate(far, authorities, tmp_path, dns_port):
    theirs, ours = authorities
    hub = partnership(tmp_path, dns_port, 1, theirs, ours)
    try:
        there = far(theirs, ours, relay=hub.ports["smtp"])
        with smtplib.SMTP("127.0.0.1", there.postfix.port, timeout=60) as smtp:
            import ssl

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            smtp.starttls(context=context)
            smtp.sendmail("bob@far.example", ["anna@example.org"], "Subject: from the partner\r\n\r\nbody\r\n")
        await_tracked(hub, what="bob@far.example", event="'event': 'deliver'")
        with smtplib.SMTP("127.0.0.1", hub.ports["smtp"]) as smtp:
            smtp.ehlo()
            assert smtp.mail("bob@far.example")[0] == 550, "anybody else may not"
    finally:
        assert hub.stop() == 0


def test_openssl_agrees_that_the_identity_is_what_it_says(hubs):
    one, _ = hubs
    said = subprocess.run(
        ["openssl", "x509", "-in", Place(one.settings.data_dir).identity.certificate, "-noout", "-purpose"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "SSL client : Yes" in said and "SSL server : Yes" in said
