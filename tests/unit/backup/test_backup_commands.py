"""What an administrator types: backup, restore of everything and of parts, care of single mailboxes."""

import asyncio
import errno
import sqlite3

import pytest

from postern.cli import language
from postern.cli.backup_parts import repository_of
from postern.cli.mailbox import create
from postern.config.loading import load
from postern.directory.interface import Domain, NewAccount
from postern.model.items import Columns, ItemClass, Span, SpecialUse
from postern.model.properties import unpack
from postern.model.refusal import Reason, Refusal
from postern.roles.context import accepting, open_organisation
from postern.services.item_access import ItemAccess, NewThing, Stream
from postern.services.mailbox_access import MailboxAccess
from postern.store.sqlite.mailbox import SqliteMailbox
from unit.cli.conftest import english, postern

__all__ = ["english", "postern"]
ANNA, BORIS = "anna@example.org", "boris@example.org"


@pytest.fixture
def config(tmp_path, english, monkeypatch):
    monkeypatch.setattr("os.nice", lambda _: 0)  # the tests behind this one are in the same process
    config = tmp_path / "postern.toml"
    config.write_text('[server]\ndata = "data"\nhostname = "mail.example.org"\n')
    settings = load(config)

    async def work():
        async with open_organisation(settings) as parts:
            await parts.directory.put_domain(Domain("example.org"))
        await create(settings, [NewAccount(ANNA, "Anna"), NewAccount(BORIS, "Boris")])

    asyncio.run(work())
    return config


def inside(config, work, address=ANNA):
    """Do something in a mailbox."""

    async def run():
        async with open_organisation(load(config)) as parts, accepting(parts) as mailflow:
            account = await parts.directory.login(address)
            mailbox = await parts.store.mailbox(account.mailbox)
            access = MailboxAccess(mailbox, parts.store, parts.bus, account.slot, mailflow)
            return await work(ItemAccess(access, mailbox, parts.clock), mailbox)

    return asyncio.run(run())


def message(number, subject="offer"):
    return f"Message-ID: <{number}@x>\r\nSubject: {subject} {number}\r\n\r\nBody {number}\r\n".encode()


def fill(config, count=5):
    async def work(items, mailbox):
        inbox = (await mailbox.special(SpecialUse.INBOX)).id
        projects = (await mailbox.create_folder(None, "Projects")).id
        deep = (await mailbox.create_folder(projects, "Ёлка")).id
        calendar = (await mailbox.special(SpecialUse.CALENDAR)).id
        for number in range(count):
            await items.create_message(inbox, message(number), 1, ("blue",), 1_700_000_000 + number)
            await items.create_message(deep, message(100 + number, "plan"), 0)
        streams = [Stream(b"agenda" * 1000, {"PidTagAttachLongFilename": "a.txt"})]
        await items.create(
            calendar,
            NewThing(ItemClass.APPOINTMENT, "Lunch", {"PidLidLocation": "Room"}, span=Span(1, 2), attachments=streams),
        )

    inside(config, work)


def listing(config, address=ANNA):
    """Subjects by folder path."""

    async def work(_items, mailbox):
        found, paths = {}, {}
        for folder in await mailbox.folders():
            paths[folder.id] = (paths[folder.parent] + "/" if folder.parent else "") + folder.name
            rows = [row[0] async for part in mailbox.items(folder.id, Columns.SUBJECT) for row in part]
            if rows:
                found[paths[folder.id]] = sorted(rows)
        return found

    return inside(config, work, address)


async def wipe(_items, mailbox):
    for folder in await mailbox.folders():
        if folder.special is not SpecialUse.RECOVERABLE:
            await mailbox.expunge(folder.id, [(1, 2**32 - 1)], only_deleted=False, purge=True)


def test_a_run_says_that_it_made_the_repository_and_makes_none_inside_of_the_data(config, postern, tmp_path):
    """A backup disk that is not mounted looks like an empty directory."""
    fill(config)
    options = ("--config", str(config))
    where = str(tmp_path / "repository")
    assert "There was no repository" in postern("backup", "run", where, *options).out
    assert "There was no repository" not in postern("backup", "run", where, *options).out
    data = load(config).data_dir
    inner = postern("backup", "run", str(data / "copies"), *options)
    assert (inner.status, (data / "copies").exists()) == (1, False)


@pytest.mark.parametrize(("code", "needle"), [(errno.ENOSPC, "postern backup prune"), (errno.EACCES, "owner")])
def test_a_repository_whose_disk_cannot_be_used_is_explained(tmp_path, capsys, code, needle):
    with pytest.raises(SystemExit), repository_of(tmp_path / "r", None, False, make=True):
        raise OSError(code, "x")
    said = capsys.readouterr().err
    assert needle in said and str(tmp_path / "r") in said


def test_a_mailbox_a_folder_an_item_come_back(config, postern, tmp_path):
    fill(config)
    before = listing(config)
    options = ("--config", str(config), "--json")
    where = str(tmp_path / "repository")
    taken = postern("backup", "run", where, *options)
    assert taken.status == 0 and taken.json["trouble"] == [] and taken.json["references"] == 11
    found = postern("restore", "find", where, ANNA, "--subject", "OFFER 3", *options)
    assert [(row["folder"], row["message_id"]) for row in found.json] == [("INBOX", "3@x")]
    # nothing is missing
    again = postern("restore", "mailbox", where, ANNA, "--missing-only", *options)
    assert (again.status, again.json["copied"], again.json["present"]) == (0, 0, 11)
    inside(config, wipe)
    assert listing(config) == {}
    one = postern("restore", "mailbox", where, ANNA, "--message-id", "<3@x>", *options)
    assert one.json["copied"] == 1
    assert list(listing(config).values()) == [["offer 3"]]
    folder = postern("restore", "mailbox", where, ANNA, "--folder", "Projects", "--into", "Back/Here", *options)
    assert folder.json["copied"] == 5
    assert listing(config)["Back/Here/Ёлка"] == [f"plan {100 + number}" for number in range(5)]
    rest = postern("restore", "mailbox", where, ANNA, "--missing-only", *options)
    assert (rest.json["copied"], rest.json["present"]) == (5, 6)
    other = postern("restore", "mailbox", where, ANNA, "--to", BORIS, *options)
    assert other.json["copied"] == 11
    assert listing(config, BORIS) == before

    async def appointment(items, mailbox):
        calendar = (await mailbox.special(SpecialUse.CALENDAR)).id
        (row,) = [r async for part in mailbox.items(calendar, Columns.UID | Columns.PROPERTIES) for r in part]
        (attachment,) = await mailbox.attachments(calendar, row[0])
        assert await mailbox.overlapping(calendar, 0, 10) == [row[0]]
        return unpack(row[1]), await items.access.read_body(attachment.blob), unpack(attachment.properties)

    properties, body, beside = inside(config, appointment, BORIS)
    assert properties["PidLidLocation"] == "Room"
    assert (body, beside["PidTagAttachLongFilename"]) == (b"agenda" * 1000, "a.txt")

    async def flags(_items, mailbox):
        inbox = (await mailbox.special(SpecialUse.INBOX)).id
        words = await mailbox.keywords()
        columns = Columns.FLAGS | Columns.RECEIVED_AT
        rows = [row async for part in mailbox.items(inbox, columns) for row in part]
        return [(f & 1, at, [word for bit, word in words.items() if f >> bit & 1]) for f, at in rows]

    assert inside(config, flags, BORIS) == [(1, 1_700_000_000 + number, ["blue"]) for number in range(5)]


def test_an_organisation_moves_to_an_empty_machine(config, postern, tmp_path):
    fill(config)
    before = listing(config)
    key, where = str(tmp_path / "key"), str(tmp_path / "repository")
    assert postern("backup", "key", key).status == 0
    assert postern("backup", "key", key).status == 1
    assert postern("backup", "run", where, "--key-file", key, "--config", str(config)).status == 0
    assert "encrypted" in postern("backup", "list", where).err
    listed = postern("backup", "list", where, "--key-file", key, "--json")
    assert listed.json[0]["mailboxes"] == 2
    checked = postern("backup", "verify", where, "--key-file", key, "--json")
    assert checked.status == 0 and checked.json["damaged_files"] == []
    (tmp_path / "new").mkdir()
    other = tmp_path / "new" / "postern.toml"
    done = postern(
        "restore", "all", where, "--data", str(tmp_path / "new" / "data"), "--settings", str(other), "--key-file", key
    )
    assert done.status == 0, done.err
    assert listing(other) == before
    assert postern("mailbox", "verify", "--all", "--config", str(other)).status == 0
    # a second time: never over what is there
    assert (
        "not empty" in postern("restore", "all", where, "--data", str(tmp_path / "new" / "data"), "--key-file", key).err
    )
    pruned = postern("backup", "prune", where, "--keep", "1", "--key-file", key, "--json")
    assert pruned.json["removed"] == []
    assert postern("backup", "prune", where, "--keep", "0", "--key-file", key).status == 2


def test_a_repository_without_backups_is_no_sound_backup(config, postern, tmp_path):
    where = tmp_path / "repository"
    with repository_of(where, None, False, make=True):
        pass
    empty = postern("backup", "verify", str(where))
    assert (empty.status, "no backup in" in empty.err, "postern backup run" in empty.err) == (1, True, True)
    asked = postern("backup", "verify", str(where), "--json")
    assert (asked.status, asked.json["snapshots"]) == (1, 0)
    assert "нет ни одной копии" in postern("--lang", "ru", "backup", "verify", str(where)).err
    language.use("en")
    assert postern("backup", "run", str(where), "--config", str(config)).status == 0
    assert postern("backup", "verify", str(where)).status == 0


def mailbox_file(config, address=ANNA):
    async def work(_items, mailbox):
        return mailbox.path

    return inside(config, work, address)


def test_undelete_purge_compact(config, postern):
    fill(config, 20)
    options = ("--config", str(config), "--json")

    async def delete(_items, mailbox):
        inbox = (await mailbox.special(SpecialUse.INBOX)).id
        await mailbox.expunge(inbox, [(1, 2**32 - 1)], only_deleted=False)

    inside(config, delete)
    listed = postern("mailbox", "undelete", ANNA, "--subject", "offer 1", *options)
    assert len(listed.json) == 11
    back = postern("mailbox", "undelete", ANNA, "--subject", "offer 1", "--folder", "A/B", "--restore", *options)
    assert len(back.json["restored"]) == 11
    assert len(listing(config)["A/B"]) == 11
    assert postern("mailbox", "purge", ANNA, "--older", "1d", *options).json == [{"address": ANNA, "purged": 0}]
    assert postern("mailbox", "purge", ANNA, "--older", "0s", *options).json == [{"address": ANNA, "purged": 9}]
    assert postern("mailbox", "undelete", ANNA, *options).json == []
    inside(config, wipe)
    (row,) = postern("mailbox", "compact", ANNA, *options).json
    assert row["after"] <= row["before"]
    assert postern("mailbox", "verify", "--all", *options).status == 0


def test_a_mailbox_moves_into_another(config, postern):
    fill(config, 60)
    options = ("--config", str(config), "--json")
    before = listing(config)
    moved = postern("mailbox", "move", ANNA, BORIS, "--folder", "Projects", "--into", "Former/Anna", *options)
    assert moved.status == 0 and moved.json["copied"] == 60
    assert "Projects/Ёлка" not in listing(config)
    assert listing(config, BORIS)["Former/Anna/Ёлка"] == before["Projects/Ёлка"]
    assert listing(config)["INBOX"] == before["INBOX"]
    moved = postern("mailbox", "move", ANNA, BORIS, *options)
    assert moved.json["copied"] == 61
    there = listing(config, BORIS)
    assert [there[name] for name in ("INBOX", "Calendar")] == [before[name] for name in ("INBOX", "Calendar")]
    assert set(listing(config)) == {"Recoverable Items"}
    assert postern("mailbox", "verify", "--all", *options).status == 0
    assert len(postern("mailbox", "undelete", ANNA, *options).json) == 121
    assert postern("mailbox", "move", ANNA, ANNA, *options).status == 1
    assert postern("mailbox", "move", ANNA, BORIS, "--folder", "Nowhere", *options).status == 1


def test_a_move_that_was_cut_off_brings_nothing_twice(config, postern, monkeypatch):
    fill(config, 120)
    options = ("--config", str(config), "--json")
    before = listing(config)
    expunge, calls = SqliteMailbox.expunge, 0

    async def cut_off(self, *arguments, **named):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Refusal(Reason.DISK_FULL, "cut off")
        return await expunge(self, *arguments, **named)

    monkeypatch.setattr(SqliteMailbox, "expunge", cut_off)
    assert postern("mailbox", "move", ANNA, BORIS, *options).status == 1
    assert len(listing(config, BORIS)["INBOX"]) == 100 and len(listing(config)["INBOX"]) == 70
    assert postern("mailbox", "move", ANNA, BORIS, *options).status == 0
    assert listing(config, BORIS)["INBOX"] == before["INBOX"]
    assert set(listing(config)) == {"Recoverable Items"}


def test_compact_counts_what_is_in_the_log_alone(config, postern):
    path = mailbox_file(config)
    served = sqlite3.connect(path)  # as a running server has it open: nothing goes into the file
    served.execute("SELECT * FROM counters").fetchall()
    fill(config, 300)
    octets = path.stat().st_size
    (row,) = postern("mailbox", "compact", ANNA, "--config", str(config), "--json").json
    served.close()
    assert octets < row["after"] <= row["before"]


def test_verify_says_what_is_wrong_and_repair_mends_it(config, postern):
    fill(config, 10)
    options = ("--config", str(config), "--json")
    before = listing(config)
    path = mailbox_file(config)
    db = sqlite3.connect(path)
    db.execute("UPDATE counters SET messages = messages + 3 WHERE id = (SELECT id FROM folders WHERE special='inbox')")
    db.execute("INSERT INTO shared SELECT min(id), 5 FROM contents")
    db.execute("UPDATE items SET record = 4000000 WHERE uid = (SELECT max(uid) FROM items WHERE segment != 0)")
    db.commit()
    db.close()
    (row,) = [one for one in postern("mailbox", "verify", "--all", *options).json if not one["sound"]]
    assert {one["kind"] for one in row["findings"]} == {"counters", "shares", "no-body"}
    mended = postern("mailbox", "repair", ANNA, *options)
    assert mended.status == 1  # the body stays lost
    assert mended.json["mended"] == ["counters", "shares"]
    assert len(mended.json["left"]) == 1
    assert listing(config) == before


@pytest.mark.parametrize(("where", "served"), [(0.3, False), (0.5, True), (0.7, False), (0.9, True)])
def test_a_damaged_file_is_put_together_anew(config, postern, monkeypatch, where, served):
    monkeypatch.setattr("postern.cli.mailbox_care.is_served", lambda _data: served)
    fill(config, 60)
    options = ("--config", str(config), "--json")
    path = mailbox_file(config)
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    contents_root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'contents'").fetchone()[0]
    db.close()
    data = bytearray(path.read_bytes())
    pages = len(data) // 4096
    victim = max(int(pages * where), contents_root + 1)
    data[(victim - 1) * 4096 : victim * 4096] = b"\x55" * 4096
    path.write_bytes(data)
    found = postern("mailbox", "verify", ANNA, *options)
    assert found.status == 1
    done = postern("mailbox", "repair", ANNA, *options)
    assert postern("mailbox", "verify", ANNA, *options).status == 0, done.out + done.err
    assert len(list(path.parent.glob("*.damaged-*"))) >= 1
    whole = sum(map(len, listing(config).values()))
    assert whole >= 60, done.json
    assert whole == 121 or done.json["lost"]
