"""Fifty clients that do at random what mail programs do, and compare everything they are told with the model."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import Callable

from tests.stress.model import Box, Folder, Violations, content, is_keeper
from tests.stress.view import Items, View, items_of
from tests.stress.wire import Answer, Imap, Lost, Refused, Smtp, uid_set

LOW, HIGH = 15, 120
"""Messages that are no keepers in a folder: below, clients append; above, they delete."""
WEIGHTS = {
    "fetch_flags": 16,
    "fetch_body": 14,
    "fetch_header": 6,
    "store_keyword": 14,
    "store_unless_changed": 5,
    "store_seen": 6,
    "delete": 5,
    "expunge": 4,
    "copy": 5,
    "move": 6,
    "append": 8,
    "search": 6,
    "noop": 10,
    "idle": 2,
    "enter": 2,
}
_COPYUID = re.compile(rb"COPYUID (\d+) ([\d:,]+) ([\d:,]+)")
_APPENDUID = re.compile(rb"APPENDUID (\d+) (\d+)")


class Counts:
    """What has happened, for the report."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.lost = 0
        self.reconnected = 0


class Client:
    """One user's program: one connection, one selected folder at a time."""

    def __init__(
        self, number: int, box: Box, address: Callable[[], tuple[str, int]], counts: Counts, seed: int
    ) -> None:
        self.number, self.box, self.address, self.counts = number, box, address, counts
        self.chance = random.Random(seed * 1000 + number)
        self.keyword = b"$c%d" % number
        self.qresync = number % 2 == 1
        self.own: dict[str, dict[int, bool]] = {name: {} for name in box.folders}
        self.snapshots: dict[str, tuple[int, set[int]]] = {}
        """HIGHESTMODSEQ and UIDs as they were at the last SELECT: what a program with a cache comes back with."""
        self.imap: Imap | None = None
        self.view: View | None = None
        self.serial = 0

    # --- life

    async def run(self, until: float, pause_s: float) -> None:
        """Operations with pauses, whatever happens to the connection, until the loop's clock says so."""
        loop = asyncio.get_running_loop()
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        while loop.time() < until:
            try:
                if self.imap is None:
                    await self.connect()
                assert self.view is not None
                name = self.chance.choices(names, weights)[0]
                loose = sum(1 for uid in self.view.uids if uid and not self._is_kept(uid))
                if loose < LOW:
                    name = "append"
                elif loose > HIGH and name in ("append", "copy"):
                    name = "delete"
                await getattr(self, name)()
                self.counts.done[name] += 1
            except Lost:
                self.counts.lost += 1
                self.drop()
            except Refused as refused:
                self.box.bad(f"client {self.number}: {refused}")
            except AssertionError as failed:
                self.box.bad(f"client {self.number}: {failed}")
                self.drop()
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * pause_s)

    def drop(self) -> None:
        if self.imap is not None:
            self.imap.close()
        self.imap = self.view = None

    async def connect(self) -> None:
        self.counts.reconnected += 1
        self.imap = await Imap.open(*self.address(), self.box.user, self.box.password)
        if self.qresync:
            await self.imap.ask(b"ENABLE QRESYNC")
        await self.enter()

    def _is_kept(self, uid: int) -> bool:
        token = self.view.folder.tokens.get(uid, "") if self.view else ""
        return not token or is_keeper(token)

    # --- what every command goes through

    async def ask(
        self, command: bytes, *, may_expunge: bool = True, idle_s: float = 0.0
    ) -> tuple[Answer, dict[int, Items]]:
        assert self.imap is not None and self.view is not None
        view = self.view
        answer = await self.imap.ask(command, idle_s=idle_s)
        fetched = view.take(answer, may_expunge=may_expunge, cause=command[:30].decode("latin-1"))
        return answer, fetched

    async def learn(self) -> None:
        """Ask for UIDs and tokens that are not known yet."""
        view = self.view
        assert view is not None
        rounds = 0
        while None in view.uids:
            first, last = view.uids.index(None) + 1, len(view.uids)
            await self.ask(b"FETCH %d:%d (UID FLAGS)" % (first, last), may_expunge=False)
            if None in view.uids[:last]:
                # gone elsewhere meanwhile: the server says so at the next chance
                await self.ask(b"NOOP")
                rounds += 1
                if rounds > 20:  # others may come and go meanwhile, but not for ever
                    view.bad("FETCH gives no UID for messages that are not expunged")
                    return
        unknown = [uid for uid in view.uids if uid and uid not in view.folder.tokens]
        for at in range(0, len(unknown), 500):
            numbers = b",".join(b"%d" % uid for uid in unknown[at : at + 500])
            _, fetched = await self.ask(b"UID FETCH %b (BODY.PEEK[HEADER.FIELDS (X-Token)])" % numbers)
            for uid, items in fetched.items():
                self._token(uid, items)

    def _token(self, uid: int, items: Items) -> None:
        assert self.view is not None
        for name, value in items.items():
            if name.startswith(b"BODY[HEADER.FIELDS") and isinstance(value, bytes):
                self.view.folder.saw(uid, value.partition(b":")[2].strip().decode())

    def _missing(self, uids, fetched: dict[int, Items], what: str) -> None:
        """What was asked for and did not come is right only if somebody has deleted or moved it."""
        assert self.view is not None
        for uid in uids:
            if uid is not None and uid not in fetched and uid not in self.view.folder.doomed:
                self.view.bad(f"{what}: UID {uid} is not there, and nobody has touched it")

    def _some(self, most: int, *, kept: bool = True) -> list[int]:
        """UIDs at random, ascending."""
        assert self.view is not None
        uids = [uid for uid in self.view.uids if uid and self.view.folder.tokens.get(uid)]
        if not kept:
            uids = [uid for uid in uids if not self._is_kept(uid)]
        return sorted(self.chance.sample(uids, min(len(uids), self.chance.randint(1, most))))

    # --- operations

    async def enter(self) -> None:
        """SELECT one of the folders, by QRESYNC if there is something to come back with, and compare."""
        assert self.imap is not None
        name = self.chance.choice(list(self.box.folders))
        folder = self.box.folders[name]
        must, gone = folder.must_be_there(), set(folder.gone)
        known = self.snapshots.get(name) if self.qresync else None
        self.view = view = View(folder, self.keyword, self.own[name])
        command = b'SELECT "%b"' % name.encode()
        if known and folder.uid_validity:
            command += b" (QRESYNC (%d %d))" % (folder.uid_validity, known[0])
        try:
            answer = await self.imap.ask(command)
        except Refused:
            self.view = None
            self.drop()
            raise
        text = b"".join(pieces[0] for pieces in answer.untagged)
        exists = int(re.search(rb"\* (\d+) EXISTS", text)[1])  # type: ignore[index]
        modseq = int(re.search(rb"\[HIGHESTMODSEQ (\d+)\]", text)[1])  # type: ignore[index]
        folder.entered(int(re.search(rb"\[UIDVALIDITY (\d+)\]", text)[1]))  # type: ignore[index]
        view.uids = [None] * exists
        resumed = None
        if known and folder.uid_validity:
            resumed = self._resume(known[1], answer)
            if len(resumed) != exists:
                view.bad(f"QRESYNC from {known[0]}: {len(resumed)} messages by what was told, {exists} by EXISTS")
            else:
                view.uids = list(sorted(resumed))
        view.take(
            answer._replace(untagged=[p for p in answer.untagged if b" FETCH " in p[0]]),
            may_expunge=False,
            cause="SELECT",
        )
        if view.uids:  # everything, whatever is known: this is the check
            _, fetched = await self.ask(b"FETCH 1:%d (UID FLAGS)" % len(view.uids), may_expunge=False)
            self._missing(view.uids, fetched, "SELECT")
        await self.learn()
        there = {uid for uid in view.uids if uid}
        for uid in sorted(must - there - folder.doomed):
            view.bad(f"UID {uid} ({folder.tokens.get(uid)}) was acknowledged before SELECT and is not there")
        for uid in sorted(gone & there):
            view.bad(f"UID {uid} was gone before SELECT and is there")
        self.snapshots[name] = (modseq, there)

    def _resume(self, uids: set[int], answer: Answer) -> set[int]:
        """The UIDs by a client's cache and what QRESYNC told it."""
        now = set(uids)
        for pieces in answer.untagged:
            if found := re.match(rb"\* VANISHED \(EARLIER\) ([\d:,]+)", pieces[0]):
                for uid in set(uid_set(found[1])) & now:
                    now.discard(uid)
                    assert self.view is not None
                    self.view.folder.told_gone(uid)
            elif found := re.match(rb"\* \d+ FETCH ", pieces[0]):
                now.add(int(items_of(pieces, found.end())[b"UID"]))  # type: ignore[call-overload]
        return now

    async def fetch_flags(self) -> None:
        assert self.view is not None
        first = self.chance.randint(1, len(self.view.uids))
        last = min(len(self.view.uids), first + 30)
        wanted = self.view.uids[first - 1 : last]
        _, fetched = await self.ask(b"FETCH %d:%d (UID FLAGS)" % (first, last), may_expunge=False)
        self._missing(wanted, fetched, "FETCH")
        await self.learn()

    async def fetch_header(self) -> None:
        some = self._some(8)
        if some:
            numbers = b",".join(b"%d" % uid for uid in some)
            _, fetched = await self.ask(b"UID FETCH %b (ENVELOPE BODY.PEEK[HEADER.FIELDS (X-Token)])" % numbers)
            for uid, items in fetched.items():
                self._token(uid, items)
            self._missing(some, fetched, "UID FETCH")
        await self.learn()

    async def fetch_body(self) -> None:
        assert self.view is not None
        for uid in self._some(1):
            _, fetched = await self.ask(b"UID FETCH %d (BODY.PEEK[])" % uid)
            body, token = fetched.get(uid, {}).get(b"BODY[]"), self.view.folder.tokens[uid]
            if not body:
                self._missing([uid], {}, "UID FETCH BODY[]")
            elif not isinstance(body, bytes) or not body.endswith(content(token)):
                self.view.bad(f"UID {uid}: the body is not that of {token}")
        await self.learn()

    async def store_keyword(self) -> None:
        for uid in self._some(1):
            await self._set_keyword(uid, b"")
        await self.learn()

    async def _set_keyword(self, uid: int, condition: bytes) -> None:
        view = self.view
        assert view is not None
        new = not view.own.get(uid, False)
        before = view.own.pop(uid, None)
        view.pending = uid
        try:
            command = b"UID STORE %d %b%bFLAGS (%b)" % (uid, condition, b"+" if new else b"-", self.keyword)
            answer, fetched = await self.ask(command)
        finally:
            view.pending = None
        if b"MODIFIED" in answer.text:
            if before is not None:
                view.own[uid] = before
            return
        if b"FLAGS" not in fetched.get(uid, {}):
            self._missing([uid], {}, "UID STORE")
            return
        view.own[uid] = new
        if uid in view.flags and (self.keyword in view.flags[uid]) != new:
            view.bad(f"STORE of UID {uid} did not take")

    async def store_unless_changed(self) -> None:
        for uid in self._some(1):
            _, fetched = await self.ask(b"UID FETCH %d (MODSEQ)" % uid)
            modseq = fetched.get(uid, {}).get(b"MODSEQ")
            if isinstance(modseq, list):
                await self._set_keyword(uid, b"(UNCHANGEDSINCE %b) " % modseq[0])
        await self.learn()

    async def store_seen(self) -> None:
        some = self._some(5)
        if some:
            sign = self.chance.choice((b"+", b"-"))
            await self.ask(b"UID STORE %b %bFLAGS (\\Seen)" % (b",".join(b"%d" % uid for uid in some), sign))
        await self.learn()

    async def delete(self) -> None:
        some = self._some(4, kept=False)
        if some:
            assert self.view is not None
            self.view.folder.delete(some)
            await self.ask(b"UID STORE %b +FLAGS (\\Deleted)" % b",".join(b"%d" % uid for uid in some))
        await self.learn()

    async def expunge(self) -> None:
        await self.ask(b"EXPUNGE")
        await self.learn()

    async def copy(self) -> None:
        await self._transfer(b"COPY", self._some(4, kept=False))

    async def move(self) -> None:
        await self._transfer(b"MOVE", self._some(4))

    async def _transfer(self, verb: bytes, some: list[int]) -> None:
        view = self.view
        assert view is not None
        source = view.folder
        targets = [f for f in self.box.folders.values() if verb == b"COPY" or f is not source]
        if not some or not targets:
            return
        target = self.chance.choice(targets)
        tokens = [source.tokens[uid] for uid in some]
        target.possible.update(tokens)
        if verb == b"MOVE":
            source.doomed.update(some)
        top, own = target.top, dict(view.own)
        command = b'UID %b %b "%b"' % (verb, b",".join(b"%d" % uid for uid in some), target.name.encode())
        try:
            answer, _ = await self.ask(command)
        finally:
            target.deleted_tokens.update(source.tokens[uid] for uid in some if uid in source.deleted)
        target.possible.subtract(tokens)  # from here on everything is known
        texts = [answer.text, *(pieces[0] for pieces in answer.untagged)]
        found = next((f for f in map(_COPYUID.search, texts) if f), None)
        if found is not None:
            came, went = uid_set(found[3]), uid_set(found[2])
            if len(came) != len(went) or int(found[1]) != (target.uid_validity or int(found[1])):
                view.bad(f"{verb.decode()}: {found[0].decode()}")
            for old, new in zip(went, came, strict=False):
                target.promised(new, source.tokens[old], top)
                if old in source.deleted:
                    target.delete([new])
                target.settle(new)
                if old in own:
                    self._inherit(target, new, own[old])
        copied = set(uid_set(found[2])) if found else set()
        if left := [uid for uid in some if uid not in copied and uid not in source.doomed]:
            view.bad(f"{verb.decode()} left {left} behind, and nobody has touched them")
        await self.learn()

    def _inherit(self, target: Folder, uid: int, has: bool) -> None:
        known = self.own[target.name].setdefault(uid, has)
        if known != has:
            self.box.bad(f"{target}: UID {uid} was copied without the keyword of client {self.number}")

    async def append(self) -> None:
        """Also into a folder that is not selected."""
        folder = self.chance.choice(list(self.box.folders.values()))
        self.serial += 1
        token = f"a{self.number}-{self.serial}"
        message, top = content(token), folder.top
        folder.possible[token] += 1
        answer, _ = await self.ask(b'APPEND "%b" {%d+}\r\n%b' % (folder.name.encode(), len(message), message))
        folder.possible[token] -= 1
        found = _APPENDUID.search(answer.text)
        if found is None:
            self.box.bad("APPEND gave no APPENDUID")
            folder.possible[token] += 1
        else:
            folder.promised(int(found[2]), token, top)
            folder.settle(int(found[2]))
        self.box.accepted.add(token)
        await self.learn()

    async def search(self) -> None:
        view = self.view
        assert view is not None
        known = [uid for uid in view.uids if uid and view.own.get(uid)]
        answer, _ = await self.ask(b"UID SEARCH KEYWORD " + self.keyword)
        got: set[int] = set()
        for pieces in answer.untagged:
            if pieces[0].startswith(b"* SEARCH"):
                got.update(int(word) for word in pieces[0].split()[2:] if word.isdigit())
        for uid in got:
            if view.own.get(uid) is False:
                view.bad(f"SEARCH found UID {uid} without the keyword")
        self._missing((uid for uid in known if uid not in got), {}, "SEARCH")
        await self.learn()

    async def noop(self) -> None:
        """Whatever was acknowledged to anybody before is known after it."""
        view = self.view
        assert view is not None
        must, gone = view.folder.must_be_there(), set(view.folder.gone)
        await self.ask(b"NOOP")
        await self.learn()
        there = {uid for uid in view.uids if uid}
        for uid in sorted(must - there - view.folder.doomed):
            view.bad(f"UID {uid} was acknowledged before NOOP and is not there")
        for uid in sorted(gone & there):
            view.bad(f"UID {uid} was gone before NOOP and is still there")

    async def idle(self) -> None:
        await self.ask(b"IDLE", idle_s=self.chance.uniform(0.2, 2.0))
        await self.learn()

    # --- the end

    async def listing(self, name: str) -> dict[int, tuple[str, frozenset[bytes]]]:
        """A fresh look at a folder: UID to token and flags."""
        self.imap = self.imap or await Imap.open(*self.address(), self.box.user, self.box.password)
        await self.imap.ask(b'EXAMINE "%b"' % name.encode())
        self.view = None
        answer = await self.imap.ask(b"UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (X-Token)])")
        found = {}
        for pieces in answer.untagged:
            if head := re.match(rb"\* \d+ FETCH ", pieces[0]):
                items = items_of(pieces, head.end())
                value = next((v for n, v in items.items() if n.startswith(b"BODY[")), b"")
                assert isinstance(value, bytes) and isinstance(items[b"FLAGS"], list)
                token = value.partition(b":")[2].strip().decode()
                found[int(items[b"UID"])] = (token, frozenset(items[b"FLAGS"]) - {b"\\Recent"})  # type: ignore[call-overload]
        return found


class Sender:
    """Deliveries from outside, to one or several of the mailboxes."""

    def __init__(
        self, number: int, boxes: list[Box], address: Callable[[], tuple[str, int]], counts: Counts, bad: Violations
    ) -> None:
        self.number, self.boxes, self.address, self.counts, self.bad = number, boxes, address, counts, bad
        self.chance = random.Random(number)
        self.serial = 0

    async def run(self, until: float, pause_s: float) -> None:
        loop = asyncio.get_running_loop()
        smtp = None
        while loop.time() < until:
            boxes = self.chance.sample(self.boxes, self.chance.randint(1, min(3, len(self.boxes))))
            self.serial += 1
            token = f"s{self.number}-{self.serial}"
            for box in boxes:
                box.sent.add(token)
            try:
                smtp = smtp or await Smtp.open(*self.address())
                await smtp.send([box.user for box in boxes], content(token))
                for box in boxes:
                    box.accepted.add(token)
                self.counts.done["deliver"] += 1
            except Lost:
                self.counts.lost += 1
                if smtp is not None:
                    with contextlib.suppress(OSError):
                        smtp.close()
                smtp = None
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * pause_s)
        if smtp is not None:
            smtp.close()
