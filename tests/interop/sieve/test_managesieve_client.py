"""sievelib's ManageSieve client edits scripts of the demo, and the next message obeys them."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
import time

import pytest
from sievelib.managesieve import Client

pytestmark = pytest.mark.interop


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_sievelib(demo, monkeypatch):
    # the demo's certificate is its own
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: ssl._create_unverified_context())
    address, password = demo.user(6)
    client = Client(demo.host, demo.ports["managesieve"])
    assert client.connect(address, password, starttls=True, authmech="PLAIN")
    assert client.has_tls_support() is not None
    assert "fileinto" in client.get_sieve_capabilities()
    assert client.havespace("main", 500)
    script = (
        'require ["fileinto", "mailbox"];\nif header :contains "subject" "sorted" {\n  fileinto :create "Sorted";\n}\n'
    )
    assert client.putscript("main", script)
    assert not client.putscript("wrong", "frob;\n")
    assert client.setactive("main")
    assert client.listscripts() == ("main", [])
    assert client.getscript("main").replace("\r\n", "\n").strip() == script.strip()
    assert client.renamescript("main", "other")
    client.logout()

    with smtplib.SMTP(demo.host, demo.ports["smtp"]) as smtp:
        smtp.sendmail("x@elsewhere.example", [address], "Subject: sorted\r\n\r\nbody\r\n")
    with imaplib.IMAP4_SSL(demo.host, demo.ports["imaps"], ssl_context=ssl._create_unverified_context()) as imap:
        imap.login(address, password)
        for _ in range(100):
            status, _found = imap.select("Sorted")
            if status == "OK" and imap.search(None, "SUBJECT", "sorted")[1] != [b""]:
                return
            time.sleep(0.1)
    pytest.fail("the message is not in the folder that the script made")
