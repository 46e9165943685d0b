"""Which items of folders fit a request of FindItem, and in which order (MS-OXWSSRCH 3.1.4.2).

Without a restriction and in the order of arrival only UIDs are read; everything else looks at each item of the folders,
in the loop's slices, and keeps no more of it than what it is sorted by.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from postern.frontends.ews import item_values, matching, slices
from postern.frontends.ews.box import Box
from postern.frontends.ews.item_values import Needs
from postern.frontends.ews.loading import Loader, Wanted
from postern.model.ids import FolderId, Uid
from postern.model.items import Columns
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews.find_requests import FindItem, Grouping, Order
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.paths import Extended, Field, Path
from postern.protocols.ews.restrictions import Restriction
from postern.protocols.ews.violation import EwsViolation

_NOT_SORTED = frozenset(
    {"item:Body", "item:Attachments", "item:MimeContent", "item:ResponseObjects", "item:EffectiveRights"}
)
_NOT_ASKED = frozenset({"item:MimeContent", "item:ResponseObjects", "item:EffectiveRights"})
NEWEST_FIRST = (Order(Field("item:DateTimeReceived"), True),)
"""How items of several folders come, unless told otherwise."""

UNREADABLE = (Reason.NO_SUCH_FOLDER, Reason.NOT_PERMITTED)
"""Of one of several folders: it is left out."""


class Part(NamedTuple):
    """A folder that is looked into."""

    folder: FolderId
    within: Sequence[Uid] | None = None
    """Of these alone, ascending; None: of all."""


class Found(NamedTuple):
    """An item that fits, with what it is sorted and grouped by."""

    folder: FolderId
    uid: Uid
    keys: tuple[tuple[bool, float, str], ...]
    group: str = ""
    on: tuple[bool, float, str] = (False, 0.0, "")
    here: bool = False
    """The page begins at the first of these."""


def check(asked: Sequence[Path], sorted_by: Sequence[Path]) -> None:
    """Raises EwsViolation for what cannot be searched for, sorted or grouped by."""
    for one in sorted_by:
        if isinstance(one, Field) and one.uri in _NOT_SORTED:
            raise EwsViolation("ErrorUnsupportedPathForSortGroup", f"Nothing can be sorted or grouped by {one.uri}.")
    for one in asked:
        if isinstance(one, Field) and one.uri in _NOT_ASKED:
            raise EwsViolation("ErrorUnsupportedPathForQuery", f"Nothing can be searched for by {one.uri}.")


async def look(box: Box, parts: Sequence[Part], request: FindItem, looked_at: Sequence[Path]) -> list[Found]:
    """Items that fit, in order. Raises Refusal; of several folders those that cannot be read are left out."""
    simple = request.restriction is None and request.group is None and request.names is None and request.seek is None
    if simple and len(parts) == 1 and _by_arrival(request):
        folder, within = parts[0]
        uids: Sequence[int] = within if within is not None else await _uids(box, folder)
        backwards = not request.order or request.order[0].descending
        return [Found(folder, Uid(uid), ()) for uid in (reversed(uids) if backwards else uids)]
    found: list[Found] = []
    for part in parts:
        try:
            found += await _collected(box, part, request, looked_at)
        except Refusal as refusal:
            if len(parts) == 1 or refusal.reason not in UNREADABLE:
                raise
    found.reverse()  # newest first, unless told otherwise
    for number, order in reversed(list(enumerate(request.order))):
        found.sort(key=lambda one, number=number: one.keys[number], reverse=order.descending)  # type: ignore[misc]
    if request.names is not None:
        found = found[: request.calendar_limit or None]
    return found if request.group is None else _by_group(found, request.group)


async def _collected(box: Box, part: Part, request: FindItem, looked_at: Sequence[Path]) -> list[Found]:
    found: list[Found] = []
    needs = item_values.needs(looked_at)
    async for uid, facts in fitting(box, part.folder, needs, request.restriction, part.within):

        def value(path: Path, facts: MessageFacts = facts) -> str | None:
            return item_values.value(facts, path)

        if request.names is not None and not _between(facts, request.names):
            continue
        keys = tuple(_key(value(one.path), one.path) for one in request.order)
        here = request.seek is not None and matching.fits(request.seek.condition, value)
        if request.group is None:
            found.append(Found(part.folder, uid, keys, here=here))
        else:
            on = _key(value(request.group.on), request.group.on)
            found.append(Found(part.folder, uid, keys, value(request.group.path) or "", on, here))
    return found


async def fitting(
    box: Box,
    folder: FolderId,
    needs: Needs,
    restriction: Restriction | None,
    within: Sequence[Uid] | None = None,
    *,
    conversation: bool = False,
) -> AsyncIterator[tuple[Uid, MessageFacts]]:
    """Items of a folder that fit a restriction, by UID; the loop goes on in between. Raises Refusal."""
    if within is not None and not within:
        return
    loader = await Loader.open(box, folder, Wanted(True, needs.header, needs.content, needs.structure, conversation))
    count = 0
    async for uid, facts in loader.all(None if within is None else merged((uid, uid) for uid in within)):
        count += 1
        if count % slices.ITEMS == 0:
            await asyncio.sleep(0)

        def value(path: Path, facts: MessageFacts = facts) -> str | None:
            return item_values.value(facts, path)

        if restriction is None or matching.fits(restriction, value):
            yield uid, facts


async def _uids(box: Box, folder: FolderId) -> Sequence[int]:
    if folder > 0:
        return (await box.access.view(folder)).uids
    return [uid async for rows in box.access.items(folder, Columns.UID) for (uid,) in rows]


def _between(facts: MessageFacts, names: tuple[str, str]) -> bool:
    """ContactsView: names from InitialName up to those that begin with FinalName (MS-OXWSSRCH 2.2.4.7)."""
    shown = (item_values.value(facts, Field("contacts:DisplayName")) or "").casefold()
    low, high = (one.casefold() for one in names)
    return shown >= low and (not high or shown[: len(high)] <= high)


def _by_arrival(request: FindItem) -> bool:
    """Items come in the order of their UIDs; where they arrived at once, the order is as good as any."""
    if not request.order:
        return True
    first = request.order[0].path
    return False if len(request.order) > 1 or isinstance(first, Extended) else first.uri in ("item:ItemId",)


def _key(value: str | None, path: Path) -> tuple[bool, float, str]:
    """Sorts what is not there first, numbers as numbers, texts without case."""
    if value is None:
        return False, 0.0, ""
    found = matching.comparable(value, path)
    return (True, found, "") if isinstance(found, float) else (True, 0.0, found)


def _by_group(found: list[Found], group: Grouping) -> list[Found]:
    groups: dict[str, list[Found]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    pick = max if group.maximum else min
    order = sorted(groups, key=lambda name: pick(one.on for one in groups[name]), reverse=group.descending)
    return [one for name in order for one in groups[name]]
