"""Kerberos as a server accepts it (RFC 4121), by the system's library and a keytab.

The library reads files (keytab, replay cache) and computes: every call runs in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import gssapi
import msgspec
from gssapi.exceptions import BadChannelBindingsError, GSSError
from gssapi.raw import ChannelBindings

from postern.formats import apreq
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.services.mechanisms.context import Proved, Unproved
from postern.services.negotiation import Circumstances, Continue

MECHANISM = "Kerberos"
KRB5 = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
SERVICES = {
    "http": frozenset({"http"}),
    "smtp": frozenset({"smtp", "smtpsvc"}),
    "imap": frozenset({"imap"}),
    "pop3": frozenset({"pop"}),
    "ldap": frozenset({"ldap"}),
}
"""Service classes of tickets, by protocol; `host` is good for all (RFC 4752 3.1, RFC 4954, RFC 5034)."""
MAX_LEGS = 4
"""Tokens of a client in one exchange; Kerberos has one, with DCE style two."""
CHANNEL_BOUND = 0x800
"""GSS_C_CHANNEL_BOUND_FLAG: the client bound to the very connection that we named."""
_CAUSES = {
    -1765328353: "the key of the ticket is not the keytab's: a wrong keytab, or an old one",  # BAD_INTEGRITY
    -1765328352: "the ticket has expired",  # TKT_EXPIRED
    -1765328351: "the ticket is not valid yet: look at the clocks",  # TKT_NYV
    -1765328350: "a ticket was replayed",  # REPEAT
    -1765328349: "the keytab has no key for the service of the ticket",  # NOT_US
    -1765328347: "the clocks of client and server differ too much",  # SKEW
    -1765328343: "the message was changed on the way",  # MODIFIED
    -1765328340: "the keytab has no key of that version: export it again",  # BADKEYVER
    -1765328339: "the keytab has no key for the service of the ticket",  # NOKEY
    -1765328203: "the keytab has no key for the service of the ticket",  # KT_NOTFOUND
    -1765328154: "the keytab has no key of that version: export it again",  # KT_KVNONOTFOUND
}
"""Minor codes (RFC 4120 7.5.9 and MIT's own, from -1765328384 up) in an administrator's words."""

T = TypeVar("T")


class KerberosSettings(msgspec.Struct, frozen=True):
    """What the acceptor works with."""

    keytab: Path
    replay_cache: Path
    """One file for all workers."""
    realms: Mapping[str, str] = {}
    """Realm -> domain of its users' addresses; empty: the keytab's own realm, as a domain in small letters."""


class Kerberos:
    """The acceptor of a process."""

    def __init__(self, settings: KerberosSettings, clock: Clock, threads: int = 2) -> None:
        self.settings = settings
        self.clock = clock
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="kerberos")
        self._credentials: Any = None
        self._stamp = (0, 0)

    def open(self, circumstances: Circumstances) -> KerberosContext:
        """A new exchange."""
        return KerberosContext(self, circumstances)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False)

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """In a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def credentials(self) -> Any:
        """The keytab's, read anew when the file has changed. In a thread. Raises Refusal(TRY_LATER)."""
        try:
            found = self.settings.keytab.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if self._credentials is None or stamp != self._stamp:
                store = {
                    b"keytab": f"FILE:{self.settings.keytab}".encode(),
                    b"rcache": f"file2:{self.settings.replay_cache}".encode(),
                }
                self._credentials = gssapi.Credentials(usage="accept", mechs=[KRB5], store=store)
                self._stamp = stamp
        except (OSError, GSSError) as problem:
            raise Refusal(Reason.TRY_LATER, f"the keytab {self.settings.keytab} cannot be used: {problem}") from None
        return self._credentials


class KerberosContext:
    """One exchange."""

    def __init__(self, kerberos: Kerberos, circumstances: Circumstances) -> None:
        self._kerberos = kerberos
        self._circumstances = circumstances
        self._context: Any = None
        self._legs = 0

    async def step(self, token: bytes) -> Continue | Proved | Unproved:
        """See `Context`."""
        self._legs += 1
        if self._legs == 1:
            # the library names the keytab's first entry with the right key, and all of a member's names share one
            name = apreq.service(token)
            kind = name.partition("/")[0].lower()
            if kind != "host" and kind not in SERVICES.get(self._circumstances.protocol, ()):
                return Unproved(f"Kerberos: a ticket for {name}, which is not what is spoken here")
        if self._legs > MAX_LEGS:
            return Unproved("Kerberos: an exchange without end")
        return await self._kerberos.run(self._step, token)

    def _step(self, token: bytes) -> Continue | Proved | Unproved:
        if self._context is None:
            bindings = None
            if self._circumstances.server_end_point:
                data = b"tls-server-end-point:" + self._circumstances.server_end_point
                bindings = ChannelBindings(application_data=data)
            self._context = gssapi.SecurityContext(
                creds=self._kerberos.credentials(), usage="accept", channel_bindings=bindings
            )
        try:
            answer = self._context.step(token) or b""
            if not self._context.complete:
                return Continue(answer)
            return self._proved(answer)
        except BadChannelBindingsError:
            return Unproved("Kerberos: channel binding of another connection: relayed")
        except GSSError as error:
            return Unproved(f"Kerberos: {cause(error)}")

    def _proved(self, answer: bytes) -> Proved | Unproved:
        context = self._context
        bound = bool(int(context.actual_flags) & CHANNEL_BOUND)
        if self._circumstances.binding_required and not bound:
            return Unproved("Kerberos: the client bound to no TLS connection")
        own_realm = str(context.target_name).rpartition("@")[2]
        principal = str(context.initiator_name)
        user, _, realm = principal.rpartition("@")
        realms = self._kerberos.settings.realms or {own_realm: own_realm.lower()}
        login = nobody = ""
        if realm not in realms:
            nobody = f"realm {realm} is not one of {', '.join(realms)}"
        elif "/" in user or "\\" in user or "@" in user:
            nobody = f"{principal} is no user"
        else:
            login = f"{user}@{realms[realm]}"
        ends = self._kerberos.clock.timestamp() + float(context.lifetime)
        return Proved(login, MECHANISM, answer, bound, ends, principal, nobody)

    async def sign(self, message: bytes) -> bytes:
        """See `Context`."""
        return await self._kerberos.run(self._context.get_signature, message)

    async def verifies(self, message: bytes, code: bytes) -> bool:
        """See `Context`."""
        with contextlib.suppress(GSSError):
            await self._kerberos.run(self._context.verify_signature, message, code)
            return True
        return False

    async def wrap(self, message: bytes) -> bytes:
        """Integrity without encryption (GSS_Wrap)."""
        return await self._kerberos.run(lambda: bytes(self._context.wrap(message, False).message))

    async def unwrap(self, message: bytes) -> bytes | None:
        """What the client wrapped; None if it did not."""
        with contextlib.suppress(GSSError):
            return await self._kerberos.run(lambda: bytes(self._context.unwrap(message).message))
        return None

    def close(self) -> None:
        """See `Context`."""
        self._context = None


def cause(error: GSSError) -> str:
    """Why an exchange failed, for the log."""
    minor = error.min_code - 2**32 if error.min_code >= 2**31 else error.min_code
    text = " ".join(str(error).split())
    return f"{_CAUSES[minor]} ({text})" if minor in _CAUSES else text
