"""A directory of the first release is brought forward in place, after a copy."""

from __future__ import annotations

import apsw
import pytest

from postern.directory.interface import NewAccount, RecipientKind
from postern.directory.layouts import MIGRATIONS
from postern.directory.sqlite import SqliteDirectory
from postern.model.rights import AdminRole, FolderRight, MailboxRight

OLD = """
    INSERT INTO domains (name, kind, catch_all) VALUES ('example.org', 'authoritative', '');
    INSERT INTO objects (id, kind, address, display_name) VALUES
        (1, 'account', 'ann@example.org', 'Ann'), (2, 'account', 'sales@example.org', 'Sales'),
        (3, 'group', 'team@example.org', 'Team'), (4, 'account', 'kim@example.org', 'Kim'), (9, 'group', 'x@y', 'x');
    DELETE FROM objects WHERE id = 9;
    INSERT INTO accounts (id, mailbox, slot, enabled, shared, admin, protocols) VALUES
        (1, 'aa', 1, 1, 0, 1, 'imap pop3 smtp'), (2, 'bb', 2, 1, 1, 0, 'imap pop3 smtp'), (4, 'cc', 3, 1, 0, 0, 'imap');
    UPDATE meta SET value = '4' WHERE key = 'next_slot';
    INSERT INTO credentials (account, password) VALUES (1, '{PLAIN}x');
    INSERT INTO groups VALUES (3, 1, '');
    INSERT INTO members VALUES (3, 'ann@example.org');
    INSERT INTO aliases VALUES
        ('a@example.org', '["ann@example.org"]'), ('two@example.org', '["ann@example.org", "x@y"]'),
        ('out@example.org', '["x@elsewhere.example"]'), ('t@example.org', '["team@example.org"]');
    INSERT INTO mailbox_permissions VALUES (2, 3, 'full_access');
    INSERT INTO folder_permissions VALUES (1, 5, 3, 1), (1, 0, 0, 1024);
"""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "directory.db"
    db = apsw.Connection(str(path))
    db.execute(MIGRATIONS[0])
    db.pragma("user_version", 1)
    db.execute(OLD)
    db.close()
    return path


async def test_everything_is_still_there(old, chance):
    directory = SqliteDirectory(old, chance)
    ann, sales, kim = await directory.accounts(), await directory.login("sales"), await directory.login("kim")
    ann = next(account for account in ann if account.id == 1)
    assert (ann.admin, ann.kind, ann.protocols >= {"imap", "pop3", "smtp", "http"}) == (True, RecipientKind.USER, True)
    assert sales.kind is RecipientKind.SHARED and sales.shared
    assert not kim.protocols & {"pop3", "smtp"} and "imap" in kim.protocols
    assert await directory.password_hash(ann.id) == "{PLAIN}x"
    assert [row.role for row in await directory.role_assignments()] == [AdminRole.ORGANISATION]
    assert {a.address: a.targets for a in await directory.aliases()} == {
        "a@example.org": ("ann@example.org",),
        "t@example.org": ("team@example.org",),
        "two@example.org": ("ann@example.org", "x@y"),
        "out@example.org": ("x@elsewhere.example",),
    }
    assert (await directory.resolve("a@example.org")).account.id == 1
    assert (await directory.resolve("t@example.org")).group.members == ("ann@example.org",)
    assert await directory.mailbox_rights("bb", 1) == {MailboxRight.FULL_ACCESS}
    assert await directory.folder_rights("aa", 1) == {5: FolderRight.READ_ANY, 0: FolderRight.VISIBLE}
    (new,) = await directory.create_accounts([NewAccount("new@example.org")])
    assert new.id == 10, "a number that was used is not used again"
    assert new.slot == 4
    await directory.delete_account("ann@example.org")
    assert (await directory.resolve("a@example.org")).account is None, "references are followed again"
    await directory.close()


async def test_the_old_file_is_kept_as_a_copy(old, chance):
    await SqliteDirectory(old, chance).close()
    copy = apsw.Connection(str(old.with_name("directory.db.layout-1")))
    assert copy.pragma("user_version") == 1
    assert list(copy.execute("SELECT count(*) FROM accounts")) == [(3,)]
    copy.close()
    assert old.with_name("directory.db.layout-1").stat().st_mode & 0o77 == 0
    await SqliteDirectory(old, chance).close()


def test_a_failing_step_leaves_the_file_as_it_was(old, chance, monkeypatch):
    monkeypatch.setattr("postern.directory.schema.MIGRATIONS", (*MIGRATIONS, "CREATE TABLE domains (x)"))
    with pytest.raises(apsw.Error):
        SqliteDirectory(old, chance)
    db = apsw.Connection(str(old))
    assert db.pragma("user_version") == 1
    assert list(db.execute("SELECT shared FROM accounts WHERE id = 2")) == [(1,)]
    db.close()
