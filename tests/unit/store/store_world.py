"""Stand-ins for the journal's bodies, the bus and time, and a way to make items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from postern.formats.mime.scan import new_item, scan
from postern.model.ids import BlobRef, DeliveryKey, FolderId, MailboxId
from postern.model.items import Columns, NewItem, Quota
from postern.store.interface import Delivery, Mailbox, Store

MAILBOX = MailboxId("00112233445566778899aabbccddeeff")
OTHER = MailboxId("ff112233445566778899aabbccddeeff")


class MemoryBlobs:
    def __init__(self) -> None:
        self.bodies: dict[BlobRef, bytes] = {}

    def put(self, content: bytes, segment: int = 1) -> BlobRef:
        ref = BlobRef(segment, len(self.bodies))
        self.bodies[ref] = content
        return ref

    async def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        body = self.bodies[ref]
        return body[offset:] if length is None else body[offset : offset + length]

    async def read_many(self, refs: Sequence[BlobRef]) -> list[bytes]:
        return [self.bodies[ref] for ref in refs]

    async def read_views(self, refs: Sequence[BlobRef], *, to_send: bool = False) -> list[bytes | memoryview]:
        return [memoryview(self.bodies[ref]) for ref in refs]


class MemoryBus:
    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.published: list[tuple[int, int]] = []
        self._wakes: dict[int, list[Callable[[], None]]] = {}

    def subscribe(self, slot: int, wake: Callable[[], None]) -> Callable[[], None]:
        self._wakes.setdefault(slot, []).append(wake)
        return lambda: self._wakes[slot].remove(wake)

    def publish(self, slot: int, change_number: int) -> None:
        self.numbers[slot] = max(change_number, self.numbers.get(slot, 0))
        self.published.append((slot, change_number))
        for wake in self._wakes.get(slot, ()):
            wake()

    def current(self, slot: int) -> int:
        return self.numbers.get(slot, 0)


class ManualClock:
    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def timestamp(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


UNLIMITED = Quota(None, None, None)


class World(NamedTuple):
    """A store with what it stands on; `reopen(epoch)` is a second process over the same data."""

    store: Store
    blobs: MemoryBlobs
    bus: MemoryBus
    clock: ManualClock
    data: Path
    reopen: Callable[[int], Store]


async def all_rows(mailbox: Mailbox, folder: FolderId, columns: Columns, **more: Any) -> list[tuple[Any, ...]]:
    return [row async for rows in mailbox.items(folder, columns, **more) for row in rows]


async def fill(world: World, count: int) -> list[int]:
    results = await world.store.deliver([delivery(world.blobs, n) for n in range(count)])
    return [r.placement.uid for r in results if r.placement]


def message(number: int = 0, text: str = "Hello.", subject: str = "", size: int = 0) -> bytes:
    head = (
        f"From: Anna <anna@example.org>\r\nTo: boris@example.org\r\nSubject: {subject or f'message {number}'}\r\n"
        f"Date: Tue, 14 Nov 2023 22:13:{number % 60:02} +0000\r\nMessage-ID: <{number}@example.org>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    return (head + text + "\r\n").encode() + b"x" * size


def item(
    blobs: MemoryBlobs, content: bytes, flags: int = 0, keywords: tuple[str, ...] = (), segment: int = 1
) -> NewItem:
    ref = blobs.put(content, segment)
    prefix = b"Return-Path: <anna@example.org>\r\n"
    return new_item(scan(content), ref, len(content), prefix, 1_700_000_000, flags, keywords)


def delivery(blobs: MemoryBlobs, number: int, mailbox: MailboxId = MAILBOX, segment: int = 1) -> Delivery:
    return Delivery(mailbox, DeliveryKey(segment, number), item(blobs, message(number), segment=segment))
