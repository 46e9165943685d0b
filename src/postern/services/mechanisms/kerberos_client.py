"""Kerberos as this server signs in to others of its organisation (RFC 4752, client side), by the system's library.

Tickets are fetched with the keytab and kept in memory. The library reads files, asks the domain's controllers and
computes: every call runs in a thread.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gssapi
from gssapi.exceptions import GSSError
from gssapi.raw import ChannelBindings

from postern.model.refusal import Reason, Refusal
from postern.services.mechanisms.gssapi_sasl import NO_LAYER
from postern.services.mechanisms.kerberos import KRB5, cause

ANSWER_S = 60.0
"""How long the domain's controllers may be asked for a ticket; the library tries one after the other."""
MAX_LEGS = 6
"""Challenges of a server in one exchange; Kerberos has two."""
_FLAGS = gssapi.RequirementFlag.mutual_authentication | gssapi.RequirementFlag.integrity


class KerberosInitiator:
    """One per worker."""

    def __init__(self, keytab: Path, principal: str = "", threads: int = 2) -> None:
        """`principal`: as whom to sign in; empty: the keytab's first."""
        self._keytab = keytab
        self._principal = principal
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="kerberos-client")

    def begin(self, target: str, end_point: bytes) -> ServerSignIn:
        """An exchange with a service (`smtp/HOST@REALM`), bound to the TLS connection whose certificate that is."""
        return ServerSignIn(self, target, end_point)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False)

    async def run(self, work: Any, *arguments: Any) -> bytes:
        """In a thread. Raises Refusal(TRY_LATER) that says what the library said."""
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        except TimeoutError:
            raise Refusal(Reason.TRY_LATER, "Kerberos: no controller of the domain has answered") from None
        except GSSError as error:
            raise Refusal(Reason.TRY_LATER, f"Kerberos: {cause(error)}") from None
        return bytes(found or b"")

    def context(self, target: str, end_point: bytes) -> Any:
        """A new one. In a thread: may fetch a ticket. Raises GSSError."""
        store = {b"client_keytab": f"FILE:{self._keytab}".encode(), b"ccache": b"MEMORY:postern"}
        name = gssapi.Name(self._principal, gssapi.NameType.kerberos_principal) if self._principal else None
        return gssapi.SecurityContext(
            # a principal and no host: the library would have DNS say which host is meant
            name=gssapi.Name(target, gssapi.NameType.kerberos_principal),
            creds=gssapi.Credentials(usage="initiate", name=name, mechs=[KRB5], store=store),
            mech=KRB5,
            flags=_FLAGS,
            channel_bindings=ChannelBindings(application_data=b"tls-server-end-point:" + end_point),
            usage="initiate",
        )


class ServerSignIn:
    """One exchange; the other server proves itself too."""

    def __init__(self, initiator: KerberosInitiator, target: str, end_point: bytes) -> None:
        self._initiator = initiator
        self.target = target
        self._end_point = end_point
        self._context: Any = None
        self._legs = 0
        self.complete = False
        """The server has proved who it is, and nothing is left to be said."""

    async def step(self, challenge: bytes) -> bytes:
        """The first response, later the answers to challenges. Raises Refusal(TRY_LATER, BAD_CREDENTIALS)."""
        self._legs += 1
        if self._legs > MAX_LEGS or self.complete:
            raise Refusal(Reason.BAD_CREDENTIALS, "Kerberos: the server goes on without end")
        return await self._initiator.run(self._step, challenge)

    def _step(self, challenge: bytes) -> bytes:
        if self._context is None:
            self._context = self._initiator.context(self.target, self._end_point)
            return bytes(self._context.step() or b"")
        if not self._context.complete:
            return bytes(self._context.step(challenge) or b"")
        if not int(self._context.actual_flags) & int(gssapi.RequirementFlag.mutual_authentication):
            raise Refusal(Reason.BAD_CREDENTIALS, "Kerberos: the server did not prove who it is")
        offer = bytes(self._context.unwrap(challenge).message)
        if len(offer) < 4 or not offer[0] & NO_LAYER[0]:
            raise Refusal(Reason.BAD_CREDENTIALS, "Kerberos: the server wants a security layer inside TLS")
        answer = bytes(self._context.wrap(NO_LAYER, False).message)
        self.complete = True
        return answer
