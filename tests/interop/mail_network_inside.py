"""What runs inside the namespaces of `mail_network`: name server, web server, product. Ends with its input."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.interop.outbound.dns_double import NameServer


class Foreign(BaseHTTPRequestHandler):
    """A web site that answers everything with a page, as many do."""

    def do_GET(self) -> None:
        page = b"<!DOCTYPE html><html><body>Welcome to our company</body></html>"
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    do_POST = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


def network(plan: dict) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in plan["addresses"]:
        subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
    for source, target in plan["mounts"]:
        subprocess.run(["mount", "--bind", source, os.path.realpath(target)], check=True)


def names(plan: dict) -> None:
    records: dict[tuple[str, str], list[str]] = {}
    for name, kind, value in plan["zone"]:
        records.setdefault((name, kind), []).append(value)
    ready = threading.Event()

    async def serve() -> None:
        server = NameServer(records)
        server._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: server, local_addr=(plan["dns"], 53)
        )
        ready.set()
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    assert ready.wait(60)


def foreign(plan: dict) -> None:
    address, certificate = plan["foreign"]
    server = ThreadingHTTPServer((address, 443), Foreign)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    clear = ThreadingHTTPServer((address, 80), Foreign)
    threading.Thread(target=clear.serve_forever, daemon=True).start()


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    network(plan)
    names(plan)
    foreign(plan)
    with Path(plan["log"]).open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.serve", plan["settings"]], stdout=subprocess.PIPE, stderr=log
        )
    try:
        assert server.stdout is not None
        print("ready" if server.stdout.readline() else "the server ended", flush=True)
        sys.stdin.read()
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


if __name__ == "__main__":
    socket.setdefaulttimeout(10)
    main()
