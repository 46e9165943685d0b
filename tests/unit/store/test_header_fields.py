"""What is read from the mailbox's own header blocks equals what a reading of every message says."""

from __future__ import annotations

import random
from contextlib import closing

import apsw
import brute_force
import pytest
from store_world import MAILBOX, World, item

from postern.model.ids import FolderId
from postern.model.items import HEADER_LIMIT_BYTES
from postern.model.ordering import SortBy, SortKey
from postern.model.query import And, BodyContains, HasFlags, HeaderContains, Not, Or, Query, SentBetween
from postern.store.interface import Mailbox
from postern.store.sqlite.search import filling, header_fields

NAMES = [b"From", b"from", b"FROM ", b"Subject", b"Subject\t", b"X-From", b"From-X", b"To", b"Cc", b"no field"]
PIECES = [
    b"anna", b"Anna", b"ANNA", b" ", b"  ", b"\t", b"\r\n ", b"\n\t", b"\r\n \r\n ", b"\r\n :", b"\r", b"\0", b"\x0b",
    b"=?utf-8?Q?anna?=", b"=?utf-8?Q?=C3=84nna?=", b"=?", b"=", b"?", b"\xc3\xa4nna", b"\xe4", b"from:", b"na a",
    b"<a@b>", b'"Anna B" <anna@b>', b",", b"Re: ", b"z@y",
]  # fmt: skip
WANTED = ["anna", "ANNA", "na an", "anna anna", " anna ", "\u00e4", "\u00e4nna", "a", "from", ":", "=", "?", "=?", "b",
          "utf-8", "a\0n", "n\r\n a", "\u00df", "Anna B", "\ufffd", "nowhere", "z@y\nto:"]  # fmt: skip


def letters(seed: int, count: int) -> list[bytes]:
    """Messages with headers of all sorts."""
    randomly = random.Random(seed)
    found = [b"", b"\r\n", b" anna\r\nFrom: anna\r\n\r\n", b"From: anna", b"\r\nFrom: anna\r\n\r\nFrom: anna"]
    found.append(b"From: anna\r\nX-Long: " + b"x" * HEADER_LIMIT_BYTES + b"\r\nSubject: a \r\n anna\r\n\r\n")
    while len(found) < count:
        fields = b""
        for _ in range(randomly.randint(0, 5)):
            value = b"".join(randomly.choices(PIECES, k=randomly.randint(0, 5)))
            fields += randomly.choice(NAMES) + randomly.choice([b":", b": ", b""]) + value
            fields += randomly.choice([b"\r\n", b"\r\n", b"\n"])
        found.append(fields + randomly.choice([b"\r\n", b"\n", b""]) + b"anna\r\n")
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_field_is_found_as_by_reading_every_message(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(header_fields, "ITEMS_AT_A_TIME", 7)
    put = letters(seed, 90)
    await mailbox.add(inbox, [item(world.blobs, one, flags=n % 2) for n, one in enumerate(put[:45])])
    names = ["from", "Subject", "to", "x-from", "return-path", "from-", "no field", "fr.m"]
    queries: list[Query] = [HeaderContains(name, text) for name in names for text in WANTED]
    queries += [And((HasFlags(1), Not(HeaderContains("from", "a")), HeaderContains("subject", "anna")))]
    for name, text in (("subject", "anna"), ("to", "\u00e4"), ("x-from", "n"), ("from-x", "")):
        both = HeaderContains("from", "a"), HeaderContains(name, text)
        queries += [And(both), Or(both), And((Or(both), BodyContains("anna"))), And((Or(both), Or(both), *both))]
    matched = 0
    for stage in range(3):
        if stage == 1:
            await mailbox.add(inbox, [item(world.blobs, one, flags=n % 2) for n, one in enumerate(put[45:])])
        if stage == 2:
            await world.store.index_mailbox(MAILBOX)
        for query in queries:
            found = list(await mailbox.search(inbox, query))
            assert found == await brute_force.search(mailbox, world.blobs, inbox, query), query
            matched += len(found)
    assert matched > 500


async def test_only_fields_that_have_to_be_decoded_need_rows(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    def letter(sender: str, subject: str) -> bytes:
        return f"From: {sender}\r\nSubject: {subject}\r\n\r\ntext\r\n".encode()

    put = [letter("anna", "plain"), letter("boris", "=?utf-8?Q?=C3=A4nna?="), letter("Anna", "\u00e4nna")]
    uids = [one.uid for one in await mailbox.add(inbox, [item(world.blobs, one) for one in put])]

    def filled() -> int:
        with closing(apsw.Connection(str(world.data / "search" / MAILBOX[:2] / f"{MAILBOX}.db"))) as db:
            return len(db.execute("SELECT 1 FROM headers UNION ALL SELECT 1 FROM heads").fetchall())

    assert await mailbox.search(inbox, HeaderContains("from", "anna")) == [uids[0], uids[2]]
    assert await mailbox.sort(inbox, uids, [SortKey(SortBy.FROM)]) == [uids[0], uids[2], uids[1]]
    assert filled() == 0
    assert await mailbox.search(inbox, HeaderContains("subject", "\u00e4nna")) == uids[1:]
    assert filled() == 2


@pytest.mark.parametrize("seed", [1, 2])
async def test_addresses_are_ordered_alike_with_and_without_a_search_file(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(header_fields, "ITEMS_AT_A_TIME", 7)
    put = [one for one in letters(seed, 90) if len(one) < HEADER_LIMIT_BYTES]
    put.append(b"From: " + b"x, " * 2000 + b"\r\n\r\n")
    uids = [one.uid for one in await mailbox.add(inbox, [item(world.blobs, one) for one in put])]
    random.Random(seed).shuffle(uids)
    kinds = [SortBy.FROM, SortBy.TO, SortBy.CC, SortBy.DISPLAY_FROM, SortBy.DISPLAY_TO]
    orders = [[SortKey(kind, descending)] for kind in kinds for descending in (False, True)]
    orders += [[SortKey(SortBy.SUBJECT), SortKey(SortBy.DISPLAY_FROM, True), SortKey(SortBy.TO), SortKey(SortBy.SIZE)]]
    fills: list[int] = []
    fill = filling.fill_from_rows

    def counting(db: apsw.Connection, table: filling.Table, folder: int, uids: list[int]) -> list[filling.Missing]:
        fills.append(len(uids))
        return fill(db, table, folder, uids)

    monkeypatch.setattr(filling, "fill_from_rows", counting)
    before = [list(await mailbox.sort(inbox, uids, keys)) for keys in orders]
    assert not fills
    assert all(sorted(order) == sorted(uids) for order in before)
    linked = sorted(await mailbox.links(inbox, uids))
    assert not fills
    await mailbox.search(inbox, SentBetween(0, None))
    assert fills == [len(uids)]
    assert sorted(await mailbox.links(inbox, uids)) == linked
    assert [list(await mailbox.sort(inbox, uids, keys)) for keys in orders] == before
    assert len({tuple(order) for order in before}) > 5
    (long,) = await mailbox.add(
        inbox, [item(world.blobs, b"X: " + b"x" * HEADER_LIMIT_BYTES + b"\r\nFrom: 0@x\r\n\r\n")]
    )
    ordered = await mailbox.sort(inbox, [*uids, long.uid], [SortKey(SortBy.FROM, descending=True)])
    assert ordered.index(long.uid) < len(uids) and fills == [len(uids), 1]


@pytest.mark.parametrize("seed", [1, 2])
async def test_threads_are_made_of_the_same_with_and_without_a_search_file(
    world: World, mailbox: Mailbox, inbox: FolderId, seed: int
) -> None:
    randomly = random.Random(seed)
    names = [b"Message-ID", b"message-id ", b"References", b"In-Reply-To", b"Subject", b"Date", b"X-References"]
    pieces = [b"<%d@x>" % n for n in range(9)] + [
        b" ",
        b"\r\n ",
        b"<<1@x>>",
        b"1@x",
        b"\xe4",
        b"Re: a",
        b"=?utf-8?Q?=C3=84?=",
    ]
    pieces.append(b"Tue, 14 Nov 2023 22:13:01 +0000")
    put: list[bytes] = []
    for _ in range(60):
        fields = [
            randomly.choice(names) + b": " + b"".join(randomly.choices(pieces, k=randomly.randint(0, 4))) + b"\r\n"
            for _ in range(randomly.randint(0, 6))
        ]
        put.append(b"".join(fields) + b"\r\ntext\r\n")
    uids = [one.uid for one in await mailbox.add(inbox, [item(world.blobs, one) for one in put])]
    several = [uids, uids[::2]]  # all of the folder, and some
    before = [list(await mailbox.links(inbox, some)) for some in several]
    await mailbox.search(inbox, SentBetween(0, None))  # makes the rows that it is read from afterwards
    assert [list(await mailbox.links(inbox, some)) for some in several] == before
    assert len({one.links for one in before[0]}) > 20
    assert len({one.subject for one in before[0]}) > 5


async def test_an_order_of_a_folder_that_has_changed_meanwhile(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    """As many items as were asked for, but others: what is there of them."""
    uids = [one.uid for one in await mailbox.add(inbox, [item(world.blobs, b"\r\n%d" % n) for n in range(6)])]
    await mailbox.expunge(inbox, [(uids[2], uids[2])], only_deleted=False)
    await mailbox.add(inbox, [item(world.blobs, b"From: a@x\r\n\r\n")])
    for by in (SortBy.ARRIVAL, SortBy.DATE, SortBy.FROM):
        assert list(await mailbox.sort(inbox, uids, [SortKey(by)])) == [*uids[:2], *uids[3:]]
    assert [one.uid for one in await mailbox.links(inbox, uids)] == [*uids[:2], *uids[3:]]
