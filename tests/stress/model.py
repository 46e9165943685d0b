"""What all clients together were promised, and what the mailboxes may therefore look like.

A message is a token; its octets follow from the token, so that any copy can be compared. A third of the tokens are
keepers: clients flag and move them, but never copy or delete them, so that each that was acknowledged is in exactly
one place at the end, whatever was cut off meanwhile. What is sure (a UID that an OK gave) and what is only possible
(a command whose answer never came) are kept apart.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable

KEEPERS = 3
"""One token in so many."""


def is_keeper(token: str) -> bool:
    return int(token.rpartition("-")[2]) % KEEPERS == 0


def content(token: str) -> bytes:
    """The message: 300 octets to 6 KB, the same each time."""
    chance = random.Random(token)
    words = ("postern", "Grüße", "письмо", "stress", "folder", ".", "..", "From here", "flags", "uid")
    lines = [" ".join(chance.choices(words, k=chance.randrange(1, 12))) for _ in range(chance.randrange(3, 80))]
    head = f"X-Token: {token}\r\nFrom: a@client.example\r\nSubject: {token}\r\nMessage-ID: <{token}@stress>\r\n"
    head += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return (head + "\r\n".join(lines) + "\r\n").encode()


class Violations:
    """What was seen and may not be."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def __call__(self, text: str) -> None:
        self.found.append(text)
        if len(self.found) <= 50:
            print("VIOLATION", text, flush=True)


class Folder:
    """One folder as all its clients together know it."""

    def __init__(self, box: Box, name: str) -> None:
        self.box, self.name = box, name
        self.uid_validity = 0
        self.top = 0
        """The highest UID that anybody was told."""
        self.tokens: dict[int, str] = {}
        """UID to token ("" for mail that was there before), of everything ever seen."""
        self.sure: set[int] = set()
        """UIDs that an OK gave."""
        self.doomed: set[int] = set()
        """UIDs that somebody has tried to delete or to move away: they may be gone."""
        self.deleted: set[int] = set()
        """UIDs that somebody has tried to mark as deleted; copies of them are marked too."""
        self.deleted_tokens: set[str] = set()
        """Tokens of which a marked copy may have come here without anybody being told the UID."""
        self.early: set[int] = set()
        """UIDs that went away before anybody was told what they were."""
        self.gone: set[int] = set()
        """UIDs of which somebody was told that they are gone."""
        self.possible: Counter[str] = Counter()
        """How often a token may have come here without anybody being told the UID."""

    def entered(self, uid_validity: int) -> None:
        if self.uid_validity not in (0, uid_validity):
            self.box.bad(f"{self}: UIDVALIDITY was {self.uid_validity}, now {uid_validity}")
        self.uid_validity = uid_validity

    def saw(self, uid: int, token: str) -> None:
        known = self.tokens.setdefault(uid, token)
        if known != token:
            self.box.bad(f"{self}: UID {uid} was {known!r}, now it is {token!r}")
        self.top = max(self.top, uid)

    def promised(self, uid: int, token: str, top: int) -> None:
        """An OK said that a token has this UID. `top`: as it was before the command was sent."""
        if uid <= top:
            self.box.bad(f"{self}: new UID {uid} is not above {top}")
        if uid in self.sure:
            self.box.bad(f"{self}: UID {uid} was given twice")
        self.saw(uid, token)
        self.sure.add(uid)

    def settle(self, uid: int) -> None:
        """It is known now what a UID is, and whether it was marked: if it is gone already, was that right?"""
        if uid in self.early:
            self.early.discard(uid)
            self.told_gone(uid)

    def must_be_there(self) -> set[int]:
        return self.sure - self.doomed

    def delete(self, uids: Iterable[int]) -> None:
        """Somebody is going to mark these as deleted."""
        self.doomed.update(uids)
        self.deleted.update(uids)

    def told_gone(self, uid: int) -> None:
        if uid not in self.tokens:
            self.early.add(uid)
            return
        marked = uid not in self.sure and self.tokens[uid] in self.deleted_tokens
        if uid not in self.doomed and not marked:
            self.box.bad(f"{self}: UID {uid} ({self.tokens.get(uid)}) went away, and nobody has touched it")
        self.gone.add(uid)

    def __str__(self) -> str:
        return f"{self.box.user}/{self.name}"


class Box:
    """One mailbox."""

    def __init__(self, user: str, password: str, names: Iterable[str], bad: Violations) -> None:
        self.user, self.password, self.bad = user, password, bad
        self.folders = {name: Folder(self, name) for name in names}
        self.accepted: set[str] = set()
        """Tokens whose delivery or appending was acknowledged."""
        self.sent: set[str] = set()
        """Tokens that somebody tried to deliver here."""

    def check(self, present: dict[str, dict[int, str]]) -> None:
        """Compare with what is really there (folder: UID: token) when nobody does anything any more."""
        places: dict[str, list[str]] = defaultdict(list)
        for name, folder in self.folders.items():
            there = present[name]
            for uid, token in there.items():
                folder.saw(uid, token)
                places[token].append(f"{name}:{uid}")
            for uid in sorted(folder.sure - folder.doomed - there.keys()):
                self.bad(f"{folder}: acknowledged UID {uid} ({folder.tokens[uid]}) is lost")
            for uid in sorted(folder.gone & there.keys()):
                self.bad(f"{folder}: UID {uid} ({there[uid]}) is there again after it was said to be gone")
            if folder.early and not folder.deleted_tokens:
                self.bad(f"{folder}: UIDs {sorted(folder.early)} went away, and nobody has touched them")
            unexplained = Counter(token for uid, token in folder.tokens.items() if token and uid not in folder.sure)
            for token, times in unexplained.items():
                allowed = folder.possible[token] + (name == "INBOX" and token in self.sent)
                if times > allowed:
                    self.bad(f"{folder}: {token} came {times} times, {allowed} expected beside those that are known")
        for token in self.accepted | self.sent:
            if not is_keeper(token):
                continue
            times = len(places[token])
            if times > 1 or (not times and token in self.accepted):
                self.bad(f"{self.user}: {token} is in {times} places: {places[token]}")
        inbox = self.folders["INBOX"]
        delivered = Counter(inbox.tokens.values())
        for token in self.accepted & self.sent:
            if not delivered[token]:
                self.bad(f"{self.user}: accepted {token} was never seen")
