"""From a source into a mailbox: complete, in order, never twice, wherever a run is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from postern.config.loading import load
from postern.migration.copying import Copying, CopySettings
from postern.migration.exporting import export
from postern.migration.ledger import Ledger
from postern.migration.values import SourceError, SourceFolder, SourceMessage, State, special_of
from postern.model.ids import FolderId
from postern.model.items import Columns, Flag, FolderClass, SpecialUse
from postern.roles.context import accepting, open_organisation
from postern.services.mailbox_access import MailboxAccess
from postern.services.mailboxes import FlagChange
from postern.services.rules.rulebook import RuleBook


class Fake:
    """A source that breaks where it is told to."""

    name = "fake"

    def __init__(self, counts: dict[tuple[str, ...], int], generation: str = "1", batch: int = 3) -> None:
        self.counts = counts
        self.generation = generation
        self.batch = batch
        self.breaks_after = 10**9
        self.flags: dict[str, State] = {}

    def folders(self) -> Sequence[SourceFolder]:
        return [SourceFolder("/".join(path), path, self.generation, total=count) for path, count in self.counts.items()]

    def messages(self, folder, known):
        wanted = [key for key in map(str, range(1, self.counts[folder.path] + 1)) if key not in known]
        for start in range(0, len(wanted), self.batch):
            self.breaks_after -= 1
            if self.breaks_after < 0:
                raise SourceError("the cable was pulled")
            yield [self.message(folder, key) for key in wanted[start : start + self.batch]]

    def message(self, folder, key) -> SourceMessage:
        content = f"Subject: {'/'.join(folder.path)} {key}\r\n\r\nText\r\n".encode()
        return SourceMessage(key, content, self.states(folder)[key], 1_700_000_000 + int(key))

    def states(self, folder):
        keys = map(str, range(1, self.counts[folder.path] + 1))
        return {key: self.flags.get(key, State(Flag.SEEN if int(key) % 2 else 0, ("old",))) for key in keys}

    def extras(self):
        return {}

    def close(self) -> None:
        pass


@pytest.fixture
async def mailbox(tmp_path, postern):
    config = tmp_path / "postern.toml"
    config.write_text('[server]\ndata = "data"\nhostname = "mail.example.org"\n')
    await asyncio.to_thread(make_mailbox, config)
    async with open_organisation(load(config)) as parts, accepting(parts) as mailflow:
        account = await parts.directory.login("anna@example.org")
        opened = await parts.store.mailbox(account.mailbox)
        access = MailboxAccess(opened, parts.store, parts.bus, account.slot, mailflow)
        access.parts = parts
        yield access


def make_mailbox(config) -> None:
    from postern.cli.mailbox import create
    from postern.directory.interface import Domain, NewAccount

    settings = load(config)

    async def work() -> None:
        async with open_organisation(settings) as parts:
            await parts.directory.put_domain(Domain("example.org"))
        await create(settings, [NewAccount("anna@example.org", "Anna")])

    asyncio.run(work())


async def copy(access, source, tmp_path, **settings):
    ledger = Ledger(tmp_path / "imports", access.id, source.name)
    try:
        copying = Copying(source, access, ledger, access.parts.clock, CopySettings(**settings))
        progress = await copying.run()
        return progress, await copying.verify()
    finally:
        ledger.close()


async def contents(access, *path: str) -> list[tuple[bytes, int, tuple[str, ...], int]]:
    parent = None
    for name in path:
        (folder,) = [f for f in await access.folders() if f.parent == parent and f.name == name]
        parent = folder.id
    words = await access.keywords()
    rows = []
    columns = Columns.UID | Columns.FLAGS | Columns.RECEIVED_AT
    async for chunk in access.items(FolderId(parent), columns):
        for uid, flags, at in chunk:
            named = tuple(sorted(word for bit, word in words.items() if flags >> bit & 1))
            rows.append((await access.read(FolderId(parent), uid), flags & 31, named, at))
    return rows


def expected(source: Fake, *path: str) -> list[tuple[bytes, int, tuple[str, ...], int]]:
    (folder,) = [f for f in source.folders() if f.path == path]
    found = [source.message(folder, str(key)) for key in range(1, source.counts[path] + 1)]
    return [(m.content, m.state.flags, m.state.keywords, m.received_at) for m in found]


async def test_everything_comes_in_order(mailbox, tmp_path):
    source = Fake({("INBOX",): 10, ("Work", "Äpfel"): 4, ("Sent",): 2})
    progress, wrong = await copy(mailbox, source, tmp_path)
    assert (progress.copied, progress.present, wrong) == (16, 0, [])
    assert await contents(mailbox, "INBOX") == expected(source, "INBOX")
    assert await contents(mailbox, "Work", "Äpfel") == expected(source, "Work", "Äpfel")


async def test_a_second_run_brings_what_is_new_and_follows_flags(mailbox, tmp_path):
    source = Fake({("INBOX",): 5})
    await copy(mailbox, source, tmp_path)
    inbox = await mailbox.special(SpecialUse.INBOX)
    (first, *_) = [row[0] async for rows in mailbox.items(inbox.id, Columns.UID) for row in rows]
    await mailbox.set_flags(inbox.id, [(first, first)], FlagChange(add=Flag.FLAGGED))
    source.counts[("INBOX",)] = 7
    source.flags = {"2": State(Flag.ANSWERED, ("new",))}
    progress, wrong = await copy(mailbox, source, tmp_path)
    assert (progress.copied, progress.present, progress.restated, wrong) == (2, 5, 1, [])
    found = await contents(mailbox, "INBOX")
    assert len(found) == 7
    assert found[0][1] == Flag.SEEN | Flag.FLAGGED  # ours stays: the source has not changed it
    assert found[1][1:3] == (Flag.ANSWERED, ("new",))


@pytest.mark.parametrize("after", range(5))
async def test_a_run_that_is_cut_off_goes_on(mailbox, tmp_path, after):
    source = Fake({("INBOX",): 7, ("Work",): 5})
    source.breaks_after = after
    with pytest.raises(SourceError):
        await copy(mailbox, source, tmp_path)
    source.breaks_after = 10**9
    _, wrong = await copy(mailbox, source, tmp_path)
    assert wrong == []
    assert await contents(mailbox, "INBOX") == expected(source, "INBOX")
    assert await contents(mailbox, "Work") == expected(source, "Work")


async def test_killed_between_the_mailbox_and_the_ledger(mailbox, tmp_path, monkeypatch):
    source = Fake({("INBOX",): 7})

    def killed(*_):
        raise KeyboardInterrupt

    real = Ledger.finish
    monkeypatch.setattr(Ledger, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        await copy(mailbox, source, tmp_path)
    monkeypatch.setattr(Ledger, "finish", real)
    assert len(await contents(mailbox, "INBOX")) == 3
    progress, wrong = await copy(mailbox, source, tmp_path)
    assert (progress.copied, progress.present, wrong) == (4, 3, [])
    assert await contents(mailbox, "INBOX") == expected(source, "INBOX")


async def test_a_folder_that_was_made_anew_is_not_brought_twice(mailbox, tmp_path):
    await copy(mailbox, Fake({("INBOX",): 5}), tmp_path)
    source = Fake({("INBOX",): 6}, generation="2")
    progress, wrong = await copy(mailbox, source, tmp_path)
    assert (progress.copied, wrong) == (1, [])
    assert await contents(mailbox, "INBOX") == expected(source, "INBOX")


async def test_only_some_folders(mailbox, tmp_path):
    source = Fake({("INBOX",): 1, ("Work",): 1, ("Work", "Deep"): 1, ("Workshop",): 1})
    progress, wrong = await copy(mailbox, source, tmp_path, only=("work",))
    assert (progress.copied, wrong) == (2, [])


async def test_everything_below_a_folder(mailbox, tmp_path):
    source = Fake({("INBOX",): 2, ("Sent",): 3, ("Work", "Apples"): 1})
    source.folders = lambda folders=source.folders: [one._replace(special=special_of(one.path)) for one in folders()]
    source.extras = lambda: {"sieve/main": b"keep;"}
    ledger = Ledger(tmp_path / "imports", mailbox.id, "below")
    book = RuleBook(await mailbox.parts.store.mailbox(mailbox.id), mailbox.parts.bus)
    how = CopySettings(into=("Old", "2023"))
    copying = Copying(source, mailbox, ledger, mailbox.parts.clock, how, book=book)
    progress = await copying.run()
    assert (progress.copied, progress.scripts, await copying.verify()) == (6, 0, [])
    ledger.close()
    for path in (("INBOX",), ("Sent",), ("Work", "Apples")):
        assert len(await contents(mailbox, "Old", "2023", *path)) == source.counts[path]
    (sent,) = [one for one in await mailbox.folders() if one.special is SpecialUse.SENT]
    assert (sent.messages, await contents(mailbox, "INBOX")) == (0, [])


async def test_mail_in_a_folder_named_calendar_stays_out_of_the_calendar(mailbox, tmp_path):
    await copy(mailbox, Fake({("Calendar",): 1}), tmp_path)
    folders = {f.name: f for f in await mailbox.folders()}
    assert folders["Calendar"].messages == 0
    assert folders["Calendar (mail)"].messages == 1
    assert folders["Calendar (mail)"].folder_class is FolderClass.MAIL


async def test_names_that_are_not_allowed_here(mailbox, tmp_path):
    source = Fake({("a/b\x07",): 1, ("x" * 400,): 1})
    progress, wrong = await copy(mailbox, source, tmp_path)
    assert (progress.copied, wrong) == (2, [])
    assert "a_b_" in {f.name for f in await mailbox.folders()}


async def test_verification_finds_what_is_missing(mailbox, tmp_path):
    source = Fake({("INBOX",): 3})
    await copy(mailbox, source, tmp_path)
    inbox = await mailbox.special(SpecialUse.INBOX)
    await mailbox.expunge(inbox.id, [(1, 2**32 - 1)], only_deleted=False)
    _, wrong = await copy(mailbox, source, tmp_path)
    assert len(wrong) == 3 and "not here" in wrong[0]


async def test_the_rate_is_kept(mailbox, tmp_path):
    source = Fake({("INBOX",): 9})
    octets = sum(len(content) for content, *_ in expected(source, "INBOX"))
    began = mailbox.parts.clock.monotonic()
    await copy(mailbox, source, tmp_path, bytes_per_s=octets * 2)
    assert mailbox.parts.clock.monotonic() - began > 0.15


class Kept:
    """An export's target in memory."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, ...], list[SourceMessage]] = {}

    def folder(self, folder) -> None:
        self.last = self.found.setdefault(folder.path, [])

    def message(self, message) -> None:
        self.last.append(message)

    def finish(self) -> None:
        self.finished = True

    def abandon(self) -> None:
        raise AssertionError


async def test_export_has_what_was_brought(mailbox, tmp_path):
    source = Fake({("INBOX",): 4, ("Work", "Äpfel"): 2})
    await copy(mailbox, source, tmp_path)
    target = Kept()
    progress = await export(mailbox, target)
    assert target.finished and progress.copied == 6
    got = [(m.content, m.state.flags, m.state.keywords, m.received_at) for m in target.found[("INBOX",)]]
    assert got == expected(source, "INBOX")
    assert "Recoverable Items" not in {path[0] for path in target.found}
    assert msgspec.to_builtins(progress)["folders"] == len(target.found)


def kept(config) -> dict[str, int]:
    """Messages in the folders below `Kept` that have any."""

    async def work() -> dict[str, int]:
        async with open_organisation(load(config)) as parts:
            account = await parts.directory.login("anna@example.org")
            folders = {one.id: one for one in await (await parts.store.mailbox(account.mailbox)).folders()}

            def path(one) -> str:
                return one.name if one.parent not in folders else f"{path(folders[one.parent])}/{one.name}"

            return {
                path(one): one.messages for one in folders.values() if one.messages and path(one).startswith("Kept/")
            }

    return asyncio.run(work())


def test_the_commands(postern, tmp_path, monkeypatch):
    config = tmp_path / "postern.toml"
    config.write_text('[server]\ndata = "data"\nhostname = "mail.example.org"\n')
    monkeypatch.setenv("POSTERN_CONFIG", str(config))
    make_mailbox(config)
    path = tmp_path / "old"
    path.write_bytes(b"From a Tue Nov 14 22:13:22 2023\nSubject: 1\n\nx\n\n" * 3)
    brought = postern("import", "mbox", "anna@example.org", str(path), "--into", "Old", "--verify", "--json")
    assert brought.status == 0, brought.err
    assert brought.json["copied"] == 3 and brought.json["wrong"] == []
    again = postern("import", "mbox", "anna@example.org", str(path), "--into", "Old")
    assert "0 messages brought, 3 were here already" in again.out
    out = tmp_path / "anna.tar.gz"
    assert postern("export", "archive", "anna@example.org", str(out), "--json").json["copied"] == 3
    refused = postern("export", "archive", "anna@example.org", str(out))
    assert refused.status == 1 and "exists already" in refused.err
    back = postern("import", "archive", "anna@example.org", str(out), "--json")
    assert back.json["copied"] == 3  # another source: it is a copy that was asked for
    below = postern("import", "archive", "anna@example.org", str(out), "--into", "Kept/2023", "--verify", "--json")
    assert (below.json["copied"], below.json["wrong"]) == (3, []), "another place: it does not count what is elsewhere"
    assert (
        postern("import", "archive", "anna@example.org", str(out), "--into", "Kept/2023", "--json").json["copied"] == 0
    )
    files = tmp_path / "takeout"
    files.mkdir()
    (files / "Lists.mbox").write_bytes(path.read_bytes())
    assert postern("import", "mbox", "anna@example.org", str(files), "--into", "Kept", "--json").json["copied"] == 3
    for new in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / new).mkdir(parents=True)
    (tmp_path / "Maildir" / "new" / "1.x").write_bytes(b"Subject: m\n\nx\n")
    assert postern("import", "maildir", "anna@example.org", str(tmp_path / "Maildir"), "--into", "Kept").status == 0
    assert kept(config) == {"Kept/2023/Old": 3, "Kept/Lists": 3, "Kept/INBOX": 1}
    out.write_bytes(out.read_bytes()[:-40])
    damaged = postern("import", "archive", "anna@example.org", str(out), "--json")
    assert damaged.status == 1 and damaged.json["trouble"]
    missing = postern("import", "maildir", "anna@example.org", str(tmp_path / "nowhere"))
    assert missing.status == 1 and "no Maildir" in missing.err


async def test_sieve_scripts_come_along_and_none_that_is_here_is_lost(mailbox, tmp_path):
    source = Fake({("INBOX",): 1})
    source.extras = lambda: {
        "sieve/main": b"keep;",
        "sieve/bad": b"frob;",
        "sieve/own": b"stop;",
        "sieve-active": b"main",
    }
    book = RuleBook(await mailbox.parts.store.mailbox(mailbox.id), mailbox.parts.bus)
    await book.put("own", b"discard;")
    for brought in (1, 0):
        ledger = Ledger(tmp_path / "imports", mailbox.id, source.name)
        progress = await Copying(source, mailbox, ledger, mailbox.parts.clock, CopySettings(), book=book).run()
        ledger.close()
        assert progress.scripts == brought
        assert progress.trouble == ["Sieve script bad: line 1, column 1: unknown command `frob`"]
    assert [tuple(script) for script in await book.scripts()] == [("main", True, 5), ("own", False, 8)]
