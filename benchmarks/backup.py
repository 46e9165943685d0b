"""How fast a backup is: the first, one without changes, one after a small change; in clear and encrypted; restore.

python -m benchmarks.backup --megabytes 300 --mailboxes 50
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from pathlib import Path

from postern.backup.checking import verify
from postern.backup.crypt import Secret
from postern.backup.repository import open_repository
from postern.backup.taking import Taking
from postern.backup.whole import Restoring
from postern.config.settings import Server, Settings
from postern.directory.interface import Domain, NewAccount
from postern.model.items import SpecialUse
from postern.net.clock import SystemClock, SystemEntropy
from postern.roles.context import accepting, open_organisation

MESSAGE_BYTES = 60_000


async def fill(settings: Settings, mailboxes: int, messages: int, first: int) -> None:
    """Messages that do not compress, one after the other through all mailboxes."""
    chance = random.Random(first)
    async with open_organisation(settings) as parts, accepting(parts) as mailflow:
        accounts = await parts.directory.accounts()
        if not accounts:
            await parts.directory.put_domain(Domain("example.org"))
            accounts = await parts.directory.create_accounts(
                [NewAccount(f"user{number}@example.org") for number in range(mailboxes)]
            )
            for account in accounts:
                await parts.store.create_mailbox(account.mailbox, account.slot, account.quota)
        inboxes = []
        for account in accounts:
            mailbox = await parts.store.mailbox(account.mailbox)
            inboxes.append((account.mailbox, (await mailbox.special(SpecialUse.INBOX)).id))

        async def one(number: int) -> None:
            mailbox, inbox = inboxes[number % len(inboxes)]
            body = chance.randbytes(MESSAGE_BYTES // 2).hex().encode()
            content = b"Subject: %d\r\n\r\n" % (first + number) + body
            await mailflow.append(mailbox, inbox, content, 0, (), None)

        for start in range(0, messages, 50):
            await asyncio.gather(*(one(number) for number in range(start, min(start + 50, messages))))


def measure(settings: Settings, where: Path, secret: Secret | None, label: str, compress: bool = False) -> None:
    repository = open_repository(where, SystemEntropy(), secret, make=True)
    cpu = time.process_time()
    with repository.locked(alone=True):
        taken = Taking(repository, settings.data_dir, SystemClock(), compress=compress).run()
    cpu = time.process_time() - cpu
    assert not taken.trouble, taken.trouble
    report(
        label,
        seconds=taken.seconds,
        cpu=cpu,
        total_mb=taken.total_bytes / 1e6,
        read_mb=taken.read_bytes / 1e6,
        new_mb=taken.new_bytes / 1e6,
        mb_per_s=taken.read_bytes / 1e6 / taken.seconds,
    )


def report(label: str, **figures: float) -> None:
    print(json.dumps({"run": label, **{name: round(value, 3) for name, value in figures.items()}}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--mailboxes", type=int, default=50)
    parser.add_argument("--place", type=Path, default=None, help="a directory on the disk to be measured")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.place) as place:
        settings = Settings(server=Server(hostname="mail.example.org", data=str(Path(place) / "data")))
        messages = given.megabytes * 1_000_000 // MESSAGE_BYTES
        asyncio.run(fill(settings, given.mailboxes, messages, 0))
        os.sync()
        time.sleep(2.5)  # what was written a moment ago is read once more by the next run
        chunk = Path(place) / "raw"
        data = random.Random(1).randbytes(64 << 20)
        started = time.monotonic()
        with chunk.open("wb") as file:
            file.write(data)
            os.fdatasync(file.fileno())
        report("disk: 64 MiB written and synced", mb_per_s=len(data) / 1e6 / (time.monotonic() - started))
        key = Secret("file", b"k" * 64)
        for secret, name in ((None, "clear"), (key, "encrypted")):
            measure(settings, Path(place) / name, secret, f"{name}: first")
            measure(settings, Path(place) / name, secret, f"{name}: nothing changed")
        measure(settings, Path(place) / "compressed", None, "compressed: first", compress=True)
        asyncio.run(fill(settings, given.mailboxes, max(messages // 100, 1), messages))
        time.sleep(2.5)
        measure(settings, Path(place) / "clear", None, "clear: one in a hundred new")
        repository = open_repository(Path(place) / "clear", SystemEntropy(), None)
        with repository.locked(alone=False):
            started = time.monotonic()
            checked = verify(repository)
            seconds = time.monotonic() - started
            report("clear: verify", seconds=seconds, mb_per_s=checked.read_bytes / 1e6 / seconds)
            started = time.monotonic()
            restored = Restoring(repository, repository.snapshots()[-1], Path(place) / "restored", 1).run()
            seconds = time.monotonic() - started
            assert not restored.trouble, restored.trouble
            report("clear: restore", seconds=seconds, mb_per_s=restored.restored_bytes / 1e6 / seconds)


if __name__ == "__main__":
    main()
