"""`postern demo`: a throw-away organisation on loopback and high ports, for real mail programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from postern.catalogue.load import load as load_catalogue
from postern.cli.language import _, language
from postern.cli.output import fail, print_json
from postern.cli.serve import serve_settings
from postern.config.loading import load
from postern.config.settings import Settings
from postern.model.refusal import Refusal

if TYPE_CHECKING:
    from postern.roles.supervisor import Ready

HOST = "127.0.0.1"
BASES = range(10000, 30000, 1000)
"""Tried in turn if no --port-base is given: another demonstration may be running."""

CONFIG = """\
# A throw-away organisation: passwords are known and cheap, everything is on loopback.
[server]
hostname = "mail.example.org"
data = "."
workers = {workers}
stop_s = 5
language = "{language}"

[network]
addresses = ["{host}"]

[authentication]
argon2_passes = 1
argon2_memory_kib = 1024
scram_iterations = 4096

[ntlm]
accounts = true

[ews]
push_urls = ["http://{host}:*/"]

[pressure]
min_free_bytes = 16777216

[log]
level = "warning"
{listeners}"""


class Facts(msgspec.Struct):
    """The line of `--json`."""

    host: str
    ports: dict[str, int]
    users: list[dict[str, str]]
    data: str
    pid: int


def demo(port_base: int | None, data: Path | None, *, json: bool, workers: int = 2) -> int:
    """Make the organisation (or take the one that is in `data`), serve it, remove it if it was ours; exit status."""
    throw_away = data is None
    place = Path(tempfile.mkdtemp(prefix="postern-demo-")) if data is None else data.resolve()
    owner = os.getpid()
    try:
        with contextlib.ExitStack() as held:
            settings = prepare(place, free_base(held) if port_base is None else port_base, workers)
            return serve_settings(settings, place / "postern.toml", lambda ready: announce(ready, json=json))
    finally:
        # workers are forks of this process: only the parent tidies up
        if throw_away and os.getpid() == owner:
            shutil.rmtree(place, ignore_errors=True)


def prepare(place: Path, port_base: int, workers: int) -> Settings:
    """Write settings and certificate, and let a child make people and mail: the supervisor opens no database."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = place / "postern.toml"
    begun = place / "demo.begun"
    if (place / "directory.db").exists() and not (place / "demo").exists() and not begun.exists():
        fail(_("{data} holds an organisation that is no demonstration", data=place))
    config.write_text(render_config(port_base, workers), "utf-8")
    settings = load(config)
    if not (place / "demo").exists():
        # an unfinished attempt left nothing that anybody relies on
        begun.touch()
        for name in ("directory.db", "directory.db-wal", "directory.db-shm", "queue.db", "failures.db"):
            (place / name).unlink(missing_ok=True)
        for name in ("mailboxes", "journal"):
            shutil.rmtree(place / name, ignore_errors=True)
        in_child(settings)
        (place / "demo").touch()
        begun.unlink()
    return settings


def render_config(base: int, workers: int) -> str:
    """postern.toml with every listener moved to base + its port (of the last three digits)."""
    ports = {path.id: base + path.port % 1000 for path in load_catalogue().listeners}
    if max(ports.values()) > 65535 or base < 0:
        fail(_("--port-base must be from 0 to 64540"))
    listeners = ""
    for name, port in ports.items():
        listeners += f"\n[listen.{name}]\nport = {port}\n"
    return CONFIG.format(workers=workers, language=language(), host=HOST, listeners=listeners)


def free_base(held: contextlib.ExitStack) -> int:
    """The first base whose ports are all free; it is this process's until `held` ends.

    Servers listen seconds later. Until then a socket bound to the base itself, which no listener uses, shows other
    demonstrations that start just now that it is taken.
    """
    numbers = [path.port % 1000 for path in load_catalogue().listeners]
    for base in BASES:
        sign = socket.socket()
        try:
            sign.bind((HOST, base))
        except OSError:
            sign.close()
            continue
        if all(is_free(base + number) for number in numbers):
            held.enter_context(sign)
            return base
        sign.close()
    fail(_("no free ports from {first} to {last}: give --port-base", first=BASES[0], last=BASES[-1] + 999))


def is_free(port: int) -> bool:
    """Whether nobody listens on a loopback port. Without SO_REUSEPORT, which would let us in beside another server."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def in_child(settings: Settings) -> None:
    """Fill the data directory in a process of its own, whose databases and threads end with it."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            fill(settings)
            code = 0
        except KeyboardInterrupt:
            pass  # the parent hears it too
        except (Refusal, OSError) as problem:
            sys.stderr.write(f"postern: {problem}\n")
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    try:
        status = os.waitpid(pid, 0)[1]
    except KeyboardInterrupt:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        raise
    if os.waitstatus_to_exitcode(status) != 0:
        fail(_("the demonstration could not be set up"))


def fill(settings: Settings) -> None:
    """Certificate, people, mail."""
    import asyncio

    from postern.certificates.place import Place
    from postern.cli.demo_people import populate
    from postern.formats import issuing
    from postern.net.clock import SystemClock

    if not settings.certificate.exists():
        names = ["mail.example.org", "localhost", "example.org", "example.net"]
        Place(settings.data_dir).listeners.replace(*issuing.self_signed(names, [HOST, "::1"], SystemClock().now()))
    asyncio.run(populate(settings))


def announce(ready: Ready, *, json: bool) -> None:
    """Tell how to get in."""
    from postern.cli.demo_people import users

    facts = Facts(HOST, ready.ports, users(), str(ready.data), ready.pid)
    if json:
        print_json(facts)
        sys.stdout.flush()
        return
    ports = ready.ports
    lines = [
        _("A throw-away organisation is ready; Ctrl-C ends it."),
        "",
        _(
            "  Incoming  IMAP4   {host}  port {tls} (TLS) or {plain} (STARTTLS)",
            host=HOST,
            tls=ports["imaps"],
            plain=ports["imap"],
        ),
        _(
            "            POP3    {host}  port {tls} (TLS) or {plain} (STARTTLS)",
            host=HOST,
            tls=ports["pop3s"],
            plain=ports["pop3"],
        ),
        _(
            "  Outgoing  SMTP    {host}  port {tls} (TLS) or {plain} (STARTTLS)",
            host=HOST,
            tls=ports["submissions"],
            plain=ports["submission"],
        ),
        _("  From outside      {host}  port {port}", host=HOST, port=ports["smtp"]),
        _("  Metrics           http://{host}:{port}/metrics", host=HOST, port=ports["metrics"]),
        _("  The certificate is self-signed: {path}", path=ready.data / "tls" / "certificate.pem"),
        "",
        _("  User name (the address)   Password"),
        *(f"  {user['address']:<25} {user['password']}" for user in facts.users),
        "",
        _("  Also: group team@example.org (with managers@example.org in it), alias info@example.org,"),
        _("  shared mailbox sales@example.org (anna and bert have full access)."),
        _("  Administration:   postern --help, with --config {path}", path=ready.data / "postern.toml"),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
