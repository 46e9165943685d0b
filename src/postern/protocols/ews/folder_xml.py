"""Folders as XML: which properties each shape has, in the order of the schema (MS-OXWSFOLD 2.2.4.12 FolderType)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from postern.protocols.ews import extended
from postern.protocols.ews.effective_rights import Rights
from postern.protocols.ews.paths import Extended, Field, Path
from postern.protocols.ews.shapes import FolderShape
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text


class FolderFacts(msgspec.Struct, frozen=True):
    """What is known of one folder."""

    id: str
    change_key: str
    parent_id: str
    """Empty: the root has none."""
    parent_change_key: str
    element: str
    """Folder, CalendarFolder, ContactsFolder, TasksFolder, SearchFolder."""
    name: str
    container: str
    """PidTagContainerClass; empty for roots."""
    total: int
    unread: int
    children: int
    distinguished: str
    rights: Rights
    permissions: str = ""
    """PermissionSet, rendered; only where it was asked for."""
    size_bytes: int = 0
    hidden: bool = False
    sharing: str = ""
    """SharingEffectiveRights of somebody else's calendar."""
    properties: Mapping[str, Any] = {}
    """What clients have put there."""
    search: str = ""
    """SearchParameters, rendered; of a search folder that has them."""

    def counted(self, total: int, unread: int) -> FolderFacts:
        """The same with other counts."""
        return msgspec.structs.replace(self, total=total, unread=unread)


_BOOL = {True: "true", False: "false"}


def identity(element: str, id_: str, change_key: str) -> str:
    """`<t:FolderId Id=... ChangeKey=.../>`; ids are base64 and need no escaping."""
    return f'<t:{element} Id="{id_}" ChangeKey="{change_key}"/>' if change_key else f'<t:{element} Id="{id_}"/>'


def _id(facts: FolderFacts, version: Version) -> str:
    return identity("FolderId", facts.id, facts.change_key)


def _parent(facts: FolderFacts, version: Version) -> str:
    return identity("ParentFolderId", facts.parent_id, facts.parent_change_key) if facts.parent_id else ""


def _class(facts: FolderFacts, version: Version) -> str:
    return f"<t:FolderClass>{text(facts.container)}</t:FolderClass>" if facts.container else ""


def _name(facts: FolderFacts, version: Version) -> str:
    return f"<t:DisplayName>{text(facts.name)}</t:DisplayName>"


def _total(facts: FolderFacts, version: Version) -> str:
    return f"<t:TotalCount>{facts.total}</t:TotalCount>"


def _children(facts: FolderFacts, version: Version) -> str:
    return f"<t:ChildFolderCount>{facts.children}</t:ChildFolderCount>"


def _rights(facts: FolderFacts, version: Version) -> str:
    return facts.rights.xml(version)


def _distinguished(facts: FolderFacts, version: Version) -> str:
    name = facts.distinguished
    return f"<t:DistinguishedFolderId>{name}</t:DistinguishedFolderId>" if name else ""


def _sharing(facts: FolderFacts, version: Version) -> str:
    shown = facts.sharing if facts.element == "CalendarFolder" else ""
    return f"<t:SharingEffectiveRights>{shown}</t:SharingEffectiveRights>" if shown else ""


def _permissions(facts: FolderFacts, version: Version) -> str:
    return facts.permissions


_WITH_UNREAD = frozenset({"Folder", "TasksFolder", "SearchFolder"})
"""Of the kinds of folders only these have it (MS-OXWSFOLD 2.2.4.12, MS-OXWSMTGS, MS-OXWSTASK)."""


def _unread(facts: FolderFacts, version: Version) -> str:
    return f"<t:UnreadCount>{facts.unread}</t:UnreadCount>" if facts.element in _WITH_UNREAD else ""


def _search(facts: FolderFacts, version: Version) -> str:
    return facts.search


Maker = Callable[[FolderFacts, Version], str]

_PROPERTIES: tuple[tuple[str, Maker, Version, str], ...] = (
    ("folder:FolderId", _id, Version.EXCHANGE_2007, "IdOnly"),
    ("folder:ParentFolderId", _parent, Version.EXCHANGE_2007, "AllProperties"),
    ("folder:FolderClass", _class, Version.EXCHANGE_2007, "AllProperties"),
    ("folder:DisplayName", _name, Version.EXCHANGE_2007, "Default"),
    ("folder:TotalCount", _total, Version.EXCHANGE_2007, "Default"),
    ("folder:ChildFolderCount", _children, Version.EXCHANGE_2007, "Default"),
    ("folder:EffectiveRights", _rights, Version.EXCHANGE_2007, "AllProperties"),
    ("folder:DistinguishedFolderId", _distinguished, Version.EXCHANGE_2013, "AllProperties"),
    ("folder:SharingEffectiveRights", _sharing, Version.EXCHANGE_2010, "AllProperties"),
    ("folder:PermissionSet", _permissions, Version.EXCHANGE_2007_SP1, ""),
    ("folder:UnreadCount", _unread, Version.EXCHANGE_2007, "Default"),
    ("folder:SearchParameters", _search, Version.EXCHANGE_2007, "AllProperties"),
)
_BEFORE_EXTENDED = 6
"""ExtendedProperty comes after ChildFolderCount."""
_RANK = {"IdOnly": 0, "Default": 1, "AllProperties": 2, "": 3}
_KNOWN = frozenset(uri for uri, *_ in _PROPERTIES) | {
    "folder:ManagedFolderInformation",
    "folder:PolicyTag",
    "folder:ArchiveTag",
    "folder:ReplicaList",
}

_FIXED: dict[int, Callable[[FolderFacts], str]] = {
    0x3001: lambda facts: facts.name,
    0x3613: lambda facts: facts.container,
    0x3602: lambda facts: str(facts.total),
    0x3603: lambda facts: str(facts.unread),
    0x360A: lambda facts: _BOOL[facts.children > 0],
    0x3638: lambda facts: str(facts.children),
    0x0E08: lambda facts: str(facts.size_bytes),
    0x10F4: lambda facts: _BOOL[facts.hidden],
    0x3601: lambda facts: "2" if facts.element == "SearchFolder" else ("1" if facts.parent_id else "0"),
}
_COUNTS = frozenset({"folder:TotalCount", "folder:UnreadCount"})
_COUNT_TAGS = frozenset({0x3602, 0x3603})
READ_ONLY = frozenset(_FIXED) - {0x3001, 0x3613, 0x10F4}
"""PidTagDisplayName, ContainerClass, ContentCount, ContentUnreadCount, Subfolders, FolderChildCount, MessageSize,
AttributeHidden, FolderType (MS-OXPROPS)."""


class FolderWriter:
    """Writes folders in one shape; made once for each request. Raises EwsViolation for paths that no folder has."""

    def __init__(self, shape: FolderShape, version: Version) -> None:
        self._version = version
        wanted = {one.uri for one in shape.additional if isinstance(one, Field)}
        self._extended = [one for one in shape.additional if isinstance(one, Extended)]
        check(shape.additional)
        rank = _RANK.get(shape.base, 0)
        chosen = [
            (number, maker)
            for number, (uri, maker, since, base) in enumerate(_PROPERTIES)
            if since <= version and (_RANK[base] <= rank or uri in wanted)
        ]
        self._first = [maker for number, maker in chosen if number < _BEFORE_EXTENDED]
        self._last = [maker for number, maker in chosen if number >= _BEFORE_EXTENDED]
        self.counts = rank > 0 or bool(wanted & _COUNTS) or any(one.tag in _COUNT_TAGS for one in self._extended)
        """Whether it is told how many items there are."""
        self.permissions = "folder:PermissionSet" in wanted and version >= Version.EXCHANGE_2007_SP1

    def write(self, facts: FolderFacts) -> str:
        """One folder's element."""
        version = self._version
        inner = [make(facts, version) for make in self._first]
        inner += [_extended(facts, one) for one in self._extended]
        inner += [make(facts, version) for make in self._last]
        return f"<t:{facts.element}>{''.join(inner)}</t:{facts.element}>"


def _extended(facts: FolderFacts, path: Extended) -> str:
    found: str | list[str] | None = extended_value(facts, path)
    return extended.property_xml(path, extended.stored_text(facts.properties, path) if found is None else found)


def extended_value(facts: FolderFacts, path: Extended) -> str | None:
    """A MAPI property that follows from what a folder is; None: it does not."""
    found = _FIXED.get(path.tag) if path.tag else None
    return found(facts) if found is not None else None


def check(paths: Sequence[Path]) -> None:
    """Raises EwsViolation(ErrorInvalidPropertyRequest) for a path that no folder has."""
    for one in paths:
        if isinstance(one, Extended) or (isinstance(one, Field) and one.uri in _KNOWN):
            continue
        raise EwsViolation("ErrorInvalidPropertyRequest", f"No folder has the property {one.uri}.")


def value(facts: FolderFacts, path: Path) -> str | None:
    """A property as a restriction compares it; None: the folder has none."""
    if isinstance(path, Extended):
        found = extended_value(facts, path)
        stored = extended.stored_text(facts.properties, path) if found is None else found
        return "\0".join(stored) if isinstance(stored, list) else stored
    simple: dict[str, str] = {
        "folder:DisplayName": facts.name,
        "folder:FolderClass": facts.container,
        "folder:TotalCount": str(facts.total),
        "folder:UnreadCount": str(facts.unread),
        "folder:ChildFolderCount": str(facts.children),
        "folder:DistinguishedFolderId": facts.distinguished,
        "folder:FolderId": facts.id,
        "folder:ParentFolderId": facts.parent_id,
    }
    return simple.get(path.uri) if isinstance(path, Field) else None
