"""One change of SyncFolderItems as its element (MS-OXWSSYNC 2.2.4.4)."""

from __future__ import annotations

from collections.abc import Iterable

from postern.frontends.ews import thing_mime
from postern.model.items import Flag
from postern.model.sync import ChangeKind, ItemDelta
from postern.protocols.ews import ids
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.thing_fields import THINGS
from postern.protocols.ews.values import BOOL


def with_mime(found: Iterable[MessageFacts], writer: MessageWriter) -> None:
    """Give those that have no MIME some, if it is to be told."""
    if writer.mime:
        for facts in found:
            if facts.element in THINGS:
                facts.content = thing_mime.of(facts)


def gone(id_: str) -> str:
    """An item that went."""
    return f'<t:Delete><t:ItemId Id="{id_}"/></t:Delete>'


def read_changed(id_: str, delta: ItemDelta) -> str:
    """Nothing but whether it was read."""
    item = f'<t:ItemId Id="{id_}" ChangeKey="{ids.item_change(delta.change_key)}"/>'
    return f"<t:ReadFlagChange>{item}<t:IsRead>{BOOL[bool(delta.flags & Flag.SEEN)]}</t:IsRead></t:ReadFlagChange>"


def came(facts: MessageFacts, writer: MessageWriter, *, new: bool) -> str:
    """An item that is new to whoever asks, or has changed."""
    kind = "Create" if new else "Update"
    return f"<t:{kind}>{writer.write(facts)}</t:{kind}>"


def written(delta: ItemDelta, id_: str, facts: MessageFacts | None, writer: MessageWriter, *, read_flags: bool) -> str:
    """A change of a folder; empty: it has gone since, and the next page tells."""
    if delta.kind is ChangeKind.DELETED:
        return gone(id_)
    if delta.kind is ChangeKind.READ_CHANGED and read_flags:
        return read_changed(id_, delta)
    return "" if facts is None else came(facts, writer, new=delta.kind is ChangeKind.CREATED)
