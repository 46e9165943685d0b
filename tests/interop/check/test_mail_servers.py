"""The probes against Debian's Postfix and Dovecot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import trustme
from tests.interop.check import peers

from postern.checks.model import State, Tls

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "outbound"))
from postfix_peer import PostfixPeer, need_postfix

pytestmark = pytest.mark.interop
NAMES = ("mail.example.org",)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


async def test_dovecot_as_it_should_be(authority, trust, ask):
    with peers.dovecot(authority) as ports:
        for name, tls in (
            ("imap", Tls.STARTTLS),
            ("pop3", Tls.STARTTLS),
            ("imaps", Tls.IMPLICIT),
            ("pop3s", Tls.IMPLICIT),
        ):
            wanted = {"mechanisms": ("PLAIN",), "allowed": ("PLAIN", "LOGIN")}
            outcome = await ask(
                peers.DOVECOT_ADDRESS, ports[name], name.removesuffix("s"), tls, names=NAMES, trust=trust, expect=wanted
            )
            assert outcome.findings == (), outcome
            assert outcome.seen.tls.trusted is True
            assert outcome.seen.tls.certificate.names == NAMES
            assert set(outcome.seen.mechanisms) == {"PLAIN", "LOGIN"}
            # nothing that shows a password before TLS
            assert outcome.seen.mechanisms_clear == ()


async def test_dovecot_that_takes_passwords_in_clear(authority, trust, ask, codes):
    with peers.dovecot(authority, guarded="no") as ports:
        for name in ("imap", "pop3"):
            outcome = await ask(peers.DOVECOT_ADDRESS, ports[name], name, Tls.STARTTLS, names=NAMES, trust=trust)
            assert codes(outcome) == ["password-in-clear"], outcome


async def test_dovecot_without_tls_and_with_a_mechanism_missing(authority, ask, codes):
    with peers.dovecot(authority, ssl="no") as ports:
        outcome = await ask(
            peers.DOVECOT_ADDRESS, ports["imap"], "imap", Tls.STARTTLS, expect={"mechanisms": ("GSSAPI",)}
        )
        assert "starttls-missing" in codes(outcome)
        assert outcome.seen.starttls is False
        assert outcome.state is State.ERROR
    with peers.dovecot(authority) as ports:
        outcome = await ask(
            peers.DOVECOT_ADDRESS,
            ports["imap"],
            "imap",
            Tls.STARTTLS,
            expect={"mechanisms": ("GSSAPI",), "allowed": ("GSSAPI",)},
        )
        assert {"mechanism-missing", "mechanism-extra"} <= set(codes(outcome))
        # another protocol than the one that is spoken there
        assert codes(await ask(peers.DOVECOT_ADDRESS, ports["imap"], "pop3", Tls.STARTTLS)) == ["wrong-protocol"]
        assert codes(await ask(peers.DOVECOT_ADDRESS, ports["imap"], "imap", Tls.IMPLICIT)) == ["tls-failed"]


@pytest.fixture(scope="module")
def postfix():
    need_postfix()
    peer = PostfixPeer()
    peer.start()
    yield peer
    peer.stop()


async def test_postfix(postfix, ask, codes):
    outcome = await ask("127.0.0.1", postfix.port, "smtp", Tls.STARTTLS, names=("mx.far.example",))
    assert outcome.seen.greeting.startswith("220 mx.far.example ESMTP")
    assert outcome.seen.starttls is True
    assert outcome.seen.tls.version == "TLSv1.3"
    assert outcome.seen.mechanisms == ()
    # its certificate is self-signed, has a common name only, and lives for thirty days
    assert {"certificate-untrusted", "certificate-name"} <= set(codes(outcome))
    among_servers = await ask(
        "127.0.0.1", postfix.port, "smtp", Tls.STARTTLS, names=("mx.far.example",), expect={"self_signed": True}
    )
    assert "certificate-own" in codes(among_servers)
    assert among_servers.state is not State.ERROR


async def test_postfix_asked_for_mechanisms_that_it_has_not(postfix, ask, codes):
    outcome = await ask(
        "127.0.0.1", postfix.port, "smtp", Tls.STARTTLS, expect={"mechanisms": ("PLAIN|LOGIN",), "self_signed": True}
    )
    assert "mechanism-missing" in codes(outcome)


async def test_postfix_without_starttls(ask, codes):
    need_postfix()
    peer = PostfixPeer(tls="none")
    peer.start()
    try:
        outcome = await ask("127.0.0.1", peer.port, "smtp", Tls.STARTTLS)
        assert codes(outcome) == ["starttls-missing"]
    finally:
        peer.stop()
