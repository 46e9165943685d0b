"""A small organisation in a directory of its own, served by real processes on free loopback ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import trustme
from tests.ports import free_ports

from postern.catalogue.load import load as load_catalogue
from postern.config.settings import Authentication, Listener, Network, Server, Settings
from postern.directory.interface import Domain, NewAccount
from postern.directory.passwords import CHEAP, new_credentials
from postern.net.clock import SystemEntropy
from postern.roles.parts import Parts
from postern.store.journal.layout import journal_directory

PATHS = (
    "smtp",
    "submission",
    "submissions",
    "imap",
    "imaps",
    "pop3",
    "pop3s",
    "managesieve",
    "ldap",
    "ldaps",
    "https",
    "http",
    "metrics",
)
USERS = ("anna", "boris", "chen")
PASSWORD = "correct horse"


def make_settings(data: Path, workers: int = 2, *, also: tuple[str, ...] = (), **changes: object) -> Settings:
    """`also`: mechanisms that submission offers beside its default ones. Wrong passwords are refused without delay."""
    changes.setdefault("authentication", Authentication(failure_delay_s=0.0))
    ports = free_ports(len(PATHS))
    named = {
        path.id: path.mechanisms + also
        for path in load_catalogue().listeners
        if also and path.id.startswith("submission")
    }
    return Settings(
        server=Server(hostname="mail.example.org", data=str(data), workers=workers, stop_s=5),
        network=Network(addresses=("127.0.0.1",), nameservers=("127.0.0.1",), nameserver_port=1),
        listen={path: Listener(port=port, mechanisms=named.get(path)) for path, port in zip(PATHS, ports, strict=True)},
        **changes,
    )


def make_organisation(settings: Settings) -> None:
    """Certificate, domain and users."""
    data = settings.data_dir
    (data / "tls").mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(data / "tls" / "authority.pem")
    certificate = authority.issue_cert("mail.example.org", "localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(data / "tls" / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(data / "tls" / "certificate.pem")
    journal_directory(data).mkdir(exist_ok=True)

    async def fill() -> None:
        parts = Parts.open(settings, "test", None, 0)
        entropy = SystemEntropy()
        await parts.directory.put_domain(Domain("example.org"))
        password, scram = new_credentials(PASSWORD, entropy, CHEAP)
        accounts = await parts.directory.create_accounts(
            [NewAccount(f"{user}@example.org", password_hash=password, scram=scram) for user in USERS]
        )
        for account in accounts:
            await parts.store.create_mailbox(account.mailbox, account.slot, account.quota)
        await parts.close()

    asyncio.run(fill())


class Running:
    """`postern.roles.supervisor.run` in a process group of its own."""

    def __init__(self, settings: Settings, env: dict[str, str] | None = None) -> None:
        self.settings = settings
        import msgspec

        file = settings.data_dir / "settings.json"
        file.write_bytes(msgspec.json.encode(settings))
        self.file = file
        self.log = settings.data_dir / "log"
        with self.log.open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.serve", str(file)],
                stdout=subprocess.PIPE,
                stderr=err,
                env={**os.environ, "PYTHONPATH": "src:.", **(env or {})},
                start_new_session=True,
            )

    def wait_ready(self, timeout: float = 60) -> dict[str, int]:
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        end = time.monotonic() + timeout
        line = b""
        while not line.endswith(b"\n"):
            line += self.process.stdout.read() or b""
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"not ready: {self.log.read_text()}")
            time.sleep(0.01)
        self.ports: dict[str, int] = json.loads(line)
        return self.ports

    def children(self) -> dict[str, int]:
        """Living processes by name, from the log."""
        alive = {}
        for line in self.lines():
            if line["event"] == "process.started":
                alive[line["role"]] = line["pid"]
        return alive

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def wait_line(self, event: str, timeout: float = 60, after: int = 0) -> dict:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for line in self.lines()[after:]:
                if line["event"] == event:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no {event} in {self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM, timeout: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        finally:
            self.kill()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
