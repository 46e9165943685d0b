"""What makes searches cheap changes no answer: folding without decoding, kept connections."""

from __future__ import annotations

from pathlib import Path

import pytest
from brute_force import part_fields, readable
from hypothesis import given, settings
from hypothesis import strategies as st
from store_world import MAILBOX, World, item, message

from postern.formats.mime import header as mime_header
from postern.formats.mime.scan import scan
from postern.model.collation import fold
from postern.model.ids import FolderId
from postern.model.query import BodyContains
from postern.store.interface import Mailbox
from postern.store.sqlite.search import texts
from postern.store.sqlite.search.reading_texts import finder

VALUES = st.lists(
    st.sampled_from(
        ["anna", "Anna", "ANNA", " ", "  ", "\r\n ", "\n\t", "\r\n \r\n ", "\r\n :", "\r", "\0", "\x0b", "\t:",
         "=?utf-8?Q?anna?=", "=?utf-8?Q?a?= =?utf-8?Q?nna?=", "\u00e4", "ſs", "<a@b>", "x", "=?", "ﬁ", "fi"]
    ),
    max_size=6,
).map("".join)  # fmt: skip
NAMES = st.sampled_from(
    ["From", "from", "SUBJECT", "Subject ", "Subject\t", "X-From", "no field", "", " Cc", "\x0b", "a\x0b"]
)
FIELDS = st.lists(
    st.tuples(NAMES, st.sampled_from([":", ": ", ""]), VALUES, st.sampled_from(["\r\n", "\n"])), max_size=5
)


@settings(max_examples=500, deadline=None)
@given(FIELDS, st.sampled_from(["\r\n", "\n", ""]))
def test_header_lines_are_those_of_each_field(fields: list[tuple[str, str, str, str]], end: str) -> None:
    raw = ("".join(map("".join, fields)) + end).encode()
    decoded = [(name, mime_header.decode(value)) for name, value in mime_header.values(raw)]
    plain = "".join(f"\n{name.decode().lower()}:{fold(value)}" for name, value in decoded).encode()
    assert texts.header_lines(raw) == plain
    named = [fold(value) for name, value in decoded if name.lower() == b"from"]
    assert texts.head(raw).from_field == "".join(f"{value}\n" for value in named).encode()


BODIES = st.lists(
    st.sampled_from(
        [b"words ", b"WORDS", b"\r\n", b"  ", b"\0", b"=C3=A9", b"=\r\n", b"\xc3\xa9", b"\xe9", b"\x1b$B", b"+AGE-",
         b"~{", b"\x85", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"d29yZHM=", b"\xe2\x80\xa8", b"\xc2\xa0",
         b"&uuml;", b"&#1071;", b"&amp;", b"&nbsp;", b"+ACY-", b"lt;", b"&#12;"]
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
@given(BODIES, CHARSETS, ENCODINGS, st.booleans(), st.sampled_from(["text/plain", "text/html", "Text/HTML"]))
def test_bodies_are_folded_as_if_they_were_decoded(
    body: bytes, charset: str, encoding: str, enclosed: bool, kind: str
) -> None:
    head = f"Content-Type: {kind}{f'; charset={charset}' if charset else ''}\r\n"
    head += f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else ""
    content = (head + "\r\n").encode() + body
    if enclosed:
        content = b"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?Q?=C3=89t=C3=A9?=\r\n" + content
    parts = scan(content).parts
    expected = ("\n".join(map(fold, readable(parts, content))).encode(), part_fields(parts, content).encode())
    for octets in (content, memoryview(content)):
        found = texts.body(parts, octets)
        assert (found.text, found.fields) == expected


def test_texts_have_characters_in_the_place_of_encodings_and_references() -> None:
    content = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=koi8-r\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n8NLJ18XU\r\n--b\r\nContent-Type: Text/HTML; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<b title=3D'?a=3D1&copy=3D2&amp;b=3D3'>=E4=BD=A0=\r\n"
        b"=E5=A5=BD&nbsp;&#1055;&#x420;&#128; &nothing; & &#xD800;</b>\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nM&uuml;ller\r\n"
        b"--b\r\nContent-Type: image/png; name*=utf-8''%D0%AF.png\r\n\r\nnot text\r\n"
        b"--b\r\nContent-Type: Message/Delivery-Status\r\n\r\nAction: failed\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: within\r\n\r\nin it\r\n--b--\r\n"
    )
    found = texts.body(scan(content).parts, content)
    assert found.text.decode().split("\n") == [
        "привет",
        "<b title='?a=1&copy=2&b=3'>你好 пр€ &nothing; & \ufffd</b>",
        "m&uuml;ller",
        "action: failed",
        "in it",
    ]
    assert found.fields.decode().split("\n")[1:] == [
        "content-type:text/plain; charset=koi8-r",
        "content-transfer-encoding:base64",
        "content-type:text/html; charset=utf-8",
        "content-transfer-encoding:quoted-printable",
        "content-type:text/plain",
        "content-type:image/png; name*=utf-8''%d0%af.png",
        "filename:я.png",
        "content-type:message/delivery-status",
        "content-type:message/rfc822",
        "subject:within",
    ]


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
