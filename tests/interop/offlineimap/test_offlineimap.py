"""OfflineIMAP mirrors a mailbox into Maildir and carries a flag back."""

from __future__ import annotations

import imaplib
import ssl

import pytest

pytestmark = pytest.mark.interop


def test_mirror(demo, program, run, tmp_path):
    address, password = demo.user(8)
    (tmp_path / "rc").write_text(
        f"""[general]
accounts = a
metadata = {tmp_path}/meta
ui = quiet
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {demo.ports["imaps"]}
remoteuser = {address}
remotepass = {password}
ssl = yes
sslcacertfile = {demo.data}/tls/certificate.pem
ssl_version = tls1_2
starttls = no
"""
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = imaplib.IMAP4_SSL(demo.host, demo.ports["imaps"], ssl_context=context)
    client.login(address, password)
    # whoever used this mailbox before may have left nothing in it
    assert (
        client.append("INBOX", None, None, b"From: x@elsewhere.example\r\nSubject: mirrored\r\n\r\nHello\r\n")[0]
        == "OK"
    )
    run(program("offlineimap"), "-c", str(tmp_path / "rc"), "-o", timeout=100)
    count = int(client.select("INBOX")[1][0])
    files = [f for d in ("cur", "new") for f in (tmp_path / "mail" / "INBOX" / d).iterdir()]
    assert len(files) == count > 0
    target = files[0]
    base, _, flags = target.name.partition(":2,")
    target.rename(target.parent.parent / "cur" / f"{base}:2,{''.join(sorted(set(flags) | {'F'}))}")
    before = len(client.search(None, "FLAGGED")[1][0].split())
    run(program("offlineimap"), "-c", str(tmp_path / "rc"), "-o", timeout=100)
    client.noop()
    assert len(client.search(None, "FLAGGED")[1][0].split()) == before + (0 if "F" in flags else 1)
    client.logout()
