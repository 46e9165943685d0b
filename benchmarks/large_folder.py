"""What a folder of 250 000 messages costs: quick resynchronisation, one STORE, FETCH 1:* FLAGS, memory.

    python -m benchmarks.large_folder [--messages 250000]

Runs in one process over a store of its own in a temporary directory; prints one JSON object. Times are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from postern.formats.mime.scan import new_item, scan
from postern.frontends.imap.frontend import ImapFrontend
from postern.frontends.imap.settings import ImapSettings
from postern.model.ids import AccountId, BlobRef, DeliveryKey, MailboxId
from postern.model.items import Quota
from postern.net.clock import SystemClock
from postern.services.mailboxes import Mailboxes
from postern.services.principal import Principal
from postern.store.interface import Delivery
from postern.store.sqlite.engine import SqliteStore

LARGE, SMALL = MailboxId("00" * 15 + "01"), MailboxId("00" * 15 + "02")
MESSAGE = b"From: a@example.org\r\nSubject: x\r\n\r\ntext\r\n"
BATCH = 5000


class Bodies:
    """One body for all."""

    async def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        return MESSAGE[offset:] if length is None else MESSAGE[offset : offset + length]

    async def read_many(self, refs: list[tuple[int, int]]) -> list[bytes]:
        return [MESSAGE] * len(refs)

    read_views = read_many


class Numbers:
    """The bus of one process."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def subscribe(self, slot: int, wake: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def publish(self, slot: int, change_number: int) -> None:
        self.numbers[slot] = max(change_number, self.numbers.get(slot, 0))

    def current(self, slot: int) -> int:
        return self.numbers.get(slot, 0)


class Everything:
    """Everybody may everything."""

    async def may(self, principal: Principal, right: object, on: object) -> bool:
        return True

    async def mailboxes(self, principal: Principal) -> list[tuple[str, MailboxId, int]]:
        return [("large", LARGE, 1), ("small", SMALL, 2)]

    async def inherit(self, mailbox: object, parent: object, folder: object) -> None:
        pass


class Users:
    """`large` and `small`, any password."""

    async def verify_password(self, user: str, password: str, peer: str, protocol: str, **_: object) -> Principal:
        number = 1 if user == "large" else 2
        return Principal(AccountId(number), user, LARGE if number == 1 else SMALL, number)

    async def watch(self, principal: Principal, protocol: str, session: object) -> Callable[[], None]:
        return lambda: None


class Pipe:
    """A stream in memory that counts and forgets what is written, its last line apart."""

    def __init__(self) -> None:
        self.peer, self.local, self.tls = ("127.0.0.1", 1), ("127.0.0.1", 2), None
        self.octets = 0
        self.last = b""
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self.wrote = asyncio.Event()

    async def read(self, timeout_s: float) -> bytes:
        return await self._input.get()

    def write(self, data: bytes | list[bytes]) -> None:
        for piece in [data] if isinstance(data, bytes) else data:
            self.octets += len(piece)
            self.last = (self.last + bytes(piece))[-4096:]
        self.wrote.set()

    async def drain(self, timeout_s: float = 0) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        self.wrote.set()

    async def command(self, text: bytes) -> bytes:
        self._input.put_nowait(b"t " + text + b"\r\n")
        while b"\r\nt " not in b"\r\n" + self.last:
            self.wrote.clear()
            await self.wrote.wait()
        answer, self.last = self.last, b""
        if b"t OK" not in answer:
            raise RuntimeError(answer[-300:].decode("latin-1"))
        return answer


def resident_mb() -> float:
    """Memory of this process alone: pages of files that the kernel shows it are no growth."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1000


async def median_ms(work: Callable[[], Awaitable[object]], rounds: int = 15) -> float:
    """Milliseconds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        await work()
        times.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(times), 2)


async def fill(store: SqliteStore, mailbox: MailboxId, count: int) -> None:
    """Deliver the same message again and again."""
    scanned = scan(MESSAGE)
    item = new_item(scanned, BlobRef(1, 0), len(MESSAGE), b"", 1_700_000_000)
    for start in range(0, count, BATCH):
        await store.deliver(
            [Delivery(mailbox, DeliveryKey(1, n), item) for n in range(start, min(start + BATCH, count))]
        )


async def measure(messages: int) -> dict[str, float]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        bus = Numbers()
        store = SqliteStore(Path(folder), Bodies(), bus, SystemClock(), 1, reserve_bytes=0)  # type: ignore[arg-type]
        for slot, (mailbox, count) in enumerate(((LARGE, messages), (SMALL, 1000)), 1):
            await store.create_mailbox(mailbox, slot, Quota(None, None, None))
            await fill(store, mailbox, count)
        os.sync()  # what filling has left to be written must not be paid for by the first STORE
        found = await _measured(store, bus, messages)
        await store.close()
    return found


async def _measured(store: SqliteStore, bus: Numbers, messages: int) -> dict[str, float]:
    mailboxes = Mailboxes(store, bus, Everything(), None, SystemClock())  # type: ignore[arg-type]
    frontend = ImapFrontend(
        ImapSettings(cleartext_login="loopback"),
        mailboxes,  # type: ignore[arg-type]
        Users(),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
    )
    found: dict[str, float] = {"messages": messages}
    tasks = []
    for user in ("large", "small"):
        pipe = Pipe()
        tasks.append(asyncio.ensure_future(frontend.handle(pipe)))  # type: ignore[arg-type]
        await pipe.command(b"LOGIN %b x" % user.encode())
        await pipe.command(b"ENABLE QRESYNC")
        first = time.perf_counter()
        answer = await pipe.command(b"SELECT INBOX")
        found[f"{user}_first_select_ms"] = round((time.perf_counter() - first) * 1000, 2)
        validity = answer.partition(b"[UIDVALIDITY ")[2].partition(b"]")[0]
        number = answer.partition(b"[HIGHESTMODSEQ ")[2].partition(b"]")[0]
        again = b"SELECT INBOX (QRESYNC (%b %b))" % (validity, number)
        found[f"{user}_qresync_select_ms"] = await median_ms(lambda p=pipe, c=again: p.command(c))  # type: ignore[misc]
        flags = iter(range(100))

        async def store_one(p: Pipe = pipe, turn: object = flags) -> None:
            sign = b"+" if next(turn) % 2 else b"-"  # type: ignore[call-overload]
            await p.command(b"STORE 500 %bFLAGS (\\Flagged)" % sign)

        found[f"{user}_store_ms"] = await median_ms(store_one)
        before = resident_mb()
        started = time.perf_counter()
        await pipe.command(b"FETCH 1:* FLAGS")
        found[f"{user}_fetch_flags_ms"] = round((time.perf_counter() - started) * 1000, 1)
        found[f"{user}_fetch_flags_growth_mb"] = round(resident_mb() - before, 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    found["store_ratio"] = round(found["large_store_ms"] / found["small_store_ms"], 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=250_000)
    print(json.dumps(asyncio.run(measure(parser.parse_args().messages)), indent=1))


if __name__ == "__main__":
    main()
