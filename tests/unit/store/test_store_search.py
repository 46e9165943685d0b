"""SEARCH equals a brute-force reading of every message."""

from __future__ import annotations

import base64
import random
from contextlib import closing
from pathlib import Path

import apsw
import brute_force
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_world import MAILBOX, World, item, message

from postern.model.ids import FolderId
from postern.model.items import Flag
from postern.model.ordering import SortBy, SortKey
from postern.model.query import (
    All,
    And,
    BodyContains,
    HasFlags,
    HasKeyword,
    HeaderContains,
    ModseqFrom,
    Not,
    Or,
    Query,
    ReceivedBetween,
    SentBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
    UidIn,
)
from postern.store.interface import FlagChange, Mailbox

CONTENTS = (
    message(0, "Hello there.", "Quarterly report"),
    message(1, "Отчёт за квартал.", "=?utf-8?B?0J7RgtGH0ZHRgg==?="),
    message(2, "会议纪要在附件。", "=?gb2312?B?u+HS6Q==?="),
    message(3, "Nothing", "Big", size=5000),
    (
        b"From: a@example.org\r\nSubject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0IHBsYW4=\r\n--b\r\n"
        b"Content-Type: application/pdf\r\n\r\ninvisible\r\n--b--\r\n"
    ),
    b"From: huge@example.org\r\n" + b"X-Filler: " + b"y" * 20000 + b"\r\nSubject: late field\r\n\r\nend\r\n",
)


@pytest.fixture
async def uids(world: World, mailbox: Mailbox, inbox: FolderId) -> list[int]:
    placed = await mailbox.add(inbox, [item(world.blobs, content) for content in CONTENTS])
    uids = [p.uid for p in placed]
    await mailbox.set_flags(inbox, [(uids[0], uids[1])], FlagChange(add=Flag.SEEN, add_keywords=("$Work",)))
    return uids


CASES: list[tuple[Query, set[int]]] = [
    (All(), {0, 1, 2, 3, 4, 5}),
    (And(()), {0, 1, 2, 3, 4, 5}),
    (Or(()), set()),
    (HasFlags(0), {0, 1, 2, 3, 4, 5}),
    (HasFlags(Flag.SEEN), {0, 1}),
    (Not(HasFlags(Flag.SEEN)), {2, 3, 4, 5}),
    (HasKeyword("$WORK"), {0, 1}),
    (HasKeyword("$none"), set()),
    (SizeAbove(4000), {3, 5}),
    (SizeBelow(4000), {0, 1, 2, 4}),
    (ReceivedBetween(1_700_000_000, 1_700_000_001), {0, 1, 2, 3, 4, 5}),
    (ReceivedBetween(None, 1_700_000_000), set()),
    (SentBetween(1_699_999_981, None), {1, 2, 3}),
    (SentBetween(1_600_000_000, 1_800_000_000), {0, 1, 2, 3}),
    (Not(SentBetween(None, 1_600_000_000)), {0, 1, 2, 3, 4, 5}),
    (HeaderContains("subject", "REPORT"), {0}),
    (HeaderContains("subject", "отчёт"), {1}),
    (HeaderContains("subject", "会"), {2}),
    (HeaderContains("subject", "late"), {5}),
    (HeaderContains("message-id", ""), {0, 1, 2, 3}),
    (HeaderContains("return-path", "anna@"), {0, 1, 2, 3, 4, 5}),
    (BodyContains("ОТЧЁТ ЗА"), {1}),
    (BodyContains("纪"), {2}),
    (BodyContains("Secret Plan"), {4}),
    (BodyContains("invisible"), set()),
    (BodyContains("report"), set()),
    (TextContains("report"), {0}),
    (TextContains("secret"), {4}),
    (TextContains("boris@example.org"), {0, 1, 2, 3}),
    (Not(TextContains("example.org")), set()),
    (And((HasFlags(Flag.SEEN), BodyContains("hello"))), {0}),
    (Or((HasFlags(Flag.SEEN), BodyContains("secret"))), {0, 1, 4}),
    (Not(Or((HeaderContains("subject", "big"), BodyContains("secret")))), {0, 1, 2, 5}),
]


@pytest.mark.parametrize(("query", "expected"), CASES, ids=lambda value: repr(value)[:60])
async def test_answers(mailbox: Mailbox, inbox: FolderId, uids: list[int], query: Query, expected: set[int]) -> None:
    found = await mailbox.search(inbox, query)
    assert list(found) == [uid for n, uid in enumerate(uids) if n in expected]
    within = [(uids[1], uids[4])]
    narrowed = await mailbox.search(inbox, query, within)
    assert list(narrowed) == [uid for n, uid in enumerate(uids) if n in expected and 1 <= n <= 4]


async def test_ranges_and_modseq(mailbox: Mailbox, inbox: FolderId, uids: list[int]) -> None:
    assert list(await mailbox.search(inbox, UidIn(((uids[1], uids[2]), (uids[5], 2**32 - 1))))) == [*uids[1:3], uids[5]]
    both = And((UidIn(((uids[0], uids[3]),)), UidIn(((uids[3], uids[3]), (uids[5], uids[5])))))
    assert list(await mailbox.search(inbox, both)) == [uids[3]]
    last = (await mailbox.folder(inbox)).changed
    assert list(await mailbox.search(inbox, ModseqFrom(last))) == uids[:2]


async def test_sent_dates_are_what_the_senders_clock_said(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    late = b"Date: Tue, 14 Nov 2023 23:30:00 -0500\r\nSubject: late\r\n\r\nx\r\n"
    (placed,) = await mailbox.add(inbox, [item(world.blobs, late)])
    day = 1_699_920_000
    assert list(await mailbox.search(inbox, SentBetween(day, day + 86400))) == [placed.uid]
    assert list(await mailbox.search(inbox, SentBetween(day + 86400, None))) == []


PIECES = st.sampled_from(
    [
        "report",
        "Straße",
        "STRASSE",
        "ИСТАНБУЛ",
        "İstanbul",
        "ıspanak",
        "отчёт",
        "会议",
        "纪要",
        "ﬁn",
        "e\u0301té",
        "Été",
        "한국",
        "ά",
        "ΑΣ",
        "ς",
        "a",
        "Я",
        "ss",
        "x y",
        "\t",
        "\u00a0",
        "İ",
        "ǅ",
        "𝔘",
        "%_",
        '"',
        "'",
        "[",
        "Ⅷ",
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=4).map("".join)
FIELDS = st.sampled_from(["from", "to", "subject", "x-other", "message-id"])
LEAVES = st.one_of(
    st.builds(HeaderContains, FIELDS, TEXTS | st.just("")),
    st.builds(BodyContains, TEXTS),
    st.builds(TextContains, TEXTS),
    st.builds(HasFlags, st.sampled_from([0, 1, 2])),
    st.builds(SentBetween, st.none() | st.just(1_699_999_981), st.none() | st.just(1_700_000_000)),
)
QUERIES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda parts: And(tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, max_size=3)),
    ),
    max_leaves=5,
)


def _letter(subject: str, text: str, other: str) -> bytes:
    coded = "=?utf-8?B?" + base64.b64encode(subject.encode()).decode() + "?="
    return (
        f"From: {coded} <a@example.org>\r\nSubject: {coded}\r\nX-Other: {other}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode() + text.encode()


async def test_equals_brute_force_with_and_without_an_index(
    world: World, mailbox: Mailbox, inbox: FolderId, uids: list[int]
) -> None:
    """Random queries over random mail in many scripts: before, while and after it is indexed."""
    randomly = random.Random(5)
    pieces = [
        "report",
        "Straße",
        "İstanbul",
        "ıspanak",
        "отчёт",
        "会议纪要",
        "ﬁn",
        "e\u0301té",
        "한국",
        "ΑΣς",
        "a",
        "x y",
    ]

    def some() -> str:
        return " ".join(randomly.choices(pieces, k=randomly.randint(1, 5)))

    async def add(count: int) -> None:
        letters = [_letter(some(), some(), some()) for _ in range(count)]
        await mailbox.add(inbox, [item(world.blobs, letter, flags=n % 3) for n, letter in enumerate(letters)])

    async def compare(count: int) -> None:
        queries: list[Query] = []

        @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(QUERIES)
        def collect(query: Query) -> None:
            queries.append(query)

        collect()
        for query in queries:
            found = await mailbox.search(inbox, query)
            assert list(found) == await brute_force.search(mailbox, world.blobs, inbox, query), query

    await add(15)
    await compare(15)
    await add(10)
    await compare(15)
    assert await world.store.index_mailbox(MAILBOX) == 25 + len(uids)
    await compare(25)
    await add(5)
    await compare(15)
    assert await world.store.index_mailbox(MAILBOX) == 5
    await compare(15)


def _search_file(world: World) -> Path:
    return world.data / "search" / MAILBOX[:2] / f"{MAILBOX}.db"


@pytest.mark.parametrize("damage", ["rubbish", "empty", "cut", "newer", "another mailbox", "read-only"])
async def test_a_search_file_that_is_no_good_is_made_anew(
    world: World, mailbox: Mailbox, inbox: FolderId, uids: list[int], damage: str
) -> None:
    query = BodyContains("secret")
    assert list(await mailbox.search(inbox, query)) == [uids[4]]
    await world.store.index_mailbox(MAILBOX)
    path = _search_file(world)
    with closing(apsw.Connection(str(path))) as db:
        db.pragma("wal_checkpoint(truncate)")
        if damage == "newer":
            db.execute("PRAGMA user_version = 99")
        if damage == "another mailbox":
            db.execute("UPDATE facts SET mailbox = 'x'")
    content = path.read_bytes()
    if damage == "rubbish":
        path.write_bytes(b"x" * 20000)
    if damage == "empty":
        path.write_bytes(b"")
    if damage == "cut":
        path.write_bytes(content[: len(content) // 3])
    if damage == "read-only":
        path.unlink()
        path.mkdir()
    for _ in range(2):
        assert list(await mailbox.search(inbox, query)) == [uids[4]]
        assert list(await mailbox.search(inbox, HeaderContains("subject", "report"))) == [uids[0]]


async def test_html_is_searched_as_it_is_read(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    """Also where a search file of before has the references as they are written."""
    written = b"Subject: %b\r\nContent-Type: text/%b\r\n\r\n<p>Gr&uuml;&szlig;e&nbsp;aus&#32;K&#246;ln</p>\r\n"
    both = [item(world.blobs, written % (kind, kind)) for kind in (b"html", b"plain")]
    html, plain = (one.uid for one in await mailbox.add(inbox, both))
    for indexed in (False, True):
        assert list(await mailbox.search(inbox, BodyContains("GRÜSSE aus köln</p>"))) == [html]
        assert list(await mailbox.search(inbox, TextContains("grüße aus"))) == [html]
        assert list(await mailbox.search(inbox, BodyContains("&uuml;"))) == [plain]
        if not indexed:
            assert await world.store.index_mailbox(MAILBOX) == 2
    path = _search_file(world)
    with closing(apsw.Connection(str(path))) as db:
        assert db.execute("UPDATE bodies SET text = 'gr&uuml;&szlig;e'").fetchall() == []
        db.execute("PRAGMA user_version = 3")
    assert list(await mailbox.search(inbox, BodyContains("grüße"))) == [html]


async def test_copies_and_moves_keep_what_was_worked_out_and_what_is_gone_goes(
    world: World, mailbox: Mailbox, inbox: FolderId, uids: list[int]
) -> None:
    await mailbox.search(inbox, BodyContains("secret"))
    assert await world.store.index_mailbox(MAILBOX) == len(uids)
    archive = (await mailbox.create_folder(None, "Elsewhere")).id
    copied = await mailbox.copy(inbox, [(uids[4], uids[4])], archive)
    await mailbox.move(inbox, [(uids[0], uids[0])], archive)
    assert await world.store.index_mailbox(MAILBOX) == 0
    assert list(await mailbox.search(archive, BodyContains("secret"))) == list(copied.placements)
    await mailbox.expunge(archive, None, only_deleted=False, purge=True)
    assert await world.store.clean_search_file(MAILBOX) == 1
    assert list(await mailbox.search(inbox, BodyContains("secret"))) == [uids[4]]


async def test_sorting_and_links(mailbox: Mailbox, inbox: FolderId, uids: list[int]) -> None:
    by_size = await mailbox.sort(inbox, uids, [SortKey(SortBy.SIZE, descending=True)])
    assert by_size[:2] == [uids[5], uids[3]]
    assert await mailbox.sort(inbox, [], [SortKey(SortBy.DATE)]) == ()
    assert [one.uid for one in await mailbox.links(inbox, [*uids, 10**6])] == uids


@pytest.mark.parametrize("descending", [False, True])
async def test_subjects_are_ordered_alike_with_and_without_a_search_file(
    world: World, mailbox: Mailbox, inbox: FolderId, descending: bool
) -> None:
    subjects = [
        "beta",
        "Re: Alpha",
        "alpha",
        "=?utf-8?Q?=C3=84ther?=",
        "[list] fwd: beta",
        "",
        "x" * 300 + "a",
        "x" * 300,
    ]
    placed = await mailbox.add(
        inbox,
        [item(world.blobs, message(n % 3, "text", subject)) for n, subject in enumerate(subjects)]
        + [item(world.blobs, b"From: a@example.org\r\n\r\nno subject\r\n")],
    )
    uids = [one.uid for one in placed]
    orders = [
        [SortKey(SortBy.SUBJECT, descending)],
        [SortKey(SortBy.SUBJECT), SortKey(SortBy.DATE, descending)],
        [SortKey(SortBy.SIZE, descending), SortKey(SortBy.SUBJECT)],
        [SortKey(SortBy.DATE, descending)],
        [SortKey(SortBy.DATE), SortKey(SortBy.ARRIVAL), SortKey(SortBy.SIZE, descending)],
    ]
    before = [list(await mailbox.sort(inbox, uids, keys)) for keys in orders]
    await mailbox.links(inbox, uids)  # fills the search file
    assert [list(await mailbox.sort(inbox, uids, keys)) for keys in orders] == before
    with_from = [list(await mailbox.sort(inbox, uids, [*keys, SortKey(SortBy.FROM)])) for keys in orders]
    assert all(sorted(order) == uids for order in with_from)
    assert before[0] != before[3]
