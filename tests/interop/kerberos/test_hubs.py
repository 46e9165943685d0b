"""Two hubs of an organisation in a Kerberos domain sign in to each other on port 25 by X-EXPS GSSAPI."""

from __future__ import annotations

import base64
import smtplib
import ssl
import subprocess
import time

import pytest
from tests.integration.organisation import Running
from tests.interop.kerberos.conftest import PASSWORD
from tests.interop.kerberos.test_acceptor import Client
from tests.interop.trust.test_sending import (
    await_tracked,
    dns_port,  # noqa: F401 - a fixture
    move_out,
    send,
    settings_of,
    tracked,
    trust,
)

from postern.config.mechanisms import Kerberos
from postern.config.settings import Authentication, SendConnector
from postern.directory.interface import Server
from postern.net.tls import end_point_of

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

HUB1, HUB2 = "hub1.example.org", "hub2.example.org"
LIFE_S = 3
SKEW_S = 1


class Hubs:
    def __init__(self, kerberos, folder, dns):
        self.kerberos, self.folder = kerberos, folder
        dc = kerberos.controller
        self.realm = dc.realm
        self.keytabs = {}
        for host in (HUB1, HUB2):
            account, self.keytabs[host] = host.partition(".")[0], folder / f"{host}.keytab"
            dc.tool("user", "create", account, PASSWORD)
            dc.tool("spn", "add", f"smtp/{host}", account)
            for principal in (account, f"smtp/{host}"):
                dc.tool("domain", "exportkeytab", str(self.keytabs[host]), f"--principal={principal}")
        second = settings_of(
            folder / "two", HUB2, dns, kerberos=Kerberos(keytab=str(self.keytabs[HUB2])),
            authentication=Authentication(failure_delay_s=0.0),
        )  # fmt: skip
        first = settings_of(
            folder / "one", HUB1, dns, kerberos=Kerberos(keytab=str(self.keytabs[HUB1])),
            send_connector=tuple(
                SendConnector(
                    name=name, domains=(domain,), smart_hosts=(f"{HUB2}:{second.listen['smtp'].port}",), tls="server"
                )
                for name, domain in (("internal", "*"), ("other", "other.example"))
            ),
        )  # fmt: skip
        # far.example is nobody's at the second hub: only a server of the organisation may relay to it
        move_out(first, "far.example", "other.example")
        self.first = Server(HUB1, principal=f"hub1@{self.realm}")
        self.second = Server(HUB2, principal=f"hub2@{self.realm}")
        trust(first, self.second)
        trust(second, self.first)
        config = folder / "krb5.conf"
        text = dc.krb5_conf.read_text()
        config.write_text(text.replace("[libdefaults]\n", f"[libdefaults]\n clockskew = {SKEW_S}\n", 1))
        self.one = Running(first, {"KRB5_CONFIG": str(dc.krb5_conf)})
        self.two = Running(second, {"KRB5_CONFIG": str(config)})
        self.one.wait_ready()
        self.two.wait_ready()

    def stop(self) -> None:
        assert (self.one.stop(), self.two.stop()) == (0, 0)


@pytest.fixture(scope="module")
def hubs(kerberos, tmp_path_factory, dns_port):  # noqa: F811
    made = Hubs(kerberos, tmp_path_factory.mktemp("hubs"), dns_port)
    yield made
    made.stop()


class Session:
    """A peer on port 25 of the second hub."""

    def __init__(self, hubs, tls=True):
        self.smtp = smtplib.SMTP("127.0.0.1", hubs.two.ports["smtp"], timeout=60)
        self.smtp.ehlo("peer.example")
        self.end_point = b""
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.smtp.starttls(context=context)
            self.smtp.ehlo("peer.example")
            self.end_point = end_point_of(self.smtp.sock.getpeercert(binary_form=True))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.smtp.close()

    def offer(self) -> str:
        return self.smtp.esmtp_features.get("x-exps", "")

    def exps(self, client: Client, token: bytes | None = None) -> tuple[int, str]:
        """The whole exchange; the last answer."""
        code, text = self.smtp.docmd("X-EXPS", f"GSSAPI {base64.b64encode(token or client.step()).decode()}")
        if code != 334:
            return code, text.decode()
        client.step(base64.b64decode(text))
        code, text = self.smtp.docmd("")
        assert code == 334, text
        assert client.context.unwrap(base64.b64decode(text)).message[0] & 1
        answer = client.context.wrap(b"\1\0\0\0", False).message
        code, text = self.smtp.docmd(base64.b64encode(answer).decode())
        return code, text.decode()

    def may_relay(self) -> bool:
        self.smtp.mail("anybody@elsewhere.example")
        return self.smtp.rcpt("someone@far.example")[0] == 250


@pytest.fixture
def cache(hubs, monkeypatch, tmp_path):
    """Tickets of a principal, by its password."""
    monkeypatch.setenv("KRB5_CONFIG", str(hubs.kerberos.controller.krb5_conf))

    def make(user: str, *options: str) -> str:
        name = f"FILE:{tmp_path}/{user}"
        made = subprocess.run(
            ["kinit", *options, "-c", name, f"{user}@{hubs.realm}"],
            input=f"{PASSWORD}\n", capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr
        return name

    return make


def client(name: str, session: Session, **options) -> Client:
    return Client(name, "smtp", HUB2, **{"end_point": session.end_point, **options})


def refused(hubs, since: int) -> str:
    return str(hubs.two.wait_line("smtp.refused", after=since)["detail"])


def test_a_message_is_handed_over_by_a_hub_that_signed_in(hubs):
    before = len(hubs.two.lines())
    send(hubs.one, "someone@far.example", "between hubs")
    told = hubs.two.wait_line("smtp.server", timeout=60, after=before)
    assert (told["server"], told["principal"]) == (HUB1, f"hub1@{hubs.realm}")
    await_tracked(hubs.one, what="'event': 'send'", tls="TLSv1.3")
    event = await_tracked(hubs.two, what="someone@far.example")
    assert "stranger@elsewhere.example" in str(event), "the sender is believed"


def test_it_is_offered_after_tls_and_to_servers_only_where_they_are_meant(hubs, cache):
    with Session(hubs, tls=False) as session:
        assert session.offer() == ""
    with Session(hubs) as session:
        assert session.offer().strip() == "GSSAPI"
        assert not session.may_relay()
    with Session(hubs) as session:
        assert session.exps(client(cache("hub1"), session))[0] == 235
        assert session.smtp.ehlo("hub1.example.org")[0] == 250
        assert session.offer() == ""
        assert session.may_relay()


def test_before_tls_it_is_refused(hubs, cache):
    since = len(hubs.two.lines())
    with Session(hubs, tls=False) as session:
        code, _ = session.exps(client(cache("hub1"), session, end_point=None))
        assert code == 538
        assert refused(hubs, since) == "X-EXPS before TLS"
        assert not session.may_relay()


def test_a_principal_that_is_no_server_is_refused(hubs, cache):
    since = len(hubs.two.lines())
    with Session(hubs) as session:
        code, text = session.exps(client(cache("anna"), session))
        assert (code, "anna" in text) == (535, False)
        assert f"anna@{hubs.realm} is no server of the organisation" in refused(hubs, since)
        assert not session.may_relay()


def test_a_replayed_token_is_refused(hubs, cache):
    """On the very connection even, whose binding would fit: a second one of the same token."""
    name = cache("hub1")
    with Session(hubs) as session:
        peer = client(name, session)
        token = peer.step()
        assert session.exps(peer, token)[0] == 235
    since = len(hubs.two.lines())
    with Session(hubs) as session:
        assert session.exps(client(name, session), token)[0] == 535
        assert "replayed" in refused(hubs, since)
        assert not session.may_relay()


def test_a_ticket_for_another_connection_is_refused(hubs, cache):
    name = cache("hub1")
    for end_point, cause in ((b"\x66" * 32, "channel binding of another connection"), (None, "bound to no TLS")):
        since = len(hubs.two.lines())
        with Session(hubs) as session:
            assert session.exps(client(name, session, end_point=end_point))[0] == 535
            assert cause in refused(hubs, since)


def test_an_expired_ticket_is_refused(hubs, cache):
    name = cache("hub1", "-l", f"{LIFE_S}s", "-S", f"smtp/{HUB2}")
    with Session(hubs) as session:
        peer = client(name, session)
        token = peer.step()
        time.sleep(LIFE_S + SKEW_S + 1)
        since = len(hubs.two.lines())
        assert session.exps(peer, token)[0] == 535
        assert "the ticket has expired" in refused(hubs, since)


def test_a_user_that_a_server_names_between_servers_is_refused(hubs, cache):
    """Nobody acts for anybody on port 25."""
    since = len(hubs.two.lines())
    with Session(hubs) as session:
        peer = client(cache("hub1"), session)
        _, text = session.smtp.docmd("X-EXPS", f"GSSAPI {base64.b64encode(peer.step()).decode()}")
        peer.step(base64.b64decode(text))
        session.smtp.docmd("")
        answer = peer.context.wrap(b"\1\0\0\0anna@example.org", False).message
        assert session.smtp.docmd(base64.b64encode(answer).decode())[0] == 535
        assert "would act for anna@example.org between servers" in refused(hubs, since)


def test_another_mechanism_and_garbage_are_refused(hubs):
    with Session(hubs) as session:
        assert session.smtp.docmd("X-EXPS", "NTLM TlRMTVNTUAAB")[0] == 504
        assert session.smtp.docmd("X-EXPS")[0] == 501
        assert session.smtp.docmd("X-EXPS", "GSSAPI !!!")[0] == 501
        assert session.smtp.docmd("X-EXPS", "GSSAPI AAAA")[0] == 535
        assert session.smtp.docmd("X-EXPS", "GSSAPI")[0] == 334
        assert session.smtp.docmd("*")[0] == 501
        assert not session.may_relay()


def test_trust_that_is_withdrawn_ends_with_the_next_message(hubs, cache):
    with Session(hubs) as session:
        assert session.exps(client(cache("hub1"), session))[0] == 235
        assert session.may_relay()
        session.smtp.rset()
        trust(hubs.two.settings)
        try:
            assert not session.may_relay()
        finally:
            trust(hubs.two.settings, hubs.first)


def test_a_hub_whose_name_the_domain_does_not_know_gets_no_mail(hubs):
    """The first hub asks for a ticket of a realm that the second is not in; kept connections are of no use either."""
    trust(hubs.one.settings, Server(HUB2, principal="hub2@OTHER.EXAMPLE.ORG"))
    try:
        send(hubs.one, "anna@other.example", "not for strangers")
        event = await_tracked(hubs.one, what="anna@other.example", why="X-EXPS GSSAPI with smtp/hub2.example.org@OTHER")
        assert "4.7.5" in str(event)
        assert tracked(hubs.two, what="anna@other.example") is None
    finally:
        trust(hubs.one.settings, hubs.second)
