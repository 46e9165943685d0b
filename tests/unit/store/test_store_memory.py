"""What an open mailbox takes of a process's memory."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

MEASURED = """
import asyncio, ctypes, sys
from pathlib import Path
from store_world import UNLIMITED, ManualClock, MemoryBlobs, MemoryBus
from postern.model.ids import MailboxId
from postern.model.items import SpecialUse
from postern.store.sqlite import connection
from postern.store.sqlite.engine import SqliteStore

NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES.split()]
library = ctypes.CDLL(None)
library.mallinfo2.restype = Info
names = [MailboxId(f"{n:032x}") for n in range(20)]

async def main():
    for epoch in (1, 2):
        store = SqliteStore(Path(sys.argv[1]), MemoryBlobs(), MemoryBus(), ManualClock(), epoch, reserve_bytes=1 << 20)
        before = library.mallinfo2().uordblks
        for slot, name in enumerate(names, 1):
            if epoch == 1:
                await store.create_mailbox(name, slot, UNLIMITED)
            mailbox = await store.mailbox(name)
            await mailbox.folders()
            await mailbox.view((await mailbox.special(SpecialUse.INBOX)).id)
        taken = library.mallinfo2().uordblks - before
        await store.close()
    print(taken // len(names) // 1024)

connection.configure()
asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="the C library does not tell")
def test_an_open_mailbox_takes_less_than_200_kib(tmp_path: Path) -> None:
    """In a process that configures SQLite as servers do, after a start in a new epoch and what SELECT asks."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    assert 50 < int(done.stdout) < 200
