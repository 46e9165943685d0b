"""curl speaks SMTP, IMAP and POP3."""

from __future__ import annotations

import uuid

import pytest

pytestmark = pytest.mark.interop


def test_send_and_read(demo, program, run, tmp_path):
    token = uuid.uuid4().hex
    sender, password = demo.user(5)
    mail = tmp_path / "mail.txt"
    mail.write_bytes(f"From: <{sender}>\r\nTo: <{sender}>\r\nSubject: {token}\r\n\r\nfrom curl\r\n".encode())
    curl = [program("curl"), "-sS", "-k", "--user", f"{sender}:{password}"]
    smtp = f"smtp://{demo.host}:{demo.ports['submission']}"
    run(*curl, "--ssl-reqd", smtp, "--mail-from", sender, "--mail-rcpt", sender, "-T", str(mail))
    imap = f"imaps://{demo.host}:{demo.ports['imaps']}"
    found = ""
    for _ in range(100):
        found = run(*curl, f"{imap}/INBOX?SUBJECT%20{token}").stdout.replace("* SEARCH", "").strip()
        if found:
            break
    assert found
    assert token in run(*curl, f"{imap}/INBOX/;MAILINDEX={found.split()[0]}").stdout
    run(*curl, f"{imap}/INBOX", "-T", str(mail))
    pop = f"pop3s://{demo.host}:{demo.ports['pop3s']}"
    last = run(*curl, f"{pop}/").stdout.strip().splitlines()[-1].split()[0]
    assert "from curl" in run(*curl, f"{pop}/{last}").stdout
    starttls = f"imap://{demo.host}:{demo.ports['imap']}/"
    assert "INBOX" in run(*curl, "--ssl-reqd", starttls).stdout
