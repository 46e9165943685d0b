"""A Dovecot server with twenty users moves over with nothing missing: every message's digest, flags, dates, folders,
subscriptions, Sieve scripts; by IMAP and ManageSieve with a master user, by doveadm on the same machine, and back to it
in a Maildir."""

from __future__ import annotations

import contextlib
import hashlib
import imaplib
import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from sievelib.managesieve import Client
from tests.interop.demo import start_demo, stop_demo

pytestmark = [pytest.mark.interop, pytest.mark.slow(10)]

USERS = 20
DAY = 86400
FOLDERS = ["INBOX", "Sent", "Trash", "Projekte/&AMQ-pfel", "&BB8EQAQ+BDUEOgRCBEs-", "Archive/2023/Q1", "not subscribed"]

CONFIG = """
base_dir = {root}/run
state_dir = {root}
log_path = {root}/log
protocols = imap sieve
listen = 127.0.0.1
ssl = yes
ssl_cert = <{root}/server.pem
ssl_key = <{root}/server.key
auth_mechanisms = plain login
first_valid_uid = 1
mail_uid = nobody
mail_gid = nogroup
mail_location = {format}
mail_max_userip_connections = 0
passdb {{
  driver = passwd-file
  master = yes
  args = {root}/masters
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {root}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {root}/users
  default_fields = uid=nobody gid=nogroup home={root}/homes/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    special_use = \\Sent
  }}
  mailbox Trash {{
    special_use = \\Trash
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve_port}
  }}
}}
"""


@contextlib.contextmanager
def dovecot(store: str, prefix: str = "user") -> Iterator[tuple[Path, int, int]]:
    """Its directory, its ports of IMAP and of ManageSieve; people's names begin with `prefix`."""
    # Dovecot's own users have to get in
    root = Path(tempfile.mkdtemp(prefix="moving-"))
    root.chmod(0o755)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(root / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(root / "server.pem"))
    (root / "homes").mkdir()
    shutil.chown(root / "homes", "nobody", "nogroup")
    (root / "users").write_text("".join(f"{prefix}{n}@example.org:{{PLAIN}}pw{n}::::::\n" for n in range(USERS)))
    (root / "masters").write_text("boss:{PLAIN}boss-password\n")
    with socket.socket() as probe, socket.socket() as other:
        probe.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, sieve_port = probe.getsockname()[1], other.getsockname()[1]
    config = root / "dovecot.conf"
    config.write_text(CONFIG.format(root=root, port=port, sieve_port=sieve_port, format=store))
    process = subprocess.Popen(
        [shutil.which("dovecot") or "/usr/sbin/dovecot", "-F", "-c", str(config)], stderr=subprocess.DEVNULL
    )
    try:
        for one in (port, sieve_port):
            for _ in range(300):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", one), 1):
                    break
                time.sleep(0.1)
            else:
                raise RuntimeError((root / "log").read_text())
        yield root, port, sieve_port
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(root, ignore_errors=True)


def session(port: int, user: str, password: str, ca: Path) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=ssl.create_default_context(cafile=str(ca)))
    client.login(user, password)
    return client


def fill(port: int, root: Path, user: str, number: int) -> None:
    chance = random.Random(number)
    client = session(port, user, f"pw{number}", root / "ca.pem")
    for folder in FOLDERS:
        if folder != "INBOX":
            client.create(f'"{folder}"')
        if folder != "not subscribed":
            client.subscribe(f'"{folder}"')
        for serial in range(chance.randrange(2, 7)):
            text = chance.choice(["Grüße", "Привет", "x" * 900, "From the top", ""])
            message = f"Subject: {folder} {serial}\r\nMessage-ID: <{number}.{folder}.{serial}@x>\r\n\r\n{text}\r\n"
            flags = chance.choice(
                ["", "\\Seen", "\\Seen \\Answered", "\\Flagged $Label1", "\\Deleted", "\\Seen Rechnung"]
            )
            when = imaplib.Time2Internaldate(1_600_000_000 + chance.randrange(1000) * DAY)
            assert client.append(f'"{folder}"', f"({flags})", when, message.encode())[0] == "OK"
    client.logout()


def keep_scripts(home: Path, number: int) -> tuple[str, dict[str, str]]:
    """Scripts as Pigeonhole keeps them in a user's home; the active one and all, by name."""
    found = {
        "main": f'require ["fileinto", "mailbox"];\nif header :contains "subject" "nr {number}" {{\n'
        '  fileinto :create "Sortiert";\n}\n',
        f"Urlaub {number}": 'require "vacation";\nvacation :days 3 :subject "Weg" "Bin im Urlaub. Ёлки.";\n',
    }
    active = list(found)[number % 2]
    (home / "sieve").mkdir(exist_ok=True)
    shutil.chown(home / "sieve", "nobody", "nogroup")
    for name, script in found.items():
        (home / "sieve" / f"{name}.sieve").write_text(script, "utf-8")
    (home / ".dovecot.sieve").symlink_to(f"sieve/{active}.sieve")
    return active, found


def scripts_of(postern, user: str, number: int) -> tuple[str, dict[str, str]]:
    """The same as ManageSieve shows it here."""
    client = Client(postern.host, postern.ports["managesieve"])
    assert client.connect(user, f"pw{number}", starttls=True, authmech="PLAIN")
    active, others = client.listscripts()
    found = {name: client.getscript(name).replace("\r\n", "\n") for name in (active, *others)}
    client.logout()
    return active, {name: script.strip() + "\n" for name, script in found.items()}


def inventory(client: imaplib.IMAP4_SSL, names: dict[str, str]) -> dict[str, list[tuple[str, tuple[str, ...], int]]]:
    """Digest, flags and date of every message by folder; whether it is subscribed is in the name."""
    subscribed = " ".join(line.decode() for line in client.lsub()[1] if line)
    found = {}
    for folder, known_as in names.items():
        assert client.select(f'"{folder}"', readonly=True)[0] == "OK", folder
        _, data = client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        rows = []
        for part in data:
            if isinstance(part, tuple):
                flags = tuple(sorted(f.decode() for f in imaplib.ParseFlags(part[0]) if f != b"\\Recent"))
                at = int(time.mktime(imaplib.Internaldate2tuple(part[0])))
                rows.append((hashlib.sha256(part[1]).hexdigest(), flags, at))
        found[f"{known_as} {folder in subscribed}"] = rows
    client.logout()
    return found


HERE = {"Sent Items": "Sent", "Deleted Items": "Trash"}
"""Distinguished folders have Exchange's names here."""


def names(*, here: bool) -> dict[str, str]:
    other = {theirs: ours for ours, theirs in HERE.items()} if here else {}
    return {other.get(folder, folder): folder for folder in FOLDERS}


@pytest.fixture(scope="module")
def postern(tmp_path_factory):
    data = tmp_path_factory.mktemp("moving") / "data"
    process, facts = start_demo(data)

    def call(*words: str, status: int = 0):
        command = [sys.executable, "-m", "postern", *words, "--config", str(facts.data / "postern.toml")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert done.returncode == status, (words, done.stdout[-3000:], done.stderr[-3000:])
        return json.loads(done.stdout) if "--json" in words else done.stdout

    facts.call = call
    yield facts
    stop_demo(process)


def need(name: str) -> None:
    if shutil.which(name) is None and not Path("/usr/sbin", name).exists():
        pytest.skip(f"{name} is not installed: run scripts/install-test-parts as root")


def to_import(root: Path, people: list[str]) -> Path:
    """What `import-users` takes: Dovecot's passwd-file with real hashes."""
    path = root / "to-import"
    lines = []
    for number, address in enumerate(people):
        scheme = ("SHA512-CRYPT", "BLF-CRYPT", "SSHA")[number % 3]
        command = ["doveadm", "pw", "-s", scheme, "-p", f"pw{number}", *(["-r", "5"] if number % 3 == 1 else [])]
        lines.append(f"{address}:{subprocess.check_output(command, text=True).strip()}\n")
    path.write_text("".join(lines))
    return path


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("way", ["imap", "dovecot"])
def test_users_move_over(postern, tmp_path, monkeypatch, way):
    need("dovecot")
    # each way has people of its own: nobody has to be removed between them
    people = [f"{way}{number}@example.org" for number in range(USERS)]
    with dovecot("mdbox:~/mdbox" if way == "dovecot" else "maildir:~/Maildir", way) as (root, port, sieve_port):
        for number, user in enumerate(people):
            fill(port, root, user, number)
        homes = root / "homes"
        scripts = [keep_scripts(homes / user.partition("@")[0], number) for number, user in enumerate(people)]
        there = [session(port, user, f"pw{number}", root / "ca.pem") for number, user in enumerate(people)]
        wanted = [inventory(client, names(here=False)) for client in there]
        postern.call("mailbox", "import-users", str(to_import(root, people)))
        command = ["import", way, "--verify", "--json"]
        if way == "imap":
            listing = tmp_path / "list"
            listing.write_text("".join(f"{user} {user} boss-password\n" for user in people))
            command += ["--host", "localhost", "--port", str(port), "--ca", str(root / "ca.pem")]
            command += ["--master-user", "boss", "--list", str(listing), "--sieve-port", str(sieve_port)]
        else:
            command += ["--users", f"{way}*@*", "--dovecot-config", str(root / "dovecot.conf")]
        results = postern.call(*command)
        assert [r["wrong"] for r in results] == [[]] * USERS
        assert sum(r["scripts"] for r in results) == 2 * USERS
        # something is new there, and something was read: the last run before the switch brings just that
        client = session(port, people[3], "pw3", root / "ca.pem")
        client.append("INBOX", "()", None, b"Subject: late\r\n\r\nlate\r\n")
        client.select("INBOX")
        client.store("1", "+FLAGS", "(\\Flagged Spaet)")
        client.logout()
        wanted[3] = inventory(session(port, people[3], "pw3", root / "ca.pem"), names(here=False))
        last = {r["address"]: r for r in postern.call(*command)}
        assert sum(r["present"] for r in last.values()) == sum(r["copied"] for r in results)
        assert (last[people[3]]["copied"], last[people[3]]["restated"]) == (1, 1)
        assert sum(r["copied"] for r in last.values()) == 1
    certificate = postern.data / "tls" / "certificate.pem"
    for number, user in enumerate(people):
        # with the old password, whose hash moved too
        client = session(postern.ports["imaps"], user, f"pw{number}", certificate)
        assert inventory(client, names(here=True)) == wanted[number]
    # the server's certificate is its own, and sievelib cannot be told which to trust
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: ssl._create_unverified_context())
    assert [scripts_of(postern, user, number) for number, user in enumerate(people)] == scripts


@pytest.mark.timeout(300)
def test_a_maildir_of_ours_is_taken_by_dovecot(postern, tmp_path):
    need("dovecot")
    address, password = postern.user(0)
    certificate = postern.data / "tls" / "certificate.pem"
    client = session(postern.ports["imaps"], address, password, certificate)
    client.create("Work")
    client.create("Work/&AMQ-pfel")
    client.append(
        '"Work/&AMQ-pfel"', "(\\Flagged $Label1)", imaplib.Time2Internaldate(1_650_000_000), b"Subject: a\r\n\r\nb\r\n"
    )
    folders = {name: name for name in ("INBOX", "Sent Items", "Work/&AMQ-pfel")}
    wanted = inventory(client, folders)
    with dovecot("maildir:~/Maildir") as (root, port, _):
        home = root / "homes" / "user0"
        home.mkdir()
        result = postern.call("export", "maildir", address, str(home / "Maildir"), "--json")
        assert result["copied"] > 100
        for path in [home, *home.rglob("*")]:
            shutil.chown(path, "nobody", "nogroup")
            os.chmod(path, 0o700 if path.is_dir() else 0o600)
        there = session(port, "user0@example.org", "pw0", root / "ca.pem")
        found = inventory(there, folders)
    assert {name: sorted(rows) for name, rows in found.items()} == {name: sorted(rows) for name, rows in wanted.items()}


def test_wrong_passwords_and_untrusted_certificates_are_said(postern, tmp_path):
    need("dovecot")
    with dovecot("maildir:~/Maildir") as (root, port, _):
        command = ["import", "imap", postern.user(1)[0], "--host", "localhost", "--port", str(port)]
        command += ["--user", "user0@example.org"]
        call = [sys.executable, "-m", "postern", *command, "--config", str(postern.data / "postern.toml")]
        wrong = subprocess.run(
            [*call, "--ca", str(root / "ca.pem"), "--password", "no"], capture_output=True, text=True, timeout=60
        )
        assert wrong.returncode == 1 and "does not let user0@example.org in" in wrong.stderr
        untrusted = subprocess.run([*call, "--password", "pw0"], capture_output=True, text=True, timeout=60)
        assert untrusted.returncode == 1 and "--ca FILE" in untrusted.stderr
