"""Words in attachments: read once, by somebody else, found by who asks for attachments and by nobody else."""

from __future__ import annotations

import base64
from pathlib import Path

import apsw
import pytest
from store_world import MAILBOX, World, item

from postern.formats.documents.kinds import PDF, PLAIN
from postern.model.ids import FolderId
from postern.model.query import And, AttachmentContains, BodyContains, HeaderContains, Not, Or, TextContains
from postern.store.interface import Mailbox


def letter(subject: str, *attachments: tuple[str, str, bytes]) -> bytes:
    """(content type, name, content) each."""
    head = f"From: a@example.org\r\nSubject: {subject}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    parts = "--b\r\nContent-Type: text/plain\r\n\r\nThe text.\r\n"
    for content_type, name, content in attachments:
        marked = b"%PDF-1.7 " + content if content_type == "application/pdf" else content
        coded = base64.encodebytes(marked).decode()
        parts += (
            f'--b\r\nContent-Type: {content_type}\r\nContent-Disposition: attachment; filename="{name}"\r\n'
            f"Content-Transfer-Encoding: base64\r\n\r\n{coded}\r\n"
        )
    return (head + parts + "--b--\r\n").encode()


def forwarded(message: bytes) -> bytes:
    head = b"From: b@example.org\r\nSubject: fwd\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n"
    return head + b"Content-Type: message/rfc822\r\n\r\n" + message + b"\r\n--c--\r\n"


class Reader:
    """Takes what is in a document for its words; counts."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    async def read(self, kind: str, content: bytes) -> str | None:
        self.asked.append((kind, content))
        return None if b"broken" in content else content.decode()


async def index(world: World, reader: Reader, seconds: float = 100) -> tuple[int, int, bool]:
    await world.store.index_mailbox(MAILBOX)
    done = await world.store.read_attachments(MAILBOX, reader.read, seconds)
    await world.store.index_mailbox(MAILBOX)
    return tuple(done)


async def test_words_and_names_are_found_once_they_are_read(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    letters = [
        letter("one", ("application/pdf", "Plan.pdf", b"Geheime \xc3\x9cbersicht")),
        letter("two", ("image/png", "holiday.png", b"pixels")),
        forwarded(letter("inner", ("text/csv", "list.csv", "приход;расход".encode()))),
        letter("three", ("application/pdf", "bad.pdf", b"broken words")),
        b"Subject: four\r\n\r\nno attachment: plan\r\n",
    ]
    uids = [placed.uid for placed in await mailbox.add(inbox, [item(world.blobs, text) for text in letters])]

    async def found(text: str) -> list[int]:
        return [uids.index(uid) for uid in await mailbox.search(inbox, AttachmentContains(text))]

    assert await found("übersicht") == []
    reader = Reader()
    assert await index(world, reader) == (2, 1, False)
    assert [kind for kind, _ in reader.asked] == [PDF, PLAIN, PDF]
    for text, expected in {
        "GEHEIME ÜBERSICHT": [0], "plan.pdf": [0], "plan": [0], "an": [0], "holiday": [1], "pixels": [], "РАСХОД": [2],
        "bad": [3], "broken": [], "the text": [], "": [0, 1, 2, 3, 4],
    }.items():  # fmt: skip
        assert await found(text) == expected, text
    # IMAP's searches are for text parts alone
    assert await mailbox.search(inbox, BodyContains("geheime")) == []
    assert await mailbox.search(inbox, TextContains("geheime")) == []
    assert list(await mailbox.search(inbox, BodyContains("расход"))) == [uids[2]]
    both = And((HeaderContains("subject", "one"), Or((TextContains("geheime"), AttachmentContains("geheime")))))
    assert list(await mailbox.search(inbox, both)) == [uids[0]]
    assert list(await mailbox.search(inbox, Not(AttachmentContains("geheime")))) == uids[1:]
    # nothing is read twice, nor for a copy
    archive = (await mailbox.create_folder(None, "Elsewhere")).id
    copied = await mailbox.copy(inbox, [(uids[0], uids[0])], archive)
    assert await index(world, reader) == (0, 0, False)
    assert list(await mailbox.search(archive, AttachmentContains("geheime"))) == list(copied.placements)


async def test_much_is_read_in_several_runs(world: World, mailbox: Mailbox, inbox: FolderId) -> None:
    letters = [letter(str(n), ("application/pdf", "a.pdf", b"number%d" % n)) for n in range(5)]
    uids = [placed.uid for placed in await mailbox.add(inbox, [item(world.blobs, text) for text in letters])]
    await mailbox.search(inbox, BodyContains("x"))
    reader = Reader()
    runs = []
    while not runs or runs[-1][2]:
        runs.append(await index(world, reader, seconds=-1))
    assert runs == [(1, 0, True)] * 5 + [(0, 0, False)]
    assert list(await mailbox.search(inbox, AttachmentContains("number3"))) == [uids[3]]


async def test_what_only_has_the_name_is_not_handed_to_a_reader(
    world: World, mailbox: Mailbox, inbox: FolderId
) -> None:
    office = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    pretending = letter("one", ("application/octet-stream", "a.pdf", b"rubbish"), (office, "b.docx", b"rubbish"))
    (placed,) = await mailbox.add(inbox, [item(world.blobs, pretending)])
    await mailbox.search(inbox, BodyContains("x"))
    reader = Reader()
    assert await index(world, reader) == (0, 2, False)
    assert reader.asked == []
    assert list(await mailbox.search(inbox, AttachmentContains("b.docx"))) == [placed.uid]


async def test_the_words_of_attachments_do_not_index_a_message_anew(
    world: World, mailbox: Mailbox, inbox: FolderId
) -> None:
    (placed,) = await mailbox.add(inbox, [item(world.blobs, letter("one", ("application/pdf", "a.pdf", b"plans")))])
    await mailbox.search(inbox, BodyContains("x"))
    assert await world.store.index_mailbox(MAILBOX) == 1
    await world.store.read_attachments(MAILBOX, Reader().read, 100)
    assert list(await mailbox.search(inbox, AttachmentContains("plans"))) == [placed.uid]
    assert await world.store.index_mailbox(MAILBOX) == 1
    db = apsw.Connection(str(world.data / "search" / MAILBOX[:2] / f"{MAILBOX}.db"))
    assert db.execute("SELECT batch FROM facts").fetchall() == [(3,)]
    assert db.execute("SELECT h.indexed, a.indexed FROM heads h, attached a").fetchall() == [(2, 3)]
    db.close()
    assert list(await mailbox.search(inbox, AttachmentContains("plans"))) == [placed.uid]
    assert list(await mailbox.search(inbox, AttachmentContains("planet"))) == []


async def test_what_is_gone_goes(world: World, mailbox: Mailbox, inbox: FolderId, tmp_path: Path) -> None:
    (placed,) = await mailbox.add(inbox, [item(world.blobs, letter("one", ("application/pdf", "a.pdf", b"gone soon")))])
    await mailbox.search(inbox, BodyContains("x"))
    await index(world, Reader())
    await mailbox.expunge(inbox, [(placed.uid, placed.uid)], only_deleted=False, purge=True)
    assert await world.store.clean_search_file(MAILBOX) == 1
    db = apsw.Connection(str(world.data / "search" / MAILBOX[:2] / f"{MAILBOX}.db"))
    assert db.execute("SELECT count(*) FROM attached").fetchall() == [(0,)]
    db.close()


@pytest.mark.parametrize("count", [60])
async def test_a_message_of_many_attachments_is_read_so_far(
    world: World, mailbox: Mailbox, inbox: FolderId, count: int
) -> None:
    many = letter("many", *(("application/pdf", f"{n}.pdf", b"w%d" % n) for n in range(count)))
    await mailbox.add(inbox, [item(world.blobs, many)])
    await mailbox.search(inbox, BodyContains("x"))
    reader = Reader()
    assert await index(world, reader) == (50, 0, False)
