"""What the web host costs: a remembered Basic sign-in, a request over TLS, an idle TLS connection.

python -m benchmarks.web
"""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import re
import ssl
import tempfile
import time
from pathlib import Path

import trustme
import uvloop

from postern.config.settings import Server, Settings
from postern.directory.interface import Domain, NewAccount
from postern.directory.passwords import CHEAP, new_credentials
from postern.frontends.http.asgi import Answer
from postern.frontends.http.connection import Shared
from postern.frontends.http.frontend import HttpFrontend
from postern.frontends.http.gate import Gate
from postern.frontends.http.hold import Hold
from postern.frontends.http.settings import HttpSettings
from postern.frontends.http.site import Access, Mount, Site
from postern.net.clock import SystemClock, SystemEntropy
from postern.net.listener import bind, serve
from postern.net.stream import Stream
from postern.net.tls import server_context
from postern.protocols.http.session import Limits, Session
from postern.roles.parts import Parts
from postern.services.lifecycle import Sessions
from postern.services.permissions import Permissions

BASIC = b"Basic " + base64.b64encode(b"anna@example.org:correct horse")
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAuthorization: " + BASIC + b"\r\n\r\n"
SETTINGS = HttpSettings("https", "localhost", mechanisms=("Basic",), realm="bench", max_connections_per_address=0)
ROUNDS = 20_000
CLIENTS = 8
IDLE = 300


class Silent:
    def info(self, *_: object, **__: object) -> None: ...

    warning = error = debug = info


async def gate_of(parts: Parts) -> Gate:
    await parts.directory.put_domain(Domain("example.org"))
    password, scram = new_credentials("correct horse", SystemEntropy(), CHEAP)
    await parts.directory.create_accounts([NewAccount("anna@example.org", password_hash=password, scram=scram)])
    sessions = Sessions(parts.directory, Permissions(parts.directory), parts.clock)
    return Gate(SETTINGS, parts.authentication(sessions), parts.clock, Silent())


class Encrypted(Stream):
    """A stream that says it has TLS."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        from postern.net.tls import TlsFacts

        self.tls = TlsFacts("TLSv1.3", "none", b"")
        self.peer = ("127.0.0.1", 1)


async def sign_in_us(gate: Gate) -> float:
    session = Session(Limits())
    session.feed(REQUEST)
    head, stream, access = session.next_event(), Encrypted(), Access()
    hold = Hold(gate.authentication, stream)
    best = 1e9
    for _ in range(20):  # the best of many: neighbours on the same machine disturb
        began = time.process_time()
        for _ in range(ROUNDS // 10):
            await gate.admit(head, stream, hold, access, "")
            await asyncio.sleep(0)  # each request comes in a turn of its own
        best = min(best, (time.process_time() - began) / (ROUNDS // 10) * 1e6)
    return best


def memory_kib() -> int:
    gc.collect()
    return int(re.search(r"^Pss:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text(), re.M)[1])


async def load(port: int, report) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def client(count: int) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        for _ in range(count):
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\nhello")
        return writer

    kept = [await client(100)]
    cpu, began = (await report())[1], time.perf_counter()
    kept += await asyncio.gather(*(client(ROUNDS // CLIENTS) for _ in range(CLIENTS)))
    taken, spent = time.perf_counter() - began, (await report())[1] - cpu
    print(f"requests over TLS with Basic: {ROUNDS / taken:.0f}/s, {spent / ROUNDS * 1e6:.0f} us of CPU each")
    before = (await report())[0]
    for _ in range(IDLE // 30):
        kept += await asyncio.gather(*(client(1) for _ in range(30)))
    print(f"an idle TLS connection: {((await report())[0] - before) / IDLE:.1f} KiB")


async def host(place: Path, port: int) -> None:
    parts = Parts.open(Settings(server=Server(data=str(place))), "bench", 1, 0)
    gate = await gate_of(parts)
    print(f"a remembered Basic sign-in: {await sign_in_us(gate):.1f} us", flush=True)
    shared = Shared(SETTINGS, Site([Mount("", Answer(200, b"hello"))]), gate, SystemClock(), Silent())
    context = server_context(place / "certificate.pem", place / "key.pem")
    await serve(bind("127.0.0.1", port), HttpFrontend(shared).handle, context)

    async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(b"%d %f\n" % (memory_kib(), time.process_time()))
            await writer.drain()

    await asyncio.start_unix_server(control, str(place / "control"))
    await asyncio.sleep(3600)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        certificate = trustme.CA().issue_cert("localhost")
        certificate.private_key_pem.write_to_path(place / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(place / "certificate.pem")
        with bind("127.0.0.1", 0) as probe:
            port = probe.getsockname()[1]
        pid = os.fork()
        if not pid:
            uvloop.run(host(place, port))
        try:
            while not (place / "control").exists():
                time.sleep(0.1)

            async def run() -> None:
                reader, writer = await asyncio.open_unix_connection(str(place / "control"))

                async def report() -> tuple[int, float]:
                    writer.write(b"\n")
                    kib, cpu = (await reader.readline()).split()
                    return int(kib), float(cpu)

                await load(port, report)

            uvloop.run(run())
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
