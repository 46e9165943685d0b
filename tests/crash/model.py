"""What was promised to senders and clients, and the check that it was kept."""

import asyncio
import random

from crash.organisation import MAILBOXES, content, inventory
from postern.model.items import Flag, SpecialUse
from postern.store.interface import FlagChange

ANNA, BORIS, CHEN = MAILBOXES
GROUP = "all@example.org"
OUTSIDE = "someone@elsewhere.example"
MEMBERS = ((ANNA, BORIS), (CHEN,))


class Promises:
    """Survives all crashes: it is the world outside."""

    def __init__(self, log=None):
        self.log = log
        """Called with (field, key, value) before anything else happens: a process that is killed cannot tell later."""
        self.next = 0
        self.tried = {}
        self.accepted = {}
        self.appended = {}
        self.flagged = {}
        self.expunged = {}
        self.expunge_tried = {}
        self.seen = {}
        self.flags_seen = {}
        self.changes_seen = {}
        self.top_seen = {}
        """(address, UID) -> the highest change number it was seen at."""

    def note(self, field, key, value=True):
        if self.log is not None:
            self.log(field, key, value)
        getattr(self, field)[key] = value
        if field == "tried":
            self.next = max(self.next, key)

    def number(self, recipients):
        number = self.next + 1
        self.note("tried", number, recipients)
        return number

    def observe(self, address, found):
        """A UID that was once seen with a message never means another one."""
        for uid, (number, *_) in found.items():
            known = self.seen.get((address, uid))
            if known is None:
                self.note("seen", (address, uid), number)
                continue
            assert known == number, f"{address} UID {uid} was message {known}, now it is {number}"

    def observe_changes(self, address, found):
        """A change number stands for one commit: what it touched may be touched again later, but nothing new joins it.

        A power cut may undo a later change that nobody was promised; its item is then back at the earlier number.
        """
        touched = {}
        for uid, (_, _, modseq) in found.items():
            touched.setdefault(modseq, set()).add(uid)
        for modseq, uids in touched.items():
            known = self.changes_seen.get((address, modseq))
            if known is None:
                self.note("changes_seen", (address, modseq), frozenset(uids))
            else:
                new = {uid for uid in uids - known if not self._was_undone(address, uid, modseq)}
                assert not new, f"change {modseq} of {address} was given twice: {new} after {known}"
        for uid, (_, _, modseq) in found.items():
            if modseq > self.top_seen.get((address, uid), 0):
                self.note("top_seen", (address, uid), modseq)

    def _was_undone(self, address, uid, modseq):
        """Whether an item was seen at a higher number, or was being expunged: the power cut undid that."""
        expunged = (address, self.seen.get((address, uid))) in self.expunge_tried
        return expunged or self.top_seen.get((address, uid), 0) > modseq

    async def check(self, worker, *, observe_only=False, bodies=True):
        boxes = {}
        for address in MAILBOXES:
            found = await inventory(worker, address, bodies=bodies)
            self.observe(address, found)
            self.observe_changes(address, found)
            boxes[address] = found
        if observe_only:
            return
        there = {address: [number for number, *_ in found.values()] for address, found in boxes.items()}
        for address, numbers in there.items():
            doubled = {number for number in numbers if numbers.count(number) > 1}
            assert not doubled, f"{address} has {doubled} more than once"
            assert not self.expunged.keys() & {(address, number) for number in numbers}, "an expunged message came back"
        outside = await self._outside(worker)
        for number, recipients in self.tried.items():
            if number in self.accepted:
                self._check_accepted(number, recipients, there, outside)
            elif OUTSIDE in recipients:
                assert outside.count(number) <= 1
        for number, (address, uid) in self.appended.items():
            if (address, number) not in self.expunge_tried:
                assert boxes[address].get(uid, (None,))[0] == number, f"append {number} is not UID {uid} of {address}"
        for address, uid in self.flagged:
            if uid in boxes[address]:
                assert boxes[address][uid][1] & Flag.FLAGGED, f"{address} UID {uid} lost its flag"

    def _check_accepted(self, number, recipients, there, outside):
        for address in recipients:
            if address == OUTSIDE:
                assert outside.count(number) == 1, f"{number} is {outside.count(number)} times in the queue"
            elif address == GROUP:
                got = tuple(a for a in MAILBOXES if number in there[a] or (a, number) in self.expunge_tried)
                direct = {a for a in recipients if a in MAILBOXES}
                assert any(set(got) == direct | set(members) for members in MEMBERS), f"{number} for the group: {got}"
            elif (address, number) not in self.expunge_tried:
                assert number in there[address], f"{number} for {address} is lost"

    async def _outside(self, worker):
        rows = await worker.queue.file.read(
            lambda db: db.execute(
                "SELECT m.blob_segment, m.blob_record FROM recipient r JOIN message m ON m.id = r.message"
                " WHERE r.address = ?",
                (OUTSIDE,),
            ).fetchall()
        )
        bodies = [await worker.blobs.read(row) for row in rows]
        return [int(body.split(b"Subject: message ", 1)[1].split(b"\r")[0]) for body in bodies]


class Traffic:
    """Everything that clients do, at random, all at once."""

    choices = ([ANNA], [BORIS], [ANNA, BORIS, CHEN], [GROUP], [CHEN, OUTSIDE], [OUTSIDE], [ANNA, GROUP])

    def __init__(self, worker, promises, rng: random.Random, alive, *, outside=True):
        """`outside`: also mail for elsewhere, which stays in the queue and holds its segments."""
        if not outside:
            self.choices = [recipients for recipients in self.choices if OUTSIDE not in recipients]
        self.worker = worker
        self.promises = promises
        self.rng = rng
        self.alive = alive

    async def run(self, count):
        work = (self.submit, self.submit, self.submit, self.append, self.flag, self.expunge, self.mark, self.look)
        tasks = []
        for _ in range(count):
            tasks.append(asyncio.create_task(self.rng.choice(work)()))
            if self.rng.random() < 0.3:
                await asyncio.sleep(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, AssertionError) or (isinstance(result, Exception) and self.alive()):
                raise result

    async def submit(self):
        recipients = self.rng.choice(self.choices)
        number = self.promises.number(recipients)
        await self.worker.submit(number, recipients, size=self.rng.choice((0, 100, 3000, 20000)))
        if self.alive():
            self.promises.note("accepted", number)

    async def append(self):
        address = self.rng.choice(list(MAILBOXES))
        number = self.promises.number([])
        mailbox = await self.worker.store.mailbox(MAILBOXES[address])
        inbox = await mailbox.special(SpecialUse.INBOX)
        text = content(number, self.rng.choice((0, 500, 5000)))
        placement = await self.worker.flow.append(mailbox.id, inbox.id, text, 0, (), None)
        if self.alive():
            self.promises.note("appended", number, (address, placement.uid))
            self.promises.observe(address, {placement.uid: (number,)})

    async def _pick(self):
        address = self.rng.choice(list(MAILBOXES))
        mailbox = await self.worker.store.mailbox(MAILBOXES[address])
        inbox = await mailbox.special(SpecialUse.INBOX)
        view = await mailbox.view(inbox.id)
        return address, mailbox, inbox.id, self.rng.choice(view.uids) if view.uids else None

    async def flag(self):
        address, mailbox, inbox, uid = await self._pick()
        if uid is None:
            return
        result = await mailbox.set_flags(inbox, [(uid, uid)], FlagChange(add=Flag.FLAGGED))
        changed = [i for i in result.changed if i.modseq == result.change_number and i.created < i.modseq]
        if changed:
            known = self.promises.flags_seen.get((address, result.change_number), uid)
            self.promises.note("flags_seen", (address, result.change_number), known)
            assert known == uid, f"change {result.change_number} of {address} was given twice"
        await mailbox.durable()
        if self.alive() and result.changed:
            self.promises.note("flagged", (address, uid))

    async def expunge(self):
        if self.rng.random() < 0.6:
            return
        address, mailbox, inbox, uid = await self._pick()
        number = self.promises.seen.get((address, uid))
        if number is None:
            return
        self.promises.note("expunge_tried", (address, number))
        gone = await mailbox.expunge(inbox, [(uid, uid)], only_deleted=False)
        await mailbox.purge_recoverable(2e9)
        await mailbox.durable()
        if self.alive() and uid in list(gone):
            self.promises.note("expunged", (address, number))

    async def mark(self):
        await self.worker.flow.advance_mark()

    async def look(self):
        chance = self.rng.random()
        if chance < 0.2:  # seldom with all bodies there are: the next life reads them in any case
            await self.promises.check(self.worker, observe_only=True, bodies=chance < 0.03)
        self.worker.directory.members = self.rng.choice(MEMBERS)
