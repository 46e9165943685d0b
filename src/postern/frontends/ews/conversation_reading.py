"""GetConversationItems (MS-OXWSCONV 3.1.4.3): the items of conversations as nodes, in tree or date order."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from functools import partial

import msgspec

from postern.frontends.ews import places, slices
from postern.frontends.ews.box import Box, is_hidden
from postern.frontends.ews.call import Call
from postern.frontends.ews.item_reading import Reader, wanted
from postern.model.ids import ChangeNumber, FolderId, ItemId, Uid
from postern.model.items import Columns
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids, responses
from postern.protocols.ews.conversation_requests import ConversationRequest, GetConversationItems
from postern.protocols.ews.ids import ConversationKey, conversation_id
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.writers import writer_of
from postern.protocols.soap.writing import text

_STATE = struct.Struct(">BQQ")
_FORM = 1


class Node(msgspec.Struct):
    """A message with all of its copies."""

    name: str
    """Its Message-ID; empty for one without."""
    parent: str
    """Message-ID of what it answers."""
    items: list[MessageFacts]

    @property
    def at(self) -> tuple[int, str]:
        """When it came."""
        return min(one.received_at for one in self.items), self.name


async def get_conversation_items(call: Call, request: GetConversationItems) -> str:
    """GetConversationItems."""
    if request.scope == "ArchiveOnly":
        raise EwsViolation("ErrorArchiveMailboxNotEnabled", "There is no archive mailbox.")
    writer = writer_of(request.shape, call.version)
    ignored = [await places.folder(call, one) for one in request.ignored]

    async def one(wanted: ConversationRequest) -> str:
        key = ids.read_conversation(wanted.id)
        box = await _box(call, key)
        skipped = {place.folder for place in ignored if place.box.id == key.mailbox}
        return await _conversation(call, box, key, wanted, request, skipped, writer)

    message = "GetConversationItemsResponseMessage"
    return responses.response("GetConversationItems", await call.each(message, request.conversations, one))


async def _box(call: Call, key: ConversationKey) -> Box:
    try:
        return await call.box(key.mailbox)
    except Refusal as refusal:
        if refusal.reason is Reason.NO_SUCH_RECIPIENT:
            raise Refusal(Reason.NO_SUCH_ITEM, refusal.detail) from refusal
        raise


async def members(box: Box, number: int) -> dict[FolderId, list[Uid]]:
    """Where the items of a conversation are, in the folders that are seen."""
    shown = await box.folders()
    found: dict[FolderId, list[Uid]] = {}
    for _, folder, uid in await box.items.in_conversations([number]):
        if folder in shown and not is_hidden(shown[folder], shown):
            found.setdefault(folder, []).append(uid)
    return found


async def _conversation(
    call: Call,
    box: Box,
    key: ConversationKey,
    asked: ConversationRequest,
    request: GetConversationItems,
    skipped: set[FolderId],
    writer: MessageWriter,
) -> str:
    since = _unpack(asked.state)
    where = await members(box, key.number)
    if not where:
        raise EwsViolation("ErrorItemNotFound", "There is no such conversation.")
    changed = await box.access.change_number()
    incarnation = (await box.items.folder_changes(ChangeNumber(changed))).incarnation
    # the newest ones, whichever folder they are in: UIDs of all folders come from one counter
    every = sorted(((uid, folder) for folder, uids in where.items() if folder not in skipped for uid in uids))
    chosen: dict[FolderId, list[Uid]] = {}
    for uid, folder in every[-request.limit :]:
        chosen.setdefault(folder, []).append(uid)
    needs = wanted(writer)._replace(wide=True, header=True, conversation=True)
    reader = Reader(call, needs)
    fresh: set[str] = set()
    items: list[MessageFacts] = []
    for folder, uids in chosen.items():
        found: dict[ItemId, Uid] = {
            ItemId(item): uid
            for uid, item in await box.rows(folder, Columns.UID | Columns.ITEM_ID, uids)
        }  # fmt: skip
        facts = await reader.several(box, folder, list(found))
        items += facts.values()
        if since is not None and since[0] == incarnation:
            ranges = merged((uid, uid) for uid in uids)
            new = {uid async for rows in box.access.items(folder, Columns.UID, ranges, since[1]) for (uid,) in rows}
            fresh |= {ids.item_id(ids.ItemKey(box.id, folder, item)) for item, uid in found.items() if uid in new}
        else:
            fresh |= facts.keys()
    inner = ""
    for node in _ordered(_nodes(items), request.order):
        if fresh.isdisjoint(one.id for one in node.items):
            continue
        written = [await slices.sized(len(one.content), partial(writer.write, one)) for one in node.items]
        inner += (
            "<t:ConversationNode>"
            + (f"<t:InternetMessageId>{text(node.name)}</t:InternetMessageId>" if node.name else "")
            + (f"<t:ParentInternetMessageId>{text(node.parent)}</t:ParentInternetMessageId>" if node.parent else "")
            + f"<t:Items>{''.join(written)}</t:Items></t:ConversationNode>"
        )
    state = base64.b64encode(_STATE.pack(_FORM, incarnation, changed)).decode()
    return (
        f'<m:Conversation><t:ConversationId Id="{conversation_id(key)}"/><t:SyncState>{state}</t:SyncState>'
        f"<t:ConversationNodes>{inner}</t:ConversationNodes></m:Conversation>"
    )


def _unpack(state: bytes) -> tuple[int, ChangeNumber] | None:
    """Incarnation and change number of a SyncState; None without one. Raises EwsViolation."""
    if not state:
        return None
    try:
        form, incarnation, change = _STATE.unpack(state)
    except struct.error:
        form, incarnation, change = 0, 0, 0
    if form != _FORM:
        raise EwsViolation("ErrorInvalidSyncStateData", "The state is none of this server's.")
    return incarnation, ChangeNumber(change)


def _nodes(items: Sequence[MessageFacts]) -> list[Node]:
    """Copies of a message are one node."""
    nodes: dict[str, Node] = {}
    for facts in sorted(items, key=lambda one: one.received_at):
        name = _first(facts.text(b"message-id"))
        key = name or facts.id
        if key in nodes:
            nodes[key].items.append(facts)
        else:
            parent = _last(facts.text(b"in-reply-to")) or _last(facts.text(b"references"))
            nodes[key] = Node(name, "" if parent == name else parent, [facts])
    return list(nodes.values())


def _first(ids_: str) -> str:
    return next(iter(ids_.split()), "")


def _last(ids_: str) -> str:
    found = ids_.split()
    return found[-1] if found else ""


def _ordered(nodes: list[Node], order: str) -> list[Node]:
    """By date, or each node before its answers; without recursion, since a conversation may be any number deep."""
    nodes.sort(key=lambda node: node.at)
    if order.startswith("Tree"):
        known = {node.name for node in nodes if node.name}
        below: dict[str, list[Node]] = {}
        roots: list[Node] = []
        for node in nodes:
            if node.parent in known:
                below.setdefault(node.parent, []).append(node)
            else:
                roots.append(node)
        ordered: list[Node] = []
        left = roots[::-1]
        while left:
            node = left.pop()
            ordered.append(node)
            left += below.pop(node.name, [])[::-1]
        # what is left answers itself in a circle
        nodes = ordered + [node for rest in below.values() for node in rest]
    if order.endswith("Descending"):
        nodes.reverse()
    return nodes


__all__ = ["get_conversation_items", "members"]
