"""What a proof is worth between servers (X-EXPS): which of the organisation's servers has that Kerberos principal."""

from __future__ import annotations

from postern.services.mechanisms.context import Admission, Proved
from postern.services.negotiation import Circumstances, Recognised, Refused


class ServerAdmission:
    """In place of `Admission`, where a server is expected and no user."""

    def __init__(self, admission: Admission) -> None:
        self._users = admission

    async def admit(self, proved: Proved, circumstances: Circumstances, authzid: str = "") -> Recognised | Refused:
        """What the directory says to a proof."""
        if authzid:
            return await self.refuse(f"{proved.principal} would act for {authzid} between servers", circumstances)
        server = await self._users.server(proved.principal)
        if server is None:
            return await self.refuse(f"Kerberos: {proved.principal} is no server of the organisation", circumstances)
        return Recognised(server.name, proved.principal)

    async def refuse(self, cause: str, circumstances: Circumstances, login: str = "") -> Refused:
        """Count and delay a failure; against the peer's address, for servers have no account to lock."""
        return await self._users.refuse(cause, circumstances)
