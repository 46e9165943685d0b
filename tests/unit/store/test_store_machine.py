"""A random history of a mailbox: numbers only grow, and changes replayed onto an old view give the new one."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from store_world import MAILBOX, UNLIMITED, ManualClock, MemoryBlobs, MemoryBus, all_rows, item, message

from postern.model.ids import DeliveryKey
from postern.model.items import Columns, FolderClass, SpecialUse
from postern.model.ranges import merged
from postern.store.interface import Delivery, FlagChange
from postern.store.sqlite import mailbox as engine_mailbox
from postern.store.sqlite.engine import SqliteStore

FOLDERS = 3
BITS = st.integers(0, 31)


class Session:
    """What a client knows of a folder, kept up by `changes` alone."""

    def __init__(self, since: int, flags: dict[int, int]) -> None:
        self.since = since
        self.flags = flags


class MailboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.data = Path(tempfile.mkdtemp())
        self.blobs, self.bus, self.clock = MemoryBlobs(), MemoryBus(), ManualClock()
        self.model: list[dict[int, int]] = [{} for _ in range(FOLDERS)]
        self.sessions: list[Session] = []
        self.keys = itertools.count()
        self.highest = 0
        self.numbers: set[int] = set()
        self.epoch = 1

    def do(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def start(self) -> None:
        self.store = SqliteStore(self.data, self.blobs, self.bus, self.clock, self.epoch)
        self.box = self.do(self.store.mailbox(MAILBOX))

    @initialize()
    def make(self) -> None:
        store = SqliteStore(self.data, self.blobs, self.bus, self.clock, 1)
        self.do(store.create_mailbox(MAILBOX, 1, UNLIMITED))
        self.do(store.close())
        self.start()
        self.ids = [self.do(self.box.special(use)).id for use in (SpecialUse.INBOX, SpecialUse.ARCHIVE)]
        self.ids.append(self.do(self.box.create_folder(None, "Work", FolderClass.MAIL)).id)
        for number in range(FOLDERS):
            self.sessions.append(Session(self.do(self.box.view(self.ids[number])).folder.changed, {}))

    def given(self, uids: list[int]) -> None:
        assert uids == sorted(set(uids))
        assert not uids or uids[0] > self.highest
        self.highest = max([self.highest, *uids])

    def committed(self) -> None:
        number = self.do(self.box.change_number())
        assert number not in self.numbers
        self.numbers.add(number)

    def some(self, where: int, picks: list[int]) -> tuple[list[int], list[tuple[int, int]]]:
        have = sorted(self.model[where])
        uids = sorted({have[p % len(have)] for p in picks}) if have else []
        return uids, merged((uid, uid) for uid in uids)

    @rule(where=st.integers(0, FOLDERS - 1), flags=st.lists(BITS, min_size=1, max_size=4))
    def add(self, where: int, flags: list[int]) -> None:
        new = [item(self.blobs, message(1), bits) for bits in flags]
        placed = self.do(self.box.add(self.ids[where], new))
        self.given([p.uid for p in placed])
        self.model[where].update(zip((p.uid for p in placed), flags, strict=True))
        self.committed()

    @rule(flags=BITS, twice=st.booleans())
    def deliver(self, flags: int, twice: bool) -> None:
        sent = Delivery(MAILBOX, DeliveryKey(1, next(self.keys)), item(self.blobs, message(2), flags))
        results = self.do(self.store.deliver([sent] * (1 + twice)))
        assert [r.placement is None for r in results] == [False, True][: 1 + twice]
        self.given([results[0].placement.uid])
        self.model[0][results[0].placement.uid] = flags
        self.committed()

    @rule(
        where=st.integers(0, FOLDERS - 1),
        picks=st.lists(st.integers(0, 50), max_size=5),
        add=BITS,
        remove=BITS,
        replace=st.booleans(),
    )
    def store_flags(self, where: int, picks: list[int], add: int, remove: int, replace: bool) -> None:
        uids, ranges = self.some(where, picks)
        change = FlagChange(add=add, remove=remove, replace=replace)
        result = self.do(self.box.set_flags(self.ids[where], ranges, change))
        wanted = {uid: (0 if replace else self.model[where][uid] & ~remove) | add for uid in uids}
        assert {c.uid: c.flags for c in result.changed} == wanted
        assert [c.uid for c in result.changed] == uids
        if any(self.model[where][uid] != bits for uid, bits in wanted.items()):
            self.committed()
        self.model[where].update(wanted)

    @rule(
        where=st.integers(0, FOLDERS - 1),
        into=st.integers(0, FOLDERS - 1),
        picks=st.lists(st.integers(0, 50), max_size=5),
        keep=st.booleans(),
    )
    def transfer(self, where: int, into: int, picks: list[int], keep: bool) -> None:
        uids, ranges = self.some(where, picks)
        call = self.box.copy if keep else self.box.move
        result = self.do(call(self.ids[where], ranges, self.ids[into]))
        assert list(result.sources) == uids
        self.given(list(result.placements))
        for old, new in zip(uids, result.placements, strict=True):
            self.model[into][new] = self.model[where][old] if keep else self.model[where].pop(old)
        if uids:
            self.committed()

    @rule(where=st.integers(0, FOLDERS - 1), picks=st.lists(st.integers(0, 50), max_size=5), all_=st.booleans())
    def expunge(self, where: int, picks: list[int], all_: bool) -> None:
        uids, ranges = self.some(where, picks)
        gone = self.do(self.box.expunge(self.ids[where], None if all_ else ranges))
        pool = sorted(self.model[where]) if all_ else uids
        assert list(gone) == [uid for uid in pool if self.model[where][uid] & 8]
        for uid in gone:
            del self.model[where][uid]
        if gone:
            self.committed()
            view = self.do(self.box.special(SpecialUse.RECOVERABLE))
            self.highest = max(self.highest, view.uid_next - 1)

    @rule()
    def purge(self) -> None:
        before = self.do(self.box.change_number())
        self.clock.seconds += 10
        if self.do(self.box.purge_recoverable(self.clock.seconds)):
            assert self.do(self.box.change_number()) > before
            self.committed()

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        self.do(self.store.close())
        self.bus.numbers.clear()
        self.epoch += not clean
        self.start()
        assert self.do(self.box.change_number()) >= max(self.numbers, default=0)

    @precondition(lambda self: self.sessions)
    @rule(where=st.integers(0, FOLDERS - 1))
    def catch_up(self, where: int) -> None:
        session = self.sessions[where]
        found = self.do(self.box.changes(self.ids[where], session.since))
        assert found.complete
        for uid in found.vanished:
            session.flags.pop(uid, None)
        for changed in found.changed:
            assert (changed.created > session.since) == (changed.uid not in session.flags)
            session.flags[changed.uid] = changed.flags
        assert session.flags == self.model[where]
        session.since = found.upto

    @invariant()
    def counters_and_rows_agree(self) -> None:
        if not self.sessions:
            return
        for where, model in enumerate(self.model):
            view = self.do(self.box.view(self.ids[where]))
            assert view.uids.tolist() == sorted(model)
            rows = self.do(all_rows(self.box, self.ids[where], Columns.UID | Columns.FLAGS | Columns.SIZE))
            assert {uid: flags for uid, flags, _ in rows} == model
            folder = view.folder
            assert folder.size_bytes == sum(size for *_, size in rows)
            assert folder.messages == len(model)
            assert folder.unseen == sum(not f & 1 for f in model.values())
            assert folder.deleted == sum(f >> 3 & 1 for f in model.values())
            unseen = [uid for uid, f in sorted(model.items()) if not f & 1]
            assert view.first_unseen == (unseen[0] if unseen else None)
            assert folder.uid_next > max(model, default=0)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.do(self.store.close())
        self.loop.close()
        shutil.rmtree(self.data)


class BulkMachine(MailboxMachine):
    """The same with every set operation on the way that large ones take."""

    def __init__(self) -> None:
        super().__init__()
        self._limits = engine_mailbox.BULK_ITEMS
        engine_mailbox.BULK_ITEMS = 0

    def teardown(self) -> None:
        engine_mailbox.BULK_ITEMS = self._limits
        super().teardown()


TestMailboxHistory = MailboxMachine.TestCase
TestMailboxHistory.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestBulkHistory = BulkMachine.TestCase
TestBulkHistory.settings = settings(max_examples=8, stateful_step_count=30, deadline=None)
