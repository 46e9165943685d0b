"""EXTERNAL: mail programs sign in with a certificate, and only with one that is good for it."""

from __future__ import annotations

import base64
import imaplib
import poplib
import smtplib
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.integration.organisation import Running, make_organisation, make_settings

from postern.config.settings import Authentication

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


class Authority:
    """Makes client certificates."""

    def __init__(self, place) -> None:
        self.place = place
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clients")])
        self.pem = place / "clients.pem"
        certificate = self._made(self.name, self.key.public_key(), [(x509.BasicConstraints(True, None), True)])
        self.pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _made(self, subject, key, extensions, days=2):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3))
            .not_valid_after(now + timedelta(days=days))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def client(self, address, usage=ExtendedKeyUsageOID.CLIENT_AUTH, days=2):
        """A context that shows a certificate for an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [
            (x509.SubjectAlternativeName([x509.RFC822Name(address)]), False),
            (x509.ExtendedKeyUsage([usage]), False),
        ]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "boris@example.org")])
        certificate = self._made(subject, key.public_key(), names, days)
        path = self.place / f"{address}-{usage.dotted_string}-{days}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return bare(path)


def bare(path=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if path is not None:
        context.load_cert_chain(path)
    return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority, tmp_path_factory):
    settings = make_settings(
        tmp_path_factory.mktemp("server") / "data",
        workers=1,
        authentication=Authentication(client_ca=str(authority.pem), failure_delay_s=0.0),
    )
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    running.stop()


def imap_external(server, context, authzid=b""):
    with imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=context, timeout=60) as client:
        offered = "AUTH=EXTERNAL" in client.capabilities
        try:
            client.authenticate("EXTERNAL", lambda _: authzid)
        except imaplib.IMAP4.error:
            return offered, False
        return offered, client.select("INBOX")[0] == "OK"


def test_imap(server, authority):
    assert imap_external(server, authority.client("anna@example.org")) == (True, True)
    assert imap_external(server, authority.client("anna@example.org"), b"anna@example.org") == (True, True)
    assert imap_external(server, authority.client("anna@example.org"), b"boris@example.org") == (True, False)
    assert imap_external(server, authority.client("stranger@example.net")) == (True, False)


def test_without_a_certificate_everything_else_goes_on(server):
    assert imap_external(server, bare()) == (False, False)
    with imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=bare(), timeout=60) as client:
        assert client.login("anna@example.org", "correct horse")[0] == "OK"


def test_smtp_by_starttls_and_pop3(server, authority):
    context = authority.client("anna@example.org")
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=60) as client:
        client.starttls(context=context)
        client.ehlo()
        assert "EXTERNAL" in client.esmtp_features["auth"].split()
        assert client.docmd("AUTH", "EXTERNAL =")[0] == 235
        client.sendmail("anna@example.org", ["boris@example.org"], "From: anna@example.org\r\n\r\nhello\r\n")
    client = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=context, timeout=60)
    answer = client._shortcmd("AUTH EXTERNAL " + base64.b64encode(b"anna@example.org").decode())
    assert answer.startswith(b"+OK")
    client.quit()


def refused(server, context):
    try:
        return not imap_external(server, context)[1]
    except (OSError, imaplib.IMAP4.error):
        return True


def test_certificates_that_are_no_good_for_it(server, authority, tmp_path):
    assert refused(server, authority.client("anna@example.org", ExtendedKeyUsageOID.SERVER_AUTH)), "wrong purpose"
    assert refused(server, authority.client("anna@example.org", days=-1)), "expired"
    assert refused(server, Authority(tmp_path).client("anna@example.org")), "of another authority"
    assert refused(server, leaf_of(trustme.CA(), tmp_path)), "of an authority of servers"


def leaf_of(other, place):
    leaf = other.issue_cert("anna@example.org")
    leaf.private_key_and_cert_chain_pem.write_to_path(place / "leaf.pem")
    return bare(place / "leaf.pem")
