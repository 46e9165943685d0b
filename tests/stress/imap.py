"""The stress test: clients with a model, deliveries, and a worker killed every minute.

    python -m tests.stress.imap --minutes 30
    python -m tests.stress.imap --minutes 1 --clients 10 --kill-every 10 --rate 60

A throw-away organisation with two workers is started, 50 clients on six mailboxes (two folders each) do what mail
programs do and compare every answer with the model (tests/stress/model.py), mail comes in by SMTP, and a worker that
serves clients gets kill -9 every minute. At the end, when nothing moves any more: every acknowledged message is there,
each keeper in exactly one place, what was expunged has not come back, all clients' views agree with a fresh look, and
`postern mailbox verify` finds every mailbox sound. Exit status 0 and `"violations": 0` mean that all of it held.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.interop.demo import Demo, start_demo, stop_demo
from tests.stress.clients import Client, Counts, Sender
from tests.stress.model import Box, Violations
from tests.stress.wire import Imap, Lost, Refused

FOLDERS = ("INBOX", "Stress")
SETTLE_S = 60.0
"""How long accepted mail may take to arrive after the last kill."""
SENDERS = 2


class Plan(NamedTuple):
    """How hard."""

    seconds: float
    clients: int = 50
    mailboxes: int = 6
    rate: float = 120.0
    """Operations a second, all clients together; a tenth as many deliveries come beside them."""
    kill_every_s: float = 60.0
    seed: int = 1


def descendants(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").glob("*"):
            with contextlib.suppress(OSError):
                more = [int(word) for word in (task / "children").read_text().split()]
                found += more
                todo += more
    return found


def cpu_s(pid: int) -> float:
    """Of a process and of those that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def worker_behind(server: int, local_port: int, port: int) -> int | None:
    """The process that holds the other end of a connection on loopback."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (int(fields[1][-4:], 16), int(fields[2][-4:], 16)) == (port, local_port):
            wanted = f"socket:[{fields[9]}]"
            for pid in descendants(server):
                for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
                    with contextlib.suppress(OSError):
                        if descriptor.readlink().name == wanted:
                            return pid
    return None


class Run:
    """One run against one server."""

    def __init__(self, demo: Demo, plan: Plan) -> None:
        self.demo, self.plan = demo, plan
        self.bad, self.counts = Violations(), Counts()
        self.kills = 0
        self.boxes = [Box(*demo.user(number), FOLDERS, self.bad) for number in range(plan.mailboxes)]
        self.clients = [
            Client(
                number,
                self.boxes[number % plan.mailboxes],
                lambda: (demo.host, demo.ports["imaps"]),
                self.counts,
                plan.seed,
            )
            for number in range(plan.clients)
        ]

    async def play(self) -> None:
        plan, demo = self.plan, self.demo
        for box in self.boxes:
            await self._prepare(box)
        senders = [
            Sender(n, self.boxes, lambda: (demo.host, demo.ports["smtp"]), self.counts, self.bad)
            for n in range(SENDERS)
        ]
        until = asyncio.get_running_loop().time() + plan.seconds
        async with asyncio.TaskGroup() as group:
            for client in self.clients:
                group.create_task(client.run(until, plan.clients / plan.rate))
            for sender in senders:
                group.create_task(sender.run(until, SENDERS / (plan.rate / 10)))
            group.create_task(self._kill(until))
        await self._settle()
        await self._agree()
        for box in self.boxes:
            box.check({name: await self._tokens(box, name) for name in box.folders})
        for client in self.clients:
            client.drop()

    async def _prepare(self, box: Box) -> None:
        """What is there before belongs to nobody and stays: it counts as promised."""
        imap = await Imap.open(self.demo.host, self.demo.ports["imaps"], box.user, box.password)
        with contextlib.suppress(Refused):
            await imap.ask(b'CREATE "Stress"')
        imap.close()
        for name, folder in box.folders.items():
            for uid, token in (await self._tokens(box, name)).items():
                folder.saw(uid, token)
                folder.sure.add(uid)

    async def _kill(self, until: float) -> None:
        chance, loop = random.Random(self.plan.seed), asyncio.get_running_loop()
        while loop.time() + self.plan.kill_every_s < until + 1:
            await asyncio.sleep(self.plan.kill_every_s)
            connected = [client for client in self.clients if client.imap is not None]
            if not connected:
                continue
            client = chance.choice(connected)
            victim = worker_behind(self.demo.pid, client.imap.local_port, self.demo.ports["imaps"])
            if victim is not None:
                os.kill(victim, signal.SIGKILL)
                self.kills += 1

    async def _settle(self) -> None:
        """Until all accepted mail has arrived."""
        deadline = asyncio.get_running_loop().time() + SETTLE_S
        for box in self.boxes:
            while True:
                for uid, token in (await self._tokens(box, "INBOX")).items():
                    box.folders["INBOX"].saw(uid, token)
                seen = set(box.folders["INBOX"].tokens.values())
                if not (box.accepted & box.sent) - seen or asyncio.get_running_loop().time() > deadline:
                    break
                await asyncio.sleep(0.5)

    async def _tokens(self, box: Box, name: str) -> dict[int, str]:
        return {uid: token for uid, (token, _) in (await self._listing(box, name)).items()}

    async def _listing(self, box: Box, name: str) -> dict[int, tuple[str, frozenset[bytes]]]:
        reader = Client(len(self.clients), box, lambda: (self.demo.host, self.demo.ports["imaps"]), Counts(), 0)
        try:
            return await reader.listing(name)
        finally:
            reader.drop()

    async def _agree(self) -> None:
        """Every client that is still connected hears the last news and then knows what a fresh look shows."""
        for client in self.clients:
            if client.view is None:
                continue
            try:
                await client.noop()
                await client.noop()
            except Lost:
                client.drop()
        for box in self.boxes:
            for name in box.folders:
                fresh = await self._listing(box, name)
                for client in self.clients:
                    view = client.view
                    if view is None or view.folder is not box.folders[name]:
                        continue
                    if view.uids != sorted(fresh):
                        wrong = sorted({uid for uid in view.uids if uid} ^ fresh.keys())
                        view.bad(f"at the end its view and a fresh look differ by {wrong[:10]}")
                    for uid, flags in view.flags.items():
                        if uid in fresh and fresh[uid][1] != flags:
                            view.bad(f"at the end UID {uid} has {set(fresh[uid][1])}, it was told {set(flags)}")

    def verify(self) -> list[dict]:
        """`postern mailbox verify` of everybody."""
        config = str(self.demo.data / "postern.toml")
        command = [sys.executable, "-m", "postern", "mailbox", "verify", "--all", "--json", "--config", config]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode:
            self.bad(f"mailbox verify: {done.stderr[-500:]}")
            return []
        rows = json.loads(done.stdout)
        for row in rows:
            if not row["sound"]:
                self.bad(f"mailbox verify: {row['address']}: {row['findings'][:3]}")
        return rows

    def read_log(self, path: Path) -> Counter[str]:
        """Warnings and errors of the server; whatever is no killed worker is a violation."""
        found: Counter[str] = Counter()
        for line in path.read_text().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                event = {"level": "error", "event": line}
            found[str(event.get("event"))[:80]] += 1
            if event.get("level") in ("error", "critical") and event.get("event") != "process.died":
                self.bad(f"server log: {line[:300]}")
        return found


def run(plan: Plan, data: Path) -> dict:
    """Start a server, play, stop it; the figures."""
    process, demo = start_demo(data, "--workers", "2")
    begun, own = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    this = Run(demo, plan)
    try:
        asyncio.run(this.play())
        seconds = time.monotonic() - begun
        server_cpu = sum(cpu_s(pid) for pid in [demo.pid, *descendants(demo.pid)])
        now = resource.getrusage(resource.RUSAGE_SELF)
        rows = this.verify()
    finally:
        stop_demo(process)
    log = this.read_log(data.with_suffix(".log"))
    operations = sum(this.counts.done.values())
    return {
        "seconds": round(seconds, 1),
        "clients": plan.clients,
        "mailboxes": plan.mailboxes,
        "operations": operations,
        "operations_per_s": round(operations / seconds, 1),
        "by_operation": dict(sorted(this.counts.done.items())),
        "kills": this.kills,
        "connections_lost": this.counts.lost,
        "connections_made": this.counts.reconnected,
        "acknowledged": sum(len(box.accepted) for box in this.boxes),
        "uids_seen": sum(len(folder.tokens) for box in this.boxes for folder in box.folders.values()),
        "uids_gone": sum(len(folder.gone) for box in this.boxes for folder in box.folders.values()),
        "verified": {key: sum(row[key] for row in rows) for key in ("items", "bodies", "sound")},
        "server_cpu_s": round(server_cpu, 1),
        "clients_cpu_s": round(now.ru_utime + now.ru_stime - own.ru_utime - own.ru_stime, 1),
        "log": dict(log),
        "violations": len(this.bad.found),
        "found": this.bad.found[:50],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="IMAP clients with a model against a server whose workers are killed")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=Plan(0).clients)
    parser.add_argument("--mailboxes", type=int, default=Plan(0).mailboxes, help="at most 10")
    parser.add_argument("--rate", type=float, default=Plan(0).rate, help="operations a second, all clients together")
    parser.add_argument("--kill-every", type=float, default=Plan(0).kill_every_s, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=Plan(0).seed)
    parser.add_argument("--data", type=Path, help="keep the organisation here")
    arguments = parser.parse_args()
    plan = Plan(
        arguments.minutes * 60,
        arguments.clients,
        arguments.mailboxes,
        arguments.rate,
        arguments.kill_every,
        arguments.seed,
    )
    with tempfile.TemporaryDirectory(prefix="stress-") as place:
        figures = run(plan, arguments.data or Path(place) / "data")
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
