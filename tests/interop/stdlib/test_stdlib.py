"""Python's own smtplib, imaplib and poplib against the demo."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl
import time
import uuid

import pytest
from tests.stopwatch import stopwatch

pytestmark = pytest.mark.interop


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def imap(demo, number: int) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(demo.host, demo.ports["imaps"], ssl_context=insecure())
    client.login(*demo.user(number))
    return client


def wait_for(client: imaplib.IMAP4, token: str) -> bytes:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        client.noop()
        _, found = client.uid("SEARCH", "SUBJECT", token)
        if found[0]:
            return found[0].split()[0]
        time.sleep(0.05)
    raise AssertionError(f"{token} did not arrive")


@pytest.mark.parametrize("way", ["submission", "submissions", "smtp"])
def test_send_and_read(demo, way):
    token = f"interop-{uuid.uuid4().hex}"
    sender, password = demo.user(0)
    recipient, _ = demo.user(1)
    message = f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {token}\r\n\r\nBody\r\n.dot\r\n"
    if way == "submissions":
        smtp = smtplib.SMTP_SSL(demo.host, demo.ports[way], context=insecure())
        smtp.login(sender, password)
    else:
        smtp = smtplib.SMTP(demo.host, demo.ports[way])
        smtp.ehlo("client.example")
        if way == "submission":
            smtp.starttls(context=insecure())
            smtp.login(sender, password)
    envelope = sender if way != "smtp" else "stranger@elsewhere.example"
    assert smtp.sendmail(envelope, [recipient], message) == {}
    smtp.quit()
    client = imap(demo, 1)
    client.select("INBOX")
    uid = wait_for(client, token)
    _, data = client.uid("FETCH", uid, "(BODY.PEEK[TEXT] FLAGS)")
    assert data[0][1] == b"Body\r\n.dot\r\n"
    client.logout()


def test_port_25_is_no_open_relay(demo):
    smtp = smtplib.SMTP(demo.host, demo.ports["smtp"])
    smtp.ehlo("client.example")
    smtp.mail("a@elsewhere.example")
    code, _ = smtp.rcpt("b@another.example")
    assert code in (550, 551, 554)
    code, _ = smtp.rcpt(f"nobody-here@{demo.user(0)[0].split('@')[1]}")
    assert code == 550
    smtp.quit()


def test_wrong_password_and_unknown_user_look_alike(demo):
    answers = []
    domain = demo.user(0)[0].split("@")[1]
    for user in (demo.user(9)[0], f"nobody@{domain}"):
        client = imaplib.IMAP4_SSL(demo.host, demo.ports["imaps"], ssl_context=insecure())
        with pytest.raises(imaplib.IMAP4.error) as refused:
            client.login(user, "wrong")
        answers.append(str(refused.value))
        client.shutdown()
    assert answers[0] == answers[1]


def test_no_password_without_tls(demo):
    client = imaplib.IMAP4(demo.host, demo.ports["imap"])
    assert "LOGINDISABLED" in client.capabilities
    with pytest.raises(imaplib.IMAP4.error):
        client.login(*demo.user(0))
    client.starttls(insecure())
    client.login(*demo.user(0))
    client.logout()


def test_pop3_reads_and_deletes(demo):
    client = imap(demo, 2)
    client.append("INBOX", None, None, b"Subject: for pop\r\n\r\nhello\r\n")
    client.select("INBOX")
    before = len(client.search(None, "ALL")[1][0].split())
    pop = poplib.POP3_SSL(demo.host, demo.ports["pop3s"], context=insecure())
    pop.user(demo.user(2)[0])
    pop.pass_(demo.user(2)[1])
    count, _ = pop.stat()
    assert count == before
    assert b"hello" in pop.retr(count)[1]
    pop.dele(count)
    pop.quit()
    client.noop()
    assert len(client.search(None, "ALL")[1][0].split()) == before - 1
    client.logout()


def test_append_store_copy_move_expunge(demo):
    client = imap(demo, 3)
    assert client.create("Work/Plans")[0] == "OK"
    status, data = client.append(
        "Work/Plans", "(\\Flagged)", '"01-Jan-2024 10:00:00 +0000"', b"Subject: a\r\n\r\nx\r\n"
    )
    assert status == "OK" and b"APPENDUID" in data[0]
    client.select("Work/Plans")
    assert client.store("1", "+FLAGS", "(\\Seen $Important)")[0] == "OK"
    assert b"$Important" in client.fetch("1", "(FLAGS INTERNALDATE)")[1][0]
    assert client.copy("1", "INBOX")[0] == "OK"
    assert client.uid("MOVE", "1:*", '"Deleted Items"')[0] == "OK"
    assert client.search(None, "ALL")[1][0] == b""
    client.close()
    assert client.delete("Work/Plans")[0] == "OK"
    client.logout()


def test_idle_is_told_within_a_second(demo):
    watcher = imap(demo, 4)
    watcher.select("INBOX")
    watcher.send(b"a1 IDLE\r\n")
    assert watcher.readline().startswith(b"+")
    writer = imap(demo, 4)
    watcher.sock.settimeout(60)
    with stopwatch() as took:
        writer.append("INBOX", None, None, b"Subject: wake\r\n\r\nx\r\n")
        line = watcher.readline()
    assert b"EXISTS" in line
    assert took.seconds < 1
    watcher.send(b"DONE\r\n")
    while not watcher.readline().startswith(b"a1 OK"):
        pass
    writer.logout()
    watcher.logout()
