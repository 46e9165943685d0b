"""What a new Thunderbird costs the server: its first synchronisation of a folder, over TLS with a started server.

    python -m benchmarks.first_synchronisation [--messages 10000] [--json]

The requests are those of Thunderbird's native Exchange accounts, one after the other on one connection: SyncFolderItems
with ids alone, 100 a page; GetItem with 17 properties for 10 messages at a time; GetItem with MimeContent for each
message, as it keeps messages offline. CPU is that of all the server's processes.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.config.settings import Http

USER = "anna@example.org"
SYNC_PAGE, PROPERTIES_OF = 100, 10
FIELDS = (
    "message:IsRead", "message:InternetMessageId", "item:InternetMessageHeaders", "item:DateTimeSent", "message:From",
    "message:ReplyTo", "message:Sender", "item:Subject", "message:ToRecipients", "message:CcRecipients",
    "message:BccRecipients", "item:HasAttachments", "item:Importance", "message:References", "item:Size",
    "item:Preview", "item:Flag",
)  # fmt: skip
MESSAGE = (
    b"Return-Path: <sender%d@example.net>\r\nReceived: from a.example.net by mail.example.org; Mon, 23 Nov 2026"
    b" 11:12:35 +0100\r\nFrom: Sender %d <sender%d@example.net>\r\nTo: Anna <anna@example.org>, b@example.net\r\n"
    b"Subject: Number %d\r\nDate: Mon, 23 Nov 2026 11:12:34 +0100\r\nMessage-ID: <%d@example.net>\r\n"
    b"References: <%d@example.net>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%b"
)
BODY = b"A line of text as people write them, not very long.\r\n" * 60
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Phase:
    """One kind of request."""

    name: str
    requests: int
    seconds: float
    server_cpu_s: float


def cpu_s(pid: int) -> float:
    """Of a process and all below it, ended ones that were waited for too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / TICKS
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_s(int(child)) for child in below)


def insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def fill(port: int, count: int) -> None:
    """By IMAP APPEND, 200 at a time."""
    with socket.create_connection(("127.0.0.1", port)) as plain, insecure().wrap_socket(plain) as wire:
        lines = wire.makefile("rb")
        lines.readline()
        wire.sendall(f'a LOGIN {USER} "{PASSWORD}"\r\n'.encode())
        while not lines.readline().startswith(b"a OK"):
            pass
        for first in range(0, count, 200):
            batch = range(first, min(first + 200, count))
            made = [MESSAGE % (n % 50, n % 50, n % 50, n, n, n - n % 7, BODY) for n in batch]
            wire.sendall(b"".join(b"b APPEND INBOX {%d+}\r\n%b\r\n" % (len(one), one) for one in made))
            done = 0
            while done < len(made):
                line = lines.readline()
                assert line.startswith((b"b OK", b"*")), line
                done += line.startswith(b"b OK")


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._wire = http.client.HTTPSConnection("127.0.0.1", port, context=insecure(), timeout=60)
        signed = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self._fields = {"Authorization": f"Basic {signed}", "Content-Type": "text/xml; charset=utf-8"}

    def ask(self, body: str) -> bytes:
        """The answer; it has to be a success."""
        envelope = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" '
            'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header>'
            f'<t:RequestServerVersion Version="Exchange2013_SP1"/></s:Header><s:Body>{body}</s:Body></s:Envelope>'
        )
        self._wire.request("POST", "/EWS/Exchange.asmx", envelope.encode(), self._fields)
        answer = self._wire.getresponse()
        raw = answer.read()
        assert answer.status == 200 and b'ResponseClass="Error"' not in raw and b"Fault>" not in raw, raw[:2000]
        return raw

    def pages(self, sizes: list[list[str]]) -> Iterator[bytes]:
        """SyncFolderItems from the beginning to the end; the ids of each page go into `sizes`."""
        state = ""
        while True:
            raw = self.ask(
                "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>"
                f'<t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>{state}'
                f"<m:MaxChangesReturned>{SYNC_PAGE}</m:MaxChangesReturned></m:SyncFolderItems>"
            )
            sizes.append([one.decode() for one in re.findall(rb'<t:ItemId Id="([^"]+)"', raw)])
            yield raw
            if b"<m:IncludesLastItemInRange>true" in raw:
                return
            state = re.findall(r"<m:SyncState>[^<]+</m:SyncState>", raw.decode())[0]

    def get(self, ids: list[str], shape: str) -> bytes:
        wanted = "".join(f'<t:ItemId Id="{one}"/>' for one in ids)
        return self.ask(
            f"<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{shape}</m:ItemShape><m:ItemIds>{wanted}"
            "</m:ItemIds></m:GetItem>"
        )


def measure(count: int, data: Path) -> list[Phase]:
    """All phases of one first synchronisation."""
    settings = make_settings(data, http=Http(user_per_minute=0))
    make_organisation(settings)
    server = Running(settings)
    try:
        ports = server.wait_ready()
        fill(ports["imaps"], count)
        client = Client(ports["https"])
        phases: list[Phase] = []

        def phase(name: str, requests: Iterator[bytes]) -> None:
            before, began = cpu_s(server.process.pid), time.monotonic()
            asked = sum(1 for _ in requests)
            phases.append(Phase(name, asked, time.monotonic() - began, cpu_s(server.process.pid) - before))

        pages: list[list[str]] = []
        phase("SyncFolderItems, 100 ids", client.pages(pages))
        ids = [one for page in pages for one in page]
        assert len(ids) == count, len(ids)
        fields = "".join(f'<t:FieldURI FieldURI="{name}"/>' for name in FIELDS)
        wanted = f"<t:AdditionalProperties>{fields}</t:AdditionalProperties>"
        tens = (ids[at : at + PROPERTIES_OF] for at in range(0, count, PROPERTIES_OF))
        phase("GetItem, 17 properties of 10", (client.get(ten, wanted) for ten in tens))
        mime = "<t:IncludeMimeContent>true</t:IncludeMimeContent>"
        phase("GetItem, MimeContent of 1", (client.get([one], mime) for one in ids))
        return phases
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        phases = measure(given.messages, Path(folder) / "data")
    if given.json:
        print(json.dumps([asdict(one) for one in phases]))
        return
    for one in phases:
        print(f"{one.name:32} {one.requests:7,} requests {one.seconds:8.1f} s   {one.server_cpu_s:6.2f} s server CPU")
    print(f"{'all':32} {'':16} {sum(p.seconds for p in phases):8.1f} s   {sum(p.server_cpu_s for p in phases):6.2f} s")


if __name__ == "__main__":
    main()
