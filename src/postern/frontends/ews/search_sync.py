"""SyncFolderItems of a search folder (MS-OXWSSYNC 3.1.4.2): what its folders' changes mean to who knows what it found.

The state holds a point for each folder that was looked into and the items that were told of it, so that an item which
fits no more is told as deleted, one that fits for the first time as new, and nothing else is told of at all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec

from postern.frontends.ews import change_writing, search_folders, search_following, slices
from postern.frontends.ews.box import Box
from postern.frontends.ews.item_reading import wanted
from postern.frontends.ews.places import FolderPlace
from postern.model.ids import FolderId, MailboxId
from postern.model.refusal import Refusal
from postern.model.rights import FolderRight
from postern.model.sync import START, ChangeKind, ItemDelta, Phase, SyncPoint
from postern.protocols.ews import search_parameters
from postern.protocols.ews.find_requests import SyncFolderItems
from postern.protocols.ews.ids import ItemIds
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.search_parameters import Search
from postern.protocols.ews.values import BOOL
from postern.protocols.ews.violation import EwsViolation

MAX_TOLD = 50_000
"""Items that a state holds: about two octets each."""
MAX_LOOKED_AT = 20
"""Pages of changes that one answer looks at; the next goes on."""
_MAX_STATE_BYTES = 4 << 20
_FORM = 3
"""Where states of ordinary folders have 1 or 2."""
_HEAD = struct.Struct(">B16sQ16s")
"""Mailbox, search folder, what was looked for."""


class _Known(msgspec.Struct, array_like=True):
    """Of one folder."""

    folder: int
    point: tuple[int, ...]
    steps: list[int]
    """The items that were told, ascending: each as the distance from the one before."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Known]).decode


class State:
    """What a client knows."""

    def __init__(self) -> None:
        self.points: dict[FolderId, SyncPoint] = {}
        self.items: dict[FolderId, set[int]] = {}

    def pack(self, mailbox: MailboxId, folder: FolderId, search: Search) -> str:
        """As text. Raises EwsViolation(ErrorExceededFindCountLimit)."""
        if sum(map(len, self.items.values())) > MAX_TOLD:
            text = f"The folder finds more than {MAX_TOLD} items: it can be looked into (FindItem), but not followed."
            raise EwsViolation("ErrorExceededFindCountLimit", text)
        known = []
        for where, point in self.points.items():
            items = sorted(self.items.get(where, ()))
            known.append(_Known(where, tuple(point), [b - a for a, b in pairwise([0, *items])]))
        raw = _HEAD.pack(_FORM, bytes.fromhex(mailbox), folder, _digest(search)) + zlib.compress(_encode(known), 6)
        return base64.b64encode(raw).decode()


def _digest(search: Search) -> bytes:
    return hashlib.blake2b(search_parameters.pack(search), digest_size=16).digest()


def unpack(text: str, mailbox: MailboxId, folder: FolderId, search: Search) -> State:
    """Raises EwsViolation(ErrorInvalidSyncStateData), also when something else is looked for now."""
    state = State()
    try:
        raw = base64.b64decode(text, validate=True)
        if _HEAD.unpack_from(raw) != (_FORM, bytes.fromhex(mailbox), folder, _digest(search)):
            raise ValueError
        reader = zlib.decompressobj()
        packed = reader.decompress(raw[_HEAD.size :], _MAX_STATE_BYTES)
        if not reader.eof:
            raise ValueError
        for known in _decode(packed):
            read = SyncPoint(*known.point)  # type: ignore[arg-type]
            numbers = [known.folder, *known.point]
            if len(known.point) != len(START) or min(numbers) < 0 or max(numbers) >= 1 << 63:
                raise ValueError
            if known.steps and (min(known.steps) <= 0 or sum(known.steps) >= 1 << 63):
                raise ValueError
            state.points[FolderId(known.folder)] = read._replace(phase=Phase(read.phase))
            state.items[FolderId(known.folder)] = set(accumulate(known.steps))
        return state
    except (ValueError, TypeError, binascii.Error, struct.error, zlib.error, msgspec.MsgspecError):
        raise stale() from None


def stale() -> EwsViolation:
    """The client has to begin anew."""
    return EwsViolation("ErrorInvalidSyncStateData", "The state is not valid here any more. Begin without one.")


async def changes(
    place: FolderPlace, search: Search, request: SyncFolderItems, writer: MessageWriter, *, read_flags: bool
) -> str:
    """What an answer has for a search folder. Raises EwsViolation, Refusal."""
    run = _Run(place.box, search, request, writer, read_flags=read_flags)
    state = unpack(request.state, place.box.id, place.folder, search) if request.state else State()
    more = await run.follow(state)
    return (
        f"<m:SyncState>{state.pack(place.box.id, place.folder, search)}</m:SyncState>"
        f"<m:IncludesLastItemInRange>{BOOL[not more]}</m:IncludesLastItemInRange>"
        f"<m:Changes>{''.join(run.told)}</m:Changes>"
    )


class _Run:
    """One answer."""

    def __init__(
        self, box: Box, search: Search, request: SyncFolderItems, writer: MessageWriter, *, read_flags: bool
    ) -> None:
        self._box = box
        self._search = search
        self._ignore = request.ignore
        self._writer = writer
        self._read_flags = read_flags
        self._room = request.limit
        self._pages = MAX_LOOKED_AT
        self.told: list[str] = []

    async def follow(self, state: State) -> bool:
        """Bring a state up to date, as far as there is room; whether there is more."""
        box = self._box
        every = await box.folders(fresh=True)
        seen = sorted(await search_folders.scope(box, self._search))
        scope = [one for one in seen if await box.rights(one) & FolderRight.READ_ANY]
        present = await self._incarnation(scope)
        if present and any(point.incarnation not in (START.incarnation, present) for point in state.points.values()):
            raise stale()
        for folder in [one for one in state.points if one not in scope]:
            if not self._lost(state, folder):
                return True
        for folder in scope:
            if folder in state.points and not search_following.behind(state.points[folder], every[folder]):
                continue
            try:
                if await self._of_folder(state, folder):
                    return True
            except Refusal as refusal:
                if not search_following.is_unreadable(refusal):
                    raise
                if not self._lost(state, folder):
                    return True
        return False

    async def _incarnation(self, scope: Sequence[FolderId]) -> int:
        """Of the mailbox, as a folder that may be read tells it; 0: there is none."""
        for folder in scope:
            try:
                return (await self._box.items.changes(folder, START, 1)).point.incarnation
            except Refusal as refusal:
                if not search_following.is_unreadable(refusal):
                    raise
        return 0

    def _lost(self, state: State, folder: FolderId) -> bool:
        """A folder that is not looked into any more: whether all that was told of it could be told as gone."""
        items = state.items.get(folder, set())
        ids = ItemIds(self._box.id, folder)
        for item in sorted(items)[: max(self._room, 0)]:
            items.discard(item)
            self._tell(change_writing.gone(ids.of(item)))
        if items:
            return False
        state.points.pop(folder, None)
        state.items.pop(folder, None)
        return True

    async def _of_folder(self, state: State, folder: FolderId) -> bool:
        """Whether there is more of it."""
        while True:
            if self._room <= 0 or self._pages <= 0:
                return True
            self._pages -= 1
            point = state.points.get(folder, START)
            limit = min(self._room, search_following.PAGE)
            step = await search_following.step(self._box, folder, self._search, point, limit, wanted(self._writer))
            if not step.page.complete:
                raise stale()
            known = state.items.setdefault(folder, set())
            await self._written(step.page.changes, folder, step.fitting, known)
            state.points[folder] = step.page.point
            if not step.page.more:
                return False

    async def _written(
        self, page: Sequence[ItemDelta], folder: FolderId, fitting: search_following.Fitting, known: set[int]
    ) -> None:
        change_writing.with_mime(fitting.found.values(), self._writer)
        ids = ItemIds(self._box.id, folder)

        def tell(delta: ItemDelta) -> None:
            item, id_ = int(delta.item), ids.of(delta.item)
            facts = None if delta.kind is ChangeKind.DELETED else fitting.found.get(delta.uid)
            was = item in known
            if facts is not None:
                known.add(item)
                if id_ in self._ignore:
                    return
                if was and delta.kind is ChangeKind.READ_CHANGED and self._read_flags:
                    self._tell(change_writing.read_changed(id_, delta))
                else:
                    self._tell(change_writing.came(facts, self._writer, new=not was))
            elif was and (delta.kind is ChangeKind.DELETED or delta.uid in fitting.missed):
                known.discard(item)
                self._tell(change_writing.gone(id_))

        await slices.each(page, tell)

    def _tell(self, change: str) -> None:
        self.told.append(change)
        self._room -= 1
