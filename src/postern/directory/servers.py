"""The organisation's other servers, and what proves that it is them: pinned keys, its authority, or Kerberos."""

from __future__ import annotations

import re
from collections.abc import Sequence

from postern.directory.base import DirectoryFile
from postern.directory.objects import Server
from postern.model.addresses import normalise_domain
from postern.model.refusal import Reason, Refusal

_PIN = re.compile(r"[0-9a-f]{64}")
_PRINCIPAL = re.compile(r"[^\s@\\/\x00-\x1f\x7f]{1,128}(/[^\s@\\/\x00-\x1f\x7f]{1,253})?@[A-Za-z0-9._-]{1,253}")


class ServerTables(DirectoryFile):
    """Implements `Servers`."""

    async def servers(self) -> Sequence[Server]:
        """All, by name; kept until somebody writes."""
        self._refresh()
        if self._servers is None:
            rows = self._rows("SELECT name, pins, by_authority, principal, front_end FROM servers ORDER BY name")
            self._servers = tuple(
                Server(name, tuple(pins.split()), bool(by), principal, bool(front_end))
                for name, pins, by, principal, front_end in rows
            )
        return self._servers

    async def put_server(self, server: Server) -> None:
        """Make or replace one."""
        name = normalise_domain(server.name)
        pins = tuple(pin.lower().replace(":", "") for pin in server.pins)
        wrong = next((pin for pin in pins if not _PIN.fullmatch(pin)), None)
        if wrong is not None:
            raise Refusal(Reason.BAD_VALUE, f"not a pin: {wrong}; `postern cert show FILE` shows a certificate's")
        if server.principal and not _PRINCIPAL.fullmatch(server.principal):
            raise Refusal(Reason.BAD_VALUE, f"not a Kerberos principal with its realm: {server.principal}")
        if not pins and not server.by_authority and not server.principal:
            text = f"nothing would prove that it is {name}: give a certificate, a pin or a Kerberos principal"
            raise Refusal(Reason.BAD_VALUE, text)
        taken = next((o.name for o in await self.servers() if o.principal and o.principal == server.principal), name)
        if taken != name:
            raise Refusal(Reason.ALREADY_EXISTS, f"{server.principal} is {taken} already")
        with self._writing():
            self._next_generation("everybody")  # sessions that a front end opened are looked at again
            self._db.execute(
                "INSERT INTO servers (name, pins, by_authority, principal, front_end) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET pins = excluded.pins, by_authority = excluded.by_authority,"
                " principal = excluded.principal, front_end = excluded.front_end",
                (name, " ".join(pins), int(server.by_authority), server.principal, int(server.front_end)),
            )

    async def delete_server(self, name: str) -> None:
        """Remove one."""
        with self._writing():
            self._next_generation("everybody")
            self._db.execute("DELETE FROM servers WHERE name = ?", (normalise_domain(name),))
            if not self._db.changes():
                raise Refusal(Reason.NO_SUCH_ITEM, f"no such server: {name}")
