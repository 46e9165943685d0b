"""What a search folder looks for and where (MS-OXWSSRCH 2.2.4.27 SearchParametersType)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import restrictions
from postern.protocols.ews.places import AnyFolder, folders
from postern.protocols.ews.reading import choice, need
from postern.protocols.ews.restrictions import Restriction, restriction

KEY = "PosternSearch"
"""The property of a folder that makes it a search folder: a `Search`, packed; empty: none has been set yet.

The names of the classes that a restriction is made of stand in it.
"""


class SearchParameters(msgspec.Struct, frozen=True):
    """As a client sets it."""

    folders: tuple[AnyFolder, ...]
    deep: bool
    restriction: Restriction


class Search(msgspec.Struct, frozen=True, array_like=True):
    """As a folder keeps it."""

    folders: tuple[int, ...]
    """Of the same mailbox; the roots too."""
    deep: bool
    restriction: Restriction


pack = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Search).decode


def search_parameters(element: Element) -> SearchParameters:
    """Read SearchParameters. Raises EwsViolation."""
    traversal = choice(element.get("Traversal", "Shallow"), ("Shallow", "Deep"), "Traversal")
    return SearchParameters(
        folders(element, "BaseFolderIds"), traversal == "Deep", restriction(need(element, "Restriction"))
    )


def search_of(properties: Mapping[str, Any]) -> Search | None:
    """A search folder's, from its stored properties; None: it has none yet, or is an ordinary folder."""
    kept = properties.get(KEY)
    return _decode(kept) if kept else None


def xml(search: Search, folder_id: Callable[[int], str]) -> str:
    """The element. `folder_id`: a FolderId's Id."""
    inside = "".join(f'<t:FolderId Id="{folder_id(one)}"/>' for one in search.folders)
    return (
        f'<t:SearchParameters Traversal="{"Deep" if search.deep else "Shallow"}"><t:Restriction>'
        f"{restrictions.xml(search.restriction)}</t:Restriction><t:BaseFolderIds>{inside}</t:BaseFolderIds>"
        "</t:SearchParameters>"
    )
