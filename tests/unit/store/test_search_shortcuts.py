"""What makes searches cheap changes no answer: the sieve of raw headers, folding without decoding, kept connections."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_world import MAILBOX, World, item, message

from postern.formats.mime.parts import PartMap
from postern.formats.mime.scan import scan
from postern.model.collation import fold
from postern.model.ids import FolderId
from postern.model.query import And, BodyContains, HeaderContains, Not
from postern.store.interface import Mailbox
from postern.store.sqlite.search import texts
from postern.store.sqlite.search.file import has_field
from postern.store.sqlite.search.reading_texts import finder
from postern.store.sqlite.search.sieve import Sieve

VALUES = st.lists(
    st.sampled_from(
        ["anna", "Anna", "ANNA", " ", "\r\n ", "\r\n\t", "=?utf-8?Q?anna?=", "=?utf-8?Q?a?= =?utf-8?Q?nna?=", "\u00e4",
         "ſs", "a", "n", "<a@b>", "x", "=?", "ﬁ", "fi"]
    ),
    max_size=6,
).map("".join)  # fmt: skip
HEADERS = st.lists(st.tuples(st.sampled_from(["From", "from", "SUBJECT", "Subject ", "X-From"]), VALUES), max_size=5)


@settings(max_examples=300, deadline=None)
@given(
    HEADERS, st.sampled_from(["from", "subject", "x-from"]), st.sampled_from(["anna", "Anna a", "fi", "ss", "x", "<a"])
)
def test_the_sieve_lets_every_match_pass(fields: list[tuple[str, str]], name: str, text: str) -> None:
    raw = ("".join(f"{field}: {value}\r\n" for field, value in fields) + "\r\n").encode()
    _, lines = texts.header(raw)
    matches = has_field(lines, name.encode(), fold(text).encode())
    sieve = Sieve.of(HeaderContains(name, text))
    assert sieve is not None
    assert sieve.may_match(raw) or not matches


def test_the_sieve_keeps_back_what_cannot_match() -> None:
    sieve = Sieve.of(And((HeaderContains("from", "anna"), Not(HeaderContains("subject", "x")))))
    assert sieve is not None
    assert not sieve.may_match(b"From: boris\r\nSubject: =?utf-8?Q?x?=\r\n\r\n")
    assert sieve.may_match(b"From: ANNA\r\n\r\n")
    assert sieve.may_match(b"From: =?utf-8?Q?x?=\r\n\r\n")
    assert Sieve.of(HeaderContains("from", "")) is None
    assert Sieve.of(HeaderContains("from", "ä")) is None
    assert Sieve.of(Not(HeaderContains("from", "a"))) is None


BODIES = st.lists(
    st.sampled_from(
        [b"words ", b"WORDS", b"\r\n", b"  ", b"\0", b"=C3=A9", b"=\r\n", b"\xc3\xa9", b"\xe9", b"\x1b$B", b"+AGE-",
         b"~{", b"\x85", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"d29yZHM=", b"\xe2\x80\xa8", b"\xc2\xa0"]
    ),
    max_size=8,
).map(b"".join)  # fmt: skip
CHARSETS = st.sampled_from(
    [
        "",
        "utf-8",
        "us-ascii",
        "iso-8859-1",
        "koi8-r",
        "gb2312",
        "iso-2022-jp",
        "utf-7",
        "utf-16",
        "hz",
        "nonsense",
        "cp037",
    ]
)
ENCODINGS = st.sampled_from(["", "7bit", "quoted-printable", "base64", "BASE64 "])


@settings(max_examples=400, deadline=None)
@given(BODIES, CHARSETS, ENCODINGS, st.booleans())
def test_bodies_are_folded_as_if_they_were_decoded(body: bytes, charset: str, encoding: str, enclosed: bool) -> None:
    head = f"Content-Type: text/plain{f'; charset={charset}' if charset else ''}\r\n"
    head += f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else ""
    content = (head + "\r\n").encode() + body
    if enclosed:
        content = b"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?Q?=C3=89t=C3=A9?=\r\n" + content
    parts = scan(content).parts
    plain = "\n".join(fold(text) for text in PartMap.unpack(parts).leaf_text(content)).encode()
    assert texts.body_text(parts, content) == plain
    assert texts.body_text(parts, memoryview(content)) == plain


@settings(max_examples=200, deadline=None)
@given(st.text("ab e042", min_size=1, max_size=5), st.lists(st.text("ab e042", max_size=300), max_size=4))
def test_a_text_is_found_by_its_rarest_octet(wanted: str, pieces: list[str]) -> None:
    text = wanted[:-1].join(pieces).encode()
    assert finder(wanted.encode(), text[: len(text) // 2])(text) == (wanted.encode() in text)


def search_file(world: World) -> Path:
    return world.data / "search" / MAILBOX[:2] / f"{MAILBOX}.db"


async def test_a_connection_serves_the_next_search_unless_its_file_is_another(
    world: World, mailbox: Mailbox, inbox: FolderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    (placed,) = await mailbox.add(inbox, [item(world.blobs, message(1, "hello"))])
    opened = 0
    connections = world.store._host.searched
    take = connections.take

    async def counting(path: Path) -> object:
        nonlocal opened
        before = {id(one.db) for kept in connections._waiting.values() for one in kept}
        db = await take(path)
        opened += id(db) not in before
        return db

    monkeypatch.setattr(connections, "take", counting)
    for _ in range(3):
        assert list(await mailbox.search(inbox, BodyContains("hello"))) == [placed.uid]
    assert opened == 1
    content = search_file(world).read_bytes()
    for path in search_file(world).parent.iterdir():
        path.unlink()
    assert list(await mailbox.search(inbox, BodyContains("hello"))) == [placed.uid]
    search_file(world).write_bytes(content[: len(content) // 2])
    assert list(await mailbox.search(inbox, BodyContains("hello"))) == [placed.uid]
    assert opened >= 3
    for _ in range(2):
        assert list(await mailbox.search(inbox, BodyContains("hello"))) == [placed.uid]
    connections._drop(next(iter(connections._waiting)))
    assert not connections._waiting
    assert list(await mailbox.search(inbox, BodyContains("hello"))) == [placed.uid]
