"""NTLMv2 as a server accepts it (MS-NLMP 3.2.5), with all that stops a relayed sign-in.

- a MIC over the three messages wherever the client says that it sends one (CVE-2019-1040);
- the channel binding that the client sealed into its proof must be this connection's;
- the target name must be one of ours, for this protocol;
- our own names and time must come back as we sent them.

A relay has the victim's proof, but none of these fits the connection it uses it on.
"""

from __future__ import annotations

import hmac
import re
from typing import NamedTuple, Protocol

import msgspec

from postern.formats.ntlm import keys, messages, pairs
from postern.formats.ntlm.messages import Authenticate, Flags
from postern.formats.ntlm.pairs import AvFlags, Kind
from postern.model.ports import Clock, Entropy
from postern.services.mechanisms.context import Admission, Proved, Unproved
from postern.services.negotiation import Circumstances, Continue

MECHANISM = "NTLMv2"
SERVICES = {
    "http": frozenset({"http"}),
    "smtp": frozenset({"smtp", "smtpsvc"}),
}
"""Service classes of target names, by protocol."""
EXCHANGE_S = 300.0
"""How long a client may take from the challenge to its answer."""
_EPOCH_DIFFERENCE_S = 11_644_473_600
"""Between 1601, where Windows counts from, and 1970."""
_ENDPOINT = b"tls-server-end-point:"
_PORT = re.compile(r"(?<=[^:]):[0-9]+$|(?<=\]):[0-9]+$")


class NtlmSettings(msgspec.Struct, frozen=True):
    """What the server says of itself."""

    netbios_domain: str
    """The domain, or empty for a server that stands alone."""
    netbios_computer: str
    """At most 15 characters, upper case."""
    dns_computer: str
    dns_domain: str = ""
    names: frozenset[str] = frozenset()
    """Hosts that target names may have, besides the server's own, in small letters."""
    require_mic: bool = False
    """Refuse clients that send none (curl, for one)."""


class Known(NamedTuple):
    """A right proof."""

    login: str
    """What `Directory.login` finds the account by."""
    base_key: bytes
    """SessionBaseKey, 16 octets."""


class Verifier(Protocol):
    """Who knows NT hashes: the directory, or a domain controller."""

    async def login(self, message: Authenticate) -> str:
        """Who is trying, as `Directory.login` finds the account, or as the client wrote it if there is none."""
        ...

    async def verify(self, message: Authenticate, challenge: bytes) -> Known | str:
        """The account, or why the proof is not right, for the log. Raises Refusal(TRY_LATER)."""
        ...


class NtlmContext:
    """One exchange."""

    def __init__(
        self,
        settings: NtlmSettings,
        verifier: Verifier,
        admission: Admission,
        circumstances: Circumstances,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._settings = settings
        self._verifier = verifier
        self._admission = admission
        self._circumstances = circumstances
        self._clock = clock
        self._entropy = entropy
        self._first = b""
        self._second = b""
        self._challenge = b""
        self._info: dict[int, bytes] = {}
        self._since = 0.0
        self._key = b""
        self._flags = Flags(0)

    async def step(self, token: bytes) -> Continue | Proved | Unproved:
        """See `Context`."""
        if not self._second:
            return self._begin(token)
        if self._clock.monotonic() - self._since > EXCHANGE_S:
            return Unproved("the NTLM challenge is too old")
        message = messages.authenticate(token)
        login = await self._verifier.login(message)
        await self._admission.check(login, self._circumstances)
        known = await self._verifier.verify(message, self._challenge)
        if isinstance(known, str):
            return Unproved(f"NTLM: {known}", login)
        # only now is what the proof is over worth a look. Failures from here on are not the account's fault.
        cause = self._mismatch(message) or self._broken(message, known.base_key)
        if cause:
            return Unproved(f"NTLM of {login}: {cause}")
        bound = self._bound(message)
        return Proved(known.login, MECHANISM, bound=bound)

    def _begin(self, token: bytes) -> Continue:
        self._flags = messages.negotiate(token)
        self._first = token
        self._since = self._clock.monotonic()
        self._challenge = self._entropy.token(messages.CHALLENGE_BYTES)
        own = self._settings
        moment = int((self._clock.timestamp() + _EPOCH_DIFFERENCE_S) * 10_000_000)
        names = {
            Kind.NETBIOS_DOMAIN: own.netbios_domain or own.netbios_computer,
            Kind.NETBIOS_COMPUTER: own.netbios_computer,
            Kind.DNS_DOMAIN: own.dns_domain,
            Kind.DNS_COMPUTER: own.dns_computer,
        }
        self._info = {int(kind): pairs.text(name) for kind, name in names.items() if name}
        self._info[Kind.TIMESTAMP] = moment.to_bytes(8, "little")
        target = own.netbios_domain or own.netbios_computer
        self._second = messages.challenge(self._flags, self._challenge, target, self._info)
        return Continue(self._second)

    def _mismatch(self, message: Authenticate) -> str:
        """What of the sealed information does not fit this connection; empty if all of it does."""
        for kind, value in self._info.items():
            if message.pairs.get(kind) != value:
                return f"the server's information was changed on the way (AV pair {kind})"
        return self._foreign_binding(message) or self._foreign_target(message)

    def _foreign_binding(self, message: Authenticate) -> str:
        sent = message.pairs.get(Kind.CHANNEL_BINDINGS, b"")
        if not any(sent):
            return "the client bound to no TLS connection" if self._circumstances.binding_required else ""
        if not self._circumstances.server_end_point:
            return "channel binding of a TLS connection, and there is none here"
        return "" if self._bound(message) else "channel binding of another connection: relayed"

    def _bound(self, message: Authenticate) -> bool:
        sent = message.pairs.get(Kind.CHANNEL_BINDINGS, b"")
        end_point = self._circumstances.server_end_point
        return bool(end_point) and hmac.compare_digest(sent, pairs.channel_bindings(_ENDPOINT + end_point))

    def _foreign_target(self, message: Authenticate) -> str:
        name = pairs.read_text(message.pairs.get(Kind.TARGET_NAME, b""))
        if not name:
            return ""
        service, _, host = name.lower().partition("/")
        host = _PORT.sub("", host.partition("/")[0]).strip("[]").rstrip(".")
        own = self._settings
        known = {own.dns_computer.lower(), own.netbios_computer.lower(), self._circumstances.host.lower(), *own.names}
        if service not in SERVICES.get(self._circumstances.protocol, ()) or host not in known - {""}:
            return f"signed in to {name!r}, not to this server: relayed"
        return ""

    def _broken(self, message: Authenticate, base_key: bytes) -> str:
        """What is wrong with the MIC or the session key; empty if nothing is."""
        key = keys.exported_key(base_key, message.flags, message.encrypted_key)
        if key is None:
            return "the session key is missing"
        if messages.av_flags(message.pairs) & AvFlags.MIC:
            if not hmac.compare_digest(keys.mic(key, self._first, self._second, message.message), message.mic):
                return "wrong MIC: the messages were changed on the way"
        elif self._settings.require_mic:
            return "no MIC"
        self._key, self._flags = key, message.flags
        return ""

    async def sign(self, message: bytes) -> bytes:
        """See `Context`."""
        if not self._key or not self._flags & (Flags.SIGN | Flags.ALWAYS_SIGN):
            return b""
        return keys.signature(self._key, self._flags, message, by_client=False)

    async def verifies(self, message: bytes, code: bytes) -> bool:
        """See `Context`."""
        if not self._key:
            return False
        return hmac.compare_digest(keys.signature(self._key, self._flags, message, by_client=True), code)

    def close(self) -> None:
        """See `Context`."""
        self._key = b""
