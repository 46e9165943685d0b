"""The organisation's other servers, and what proves that it is them: pinned keys, or the organisation's authority."""

from __future__ import annotations

import re
from collections.abc import Sequence

from postern.directory.base import DirectoryFile
from postern.directory.objects import Server
from postern.model.addresses import normalise_domain
from postern.model.refusal import Reason, Refusal

_PIN = re.compile(r"[0-9a-f]{64}")


class ServerTables(DirectoryFile):
    """Implements `Servers`."""

    async def servers(self) -> Sequence[Server]:
        """All, by name; kept until somebody writes."""
        self._refresh()
        if self._servers is None:
            rows = self._rows("SELECT name, pins, by_authority FROM servers ORDER BY name")
            self._servers = tuple(Server(name, tuple(pins.split()), bool(by)) for name, pins, by in rows)
        return self._servers

    async def put_server(self, server: Server) -> None:
        """Make or replace one."""
        name = normalise_domain(server.name)
        pins = tuple(pin.lower().replace(":", "") for pin in server.pins)
        wrong = next((pin for pin in pins if not _PIN.fullmatch(pin)), None)
        if wrong is not None:
            raise Refusal(Reason.BAD_VALUE, f"not a pin: {wrong}; `postern cert show FILE` shows a certificate's")
        if not pins and not server.by_authority:
            raise Refusal(Reason.BAD_VALUE, f"nothing would prove that it is {name}: give a certificate or a pin")
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO servers VALUES (?, ?, ?)", (name, " ".join(pins), int(server.by_authority))
            )

    async def delete_server(self, name: str) -> None:
        """Remove one."""
        with self._writing():
            self._db.execute("DELETE FROM servers WHERE name = ?", (normalise_domain(name),))
            if not self._db.changes():
                raise Refusal(Reason.NO_SUCH_ITEM, f"no such server: {name}")
