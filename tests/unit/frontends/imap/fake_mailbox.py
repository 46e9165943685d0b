"""A mailbox in dictionaries with the store's rules: what the front end is tested against without a database."""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left

from postern.formats.mime.scan import scan
from postern.model.items import (
    Changes,
    Columns,
    Folder,
    FolderClass,
    FolderView,
    ItemFlags,
    Placement,
    Quota,
    SpecialUse,
)
from postern.model.query import And, HasFlags, HasKeyword, HeaderContains, ModseqFrom, Not, Or, TextContains, UidIn
from postern.model.refusal import Reason, Refusal
from postern.services.mailboxes import CopyResult, FlagResult

RECEIVED_AT = 1_700_000_000


class FakeMailbox:
    def __init__(self) -> None:
        self.id = "fake"
        self.number = 1
        self.next_id = 1
        self.dirs: dict[int, dict] = {}
        self.messages: dict[int, dict[int, dict]] = {}
        self.vanished: dict[int, list[tuple[int, int]]] = {}
        self.names: dict[int, str] = {}
        self.bodies: list[bytes] = []
        self.wakers: list = []
        self.durable_calls = 0
        self.horizon = 0
        self.refuse: Reason | None = None
        self.loaded = self.sent_as_they_are = 0
        for name, special in (
            ("INBOX", SpecialUse.INBOX),
            ("Sent Items", SpecialUse.SENT),
            ("Deleted Items", SpecialUse.TRASH),
        ):
            self._make(None, name, FolderClass.MAIL, special)
        self._make(None, "Calendar", FolderClass.CALENDAR, SpecialUse.CALENDAR)

    def _make(self, parent, name, folder_class=FolderClass.MAIL, special=SpecialUse.NONE) -> int:
        self.next_id += 1
        key = self.next_id
        self.dirs[key] = {
            "parent": parent,
            "name": name,
            "class": folder_class,
            "special": special,
            "subscribed": special is not SpecialUse.NONE,
            "recent": 1,
            "changed": self.number,
        }
        self.messages[key] = {}
        self.vanished[key] = []
        return key

    def _commit(self, *folders) -> int:
        self.number += 1
        for folder in folders:
            self.dirs[folder]["changed"] = self.number
        for wake in list(self.wakers):
            wake()
        return self.number

    def _check(self, folder) -> None:
        if self.refuse is not None:
            raise Refusal(self.refuse)
        if folder not in self.dirs:
            raise Refusal(Reason.NO_SUCH_FOLDER)

    def by_name(self, name: str) -> int:
        return next(key for key, value in self.dirs.items() if value["name"] == name)

    # --- reading
    def _folder(self, key) -> Folder:
        values, messages = self.dirs[key], self.messages[key]
        return Folder(
            id=key,
            parent=values["parent"],
            name=values["name"],
            folder_class=values["class"],
            special=values["special"],
            uid_validity=77,
            uid_next=self.next_id + 1,
            messages=len(messages),
            unseen=sum(1 for m in messages.values() if not m["flags"] & 1),
            deleted=sum(1 for m in messages.values() if m["flags"] & 8),
            size_bytes=sum(len(m["prefix"]) + len(self.bodies[m["blob"]]) for m in messages.values()),
            changed=values["changed"],
            subscribed=values["subscribed"],
            recent_from=values["recent"],
        )

    async def folders(self):
        # parents before children
        def depth(key):
            parent = self.dirs[key]["parent"]
            return 0 if parent is None else 1 + depth(parent)

        return [self._folder(key) for key in sorted(self.dirs, key=depth)]

    async def folder(self, folder):
        self._check(folder)
        return self._folder(folder)

    async def view(self, folder, *, claim_recent=False):
        self._check(folder)
        messages = self.messages[folder]
        found = FolderView(
            self._folder(folder),
            array("I", sorted(messages)),
            next((u for u in sorted(messages) if not messages[u]["flags"] & 1), None),
            dict(self.names),
        )
        if claim_recent:
            self.dirs[folder]["recent"] = self.next_id + 1
        return found

    def _inside(self, folder, ranges):
        uids = sorted(self.messages[folder])
        if ranges is None:
            return uids
        assert all(a[1] < b[0] for a, b in itertools.pairwise(ranges)), "ranges not ascending and disjoint"
        out = []
        for low, high in ranges:
            assert low <= high
            out += uids[bisect_left(uids, low) : bisect_left(uids, high + 1)]
        return out

    async def items(self, folder, columns, ranges=None, changed_since=None):
        self._check(folder)
        uids = self._inside(folder, ranges)
        for start in range(0, len(uids), 3000):
            rows = []
            for uid in uids[start : start + 3000]:
                message = self.messages[folder].get(uid)
                if message is None or (changed_since is not None and message["modseq"] <= changed_since):
                    continue
                rows.append(self._row(uid, message, columns))
            if rows:
                yield rows

    def _row(self, uid, message, columns):
        scanned, body = message["scan"], self.bodies[message["blob"]]
        row = []
        for column in Columns:
            if not column & columns:
                continue
            match column:
                case Columns.UID:
                    row.append(uid)
                case Columns.FLAGS:
                    row.append(message["flags"])
                case Columns.MODSEQ:
                    row.append(message["modseq"])
                case Columns.RECEIVED_AT:
                    row.append(message["received_at"])
                case Columns.SIZE:
                    row.append(len(message["prefix"]) + len(body))
                case Columns.ENVELOPE:
                    row.append(scanned.envelope)
                case Columns.BODYSTRUCTURE:
                    row.append(scanned.bodystructure)
                case Columns.HEADER:
                    row.append(scanned.header)
                case Columns.PARTS:
                    row.append(scanned.parts)
                case Columns.PREFIX:
                    row.append(message["prefix"])
                case Columns.BLOB:
                    row += [0, message["blob"]]
                case Columns.BODY_SIZE:
                    row.append(len(body))
                case Columns.SAVED_AT:
                    row.append(RECEIVED_AT)
                case Columns.ORIGIN:
                    row.append(message["blob"])
                case _:
                    raise AssertionError(column)
        return tuple(row)

    async def changes(self, folder, since):
        self._check(folder)
        complete = since >= self.horizon
        changed = [
            ItemFlags(uid, m["flags"], m["modseq"], m["created"])
            for uid, m in sorted(self.messages[folder].items())
            if m["modseq"] > since
        ]
        vanished = sorted(uid for uid, number in self.vanished[folder] if number > since)
        return Changes(self.number, changed if complete else [], vanished if complete else [], complete)

    async def change_number(self):
        return self.number

    def last_change(self):
        return self.number

    async def keywords(self):
        return dict(self.names)

    def _matches(self, query, uid, message) -> bool:
        match query:
            case And():
                return all(self._matches(q, uid, message) for q in query.of)
            case Or():
                return any(self._matches(q, uid, message) for q in query.of)
            case Not():
                return not self._matches(query.of, uid, message)
            case HasFlags():
                return message["flags"] & query.mask == query.mask
            case UidIn():
                return any(low <= uid <= high for low, high in query.ranges)
            case HasKeyword():
                bits = [b for b, n in self.names.items() if n.lower() == query.keyword.lower()]
                return bool(bits and message["flags"] >> bits[0] & 1)
            case ModseqFrom():
                return message["modseq"] >= query.modseq
            case HeaderContains():
                return query.text.lower() in message["scan"].subject.lower()
            case TextContains():
                return query.text.encode() in self.bodies[message["blob"]]
        return True

    async def search(self, folder, query, within=None):
        self._check(folder)
        uids = self._inside(folder, within)
        return [uid for uid in uids if self._matches(query, uid, self.messages[folder][uid])]

    async def read(self, folder, uid):
        message = self.messages[folder][uid]
        return message["prefix"] + self.bodies[message["blob"]]

    async def quota(self):
        return Quota(None, None, None)

    async def used_items(self):
        return 0

    async def used_bytes(self):
        return 0

    async def read_body(self, ref, offset=0, length=None):
        body = self.bodies[ref.record]
        data = body[offset:] if length is None else body[offset : offset + length]
        self.loaded += len(data)
        return data

    async def read_bodies(self, refs):
        self.loaded += sum(len(self.bodies[record]) for _segment, record in refs)
        return [self.bodies[record] for _segment, record in refs]

    async def view_bodies(self, refs, *, to_send=False):
        self.sent_as_they_are += len(refs) if to_send else 0
        return [memoryview(body) for body in await self.read_bodies(refs)]

    # --- writing
    def _mask(self, keywords, make=True) -> int:
        mask = 0
        for keyword in keywords:
            bit = next((b for b, n in self.names.items() if n.lower() == keyword.lower()), None)
            if bit is None:
                if not make:
                    continue
                bit = 8 + len(self.names)
                self.names[bit] = keyword
            mask |= 1 << bit
        return mask

    async def set_flags(self, folder, ranges, change, unchanged_since=None):
        self._check(folder)
        add = change.add | self._mask(change.add_keywords)
        remove = change.remove | self._mask(change.remove_keywords, make=False)
        touched, failed, differ = [], [], []
        for uid in self._inside(folder, ranges):
            message = self.messages[folder][uid]
            if unchanged_since is not None and message["modseq"] > unchanged_since:
                failed.append(uid)
                continue
            new = add if change.replace else (message["flags"] & ~remove) | add
            touched.append(uid)
            if new != message["flags"]:
                differ.append((message, new))
        if differ:
            number = self._commit(folder)
            for message, new in differ:
                message["flags"], message["modseq"] = new, number
        messages = self.messages[folder]
        changed = [ItemFlags(u, messages[u]["flags"], messages[u]["modseq"], messages[u]["created"]) for u in touched]
        return FlagResult(changed, failed, self.number, bool(differ))

    async def copy(self, folder, ranges, target):
        self._check(folder)
        self._check(target)
        return self._copy(folder, self._inside(folder, ranges), target)

    def _copy(self, folder, uids, target, remove=False):
        placements = []
        number = self._commit(folder, target) if uids else self.number
        for uid in uids:
            message = self.messages[folder][uid]
            self.next_id += 1
            self.messages[target][self.next_id] = dict(message, modseq=number, created=number)
            placements.append(self.next_id)
            if remove:
                del self.messages[folder][uid]
                self.vanished[folder].append((uid, number))
        return CopyResult(uids, placements, 77, number)

    async def move(self, folder, ranges, target):
        self._check(folder)
        self._check(target)
        return self._copy(folder, self._inside(folder, ranges), target, remove=True)

    async def expunge(self, folder, ranges, *, only_deleted=True):
        self._check(folder)
        uids = [u for u in self._inside(folder, ranges) if not only_deleted or self.messages[folder][u]["flags"] & 8]
        if uids:
            number = self._commit(folder)
            for uid in uids:
                del self.messages[folder][uid]
                self.vanished[folder].append((uid, number))
        return uids

    async def create_folder(self, parent, name, folder_class=FolderClass.MAIL, special=SpecialUse.NONE):
        if self.refuse is not None:
            raise Refusal(self.refuse)
        key = self._make(parent, name, folder_class, special)
        self._commit(key)
        return self._folder(key)

    async def rename_folder(self, folder, parent, name):
        self._check(folder)
        self.dirs[folder].update(parent=parent, name=name)
        self._commit(folder)

    async def delete_folder(self, folder):
        self._check(folder)
        if self.dirs[folder]["special"] is not SpecialUse.NONE:
            raise Refusal(Reason.NOT_PERMITTED)
        del self.dirs[folder]
        self._commit()

    async def subscribe(self, folder, subscribed):
        self._check(folder)
        self.dirs[folder]["subscribed"] = subscribed
        self._commit(folder)

    async def durable(self):
        self.durable_calls += 1

    async def append(self, folder, content, flags, keywords, received_at, supersedes=None):
        self._check(folder)
        if supersedes is not None:
            await self.expunge(supersedes[0], [(supersedes[1], supersedes[1])], only_deleted=False)
        return Placement(folder, 77, self.deliver(folder, content, flags | self._mask(keywords), received_at), 0)

    def deliver(self, folder, content, flags=0, received_at=None, prefix=b"") -> int:
        self.bodies.append(content)
        self.next_id += 1
        number = self._commit(folder)
        self.messages[folder][self.next_id] = {
            "scan": scan(content),
            "blob": len(self.bodies) - 1,
            "flags": flags,
            "modseq": number,
            "created": number,
            "received_at": RECEIVED_AT if received_at is None else received_at,
            "prefix": prefix,
        }
        return self.next_id

    def subscribe_changes(self, wake):
        self.wakers.append(wake)
        return lambda: self.wakers.remove(wake)
