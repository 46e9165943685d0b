"""Port 25 asks for certificates and takes none amiss: openssl s_client and Postfix as peers."""

from __future__ import annotations

import asyncio
import subprocess

import pytest
from tests.integration.organisation import Running, make_organisation, make_settings
from tests.interop.trust.peers import CLIENT, SERVER, Authority, pin_of, s_client

from postern.certificates.place import Place
from postern.config.settings import Partner
from postern.directory.interface import Server
from postern.formats import issuing
from postern.net.clock import SystemClock
from postern.roles.parts import Parts

pytestmark = pytest.mark.interop

RELAY = ["MAIL FROM:<anybody@elsewhere.example>", "RCPT TO:<someone@far.example>"]


class World:
    def __init__(self, folder, server: Running, authority: Authority, partner: Authority) -> None:
        self.folder, self.server, self.authority, self.partner = folder, server, authority, partner
        self.port = server.ports["smtp"]
        self.hub = folder / "hub.pem", folder / "hub.key"

    def dialogue(self, lines, files=None, *more):
        return s_client(self.port, lines, files, *more)

    def told(self, event: str, after: int) -> dict:
        return self.server.wait_line(event, after=after)

    def put(self, *servers: Server) -> None:
        async def work() -> None:
            parts = Parts.open(self.server.settings, "test", None, 0)
            for one in await parts.directory.servers():
                await parts.directory.delete_server(one.name)
            for one in servers:
                await parts.directory.put_server(one)
            await parts.close()

        asyncio.run(work())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers")
    folder.chmod(0o755)
    partner = Authority(folder, "partner")
    entry = Partner(name="contoso", domains=("contoso.example", "*.contoso.example"), authority=str(partner.pem))
    pinned = issuing.self_signed(["mx.pinned.example"], [], SystemClock().now())
    (folder / "pinned.pem").write_bytes(pinned[0])
    (folder / "pinned.key").write_bytes(pinned[1])
    other = Partner(name="pinned", domains=("pinned.example",), pins=(pin_of(folder / "pinned.pem"),))
    settings = make_settings(folder / "data", partner=(entry, other))
    (folder / "data").mkdir()
    make_organisation(settings)
    hub = issuing.self_signed(["hub2.example.org"], [], SystemClock().now())
    (folder / "hub.pem").write_bytes(hub[0])
    (folder / "hub.key").write_bytes(hub[1])
    own = Place(folder / "data").ensure_authority("example.org", SystemClock().now())
    authority = Authority(folder, "own")
    authority.certificate, authority.key = own.load()
    running = Running(settings)
    running.wait_ready()
    yield World(folder, running, authority, partner)
    assert running.stop() == 0


def test_a_stranger_needs_no_certificate_and_may_show_any(world):
    world.put(Server("hub2.example.org", (pin_of(world.hub[0]),)))
    letter = ["MAIL FROM:<a@elsewhere.example>", "RCPT TO:<anna@example.org>", "DATA", "Subject: x", "", "x", "."]
    assert "Queued as" in world.dialogue(letter)
    stranger = Authority(world.folder, "stranger")
    for name, made in (
        ("ok", {}),
        ("old", {"until": -1}),
        ("odd", {"usages": (SERVER,)}),
    ):
        said = world.dialogue(letter, stranger.issue(f"stranger-{name}", "mx.stranger.example", **made))
        assert "Queued as" in said, name
        assert "550" in world.dialogue(RELAY, stranger.issue(f"stranger2-{name}", "mx.stranger.example", **made))


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_server_known_by_its_pin_may_relay(world, version):
    world.put(Server("hub2.example.org", (pin_of(world.hub[0]),)))
    lines = len(world.server.lines())
    said = world.dialogue(RELAY, world.hub, version)
    assert "550" not in said and said.count("250 2.1.") == 2, said
    assert world.told("smtp.server", lines)["server"] == "hub2.example.org"
    world.put()
    assert "Relaying denied" in world.dialogue(RELAY, world.hub, version), "a withdrawn trust ends at once"


def test_a_server_known_by_the_organisations_authority(world):
    world.put(Server("hub3.example.org", (), True))
    assert "550" not in world.dialogue(RELAY, world.authority.issue("hub3", "hub3.example.org"))
    assert "Relaying denied" in world.dialogue(RELAY, world.authority.issue("hub4", "hub4.example.org"))
    other = Authority(world.folder, "own2")
    other.certificate = world.authority.certificate  # its name, another key
    assert "Relaying denied" in world.dialogue(RELAY, other.issue("hub3-forged", "hub3.example.org"))


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        ({"until": -1, "since": -10}, "expired"),
        ({"since": 2}, "valid from"),
        ({"usages": (SERVER,)}, "extended key usage"),
    ],
)
def test_an_unfit_certificate_of_a_server_is_refused_and_the_log_says_why(world, made, cause):
    files = world.authority.issue("unfit", "hub5.example.org", **made)
    world.put(Server("hub5.example.org", (pin_of(files[0]),)))
    lines = len(world.server.lines())
    said = world.dialogue(RELAY, files)
    assert "Relaying denied" in said and cause not in said, "the peer sees only that it failed"
    told = world.told("peer.certificate_refused", lines)
    assert cause in told["reason"] and "hub5.example.org" in told["reason"]


def test_who_only_has_the_name_of_a_server_is_refused(world):
    world.put(Server("hub2.example.org", (pin_of(world.hub[0]),)))
    lines = len(world.server.lines())
    files = Authority(world.folder, "liar").issue("liar", "hub2.example.org")
    assert "Relaying denied" in world.dialogue(RELAY, files)
    assert "not the one known" in world.told("peer.certificate_refused", lines)["reason"]


def test_the_identity_is_shown_to_who_asks_for_direct_trust(world, tmp_path):
    world.put(Server("hub2.example.org", (pin_of(world.hub[0]),)))
    shown = {}
    for name in ("direct-trust.postern.invalid", "mail.example.org"):
        said = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{world.port}", "-starttls", "smtp", "-servername", name],
            input="QUIT\n", capture_output=True, text=True, timeout=60,
        ).stdout  # fmt: skip
        shown[name] = said[said.index("-----BEGIN") : said.index("-----END")]
        assert "Acceptable client certificate CA names" not in said
    identity = Place(world.folder / "data").identity.certificate.read_text()
    assert shown["direct-trust.postern.invalid"] in identity
    assert shown["mail.example.org"] not in identity


# --- domain security


def mail_from(address: str) -> list[str]:
    return [f"MAIL FROM:<{address}>", "RCPT TO:<anna@example.org>"]


def test_a_partner_is_who_its_authority_says(world):
    files = world.partner.issue("contoso", "mx1.contoso.example")
    assert world.dialogue(mail_from("bob@contoso.example"), files).count("250 2.1.") == 2
    assert world.dialogue(mail_from("bob@sales.contoso.example"), files).count("250 2.1.") == 2
    assert "Relaying denied" in world.dialogue(["MAIL FROM:<b@contoso.example>", "RCPT TO:<x@far.example>"], files)


def test_a_partner_is_who_has_the_pinned_key(world):
    files = world.folder / "pinned.pem", world.folder / "pinned.key"
    assert world.dialogue(mail_from("bob@pinned.example"), files).count("250 2.1.") == 2
    said = world.dialogue(mail_from("bob@pinned.example"), world.partner.issue("np", "mx.pinned.example"))
    assert "454 4.7.5" in said


def test_without_a_certificate_nobody_sends_as_a_partner(world):
    assert "550 5.7.10" in world.dialogue(mail_from("bob@contoso.example"))
    import smtplib

    with smtplib.SMTP("127.0.0.1", world.port) as smtp:
        smtp.ehlo()
        code, text = smtp.mail("bob@CONTOSO.example")
        assert code == 550 and b"mutually authenticated TLS" in text
        smtp.rset()
        assert smtp.mail("bob@elsewhere.example")[0] == 250


@pytest.mark.parametrize(
    ("made", "names", "cause"),
    [
        ({"until": -1, "since": -10}, ("mx1.contoso.example",), "expired"),
        ({"usages": (SERVER,)}, ("mx1.contoso.example",), "extended key usage"),
        ({}, ("mx1.contoso.example.evil.example",), "none of them is the partner's"),
        ({"usages": (CLIENT,)}, ("contoso.example.net",), "none of them is the partner's"),
    ],
)
def test_an_unfit_certificate_of_a_partner_is_refused_for_now_and_the_log_says_why(world, made, names, cause):
    lines = len(world.server.lines())
    said = world.dialogue(mail_from("bob@contoso.example"), world.partner.issue("unfit-partner", *names, **made))
    assert "454 4.7.5" in said and cause not in said
    assert cause in world.told("smtp.refused", lines)["detail"]


def test_another_authority_proves_no_partner(world):
    files = Authority(world.folder, "somebody").issue("somebody", "mx1.contoso.example")
    lines = len(world.server.lines())
    assert "454 4.7.5" in world.dialogue(mail_from("bob@contoso.example"), files)
    assert "refused" in world.told("smtp.refused", lines)["detail"]


def test_a_certificate_that_was_not_verified_signs_nobody_in(world):
    """EXTERNAL and its like take what TLS has verified; here TLS verifies nothing."""
    from postern.net.asking import AskingObject

    assert AskingObject.getpeercert(None, True) is None  # type: ignore[arg-type]
    said = world.dialogue(["AUTH EXTERNAL YW5uYUBleGFtcGxlLm9yZw=="], world.hub)
    assert "235" not in said


def test_much_mail_over_the_asking_tls(world):
    """Records of every size, pipelining, a long message: the second TLS library carries what the first one does."""
    import smtplib
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*world.hub)
    with smtplib.SMTP("127.0.0.1", world.port) as smtp:
        smtp.starttls(context=context)
        for size in (1, 100, 16_383, 16_384, 16_385, 3_000_000):
            body = ("x" * 70 + "\r\n") * (size // 72 + 1)
            smtp.sendmail("a@elsewhere.example", ["anna@example.org"], f"Subject: {size}\r\n\r\n{body}")
