"""A PDF that came by SMTP is found by its words over EWS, while other clients work; bad ones cost nobody anything."""

from __future__ import annotations

import base64
import http.client
import imaplib
import smtplib
import ssl
import threading
import time
from email.message import EmailMessage

import pytest
from tests import documents as made
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.config.settings import Search

pytestmark = pytest.mark.integration

WAIT_S = 60
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"), search=Search(index="all"))
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def send(server: Running, subject: str, name: str, content: bytes, kind: str = "pdf") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "stranger@example.net", "anna@example.org", subject
    message.set_content("See what is attached.")
    message.add_attachment(content, maintype="application", subtype=kind, filename=name)
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as smtp:
        smtp.send_message(message)


def find(server: Running, query: str) -> list[str]:
    """Subjects that FindItem answers for a query string."""
    body = (
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="{MESSAGES}" xmlns:t="{TYPES}">'
        '<s:Header><t:RequestServerVersion Version="Exchange2016"/></s:Header><s:Body><m:FindItem Traversal="Shallow">'
        "<m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>"
        '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds>'
        f"<m:QueryString>{query}</m:QueryString></m:FindItem></s:Body></s:Envelope>"
    )
    token = base64.b64encode(f"anna@example.org:{PASSWORD}".encode()).decode()
    connection = http.client.HTTPSConnection("127.0.0.1", server.ports["https"], timeout=30, context=insecure())
    try:
        headers = {"Authorization": f"Basic {token}", "Content-Type": "text/xml; charset=utf-8"}
        connection.request("POST", "/EWS/Exchange.asmx", body.encode(), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
    finally:
        connection.close()
    assert "NoError" in text, text
    return [piece.partition("<")[0] for piece in text.split("<t:Subject>")[1:]]


def until(server: Running, query: str, subjects: list[str]) -> None:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = find(server, query)
        if found == subjects:
            return
        time.sleep(0.2)
    raise AssertionError(f"{query}: {found}; {server.log.read_text()[-2000:]}")


def test_words_in_attachments_are_found_while_clients_work(server):
    stop = threading.Event()
    troubles: list[BaseException] = []

    def work() -> None:
        try:
            with imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=60) as client:
                client.starttls(insecure())
                client.login("boris@example.org", PASSWORD)
                while not stop.is_set():
                    assert client.append("INBOX", None, None, b"Subject: work\r\n\r\nbody\r\n")[0] == "OK"
                    client.select("INBOX")
                    assert client.search(None, "BODY", "body")[0] == "OK"
        except BaseException as error:
            troubles.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        send(server, "bomb", "bomb.docx", made.zip_bomb(200), "octet-stream")
        send(server, "circles", "circles.pdf", made.pdf_with_looping_pages())
        send(server, "figures", "figures.pdf", made.pdf("Confidential turnover of the quarter"))
        send(server, "letter", "letter.docx", made.docx("Ein Schreiben über Grüße"), "octet-stream")
        until(server, "attachment:turnover", ["figures"])
        until(server, "grüße", ["letter"])
        until(server, "attachment:bomb.docx", ["bomb"])
        assert find(server, "attachment:attached") == []
        assert find(server, "body:turnover") == []
    finally:
        stop.set()
        worker.join()
    assert troubles == []
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=60) as client:
        client.starttls(insecure())
        client.login("anna@example.org", PASSWORD)
        client.select("INBOX")
        assert client.search(None, "TEXT", "turnover")[1] == [b""]  # RFC 9051 6.4.4: text parts only
    unreadable = sum(line.get("unreadable", 0) for line in server.lines() if line["event"] == "index.attachments")
    assert unreadable == 2
