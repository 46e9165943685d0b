"""The catalogue beside the sockets a running organisation has open, both ways, and what each says when spoken to."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.integration.organisation import PATHS, Running, make_organisation, make_settings

from postern.catalogue.load import load
from postern.catalogue.schema import Level, Listener
from postern.checks.model import Seen, Service, Tls
from postern.checks.probes import directory
from postern.checks.wire import Tools
from postern.config.listeners import listeners
from postern.net.clock import SystemClock, SystemEntropy

pytestmark = pytest.mark.integration

LISTEN = "0A"
"""State of a listening TCP socket in /proc/net/tcp; an unconnected UDP socket has 07."""
LOOPBACK = {"0100007F": "127.0.0.1", "00000000000000000000000001000000": "::1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"))
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


def inodes(group: int) -> set[str]:
    """Sockets held by the processes of a group."""
    held = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(process.name)) != group:
                continue
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
                    if found:
                        held.add(found[1])
    return held


def sockets(group: int, table: str, state: str) -> Iterator[tuple[str, int]]:
    """(address, port) of the group's sockets in a state."""
    held = inodes(group)
    for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == state and fields[9] in held:
            address, port = fields[1].split(":")
            yield LOOPBACK.get(address, address), int(port, 16)


def opened(group: int) -> set[tuple[str, int]]:
    return {found for table in ("tcp", "tcp6") for found in sockets(group, table, LISTEN)}


def test_every_open_socket_is_catalogued_and_every_catalogued_one_is_open(server):
    catalogued = {(address, one.port) for one in listeners(server.settings) for address in one.addresses}
    assert opened(server.process.pid) == catalogued
    assert {one.path.id for one in listeners(server.settings)} == set(PATHS) == {one.id for one in load().listeners}


def test_no_udp_port_is_open(server):
    assert not [found for table in ("udp", "udp6") for found in sockets(server.process.pid, table, "07")]


def test_what_is_switched_off_is_closed(tmp_path):
    settings = make_settings(tmp_path)
    settings = replace(settings, listen=settings.listen | {"pop3": replace(settings.listen["pop3"], enabled=False)})
    make_organisation(settings)
    running = Running(settings)
    try:
        running.wait_ready()
        ports = {port for _, port in opened(running.process.pid)}
        assert settings.listen["pop3"].port not in ports
        assert settings.listen["pop3s"].port in ports
    finally:
        running.kill()


class Talk:
    """Lines over a socket, TLS from the first byte or after the protocol's upgrade."""

    def __init__(self, port: int) -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.sock.makefile("rb")

    def encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.file.close()
        self.sock = context.wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")

    def ask(self, line: str, last: str) -> list[str]:
        """Send a line and read until one matches `last`."""
        if line:
            self.sock.sendall(line.encode() + b"\r\n")
        got: list[str] = []
        while not got or not re.match(last, got[-1]):
            text = self.file.readline().decode()
            assert text, got
            got.append(text.rstrip("\r\n"))
        return got

    def close(self) -> None:
        self.file.close()
        self.sock.close()


ANSWERS = {
    # protocol: greeting, capability command, its last line, upgrade offer, upgrade command
    "smtp": (r"220 ", "EHLO client.example", r"250 ", "STARTTLS", "STARTTLS"),
    "imap": (r"\* OK", "a CAPABILITY", r"a OK", "STARTTLS", "a STARTTLS"),
    "pop3": (r"\+OK", "CAPA", r"\.$", "STLS", "STLS"),
    "managesieve": (r"OK", "CAPABILITY", r"OK", '"STARTTLS"', "STARTTLS"),
}


def offered(lines: list[str]) -> tuple[set[str], set[str]]:
    """Capability words, and SASL mechanisms."""
    words = {word for line in lines for word in line[4:].split()} | {word for line in lines for word in line.split()}
    mechanisms = {word[5:] for word in words if word.startswith("AUTH=")}
    for line in lines:
        found = re.fullmatch(r'(?:250[ -]AUTH|SASL|"SASL") "?([^"]*)"?', line)
        if found:
            mechanisms |= set(found[1].split())
    return words, mechanisms


@pytest.mark.parametrize(
    "listener", [one for one in load().listeners if one.protocol in ANSWERS], ids=lambda one: one.id
)
def test_encryption_and_authentication_are_as_catalogued(server, listener: Listener):
    greeting, command, last, offer, upgrade = ANSWERS[listener.protocol]
    talk = Talk(server.ports[listener.id])
    try:
        if listener.implicit_tls:
            talk.encrypt()
        talk.ask("", greeting)
        words, mechanisms = offered(talk.ask(command, last))
        assert (offer in words) is listener.starttls
        if listener.starttls:
            assert mechanisms == set(listener.authentication_before_tls)
            talk.ask(upgrade, r"220 |a OK|\+OK|OK")
            talk.encrypt()
            words, mechanisms = offered(talk.ask(command, last))
            assert offer not in words
        assert mechanisms == set(listener.mechanisms)
    finally:
        talk.close()


@pytest.mark.parametrize("path_id", ["postern.submission", "postern.imap", "postern.pop3"])
def test_no_password_is_taken_in_clear(server, path_id):
    path = load()[path_id]
    assert path.listener is not None
    assert path.level is (Level.OPTIONAL if path.listener.authentication_before_tls else Level.REQUIRED)
    talk = Talk(server.ports[path.listener.id])
    try:
        protocol = path.listener.protocol
        talk.ask("", ANSWERS[protocol][0])
        secret = base64.b64encode(b"\0anna@example.org\0correct horse").decode()
        login = {
            "smtp": f"AUTH PLAIN {secret}",
            "imap": f"b AUTHENTICATE PLAIN {secret}",
            "pop3": f"AUTH PLAIN {secret}",
        }
        answer = talk.ask(login[protocol], r"\d\d\d |b |[+-]")[-1]
        assert re.match(r"5|b (NO|BAD)|-ERR", answer), answer
    finally:
        talk.close()


@pytest.mark.parametrize(
    "listener", [one for one in load().listeners if one.protocol == "ldap"], ids=lambda one: one.id
)
async def test_the_address_book_is_as_catalogued(server, listener: Listener):
    tls = Tls.IMPLICIT if listener.implicit_tls else Tls.STARTTLS
    service = Service(host="here", address="127.0.0.1", port=server.ports[listener.id], protocol="ldap", tls=tls)
    seen = Seen()
    await directory.probe(service, Tools(SystemClock(), SystemEntropy()), seen)
    assert set(seen.mechanisms) == set(listener.mechanisms)
    assert seen.facts["namingContexts"] == ("dc=example,dc=org",)
    assert seen.tls_failure == ""
    if listener.starttls:
        assert seen.starttls
        assert set(seen.mechanisms_clear) == set(listener.authentication_before_tls)
