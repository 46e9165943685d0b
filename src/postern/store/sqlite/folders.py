"""The folder tree: an Exchange mailbox's distinguished folders, and CREATE, RENAME, DELETE, SUBSCRIBE."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from postern.model.ids import ChangeNumber, FolderId
from postern.model.items import Folder, FolderClass, SpecialUse
from postern.model.properties import CONTAINER_CLASS, MAX_PROPERTIES_BYTES, changed, pack
from postern.model.refusal import Reason, Refusal
from postern.model.sync import FolderChanges, GoneFolder
from postern.store.interface import associated
from postern.store.sqlite import transfer
from postern.store.sqlite.connection import rows
from postern.store.sqlite.distinguished import DISTINGUISHED, ON_DEMAND
from postern.store.sqlite.txn import Txn

MAX_FOLDERS = 10_000
MAX_DEPTH = 100
MAX_NAME_BYTES = 250
DELIMITER = "/"

INBOX = FolderId(1)
"""The first folder that is made in a mailbox, so the one that takes the first number."""

# a plus: of plain columns SQLite keeps four names each with the statement, in all a third of what it takes
_SELECT = (
    "SELECT +f.id, +f.parent, +f.name, +f.class, +f.special, +c.uid_validity, +c.uid_next, +c.messages, +c.unseen,"
    " +c.deleted, +c.size_bytes, +c.changed, +f.subscribed, +f.recent_from, +f.altered, +f.hidden, +f.properties,"
    " +f.moved, +f.former"
    " FROM folders f CROSS JOIN counters c ON c.id = f.id"
)
_ALL = (
    "WITH RECURSIVE tree(id, depth) AS (SELECT id, 0 FROM folders WHERE parent IS NULL"
    " UNION ALL SELECT f.id, depth + 1 FROM folders f JOIN tree ON f.parent = tree.id) "
    + _SELECT.replace("FROM folders f", "FROM tree CROSS JOIN folders f ON f.id = tree.id")
    + " ORDER BY tree.depth, f.id"
)
_ONE = f"{_SELECT} WHERE f.id = ?"
_BY_USE = f"{_SELECT} WHERE f.special = ? AND f.special != ''"
_NAMED = "SELECT id, class, special, hidden FROM folders WHERE coalesce(parent, 0) = ? AND name = ?"
_CLASSES = {c.value: c for c in FolderClass}
_USES = {u.value: u for u in SpecialUse}


def _folder(row: Any) -> Folder:
    identity, parent, name, class_, use, validity, uid_next, messages, unseen, deleted, size, highest, *rest = row
    return Folder(
        identity,
        parent,
        name,
        _CLASSES[class_],
        _USES[use],
        validity,
        uid_next,
        messages,
        unseen,
        deleted,
        size,
        highest,
        bool(rest[0]),
        rest[1],
        rest[2],
        bool(rest[3]),
        *rest[4:],
    )


def tree(db: apsw.Connection) -> list[Folder]:
    """All folders, parents before children."""
    return [_folder(row) for row in rows(db, _ALL)]


def one(db: apsw.Connection, folder: FolderId) -> Folder:
    """Raises Refusal(NO_SUCH_FOLDER)."""
    found = rows(db, _ONE, (folder,))
    if not found:
        raise Refusal(Reason.NO_SUCH_FOLDER, str(folder))
    return _folder(found[0])


def by_use(db: apsw.Connection, use: SpecialUse) -> Folder:
    """Raises Refusal(NO_SUCH_FOLDER)."""
    found = rows(db, _BY_USE, (use.value,))
    if not found:
        raise Refusal(Reason.NO_SUCH_FOLDER, use.value)
    return _folder(found[0])


def checked_name(name: str, *, top: bool) -> str:
    """The name in NFC. Raises Refusal(BAD_NAME)."""
    name = unicodedata.normalize("NFC", name)
    if not name or name != name.strip() or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise Refusal(Reason.BAD_NAME, "empty, blank at an end or too long")
    if DELIMITER in name or any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in name):
        raise Refusal(Reason.BAD_NAME, "has a delimiter, control character or lone surrogate")
    return "INBOX" if top and name.upper() == "INBOX" else name


def _depth(db: apsw.Connection, folder: FolderId | None) -> list[FolderId]:
    """The folder and its ancestors. Raises Refusal(NO_SUCH_FOLDER)."""
    path: list[FolderId] = []
    while folder is not None:
        path.append(folder)
        folder = one(db, folder).parent
    return path


def _refuse_taken(txn: Txn, parent: FolderId | None, name: str, except_for: int = 0) -> None:
    taken = txn.execute(
        "SELECT 1 FROM folders WHERE coalesce(parent, 0) = ? AND name = ? AND id != ?", (parent or 0, name, except_for)
    ).fetchall()
    if taken:
        raise Refusal(Reason.ALREADY_EXISTS, name)


def create(
    txn: Txn,
    parent: FolderId | None,
    name: str,
    folder_class: FolderClass,
    special: SpecialUse,
    *,
    subscribed: bool = False,
    hidden: bool = False,
    properties: bytes = b"",
) -> Folder:
    """Make a folder. Raises Refusal(ALREADY_EXISTS, BAD_NAME, TOO_MANY, NO_SUCH_FOLDER)."""
    name = checked_name(name, top=parent is None)
    if len(_depth(txn.db, parent)) >= MAX_DEPTH:
        raise Refusal(Reason.TOO_MANY, "folders nest too deeply")
    _refuse_taken(txn, parent, name)
    if special is not SpecialUse.NONE and txn.execute(_BY_USE, (special.value,)).fetchall():
        raise Refusal(Reason.ALREADY_EXISTS, special.value)
    if txn.execute("SELECT count(*) FROM folders").fetchall()[0][0] >= MAX_FOLDERS:
        raise Refusal(Reason.TOO_MANY, "folders")
    identity = FolderId(txn.take(1))
    ((validity,),) = txn.execute(
        "UPDATE counters SET uid_validity = uid_validity + 1 WHERE id = 0 RETURNING uid_validity"
    ).fetchall()
    txn.execute(
        "INSERT INTO folders (id, parent, name, class, special, subscribed, recent_from, made, altered, hidden,"
        " properties) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10)",
        (
            identity,
            parent,
            name,
            folder_class.value,
            special.value,
            int(subscribed),
            txn.next_id,
            txn.change(),
            int(hidden),
            properties,
        ),
    )
    txn.execute("INSERT INTO counters VALUES (?, ?, ?, 0, 0, 0, 0, ?)", (identity, txn.change(), txn.next_id, validity))
    return one(txn.db, identity)


def rename(txn: Txn, folder: FolderId, parent: FolderId | None, name: str) -> None:
    """Rename or move a folder; its id and UIDs stay. Raises Refusal(BAD_NAME, ALREADY_EXISTS, NOT_PERMITTED, ...)."""
    current = one(txn.db, folder)
    if current.special in {SpecialUse.INBOX, SpecialUse.RECOVERABLE}:
        raise Refusal(Reason.NOT_PERMITTED, current.name)
    name = checked_name(name, top=parent is None)
    ancestors = _depth(txn.db, parent)
    if folder in ancestors:
        raise Refusal(Reason.BAD_NAME, "a folder cannot be its own child")
    if len(ancestors) >= MAX_DEPTH:
        raise Refusal(Reason.TOO_MANY, "folders nest too deeply")
    _refuse_taken(txn, parent, name, except_for=folder)
    moved, former = (txn.change(), current.parent) if parent != current.parent else (current.moved, current.former)
    txn.execute(
        "UPDATE folders SET parent = ?, name = ?, altered = ?, moved = ?, former = ? WHERE id = ?",
        (parent, name, txn.change(), moved, former, folder),
    )


def removable(db: apsw.Connection, folder: FolderId) -> Folder:
    """A folder that may be removed. Raises Refusal(HAS_CHILDREN, NOT_PERMITTED)."""
    current = one(db, folder)
    if current.special is not SpecialUse.NONE:
        raise Refusal(Reason.NOT_PERMITTED, current.name)
    if rows(db, "SELECT 1 FROM folders WHERE parent = ? LIMIT 1", (folder,)):
        raise Refusal(Reason.HAS_CHILDREN, current.name)
    return current


def delete(txn: Txn, folder: FolderId, *, purge: bool) -> None:
    """Remove a folder; its items go to Recoverable Items. Raises Refusal(HAS_CHILDREN, NOT_PERMITTED)."""
    current = removable(txn.db, folder)
    transfer.expunge(txn, folder, None, only_deleted=False, purge=purge)
    if txn.execute("SELECT 1 FROM counters WHERE id = ?", (-folder,)).fetchall():
        transfer.expunge(txn, associated(folder), None, only_deleted=False, purge=True)
        txn.execute("DELETE FROM tombstones WHERE folder = ?", (-folder,))
        txn.execute("DELETE FROM counters WHERE id = ?", (-folder,))
    txn.execute("INSERT INTO folders_gone VALUES (?, ?, ?)", (txn.change(), folder, current.parent))
    txn.execute("DELETE FROM tombstones WHERE folder = ?", (folder,))
    txn.execute("DELETE FROM views WHERE folder = ?", (folder,))
    txn.execute("DELETE FROM folders WHERE id = ?", (folder,))
    txn.execute("DELETE FROM counters WHERE id = ?", (folder,))


def ensure_special(txn: Txn, use: SpecialUse) -> Folder:
    """The distinguished folder, made now if it is one that is made on demand. Raises Refusal(NO_SUCH_FOLDER).

    A visible folder of that name and class that somebody has made before becomes it.
    """
    found = rows(txn.db, _BY_USE, (use.value,))
    if found:
        return _folder(found[0])
    wanted = ON_DEMAND.get(use)
    if wanted is None:
        raise Refusal(Reason.NO_SUCH_FOLDER, use.value)
    parent = None if wanted.parent is None else ensure_special(txn, wanted.parent).id
    folder_class = FolderClass.of(wanted.container_class)
    name, number = wanted.name, 1
    while taken := txn.execute(_NAMED, (parent or 0, name)).fetchall():
        ((identity, class_, special, hidden),) = taken
        if class_ == folder_class.value and not special and bool(hidden) is wanted.hidden:
            txn.execute("UPDATE folders SET special = ?, altered = ? WHERE id = ?", (use.value, txn.change(), identity))
            return one(txn.db, identity)
        number += 1
        name = f"{wanted.name} {number}"
    properties = b""
    if folder_class.value != wanted.container_class:
        properties = pack({CONTAINER_CLASS: wanted.container_class})
    return create(txn, parent, name, folder_class, use, hidden=wanted.hidden, properties=properties)


def set_properties(
    txn: Txn,
    folder: FolderId,
    set_: Mapping[str, Any],
    delete: Sequence[str],
    folder_class: FolderClass | None,
    unchanged_since: int | None,
) -> Folder:
    """Change a folder's properties. Raises Refusal(NO_SUCH_FOLDER, CONFLICT, TOO_LARGE, NOT_PERMITTED)."""
    current = one(txn.db, folder)
    if unchanged_since is not None and current.altered > unchanged_since:
        raise Refusal(Reason.CONFLICT, f"folder {folder} changed at {current.altered}")
    class_ = folder_class or current.folder_class
    if class_ is not current.folder_class and current.special is not SpecialUse.NONE:
        raise Refusal(Reason.NOT_PERMITTED, f"the class of {current.name}")
    properties = changed(current.properties, set_, delete)
    if len(properties) > MAX_PROPERTIES_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"{len(properties)} octets of properties")
    if properties == current.properties and class_ is current.folder_class:
        return current
    txn.execute(
        "UPDATE folders SET class = ?, properties = ?, altered = ? WHERE id = ?",
        (class_.value, properties, txn.change(), folder),
    )
    return one(txn.db, folder)


def changes(db: apsw.Connection, since: int, incarnation: int) -> FolderChanges:
    """Folders made, changed, removed after a number; runs inside the caller's transaction."""
    own, upto, horizon = position(db)
    if since and (incarnation != own or not horizon <= since <= upto or in_gap(db, since)):
        return FolderChanges(own, upto, (), (), (), False)
    if since == upto:
        return FolderChanges(own, upto, (), (), (), True)
    made = {row[0] for row in rows(db, "SELECT id FROM folders WHERE made > ? OR ? = 0", (since, since))}
    there = tree(db)
    created = [folder for folder in there if folder.id in made]
    updated = [folder for folder in there if folder.altered > since and folder.id not in made]
    gone = rows(db, "SELECT folder, parent FROM folders_gone WHERE changed > ?", (since,)) if since else []
    return FolderChanges(own, upto, created, updated, [GoneFolder(*row) for row in gone], True)


def position(db: apsw.Connection) -> tuple[int, ChangeNumber, ChangeNumber]:
    """The mailbox's incarnation, its last change number, and the horizon below which deletions are forgotten."""
    ((incarnation, upto, horizon, deleted),) = rows(
        db, "SELECT s.incarnation, c.changed, s.horizon, s.deleted FROM state s, counters c WHERE c.id = 0"
    )
    if deleted:
        raise Refusal(Reason.NO_SUCH_RECIPIENT, "the mailbox was removed")
    return incarnation, upto, horizon


def in_gap(db: apsw.Connection, number: int) -> bool:
    """Whether a change number was told and then lost in a power cut."""
    return bool(rows(db, "SELECT 1 FROM gaps WHERE low < ? AND high > ? LIMIT 1", (number, number)))


def subscribe(txn: Txn, folder: FolderId, subscribed: bool) -> None:
    """Set the subscription. Raises Refusal(NO_SUCH_FOLDER)."""
    if one(txn.db, folder).subscribed is not subscribed:
        txn.change()
        txn.execute("UPDATE folders SET subscribed = ? WHERE id = ?", (int(subscribed), folder))


def claim_recent(txn: Txn, folder: FolderId) -> None:
    """Items up to now are no longer \\Recent for sessions to come. No change that anybody has to be told."""
    txn.execute(
        "UPDATE folders SET recent_from = (SELECT uid_next FROM counters c WHERE c.id = folders.id) WHERE id = ?",
        (folder,),
    )


__all__ = [
    "DISTINGUISHED",
    "by_use",
    "changes",
    "claim_recent",
    "create",
    "delete",
    "ensure_special",
    "in_gap",
    "one",
    "position",
    "rename",
    "set_properties",
    "subscribe",
    "tree",
]
