"""Rooms as people look for them: a room list is a group that has rooms in it, and nobody else (MS-OXWSGTRM)."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from postern.directory.interface import Account, Directory, Group, RecipientKind
from postern.model.refusal import Reason, Refusal

MAX_LISTS = 1000
MAX_ROOMS = 1000
"""Of a list."""
_SLICE = 64


class Named(NamedTuple):
    """A room or a list of rooms."""

    address: str
    name: str


class Rooms:
    """One a worker."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def lists(self) -> list[Named]:
        """Those that the address book shows, by name."""
        found: list[Named] = []
        for number, group in enumerate(await self._directory.groups()):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            if len(found) < MAX_LISTS and await self._rooms(group):
                found.append(Named(group.address, group.display_name or group.address))
        return sorted(found, key=lambda one: one.name.casefold())

    async def rooms(self, address: str) -> list[Named]:
        """Those of a list that the address book shows, by name. Raises Refusal(NO_SUCH_RECIPIENT)."""
        group = (await self._directory.resolve(address)).group if address else None
        rooms = await self._rooms(group) if group is not None else []
        if not rooms:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"{address} is no list of rooms")
        shown = [Named(room.address, room.display_name or room.address) for room in rooms if not room.hidden]
        return sorted(shown, key=lambda one: one.name.casefold())

    async def _rooms(self, group: Group) -> list[Account]:
        """The members, if all of them are rooms; else none."""
        found: list[Account] = []
        if group.hidden or len(group.members) > MAX_ROOMS:
            return found
        for address in group.members:
            try:
                account = (await self._directory.resolve(address)).account
            except Refusal:
                account = None
            if account is None or account.kind is not RecipientKind.ROOM:
                return []
            found.append(account)
        return found
