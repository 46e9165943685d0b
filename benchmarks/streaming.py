"""What streaming subscriptions cost the server's memory: each on a stream of its own, over TLS with a started server.

    python -m benchmarks.streaming [--streams 2000] [--people 200]

Memory is the proportional set size of all the server's processes: after its start, after each person had a stream that
is closed again (what a process pays once for having served anybody), and with the streams, when they have been open for
longer than a file that nobody uses stays open. At the end a message is put into each mailbox, and every stream has to
tell of it. The client needs a file descriptor a stream.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import imaplib
import re
import resource
import ssl
import tempfile
import time
from pathlib import Path

from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.config.settings import Http, Settings
from postern.directory.interface import NewAccount
from postern.directory.passwords import CHEAP, new_credentials
from postern.net.clock import SystemEntropy
from postern.roles.parts import Parts
from postern.store.sqlite.host import UNUSED_S

AT_ONCE = 40
SETTLED_S = 2 * UNUSED_S + 10
SUBSCRIBE = (
    '<m:Subscribe><m:StreamingSubscriptionRequest><t:FolderIds><t:DistinguishedFolderId Id="inbox"/></t:FolderIds>'
    "<t:EventTypes><t:EventType>NewMailEvent</t:EventType><t:EventType>CreatedEvent</t:EventType></t:EventTypes>"
    "</m:StreamingSubscriptionRequest></m:Subscribe>"
)
LISTEN = (
    "<m:GetStreamingEvents><m:SubscriptionIds><t:SubscriptionId>%s</t:SubscriptionId></m:SubscriptionIds>"
    "<m:ConnectionTimeout>30</m:ConnectionTimeout></m:GetStreamingEvents>"
)
MESSAGE = b"From: b@example.net\r\nTo: a@example.org\r\nSubject: Something new\r\n\r\nHello\r\n"


def pss_mb(pid: int) -> float:
    """Of a process and all below it."""
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found is not None
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(found[1]) * 1024 / 1e6 + sum(pss_mb(int(child)) for child in below)


def insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def move_in(settings: Settings, people: list[str]) -> None:
    """Accounts and mailboxes."""
    parts = Parts.open(settings, "benchmark", None, 0)
    password, scram = new_credentials(PASSWORD, SystemEntropy(), CHEAP)
    new = [NewAccount(address, password_hash=password, scram=scram) for address in people]
    for account in await parts.directory.create_accounts(new):
        await parts.store.create_mailbox(account.mailbox, account.slot, account.quota)
    await parts.close()


class Stream:
    """A subscription and the connection that listens to it."""

    async def open(self, port: int, address: str, context: ssl.SSLContext) -> None:
        self.reader, self._writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        self._signed = base64.b64encode(f"{address}:{PASSWORD}".encode()).decode()
        self._ask(SUBSCRIBE)
        found = re.search(rb"<m:SubscriptionId>([^<]+)<", await self.reader.readuntil(b"</s:Envelope>"))
        assert found is not None
        self._ask(LISTEN % found[1].decode())
        await self.reader.readuntil(b"<m:ConnectionStatus>OK<")

    async def told(self) -> None:
        """Until a message has come."""
        await self.reader.readuntil(b"CreatedEvent>")

    def _ask(self, body: str) -> None:
        envelope = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" '
            'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header>'
            f'<t:RequestServerVersion Version="Exchange2013_SP1"/></s:Header><s:Body>{body}</s:Body></s:Envelope>'
        ).encode()
        head = (
            "POST /EWS/Exchange.asmx HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml; charset=utf-8\r\n"
            f"Authorization: Basic {self._signed}\r\nContent-Length: {len(envelope)}\r\n\r\n"
        )
        self._writer.write(head.encode() + envelope)

    def close(self) -> None:
        self._writer.transport.abort()


async def open_all(port: int, people: list[str], count: int) -> list[Stream]:
    """So many streams, the people taking turns."""
    context, gate = insecure(), asyncio.Semaphore(AT_ONCE)
    streams = [Stream() for _ in range(count)]

    async def open_one(number: int) -> None:
        async with gate:
            await streams[number].open(port, people[number % len(people)], context)

    await asyncio.gather(*map(open_one, range(count)))
    return streams


async def measure(server: Running, ports: dict[str, int], people: list[str], count: int) -> None:
    await asyncio.sleep(3)
    started = pss_mb(server.process.pid)
    for stream in await open_all(ports["https"], people, len(people)):
        stream.close()
    await asyncio.sleep(SETTLED_S)
    before = pss_mb(server.process.pid)
    began = time.monotonic()
    streams = await open_all(ports["https"], people, count)
    print(f"{count} streams of {len(people)} people are open after {time.monotonic() - began:.1f} s", flush=True)
    await asyncio.sleep(SETTLED_S)
    after = pss_mb(server.process.pid)
    grown = after - before
    print(
        f"{started:.0f} MB after the start, {before:.0f} MB after a stream of each person, {after:.0f} MB with all: "
        f"{grown:.1f} MB for them, {grown * 1000 / count:.1f} KB each",
        flush=True,
    )
    waiting = [asyncio.create_task(stream.told()) for stream in streams]
    began = time.monotonic()
    await asyncio.to_thread(put_into_all, ports["imaps"], people)
    await asyncio.wait_for(asyncio.gather(*waiting), 60)
    print(f"all were told of a message, the last {time.monotonic() - began:.1f} s after the first was put")
    for stream in streams:
        stream.close()


def put_into_all(port: int, people: list[str]) -> None:
    for address in people:
        with imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=insecure()) as client:
            client.login(address, PASSWORD)
            assert client.append("INBOX", None, None, MESSAGE)[0] == "OK"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--people", type=int, default=200)
    given = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    people = [f"p{number}@example.org" for number in range(given.people)]
    with tempfile.TemporaryDirectory() as folder:
        settings = make_settings(Path(folder) / "data", http=Http(user_per_minute=0, max_connections_per_address=0))
        make_organisation(settings)
        asyncio.run(move_in(settings, people))
        server = Running(settings)
        try:
            asyncio.run(measure(server, server.wait_ready(), people, given.streams))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
