"""A network namespace with the product on its standard ports, a DNS zone and an authority that all programs trust.

    network.run("curl", "https://mail.example.org/whoami")       # any program, as if on a computer of that network
    network.accounts                                             # who can sign in, and how

Names: mail.example.org is the server. Three accepted domains are found in three ways:

    example.org    autodiscover.example.org is the server, in its certificate; the domain itself has no address
    example.net    a foreign web server on the domain itself; autodiscover.example.net is in no certificate
    example.com    an SRV record only

    outside.test   somebody else's: mail goes to port 25 of the foreign address, where a test may listen

Beside people there are a group (team), a room (library, frida may read its calendar) and a list of rooms (rooms), all
in example.org; anna acts for boris and gustav for frida. For Windows the domain example.org is ACME.

Nothing leaves it: there is no route to anywhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import trustme
from tests.integration.organisation import PASSWORD, make_organisation

from postern.config.mechanisms import Ntlm
from postern.config.settings import Authentication, Ews, Network, Server, Settings
from postern.directory.interface import Domain, NewAccount, RecipientKind
from postern.directory.passwords import CHEAP, new_credentials
from postern.formats.ntlm.keys import nt_hash
from postern.model.calendar.appointment import Person as Attending
from postern.model.items import SpecialUse
from postern.model.rights import ROLES, MailboxRight
from postern.net.clock import SystemEntropy
from postern.roles.parts import Parts
from postern.services.calendar.delegates import Delegate
from postern.services.calendar.settings import save_settings

SERVER, FOREIGN, DNS = "192.0.2.10", "192.0.2.80", "192.0.2.53"
HOST = "mail.example.org"
INSIDE = Path(__file__).with_name("mail_network_inside.py")
MORE = ("dora@example.net", "emil@example.com", "frida@example.org", "gustav@example.org")
DELEGATES = {"boris@example.org": "anna@example.org", "frida@example.org": "gustav@example.org"}
GROUPS = {
    "team@example.org": ["anna@example.org", "boris@example.org"],
    "rooms@example.org": ["library@example.org"],
}
ROOT = Path(__file__).parents[2]
USER_NAMESPACE = [] if os.geteuid() == 0 else ["--map-root-user"]
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt",)
"""What the system's programs trust (OpenSSL, GnuTLS)."""


def environment(**more: str) -> dict[str, str]:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", **more}


def zone() -> list[tuple[str, str, str]]:
    """Name, type, value."""
    found = [
        (HOST, "A", SERVER),
        ("autodiscover.example.org", "A", SERVER),
        ("autoconfig.example.org", "A", SERVER),
        ("example.net", "A", FOREIGN),
        ("autodiscover.example.net", "A", SERVER),
        ("_autodiscover._tcp.example.com", "SRV", f"0 0 443 {HOST}."),
        ("outside.test", "MX", "10 mx.outside.test."),
        ("mx.outside.test", "A", FOREIGN),
    ]
    for domain in ("example.org", "example.net", "example.com"):
        found.append((domain, "MX", f"10 {HOST}."))
        found += [
            (f"{name}._tcp.{domain}", "SRV", f"0 1 {port} {HOST}.")
            for name, port in (("_imaps", 993), ("_submissions", 465))
        ]
    return found


@dataclass(frozen=True)
class Person:
    address: str
    password: str
    ntlm: bool
    """The directory keeps an NT hash: NTLM works."""


class MailNetwork:
    """One of them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.data = place / "data"
        self.accounts: list[Person] = []
        self.listed: list[str] = []
        """Who is in the address book, people or not."""
        self._process: subprocess.Popen[str] | None = None

    @property
    def authority(self) -> Path:
        """The authority's certificate (PEM); inside, the system trusts it."""
        return self.data / "tls" / "authority.pem"

    def start(self) -> None:
        settings = Settings(
            server=Server(hostname=HOST, data=str(self.data), workers=2, stop_s=5),
            network=Network(addresses=(SERVER, "127.0.0.1"), nameservers=(DNS,)),
            ntlm=Ntlm(accounts=True),
            ews=Ews(push_urls=("http://example.net:8099/",)),
            authentication=Authentication(
                failure_delay_s=0.0, argon2_passes=1, argon2_memory_kib=1024, domains={"ACME": "example.org"}
            ),
        )
        make_organisation(settings)
        self._certificates(settings)
        asyncio.run(self._people(settings))
        bundle = self.place / "bundle.pem"
        bundle.write_bytes(self.authority.read_bytes())
        resolv = self.place / "resolv.conf"
        resolv.write_text(f"nameserver {DNS}\noptions timeout:2 attempts:1\n")
        (self.place / "settings.json").write_bytes(msgspec.json.encode(settings))
        plan = {
            "addresses": [SERVER, FOREIGN, DNS],
            "mounts": [[str(resolv), "/etc/resolv.conf"], *([str(bundle), b] for b in BUNDLES if Path(b).exists())],
            "dns": DNS,
            "zone": zone(),
            "foreign": [FOREIGN, str(self.place / "foreign.pem")],
            "settings": str(self.place / "settings.json"),
            "log": str(self.place / "server.log"),
        }
        self._process = subprocess.Popen(
            ["unshare", *USER_NAMESPACE, "--net", "--mount", sys.executable, str(INSIDE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(PYTHONPATH="src:."),
            cwd=ROOT,
        )
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(plan) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if line.strip() != "ready":
            self.stop()
            log = self.place / "server.log"
            raise AssertionError(f"not ready: {line} {log.read_text()[-3000:] if log.exists() else ''}")

    def _certificates(self, settings: Settings) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        names = (HOST, "autodiscover.example.org", "autoconfig.example.org", SERVER, "127.0.0.1", "localhost")
        own = authority.issue_cert(*names)
        own.private_key_pem.write_to_path(settings.key)
        own.cert_chain_pems[0].write_to_path(settings.certificate)
        authority.issue_cert("example.net").private_key_and_cert_chain_pem.write_to_path(self.place / "foreign.pem")

    async def _people(self, settings: Settings) -> None:
        parts = Parts.open(settings, "test", None, 0)
        directory = parts.directory
        for domain in ("example.net", "example.com"):
            await directory.put_domain(Domain(domain))
        hashed, scram = new_credentials(PASSWORD, SystemEntropy(), CHEAP)
        new = [NewAccount(address, password_hash=hashed, scram=scram) for address in MORE]
        for account in await directory.create_accounts(new):
            await parts.store.create_mailbox(account.mailbox, account.slot, account.quota)
        await self._others(parts)
        self.listed = [one.address for one in await directory.accounts()] + list(GROUPS)
        for account in await directory.accounts():
            if account.kind is not RecipientKind.USER:
                continue
            ntlm = not account.address.startswith("anna@")
            if ntlm:
                await directory.put_derived_keys(account.id, {"nt": nt_hash(PASSWORD)})
            self.accounts.append(Person(account.address, PASSWORD, ntlm))
        await parts.close()

    async def _others(self, parts: Parts) -> None:
        """Who is no person, and who acts for whom."""
        directory = parts.directory
        (room,) = await directory.create_accounts(
            [NewAccount("library@example.org", "Library", kind=RecipientKind.ROOM)]
        )
        await parts.store.create_mailbox(room.mailbox, room.slot, room.quota)
        for group, members in GROUPS.items():
            await directory.put_group(group)
            await directory.set_members(group, add=members)
        calendar = await (await parts.store.mailbox(room.mailbox)).special(SpecialUse.CALENDAR)
        await directory.set_folder_rights(room.mailbox, calendar.id, "frida@example.org", ROLES["reviewer"])
        for owner, delegate in DELEGATES.items():
            account = await directory.login(owner)
            assert account is not None and account.mailbox is not None
            mailbox = await parts.store.mailbox(account.mailbox)
            calendar = await mailbox.special(SpecialUse.CALENDAR)
            await directory.set_folder_rights(account.mailbox, calendar.id, delegate, ROLES["editor"])
            await directory.grant(account.mailbox, delegate, MailboxRight.SEND_ON_BEHALF)
            await save_settings(mailbox, delegates=(Delegate(Attending(delegate)),))

    def person(self, name: str) -> Person:
        """By the first part of the address."""
        return next(one for one in self.accounts if one.address.startswith(f"{name}@"))

    def command(self, *words: str) -> list[str]:
        """The same program inside."""
        assert self._process is not None
        program = shutil.which(words[0]) or words[0]
        user = ["--user", "--preserve-credentials"] if USER_NAMESPACE else []
        return ["nsenter", f"--target={self._process.pid}", *user, "--net", "--mount", program, *words[1:]]

    def run(self, *words: str, input: str = "", check: bool = True, timeout: float = 60, **more: str):
        """Run a program inside to its end."""
        trust = {"SSL_CERT_FILE": str(self.authority), "REQUESTS_CA_BUNDLE": str(self.authority)}
        done = subprocess.run(
            self.command(*words), input=input, capture_output=True, text=True, timeout=timeout,
            env=environment(**trust, **more), cwd=ROOT,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def python(self, script: str | Path, *arguments: str, **more):
        """Run a script (its text, or where it is) inside; what it prints as JSON."""
        how = [str(script)] if isinstance(script, Path) else ["-c", script]
        with tempfile.TemporaryDirectory(dir=self.place) as own:  # exchangelib keeps what it has found there
            done = self.run(sys.executable, "-W", "ignore", *how, *arguments, TMPDIR=own, **more)
        return json.loads(done.stdout)

    def stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(60)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
