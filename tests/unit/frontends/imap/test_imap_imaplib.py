"""Python's own client over a real socket, with STARTTLS."""

from __future__ import annotations

import asyncio
import imaplib
import ssl

import trustme
from fake_mailbox import FakeMailbox
from imap_world import MESSAGE, FakeAuthentication, FakeMailboxes, FixedEntropy

from postern.frontends.imap.frontend import ImapFrontend
from postern.frontends.imap.settings import ImapSettings
from postern.net.listener import bind, serve
from postern.net.tls import server_context


def converse(port: int, trusted: ssl.SSLContext) -> None:
    client = imaplib.IMAP4("127.0.0.1", port, timeout=10)
    client.starttls(trusted)
    assert "AUTH=PLAIN" in client.capabilities
    client.authenticate("PLAIN", lambda _: b"\0ann@example.org\0secret")
    assert client.append("INBOX", r"(\Seen)", None, MESSAGE)[0] == "OK"
    assert client.create('"Project X"')[0] == "OK"
    kind, data = client.select("INBOX")
    assert (kind, data) == ("OK", [b"1"])
    kind, data = client.fetch("1", "(UID FLAGS RFC822)")
    assert data[0][1] == MESSAGE
    kind, data = client.uid("SEARCH", None, "ALL")
    uid = data[0]
    assert client.uid("COPY", uid, '"Project X"')[0] == "OK"
    assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert client.expunge() == ("OK", [b"1"])
    assert client.select('"Project X"', readonly=True) == ("OK", [b"1"])
    assert client.list()[0] == "OK"
    assert client.namespace()[0] == "OK"
    assert client.status("INBOX", "(MESSAGES UIDNEXT)")[1][0].startswith(b'"INBOX" (MESSAGES 0 ')
    assert client.noop()[0] == "OK"
    assert client.logout()[0] == "BYE"


async def test_imaplib(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = server_context(tmp_path / "cert.pem", tmp_path / "key.pem")
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusted)
    frontend = ImapFrontend(
        ImapSettings(), FakeMailboxes(FakeMailbox()), FakeAuthentication(), FixedEntropy(), lambda: context
    )
    sock = bind("127.0.0.1", 0)
    listener = await serve(sock, frontend.handle)
    try:
        await asyncio.to_thread(converse, sock.getsockname()[1], trusted)
    finally:
        await listener.stop(0.1)
