"""Maildir, mbox and archive files: what is read is what was written, also by others."""

from __future__ import annotations

import os
import socket
import ssl
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.migration.sources import imap
from postern.migration.sources.archive import ArchiveSource
from postern.migration.sources.maildir import Maildir
from postern.migration.sources.mbox import Mbox
from postern.migration.targets.archive import ArchiveTarget
from postern.migration.targets.maildir import MaildirTarget
from postern.migration.targets.mbox import MboxTarget
from postern.migration.values import SourceError, SourceFolder, SourceMessage, State, special_of, state_of, with_crlf
from postern.model.items import Flag, SpecialUse

PLAIN = b"From: a@b.example\r\nSubject: one\r\n\r\nText\r\n"


def read(source) -> dict[tuple[str, ...], list[SourceMessage]]:
    return {
        folder.path: [message for batch in source.messages(folder, ()) for message in batch]
        for folder in source.folders()
    }


def stripped(found) -> dict[tuple[str, ...], list[tuple[bytes, State, int | None]]]:
    return {path: [(m.content, m.state, m.received_at) for m in messages] for path, messages in found.items()}


@pytest.fixture
def dovecots(tmp_path: Path) -> Path:
    root = tmp_path / "Maildir"
    for folder in ("", ".Sent", ".Projekte.&AMQ-pfel", ".Calendar.postern"):
        for sub in ("cur", "new", "tmp"):
            (root / folder / sub).mkdir(parents=True)
    (root / "dovecot-keywords").write_text("0 $Forwarded\n1 Rechnung\n")
    first = root / "cur" / "1700000002.M1P2.host,S=40,W=43:2,RSab"
    first.write_bytes(PLAIN.replace(b"\r\n", b"\n"))
    os.utime(first, (1700000002, 1700000002))
    second = root / "new" / "1700000001.M1P2.host"
    second.write_bytes(PLAIN)
    (root / ".Sent" / "cur" / "1700000003.x:2,S").write_bytes(b"Subject: s\n\nsent\n")
    (root / ".Projekte.&AMQ-pfel" / "cur" / "1700000004.x:2,FT").write_bytes(b"Subject: p\n\n\n")
    (root / "subscriptions").write_text("Sent\nProjekte.&AMQ-pfel\n")
    return root


def test_maildir_as_dovecot_writes_it(dovecots):
    source = Maildir(dovecots)
    folders = {folder.path: folder for folder in source.folders()}
    assert next(iter(folders)) == ("INBOX",)
    assert folders[("Sent",)].special is SpecialUse.SENT
    assert folders[("Projekte", "Äpfel")].subscribed and not folders[("Calendar", "postern")].subscribed
    found = read(source)
    assert [m.content for m in found[("INBOX",)]] == [PLAIN, PLAIN]
    second, first = found[("INBOX",)]  # by the time in their names: there is no UID list
    assert first.state == State(Flag.ANSWERED | Flag.SEEN, ("$Forwarded", "Rechnung"))
    assert first.received_at == 1700000002
    assert second.state == State(0)
    assert found[("Projekte", "Äpfel")][0].state == State(Flag.FLAGGED | Flag.DELETED)
    assert source.states(folders[("INBOX",)])[first.key] == first.state


def test_maildir_keeps_the_order_of_the_uid_list(dovecots):
    (dovecots / "dovecot-uidlist").write_text(
        "3 V1700 N3 Gabc\n1 :1700000002.M1P2.host,S=40,W=43\n2 W43 :1700000001.M1P2.host\n"
    )
    assert read(Maildir(dovecots))[("INBOX",)][0].received_at == 1700000002
    by_uid = Maildir(dovecots, by_uid=True)
    assert by_uid.folders()[0].generation == "1700"
    assert [m.key for m in read(by_uid)[("INBOX",)]] == ["1", "2"]


def test_maildir_leaves_out_what_is_known(dovecots):
    source = Maildir(dovecots)
    (inbox,) = [folder for folder in source.folders() if folder.path == ("INBOX",)]
    (message,) = [m for batch in source.messages(inbox, {"1700000001.M1P2.host"}) for m in batch]
    assert message.key.startswith("1700000002")


def test_no_maildir_is_said(tmp_path):
    with pytest.raises(SourceError, match="no Maildir"):
        Maildir(tmp_path)


def test_a_maildir_with_folders_as_directories(tmp_path):
    for path in ("INBOX/cur", "Work/cur", "Work/Sub/cur"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "Work/Sub/cur/1.a:2,").write_bytes(b"\n")
    paths = [folder.path for folder in Maildir(tmp_path).folders()]
    assert paths == [("INBOX",), ("Work",), ("Work", "Sub")]


def test_digits_that_are_no_numbers_are_none_in_a_maildir(tmp_path):
    (tmp_path / "cur").mkdir()
    (tmp_path / "dovecot-keywords").write_text("² odd\n0 real\n", "utf-8")
    (tmp_path / "cur" / "²³.x:2,Sa").write_bytes(PLAIN)
    (message,) = read(Maildir(tmp_path))[("INBOX",)]
    assert message.content == PLAIN and message.state.keywords == ("real",)


def test_mbox_as_mutt_and_thunderbird_write_it(tmp_path):
    path = tmp_path / "Old mail"
    path.write_bytes(
        b"From MAILER-DAEMON Mon Jul  3 10:00:00 2023\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\n\n"
        b"From anna@example.org Tue Nov 14 22:13:22 2023\nFrom: a@b\nStatus: RO\nX-Status: AF\n"
        b"X-Keywords: work urgent\nSubject: 1\n\nHello\n>From here\n>>From there\n\nFrom the middle of nowhere\n\n"
        b"From - Tue Nov 14 22:13:23 2023\nX-Mozilla-Status: 0001\nX-Mozilla-Keys: $label1\nSubject: 2\n\nNo newline"
    )
    (folder,) = Mbox(path).folders()
    assert folder.path == ("Old mail",) and folder.total == 3
    first, last = read(Mbox(path))[("Old mail",)]
    assert (
        first.content
        == b"From: a@b\r\nSubject: 1\r\n\r\nHello\r\nFrom here\r\n>From there\r\n\r\nFrom the middle of nowhere\r\n"
    )
    assert first.state == State(Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED, ("urgent", "work"))
    assert first.received_at == 1700000002
    assert last.content == b"Subject: 2\r\n\r\nNo newline"
    assert last.state == State(Flag.SEEN, ("$label1",))


def test_the_same_message_twice_in_an_mbox_is_two(tmp_path):
    path = tmp_path / "twice"
    path.write_bytes(b"From a Tue Nov 14 22:13:22 2023\nSubject: 1\n\nx\n\n" * 2)
    assert len({m.key for m in read(Mbox(path))[("twice",)]}) == 2


def test_no_mbox_is_said(tmp_path):
    (tmp_path / "x").write_text("hello")
    with pytest.raises(SourceError, match="no mbox"):
        Mbox(tmp_path / "x").folders()


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12)
names = words.map(str.strip).filter(lambda name: name and "/" not in name and name not in (".", ".."))
bodies = st.lists(
    st.sampled_from(["Hello", "From me", ">From you", ">>From them", "", ".", "Grüße", "last"]), max_size=6
).map(lambda lines: "".join(f"{line}\r\n" for line in lines).encode())
messages = st.tuples(
    bodies,
    st.builds(
        State,
        st.integers(0, 31),
        st.lists(st.sampled_from(["$Label1", "work", "x"]), unique=True).map(lambda words: tuple(sorted(words))),
    ),
    st.integers(0, 2**31),
)


@given(st.lists(messages, max_size=4), st.data())
def test_what_is_exported_comes_back(tmp_path_factory, contents, data):
    root = tmp_path_factory.mktemp("export")
    kind = data.draw(st.sampled_from(["maildir", "mbox", "archive", "archive.gz"]))
    path = root / kind
    target = (
        MaildirTarget(path)
        if kind == "maildir"
        else MboxTarget(path)
        if kind == "mbox"
        else ArchiveTarget(path, "anna@example.org", 1)
    )
    wanted = {}
    for number, folder in enumerate([("INBOX",), ("Sent",), ("Проекты", "Äpfel")]):
        target.folder(SourceFolder(str(number), folder, "7"))
        written = []
        for place, (body, state, at) in enumerate(contents, 1):
            content = b"Subject: %d.%d\r\n\r\n" % (number, place) + body
            target.message(SourceMessage(str(place), content, state, at))
            written.append((content, state, at))
        wanted[folder] = sorted(written)
    target.finish()
    source = Maildir(path) if kind == "maildir" else Mbox(path) if kind == "mbox" else ArchiveSource(path)
    assert {p: sorted(m) for p, m in stripped(read(source)).items()} == wanted
    assert getattr(source, "damage", "") == ""


def make_archive(path: Path, count: int) -> None:
    target = ArchiveTarget(path, "anna@example.org", 1)
    target.folder(SourceFolder("1", ("INBOX",), "7", SpecialUse.NONE, True, count))
    for number in range(1, count + 1):
        target.message(SourceMessage(str(number), PLAIN + b"%d\r\n" % number, State(1, ("a",)), number))
    target.finish()


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_damaged_archive_gives_what_is_whole(tmp_path, name):
    path = tmp_path / name
    make_archive(path, 2000)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    source = ArchiveSource(path)
    found = read(source)[("INBOX",)]
    assert 100 < len(found) < 2000
    assert [m.content for m in found] == [PLAIN + b"%d\r\n" % n for n in range(1, len(found) + 1)]
    assert "damaged" in source.damage or "not whole" in source.damage


def test_an_archive_with_a_message_taken_out_is_not_whole(tmp_path):
    whole, short = tmp_path / "whole.tar", tmp_path / "short.tar"
    make_archive(whole, 3)
    with tarfile.open(whole) as old, tarfile.open(short, "w") as new:
        for member in old:
            if not member.name.endswith("2.eml"):
                new.addfile(member, old.extractfile(member))
    source = ArchiveSource(short)
    assert len(read(source)[("INBOX",)]) == 2
    assert "not whole" in source.damage


def test_what_is_no_archive_is_said(tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 2000)
    with pytest.raises(SourceError, match="no archive"):
        ArchiveSource(tmp_path / "x")


def test_an_export_that_fails_leaves_no_archive(tmp_path):
    target = ArchiveTarget(tmp_path / "a.tar", "anna@example.org", 1)
    target.abandon()
    assert list(tmp_path.iterdir()) == []


def test_line_endings():
    assert with_crlf(b"a\nb\r\nc\rd\n") == b"a\r\nb\r\nc\r\nd\r\n"


def test_special_folders_by_mark_and_by_name():
    assert special_of(("Gesendet",)) is SpecialUse.SENT
    assert special_of(("Какая-то",), ["\\HasNoChildren", "\\Trash"]) is SpecialUse.TRASH
    assert special_of(("Work", "Sent")) is SpecialUse.NONE


def test_flags_of_imap():
    assert state_of(["\\Seen", "\\Recent", "\\XUnknown", "$Label1"]) == State(Flag.SEEN, ("$Label1",))


@pytest.mark.parametrize(("speaks", "said"), [(False, "does not answer: Connection refused"), (True, "speaks no TLS")])
def test_a_server_that_was_never_met_is_not_waited_for(monkeypatch, speaks, said):
    """Half a minute of silence, for a wrong port."""
    monkeypatch.setattr(imap.time, "sleep", lambda _: pytest.fail("it waited"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        wanted = imap.Server(
            "127.0.0.1", server.getsockname()[1], "implicit", ssl.create_default_context(), "anna", "secret"
        )
        greeting = threading.Thread(target=greet, args=(server,))
        if speaks:
            greeting.start()
        else:
            server.close()
        with pytest.raises(SourceError, match=said):
            imap.ImapSource(wanted)
        if speaks:
            greeting.join()


def greet(server: socket.socket) -> None:
    """In clear, and waits for what comes."""
    peer, _ = server.accept()
    with peer:
        peer.sendall(b"* OK here\r\n")
        peer.recv(4096)
