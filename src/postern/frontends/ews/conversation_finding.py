"""FindConversation (MS-OXWSCONV 3.1.4.2): the conversations of a folder, a page at a time.

The store lists a folder's conversations from its narrow rows; headers are read only for the items of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import NamedTuple

from postern.frontends.ews import codes, item_values, looking, matching, places, querying, search_folders
from postern.frontends.ews.box import Box, is_hidden
from postern.frontends.ews.call import Call
from postern.frontends.ews.folder_reading import paged
from postern.frontends.ews.loading import Loader, Wanted
from postern.frontends.ews.places import FolderPlace
from postern.model.ids import FolderId, Uid
from postern.model.items import Conversation, Flag
from postern.model.refusal import Refusal
from postern.protocols.ews import responses
from postern.protocols.ews.conversation_requests import FindConversation
from postern.protocols.ews.conversation_xml import ConversationFacts, ConversationWriter
from postern.protocols.ews.find_requests import Order
from postern.protocols.ews.ids import ConversationKey
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.names import DECLARED
from postern.protocols.ews.paths import Field
from postern.protocols.ews.search_parameters import Search
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

MAX_FOUND = 200
"""Conversations in an answer."""
MAX_LOOKED_AT = 500
"""Items of one conversation that are read for it, the newest ones."""
_SORTS: dict[str, Callable[[Conversation], int]] = {
    "conversation:LastDeliveryTime": lambda one: one.latest,
    "conversation:MessageCount": lambda one: one.messages,
    "conversation:UnreadCount": lambda one: one.unread,
    "conversation:Size": lambda one: one.octets,
    "conversation:FlagStatus": lambda one: one.flagged > 0,
    "conversation:ConversationId": lambda one: one.number,
}
_BY_ROW: dict[str, Callable[[Conversation], bool]] = {
    "Flagged": lambda one: one.flagged > 0,
    "Unread": lambda one: one.unread > 0,
    "Clutter": lambda one: False,
}
_BY_HEADER = {"ToOrCcMe"}
_EVERYTHING = frozenset({"All", "NoClutter"})
Place = tuple[FolderId, Uid]


async def find_conversation(call: Call, request: FindConversation) -> str:
    """FindConversation. Its answer is one response message."""
    try:
        content = await _found(call, request)
    except SchemaViolation:
        raise
    except EwsViolation as violation:
        return _whole(responses.error("FindConversationResponse", violation.code, violation.text))
    except Refusal as refusal:
        code = codes.of(refusal)
        return _whole(responses.error("FindConversationResponse", code.code, code.text))
    return _whole(responses.success("FindConversationResponse", content))


def _whole(message: str) -> str:
    return message.replace("<m:FindConversationResponse ", f"<m:FindConversationResponse {DECLARED} ", 1)


async def _found(call: Call, request: FindConversation) -> str:
    writer = ConversationWriter(request.shape, call.version)
    keys = [_sort(one) for one in request.order]
    if request.scope != "PrimaryOnly" and not request.query:
        raise EwsViolation("ErrorMailboxScopeNotAllowedWithoutQueryString", "MailboxScope goes with a QueryString.")
    place = await places.stored(call, request.parent, searches=True)
    box = place.box
    search = await search_folders.search_in(box, place.folder)
    scope = await (_of_folders(call, place, request) if search is None else _of_search(call, box, search, request))
    view = scope.listed
    if scope.chosen is not None:
        view = [one for one in view if one.number in scope.chosen]
    if request.view_filter in _BY_ROW:
        view = [one for one in view if _BY_ROW[request.view_filter](one)]
    for key, order in reversed(list(zip(keys, request.order, strict=True))):
        view.sort(key=key, reverse=order.descending)
    page, _ = paged(view, request.page, MAX_FOUND)
    inner = await _written(box, scope.has, page, writer)
    answer = f"<m:Conversations>{inner}</m:Conversations>"
    if call.version >= Version.EXCHANGE_2013:
        start = request.page.start(len(view)) if request.page is not None else 0
        answer += (
            f"<m:TotalConversationsInView>{len(view)}</m:TotalConversationsInView>"
            f"<m:IndexedOffset>{start + len(page)}</m:IndexedOffset>"
        )
    return answer


def _sort(order: Order) -> Callable[[Conversation], int]:
    key = _SORTS.get(order.path.uri) if isinstance(order.path, Field) else None
    if key is None:
        raise EwsViolation("ErrorUnsupportedPathForSortGroup", "Conversations cannot be sorted by that property.")
    return key


def _merged(listed: Iterable[Conversation]) -> list[Conversation]:
    """One row a conversation that is in several folders."""
    found: dict[int, Conversation] = {}
    for one in listed:
        other = found.get(one.number)
        found[one.number] = one if other is None else Conversation(
            one.number, max(one.latest, other.latest), one.messages + other.messages, one.unread + other.unread,
            one.octets + other.octets, one.flagged + other.flagged,
        )  # fmt: skip
    return sorted(found.values(), key=lambda one: (-one.latest, one.number))


class _Scope(NamedTuple):
    """What is looked at."""

    listed: list[Conversation]
    chosen: set[int] | None
    """Of these alone; None: of all."""
    has: Callable[[FolderId, Uid], bool]
    """Whether an item is one of the folder's own, as opposed to those of the whole mailbox."""


async def _of_folders(call: Call, place: FolderPlace, request: FindConversation) -> _Scope:
    box = place.box
    folders = [place.folder]
    if request.deep:
        folders += [one.id for one in await box.children(place.folder, deep=True)]
    listed: list[Conversation] = []
    chosen: set[int] | None = None
    for folder in folders:
        listed += await box.items.conversations(folder)
        some = await _narrowed(call, box, folder, request)
        if some is not None:
            chosen = some if chosen is None else chosen | some
    inside = frozenset(folders)
    return _Scope(_merged(listed) if len(folders) > 1 else listed, chosen, lambda folder, _: folder in inside)


async def _of_search(call: Call, box: Box, search: Search, request: FindConversation) -> _Scope:
    """What a search folder finds, by conversations; what has none is left out."""
    listed: list[Conversation] = []
    own: set[Place] = set()
    chosen: set[int] | None = None
    needs = item_values.needs(matching.paths_of(search.restriction))
    for folder in await search_folders.scope(box, search):
        try:
            async for uid, facts in looking.fitting(box, folder, needs, search.restriction, conversation=True):
                if facts.conversation:
                    unread = not facts.flags & Flag.SEEN
                    row = (facts.received_at, 1, int(unread), facts.size, int(bool(facts.flags & Flag.FLAGGED)))
                    listed.append(Conversation(facts.conversation, *row))
                    own.add((folder, uid))
            some = await _narrowed(call, box, folder, request, own)
        except Refusal as refusal:
            if refusal.reason not in looking.UNREADABLE:
                raise
            continue
        if some is not None:
            chosen = some if chosen is None else chosen | some
    return _Scope(_merged(listed), chosen, lambda folder, uid: (folder, uid) in own)


async def _narrowed(
    call: Call, box: Box, folder: FolderId, request: FindConversation, own: Set[Place] | None = None
) -> set[int] | None:
    """Conversations with an item that fits the query string and the filter; None: all do. `own`: of these items."""
    name = request.view_filter
    by_item = name not in _EVERYTHING and name not in _BY_ROW
    if not request.query and not by_item:
        return None
    loader = await Loader.open(
        box, folder, Wanted(True, name in _BY_HEADER, structure=name == "HasAttachment", conversation=True)
    )
    if request.query:
        uids = await querying.search(call, box, folder, request.query)
        if not uids:
            return set()
        rows = loader.all([(uid, uid) for uid in uids])
    else:
        rows = loader.all()
    now = int(call.services.clock.timestamp())
    return {
        facts.conversation
        async for uid, facts in rows
        if (own is None or (folder, uid) in own) and (not by_item or _passes(facts, name, now))
    }


def _passes(facts: MessageFacts, name: str, now: int) -> bool:
    if name == "HasAttachment":
        return facts.has_attachments
    if name == "ToOrCcMe":
        return any(one.address.lower() == facts.owner for field in (b"to", b"cc") for one in facts.people(field))
    if name == "TaskCompleted":
        return facts.flag_status == 1
    due = facts.properties.get("PidLidTaskDueDate")
    return facts.flag_status == 2 and (name == "TaskActive" or (due is not None and due.timestamp() < now))


async def _written(
    box: Box, has: Callable[[FolderId, Uid], bool], page: Sequence[Conversation], writer: ConversationWriter
) -> str:
    numbers = [one.number for one in page]
    own: dict[int, list[MessageFacts]] = {number: [] for number in numbers}
    every: dict[int, list[MessageFacts]] = {number: [] for number in numbers}
    where: dict[str, Place] = {}
    if not writer.only_ids and numbers:
        shown = await box.folders()
        kept: dict[int, list[Place]] = {number: [] for number in numbers}
        for number, folder, uid in await box.items.in_conversations(numbers):
            if has(folder, uid) or (writer.every and folder in shown and not is_hidden(shown[folder], shown)):
                kept[number].append((folder, uid))
        by_folder: dict[FolderId, list[Uid]] = {}
        for number in numbers:
            # UIDs of all folders come from one counter: the highest came last
            for folder, uid in sorted(kept[number], key=lambda one: -one[1])[:MAX_LOOKED_AT]:
                by_folder.setdefault(folder, []).append(uid)
        for folder, uids in by_folder.items():
            loader = await Loader.open(box, folder, Wanted(True, header=True, structure=True, conversation=True))
            for uid, facts in (await loader.by_uid(uids)).items():
                where[facts.id] = (folder, uid)
                if facts.conversation in every:
                    every[facts.conversation].append(facts)
                    if has(folder, uid):
                        own[facts.conversation].append(facts)
    pieces = []
    for number in numbers:
        for found in (own[number], every[number]):
            found.sort(key=lambda facts: -facts.received_at)
        if writer.content and own[number]:
            own[number][0] = await _with_text(box, own[number][0], where)
        told = ConversationFacts(ConversationKey(box.id, number), own[number], every[number])
        pieces.append(writer.write(told))
    return "".join(pieces)


async def _with_text(box: Box, facts: MessageFacts, where: dict[str, Place]) -> MessageFacts:
    """The same item with its content, if it is still there."""
    folder, uid = where[facts.id]
    loader = await Loader.open(box, folder, Wanted(True, header=True, content=True, conversation=True))
    return (await loader.by_uid([uid])).get(uid, facts)
