"""The whole product: quickstart, serve, a mail program that sends, Postfix that receives, a report that comes back."""

from __future__ import annotations

import asyncio
import email
import email.policy
import imaplib
import json
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import dkim as oracle
import pytest
from dns_double import NameServer
from postfix_peer import PostfixPeer, need_postfix
from tests.ports import free_ports

from postern.formats.dkim import dns_record

pytestmark = [pytest.mark.interop, pytest.mark.slow(4)]


class Product:
    """`postern serve` with the settings that quickstart wrote."""

    def __init__(self, root: Path, smtp_port: int, dns_port: int) -> None:
        self.root = root
        self.config = root / "postern.toml"
        self.facts = json.loads(
            self.postern("quickstart", "admin@here.example", "--data", str(root / "data"), "--json").stdout
        )
        known = json.loads(self.postern("ports", "listening", "--json").stdout)
        listening = [row["id"] for row in known]
        self.ports = dict(zip(listening, free_ports(len(listening)), strict=True))
        settings = self.config.read_text().replace("[server]\n", "[server]\nworkers = 1\nbackground = false\n")
        settings += (
            f'\n[network]\naddresses = ["127.0.0.1"]\nnameservers = ["127.0.0.1"]\nnameserver_port = {dns_port}\n'
            f'[[send_connector]]\nname = "internet"\nport = {smtp_port}\n'
        )
        settings += "".join(f"[listen.{name}]\nport = {port}\n" for name, port in self.ports.items())
        self.config.write_text(settings)
        self.log = root / "serve.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "postern", "serve", "--config", str(self.config)], stdout=log, stderr=log
            )

    def postern(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "postern", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )

    def wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.ports["submission"])) == 0:
                    return
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.03)
        raise AssertionError(self.log.read_text()[-3000:])

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def send(self, message: EmailMessage, *recipients: str, **options) -> None:
        context = ssl.create_default_context(cafile=self.facts["certificate"])
        context.check_hostname = False
        with smtplib.SMTP("127.0.0.1", self.ports["submission"], timeout=60) as client:
            client.starttls(context=context)
            client.login(self.facts["address"], self.facts["password"])
            client.send_message(message, self.facts["address"], recipients, **options)

    def inbox(self, count: int) -> list[bytes]:
        until = time.monotonic() + 60
        with imaplib.IMAP4("127.0.0.1", self.ports["imap"]) as client:
            client.starttls(ssl._create_unverified_context())
            client.login(self.facts["address"], self.facts["password"])
            while time.monotonic() < until:
                client.select()
                _, (found,) = client.search(None, "ALL")
                if len(found.split()) >= count:
                    return [client.fetch(n, "(BODY[])")[1][0][1] for n in found.split()]
                time.sleep(0.2)
        raise AssertionError("nothing came\n" + self.log.read_text()[-3000:])

    def events(self, *words: str) -> list[dict]:
        until = time.monotonic() + 60
        while True:
            found = json.loads(self.postern("trace", *words, "--json").stdout)
            if any(e["event"] in ("SEND", "FAIL") for e in found) or time.monotonic() > until:
                return found
            time.sleep(0.3)


async def test_a_message_leaves_and_a_report_comes_back(tmp_path: Path) -> None:
    need_postfix()
    records: dict[tuple[str, str], list[str]] = {
        ("far.example", "MX"): ["10 mx.far.example."],
        ("mx.far.example", "A"): ["127.0.0.1"],
    }
    peer = PostfixPeer()
    try:
        await asyncio.to_thread(peer.start)
        async with NameServer(records) as names:
            product = await asyncio.to_thread(Product, tmp_path, peer.port, names.port)
            try:
                await asyncio.to_thread(product.wait)
                await asyncio.to_thread(scenario, product, peer)
            finally:
                await asyncio.to_thread(product.stop)
    finally:
        await asyncio.to_thread(peer.stop)


def scenario(product: Product, peer: PostfixPeer) -> None:
    message = EmailMessage()
    message["From"] = product.facts["address"]
    message["To"] = "anna@far.example, nobody@far.example"
    message["Subject"] = "Привет"
    message["Message-ID"] = "<first@here.example>"
    message.set_content("Добрый день\n")
    product.send(message, "anna@far.example", "nobody@far.example")

    (delivered,) = peer.received("anna", 1)
    parsed = email.message_from_bytes(delivered, policy=email.policy.default)
    assert parsed.get_content() == "Добрый день\n"
    assert all("using TLSv1" in received or "with ESMTPSA" in received for received in parsed.get_all("Received"))
    key = public_key(product.root / "data")
    assert oracle.verify(delivered.replace(b"\n", b"\r\n"), dnsfunc=lambda name, timeout=5: key)

    (report,) = product.inbox(1)
    bounce = email.message_from_bytes(report, policy=email.policy.default)
    assert bounce.get_content_type() == "multipart/report"
    assert bounce["Return-Path"] == "<>"
    text, status, original = bounce.iter_parts()
    assert "nobody@far.example" in text.get_content()
    (about,) = status.get_payload()[1:]
    assert (about["Action"], about["Status"]) == ("failed", "5.1.1")
    assert original.get_content()["Message-ID"] == "<first@here.example>"

    events = [(e["event"], e["recipients"]) for e in product.events("--message-id", "first@here.example")]
    assert ("SEND", ["anna@far.example"]) in events
    assert ("FAIL", ["nobody@far.example"]) in events
    assert "DSN" in [event for event, _ in events]
    assert json.loads(product.postern("queue", "list", "--json").stdout) == []


def public_key(data: Path) -> bytes:
    (pem,) = (data / "dkim").glob("*.pem")
    return dns_record(pem.read_bytes()).encode()
