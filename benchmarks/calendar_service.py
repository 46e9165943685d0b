"""Free/busy from mailboxes: 100 people, six weeks, 70 items each; after a start, again, and as after a further start.

Run: python -m benchmarks.calendar_service
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from time import perf_counter, process_time

from benchmarks.calendar_engine import NOW, series, single
from postern.convert.appointments import span_of, to_properties
from postern.directory.interface import Domain, NewAccount
from postern.directory.sqlite import SqliteDirectory
from postern.formats.mime.scan import scan
from postern.formats.mime.standin import standin
from postern.model.calendar.zones import UTC_ZONE
from postern.model.ids import NO_BLOB
from postern.model.items import ItemClass, NewItem, Quota, SpecialUse
from postern.model.properties import pack
from postern.net.clock import SystemClock, SystemEntropy
from postern.services.calendar.availability import FreeBusy
from postern.services.principal import Principal
from postern.store.blobs import SegmentBlobs
from postern.store.sqlite.connection import configure
from postern.store.sqlite.engine import SqliteStore

PEOPLE = 100


class Bus:
    """One process needs no bus but its numbers."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def subscribe(self, slot, wake):  # type: ignore[no-untyped-def]
        return lambda: None

    def publish(self, slot: int, change_number: int) -> None:
        self.numbers[slot] = change_number

    def current(self, slot: int) -> int:
        return self.numbers.get(slot, 0)


def item(appointment) -> NewItem:  # type: ignore[no-untyped-def]
    prefix = standin(appointment.subject, None)
    found = scan(prefix)
    return NewItem(
        NO_BLOB, 0, prefix, 0, found.envelope, found.bodystructure, found.parts, b"", appointment.subject, None, "",
        item_class=ItemClass.APPOINTMENT, properties=pack(to_properties(appointment)),
        span=span_of(appointment, UTC_ZONE),
    )  # fmt: skip


async def main() -> None:
    configure()
    with tempfile.TemporaryDirectory() as place:
        directory = SqliteDirectory(Path(place) / "directory.db", SystemEntropy(), SystemClock())
        store = SqliteStore(Path(place), SegmentBlobs(Path(place)), Bus(), SystemClock(), 1, reserve_bytes=0)
        await directory.put_domain(Domain("example.org"))
        accounts = await directory.create_accounts([NewAccount(f"p{n}@example.org", "") for n in range(PEOPLE)])
        for p, account in enumerate(accounts):
            await store.create_mailbox(account.mailbox, account.slot, Quota(None, None, None))
            mailbox = await store.mailbox(account.mailbox)
            calendar = (await mailbox.special(SpecialUse.CALENDAR)).id
            own = [single(p * 60 + n) for n in range(60)] + [series(p * 10 + n) for n in range(10)]
            await mailbox.add(calendar, [item(each) for each in own])
        principal = Principal(accounts[0].id, accounts[0].address, accounts[0].mailbox, accounts[0].slot)
        addresses = [account.address for account in accounts]
        await store.close()
        await directory.close()
        # as after a start: no mailbox is open, and what was made before stays out of the garbage collector's way
        directory = SqliteDirectory(Path(place) / "directory.db", SystemEntropy(), SystemClock())
        store = SqliteStore(Path(place), SegmentBlobs(Path(place)), Bus(), SystemClock(), 1, reserve_bytes=0)
        gc.collect()
        gc.freeze()

        async def ask(name: str, service: FreeBusy, start=NOW) -> None:  # type: ignore[no-untyped-def]
            lag, done = [0.0], asyncio.Event()

            async def watch() -> None:
                while not done.is_set():
                    before = perf_counter()
                    await asyncio.sleep(0)
                    lag[0] = max(lag[0], perf_counter() - before)

            watcher = asyncio.create_task(watch())
            cpu, wall = process_time(), perf_counter()
            found = await service.ask(principal, addresses, start, start + timedelta(weeks=6))
            cpu, wall = process_time() - cpu, perf_counter() - wall
            done.set()
            await watcher
            count = sum(len(each.blocks) for each in found)
            print(
                f"{name}: {cpu * 1000:.0f} ms CPU, {wall * 1000:.0f} ms, longest slice {lag[0] * 1000:.1f} ms, {count}"
            )

        service = FreeBusy(store, directory)
        await ask("cold: nothing known, occurrences counted", service)
        await ask("mailboxes seen, another window", service, NOW + timedelta(days=1))
        await ask("warm: the same window again", service)
        for days in range(2, 6):
            await store.close()
            store = SqliteStore(Path(place), SegmentBlobs(Path(place)), Bus(), SystemClock(), 1, reserve_bytes=0)
            await ask("cold again, another window", FreeBusy(store, directory), NOW + timedelta(days=days))
        await store.close()
        await directory.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
