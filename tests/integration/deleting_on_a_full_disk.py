"""Moves and deletes mail in a mailbox whose disk is full; runs in a small file system of its own.

    unshare --map-root-user --mount sh -c 'mount -t tmpfs -o size=48m none DIR; exec python -m ... DIR'

Prints what was left of each folder, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from postern.formats.mime.scan import new_item, scan
from postern.model.ids import BlobRef, MailboxId
from postern.model.items import Columns, Flag, Quota, SpecialUse
from postern.net.clock import SystemClock
from postern.store.interface import FlagChange
from postern.store.sqlite import upkeep
from postern.store.sqlite.engine import SqliteStore

MAILBOX = MailboxId("00112233445566778899aabbccddeeff")
MESSAGES = 6000
RESERVE_BYTES = 4 << 20
RESERVE_TO_MOVE_BYTES = 512 << 10
"""Moving writes less than deleting."""


class NoBlobs:
    """Bodies are never asked for."""


class NoBus:
    """Nobody listens."""

    def subscribe(self, slot, wake):
        return lambda: None

    def publish(self, slot, number):
        return None

    def current(self, slot):
        return 0


async def uids_of(mailbox, folder) -> list[int]:
    return [row[0] async for rows in mailbox.items(folder, Columns.UID) for row in rows]


def open_store(data: Path, reserve_bytes: int) -> SqliteStore:
    """With so much room kept back, which is taken at once."""
    store = SqliteStore(data, NoBlobs(), NoBus(), SystemClock(), 1, reserve_bytes=reserve_bytes)
    assert store._host.reserve.ensure()
    return store


def fill_up(data: Path) -> None:
    with (data / "films").open("wb", buffering=0) as films:
        try:
            while True:
                films.write(bytes(4096))
        except OSError:
            pass


async def make(data: Path) -> None:
    store = open_store(data, RESERVE_TO_MOVE_BYTES)
    await store.create_mailbox(MAILBOX, 1, Quota(None, None, None))
    mailbox = await store.mailbox(MAILBOX)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    content = b"Subject: x\r\nX-Filler: " + b"y" * 900 + b"\r\n\r\nbody\r\n"
    item = new_item(scan(content), BlobRef(1, 1), len(content), b"", 1_700_000_000, 0, ())
    for folder in (inbox, (await mailbox.create_folder(None, "box")).id):
        for _ in range(MESSAGES // 500):
            uids = [placed.uid for placed in await mailbox.add(folder, [item] * 500)]
            # every second one: no page of the file becomes empty, each has to be written
            await mailbox.set_flags(folder, [(uid, uid) for uid in uids[::2]], FlagChange(add=Flag.DELETED))
    await mailbox.create_folder(None, "old")
    await store.close()
    upkeep.backfill(store.path(MAILBOX))
    upkeep.restart_log(store.path(MAILBOX))


async def move(data: Path) -> dict[str, int]:
    """All to another folder, within it, and back."""
    store = open_store(data, RESERVE_TO_MOVE_BYTES)
    fill_up(data)
    mailbox = await store.mailbox(MAILBOX)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    (old,) = [folder.id for folder in await mailbox.folders() if folder.name == "old"]
    before = await uids_of(mailbox, inbox)
    moved = await mailbox.move(inbox, [(1, 2**32 - 1)], old)
    assert list(moved.sources) == before
    assert await uids_of(mailbox, old) == list(moved.placements)
    within = await mailbox.move(old, [(1, 2**32 - 1)], old)
    assert list(within.sources) == list(moved.placements)
    assert await uids_of(mailbox, old) == list(within.placements)
    back = await mailbox.move(old, [(1, 2**32 - 1)], inbox)
    await mailbox.durable()
    await store.close()
    return {"moved": len(moved.sources), "within": len(within.sources), "back": len(back.sources)}


async def delete(data: Path) -> dict[str, int]:
    store = open_store(data, RESERVE_BYTES)
    fill_up(data)
    mailbox = await store.mailbox(MAILBOX)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    names = {folder.name: folder.id for folder in await mailbox.folders()}
    gone = await mailbox.expunge(inbox, None)
    await mailbox.delete_folder(names["box"])
    await mailbox.durable()
    left = (await mailbox.folder(inbox)).messages
    names = [folder.name for folder in await mailbox.folders()]
    await store.close()
    return {"gone": len(gone), "left": left, "box": "box" in names}


async def main(data: Path) -> None:
    await make(data)
    facts = await move(data)
    (data / "films").unlink()
    print(json.dumps(facts | await delete(data)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
